"""The demo fails when anything it promises does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from sniperforge.embedded.demo_report import LEAST_BUYS, BalanceLine, DemoReport, Hurt, TradeLine

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


def a_good_one() -> DemoReport:
    rounds = [replace(TRADE, id=f"round-{number}", what=f"round {number}") for number in range(LEAST_BUYS)]
    one_offs = [replace(TRADE, id=f"one-off-{number}", what="one-off") for number in range(3)]
    return DemoReport(
        trades=[*rounds, *one_offs],
        hurts=[Hurt(what="SIGKILL", at_s=1.0, healed="started again", took_s=2.0)],
        balances=[BalanceLine(asset="SOL", slot=7, books_raw=10, chain_raw=10)],
    )


def problems_of(report: DemoReport) -> list[str]:
    report.judge(3)
    return report.problems


def test_a_demo_that_keeps_its_promises_has_no_problem() -> None:
    report = a_good_one()
    assert problems_of(report) == []
    assert report.as_json()["ok"] is True
    assert report.as_json()["trades"][0]["price"] == "166.6667"


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


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (a_round_less, "11 rounds"),
        (a_one_off_that_failed, "2 of 3 one-off"),
        (a_fill_that_is_not_final, "not settled: extra"),
        (a_wound_that_did_not_heal, "did not heal: FLUSHALL"),
        (a_base_unit_that_is_missing, "USDC: the books say 10 and the chain 11 at slot 7"),
        (no_comparison, "were not compared"),
    ],
)
def test_a_demo_that_breaks_a_promise_says_which(damage: Callable[[DemoReport], None], told: str) -> None:
    report = a_good_one()
    damage(report)
    (problem,) = problems_of(report)
    assert told in problem
    assert report.as_json()["ok"] is False
