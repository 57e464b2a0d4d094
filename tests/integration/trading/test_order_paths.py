"""Any path of the market, whatever happens to the orders: what fires is what a scan by hand says, look by look.

The orders are made, changed and cancelled at the desk, and fired by the manager, on books of each kind; the scan has
them in a list. Groups of trails are made from the second trail on here, and compacted down to one, so that a few orders
go through all that a hundred thousand do.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fakes.order_lives import FewOrders
from tests.fakes.order_paths import OrderPaths
from tests.fakes.stores import Database, migrated_engine
from tests.fakes.watched_orders import WatchedOrders

EXAMPLES = int(os.environ.get("SNIPERFORGE_TEST_EXAMPLES", "200"))
SLOWER = 6
"""So many times fewer on a database: what it adds to the rules of orders is its book of triggers."""


def paths(examples: int, steps: int) -> settings:
    """So many paths of so many steps."""
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


@pytest.mark.parametrize("machine", [OrderPaths, FewOrders], ids=["many orders", "few orders"])
@pytest.mark.parametrize("kind", ["fake", "sqlite", "postgres"])
def test_whatever_happens_the_orders_fire_that_a_scan_by_hand_fires(
    kind: Literal["fake"] | Database, machine: type[WatchedOrders], tmp_path: Path
) -> None:
    examples, steps = (EXAMPLES, 15) if machine is OrderPaths else (2 * EXAMPLES, 25)
    if kind == "fake":
        run_state_machine_as_test(machine, settings=paths(examples, steps))
        return
    with migrated_engine(kind, tmp_path) as engine:
        address = engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
        on_it = type(machine.__name__, (machine,), {"address": address})
        run_state_machine_as_test(on_it, settings=paths(examples // SLOWER, steps))
