"""A short part of `make faults` on the running system: Celery, beat, Redis and plans, all of it hurt at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.redis_server import running_redis
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.system_plan import system_plan_of
from tests.faults.system_run import Stack, run_system_seed

TRADES = 10


@pytest.fixture
def stack(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Stack]:
    """Chain, exchange and Redis."""
    folder = tmp_path / "redis"
    with running_redis(folder) as redis:
        yield Stack(sandbox, redis, folder)


def test_a_seed_of_the_running_system_is_one_plan() -> None:
    assert system_plan_of(7, TRADES) == system_plan_of(7, TRADES)
    assert system_plan_of(7, TRADES) != system_plan_of(8, TRADES)


@pytest.mark.slow
def test_the_running_system_settles_what_people_and_plans_decide_through_everything_at_once(
    stack: Stack, tmp_path: Path
) -> None:
    outcome = run_system_seed(3, TRADES, stack, tmp_path / "seed")

    assert outcome.problems == []
    assert outcome.happened["filled"] > 0
    assert outcome.happened["rounds"] > 0
