"""Placing, changing and cancelling orders at the desk."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sniperforge.domain.ids import OrderId
from sniperforge.domain.money import Address
from sniperforge.domain.order import Amount, AmountKind, LegName, LegState, Order, OrderKind, OrderState, Trail
from sniperforge.domain.trigger import Direction, Subject, TriggerState
from sniperforge.errors import ConflictError, ExchangeUnavailableError, InvalidInputError, TokenError
from sniperforge.ports.records import TradingMode
from sniperforge.ports.store import Books, Store
from sniperforge.trading.order_desk import LOOK_HOLDS
from sniperforge.trading.order_terms import Side
from tests.fakes.clock import START
from tests.fakes.desk_world import DeskWorld
from tests.fakes.order_terms import JUP, SOL, SOLD, SPENT, above, below, terms
from tests.fakes.records import USDC

HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> DeskWorld:
    return DeskWorld()


def refused(world: DeskWorld, kind: OrderKind = OrderKind.STOP_LOSS, /, **changes: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidInputError) as caught:
        world.place(kind, **changes)
    assert world.look(lambda books: books.orders.recent(10)) == ()
    return caught.value.problems


def not_changed(world: DeskWorld, order: Order, **given: Any) -> tuple[str, ...]:
    before, triggers = world.order(order), world.triggers(order)
    with pytest.raises(InvalidInputError) as caught:
        world.edit(order, **given)
    assert (world.order(order), world.triggers(order)) == (before, triggers)
    return caught.value.problems or (str(caught.value),)


# --- drafts


def test_a_draft_tells_what_an_order_would_do_and_writes_nothing(world: DeskWorld) -> None:
    draft = world.desk.draft(terms())
    assert (draft.order.kind, draft.order.state, draft.free_raw) == (OrderKind.STOP_LOSS, OrderState.OPEN, 10**10)
    (distance,) = draft.distances
    assert (distance.leg, distance.crossing.level, distance.value) == (LegName.MAIN, Decimal(140), Decimal(180))
    assert round(distance.percent, 2) == Decimal("-22.22")
    assert draft.warnings == ()
    assert world.look(lambda books: (books.orders.recent(10), books.triggers.watched())) == ((), ())


def test_every_problem_is_told_whatever_its_kind(world: DeskWorld) -> None:
    found = refused(world, trigger=Decimal(200), confirmations=0, amount=Amount(AmountKind.BASE, 2 * 10**10))
    assert [problem.partition(":")[0] for problem in found] == ["confirmations", "trigger", "amount"]


def test_a_dangerous_token_is_not_bought_and_is_sold_for_a_good_one(world: DeskWorld) -> None:
    world.tokens.dangerous = {SOL}
    world.place()
    with pytest.raises(TokenError):
        world.place(side=Side.BUY, trigger=Decimal(220), amount=SPENT)
    world.tokens.dangerous = {USDC}
    with pytest.raises(TokenError):
        world.place()


def test_nothing_is_drafted_while_nobody_can_be_asked_for_prices(world: DeskWorld) -> None:
    world.break_prices(ExchangeUnavailableError("away"))
    with pytest.raises(ExchangeUnavailableError):
        world.place()


def test_a_token_without_a_price_is_not_watched(world: DeskWorld) -> None:
    del world.exchange.usd[SOL]
    assert refused(world)[0].startswith(f"base_mint: {SOL} has no price now")


def test_what_other_trades_will_give_is_not_promised_twice(world: DeskWorld) -> None:
    first = world.place(amount=Amount(AmountKind.BASE, 8 * 10**9), confirmations=1)
    assert len(world.price("139")) == 1
    assert world.legs(first)[LegName.MAIN].state is LegState.FIRED
    with pytest.raises(InvalidInputError) as caught:
        world.place(trigger=Decimal(100), amount=Amount(AmountKind.BASE, 2 * 10**9 + 1))
    assert caught.value.problems[0].startswith("amount: 2.000000001 is more than the position: 2 are held")


def test_an_amount_in_the_other_token_is_held_against_the_position_at_prices_of_now(world: DeskWorld) -> None:
    assert world.place(amount=SPENT).state is OrderState.OPEN
    with pytest.raises(InvalidInputError) as caught:
        world.place(amount=Amount(AmountKind.QUOTE, 1_800_000_001))
    assert caught.value.problems[0].startswith("amount: 10.0000000")
    del world.exchange.usd[USDC]
    with pytest.raises(InvalidInputError) as caught:
        world.place(amount=SPENT)
    assert caught.value.problems[0].startswith(f"quote_mint: {USDC} has no price now")


def test_what_is_allowed_but_perhaps_not_meant_is_a_warning(world: DeskWorld) -> None:
    first = world.place()
    world.every = timedelta(seconds=5)
    with world.store.write() as books:
        system = books.system.get()
        books.system.change(system, mode=TradingMode.HALTED, reason="lunch", changed_by="me", changed_at=START)
    change = below("0.95", over=3_600)
    conditions = (above("150"), change)
    told = world.desk.draft(terms(OrderKind.CONDITIONAL, conditions=conditions, needs_all=False)).warnings
    assert [text[:30] for text in told] == [
        "prices are looked at every 5 s",
        "its conditions hold already: i",
        f"{change.subject} cannot be told"[:30],
        "it would fire, but nothing wou",
        "other orders sell the same tok",
    ]
    assert "lunch" in told[3]
    assert first.id in told[4]


def test_an_activation_that_was_passed_is_a_warning(world: DeskWorld) -> None:
    draft = world.desk.draft(terms(OrderKind.TRAILING_STOP, activation=Decimal(170)))
    assert draft.warnings == ("the price is beyond the activation already: it follows from now on",)


# --- placing


def test_an_order_is_written_with_its_legs_and_its_triggers(world: DeskWorld) -> None:
    order = world.place(OrderKind.OCO, expires_at=START + HOUR)
    assert world.order(order) == order
    assert (order.expires_at, order.created_at) == (START + HOUR, START)
    assert {name: leg.state for name, leg in world.legs(order).items()} == {
        LegName.STOP: LegState.ARMED,
        LegName.TAKE: LegState.ARMED,
    }
    assert [
        (view.trigger.level, view.trigger.direction, view.trigger.confirmations) for view in world.triggers(order)
    ] == [
        (Decimal(140), Direction.DOWN, 2),
        (Decimal(220), Direction.UP, 2),
    ]
    assert world.events("order.created")[0].facts == {"order": order.id}


def test_an_order_of_an_unknown_wallet_is_not_written_at_all(world: DeskWorld) -> None:
    stranger = Address("4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T")
    with pytest.raises(InvalidInputError):
        world.place(wallet=stranger, force=True)
    assert world.look(lambda books: (books.orders.recent(10), books.triggers.watched())) == ((), ())


def test_what_begins_later_has_no_trigger_yet(world: DeskWorld) -> None:
    order = world.place(active_from=START + HOUR)
    assert world.triggers(order) == []
    bracket = world.place(OrderKind.BRACKET)
    assert [view.trigger.id for view in world.triggers(bracket)] == [f"{bracket.id}:entry:0"]


def test_a_trail_begins_at_the_price_it_was_placed_at(world: DeskWorld) -> None:
    order = world.place(OrderKind.TRAILING_STOP)
    (view,) = world.triggers(order)
    assert (view.best, view.level) == (Decimal(180), Decimal(171))


def test_a_draft_is_placed_on_prices_that_are_fresh(world: DeskWorld) -> None:
    desk = world.desk
    draft = desk.draft(terms(OrderKind.TRAILING_STOP))
    world.exchange.usd[SOL] = Decimal(190)
    world.clock.advance(LOOK_HOLDS)
    assert world.triggers(desk.place(draft))[0].best == Decimal(180)
    world.clock.advance(timedelta(seconds=1))
    assert world.triggers(desk.place(draft))[0].best == Decimal(190)


def test_a_draft_that_the_market_overtook_is_refused(world: DeskWorld) -> None:
    desk = world.desk
    draft = desk.draft(terms())
    world.exchange.usd[SOL] = Decimal(130)
    world.clock.advance(LOOK_HOLDS + timedelta(seconds=1))
    with pytest.raises(InvalidInputError) as caught:
        desk.place(draft)
    assert caught.value.problems[0].startswith("trigger: 140 is not below the market (130)")
    assert world.look(lambda books: books.orders.recent(1)) == ()


def test_a_change_that_is_not_known_for_long_enough_is_watched_from_when_it_is(world: DeskWorld) -> None:
    change = below("0.95", over=3_600)
    all_of = world.place(OrderKind.CONDITIONAL, conditions=(above("100"), change))
    leg = world.legs(all_of)[LegName.MAIN]
    assert (leg.state, leg.active_from, world.triggers(all_of)) == (LegState.DORMANT, START, [])
    assert world.look(lambda books: books.orders.to_wake(START, 10)) == (leg,)
    any_of = world.place(OrderKind.CONDITIONAL, conditions=(below("100"), change), needs_all=False)
    assert world.legs(any_of)[LegName.MAIN].state is LegState.ARMED
    assert len(world.triggers(any_of)) == 2


def test_what_was_placed_fires_at_its_level_and_not_before(world: DeskWorld) -> None:
    order = world.place()
    assert [world.price(usd) for usd in ("140.01", "140", "141", "140")] == [[], [], [], []]
    assert len(world.price("139")) == 1
    assert world.legs(order)[LegName.MAIN].state is LegState.FIRED


def test_an_entry_at_once_fires_at_the_next_look(world: DeskWorld) -> None:
    order = world.place(OrderKind.BRACKET)
    assert len(world.price("180")) == 1
    assert world.legs(order)[LegName.ENTRY].state is LegState.FIRED


# --- changing


def test_another_level_takes_the_place_of_the_old_one(world: DeskWorld) -> None:
    order = world.place()
    assert world.price("140") == []
    assert world.triggers(order)[0].state is TriggerState.CROSSED
    world.exchange.usd[SOL] = Decimal(180)
    world.edit(order, trigger=Decimal(150))
    (view,) = world.triggers(order)
    assert (view.trigger.level, view.state, view.counted) == (Decimal(150), TriggerState.ARMED, 0)
    assert world.price("149") == []
    assert len(world.price("149")) == 1
    assert world.events("order.edited")[0].message.endswith("changed: trigger")


def test_only_the_leg_that_changes_is_watched_anew(world: DeskWorld) -> None:
    order = world.place(OrderKind.OCO)
    before = world.legs(order)
    world.edit(order, take_profit=Decimal(210))
    after = world.legs(order)
    assert after[LegName.STOP] == before[LegName.STOP]
    assert [view.trigger.level for view in world.triggers(order)] == [Decimal(140), Decimal(210)]
    assert not_changed(world, order, take_profit=Decimal(139))


def test_caps_amounts_and_times_change_without_touching_what_is_watched(world: DeskWorld) -> None:
    order = world.place()
    world.price("140")
    triggers = world.triggers(order)
    world.edit(order, slippage_bps=200, widen_to_bps=400, amount=SOLD, deadline_s=60, expires_at=START + HOUR)
    leg = world.legs(order)[LegName.MAIN]
    assert (leg.max_slippage_bps, leg.widen_to_bps, leg.amount, leg.deadline_s) == (200, 400, SOLD, 60)
    assert world.order(order).expires_at == START + HOUR
    assert world.triggers(order) == triggers
    assert world.edit(order, expires_at=None).expires_at is None


def test_other_confirmations_are_counted_from_the_start(world: DeskWorld) -> None:
    order = world.place()
    world.price("140")
    world.edit(order, confirmations=3)
    assert [len(world.price("140")) for _ in range(3)] == [0, 0, 1]


def test_a_trail_keeps_the_best_price_it_has_seen(world: DeskWorld) -> None:
    order = world.place(OrderKind.TRAILING_STOP)
    for usd in ("200", "200", "195"):
        world.price(usd)
    world.edit(order, trail_bps=800)
    (view,) = world.triggers(order)
    assert (view.best, view.level) == (Decimal(200), Decimal(184))
    world.edit(order, trail_amount=Decimal(10))
    (view,) = world.triggers(order)
    assert (view.best, view.level) == (Decimal(200), Decimal(190))
    rule = world.legs(order)[LegName.MAIN].rule
    assert isinstance(rule, Trail)
    assert (rule.bps, rule.amount) == (None, Decimal(10))


def test_a_trail_that_the_market_is_past_is_refused_unless_it_is_forced(world: DeskWorld) -> None:
    order = world.place(OrderKind.TRAILING_STOP)
    for usd in ("200", "200", "195"):
        world.price(usd)
    (found,) = not_changed(world, order, trail_bps=200)
    assert found == (
        "trail_bps: behind the best price, 200, it is 196; the market (195) is past that: it would fire at once,"
        " unless forced"
    )
    world.edit(order, trail_bps=200, force=True)
    assert world.triggers(order)[0].level == Decimal(196)


def test_a_trail_that_began_goes_on_and_another_activation_begins_it_anew(world: DeskWorld) -> None:
    order = world.place(OrderKind.TRAILING_STOP, activation=Decimal(190))
    assert [view.trigger.trails for view in world.triggers(order)] == [False]
    world.price("191")
    world.price("191")
    assert [view.trigger.trails for view in world.triggers(order)] == [True]
    world.edit(order, trail_bps=300)
    (view,) = world.triggers(order)
    assert (view.trigger.trail_bps, view.best) == (300, Decimal(191))
    world.edit(order, activation=Decimal(210))
    (view,) = world.triggers(order)
    assert (view.trigger.trails, view.trigger.level) == (False, Decimal(210))


def test_conditions_are_exchanged_as_a_whole(world: DeskWorld) -> None:
    order = world.place(OrderKind.CONDITIONAL, conditions=(below("150"), below("0.4", JUP)), needs_all=False)
    world.edit(order, conditions=(below("160"),))
    assert [view.trigger.level for view in world.triggers(order)] == [Decimal(160)]
    assert [one.subject for one in world.look(lambda books: books.triggers.watched())] == [Subject(SOL)]


def test_the_entry_of_a_bracket_keeps_its_side_when_the_market_passed_it(world: DeskWorld) -> None:
    order = world.place(OrderKind.BRACKET, entry=Decimal(170))
    world.exchange.usd[SOL] = Decimal(165)
    world.edit(order, stop_loss=Decimal(150))
    (view,) = world.triggers(order)
    assert (view.trigger.direction, view.trigger.level) == (Direction.DOWN, Decimal(170))
    assert world.legs(order)[LegName.STOP].rule == below("150")


def test_only_problems_that_a_change_brings_keep_it_from_being_made(world: DeskWorld) -> None:
    order = world.place()
    world.exchange.usd[SOL] = Decimal(130)
    world.edit(order, slippage_bps=200)
    assert not_changed(world, order, trigger=Decimal(135))[0].startswith("trigger: 135 is not below the market (130)")


def test_a_leg_whose_trade_is_under_way_does_not_change(world: DeskWorld) -> None:
    order = world.place(OrderKind.OCO, confirmations=1)
    assert len(world.price("139")) == 1
    assert not_changed(world, order, slippage_bps=200) == (
        "stop: its trade is under way: it cannot be changed now",
        "take: the trade of the other leg is under way: it cannot be changed now",
    )


def test_the_exits_of_a_bracket_that_entered_change_and_get_no_end(world: DeskWorld) -> None:
    order = world.place(OrderKind.BRACKET, expires_at=START + HOUR)
    (trade,) = world.price("180")
    world.land(trade)
    assert world.order(order).expires_at is None
    world.edit(order, stop_loss=Decimal(150))
    assert [view.trigger.level for view in world.triggers(order)] == [Decimal(150), Decimal(220)]
    world.edit(order, confirmations=3, deadline_s=60)
    assert [(leg.confirmations, leg.deadline_s) for leg in world.legs(order).values()] == [(1, None), (3, 60), (3, 60)]
    assert not_changed(world, order, expires_at=START + HOUR)[0].startswith("expires_at: its entry has filled")
    assert not_changed(world, order, amount=Amount(AmountKind.QUOTE, 50_000_000)) == (
        "entry: its trade has landed: it cannot be changed now",
    )


def test_a_leg_that_fires_again_changes_its_cap_and_not_its_level(world: DeskWorld) -> None:
    order = world.place(confirmations=1)
    (trade,) = world.price("139")
    world.fail(trade, "no route")
    world.exchange.usd[SOL] = Decimal(180)
    world.edit(order, slippage_bps=500)
    leg = world.legs(order)[LegName.MAIN]
    assert (leg.state, leg.max_slippage_bps) == (LegState.WAITING, 500)
    assert not_changed(world, order, trigger=Decimal(130))[0].startswith("main: it fired and fires again soon")


@pytest.mark.parametrize("field", ["side", "base_mint", "reduce_only", "active_from", "kind"])
def test_some_things_never_change(world: DeskWorld, field: str) -> None:
    order = world.place()
    assert not_changed(world, order, **{field: None}) == (
        f"{field}: it cannot change: cancel the order and make another one",
    )


def test_a_change_of_nothing_is_refused(world: DeskWorld) -> None:
    order = world.place()
    assert "nothing would change" in not_changed(world, order, trigger=Decimal(140))[0]


def test_an_order_that_ended_does_not_change(world: DeskWorld) -> None:
    order = world.place()
    world.desk.cancel(order.id, by="me")
    assert "it is cancelled already" in not_changed(world, order, trigger=Decimal(150))[0]


def test_an_order_that_does_not_exist_does_not_change(world: DeskWorld) -> None:
    with pytest.raises(InvalidInputError, match="there is no such order"):
        world.desk.draft_edit(OrderId("onowhere"), {"trigger": Decimal(150)})


def test_of_two_changes_at_once_one_is_made(world: DeskWorld) -> None:
    order = world.place()
    desk = world.desk
    slow = desk.draft_edit(order.id, {"trigger": Decimal(150)})
    world.edit(order, trigger=Decimal(145))
    with pytest.raises(ConflictError):
        desk.edit(slow)
    assert [view.trigger.level for view in world.triggers(order)] == [Decimal(145)]


def test_of_two_ends_at_once_one_counts(world: DeskWorld) -> None:
    order = world.place()
    desk = world.desk
    slow = desk.draft_edit(order.id, {"expires_at": START + HOUR})
    world.edit(order, expires_at=START + 2 * HOUR)
    with pytest.raises(ConflictError):
        desk.edit(slow)
    assert world.order(order).expires_at == START + 2 * HOUR


def test_a_change_is_made_on_prices_that_are_fresh(world: DeskWorld) -> None:
    order = world.place()
    desk = world.desk
    drafted = desk.draft_edit(order.id, {"trigger": Decimal(150)})
    world.exchange.usd[SOL] = Decimal(145)
    world.clock.advance(LOOK_HOLDS + timedelta(seconds=1))
    with pytest.raises(InvalidInputError, match="not below the market"):
        desk.edit(drafted)


# --- cancelling


def test_a_cancelled_order_is_out_of_reach_of_its_triggers(world: DeskWorld) -> None:
    order = world.place(OrderKind.OCO)
    ended = world.desk.cancel(order.id, by="me")
    assert (ended.state, ended.reason) == (OrderState.CANCELLED, "me cancelled it")
    assert world.triggers(order) == []
    assert [world.price("130"), world.price("130")] == [[], []]


def test_an_order_with_a_trade_under_way_ends_with_it(world: DeskWorld) -> None:
    order = world.place(confirmations=1)
    (trade,) = world.price("139")
    asked = world.desk.cancel(order.id, by="me")
    assert (asked.state, asked.cancel_requested_at) == (OrderState.OPEN, world.clock.now())
    assert world.look(lambda books: books.intents.get(trade)).cancel_requested_at == world.clock.now()


class Contended:
    """Books that somebody else changes first, so many times."""

    def __init__(self, store: Store, times: int) -> None:
        self.read = store.read
        self._store = store
        self._times = times

    def write(self) -> AbstractContextManager[Books]:
        """One transaction, when nobody is in the way."""
        self._times -= 1
        if self._times >= 0:
            raise ConflictError("it changed in this moment", subject="order")
        return self._store.write()


@pytest.mark.parametrize(("times", "state"), [(4, OrderState.CANCELLED), (5, OrderState.OPEN)])
def test_an_order_that_changes_is_asked_again_to_end_but_not_for_ever(
    world: DeskWorld, times: int, state: OrderState
) -> None:
    order = world.place()
    world.store = Contended(world.store, times)
    with nullcontext() if state is OrderState.CANCELLED else pytest.raises(ConflictError):
        world.desk.cancel(order.id, by="me")
    assert world.order(order).state is state
