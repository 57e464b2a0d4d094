"""Orders of every kind made, changed, fired, shown and cancelled on real books."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sniperforge.domain.order import LegName, LegState, OrderKind, OrderState
from sniperforge.errors import InvalidInputError
from sniperforge.trading.order_report import read_order, read_orders
from tests.fakes.clock import START
from tests.fakes.desk_world import DeskWorld
from tests.fakes.order_terms import JUP, SOL, above, below
from tests.fakes.stores import Database, empty_store

HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeskWorld]:
    kind: Database = request.param
    with empty_store(kind, tmp_path) as store:
        yield DeskWorld(store)


@pytest.mark.parametrize("kind", list(OrderKind))
def test_an_order_of_any_kind_is_read_as_it_was_written(world: DeskWorld, kind: OrderKind) -> None:
    order = world.place(kind, expires_at=START + HOUR)
    assert world.order(order) == order
    report = read_order(world.store, order.id)
    assert [one.order.id for one in read_orders(world.store, 10)] == [order.id]
    armed = [one.is_armed for one in report.legs if one.leg.state is LegState.ARMED]
    assert armed == [True] * (2 if kind is OrderKind.OCO else 1)


def test_a_trail_that_follows_is_changed_and_fires_where_it_says(world: DeskWorld) -> None:
    order = world.place(OrderKind.TRAILING_STOP, activation=Decimal(190))
    for usd in ("185", "191", "200", "196"):
        assert world.price(usd) == []
    world.edit(order, trail_bps=300, confirmations=1)
    (trigger,) = read_order(world.store, order.id).legs[0].triggers
    assert (trigger.view.best, trigger.view.level, trigger.value) == (Decimal(200), Decimal(194), Decimal(196))
    assert world.price("194.01") == []
    (trade,) = world.price("194")
    assert [one.id for one in read_order(world.store, order.id).under_way] == [trade]
    with pytest.raises(InvalidInputError):
        world.edit(order, trail_bps=400)


def test_conditions_that_must_all_hold_are_watched_and_exchanged(world: DeskWorld) -> None:
    order = world.place(OrderKind.CONDITIONAL, conditions=(below("170"), above("0.6", JUP)))
    assert len(world.triggers(order)) == 2
    world.edit(order, conditions=(below("175"), above("0.55", JUP), below("400", per=JUP)))
    subjects = {view.trigger.subject for view in world.triggers(order)}
    assert subjects == {SOL, JUP, f"{SOL}/{JUP}"}
    assert {one.subject for one in world.look(lambda books: books.triggers.watched())} == subjects


def test_a_pair_is_cancelled_whole(world: DeskWorld) -> None:
    order = world.place(OrderKind.OCO)
    world.edit(order, take_profit=Decimal(210), slippage_bps=200)
    assert {leg.max_slippage_bps for leg in world.legs(order).values()} == {200}
    assert world.desk.cancel(order.id, by="me").state is OrderState.CANCELLED
    assert world.triggers(order) == []
    assert {name: leg.state for name, leg in world.legs(order).items()} == {
        LegName.STOP: LegState.CANCELLED,
        LegName.TAKE: LegState.CANCELLED,
    }
    assert world.price("100") == []
