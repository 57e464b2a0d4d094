"""Books that are locked, read-only, full or restarted, and clocks that are wrong: trades wait, and lose nothing."""

from __future__ import annotations

import sqlite3
import time

import pytest

from sniperforge.trading.progress import Step
from tests.fakes.postgres import shared_server
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.scenes import assert_sound, buy, killed_at, nothing_lands, reached, sell, settle, start
from tests.faults.world import World

A_DAY_S = 86_400.0


@pytest.mark.parametrize("pragma", ["query_only = ON", "max_page_count = 1"])
def test_books_that_cannot_be_written_delay_a_trade_and_lose_nothing(world: World, pragma: str) -> None:
    trades = [buy(world, "half-done"), *(sell(world, f"undecided-{number}") for number in range(7))]
    assert killed_at(world, Step.ANSWERED, trades[0])

    stuck = start(world, "stuck", *trades, pragma=pragma)
    stuck.wait_for(lambda lines: any(line.get("error") == "StorageBusyError" for line in lines))
    stuck.kill()
    settle(world, *trades)

    assert_sound(world, *["filled"] * len(trades))


def test_books_locked_by_somebody_else_delay_trades_and_lose_nothing(world: World) -> None:
    trades = [buy(world, f"trade-{number}") for number in range(4)]
    worker = start(world, "worker", *trades)

    for _ in range(3):
        other = sqlite3.connect(world.home / "books.db", timeout=10.0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        time.sleep(0.05)
        other.execute("ROLLBACK")
        other.close()

    assert worker.wait() == 0
    assert_sound(world, *["filled"] * len(trades))


def test_a_restarted_database_delays_trades_and_loses_nothing(postgres_world: World) -> None:
    trades = [buy(postgres_world, f"trade-{number}") for number in range(6)]
    worker = start(postgres_world, "worker", *trades)

    for step in (Step.CLAIMED, Step.SENT):
        worker.wait_for(reached(step))
        shared_server().stop()
        shared_server().start()

    assert worker.wait() == 0
    assert_sound(postgres_world, *["filled"] * len(trades))


def test_a_clock_a_day_ahead_or_behind_proves_no_death_and_trades_nothing_twice(
    world: World, sandbox: RunningSandbox
) -> None:
    world = world.using(trade_deadline_s=3 * 86_400)
    trade = buy(world, "one")
    nothing_lands(sandbox)
    assert killed_at(world, Step.SENT, trade)
    sandbox.ask("POST", "/pause", paused=True)

    ahead = start(world, "ahead", trade, ahead_s=A_DAY_S, patience_s=0.7)
    behind = start(world, "behind", trade, ahead_s=-A_DAY_S, patience_s=0.7)
    assert [ahead.wait(), behind.wait()] == [0, 0]
    sandbox.ask("POST", "/pause", paused=False)
    sandbox.clear_faults()
    settle(world, trade, ahead_s=A_DAY_S)

    assert Step.EXPIRED.value not in [*ahead.steps(), *behind.steps()]
    assert_sound(world, "filled")


def test_workers_whose_clocks_disagree_by_days_trade_once(world: World) -> None:
    world = world.using(trade_deadline_s=3 * 86_400)
    trades = [buy(world, f"trade-{number}") for number in range(3)]

    workers = [
        start(world, f"worker-{number}", *trades, ahead_s=ahead, patience_s=4.0)
        for number, ahead in enumerate((-A_DAY_S, 0.0, A_DAY_S))
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    settle(world, *trades, ahead_s=A_DAY_S)

    assert_sound(world, *["filled"] * len(trades))
