"""How orders end when their trades do what trades hardly ever do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sniperforge.domain.ids import IntentId, OrderId
from sniperforge.domain.intent import AttemptState, IntentState
from sniperforge.domain.order import Amount, AmountKind, LegName, LegState, OrderKind, OrderState
from sniperforge.errors import ConflictError
from sniperforge.ports.records import Severity
from sniperforge.trading.order_life import follow
from sniperforge.trading.settlement import Settlement
from tests.fakes.order_world import ABOVE, OrderWorld
from tests.fakes.trading_orders import JUP

EXITS = (LegName.STOP, LegName.TAKE)
LIVE_OR_MAY_BE = {LegState.DORMANT, LegState.ARMED, LegState.SUSPENDED, LegState.WAITING, LegState.FIRED}


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


def ends(world: OrderWorld, intent: IntentId, state: IntentState) -> None:
    """Nothing of it is signed, or what was is dead."""
    now = world.clock.now()
    with world.store.books.write() as books:
        found = books.intents.lock(intent)
        assert found is not None
        follow(books, books.intents.change(found, at=now, state=state), now)


def fails(world: OrderWorld, intent: IntentId) -> None:
    """Its deadline passes, and the pause after that."""
    world.pass_time(minutes=30)
    assert world.finish(intent).state is IntentState.FAILED
    world.pass_time(minutes=1)


# ---- in rare ways


def test_exits_sell_what_a_second_attempt_of_the_entry_brought(world: OrderWorld) -> None:
    world.bracket()
    (entry,) = world.price("0.45")
    world.confirm(entry)
    world.lose_to_a_fork(entry)
    world.pass_bound()
    world.finish(entry)
    first, second = world.attempts(entry)
    assert world.fill(first).output_raw > 0
    sold = Amount(AmountKind.BASE, world.fill(second).output_raw)
    assert [world.legs()[name].amount for name in EXITS] == [sold, sold]


def test_exits_sell_what_the_entry_brought_in_the_end(world: OrderWorld) -> None:
    """Included again after a fork that nobody saw, at a price that was a little worse."""
    world.bracket()
    (entry,) = world.price("0.45")
    world.confirm(entry)
    (attempt,) = world.attempts(entry)
    seen = world.fill(attempt).output_raw
    world.chain.fork(31)
    sent = world.chain.pool[attempt.signature]
    whole = world.chain.effect_of(sent, None)
    less = tuple(replace(one, raw=one.raw - 12_345) if one.mint == JUP else one for one in whole.post_tokens)
    world.chain.land(sent, replace(whole, post_tokens=less))
    world.finish(entry)
    sold = Amount(AmountKind.BASE, seen - 12_345)
    assert [world.legs()[name].amount for name in EXITS] == [sold, sold]


def test_a_trade_that_was_called_dead_and_lands_is_told_and_fills_its_leg(world: OrderWorld) -> None:
    world.place(world.leg(rule=ABOVE), kind=OrderKind.TAKE_PROFIT)
    (intent,) = world.price("0.8")
    world.chain.holding = True
    world.executor().advance(intent)
    (attempt,) = world.attempts(intent)
    settlement = Settlement(store=world.store, clock=world.clock, tip_accounts=())
    settlement.expired(attempt, "{}", watch_for=timedelta(days=1))
    ends(world, intent, IntentState.FAILED)
    world.pass_time(seconds=2)
    assert world.price("0.5") == []
    assert world.fire_again() == []
    assert world.armed()

    world.chain.include(attempt.signature)
    world.chain.finalize()
    world.executor().look_again(world.attempts(intent)[0])
    assert world.states() == {"order": "filled", "main": "filled"}
    assert not world.armed()
    assert world.events("order.undead")[0].severity is Severity.CRITICAL


def test_an_entry_that_fails_after_its_exit_fired_is_not_tried_again(world: OrderWorld) -> None:
    world.bracket()
    (entry,) = world.price("0.45")
    world.confirm(entry)
    world.price("0.3")
    world.lose_to_a_fork(entry)
    ends(world, entry, IntentState.FAILED)
    assert world.states() == {"order": "open", "entry": "cancelled", "stop": "fired", "take": "suspended"}


@pytest.mark.parametrize("state", [IntentState.CANCELLED, IntentState.FAILED])
@pytest.mark.parametrize("by_order", [True, False])
def test_an_exit_that_is_cancelled_while_its_entry_may_land_again_leaves_the_order_open(
    world: OrderWorld, state: IntentState, *, by_order: bool
) -> None:
    entry, stop = world.entry_lost_while_its_stop_is_under_way()
    if by_order:
        world.cancel_order(world.order().id)
    ends(world, stop, state)
    assert world.states() == {"order": "open", "entry": "fired", "stop": "dormant", "take": "dormant"}
    assert not world.armed()
    cancelled = by_order or state is IntentState.CANCELLED
    assert (world.order().cancel_requested_at is not None) == cancelled

    world.finish(entry)  # it lands again: what it brings is protected, and that is said
    assert world.states() == {"order": "open", "entry": "filled", "stop": "armed", "take": "armed"}
    assert bool(world.events("order.cancelled_too_late")) == cancelled
    assert len(world.price("0.3")) == 1


def test_an_order_that_was_cancelled_before_a_fork_is_protected_by_the_exit_that_was_under_way_and_says_so(
    world: OrderWorld,
) -> None:
    world.bracket()
    (entry,) = world.price("0.45")
    world.confirm(entry)
    (stop,) = world.price("0.3")
    world.cancel_order(world.order().id)
    assert world.states() == {"order": "open", "entry": "filled", "stop": "fired", "take": "cancelled"}
    world.lose_to_a_fork(entry)
    ends(world, stop, IntentState.CANCELLED)
    world.finish(entry)
    assert world.states() == {"order": "open", "entry": "filled", "stop": "armed", "take": "cancelled"}
    (told,) = world.events("order.cancelled_too_late")
    assert told.message.endswith("these exits are live: stop. Cancel it again to end them")


def test_an_exit_that_was_cancelled_ends_the_order_once_its_entry_is_dead(world: OrderWorld) -> None:
    entry, stop = world.entry_lost_while_its_stop_is_under_way()
    ends(world, stop, IntentState.CANCELLED)
    world.pass_bound()
    world.finish(entry)
    assert world.intent(entry).state is IntentState.CANCELLED
    assert world.states() == {"order": "cancelled", "entry": "cancelled", "stop": "cancelled", "take": "cancelled"}


def test_a_trade_that_fails_after_its_order_was_cancelled_ends_the_order(world: OrderWorld) -> None:
    order = world.stop()
    (intent,) = world.price("0.4")
    world.cancel_order(order)
    ends(world, intent, IntentState.FAILED)
    assert world.states() == {"order": "cancelled", "main": "cancelled"}


def test_a_trade_that_fails_after_the_time_of_its_order_ends_it(world: OrderWorld) -> None:
    world.place(world.leg(), expires_at=world.clock.now() + timedelta(minutes=1))
    (intent,) = world.price("0.4")
    fails(world, intent)
    assert world.states() == {"order": "expired", "main": "cancelled"}
    assert "its last trade failed" in (world.order().reason or "")


def test_what_becomes_of_an_earlier_trade_leaves_the_leg_alone(world: OrderWorld) -> None:
    world.stop()
    (first,) = world.price("0.4")
    fails(world, first)
    (second,) = world.fire_again()
    with world.store.books.write() as books:
        follow(books, world.intent(first), world.clock.now())
    leg = world.legs()[LegName.MAIN]
    assert (leg.state, leg.intent_id) == (LegState.FIRED, second)


def test_a_leg_does_not_fire_beside_a_live_trade_of_the_other(world: OrderWorld) -> None:
    world.place(world.leg(LegName.STOP, state=LegState.FIRED), world.leg(LegName.TAKE), kind=OrderKind.OCO)
    with pytest.raises(ConflictError):
        world.price("0.8")


def test_a_trade_cancelled_by_hand_ends_the_other_leg_as_well(world: OrderWorld) -> None:
    world.pair()
    (intent,) = world.price("0.4")
    world.executor().cancel(intent)
    world.finish(intent)
    assert world.states() == {"order": "cancelled", "stop": "cancelled", "take": "cancelled"}


# ---- at every commit


def disagreements(world: OrderWorld) -> list[str]:
    """What an order and its trades say that cannot both be so."""
    found = []
    with world.store.books.read() as books:
        legs = {leg.name: leg for leg in books.orders.legs(world.order().id)}
        for name, leg in legs.items():
            intent = None if leg.intent_id is None else books.intents.get(leg.intent_id)
            if intent is None:
                continue
            attempts = books.attempts.of_intent(intent.id)
            is_final = any(attempt.state is AttemptState.FINALIZED for attempt in attempts)
            others = {other.state for other in legs.values() if other.name not in (name, LegName.ENTRY)}
            if (intent.state is IntentState.FILLED) != (leg.state is LegState.FILLED):
                found.append(f"{name} is {leg.state}, its trade {intent.state}")
            if name is LegName.ENTRY and leg.state is LegState.FILLED and LegState.DORMANT in others:
                found.append("what was bought is not protected")
            if name is not LegName.ENTRY and is_final and others & LIVE_OR_MAY_BE:
                found.append(f"the fill of {name} is final, and the other leg {others}")
    return found


@pytest.mark.parametrize("make", [OrderWorld.stop, OrderWorld.pair, OrderWorld.bracket])
def test_at_every_commit_an_order_and_its_trades_say_the_same(
    world: OrderWorld, make: Callable[[OrderWorld], OrderId]
) -> None:
    make(world)
    seen: list[list[str]] = []
    world.points.always("committed", lambda: seen.append(disagreements(world)))
    for usd in ("0.4", "0.4"):
        for intent in world.price(usd):
            world.finish(intent)
    assert world.order().state is OrderState.FILLED
    assert seen
    assert not any(seen), seen
