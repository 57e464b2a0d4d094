"""What `order-list` and `order-show` know: armed or not and why, how far, and what came of the firings."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from sniperforge.domain.intent import IntentState
from sniperforge.domain.order import LegName, LegState, Order, OrderKind
from sniperforge.domain.trigger import Subject
from sniperforge.errors import InvalidInputError
from sniperforge.ports.records import TradingMode
from sniperforge.trading.order_report import LegReport, OrderReport, find_order, read_order, read_orders
from tests.fakes.clock import START
from tests.fakes.desk_world import DeskWorld
from tests.fakes.order_terms import SOL

HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> DeskWorld:
    return DeskWorld()


def report(world: DeskWorld, order: Order) -> OrderReport:
    return read_order(world.store, order.id)


def leg(world: DeskWorld, order: Order, name: LegName = LegName.MAIN) -> LegReport:
    return next(one for one in report(world, order).legs if one.leg.name is name)


def test_a_level_is_told_with_the_last_value_and_the_distance(world: DeskWorld) -> None:
    order = world.place()
    assert leg(world, order).triggers[0].percent is None
    world.price("175")
    (trigger,) = leg(world, order).triggers
    assert (trigger.view.level, trigger.value, trigger.percent) == (Decimal(140), Decimal(175), Decimal(-20))
    assert trigger.seen_at == world.clock.now()


def test_a_trail_tells_its_best_price_and_where_it_fires_now(world: DeskWorld) -> None:
    order = world.place(OrderKind.TRAILING_STOP)
    for usd in ("200", "200", "195"):
        world.price(usd)
    (trigger,) = leg(world, order).triggers
    assert (trigger.view.best, trigger.view.level, trigger.value) == (Decimal(200), Decimal(190), Decimal(195))


def test_a_level_that_was_reached_tells_how_often(world: DeskWorld) -> None:
    order = world.place(confirmations=3)
    assert leg(world, order).standing == "armed"
    world.price("140")
    world.price("140")
    assert leg(world, order).standing == "armed: beyond its level for 2 of 3 prices in a row"
    assert leg(world, order).is_armed
    with world.store.write() as books:
        books.triggers.tick(Subject(SOL), Decimal(140), print_number=10**9, at=world.clock.now())
    assert leg(world, order).standing == "armed: its trigger fired, and its trade is about to be decided"


def test_a_leg_that_is_not_armed_says_why(world: DeskWorld) -> None:
    later = world.place(active_from=START + HOUR)
    bracket = world.place(OrderKind.BRACKET)
    assert leg(world, later).standing.startswith("not armed yet: watched from 2026-01-01 13:00:00 UTC on")
    assert leg(world, bracket, LegName.STOP).standing == "not armed: its entry has not filled"
    assert not leg(world, later).is_armed


def test_each_leg_has_its_own_triggers(world: DeskWorld) -> None:
    order = world.place(OrderKind.OCO)
    levels = {one.leg.name: [trigger.view.level for trigger in one.triggers] for one in report(world, order).legs}
    assert levels == {LegName.STOP: [Decimal(140)], LegName.TAKE: [Decimal(220)]}


def test_a_trade_under_way_is_told_at_both_legs_of_a_pair(world: DeskWorld) -> None:
    order = world.place(OrderKind.OCO, confirmations=1)
    (trade,) = world.price("139")
    assert leg(world, order, LegName.STOP).standing == f"fired: trade {trade} is under way"
    assert leg(world, order, LegName.TAKE).standing == "not armed: the trade of the other leg is under way"
    assert [one.id for one in report(world, order).under_way] == [trade]
    stop = leg(world, order, LegName.STOP)
    assert (stop.leg.fired_value, [one.id for one in stop.trades]) == (Decimal(139), [trade])


def test_a_trade_that_failed_is_told_with_why_and_when_it_fires_again(world: DeskWorld) -> None:
    order = world.place(confirmations=1)
    (trade,) = world.price("139")
    world.fail(trade, "no route")
    one = leg(world, order)
    assert one.standing == "fires again at 12:00:03 UTC: no route"
    assert [(trade.state, trade.reason) for trade in one.trades] == [(IntentState.FAILED, "no route")]
    assert report(world, order).under_way == ()


def test_a_price_that_is_missing_is_told_since_when(world: DeskWorld) -> None:
    order = world.place()
    world.price("175")
    assert report(world, order).unchecked is None
    del world.exchange.usd[SOL]
    world.look_at_market()
    since = world.clock.now()
    world.look_at_market()
    unchecked = report(world, order).unchecked
    assert unchecked is not None
    assert (unchecked.problem, unchecked.problem_since) == ("missing: Jupiter has no price for it", since)
    assert unchecked.value == Decimal(175)


def test_a_halt_is_told_at_every_leg_of_an_open_order(world: DeskWorld) -> None:
    order = world.place()
    with world.store.write() as books:
        system = books.system.get()
        books.system.change(system, mode=TradingMode.HALTED, reason="lunch", changed_by="me", changed_at=START)
    assert leg(world, order).standing.startswith("armed; nothing would be signed: trading is halted: lunch")
    world.desk.cancel(order.id, by="me")
    assert leg(world, order).standing == "ended"
    assert report(world, order).under_way == ()


def test_orders_are_listed_newest_first_and_ended_ones_when_asked_for(world: DeskWorld) -> None:
    orders = []
    for _ in range(3):
        orders.append(world.place().id)
        world.clock.advance(HOUR)
    world.desk.cancel(orders[1], by="me")
    assert [one.order.id for one in read_orders(world.store, 10)] == [orders[2], orders[0]]
    assert [one.order.id for one in read_orders(world.store, 10, ended=True)] == orders[::-1]
    assert [one.order.id for one in read_orders(world.store, 1, ended=True)] == [orders[2]]


def test_an_order_is_found_by_its_first_letters(world: DeskWorld) -> None:
    first, second = world.place(), world.place()
    assert read_order(world.store, f" {first.id.upper()} ").order.id == first.id
    with world.store.read() as books:
        assert find_order(books, second.id[:12]).id == second.id
        for text, why in (("o0", "no id of an order"), ("o000", "several orders begin so"), ("oxyz", "no such order")):
            with pytest.raises(InvalidInputError, match=why):
                find_order(books, text)


def test_a_trade_that_landed_decides_the_end_until_it_is_final_but_not_that_of_an_entry(world: DeskWorld) -> None:
    stop, bracket = world.place(confirmations=1), world.place(OrderKind.BRACKET)
    trades = world.price("139")
    for trade in trades:
        world.land(trade)
    assert leg(world, stop).standing == f"filled by trade {report(world, stop).under_way[0].id}"
    assert leg(world, bracket, LegName.ENTRY).leg.state is LegState.FILLED
    assert report(world, bracket).under_way == ()
