"""The rules by which what the chain did is booked, each by its name: take one out and its tests fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sniperforge.domain.intent import Attempt, AttemptState, FillState, IntentState
from sniperforge.errors import (
    RetryableError,
    StorageBusyError,
)
from sniperforge.ports.chain import Commitment, LandedTransaction
from sniperforge.ports.records import Severity, TradingMode
from sniperforge.trading.progress import Step
from sniperforge.trading.settlement import Settlement
from tests.fakes.chain import Landing
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_orders import JUP, OWNER, USDC
from tests.fakes.trading_world import TradingWorld, raising


def settlement(world: TradingWorld) -> Settlement:
    return Settlement(store=world.store, clock=world.clock, tip_accounts=())


def landed(world: TradingWorld, attempt: Attempt, commitment: Commitment = Commitment.PROCESSED) -> LandedTransaction:
    found = world.chain.transaction(attempt.signature, commitment)
    assert found is not None
    return found


# ---- final-evidence


def test_final_evidence_a_fill_at_confirmed_is_provisional() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.CONFIRMED
    assert world.fill(attempt).state is FillState.PROVISIONAL
    assert {state for _, state in world.lines(attempt.signature).values()} == {FillState.PROVISIONAL}
    assert world.held(USDC) == 25_000_000


def test_final_evidence_an_error_at_confirmed_is_not_final() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.SENT
    assert (world.lines(attempt.signature), world.held(USDC)) == ({}, 25_000_000)


def test_final_evidence_an_error_that_a_fork_turns_into_a_swap_is_a_fill() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    world.chain.fork(5)
    world.chain.include(attempt.signature)

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert len(world.chain.ours()) == len(world.attempts()) == 1


def test_final_evidence_a_finalized_error_books_the_fee_and_lets_the_trade_go_on() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.holding = False

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert [one.state for one in world.attempts()] == [AttemptState.REVERTED, AttemptState.FINALIZED]
    assert list(world.lines(attempt.signature).values()) == [(-landed(world, attempt).fee_lamports, FillState.FINAL)]
    assert world.booked() == world.on_chain()


def test_final_evidence_the_fill_is_read_again_when_it_is_finalized() -> None:
    """Included again after a fork, at a later slot and beside other balances: what is final is what counts."""
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    before = world.fill(attempt)
    world.chain.fork(5)
    world.chain.advance(3)
    world.chain.land(
        world.chain.pool[attempt.signature],
        replace_out(world, attempt, 12_345),
    )
    world.finish(attempt.intent_id)
    after = world.fill(attempt)

    assert (after.slot, after.output_raw, after.state) == (before.slot + 5, before.output_raw - 12_345, FillState.FINAL)
    assert world.booked() == world.on_chain()
    assert position(world) == after.output_raw


def replace_out(world: TradingWorld, attempt: Attempt, less: int) -> Landing:
    landing = world.chain.effect_of(world.chain.pool[attempt.signature], None)
    tokens = tuple(replace(one, raw=one.raw - less) if one.mint == JUP else one for one in landing.post_tokens)
    return replace(landing, post_tokens=tokens)


def position(world: TradingWorld) -> int:
    with world.store.books.read() as books:
        held = books.positions.get(OWNER, JUP)
    return held.raw if held else 0


def test_final_evidence_a_fork_takes_back_fill_ledger_positions_and_intent() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    assert (world.intent(attempt.intent_id).state, position(world) > 0) == (IntentState.FILLED, True)

    world.chain.fork(5)
    world.chain.advance(6)
    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.SENT
    assert world.fill(attempt).state is FillState.REVERSED
    assert {state for _, state in world.lines(attempt.signature).values()} == {FillState.REVERSED}
    assert (world.intent(attempt.intent_id).state, position(world)) == (IntentState.EXECUTING, 0)
    assert world.booked(final_only=False) == world.on_chain()
    assert world.held(USDC) == 25_000_000


def test_final_evidence_a_node_that_is_not_past_the_landing_yet_takes_nothing_back() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    for node in world.chain.nodes:
        node.lag_slots = 3
    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.CONFIRMED
    assert world.fill(attempt).state is FillState.PROVISIONAL


def test_final_evidence_what_a_fork_took_back_for_good_is_proven_dead_and_tried_again() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    world.chain.fork(5)
    world.chain.advance(6)
    world.executor().advance(attempt.intent_id)
    world.pass_bound()
    world.chain.holding = False

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert [one.state for one in world.attempts()] == [AttemptState.EXPIRED, AttemptState.FINALIZED]
    assert world.booked() == world.on_chain()


def test_final_evidence_a_swap_that_a_fork_turned_into_an_error_keeps_its_fee_only() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    world.chain.fork(5)
    world.chain.advance(6)
    world.executor().advance(attempt.intent_id)
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.finalize()
    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.REVERTED
    assert world.fill(attempt).state is FillState.REVERSED
    assert world.booked() == world.on_chain()


def test_final_evidence_an_expired_attempt_is_reopened_only_by_what_is_finalized() -> None:
    world = TradingWorld()
    attempt = world.signed()
    settlement(world).expired(attempt, "{}", watch_for=timedelta(days=1))
    world.chain.include(attempt.signature)
    world.chain.advance(2)

    world.executor().look_again(world.attempts()[0])
    assert not settlement(world).confirmed(attempt, landed(world, attempt))
    assert world.attempts()[0].state is AttemptState.EXPIRED

    world.chain.finalize()
    world.executor().look_again(world.attempts()[0])
    assert world.attempts()[0].state is AttemptState.FINALIZED


@pytest.mark.parametrize("ended", [None, IntentState.CANCELLED], ids=["waiting to be tried again", "cancelled"])
def test_final_evidence_a_landing_after_its_death_is_booked_loudly_and_halts(ended: IntentState | None) -> None:
    world = TradingWorld()
    attempt = world.signed()
    settlement(world).expired(attempt, "{}", watch_for=timedelta(days=1))
    if ended:
        world.executor().cancel(attempt.intent_id)
        world.clock.jump(world.clock.now() + timedelta(minutes=5))
        assert world.executor().advance(attempt.intent_id).intent.state is ended
    world.chain.include(attempt.signature)
    world.chain.finalize()

    world.executor().look_again(world.attempts()[0])

    assert world.intent(attempt.intent_id).state is IntentState.FILLED
    assert world.fill(attempt).state is FillState.FINAL
    assert world.events("attempt.undead")[0].severity is Severity.CRITICAL
    with world.store.books.read() as books:
        assert books.system.get().mode is TradingMode.HALTED
    assert world.booked() == world.on_chain()


def test_final_evidence_a_failed_landing_after_its_death_has_its_fee_booked_and_halts_too() -> None:
    world = TradingWorld()
    attempt = world.signed()
    settlement(world).expired(attempt, "{}", watch_for=timedelta(days=1))
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.finalize()
    for _ in range(2):
        world.executor().look_again(world.attempts()[0])

    assert world.booked() == world.on_chain()
    assert len(world.events("attempt.undead")) == 1
    with world.store.books.read() as books:
        assert books.system.get().mode is TradingMode.HALTED


# ---- book-once


def test_book_once_every_booking_is_done_by_the_first_who_sees_it() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.finalize()
    seen, books = landed(world, attempt), settlement(world)

    first, second = books.confirmed(attempt, seen), books.confirmed(attempt, seen)
    assert first == world.intent(attempt.intent_id)
    assert second is None
    assert [books.finalized(attempt, seen), books.finalized(attempt, seen)] == [True, False]
    assert not books.reverted(attempt, seen)
    assert not books.taken_back(attempt)
    assert not books.expired(attempt, "{}", watch_for=timedelta(days=1))
    assert len(world.events("attempt.finalized")) == 1
    assert world.booked() == world.on_chain()


def test_book_once_two_workers_that_see_one_landing_book_it_once() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.at[Step.SEEN] = lambda: world.executor("two").advance(attempt.intent_id)

    world.executor("one").advance(attempt.intent_id)

    assert len(world.events("attempt.confirmed")) == 1
    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert world.booked() == world.on_chain()


def test_same_bytes_are_all_that_is_ever_sent_again() -> None:
    world = TradingWorld()
    attempt = world.signed()
    for _ in range(6):
        world.pass_time(seconds=3)
        world.executor().advance(attempt.intent_id)

    posted = {call.what[0] for call in world.exchange.calls if call.method == "execute"}  # type: ignore[index]
    assert posted | set(world.chain.sent) == {attempt.signed_transaction}
    assert len(world.chain.sent) == 6


def test_a_reservation_ends_by_settlement_and_not_by_sending() -> None:
    world = TradingWorld()
    attempt = world.signed()
    assert (attempt.state, world.held(USDC)) == (AttemptState.SENT, 25_000_000)
    world.chain.include(attempt.signature)
    world.finish(attempt.intent_id)

    assert world.held(USDC) == 0


def test_the_fill_is_what_the_chain_did_and_not_what_was_quoted() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.finish(attempt.intent_id)
    fill, held = world.fill(attempt), world.chain.holdings()

    assert (fill.input_raw, fill.output_raw) == (25_000_000, held.tokens[JUP])
    assert fill.output_raw != attempt.quoted_out_raw
    assert fill.fee_lamports == world.chain.opening.lamports - held.lamports


def test_a_database_that_cannot_be_written_stops_a_trade_and_loses_nothing() -> None:
    world = TradingWorld()
    intent = world.decide()
    busy = StorageBusyError("the disk is full", subject="the books")
    world.points.always("writing", raising(busy))

    with pytest.raises(RetryableError):
        world.executor().advance(intent)
    world.points.on = lambda _: None

    assert world.finish(intent).state is IntentState.FILLED
    assert len(world.chain.ours()) == 1
