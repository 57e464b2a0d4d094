"""Orders and their trades never contradict each other: real executors, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from sniperforge.domain.ids import OrderId, order_key
from sniperforge.domain.intent import ExposureEffect, IntentState
from sniperforge.domain.money import WSOL_MINT
from sniperforge.domain.order import Amount, AmountKind, LegName, OrderState
from sniperforge.domain.risk import RiskLimits
from sniperforge.domain.trigger import Subject
from sniperforge.errors import ConflictError, InvalidInputError, PriceUnavailableError
from sniperforge.ports.records import Asset
from sniperforge.trading.order_arming import arming_of
from sniperforge.trading.order_firing import KEPT_LAMPORTS
from sniperforge.trading.order_life import cancel_order, drop_triggers, follow, put_into_book
from sniperforge.trading.progress import Step
from sniperforge.trading.protections import Protections
from tests.fakes.order_world import BUYS, PRICE, OrderWorld
from tests.fakes.trading_orders import JUP, USDC
from tests.fakes.trading_world import Killed


@pytest.fixture
def world() -> OrderWorld:
    return OrderWorld()


# ---- firing
def test_a_stop_that_is_reached_sells_everything_and_ends_its_order(world: OrderWorld) -> None:
    world.stop()
    assert world.price("0.41") == []
    (intent,) = world.price("0.4")
    assert world.states() == {"order": "open", "main": "fired"}

    assert world.finish(intent).state is IntentState.FILLED
    assert world.states() == {"order": "filled", "main": "filled"}
    assert world.booked().get(Asset(JUP), 0) == 0
    assert world.intent(intent).key == order_key(OrderId("o1"), "main", 0)
    assert world.intent(intent).effect is ExposureEffect.EXIT
    assert not world.armed()


def test_a_trigger_fires_once_whoever_looks_and_however_often(world: OrderWorld) -> None:
    world.stop()
    with world.store.books.write() as books:
        books.triggers.tick(PRICE, Decimal("0.3"), print_number=1, at=world.clock.now())
    with world.store.books.read() as books:
        (view,) = books.triggers.fired(10)
    decided = [world.firing.fire(view, world.values, world.clock.now()) for _ in range(3)]
    assert [intent is not None for intent in decided] == [True, False, False]


def test_a_crash_while_firing_leaves_the_trigger_fired_or_the_trade_decided(world: OrderWorld) -> None:
    world.stop()

    def die() -> None:
        raise Killed

    world.points.once("committing", die)
    with pytest.raises(Killed):
        world.price("0.3")
    assert world.states() == {"order": "open", "main": "armed"}
    assert world.attempts() == ()
    assert len(world.fire()) == 1
    assert world.states()["main"] == "fired"


def test_how_far_beyond_its_level_it_fired_is_said(world: OrderWorld) -> None:
    world.stop()
    world.price("0.3")
    assert world.legs()[LegName.MAIN].gap_bps == 2500
    assert "gapped 2500 bps" in world.events("order.fired")[0].message


def test_a_trigger_whose_order_ended_decides_nothing(world: OrderWorld) -> None:
    order = world.stop()
    with world.store.books.write() as books:
        books.triggers.tick(PRICE, Decimal("0.3"), print_number=1, at=world.clock.now())
    world.cancel_order(order)
    assert world.fire() == []
    assert world.states() == {"order": "cancelled", "main": "cancelled"}


def test_a_trigger_that_was_armed_anew_since_it_fired_does_not_fire_on_what_was_seen_before(world: OrderWorld) -> None:
    order = world.stop()
    with world.store.books.write() as books:
        books.triggers.tick(PRICE, Decimal("0.3"), print_number=1, at=world.clock.now())
        (view,) = books.triggers.fired(10)
        drop_triggers(books, order, [LegName.MAIN])
        put_into_book(books, arming_of(world.leg(), {}), world.clock.now())
    assert world.firing.fire(view, world.values, world.clock.now()) is None
    assert world.states() == {"order": "open", "main": "armed"}
    assert len(world.armed()) == 1


def test_a_trigger_of_nothing_is_taken_out_of_the_book(world: OrderWorld) -> None:
    with world.store.books.write() as books:
        put_into_book(books, arming_of(world.leg(), {}), world.clock.now())
    assert world.price("0.3") == []
    with world.store.books.read() as books:
        assert books.triggers.of_order(OrderId("o1")) == ()


# ---- how much
@pytest.mark.parametrize(
    ("amount", "raw"),
    [
        (Amount(AmountKind.BASE, 300_000_000), 300_000_000),
        (Amount(AmountKind.BASE, 3_000_000_000), 1_000_000_000),
        (Amount(AmountKind.PERCENT, 2_500), 250_000_000),
        (Amount(AmountKind.QUOTE, 100_000_000), 250_000_000),
        (Amount(AmountKind.PERCENT, 10_000), None),
    ],
)
def test_an_exit_gives_what_was_asked_and_never_more_than_is_held(
    world: OrderWorld, amount: Amount, raw: int | None
) -> None:
    world.stop(amount=amount)
    (intent,) = world.price("0.4")
    assert world.intent(intent).input_amount_raw == raw


def test_what_is_promised_elsewhere_is_not_given_twice(world: OrderWorld) -> None:
    world.stop("o1", amount=Amount(AmountKind.BASE, 700_000_000))
    world.stop("o2")
    world.stop("o3", amount=Amount(AmountKind.BASE, 100_000_000))
    amounts = [world.intent(intent).input_amount_raw for intent in world.price("0.4")]
    assert amounts == [700_000_000, 300_000_000]
    assert world.states("o3") == {"order": "open", "main": "waiting"}
    assert "other trades" in (world.legs("o3")[LegName.MAIN].reason or "")


def test_a_buy_in_the_base_token_is_turned_into_what_it_costs(world: OrderWorld) -> None:
    world.stop(**{**BUYS, "amount": Amount(AmountKind.BASE, 200_000_000)})
    (intent,) = world.price("0.4")
    assert world.intent(intent).input_amount_raw == 80_000_000


def test_an_amount_that_needs_a_price_waits_for_it(world: OrderWorld) -> None:
    world.stop(amount=Amount(AmountKind.QUOTE, 100_000_000))
    del world.values[Subject(USDC)]
    with pytest.raises(PriceUnavailableError):
        world.price("0.4")
    world.values[Subject(USDC)] = Decimal(1)
    assert len(world.fire()) == 1


def test_a_stop_without_anything_to_protect_ends_and_says_so() -> None:
    world = OrderWorld(jup=0)
    world.stop()
    assert world.price("0.4") == []
    assert world.order().state is OrderState.CANCELLED
    assert "nothing is held" in world.events("order.cancelled")[0].message


def test_what_is_kept_for_fees_is_nothing_to_protect() -> None:
    world = OrderWorld(lamports=KEPT_LAMPORTS)
    world.stop(input_mint=WSOL_MINT)
    assert world.price("0.4") == []
    assert world.order().state is OrderState.CANCELLED
    assert "nothing is held" in world.events("order.cancelled")[0].message


# ---- a trade that ends without a fill
def test_a_stop_whose_trade_failed_fires_again_under_a_new_key_until_it_fills(world: OrderWorld) -> None:
    world.stop(widen_to_bps=700)
    (first,) = world.price("0.4")
    world.pass_time(minutes=30)  # past its deadline
    assert world.finish(first).state is IntentState.FAILED
    assert world.states() == {"order": "open", "main": "waiting"}
    assert world.events("order.fires_again")
    assert world.fire_again() == []

    world.pass_time(seconds=3)
    (second,) = world.fire_again()
    assert world.intent(second).key == order_key(OrderId("o1"), "main", 1)
    assert (world.intent(first).max_slippage_bps, world.intent(second).max_slippage_bps) == (300, 450)
    assert world.finish(second).state is IntentState.FILLED
    assert world.states() == {"order": "filled", "main": "filled"}


def test_a_cap_widens_no_farther_than_the_order_says(world: OrderWorld) -> None:
    world.stop(widen_to_bps=500)
    (intent,) = world.price("0.4")
    caps = [world.intent(intent).max_slippage_bps]
    for _ in range(3):
        world.pass_time(minutes=30)
        world.finish(intent)
        world.pass_time(minutes=2)
        (intent,) = world.fire_again()
        caps.append(world.intent(intent).max_slippage_bps)
    assert caps == [300, 450, 500, 500]


def failed_trades(world: OrderWorld, firings: int) -> list[tuple[int, timedelta]]:
    """The cap of each trade of a stop, and how long after its failure the next one is decided."""
    (intent,) = world.price("0.4")
    found = []
    for _ in range(firings):
        world.pass_time(minutes=30)  # past its deadline
        assert world.finish(intent).state is IntentState.FAILED
        leg = world.legs()[LegName.MAIN]
        assert leg.refire_at is not None
        found.append((world.intent(intent).max_slippage_bps, leg.refire_at - leg.updated_at))
        world.pass_time(minutes=2)
        (intent,) = world.fire_again()
    return found


def test_a_cap_widens_by_half_of_the_first_one_after_each_trade_that_failed(world: OrderWorld) -> None:
    world.stop(widen_to_bps=1_000)
    assert [cap for cap, _ in failed_trades(world, 6)] == [300, 450, 600, 750, 900, 1_000]


def test_the_pause_before_a_leg_fires_again_doubles_up_to_a_minute(world: OrderWorld) -> None:
    world.stop()
    assert [pause.total_seconds() for _, pause in failed_trades(world, 7)] == [2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(("effect", "cap_bps"), [(ExposureEffect.EXIT, 1_000), (ExposureEffect.ENTRY, 100)])
def test_no_trade_is_decided_with_a_cap_beyond_the_widest(
    world: OrderWorld, effect: ExposureEffect, cap_bps: int
) -> None:
    intent = world.decide(effect=effect, max_slippage_bps=5_000)
    assert world.intent(intent).max_slippage_bps == cap_bps


def test_a_token_that_may_not_be_bought_keeps_an_entry_waiting_and_says_why(world: OrderWorld) -> None:
    world.tokens.dangerous.add(JUP)
    world.stop(**BUYS)
    assert world.price("0.4") == []
    assert world.states() == {"order": "open", "main": "waiting"}
    assert "can be stopped" in world.events("order.postponed")[0].message


def test_protections_hold_an_entry_back_by_name_and_never_an_exit(world: OrderWorld) -> None:
    limits = RiskLimits(exposure_usd=1, cash=frozenset())
    world.finish(world.decide())
    world.policy = replace(world.policy, protections=Protections(limits))
    world.stop("o1", **BUYS)
    world.stop("o2")
    (exit_,) = world.price("0.4")
    assert world.intent(exit_).effect is ExposureEffect.EXIT
    assert world.states("o1") == {"order": "open", "main": "waiting"}
    assert "exposure" in (world.legs("o1")[LegName.MAIN].reason or "")


# ---- a pair
def test_the_leg_that_fires_suspends_the_other_and_its_final_fill_cancels_it(world: OrderWorld) -> None:
    world.pair()
    (intent,) = world.price("0.4")
    assert world.states() == {"order": "open", "stop": "fired", "take": "suspended"}
    assert world.price("0.9") == []

    world.confirm(intent)
    assert world.states() == {"order": "open", "stop": "filled", "take": "suspended"}
    world.finish(intent)
    assert world.states() == {"order": "filled", "stop": "filled", "take": "cancelled"}


def test_both_legs_that_fire_at_one_print_make_one_trade(world: OrderWorld) -> None:
    both = world.leg(LegName.TAKE).rule
    world.place(world.leg(LegName.STOP, rule=both), world.leg(LegName.TAKE, rule=both))
    assert len(world.price("0.8")) == 1
    assert sorted(world.states().values()) == ["fired", "open", "suspended"]


def test_the_other_leg_is_watched_again_when_the_trade_failed(world: OrderWorld) -> None:
    world.pair()
    (intent,) = world.price("0.4")
    world.pass_time(minutes=30)
    world.finish(intent)
    assert world.states() == {"order": "open", "stop": "waiting", "take": "armed"}

    (other,) = world.price("0.8")
    assert world.states() == {"order": "open", "stop": "suspended", "take": "fired"}
    world.pass_time(seconds=10)
    assert world.fire_again() == []
    world.pass_time(minutes=30)
    world.finish(other)
    assert world.states() == {"order": "open", "stop": "waiting", "take": "waiting"}


def test_a_price_beyond_the_other_leg_while_it_is_suspended_does_not_use_it_up(world: OrderWorld) -> None:
    world.pair()
    (intent,) = world.price("0.4")
    assert world.price("0.9") == []
    world.pass_time(minutes=30)
    world.finish(intent)
    assert len(world.price("0.8")) == 1


def test_a_fork_that_takes_the_fill_back_keeps_the_other_leg_suspended_until_the_trade_ends(world: OrderWorld) -> None:
    world.pair()
    (intent,) = world.price("0.4")
    world.confirm(intent)
    world.lose_to_a_fork(intent)
    assert world.states() == {"order": "open", "stop": "fired", "take": "suspended"}


# ---- a bracket
def test_a_bracket_has_its_exits_from_the_commit_in_which_its_entry_filled(world: OrderWorld) -> None:
    world.bracket()
    assert world.price("0.3") != []
    assert world.states() == {"order": "open", "entry": "fired", "stop": "dormant", "take": "dormant"}
    (intent,) = [leg.intent_id for leg in world.legs().values() if leg.intent_id is not None]
    world.confirm(intent)

    assert world.states() == {"order": "open", "entry": "filled", "stop": "armed", "take": "armed"}
    brought = world.fill(world.attempts(intent)[-1]).output_raw
    assert {leg.amount for name, leg in world.legs().items() if name is not LegName.ENTRY} == {
        Amount(AmountKind.BASE, brought)
    }
    world.finish(intent)
    (stop,) = world.price("0.3")
    assert world.intent(stop).input_amount_raw == brought
    world.finish(stop)
    assert world.states() == {"order": "filled", "entry": "filled", "stop": "filled", "take": "cancelled"}


def test_a_bracket_whose_entry_lost_its_fill_to_a_fork_takes_its_exits_back(world: OrderWorld) -> None:
    world.bracket()
    (intent,) = world.price("0.45")
    world.confirm(intent)
    world.lose_to_a_fork(intent)
    assert world.states() == {"order": "open", "entry": "fired", "stop": "dormant", "take": "dormant"}
    assert not world.armed()
    world.finish(intent)
    assert world.states()["stop"] == "armed"


def test_an_exit_that_waits_to_fire_again_goes_back_as_well(world: OrderWorld) -> None:
    world.bracket()
    (entry,) = world.price("0.45")
    world.confirm(entry)
    (stop,) = world.price("0.3")
    with world.store.books.write() as books:  # nothing of it is signed, and its time is over
        intent = books.intents.get(stop)
        assert intent is not None
        failed = books.intents.change(intent, at=world.clock.now(), state=IntentState.FAILED)
        follow(books, failed, world.clock.now())
    assert world.states()["stop"] == "waiting"
    world.lose_to_a_fork(entry)
    assert world.states() == {"order": "open", "entry": "fired", "stop": "dormant", "take": "dormant"}
    world.pass_time(minutes=5)
    assert world.fire_again() == []


def test_a_bracket_whose_entry_was_taken_back_after_its_exit_fired_ends_when_both_are_known(world: OrderWorld) -> None:
    entry, stop = world.entry_lost_while_its_stop_is_under_way()
    world.finish(stop)
    assert world.states() == {"order": "open", "entry": "fired", "stop": "filled", "take": "cancelled"}
    world.pass_bound()
    world.finish(entry)
    assert world.intent(entry).state is IntentState.CANCELLED
    assert world.states() == {"order": "filled", "entry": "cancelled", "stop": "filled", "take": "cancelled"}
    assert "sold what was held besides" in (world.order().reason or "")


def test_a_bracket_whose_entry_lands_again_after_its_exit_is_final_is_filled(world: OrderWorld) -> None:
    entry, stop = world.entry_lost_while_its_stop_is_under_way()
    world.finish(stop)
    world.finish(entry)
    assert world.states() == {"order": "filled", "entry": "filled", "stop": "filled", "take": "cancelled"}


def test_an_exit_that_outlives_its_entry_ends_the_order(world: OrderWorld) -> None:
    entry, stop = world.entry_lost_while_its_stop_is_under_way()
    world.pass_bound()
    world.finish(entry)
    assert world.states() == {"order": "open", "entry": "cancelled", "stop": "fired", "take": "suspended"}
    world.finish(stop)
    assert world.states() == {"order": "filled", "entry": "cancelled", "stop": "filled", "take": "cancelled"}


def test_an_exit_that_fails_after_its_entry_was_taken_back_sells_nothing_more(world: OrderWorld) -> None:
    entry, stop = world.entry_lost_while_its_stop_is_under_way()
    world.pass_time(minutes=30)
    world.finish(stop)
    assert world.states() == {"order": "open", "entry": "fired", "stop": "dormant", "take": "dormant"}
    world.pass_bound()
    world.finish(entry)
    assert world.states() == {"order": "cancelled", "entry": "cancelled", "stop": "cancelled", "take": "cancelled"}


def test_an_exit_that_fails_after_its_entry_was_proven_dead_ends_the_order(world: OrderWorld) -> None:
    entry, stop = world.entry_lost_while_its_stop_is_under_way()
    world.pass_bound()
    world.finish(entry)
    world.pass_time(minutes=30)
    world.finish(stop)
    assert world.states() == {"order": "cancelled", "entry": "cancelled", "stop": "cancelled", "take": "cancelled"}


def test_the_time_of_a_bracket_is_that_of_its_entry(world: OrderWorld) -> None:
    world.bracket(expires_at=world.clock.now() + timedelta(hours=1))
    (intent,) = world.price("0.45")
    world.finish(intent)
    assert world.order().expires_at is None


# ---- cancelling
def test_cancelling_takes_an_order_out_of_reach(world: OrderWorld) -> None:
    order = world.pair()
    world.cancel_order(order)
    assert world.states() == {"order": "cancelled", "stop": "cancelled", "take": "cancelled"}
    assert not world.armed()
    assert world.price("0.1") == []
    with pytest.raises(InvalidInputError, match="cancelled already"):
        world.cancel_order(order)


def test_a_decided_trade_that_is_not_signed_ends_with_its_order(world: OrderWorld) -> None:
    order = world.pair()
    (intent,) = world.price("0.4")
    assert world.cancel_order(order).state is OrderState.OPEN
    assert world.states() == {"order": "open", "stop": "fired", "take": "cancelled"}
    assert world.finish(intent).state is IntentState.CANCELLED
    assert world.states() == {"order": "cancelled", "stop": "cancelled", "take": "cancelled"}
    assert world.attempts(intent) == ()


def test_a_signed_trade_is_waited_for_and_says_what_became_of_the_order(world: OrderWorld) -> None:
    order = world.stop()
    (intent,) = world.price("0.4")
    world.at[Step.PERSISTED] = lambda: world.cancel_order(order)
    assert world.finish(intent).state is IntentState.FILLED
    assert world.states() == {"order": "filled", "main": "filled"}


@pytest.mark.parametrize("lands", [True, False])
def test_cancelling_a_bracket_whose_entry_is_under_way_never_leaves_it_unprotected(
    world: OrderWorld,
    lands: bool,  # noqa: FBT001
) -> None:
    order = world.bracket()
    (intent,) = world.price("0.45")
    if lands:
        world.at[Step.PERSISTED] = lambda: world.cancel_order(order)
    else:
        world.cancel_order(order)
    world.finish(intent)
    live = {"order": "open", "entry": "filled", "stop": "armed", "take": "armed"}
    gone = {"order": "cancelled", "entry": "cancelled", "stop": "cancelled", "take": "cancelled"}
    assert world.states() == (live if lands else gone)
    assert bool(world.events("order.cancelled_too_late")) is lands


def test_a_bracket_cancelled_after_its_entry_filled_stays_cancelled_when_that_fill_is_final(world: OrderWorld) -> None:
    order = world.bracket()
    (entry,) = world.price("0.45")
    world.confirm(entry)
    world.cancel_order(order)
    world.finish(entry)
    assert world.states() == {"order": "cancelled", "entry": "filled", "stop": "cancelled", "take": "cancelled"}
    assert world.order().reason == "a person said so"


def test_a_bracket_cancelled_while_an_exit_is_under_way_is_so_when_the_fill_of_its_entry_is_final(
    world: OrderWorld,
) -> None:
    order = world.bracket()
    (entry,) = world.price("0.45")
    world.confirm(entry)
    (stop,) = world.price("0.39")
    world.cancel_order(order)
    world.finish(entry)
    assert world.order().cancel_requested_at is not None
    assert world.finish(stop).state is IntentState.CANCELLED
    assert world.states() == {"order": "cancelled", "entry": "filled", "stop": "cancelled", "take": "cancelled"}


def test_an_order_whose_trade_is_parked_ends_with_that_trade_and_says_so(world: OrderWorld) -> None:
    order = world.stop()
    (intent,) = world.price("0.4")
    with world.store.books.write() as books:
        books.intents.change(world.intent(intent), at=world.clock.now(), state=IntentState.PARKED)
    with pytest.raises(InvalidInputError, match="is parked") as caught:
        world.cancel_order(order)
    assert f"sniperforge cancel {intent}" in (caught.value.fix or "")
    world.executor().cancel(intent)
    assert world.states() == {"order": "cancelled", "main": "cancelled"}


@pytest.mark.parametrize("is_entry", [True, False])
def test_nothing_is_signed_for_a_cancelled_order_when_a_fork_takes_its_fill_back(
    world: OrderWorld,
    is_entry: bool,  # noqa: FBT001
) -> None:
    order = world.bracket() if is_entry else world.pair()
    (intent,) = world.price("0.45" if is_entry else "0.4")
    world.confirm(intent)
    world.cancel_order(order)
    world.lose_to_a_fork(intent)
    assert world.intent(intent).cancel_requested_at is not None


def test_an_entry_that_lands_again_after_its_order_was_cancelled_is_said_to_be_unprotected(world: OrderWorld) -> None:
    order = world.bracket()
    (entry,) = world.price("0.45")
    world.confirm(entry)
    world.cancel_order(order)
    world.lose_to_a_fork(entry)
    assert world.finish(entry).state is IntentState.FILLED
    assert world.states() == {"order": "cancelled", "entry": "filled", "stop": "cancelled", "take": "cancelled"}
    with world.store.books.read() as books:
        assert "order.unprotected" in [event.kind for event in books.events.recent(20)]


def test_cancelling_on_legs_that_changed_before_the_order_was_locked_is_asked_again(world: OrderWorld) -> None:
    order = world.bracket()
    (intent,) = world.price("0.45")
    before = tuple(world.legs().values())
    world.confirm(intent)
    with world.store.books.write() as books:
        reads = iter([before])
        legs = books.orders.legs
        setattr(books.orders, "legs", lambda one: next(reads, None) or legs(one))  # noqa: B010
        with pytest.raises(ConflictError):
            cancel_order(books, order, now=world.clock.now(), reason="a person said so")
    assert world.states() == {"order": "open", "entry": "filled", "stop": "armed", "take": "armed"}


def test_a_trade_cancelled_by_hand_ends_its_order_loudly(world: OrderWorld) -> None:
    world.stop()
    (intent,) = world.price("0.4")
    world.executor().cancel(intent)
    world.finish(intent)
    assert world.states() == {"order": "cancelled", "main": "cancelled"}
    assert world.events("order.cancelled")[0].severity.value == "warning"


# ---- whatever dies
STEPS: list[Step] = [Step.CLAIMED, Step.SIGNED, Step.PERSISTED, Step.ANSWERED, Step.SEEN, Step.BOOKED]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("make", [OrderWorld.stop, OrderWorld.pair, OrderWorld.bracket])
def test_a_worker_that_dies_leaves_order_and_trade_at_one(
    world: OrderWorld, make: Callable[[OrderWorld], OrderId], step: Step
) -> None:
    make(world)
    (intent,) = world.price("0.4")

    def die() -> None:
        raise Killed

    world.at[step] = die
    with pytest.raises(Killed):
        world.finish(intent)
    world.pass_time(seconds=60)
    world.finish(intent, owner="two")
    legs = world.legs()
    fired = [leg for leg in legs.values() if leg.intent_id == intent]
    assert [leg.state.value for leg in fired] == ["filled"]
    assert sum(leg.state.value in ("fired", "filled") for leg in legs.values()) == 1
    assert len([one for one in world.attempts(intent) if one.landed_slot is not None]) == 1


def test_a_trade_of_the_command_line_is_nobodys_leg(world: OrderWorld) -> None:
    intent = world.decide()
    world.finish(intent)
    assert world.booked(final_only=False)[Asset(JUP)] > 1_000_000_000
