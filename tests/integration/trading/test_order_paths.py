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

from tests.fakes.order_paths import OrderPaths
from tests.fakes.stores import Database, migrated_engine

EXAMPLES = int(os.environ.get("SNIPERFORGE_TEST_EXAMPLES", "200"))
SLOWER = 5
"""So many times fewer on a database: what it adds to the rules of orders is its book of triggers."""


def paths(examples: int) -> settings:
    """So many paths, of a dozen steps each."""
    return settings(
        max_examples=examples, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


@pytest.mark.parametrize("kind", ["fake", "sqlite", "postgres"])
def test_whatever_happens_the_orders_fire_that_a_scan_by_hand_fires(
    kind: Literal["fake"] | Database, tmp_path: Path
) -> None:
    class Paths(OrderPaths):
        address: str | None = None

    if kind == "fake":
        run_state_machine_as_test(Paths, settings=paths(EXAMPLES))
        return
    with migrated_engine(kind, tmp_path) as engine:
        Paths.address = engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
        run_state_machine_as_test(Paths, settings=paths(EXAMPLES // SLOWER))
