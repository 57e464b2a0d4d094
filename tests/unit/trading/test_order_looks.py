"""When the market is looked at for orders, and which legs begin to be watched at a look."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from sniperforge.domain.order import LegName, LegState, Order
from sniperforge.trading.order_manager import WOKEN_AGAIN_AFTER
from tests.fakes.look_world import Market
from tests.fakes.trading_orders import JUP
from tests.fakes.trading_world import Killed

MINUTE = timedelta(minutes=1)


@pytest.fixture
def market() -> Market:
    return Market()


def a_later_trail(market: Market) -> Order:
    """It begins in a minute, at the price of then."""
    begins = market.clock.now() + MINUTE
    return market.manager.create_trailing_stop(**market.terms(trail_bps=1_000, active_from=begins))


def test_an_order_whose_maker_dies_after_any_commit_is_watched(market: Market) -> None:
    def die() -> None:
        raise Killed

    market.store.points.once("committed", die)
    with pytest.raises(Killed):
        market.manager.create_oco(**market.terms(stop_loss=Decimal("0.45"), take_profit=Decimal("0.55")))
    assert market.states("o1") == {"order": "open", "stop": "armed", "take": "armed"}
    assert len(market.armed("o1")) == 2


def test_a_beat_that_comes_a_little_early_is_a_look_all_the_same(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45")))
    market.every = timedelta(seconds=2)
    manager, asked = market.manager, len(market.exchange.calls)
    for _ in range(5):
        manager.monitor_orders()
        market.pass_time(seconds=1.9)
    assert len(market.exchange.calls) - asked == 5


def test_a_trail_that_begins_later_begins_at_the_price_of_then(market: Market) -> None:
    order = a_later_trail(market)
    market.pass_time(minutes=1)
    market.look("0.55")
    assert market.states(order.id)["main"] == "armed"
    with market.store.read() as books:
        (view,) = books.triggers.of_order(order.id)
    assert view.best == Decimal("0.55")


def test_a_leg_whose_price_is_missing_when_its_time_comes_is_woken_a_little_later(market: Market) -> None:
    order = a_later_trail(market)
    usd = market.exchange.usd.pop(JUP)
    market.pass_time(minutes=1)
    market.look()
    leg = market.legs(order.id)[LegName.MAIN]
    assert (leg.state, leg.active_from) == (LegState.DORMANT, market.clock.now() + WOKEN_AGAIN_AFTER)
    assert "no price" in (leg.reason or "")
    market.exchange.usd[JUP] = usd
    market.look()
    assert market.states(order.id)["main"] == "dormant"
    market.pass_time(seconds=WOKEN_AGAIN_AFTER.total_seconds())
    market.look()
    assert market.states(order.id)["main"] == "armed"


def test_a_leg_whose_order_ended_since_it_was_read_is_not_woken(market: Market) -> None:
    order = a_later_trail(market)
    market.pass_time(minutes=1)
    market.store.points.once("writing", lambda: market.cancel_order(order.id))
    assert market.look("0.55").left == ()
    assert market.states(order.id) == {"order": "cancelled", "main": "cancelled"}
