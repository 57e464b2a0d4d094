"""Several workers on the same trades: at once, stopped past their lease, woken late, rung twice."""

from __future__ import annotations

import pytest

from sniperforge.trading.progress import Step
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.scenes import (
    EXECUTE,
    assert_sound,
    buy,
    fork,
    killed_at,
    nothing_lands,
    quick_slots,
    reached,
    sell,
    settle,
    slow_slots,
    start,
)
from tests.faults.worker import Mishap
from tests.faults.world import World

DANGEROUS = (Step.CLAIMED, Step.SIMULATED, Step.SIGNED, Step.PERSISTED, Step.SENDING, Step.ANSWERED, Step.SEEN)


def test_two_workers_at_once_trade_everything_once(world: World) -> None:
    trades = [buy(world, f"trade-{number}") for number in range(6)]

    workers = [start(world, f"worker-{number}", *trades, threads=2) for number in range(2)]

    assert [worker.wait() for worker in workers] == [0, 0]
    assert_sound(world, *["filled"] * len(trades))


def test_a_worker_stopped_past_its_lease_wakes_after_another_has_finished(world: World) -> None:
    trades = [buy(world, f"stopped-{step}") for step in DANGEROUS]
    sleepers = [
        start(world, f"sleeper-{step}", trade, mishaps=(Mishap(step, "stop"),))
        for step, trade in zip(DANGEROUS, trades, strict=True)
    ]
    for sleeper in sleepers:
        sleeper.wait_until_stopped()

    settle(world, *trades)
    for sleeper in sleepers:
        sleeper.wake()

    assert [sleeper.wait() for sleeper in sleepers] == [0] * len(sleepers)
    assert_sound(world, *["filled"] * len(trades))


def test_bytes_sent_by_a_late_wakening_do_not_land_beside_their_successor(
    world: World, sandbox: RunningSandbox
) -> None:
    trade = buy(world, "one")
    sleeper = start(world, "sleeper", trade, mishaps=(Mishap(Step.SENDING, "stop"),))
    sleeper.wait_until_stopped()
    nothing_lands(sandbox)
    heir = start(world, "heir", trade)
    heir.wait_for(reached(Step.EXPIRED))
    sandbox.clear_faults()
    assert heir.wait() == 0

    sleeper.wake()

    assert sleeper.wait() == 0
    assert_sound(world, "filled")


def test_a_confirmation_seen_before_a_fork_is_not_booked_over_a_proof_of_death(
    world: World, sandbox: RunningSandbox
) -> None:
    trade = buy(world, "one")
    slow_slots(sandbox)
    sleeper = start(world, "sleeper", trade, mishaps=(Mishap(Step.SEEN, "stop"),))
    sleeper.wait_until_stopped()
    nothing_lands(sandbox)
    fork(sandbox, reinclude=0)
    quick_slots(sandbox)
    assert killed_at(world, Step.EXPIRED, trade)

    sleeper.wake()
    sleeper.wait_for(lambda lines: lines[-1].get("mishap") != "stop")
    sandbox.clear_faults()

    assert sleeper.wait() == 0
    assert_sound(world, "filled")


def test_late_and_doubled_rings_of_settled_trades_change_nothing(world: World) -> None:
    trades = [buy(world, "one"), sell(world, "two")]
    settle(world, *trades)

    late = settle(world, *trades, name="late", threads=4)

    assert late.steps() == []
    assert_sound(world, "filled", "filled")


def test_two_trades_of_everything_do_not_spend_one_balance(world: World, sandbox: RunningSandbox) -> None:
    sandbox.fault(EXECUTE, "execute_code", count=1, params={"code": -1000, "lands": True, "after_slots": 60})
    first, second = buy(world, "first", None), buy(world, "second", None)
    holder = start(world, "holder", first, mishaps=(Mishap(Step.SENT, "kill"),))
    assert holder.wait() == -9

    settle(world, second, name="second")
    settle(world, first)

    assert_sound(world, "filled", "failed")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_many_rings_in_threads_and_processes_trade_once(
    kind: str, sandbox: RunningSandbox, request: pytest.FixtureRequest
) -> None:
    world: World = request.getfixturevalue("world" if kind == "sqlite" else "postgres_world")
    trades = [buy(world, "one"), sell(world, "two")]

    workers = [start(world, f"worker-{number}", *trades, threads=3) for number in range(2)]

    assert [worker.wait() for worker in workers] == [0, 0]
    assert_sound(world, "filled", "filled")
