"""Rule *older books*: after a restore nobody trades on what the books have forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import AttemptState, IntentState, TradeIntent
from sniperforge.domain.order import LegState, OrderState
from sniperforge.errors import ConflictError, InvalidInputError, NodeBehindError, RetryableError
from sniperforge.ports.plans import PlanState
from sniperforge.ports.records import TradingMode
from sniperforge.trading.controls import Controls
from sniperforge.trading.recovery import Recovery, RecoveryReport
from sniperforge.trading.restored_books import OLDER_BOOKS
from sniperforge.trading.trade_report import read_report
from tests.fakes.order_records import a_leg, an_order
from tests.fakes.order_world import OrderWorld
from tests.fakes.records import a_plan, an_attempt, an_intent
from tests.fakes.trading_world import TradingWorld
from tests.fakes.wallet_world import WalletWorld


@pytest.fixture
def world() -> WalletWorld:
    """An adopted wallet with one undecided trade."""
    made = WalletWorld()
    made.reconciler.adopt("main", made.wallet)
    with made.store.write() as books:
        books.intents.add(an_intent(wallet=made.wallet))
    return made


def recovery(world: WalletWorld) -> Recovery:
    return Recovery(store=world.store, chain=world.chain, clock=world.clock, reconciler=world.reconciler)


def recovered(world: WalletWorld) -> RecoveryReport:
    made = recovery(world)
    made.begin(reason="restored from a backup", by="tester")
    world.chain.advance(151)
    return made.finish()


def the_intent(world: WalletWorld, **changes: Any) -> TradeIntent:
    with world.store.read() as books:
        found = books.intents.get(an_intent(wallet=world.wallet, **changes).id)
    assert found is not None
    return found


def test_older_books_a_new_epoch_fences_old_writers_and_halts(world: WalletWorld) -> None:
    before = the_intent(world)
    after = recovery(world).begin(reason="restored from a backup", by="tester")
    assert (after.epoch, after.mode, after.changed_by) == (before.epoch + 1, TradingMode.HALTED, "tester")
    assert "restored from a backup" in str(after.reason)
    with world.store.read() as books:
        assert books.events.recent(1)[0].kind == "recovery.began"


def test_older_books_wait_until_nothing_sent_before_can_land(world: WalletWorld) -> None:
    made = recovery(world)
    made.begin(reason="x", by="tester")
    world.chain.advance(150)
    with pytest.raises(NodeBehindError, match="may land"):
        made.finish()
    assert the_intent(world).epoch == 1
    world.chain.advance(1)
    assert made.finish().carried_on == (the_intent(world).id,)


def test_older_books_carry_on_what_nothing_speaks_against(world: WalletWorld) -> None:
    report = recovered(world)
    intent = the_intent(world)
    assert report == RecoveryReport(parked=(), carried_on=(intent.id,), in_flight=())
    assert (intent.state, intent.epoch) == (IntentState.PENDING, 2)
    with world.store.read() as books:
        assert books.system.get().mode is TradingMode.HALTED


def test_older_books_park_what_an_unknown_transaction_may_have_been(world: WalletWorld) -> None:
    world.land(-5_000, ours=True)
    report = recovered(world)
    intent = the_intent(world)
    assert report.parked == (intent.id,)
    assert (intent.state, intent.epoch) == (IntentState.PARKED, 2)
    assert "cancel it: that only keeps it from being decided again" in str(intent.reason)


def test_older_books_read_the_history_from_the_opening_and_not_from_where_they_stood(world: WalletWorld) -> None:
    """Commits that were lost need not be the newest: the cursor may be past a transaction that the books forgot."""
    forgotten = world.land(-5_000, ours=True)
    with world.store.write() as books:
        wallet = books.wallets.lock(world.wallet)
        assert wallet is not None
        slot = world.chain.landed[forgotten].slot
        books.wallets.change(wallet, cursor_signature=forgotten, cursor_slot=slot)
    assert recovered(world).parked == (the_intent(world).id,)


def test_older_books_settle_what_is_in_flight(world: WalletWorld) -> None:
    with world.store.write() as books:
        intent = books.intents.change(the_intent(world), at=world.clock.now(), state=IntentState.EXECUTING)
        books.attempts.add(an_attempt(intent))
    world.land(-5_000, ours=True)
    report = recovered(world)
    assert report.in_flight == (intent.id,)
    assert (the_intent(world).state, the_intent(world).epoch) == (IntentState.EXECUTING, 2)


def test_older_books_decide_again_about_what_died(world: WalletWorld) -> None:
    with world.store.write() as books:
        intent = books.intents.change(the_intent(world), at=world.clock.now(), state=IntentState.EXECUTING)
        attempt = an_attempt(intent)
        books.attempts.add(attempt)
        books.attempts.change(attempt, at=world.clock.now(), state=AttemptState.EXPIRED)
    assert recovered(world).carried_on == (intent.id,)


def test_older_books_are_not_sorted_before_every_transaction_was_read(world: WalletWorld) -> None:
    made = recovery(world)
    world.chain.unreadable.add(world.land(-5_000, ours=True))
    made.begin(reason="x", by="tester")
    world.chain.advance(151)
    with pytest.raises(RetryableError, match="could not be read whole"):
        made.finish()
    assert the_intent(world).epoch == 1


def test_older_books_leave_what_was_decided_since_alone(world: WalletWorld) -> None:
    made = recovery(world)
    made.begin(reason="x", by="tester")
    with world.store.write() as books:
        books.intents.add(an_intent("two", wallet=world.wallet, epoch=2))
    world.chain.advance(151)
    report = made.finish()
    assert report.carried_on == (the_intent(world).id,)
    assert made.finish() == RecoveryReport(parked=(), carried_on=(), in_flight=())


# ---- what a person does about a parked trade


def parked(world: TradingWorld, intent: IntentId) -> IntentId:
    """As recovery leaves a trade that may have happened already."""
    with world.store.books.write() as books:
        found = books.intents.lock(intent)
        assert found is not None
        books.intents.change(found, at=world.clock.now(), state=IntentState.PARKED, reason="older books")
    return intent


def test_older_books_end_a_parked_trade_that_is_cancelled_at_once_and_nothing_is_signed_for_it() -> None:
    world = TradingWorld()
    intent = parked(world, world.decide())
    world.finish(intent)
    assert world.intent(intent).state is IntentState.PARKED

    ended = world.executor().cancel(intent)

    assert (ended.state, ended.reason_code) == (IntentState.CANCELLED, OLDER_BOOKS)
    assert "if it had not happened" in read_report(world.store.books, intent).next_action
    assert world.finish(intent).state is IntentState.CANCELLED
    assert world.attempts() == ()
    assert [event.intent_id for event in world.events("intent.cancelled")] == [intent]


def test_older_books_end_a_parked_trade_whose_end_was_asked_for_before() -> None:
    world = TradingWorld()
    intent = world.decide()
    world.executor().cancel(intent)
    assert world.executor().cancel(parked(world, intent)).state is IntentState.CANCELLED


def test_older_books_end_no_parked_trade_that_has_a_live_transaction() -> None:
    world = TradingWorld()
    intent = world.signed().intent_id
    with pytest.raises(ConflictError, match="live attempt"):
        world.executor().cancel(parked(world, intent))
    assert world.intent(intent).state is IntentState.PARKED


def test_older_books_end_the_order_of_a_cancelled_parked_trade_and_it_never_fires_again() -> None:
    world = OrderWorld()
    order = world.pair()
    (intent,) = world.price("0.39")
    world.executor().cancel(parked(world, intent))

    world.pass_time(hours=1)
    assert world.price("0.38") + world.price("0.75") + world.fire_again() == []
    with world.store.books.read() as books:
        ended, legs = books.orders.get(order), books.orders.legs(order)
        assert books.triggers.of_order(order) == ()
    assert ended is not None
    assert ended.state is OrderState.CANCELLED
    assert {leg.state for leg in legs} == {LegState.CANCELLED}
    assert f"its order {order} ended with it" in read_report(world.store.books, intent).next_action


# ---- orders and plans, which nobody but a person can sort


def controls(world: WalletWorld) -> Controls:
    return Controls(store=world.store, clock=world.clock)


def with_what_is_open(world: WalletWorld) -> None:
    """An armed order and an active plan, as the backup has them."""
    with world.store.write() as books:
        books.orders.add(an_order("armed", wallet=world.wallet), [a_leg("armed")])
        books.plans.add(a_plan("weekly", wallet=world.wallet))


def resumed(world: WalletWorld, **known: bool) -> TradingMode:
    return controls(world).change_system(TradingMode.ACTIVE, reason=None, by="alice", **known).mode


def test_older_books_pause_every_plan_until_a_person_resumes_it(world: WalletWorld) -> None:
    with_what_is_open(world)
    with world.store.write() as books:
        books.plans.add(a_plan("ended", wallet=world.wallet, status=PlanState.ENDED))
    recovery(world).begin(reason="x", by="tester")
    with world.store.read() as books:
        assert {plan.id: plan.status for plan in books.plans.every()} == {
            "weekly": PlanState.PAUSED,
            "ended": PlanState.ENDED,
        }
        assert books.plans.due(world.clock.now(), 10) == ()
        (told,) = books.events.recent(10, kinds=["plan.paused"])
    assert told.facts == {"plan": "weekly"}


def test_older_books_stay_halted_until_their_trades_are_sorted(world: WalletWorld) -> None:
    made = recovery(world)
    made.begin(reason="x", by="tester")
    with pytest.raises(InvalidInputError, match="--finish"):
        resumed(world, knows_what_is_open=True)
    world.chain.advance(151)
    made.finish()
    assert resumed(world) is TradingMode.ACTIVE


def test_older_books_stay_halted_until_a_person_knows_what_is_open(world: WalletWorld) -> None:
    with_what_is_open(world)
    world.land(-5_000, ours=True)
    (trade,) = recovered(world).parked
    for mode in (TradingMode.ACTIVE, TradingMode.REDUCING):
        with pytest.raises(InvalidInputError) as refused:
            controls(world).change_system(mode, reason="x", by="alice")
        for named in (trade, "oarmed (stop-loss)", "weekly"):
            assert named in str(refused.value)
    with world.store.read() as books:
        assert books.system.get().mode is TradingMode.HALTED

    assert resumed(world, knows_what_is_open=True) is TradingMode.ACTIVE
    with world.store.read() as books:
        (told,) = books.events.recent(1, kinds=["recovery.ended"])
    assert "alice" in told.message
    assert "oarmed (stop-loss)" in told.message


def test_older_books_are_not_hidden_by_a_second_halt(world: WalletWorld) -> None:
    with_what_is_open(world)
    recovered(world)
    controls(world).change_system(TradingMode.HALTED, reason="tea time", by="alice")
    with pytest.raises(InvalidInputError, match="restored"):
        resumed(world)


def test_older_books_are_asked_about_once(world: WalletWorld) -> None:
    with_what_is_open(world)
    assert controls(world).restored() is None
    recovered(world)
    found = controls(world).restored()
    assert found is not None
    assert [order.id for order in found.orders] == ["oarmed"]
    assert [plan.id for plan in found.plans] == ["weekly"]
    resumed(world, knows_what_is_open=True)
    assert controls(world).restored() is None
    controls(world).change_system(TradingMode.HALTED, reason="tea time", by="alice")
    assert resumed(world) is TradingMode.ACTIVE


def test_older_books_are_sorted_only_after_recovery_began(world: WalletWorld) -> None:
    with pytest.raises(InvalidInputError, match="no recovery is under way"):
        recovery(world).finish()
