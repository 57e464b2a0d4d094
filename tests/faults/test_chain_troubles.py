"""Nodes that lag, forget or swallow, forks, and hostile orders: nothing is believed that is not proven."""

from __future__ import annotations

import time

import pytest

from sniperforge.trading.progress import Step
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.scenes import (
    EXECUTE,
    SEND,
    assert_sound,
    buy,
    calm,
    fork,
    nothing_lands,
    outlive_a_blockhash,
    quick_slots,
    reached,
    settle,
    slow_slots,
    start,
)
from tests.faults.worker import Mishap
from tests.faults.world import World

LATER = {"code": -1000, "lands": True, "after_slots": 110}
PATIENT_SLOT_MS = 20
"""Long enough that a wrong proof of death is made before the transaction lands, also on a busy machine."""

FORKS_TRIED = 12


def node(sandbox: RunningSandbox, name: str = "a", **ailment: object) -> None:
    """Let a node be ill."""
    sandbox.ask("POST", "/nodes", name=name, **ailment)


def test_a_node_that_forgets_proves_no_death(world: World, sandbox: RunningSandbox) -> None:
    trade = buy(world, "one")
    victim = start(world, "victim", trade, mishaps=(Mishap(Step.ANSWERED),))
    victim.wait()
    node(sandbox, remembers_slots=3)

    forgetful = start(world, "forgetful", trade)
    outlive_a_blockhash(sandbox)
    forgetful.kill()
    calm(sandbox)
    settle(world, trade)

    assert Step.EXPIRED.value not in forgetful.steps()
    assert_sound(world, "filled")


def test_a_node_without_its_history_proves_no_death(world: World, sandbox: RunningSandbox) -> None:
    trade = buy(world, "one")
    victim = start(world, "victim", trade, mishaps=(Mishap(Step.ANSWERED),))
    victim.wait()
    for method in ("getTransaction", "getSignatureStatuses"):
        sandbox.fault(f"rpc:{method}", "history_down", probability=1)

    blind = start(world, "blind", trade)
    outlive_a_blockhash(sandbox)
    blind.kill()
    sandbox.clear_faults()
    settle(world, trade)

    assert Step.EXPIRED.value not in blind.steps()
    assert_sound(world, "filled")


def test_what_lands_long_after_every_bad_answer_is_found(world: World, sandbox: RunningSandbox) -> None:
    trades = [buy(world, f"later-{number}") for number in range(3)]
    slow_slots(sandbox, PATIENT_SLOT_MS)
    sandbox.fault(SEND, "swallow", probability=1)
    sandbox.fault(EXECUTE, "execute_code", count=len(trades), params=LATER)

    settle(world, *trades)
    quick_slots(sandbox)
    outlive_a_blockhash(sandbox)

    assert_sound(world, *["filled"] * len(trades))


def test_lagging_nodes_that_swallow_delay_a_trade_and_do_not_double_it(world: World, sandbox: RunningSandbox) -> None:
    trade = buy(world, "one")
    victim = start(world, "victim", trade, mishaps=(Mishap(Step.PERSISTED),))
    victim.wait()
    node(sandbox, "b", lag_slots=100, swallow=1)
    node(sandbox, "c", lag_slots=60, swallow=1)
    sandbox.fault(EXECUTE, "execute_code", count=1, params=LATER)
    seen_by_two = world.using(*(sandbox.endpoints.node_urls[name] for name in ("b", "c")), large_trade_usd=0)

    delayed = start(seen_by_two, "delayed", trade)
    outlive_a_blockhash(sandbox)
    delayed.kill()
    calm(sandbox)
    settle(seen_by_two, trade)

    assert_sound(world, "filled")


def test_a_large_trade_is_dead_only_when_two_nodes_agree(world: World, sandbox: RunningSandbox) -> None:
    urls = [sandbox.endpoints.node_urls[name] for name in ("a", "b")]
    node(sandbox, "b", remembers_slots=3)
    nothing_lands(sandbox)
    trade = buy(world, "one")

    lone = start(world.using(*urls, large_trade_usd=0), "lone", trade)
    lone.wait_for(reached(Step.SENT))
    outlive_a_blockhash(sandbox)
    lone.kill()
    calm(sandbox)
    settle(world.using(*urls, large_trade_usd=0), trade)

    assert Step.EXPIRED.value not in lone.steps()
    assert_sound(world, "filled")


@pytest.mark.parametrize("reinclude", [0, 1])
@pytest.mark.parametrize("step", [Step.SENT, Step.BOOKED])
def test_a_fork_takes_a_landing_back_and_the_trade_still_fills_once(
    world: World, sandbox: RunningSandbox, step: Step, reinclude: int
) -> None:
    trade = buy(world, "one")
    slow_slots(sandbox)
    victim = start(world, "victim", trade, mishaps=(Mishap(step),))
    victim.wait()
    fork(sandbox, reinclude=reinclude)
    quick_slots(sandbox)

    settle(world, trade)

    assert_sound(world, "filled")


def test_a_fork_whose_transaction_never_comes_back_reverses_the_fill(world: World, sandbox: RunningSandbox) -> None:
    trade = buy(world, "one")
    slow_slots(sandbox)
    worker = start(world, "worker", trade, mishaps=(Mishap(Step.BOOKED, "stop"),))
    worker.wait_until_stopped()
    nothing_lands(sandbox)
    fork(sandbox, reinclude=0)
    quick_slots(sandbox)
    worker.wake()
    worker.wait_for(reached(Step.EXPIRED))
    sandbox.clear_faults()

    assert worker.wait() == 0
    assert Step.REVERSED.value in worker.steps()
    assert_sound(world, "filled")


def test_a_fill_is_not_final_before_the_chain_says_so(world: World, sandbox: RunningSandbox) -> None:
    trade = buy(world, "one")
    slow_slots(sandbox)
    worker = start(world, "worker", trade)
    worker.wait_for(reached(Step.BOOKED))
    time.sleep(0.4)  # it has looked again meanwhile, more than once
    nothing_lands(sandbox)
    fork(sandbox, reinclude=0)
    calm(sandbox)

    assert worker.wait() == 0
    assert_sound(world, "filled")


def test_forks_in_a_row_during_many_trades_leave_books_and_chain_agreed(world: World, sandbox: RunningSandbox) -> None:
    trades = [buy(world, f"forked-{number}") for number in range(8)]
    worker = start(world, "worker", *trades)
    for number in range(FORKS_TRIED):
        time.sleep(0.05)
        fork(sandbox, reinclude=number % 2)

    assert worker.wait() == 0
    assert_sound(world, *["filled"] * len(trades))


def test_an_order_bound_to_a_nonce_is_never_signed(world: World, sandbox: RunningSandbox) -> None:
    sandbox.fault("jupiter:/swap/v2/order", "bad_order", count=2, params={"shape": "advance_nonce"})
    trade = buy(world, "one")

    settle(world, trade)

    assert_sound(world, "filled")


@pytest.mark.parametrize("shape", ["empty_height", "low_height"])
def test_the_heights_of_an_order_do_not_decide_when_its_transaction_is_dead(
    world: World, sandbox: RunningSandbox, shape: str
) -> None:
    slow_slots(sandbox, PATIENT_SLOT_MS)
    sandbox.fault("jupiter:/swap/v2/order", "bad_order", probability=1, params={"shape": shape})
    sandbox.fault(SEND, "swallow", probability=1)
    sandbox.fault(EXECUTE, "execute_code", count=1, params=LATER)
    trade = buy(world, "one")

    settle(world, trade)
    quick_slots(sandbox)
    outlive_a_blockhash(sandbox)

    assert_sound(world, "filled")
