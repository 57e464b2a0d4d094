"""A short part of `make faults`: everything goes wrong at once, and books and chain agree in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.driver import run_seed
from tests.faults.plan import plan_of

TRADES = 10


def test_a_seed_is_one_plan() -> None:
    assert plan_of(7, TRADES) == plan_of(7, TRADES)
    assert plan_of(7, TRADES) != plan_of(8, TRADES)


@pytest.mark.slow
def test_many_trades_through_everything_at_once_leave_books_and_chain_agreed(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    outcome = run_seed(2, TRADES, sandbox, tmp_path / "seed")

    assert outcome.problems == []
    assert outcome.happened["filled"] > 0
