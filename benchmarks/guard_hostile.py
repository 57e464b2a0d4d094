"""What the guard refuses: random malicious edits of good orders, by kind and by rule.

.venv/bin/python benchmarks/guard_hostile.py [--edits 5000] [--seed 1]

Orders come from the sandbox's Jupiter on a real chain in this process; what the bytes do not betray is simulated
there. Beside the table stands what one judgement costs, and the good orders themselves, which must all pass.
Ends with 1 when an edit passes or is refused by a rule that is not meant for its kind.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.fakes.guard_desk import GuardDesk
from tests.fakes.hostile_run import attacks, table


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with GuardDesk() as desk:
        good = [desk.judge(order.raw, order.terms) for order in desk.good_orders]
        start = time.perf_counter()
        tried = list(attacks(desk, edits=arguments.edits, seed=arguments.seed))
        per_edit_ms = (time.perf_counter() - start) * 1_000 / max(1, len(tried))
        read_ms = _cost_of_reading_ms(desk)
    wrong = [item for item in tried if not item.refused_as_meant]
    refused_good = sum(1 for look, _ in good if look)
    print(table(tried))
    print(f"good orders: {len(good)}, refused: {refused_good}")
    print(f"{per_edit_ms:.2f} ms an edit (made, decoded, read, simulated); the first look alone {read_ms:.3f} ms")
    for item in wrong[:20]:
        print(f"WRONG: {item.kind.name} of {item.order.name}: {item.look or 'passed'} {item.rules}")
    return 1 if wrong or refused_good else 0


def _cost_of_reading_ms(desk: GuardDesk) -> float:
    rounds = 200
    start = time.perf_counter()
    for _ in range(rounds):
        for order in desk.good_orders:
            desk.guard.check_bytes(order.decoded, order.terms)
    return (time.perf_counter() - start) * 1_000 / (rounds * len(desk.good_orders))


if __name__ == "__main__":
    sys.exit(main())
