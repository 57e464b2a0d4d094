"""Proof that every rule of trades and of orders is held by a test: each is taken out of a copy of the tree in turn.

    python -m tests.faults.rules_taken_out [NAME ...]

Names of rules are those of `trade_executor` and of the table in the design; only tests whose names hold the rule's are
run. Those of orders (`orders`) name one test each, which must fail. All are run on fakes, in seconds. Ends with 1 if a
rule can go without a failing test.
"""

from __future__ import annotations

import sys

from tests.faults import (
    rules_after_sending,
    rules_before_sending,
    rules_of_booking,
    rules_of_orders_decided,
    rules_of_orders_desk,
    rules_of_orders_firing,
    rules_of_orders_life,
    rules_of_orders_looks,
    rules_of_orders_prices,
    rules_of_orders_windows,
)
from tests.faults.planting import found_by, plant_all

ORDER_RULES = (
    *rules_of_orders_firing.RULES,
    *rules_of_orders_decided.RULES,
    *rules_of_orders_life.RULES,
    *rules_of_orders_looks.RULES,
    *rules_of_orders_prices.RULES,
    *rules_of_orders_windows.RULES,
    *rules_of_orders_desk.RULES,
)
RULES = (*rules_before_sending.RULES, *rules_after_sending.RULES, *rules_of_booking.RULES, *ORDER_RULES)
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
            "order_desk",
            "order_endings",
            "order_firing",
            "order_legs",
            "order_life",
            "order_looks",
            "order_manager",
            "order_paper",
            "order_report",
            "order_terms",
            "order_windows",
            "price_watch",
        )
    ),
    "tests/unit/cli/test_order_words.py",
    "tests/unit/domain/test_time_window.py",
    "tests/unit/workers/test_looks.py",
    "tests/contract/test_triggers.py",
    "tests/integration/storage/test_columns.py",
)

if __name__ == "__main__":
    sys.exit(plant_all(RULES, lambda rule: found_by(rule, SUITE), sys.argv[1:]))
