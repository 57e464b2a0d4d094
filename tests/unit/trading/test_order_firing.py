"""What follows from a trigger that fired, and from a leg that is due again: when, how much, and when not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from sniperforge.domain.ids import IntentId, OrderId
from sniperforge.domain.intent import ExposureEffect, IntentState
from sniperforge.domain.money import WSOL_MINT, Address
from sniperforge.domain.order import Amount, AmountKind, Condition, Crossing, LegName, LegState, OrderKind, Trail
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.errors import ExchangeUnavailableError
from sniperforge.ports.records import WalletRecord
from sniperforge.ports.store import Books, Store
from sniperforge.ports.triggers import TriggerView
from sniperforge.trading.decisions import write_decision
from sniperforge.trading.order_arming import arming_of
from sniperforge.trading.order_firing import KEPT_LAMPORTS, POSTPONED_FOR, Firing
from sniperforge.trading.order_life import put_into_book
from tests.fakes.order_world import ABOVE, BELOW, BUYS, PRICE, OrderWorld
from tests.fakes.trading_orders import JUP, USDC
from tests.fakes.trading_world import Killed


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


def fails(world: OrderWorld, intent: IntentId) -> None:
    """Its deadline passes, and the pause after that."""
    world.pass_time(minutes=30)
    assert world.finish(intent).state is IntentState.FAILED
    world.pass_time(minutes=1)


def triggers(world: OrderWorld, order: str = "o1") -> tuple[TriggerView, ...]:
    with world.store.books.read() as books:
        return books.triggers.of_order(OrderId(order))


# ---- when
def test_a_trail_turns_at_the_second_price_in_a_row_beyond_it(world: OrderWorld) -> None:
    world.stop(rule=Trail(subject=PRICE, direction=Direction.DOWN, bps=1_000), confirmations=2)
    assert world.price("0.44") == []
    assert len(world.price("0.44")) == 1


def test_an_activation_is_reached_from_the_other_side(world: OrderWorld) -> None:
    world.stop(rule=Trail(subject=PRICE, direction=Direction.DOWN, bps=1_000, activation=Decimal("0.6")))
    for usd in ("0.59", "0.6"):
        assert [view.trigger.trails for view in triggers(world)] == [False]
        assert world.price(usd) == []
    assert [view.trigger.trails for view in triggers(world)] == [True]


def test_a_leg_that_is_not_armed_does_not_fire_whatever_the_book_of_triggers_says(world: OrderWorld) -> None:
    leg = world.leg(state=LegState.WAITING, refire_at=world.clock.now() + timedelta(hours=1))
    world.place(leg)
    with world.store.books.write() as books:
        put_into_book(books, arming_of(leg, {}), world.clock.now())
    assert world.price("0.3") == []
    assert triggers(world) == ()


def test_a_leg_that_fires_leaves_none_of_its_triggers_in_the_book(world: OrderWorld) -> None:
    world.stop(rule=Condition(needs_all=False, crossings=(BELOW, ABOVE)))
    assert len(triggers(world)) == 2
    assert len(world.price("0.4")) == 1
    assert triggers(world) == ()


@pytest.mark.parametrize(("usd", "is_told"), [("0.4", False), ("0.3981", False), ("0.398", True)])
def test_a_value_that_is_hardly_beyond_its_level_has_not_gapped(world: OrderWorld, usd: str, *, is_told: bool) -> None:
    world.stop()
    world.price(usd)
    assert ("gapped" in world.events("order.fired")[0].message) is is_told


def test_a_crash_after_any_commit_of_a_firing_leaves_the_trade_decided_or_the_trigger_fired(world: OrderWorld) -> None:
    world.stop()

    def die() -> None:
        raise Killed

    world.points.once("committed", die)
    with pytest.raises(Killed):
        world.price("0.4")
    assert world.states()["main"] == "fired" or triggers(world)


def test_an_entry_waits_until_somebody_answers_about_its_tokens(world: OrderWorld) -> None:
    world.stop(**BUYS)
    world.tokens.is_away = True
    with pytest.raises(ExchangeUnavailableError):
        world.price("0.4")
    world.tokens.is_away = False
    assert len(world.fire()) == 1


def test_a_leg_that_waits_has_no_trigger(world: OrderWorld) -> None:
    world.tokens.dangerous.add(JUP)
    world.stop(**BUYS)
    assert world.price("0.4") == []
    assert world.states()["main"] == "waiting"
    assert triggers(world) == ()


def test_why_a_leg_waits_is_told_once(world: OrderWorld) -> None:
    world.tokens.dangerous.add(JUP)
    world.stop(**BUYS)
    world.price("0.4")
    for _ in range(3):
        world.pass_time(seconds=POSTPONED_FOR.total_seconds())
        assert world.fire_again() == []
    assert len(world.events("order.postponed")) == 1


# ---- again
def test_the_stop_of_a_pair_fires_again_whatever_the_price_is(world: OrderWorld) -> None:
    world.pair()
    (intent,) = world.price("0.4")
    fails(world, intent)
    assert world.price("0.6") == []
    assert len(world.fire_again()) == 1
    assert world.states() == {"order": "open", "stop": "fired", "take": "suspended"}


def test_one_condition_that_is_still_so_is_enough_to_fire_again(world: OrderWorld) -> None:
    rule = Condition(needs_all=False, crossings=(BELOW, ABOVE))
    world.place(world.leg(rule=rule), kind=OrderKind.CONDITIONAL)
    (intent,) = world.price("0.4")
    fails(world, intent)
    assert len(world.fire_again()) == 1


def test_a_leg_that_is_due_fires_again_once_whoever_looks(world: OrderWorld) -> None:
    world.stop(amount=Amount(AmountKind.BASE, 100_000_000))
    (intent,) = world.price("0.4")
    fails(world, intent)
    due = world.legs()[LegName.MAIN]
    decided = [world.firing.fire_again(due, world.values, world.clock.now()) for _ in range(3)]
    assert [intent is not None for intent in decided] == [True, False, False]


def test_a_trail_that_fired_in_vain_begins_at_the_price_of_now_and_not_at_its_activation(world: OrderWorld) -> None:
    rule = Trail(subject=PRICE, direction=Direction.UP, bps=1_000, activation=Decimal("0.45"))
    world.place(world.leg(rule=rule, **BUYS), kind=OrderKind.TRAILING_STOP)
    assert world.price("0.45") == []
    (intent,) = world.price("0.5")
    fails(world, intent)
    world.values[PRICE] = Decimal("0.6")
    assert world.fire_again() == []
    (view,) = triggers(world)
    assert (view.best, view.level) == (Decimal("0.6"), Decimal("0.66"))


def test_a_cap_that_may_not_widen_stays(world: OrderWorld) -> None:
    world.stop()
    (first,) = world.price("0.4")
    fails(world, first)
    (second,) = world.fire_again()
    assert [world.intent(one).max_slippage_bps for one in (first, second)] == [300, 300]


def test_a_leg_that_fires_again_without_a_price_waits_and_says_so(world: OrderWorld) -> None:
    world.stop(amount=Amount(AmountKind.QUOTE, 50_000_000))
    (intent,) = world.price("0.4")
    fails(world, intent)
    del world.values[Subject(USDC)]
    assert world.fire_again() == []
    leg = world.legs()[LegName.MAIN]
    assert (leg.state, leg.refire_at) == (LegState.WAITING, world.clock.now() + POSTPONED_FOR)
    assert "no price" in (leg.reason or "")


def test_what_fires_again_only_at_its_price_waits_while_there_is_none(world: OrderWorld) -> None:
    world.place(world.leg(rule=ABOVE), kind=OrderKind.TAKE_PROFIT)
    (intent,) = world.price("0.8")
    fails(world, intent)
    del world.values[PRICE]
    assert world.fire_again() == []
    leg = world.legs()[LegName.MAIN]
    assert (leg.state, leg.refire_at) == (LegState.WAITING, world.clock.now() + POSTPONED_FOR)
    assert "no price" in (leg.reason or "")


def test_any_condition_that_is_known_to_hold_is_enough_to_fire_again(world: OrderWorld) -> None:
    never = Crossing(subject=Subject("OTHER"), direction=Direction.UP, level=Decimal(9))
    world.place(world.leg(rule=Condition(needs_all=False, crossings=(never, ABOVE))), kind=OrderKind.CONDITIONAL)
    (intent,) = world.price("0.8")
    fails(world, intent)
    assert len(world.fire_again()) == 1


def test_any_condition_may_hold_while_one_of_them_has_no_price(world: OrderWorld) -> None:
    other = Crossing(subject=Subject("OTHER"), direction=Direction.UP, level=Decimal(9))
    world.place(world.leg(rule=Condition(needs_all=False, crossings=(other, ABOVE))), kind=OrderKind.CONDITIONAL)
    (intent,) = world.price("0.8")
    fails(world, intent)
    world.values[PRICE] = Decimal("0.5")
    assert world.fire_again() == []
    assert world.legs()[LegName.MAIN].state is LegState.WAITING
    world.values[Subject("OTHER")] = Decimal(8)
    world.pass_time(seconds=POSTPONED_FOR.total_seconds())
    assert world.fire_again() == []
    assert world.legs()[LegName.MAIN].state is LegState.ARMED


def test_a_gap_is_told_when_the_first_trade_is_decided_later_than_its_trigger_fired(world: OrderWorld) -> None:
    world.tokens.dangerous.add(JUP)
    world.stop(**BUYS)
    assert world.price("0.3") == []
    world.tokens.dangerous.clear()
    world.pass_time(seconds=POSTPONED_FOR.total_seconds())
    assert len(world.fire_again()) == 1
    (event,) = world.events("order.fired")
    assert "leg main fired at 0.3, gapped 2500 bps beyond its level: trade " in event.message


def test_a_leg_that_fires_again_keeps_what_its_trigger_saw(world: OrderWorld) -> None:
    world.tokens.dangerous.add(JUP)
    world.stop(**BUYS)
    world.price("0.3")
    world.pass_time(seconds=POSTPONED_FOR.total_seconds())
    assert world.fire_again() == []
    leg = world.legs()[LegName.MAIN]
    assert (leg.fired_value, leg.gap_bps) == (Decimal("0.3"), 2_500)


# ---- how much
def test_what_does_not_only_reduce_is_not_ended_for_want_of_a_position() -> None:
    world = OrderWorld(jup=0)
    world.stop(reduce_only=False, amount=Amount(AmountKind.BASE, 1_000_000))
    (intent,) = world.price("0.4")
    assert world.intent(intent).input_amount_raw == 1_000_000


def test_beside_an_open_trade_for_all_there_is_nothing_is_free(world: OrderWorld) -> None:
    world.stop("o1")
    world.stop("o2", amount=Amount(AmountKind.BASE, 1_000_000))
    assert [world.intent(one).input_amount_raw for one in world.price("0.4")] == [None]
    assert world.states("o2") == {"order": "open", "main": "waiting"}


class Overtaken:
    """Books in which something happens just before whoever wants the lock of a wallet gets it."""

    def __init__(self, store: Store, meanwhile: Callable[[Books], object]) -> None:
        self.read = store.read
        self._store = store
        self._meanwhile = meanwhile

    @contextmanager
    def write(self) -> Iterator[Books]:
        """One transaction."""
        with self._store.write() as books:
            lock = books.wallets.lock

            def locked(wallet: Address) -> WalletRecord | None:
                self._meanwhile(books)
                return lock(wallet)

            setattr(books.wallets, "lock", locked)  # noqa: B010
            yield books


def test_what_another_worker_promises_in_this_moment_is_not_given_twice(world: OrderWorld) -> None:
    world.stop()
    with world.store.books.write() as books:
        books.triggers.tick(PRICE, Decimal("0.4"), print_number=1, at=world.clock.now())
        (view,) = books.triggers.fired(10)
    now = world.clock.now()
    pair = {"input_mint": JUP, "output_mint": USDC, "effect": ExposureEffect.EXIT}
    other = world.request("other", input_raw=700_000_000, **pair)
    store = Overtaken(world.store.books, lambda books: write_decision(books, other, policy=world.policy, now=now))
    intent = Firing(store=store, tokens=world.tokens, policy=world.policy).fire(view, world.values, now)
    assert intent is not None
    assert world.intent(intent).input_amount_raw == 300_000_000


def test_a_share_is_one_of_what_is_not_promised(world: OrderWorld) -> None:
    world.stop("o1", amount=Amount(AmountKind.BASE, 600_000_000))
    world.stop("o2", amount=Amount(AmountKind.PERCENT, 2_500))
    assert [world.intent(one).input_amount_raw for one in world.price("0.4")] == [600_000_000, 100_000_000]


def test_a_share_of_the_sol_leaves_what_fees_need(world: OrderWorld) -> None:
    world.stop(input_mint=WSOL_MINT, amount=Amount(AmountKind.PERCENT, 5_000))
    (intent,) = world.price("0.4")
    assert world.intent(intent).input_amount_raw == (5 * 10**9 - KEPT_LAMPORTS) // 2


def test_an_amount_in_the_other_token_is_rounded_up(world: OrderWorld) -> None:
    world.stop(amount=Amount(AmountKind.QUOTE, 100_000_001))
    (intent,) = world.price("0.3")
    assert world.intent(intent).input_amount_raw == 333_333_337  # 333,333,336 and two thirds


def test_an_amount_in_the_other_token_minds_the_decimals_of_both(world: OrderWorld) -> None:
    world.values[Subject(WSOL_MINT)] = Decimal(180)
    world.place(world.leg(input_mint=WSOL_MINT, amount=Amount(AmountKind.QUOTE, 90_000_000)), base_mint=WSOL_MINT)
    (intent,) = world.price("0.4")
    assert world.intent(intent).input_amount_raw == 500_000_000


def test_a_trade_may_be_signed_for_as_long_as_its_order_says(world: OrderWorld) -> None:
    world.stop(deadline_s=60)
    (intent,) = world.price("0.4")
    assert world.intent(intent).deadline_at - world.clock.now() == timedelta(seconds=60)
