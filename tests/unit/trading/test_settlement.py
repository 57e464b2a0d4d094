"""Booking what the chain did: each change once, from a state that allows it, and everything with it in one commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sniperforge.domain.ids import AttemptId
from sniperforge.domain.intent import Attempt, AttemptState, FillState, IntentState
from sniperforge.errors import StorageBusyError
from sniperforge.ports.chain import Commitment, LandedTransaction
from sniperforge.ports.records import NATIVE_SOL, LedgerKind, ReservationKind
from sniperforge.trading.settlement import MAX_BACKOFF, Settlement
from tests.fakes.records import an_attempt, an_intent
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_orders import JUP, OWNER, USDC
from tests.fakes.trading_world import TradingWorld, raising

DAY = timedelta(days=1)


class Desk:
    """A world with one signed transaction in the network's hands."""

    def __init__(self) -> None:
        self.world = TradingWorld()
        self.attempt = self.world.signed()
        self.settlement = Settlement(store=self.world.store, clock=self.world.clock, tip_accounts=())

    @property
    def now(self) -> Attempt:
        return self.world.attempts()[0]

    def land(self, err: str | None = None) -> LandedTransaction:
        assert self.world.chain.include(self.attempt.signature, err=err)
        return self.landed()

    def landed(self) -> LandedTransaction:
        found = self.world.chain.transaction(self.attempt.signature, Commitment.PROCESSED)
        assert found is not None
        return found

    def fork(self) -> None:
        self.world.chain.fork(31)

    def intent_state(self) -> IntentState:
        return self.world.intent(self.attempt.intent_id).state

    def held(self) -> int:
        with self.world.store.books.read() as books:
            return sum(books.reservations.held_raw(OWNER, mint, ReservationKind) for mint in (USDC, JUP))

    def position(self) -> int:
        with self.world.store.books.read() as books:
            found = books.positions.get(OWNER, JUP)
        return found.raw if found else 0


def test_a_confirmed_landing_is_a_provisional_fill_with_lines_and_position() -> None:
    desk = Desk()
    landed = desk.land()
    assert desk.settlement.confirmed(desk.attempt, landed)

    assert (desk.now.state, desk.now.landed_slot, desk.intent_state()) == (
        AttemptState.CONFIRMED,
        landed.slot,
        IntentState.FILLED,
    )
    assert desk.world.fill(desk.attempt).state is FillState.PROVISIONAL
    assert desk.world.booked(final_only=False) == desk.world.on_chain()
    assert desk.position() == desk.world.chain.holdings().tokens[JUP]
    assert desk.held() > 0


def test_a_landing_first_seen_when_it_is_final_is_booked_at_once() -> None:
    desk = Desk()
    assert desk.settlement.finalized(desk.attempt, desk.land())

    assert (desk.now.state, desk.intent_state(), desk.held()) == (AttemptState.FINALIZED, IntentState.FILLED, 0)
    assert desk.now.confirmed_at == desk.now.finalized_at
    assert desk.world.fill(desk.attempt).state is FillState.FINAL
    assert desk.world.booked() == desk.world.on_chain()


def test_what_is_final_keeps_the_time_at_which_it_was_confirmed() -> None:
    desk = Desk()
    desk.settlement.confirmed(desk.attempt, desk.land())
    desk.world.pass_time(seconds=15)
    desk.settlement.finalized(desk.attempt, desk.landed())

    assert (desk.now.confirmed_at, desk.now.finalized_at) == (
        desk.world.clock.now() - timedelta(seconds=15),
        desk.world.clock.now(),
    )


def test_a_failed_landing_costs_its_fee_and_the_trade_goes_on() -> None:
    desk = Desk()
    landed = desk.land(TOO_LITTLE)
    assert desk.settlement.reverted(desk.attempt, landed)

    assert (desk.now.state, desk.now.landed_error) == (AttemptState.REVERTED, TOO_LITTLE)
    assert desk.world.lines(desk.attempt.signature) == {
        (NATIVE_SOL, LedgerKind.FEE): (-landed.fee_lamports, FillState.FINAL)
    }
    assert (desk.intent_state(), desk.held(), desk.position()) == (IntentState.PENDING, 0, 0)


@pytest.mark.parametrize("seen_gone", [True, False], ids=["seen to be taken back", "not seen"])
def test_a_swap_that_a_fork_replaced_by_a_failure_leaves_its_fee_alone(seen_gone: bool) -> None:  # noqa: FBT001
    desk = Desk()
    desk.settlement.confirmed(desk.attempt, desk.land())
    desk.fork()
    if seen_gone:
        assert desk.settlement.taken_back(desk.attempt)
    assert desk.settlement.reverted(desk.attempt, desk.land(TOO_LITTLE))

    assert desk.world.fill(desk.attempt).state is FillState.REVERSED
    assert desk.world.booked() == desk.world.booked(final_only=False) == desk.world.on_chain()
    assert (desk.position(), desk.intent_state(), desk.held()) == (0, IntentState.PENDING, 0)


def test_a_fork_takes_everything_back_and_what_lands_again_is_booked_again() -> None:
    desk = Desk()
    first = desk.land()
    desk.settlement.confirmed(desk.attempt, first)
    desk.fork()
    assert desk.settlement.taken_back(desk.attempt)
    assert (desk.now.state, desk.intent_state(), desk.position()) == (AttemptState.SENT, IntentState.EXECUTING, 0)
    assert desk.world.booked(final_only=False) == desk.world.on_chain()

    desk.world.chain.advance(3)
    again = desk.land()
    assert desk.settlement.confirmed(desk.attempt, again)

    assert again.slot == first.slot + 3
    assert (desk.world.fill(desk.attempt).slot, desk.world.fill(desk.attempt).state) == (
        again.slot,
        FillState.PROVISIONAL,
    )
    assert desk.world.booked(final_only=False) == desk.world.on_chain()
    assert desk.position() == desk.world.chain.holdings().tokens[JUP]


def test_what_was_taken_back_and_is_final_when_seen_again_is_final() -> None:
    desk = Desk()
    desk.settlement.confirmed(desk.attempt, desk.land())
    desk.fork()
    desk.settlement.taken_back(desk.attempt)
    assert desk.settlement.finalized(desk.attempt, desk.land())

    assert desk.world.fill(desk.attempt).state is FillState.FINAL
    assert desk.world.booked() == desk.world.on_chain()
    assert desk.position() == desk.world.chain.holdings().tokens[JUP]


def test_a_proof_of_death_takes_a_provisional_fill_back_too() -> None:
    desk = Desk()
    desk.settlement.confirmed(desk.attempt, desk.land())
    desk.fork()
    assert desk.settlement.expired(desk.attempt, '{"why":"x"}', watch_for=DAY)

    assert (desk.now.state, desk.now.death_proof) == (AttemptState.EXPIRED, '{"why":"x"}')
    assert desk.now.watch_until == desk.world.clock.now() + DAY
    assert (desk.intent_state(), desk.held(), desk.position()) == (IntentState.PENDING, 0, 0)
    assert desk.world.booked(final_only=False) == desk.world.on_chain()


def test_a_dead_transaction_lets_the_trade_wait_before_the_next_one_but_never_for_long() -> None:
    desk = Desk()
    desk.settlement.expired(desk.attempt, "{}", watch_for=DAY)
    intent = desk.world.intent(desk.attempt.intent_id)

    assert intent.next_attempt_at == desk.world.clock.now() + timedelta(seconds=2)
    assert (intent.lease_owner, intent.lease_until) == (None, None)
    assert timedelta(seconds=2**6) > MAX_BACKOFF


def test_a_provisional_fill_is_never_booked_over_a_proof_of_death() -> None:
    desk = Desk()
    desk.settlement.expired(desk.attempt, "{}", watch_for=DAY)

    assert not desk.settlement.confirmed(desk.attempt, desk.land())
    assert desk.now.state is AttemptState.EXPIRED
    assert desk.world.lines(desk.attempt.signature) == {}


BOOKINGS: dict[str, Callable[[Desk, LandedTransaction], bool]] = {
    "confirmed": lambda desk, landed: desk.settlement.confirmed(desk.attempt, landed) is not None,
    "finalized": lambda desk, landed: desk.settlement.finalized(desk.attempt, landed),
    "reverted": lambda desk, landed: desk.settlement.reverted(desk.attempt, landed),
    "taken_back": lambda desk, _: desk.settlement.taken_back(desk.attempt),
    "expired": lambda desk, _: desk.settlement.expired(desk.attempt, "{}", watch_for=DAY),
    "late": lambda desk, landed: desk.settlement.late_failure(desk.attempt, landed),
}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("confirmed", {"confirmed", "late"}),
        ("finalized", set(BOOKINGS)),
        ("reverted", set(BOOKINGS)),
        ("expired", {"confirmed", "reverted", "taken_back", "expired"}),
    ],
)
def test_what_is_booked_is_not_booked_again_nor_as_what_it_cannot_be(first: str, then: set[str]) -> None:
    desk = Desk()
    landed = desk.land(TOO_LITTLE if first == "reverted" else None)
    assert BOOKINGS[first](desk, landed)
    before = desk.world.booked(), desk.now, desk.world.intent(desk.attempt.intent_id)

    assert not any(BOOKINGS[name](desk, landed) for name in then)
    assert (desk.world.booked(), desk.now, desk.world.intent(desk.attempt.intent_id)) == before
    assert len(desk.world.events(f"attempt.{first}")) == 1


def test_a_late_failure_of_what_a_fork_had_shown_as_a_swap_has_its_fee_booked_once() -> None:
    desk = Desk()
    desk.settlement.confirmed(desk.attempt, desk.land())
    desk.fork()
    desk.settlement.taken_back(desk.attempt)
    desk.settlement.expired(desk.attempt, "{}", watch_for=DAY)
    landed = desk.land(TOO_LITTLE)

    assert desk.settlement.late_failure(desk.attempt, landed)
    assert not desk.settlement.late_failure(desk.attempt, landed)
    assert desk.world.booked() == desk.world.booked(final_only=False) == desk.world.on_chain()


def test_everything_of_one_booking_is_committed_together_or_not_at_all() -> None:
    desk = Desk()
    landed = desk.land()
    desk.world.points.once("committing", raising(StorageBusyError("disk full")))
    with pytest.raises(StorageBusyError):
        desk.settlement.finalized(desk.attempt, landed)

    assert (desk.now.state, desk.world.lines(desk.attempt.signature)) == (AttemptState.SENT, {})
    assert desk.held() > 0
    assert desk.settlement.finalized(desk.attempt, landed)


def test_an_attempt_that_the_books_do_not_have_is_a_damage_and_not_passed_over() -> None:
    desk = Desk()
    stranger = an_attempt(an_intent("nobody"), id=AttemptId("nobody-1"))

    with pytest.raises(LookupError, match="vanished from the books"):
        desk.settlement.confirmed(stranger, desk.land())
