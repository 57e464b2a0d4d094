"""Proof that every rule of a trade is held by tests of its name: each is taken out of a copy of the tree in turn.

    python -m tests.faults.rules_taken_out [NAME ...]

Names of rules are those of `trade_executor` and of the table in the design. Only tests whose names hold the rule's are
run, on fakes, in seconds. Ends with 1 if a rule can go without a failing test.
"""

from __future__ import annotations

import sys

from tests.faults import rules_after_sending, rules_before_sending, rules_of_booking
from tests.faults.planting import found_by, plant_all

RULES = (*rules_before_sending.RULES, *rules_after_sending.RULES, *rules_of_booking.RULES)
SUITE = (
    *(
        f"tests/unit/trading/test_{name}.py"
        for name in (
            "executor_rules_before_sending",
            "executor_rules_after_sending",
            "executor_rules_of_booking",
            "one_owner",
            "recovery",
            "sweep",
        )
    ),
    "tests/integration/storage/test_columns.py",
)

if __name__ == "__main__":
    sys.exit(plant_all(RULES, lambda rule: found_by(rule, SUITE), sys.argv[1:]))
