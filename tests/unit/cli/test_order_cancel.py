"""What a person is told who cancelled an order: each sentence is true of the order and of its trade."""

from __future__ import annotations

import pytest
import typer

from sniperforge.cli.order_cancel import end_words, tell_the_end, trade_words, was_too_late
from sniperforge.cli.order_show import show_lines
from sniperforge.cli.token_names import TokenNames
from sniperforge.domain.ids import IntentId
from sniperforge.trading.order_report import OrderReport, read_orders
from sniperforge.trading.progress import Step
from sniperforge.trading.trade_report import read_report
from tests.fakes.order_world import OrderWorld


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


def report(world: OrderWorld) -> OrderReport:
    (only,) = read_orders(world.store, 2, ended=True)
    return only


def shown(world: OrderWorld) -> str:
    return "\n".join(show_lines(report(world), TokenNames({})))


def of_trade(world: OrderWorld, intent: IntentId) -> str:
    return trade_words(read_report(world.store, intent))


def test_an_order_without_a_trade_is_cancelled_and_says_why(world: OrderWorld) -> None:
    world.cancel_order(world.stop())
    assert end_words(report(world)) == "order o1 is cancelled: a person said so"
    assert not was_too_late(report(world))


def test_an_order_whose_trade_is_decided_ends_with_it_and_nothing_is_signed(world: OrderWorld) -> None:
    order = world.stop()
    (intent,) = world.price("0.4")
    world.cancel_order(order)
    assert end_words(report(world)) == "order o1 ends with its trade; nothing of it fires any more"
    assert "; it ends with its trade" in shown(world)
    assert of_trade(world, intent).startswith("nothing is signed for it; `sniperforge trade-show ")
    world.finish(intent)
    assert end_words(report(world)).startswith("order o1 is cancelled")


def test_a_trade_that_is_signed_is_told_by_its_signature(world: OrderWorld) -> None:
    order = world.stop()
    (intent,) = world.price("0.4")
    world.chain.holding = True
    world.executor().advance(intent)
    world.cancel_order(order)
    (attempt,) = world.attempts(intent)
    assert of_trade(world, intent).startswith(f"it is signed as {attempt.signature} and may still land; ")
    world.chain.holding = False
    world.confirm(intent)
    told = of_trade(world, intent)
    assert told.startswith(f"it is signed as {attempt.signature} and has landed, but is not final; ")
    world.finish(intent)
    assert end_words(report(world)) == "order o1 is filled"


def test_a_bracket_whose_entry_is_under_way_may_still_get_its_exits(world: OrderWorld) -> None:
    order = world.bracket()
    (intent,) = world.price("0.45")
    world.cancel_order(order)
    told = "order o1 ends with the trade of its entry, unless that fills: then its exits are live"
    assert end_words(report(world)) == told
    assert "; it ends with its entry's trade, unless that fills" in shown(world)
    world.finish(intent)
    assert end_words(report(world)).startswith("order o1 is cancelled")
    assert not was_too_late(report(world))


def test_a_bracket_whose_entry_filled_after_the_cancel_says_that_its_exits_are_live(
    world: OrderWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    order = world.bracket()
    (intent,) = world.price("0.45")
    world.at[Step.PERSISTED] = lambda: world.cancel_order(order)
    world.finish(intent)
    assert was_too_late(report(world))
    for json_output in (False, True):
        with pytest.raises(typer.Exit) as ended:
            tell_the_end(report(world), json_output=json_output)
        assert ended.value.exit_code == 1
        assert "Its entry filled: its exits are live; cancel again to end them" in capsys.readouterr().err
    world.cancel_order(order)
    assert not was_too_late(report(world))
    tell_the_end(report(world), json_output=True)
    assert end_words(report(world)) == "order o1 is cancelled: a person said so"
