"""Several executors at once on real databases: every round is decided once, and every trade belongs to a round."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sniperforge.errors import ConflictError, StorageBusyError
from sniperforge.ports.store import Store
from sniperforge.trading.strategy_executor import RoundOutcome
from tests.fakes.plan_world import PlanWorld
from tests.fakes.stores import empty_store

EXECUTORS, ROUNDS = 4, 10


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with empty_store(request.param, tmp_path) as made:
        yield made


def look_all_at_once(world: PlanWorld) -> list[RoundOutcome]:
    start, seen = threading.Barrier(EXECUTORS), []

    def look() -> None:
        executor = world.executor
        start.wait()
        try:
            seen.append(executor.execute(world.plan().id).outcome)
        except (ConflictError, StorageBusyError):
            seen.append(RoundOutcome.OVERTAKEN)

    threads = [threading.Thread(target=look) for _ in range(EXECUTORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == EXECUTORS
    return seen


def test_of_many_executors_one_decides_each_round(store: Store) -> None:
    world = PlanWorld(store)
    world.make(amount_per_order=None, total_amount="1", orders=ROUNDS)
    for _ in range(ROUNDS):
        assert Counter(look_all_at_once(world))[RoundOutcome.DECIDED] == 1
        world.clock.advance(timedelta(hours=1))
    trades = world.trades()
    assert [trade.occurrence for trade in trades] == list(range(ROUNDS))
    assert [one.intent_id for one in world.rounds()] == [trade.id for trade in trades]
    assert sum(trade.input_amount_raw or 0 for trade in trades) == 1_000_000
    assert len(world.bells.trades) == len(set(world.bells.trades)) == ROUNDS
    assert world.run().outcome is RoundOutcome.NOT_DUE
