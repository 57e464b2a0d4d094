"""The demo fails when anything it promises does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from sniperforge.domain.money import Address
from sniperforge.embedded.demo_report import LEAST_BUYS, BalanceLine, DemoReport, Hurt, OrderLine, TradeLine
from sniperforge.infrastructure.invariant_report import Alert, LookedAt, Report, Violation

TRADE = TradeLine(
    id="t",
    what="round 1",
    state="filled",
    gave="5 USDC",
    got="0.03 SOL",
    price=Decimal("166.6667"),
    realised_bps=Decimal("0.0"),
    fee_lamports=5_000,
    attempts=1,
    seconds=Decimal("0.8"),
    is_final=True,
)
STOP = OrderLine(
    id="o1",
    kind="stop-loss",
    leg="main",
    waited_for="0.36 or less",
    level=Decimal("0.36"),
    falls=True,
    followed=None,
    fired_at=Decimal("0.359"),
    gap_bps=27,
    state="filled",
    expected="filled",
    order_state="filled",
    trades=("t1",),
    gave_raw=100,
    got_raw=35,
)
TRAIL = replace(STOP, id="o2", kind="trailing-stop", followed=Decimal("0.03"))
ENTRY = replace(STOP, id="o3", kind="bracket", leg="entry", gave_raw=40, got_raw=100)
EXIT = replace(STOP, id="o3", kind="bracket", leg="stop", gave_raw=100, got_raw=37)
TAKE = replace(
    STOP, id="o3", kind="bracket", leg="take", level=Decimal("0.5"), falls=False, fired_at=None, gap_bps=None,
    state="cancelled", expected="cancelled", trades=(), gave_raw=None, got_raw=None,
)  # fmt: skip


def a_good_one() -> DemoReport:
    rounds = [replace(TRADE, id=f"round-{number}", what=f"round {number}") for number in range(LEAST_BUYS)]
    one_offs = [replace(TRADE, id=f"one-off-{number}", what="one-off") for number in range(3)]
    return DemoReport(
        trades=[*rounds, *one_offs],
        orders=[STOP, TRAIL, ENTRY, EXIT, TAKE],
        hurts=[Hurt(what="SIGKILL", at_s=1.0, healed="started again", took_s=2.0)],
        balances=[BalanceLine(asset="SOL", slot=7, books_raw=10, chain_raw=10)],
        invariants="15 trades against 15 transactions",
        searched={"while it ran": 100, "at rest": 200},
    )


def problems_of(report: DemoReport) -> list[str]:
    report.judge(3)
    return report.problems


def test_a_demo_that_keeps_its_promises_has_no_problem() -> None:
    report = a_good_one()
    assert problems_of(report) == []
    assert report.as_json()["ok"] is True
    assert report.as_json()["trades"][0]["price"] == "166.6667"
    assert report.as_json()["orders"][0]["fired_at"] == "0.359"


def test_a_violation_and_an_alert_are_problems_both() -> None:
    seen = LookedAt(
        transactions=9, landings=8, in_flight=0, intents=7, attempts=6, fills=5, lines=4, assets=3, uncountable=0
    )
    violation = Violation(invariant="I2", subject="intent a", what="it has two fills", fix="Look", evidence={})
    alert = Alert(subject="intent b", what="nothing happened to it", fix="Ring it")
    report = a_good_one()
    report.hold(Report(wallet=Address("w"), node="a", slot=7, violations=(violation,), alerts=(alert,), looked_at=seen))
    assert report.invariants.startswith("7 trades, 6 transactions, 5 fills, 4 ledger lines and 3 assets against 9 ")
    assert problems_of(report) == [
        "I2 intent a: it has two fills. Look",
        "I7 intent b: nothing happened to it. Ring it",
    ]


def a_round_less(report: DemoReport) -> None:
    del report.trades[0]


def a_one_off_that_failed(report: DemoReport) -> None:
    report.trades[-1] = replace(report.trades[-1], state="failed")


def a_fill_that_is_not_final(report: DemoReport) -> None:
    report.trades.append(replace(TRADE, id="extra", is_final=False))


def a_wound_that_did_not_heal(report: DemoReport) -> None:
    report.hurts.append(Hurt(what="FLUSHALL", at_s=3.0))


def a_base_unit_that_is_missing(report: DemoReport) -> None:
    report.balances.append(BalanceLine(asset="USDC", slot=7, books_raw=10, chain_raw=11))


def no_comparison(report: DemoReport) -> None:
    report.balances.clear()


def an_invariant_that_broke(report: DemoReport) -> None:
    report.broken.append("I7 intent x: nothing happened to it")


def invariants_not_checked(report: DemoReport) -> None:
    report.invariants = ""


def no_search_at_rest(report: DemoReport) -> None:
    del report.searched["at rest"]


def a_search_of_nothing(report: DemoReport) -> None:
    report.searched["while it ran"] = 0


def orders_not_shown(report: DemoReport) -> None:
    report.orders.clear()


def a_stop_that_waits(report: DemoReport) -> None:
    report.orders[0] = replace(STOP, state="armed", order_state="open", trades=())


def an_order_that_is_not_over(report: DemoReport) -> None:
    report.orders[0] = replace(STOP, order_state="open")


def a_stop_that_fired_too_early(report: DemoReport) -> None:
    report.orders[0] = replace(STOP, fired_at=Decimal("0.361"))


def a_rise_that_fired_too_early(report: DemoReport) -> None:
    report.orders[0] = replace(STOP, falls=False)


def a_fill_that_nothing_fired(report: DemoReport) -> None:
    report.orders[0] = replace(STOP, fired_at=None)


def a_trail_that_stood_still(report: DemoReport) -> None:
    report.orders[1] = replace(TRAIL, followed=Decimal(0))


def both_legs(report: DemoReport) -> None:
    report.orders[4] = replace(TAKE, trades=("t9",))


def an_exit_of_another_amount(report: DemoReport) -> None:
    report.orders[3] = replace(EXIT, gave_raw=99)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (orders_not_shown, "no orders were shown"),
        (a_stop_that_waits, "stop-loss main: it is armed, and filled was promised"),
        (an_order_that_is_not_over, "its order is open"),
        (a_stop_that_fired_too_early, "fired at 0.361, which is not beyond 0.36"),
        (a_rise_that_fired_too_early, "fired at 0.359, which is not beyond 0.36"),
        (a_fill_that_nothing_fired, "nobody knows what fired it"),
        (a_trail_that_stood_still, "trailing-stop main: it did not follow the price"),
        (both_legs, "bracket take: the other leg ended it, and it traded: t9"),
        (an_exit_of_another_amount, "it sold 99 base units, and the entry had brought 100"),
        (a_round_less, "11 rounds"),
        (a_one_off_that_failed, "2 of 3 one-off"),
        (a_fill_that_is_not_final, "not settled: extra"),
        (a_wound_that_did_not_heal, "did not heal: FLUSHALL"),
        (a_base_unit_that_is_missing, "USDC: the books say 10 and the chain 11 at slot 7"),
        (no_comparison, "were not compared"),
        (an_invariant_that_broke, "I7 intent x: nothing happened to it"),
        (invariants_not_checked, "I1-I7 were not checked"),
        (no_search_at_rest, "nothing was searched for secrets at rest"),
        (a_search_of_nothing, "nothing was searched for secrets while it ran"),
    ],
)
def test_a_demo_that_breaks_a_promise_says_which(damage: Callable[[DemoReport], None], told: str) -> None:
    report = a_good_one()
    damage(report)
    (problem,) = problems_of(report)
    assert told in problem
    assert report.as_json()["ok"] is False
