"""A short part of `make faults` on the running system: Celery, beat, Redis and plans, all of it hurt at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.fakes.redis_server import running_redis
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.crew import Worker
from tests.faults.program import ProgramOrder, become
from tests.faults.system_crew import SystemCrew
from tests.faults.system_plan import system_plan_of
from tests.faults.system_run import Stack, run_system_seed
from tests.faults.system_stall import explained
from tests.faults.wiretap import BEAT_LOCK
from tests.faults.world import World

TRADES = 10
WITHIN_S = 40.0


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
def test_what_stands_still_is_told_with_the_stacks_of_its_programs(stack: Stack, world: World) -> None:
    world = world.using(redis_url=SecretStr(stack.redis.url))
    with stack.redis.client() as client:
        client.lpush("sniperforge:trades", "a message that nobody takes")
        client.set(BEAT_LOCK, "a beat that has died", px=600_000)
    beat = Worker(ProgramOrder(world=world, name="the-beat", arguments=("beat",)), become)
    until = time.monotonic() + WITHIN_S
    with world.opened() as services, stack.redis.client() as client:
        while not client.exists("sniperforge:beat::statics"):  # it has begun
            assert beat.alive
            assert time.monotonic() < until
            time.sleep(0.02)
        told, stacks = "", ""
        while "acquire_distributed_beat_lock" not in stacks and time.monotonic() < until:
            told = "\n".join(explained([beat], stack.redis, services))
            stacks = beat.order.report.with_suffix(".log").read_text()

    assert "acquire_distributed_beat_lock" in stacks
    assert "'trades': 1" in told
    assert "lock of beat: a beat that has died" in told
    assert f"the-beat (process {beat.pid}): alive" in told


@pytest.mark.slow
def test_a_worker_that_is_stuck_is_killed_and_another_one_takes_its_seat(stack: Stack, world: World) -> None:
    seen: list[int] = []

    def stuck(pid: int) -> str | None:
        seen.append(pid)
        return "takes no message" if pid == seen[0] else None

    crew = SystemCrew(world.using(redis_url=SecretStr(stack.redis.url)), {}, seed=1, stuck={"others": stuck})
    until = time.monotonic() + WITHIN_S
    while len(set(seen)) < 2 and time.monotonic() < until:
        crew.tend()
        time.sleep(0.02)

    assert len(set(seen)) == 2
    assert crew.happened["stuck workers"] == 1
    assert crew.happened["kills"] == 1


@pytest.mark.slow
def test_the_running_system_settles_what_people_and_plans_decide_through_everything_at_once(
    stack: Stack, tmp_path: Path
) -> None:
    outcome = run_system_seed(3, TRADES, stack, tmp_path / "seed")

    assert outcome.problems == []
    assert outcome.happened["filled"] > 0
    assert outcome.happened["rounds"] > 0
