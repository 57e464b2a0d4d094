"""A short part of `make faults` with orders: the market moves through them while everything goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.orders_plan import orders_plan_of
from tests.faults.orders_run import run_orders_seed

ORDERS = 10


def test_a_seed_of_orders_is_one_plan() -> None:
    assert orders_plan_of(7, ORDERS) == orders_plan_of(7, ORDERS)
    assert orders_plan_of(7, ORDERS) != orders_plan_of(8, ORDERS)


@pytest.mark.system
@pytest.mark.parametrize("seed", [2, 4])
def test_orders_end_through_everything_at_once_and_no_moment_contradicts_itself(
    seed: int, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    outcome = run_orders_seed(seed, ORDERS, sandbox, tmp_path / "seed")

    assert outcome.problems == []
    assert outcome.happened["firings"] > 0
    assert outcome.happened["looks"] > 0
