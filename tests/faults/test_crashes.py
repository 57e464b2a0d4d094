"""A worker is killed at every step, under every answer; a new process finishes; the books match the chain."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

import pytest

from sniperforge.trading.progress import Step
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.scenes import EXECUTE, assert_sound, buy, killed_at, nothing_lands, outlive_a_blockhash, settle, start
from tests.faults.worker import Mishap
from tests.faults.world import World

SUCCESS = (
    Step.DECIDED,
    Step.CLAIMED,
    Step.PRICED,
    Step.QUOTED,
    Step.VIEWED,
    Step.SIMULATED,
    Step.SIGNED,
    Step.PERSISTED,
    Step.SENDING,
    Step.ANSWERED,
    Step.SENT,
    Step.SEEN,
    Step.BOOKED,
    Step.FINALIZED,
)
AROUND_SENDING = (Step.PERSISTED, Step.SENDING, Step.ANSWERED, Step.SENT, Step.SEEN, Step.BOOKED)
ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "request lost": ("drop_request", {}),
    "response lost": ("drop_response", {}),
    "connection reset": ("reset", {}),
    "500 and nothing done": ("http_500_html", {}),
    "500 and done": ("http_500_after", {}),
    "no JSON": ("garbage", {}),
    "429": ("http_429", {}),
    "answer after our timeout": ("latency", {"ms": 900}),
    "-1000, landed": ("execute_code", {"code": -1000, "lands": True}),
    "-1000, not landed": ("execute_code", {"code": -1000, "lands": False}),
    "-1000, landed later": ("execute_code", {"code": -1000, "lands": True, "after_slots": 100}),
    "-1, landed later": ("execute_code", {"code": -1, "lands": True, "after_slots": 40}),
    "-1001, landed": ("execute_code", {"code": -1001, "lands": True}),
    "-1001, not landed": ("execute_code", {"code": -1001, "lands": False}),
    "-2003, not landed": ("execute_code", {"code": -2003, "lands": False}),
    "-2003, landed": ("execute_code", {"code": -2003, "lands": True}),
    "-2004, landed": ("execute_code", {"code": -2004, "lands": True}),
    "filled at the minimum": ("sandwich", {}),
}
QUICK = (
    ("request lost", Step.ANSWERED),
    ("response lost", Step.ANSWERED),
    ("500 and done", Step.SENT),
    ("no JSON", Step.SEEN),
    ("-1000, not landed", Step.ANSWERED),
    ("-1000, landed later", Step.SENT),
    ("-2003, landed", Step.ANSWERED),
)
Case = tuple[str, Step]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every answer against every step around sending, or a choice of them."""
    if "cases" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full-matrix", default=False)
        batches = [tuple((name, step) for step in AROUND_SENDING) for name in ANSWERS] if full else [QUICK]
        metafunc.parametrize("cases", batches, ids=[batch[0][0] for batch in batches])


def test_trades_killed_at_every_step_are_finished_once_by_the_next_process(world: World) -> None:
    trades = [buy(world, f"killed-{step}") for step in SUCCESS]
    victims = [
        start(world, f"victim-{step}", trade, mishaps=(Mishap(step),))
        for step, trade in zip(SUCCESS, trades, strict=True)
    ]

    assert [victim.wait() for victim in victims] == [-signal.SIGKILL] * len(SUCCESS)
    settle(world, *trades)

    assert_sound(world, *["filled"] * len(SUCCESS))


def test_trades_killed_under_any_answer_are_finished_once_by_the_next_process(
    world: World, sandbox: RunningSandbox, cases: Sequence[Case]
) -> None:
    world = world.using(jupiter_execute_timeout_s=0.4)
    trades = [buy(world, f"killed-{number}") for number, _ in enumerate(cases)]

    for number, (answer, step) in enumerate(cases):
        kind, params = ANSWERS[answer]
        sandbox.fault(EXECUTE, kind, count=1, params=params)
        killed_at(world, step, trades[number], name=f"victim-{number}")
        sandbox.clear_faults()
    settle(world, *trades)
    outlive_a_blockhash(sandbox)

    assert_sound(world, *["filled"] * len(cases))


def test_trades_whose_transactions_died_are_tried_again_by_the_next_process(
    world: World, sandbox: RunningSandbox
) -> None:
    steps = (Step.SENT, Step.PROVEN, Step.EXPIRED)
    trades = [buy(world, f"killed-{step}") for step in steps]
    nothing_lands(sandbox)

    victims = [
        start(world, f"victim-{step}", trade, mishaps=(Mishap(step),))
        for step, trade in zip(steps, trades, strict=True)
    ]
    assert [victim.wait() for victim in victims] == [-signal.SIGKILL] * len(steps)
    sandbox.clear_faults()
    settle(world, *trades)

    assert_sound(world, *["filled"] * len(steps))


def test_landings_with_an_error_cost_their_fee_and_the_trades_go_on(world: World, sandbox: RunningSandbox) -> None:
    steps = (Step.SENT, Step.SEEN, Step.REVERTED)
    trades = [buy(world, f"killed-{step}") for step in steps]
    victims = [
        start(world, f"victim-{step}", trade, mishaps=(Mishap(Step.SENDING, "stop"), Mishap(step)))
        for step, trade in zip(steps, trades, strict=True)
    ]
    for victim in victims:
        victim.wait_until_stopped()

    sandbox.ask("POST", "/price", token="SOL", usd=190)
    for victim in victims:
        victim.wake()
    assert [victim.wait() for victim in victims] == [-signal.SIGKILL] * len(steps)
    heir = settle(world, *trades)

    assert_sound(world, *["filled"] * len(steps))
    assert heir.steps().count(Step.REVERTED) == len(steps) - 1


@pytest.mark.parametrize("step", [Step.QUOTED, Step.REQUEUED])
def test_a_trade_refused_by_the_guard_is_killed_and_tried_again(
    world: World, sandbox: RunningSandbox, step: Step
) -> None:
    trade = buy(world, "one")
    sandbox.fault("jupiter:/swap/v2/order", "bad_order", count=1, params={"shape": "drain"})

    assert killed_at(world, step, trade)
    settle(world, trade)

    assert_sound(world, "filled")
