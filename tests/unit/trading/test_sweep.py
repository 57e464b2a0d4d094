"""Which trades somebody has to carry on, carrying them on, and asking again about the dead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import Attempt, AttemptState, FillState, IntentState
from sniperforge.errors import (
    CommitOutcomeUnknownError,
    InvalidInputError,
    NodeUnavailableError,
    SniperForgeError,
    StorageBusyError,
)
from sniperforge.ports.records import TradingMode
from sniperforge.trading.executor_policy import Standing
from sniperforge.trading.settlement import Settlement
from sniperforge.trading.sweep import SweepResult, carry_on, due_trades, look_again_at_the_dead, settle, unsettled
from tests.fakes.clock import START
from tests.fakes.records import a_wallet, an_attempt, an_intent
from tests.fakes.store import FakeStore
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_world import TradingWorld, raising

LATER = START + timedelta(hours=1)
A_DAY = timedelta(days=1)
AN_HOUR = timedelta(hours=1)


def test_unsettled_is_what_is_open_or_has_a_live_attempt_whether_it_is_due_or_not() -> None:
    store = FakeStore()
    pending = an_intent("pending", next_attempt_at=LATER, lease_owner="dead", lease_until=LATER)
    executing = an_intent("executing", state=IntentState.EXECUTING)
    provisional = an_intent("provisional", state=IntentState.FILLED)
    final = an_intent("final", state=IntentState.FILLED)
    others = [an_intent(state.value, state=state) for state in (IntentState.FAILED, IntentState.CANCELLED)]
    parked = an_intent("parked", state=IntentState.PARKED)
    with store.write() as books:
        books.wallets.add(a_wallet())
        for intent in (pending, executing, provisional, final, parked, *others):
            books.intents.add(intent)
        books.attempts.add(an_attempt(executing, state=AttemptState.SENT))
        books.attempts.add(an_attempt(provisional, state=AttemptState.CONFIRMED))
        books.attempts.add(an_attempt(final, state=AttemptState.FINALIZED))
    with store.read() as books:
        assert unsettled(books) == (executing.id, pending.id, provisional.id)


# ---- ringing for what stands still

FINAL_AFTER = timedelta(seconds=10)


def rung_for(world: TradingWorld) -> list[IntentId]:
    with world.store.read() as books:
        return list(due_trades(books, world.clock.now(), final_after=FINAL_AFTER))


def test_a_decision_is_rung_for_when_its_own_bell_was_lost_and_not_before() -> None:
    world = TradingWorld()
    intent = world.decide()
    assert rung_for(world) == []
    world.pass_time(seconds=3)
    assert rung_for(world) == [intent]


def test_a_trade_that_waits_for_its_next_attempt_is_left_alone_until_then() -> None:
    world = TradingWorld()
    intent = world.decide()
    world.mode(TradingMode.HALTED)
    world.pass_time(seconds=3)
    world.executor().advance(intent)
    world.pass_time(seconds=1)
    assert rung_for(world) == []
    world.pass_time(seconds=3)
    assert rung_for(world) == [intent]


def test_a_trade_that_a_worker_holds_is_left_to_it_until_its_lease_ends() -> None:
    world = TradingWorld()
    world.chain.holding = True
    intent = world.decide()
    world.executor("dies after sending").advance(intent)
    assert world.attempts(intent)
    world.pass_time(seconds=29)
    assert rung_for(world) == []
    world.pass_time(seconds=2)
    assert rung_for(world) == [intent]


def test_a_confirmed_trade_is_rung_for_when_it_is_final_as_a_rule() -> None:
    world = TradingWorld()
    intent = world.decide()
    carried = carry_on(world.executor(), world.clock, intent, within=AN_HOUR, stop=lambda: False)
    assert carried.intent.state is IntentState.FILLED
    assert not carried.settled
    assert rung_for(world) == []
    world.pass_time(seconds=11)
    assert rung_for(world) == [intent]
    world.finish(intent)
    assert rung_for(world) == []


def test_a_fill_that_a_fork_took_back_is_rung_for_at_once() -> None:
    world = TradingWorld()
    intent = world.decide()
    carry_on(world.executor(), world.clock, intent, within=AN_HOUR, stop=lambda: False)
    world.pass_time(seconds=40)
    (attempt,) = world.attempts(intent)
    Settlement(store=world.store, clock=world.clock, tip_accounts=()).taken_back(attempt)
    assert rung_for(world) == [intent]


# ---- a worker's time with one trade


def stayed(world: TradingWorld, intent: IntentId, *, within: timedelta = AN_HOUR, stop: bool = False) -> Standing:
    return carry_on(world.executor(), world.clock, intent, within=within, stop=lambda: stop)


def test_a_worker_leaves_a_trade_when_it_drains_and_another_carries_it_on() -> None:
    world = TradingWorld()
    world.chain.holding = True
    intent = world.decide()
    assert stayed(world, intent, stop=True).intent.state is IntentState.EXECUTING
    assert len(world.attempts(intent)) == 1
    world.chain.holding = False
    assert stayed(world, intent).intent.state is IntentState.FILLED
    assert len(world.attempts(intent)) == 1


def test_a_worker_leaves_a_trade_when_its_time_is_up() -> None:
    world = TradingWorld()
    world.chain.holding = True
    intent = world.decide()
    before = world.clock.now()
    assert stayed(world, intent, within=timedelta(seconds=5)).intent.state is IntentState.EXECUTING
    assert world.clock.now() - before <= timedelta(seconds=5)


def test_a_worker_does_not_sleep_through_a_long_pause() -> None:
    world = TradingWorld()
    intent = world.decide(deadline=timedelta(minutes=5))
    with world.store.write() as books:
        found = books.intents.lock(intent)
        assert found is not None
        books.intents.change(found, at=world.clock.now(), next_attempt_at=world.clock.now() + timedelta(minutes=1))
    before = world.clock.now()
    standing = stayed(world, intent)
    assert standing.wait > timedelta(seconds=50)
    assert world.clock.now() == before


# ---- carrying on


def carried_on(world: TradingWorld, intents: Sequence[IntentId], *, within: timedelta = AN_HOUR) -> SweepResult:
    return settle(world.executor("heir"), world.clock, intents, within=within)


def test_settle_carries_every_trade_to_its_end_in_turn() -> None:
    world = TradingWorld()
    intents = [world.decide(f"trade-{number}") for number in range(3)]

    result = carried_on(world, intents)

    assert (sorted(result.settled), result.unsettled) == (sorted(intents), ())
    assert {attempt.state for attempt in world.attempts()} == {AttemptState.FINALIZED}


def test_settle_leaves_what_the_time_did_not_suffice_for() -> None:
    world = TradingWorld()
    world.chain.holding = True
    stuck, cancelled = world.decide("stuck"), world.decide("cancelled")
    world.executor().cancel(cancelled)

    result = carried_on(world, [stuck, cancelled], within=timedelta(seconds=5))

    assert result == SweepResult((cancelled,), (stuck,))
    assert world.clock.now() - START < timedelta(seconds=10)
    assert world.intent(stuck).state is IntentState.EXECUTING


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("reading", StorageBusyError("locked")),
        ("committed", CommitOutcomeUnknownError("the connection was lost")),
        ("transaction", NodeUnavailableError("down")),
    ],
)
def test_settle_waits_for_books_and_nodes_that_are_away(place: str, error: SniperForgeError) -> None:
    world = TradingWorld()
    intent = world.decide()
    world.points.once(place, raising(error))

    assert carried_on(world, [intent]) == SweepResult((intent,), ())
    assert len(world.chain.ours()) == 1


def test_settle_of_a_trade_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no such trade"):
        carried_on(TradingWorld(), [IntentId("nobody")])


def test_settle_of_nothing_takes_no_time() -> None:
    world = TradingWorld()

    assert carried_on(world, []) == SweepResult((), ())
    assert world.clock.now() == START


# ---- asking again


def called_dead(world: TradingWorld, name: str = "one") -> Attempt:
    """Signed, sent, and called dead by a proof that was wrong."""
    world.chain.holding = True
    intent = world.decide(name)
    world.executor().advance(intent)
    (attempt,) = world.attempts(intent)
    Settlement(store=world.store, clock=world.clock, tip_accounts=()).expired(attempt, "{}", watch_for=A_DAY)
    return attempt


def lands(world: TradingWorld, attempt: Attempt, *, err: str | None = None) -> None:
    world.chain.include(attempt.signature, err=err)
    world.chain.finalize()


def asked_again(world: TradingWorld) -> int:
    return look_again_at_the_dead(world.executor("sweep"), world.store, world.clock)


def state_of(world: TradingWorld, attempt: Attempt) -> AttemptState:
    return next(one.state for one in world.attempts() if one.id == attempt.id)


def test_controls_the_dead_that_stay_dead_are_asked_about_for_a_day() -> None:
    world = TradingWorld()
    attempt = called_dead(world)

    for hours, asked in ((0, 1), (23, 1), (2, 0)):
        world.clock.jump(world.clock.now() + timedelta(hours=hours))
        assert asked_again(world) == asked

    assert state_of(world, attempt) is AttemptState.EXPIRED
    assert world.events("attempt.undead") == []


def test_controls_everything_dead_that_landed_after_all_is_booked_by_the_sweep() -> None:
    world = TradingWorld()
    swapped, failed, gone = (called_dead(world, name) for name in ("swapped", "failed", "gone"))
    lands(world, swapped)
    lands(world, failed, err=TOO_LITTLE)

    assert asked_again(world) == 3

    assert [state_of(world, one) for one in (swapped, failed, gone)] == [
        AttemptState.FINALIZED,
        AttemptState.EXPIRED,
        AttemptState.EXPIRED,
    ]
    assert world.fill(swapped).state is FillState.FINAL
    assert len(world.events("attempt.undead")) == 2
    assert world.booked() == world.on_chain()
    with world.store.books.read() as books:
        assert books.system.get().mode is TradingMode.HALTED


def test_final_evidence_the_sweep_waits_until_a_landing_after_death_is_finalized() -> None:
    world = TradingWorld()
    attempt = called_dead(world)
    world.chain.include(attempt.signature)
    world.chain.advance(2)

    assert asked_again(world) == 1
    assert state_of(world, attempt) is AttemptState.EXPIRED

    world.chain.finalize()
    asked_again(world)
    assert state_of(world, attempt) is AttemptState.FINALIZED
    assert asked_again(world) == 0
