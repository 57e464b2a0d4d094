"""What every store promises: the one in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from sniperforge.domain.intent import (
    ATTEMPT_TRANSITIONS,
    INTENT_TRANSITIONS,
    LIVE_ATTEMPT_STATES,
    AttemptState,
    FillState,
    IntentKind,
    IntentState,
    MaintenancePurpose,
    SendPath,
)
from sniperforge.domain.money import MAX_RAW, WSOL_MINT, Address, Mint, Signature
from sniperforge.domain.portfolio import Position
from sniperforge.domain.prices import MAX_PRICE, MIN_PRICE, Price
from sniperforge.errors import ConflictError, InvalidInputError, InvalidTransitionError, StorageError
from sniperforge.ports.records import (
    NATIVE_SOL,
    NONCE_TRANSITIONS,
    Asset,
    Attribution,
    Event,
    KnownTransaction,
    LedgerEntry,
    LedgerKind,
    NonceAccount,
    NonceState,
    Reservation,
    ReservationKind,
    Severity,
    TradingMode,
    WrapMode,
)
from sniperforge.ports.store import Books, Store
from tests.fakes.clock import START
from tests.fakes.records import USDC, WALLET, a_fill, a_wallet, an_attempt, an_intent
from tests.fakes.stores import empty_store

SECOND = timedelta(seconds=1)
LATER = START + timedelta(minutes=1)


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with empty_store(request.param, tmp_path) as made:
        with made.write() as books:
            books.wallets.add(a_wallet())
        yield made


# --- one transaction


def test_what_a_write_did_is_there_afterwards(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())

    with store.read() as books:
        assert books.intents.get(an_intent().id) == an_intent()


def test_a_write_that_raises_leaves_nothing(store: Store) -> None:
    def crash() -> None:
        with store.write() as books:
            books.intents.add(an_intent())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()

    with store.read() as books:
        assert books.intents.get(an_intent().id) is None


def test_a_swallowed_conflict_still_rolls_everything_back(store: Store) -> None:
    """Rule decide-once: never "insert or ignore, then advance"."""
    with store.write() as books:
        books.intents.add(an_intent())

    def insert_or_ignore_then_advance() -> None:
        with store.write() as books:
            books.wallets.change(a_wallet(), name="advanced")
            with suppress(ConflictError):
                books.intents.add(an_intent())

    with pytest.raises(ConflictError):
        insert_or_ignore_then_advance()

    with store.read() as books:
        assert books.wallets.by_name("main") == a_wallet()


def test_a_swallowed_refusal_of_a_value_still_rolls_everything_back(store: Store) -> None:
    def insert_or_ignore_then_advance() -> None:
        with store.write() as books:
            books.wallets.change(a_wallet(), name="advanced")
            with suppress(InvalidInputError):
                books.intents.add(replace(an_intent(), created_at=START.replace(tzinfo=None)))

    with pytest.raises(InvalidInputError):
        insert_or_ignore_then_advance()

    with store.read() as books:
        assert books.wallets.by_name("main") == a_wallet()


def test_nothing_works_in_a_write_after_its_first_error(store: Store) -> None:
    def go_on() -> None:
        with store.write() as books:
            with pytest.raises(ConflictError):
                books.wallets.add(a_wallet())
            books.wallets.get(WALLET)

    with pytest.raises(ConflictError):
        go_on()


def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(StorageError, match="asked to write"), store.read() as books:
        books.intents.add(an_intent())

    with store.read() as books:
        assert books.intents.get(an_intent().id) is None


def test_a_read_cannot_lock(store: Store) -> None:
    with pytest.raises(StorageError, match="asked to write"), store.read() as books:
        books.wallets.lock(WALLET)


def test_a_read_sees_one_moment(store: Store) -> None:
    with store.read() as before:
        assert before.intents.recent(10) == ()
        with store.write() as books:
            books.intents.add(an_intent())

        assert before.intents.recent(10) == ()


# --- intents


def test_an_intent_comes_back_exactly(store: Store) -> None:
    intent = an_intent(
        kind=IntentKind.MAINTENANCE,
        purpose=MaintenancePurpose.NONCE_BURN,
        input_amount_raw=MAX_RAW,
        min_out_per_input=Decimal("1E-18"),
        created_at=START + timedelta(microseconds=1),
        lease_owner="worker 1 / ü",
        lease_until=LATER,
        cancel_requested_at=LATER,
        reason_code="limits",
        reason="the price moved; nothing to do",
    )
    with store.write() as books:
        books.intents.add(intent)

    with store.read() as books:
        assert books.intents.get(intent.id) == intent
        assert books.intents.get_by_key(intent.key) == intent


def test_times_come_back_as_utc_to_the_microsecond(store: Store) -> None:
    moment = datetime(2026, 3, 29, 3, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with store.write() as books:
        books.intents.add(an_intent(deadline_at=moment))

    with store.read() as books:
        found = books.intents.get(an_intent().id)
        assert found is not None
        assert found.deadline_at == moment
        assert found.deadline_at.utcoffset() == timedelta(0)


def test_a_naive_time_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="not an aware time"), store.write() as books:
        books.intents.add(an_intent(deadline_at=datetime(2026, 1, 1)))  # noqa: DTZ001 (that is the point)


@pytest.mark.parametrize("amount", [-1, MAX_RAW + 1, 1.5])
def test_an_amount_that_is_no_64_bit_count_is_refused(store: Store, amount: Any) -> None:
    with pytest.raises(InvalidInputError), store.write() as books:
        books.intents.add(an_intent(input_amount_raw=amount))


def test_a_float_limit_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError), store.write() as books:
        books.intents.add(an_intent(min_out_per_input=0.1))


def test_one_key_is_decided_once(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())

    with pytest.raises(ConflictError), store.write() as books:
        books.intents.add(replace(an_intent("two"), key=an_intent().key))


def test_an_intent_of_an_unknown_wallet_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError), store.write() as books:
        books.intents.add(an_intent(wallet=Address("unknown")))


def test_a_change_adds_one_to_the_version_and_sets_the_time(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        changed = books.intents.change(
            an_intent(), at=LATER, state=IntentState.EXECUTING, lease_owner="w", lease_until=LATER
        )

    assert (changed.state, changed.version, changed.updated_at) == (IntentState.EXECUTING, 1, LATER)
    with store.read() as books:
        assert books.intents.get(changed.id) == changed


def test_a_change_of_an_old_version_loses(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        books.intents.change(an_intent(), at=LATER, state=IntentState.EXECUTING)

    with pytest.raises(ConflictError), store.write() as books:
        books.intents.change(an_intent(), at=LATER, state=IntentState.CANCELLED)

    with store.read() as books:
        found = books.intents.get(an_intent().id)
        assert found is not None
        assert found.state is IntentState.EXECUTING


def test_a_change_of_a_row_that_is_not_there_loses(store: Store) -> None:
    with pytest.raises(ConflictError), store.write() as books:
        books.intents.change(an_intent(), at=LATER, reason="gone")


def test_the_decision_itself_never_changes(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())

    with pytest.raises(TypeError, match="input_amount_raw"), store.write() as books:
        books.intents.change(an_intent(), at=LATER, input_amount_raw=1)


def test_intents_change_along_their_table_only(store: Store) -> None:
    for before, after in product(IntentState, IntentState):
        intent = an_intent(f"{before}-{after}", state=before)
        with store.write() as books:
            books.intents.add(intent)

        if (before, after) in INTENT_TRANSITIONS:
            with store.write() as books:
                assert books.intents.change(intent, at=LATER, state=after).state is after
        else:
            with pytest.raises(InvalidTransitionError), store.write() as books:
                books.intents.change(intent, at=LATER, state=after)


def test_a_locked_intent_is_read_anew(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
    with store.write() as books:
        assert books.intents.lock(an_intent().id) == an_intent()
        assert books.intents.lock(an_intent("nobody").id) is None


def test_due_intents_are_unfinished_waited_long_enough_and_free(store: Store) -> None:
    open_ended = an_intent("unsettled", state=IntentState.FILLED, next_attempt_at=START - 3 * SECOND)
    overdue = an_intent("overdue", next_attempt_at=START - SECOND)
    executing = an_intent("executing", state=IntentState.EXECUTING, next_attempt_at=START - 2 * SECOND)
    lapsed = an_intent("lapsed", lease_owner="w", lease_until=START)
    with store.write() as books:
        for intent in (
            overdue,
            executing,
            lapsed,
            open_ended,
            an_intent("later", next_attempt_at=START + SECOND),
            an_intent("leased", lease_owner="w", lease_until=START + SECOND),
            an_intent("done", state=IntentState.FILLED),
            an_intent("failed", state=IntentState.FAILED),
            an_intent("parked", state=IntentState.PARKED),
        ):
            books.intents.add(intent)
        books.attempts.add(an_attempt(open_ended, state=AttemptState.CONFIRMED))

    with store.read() as books:
        assert books.intents.due(START, 10) == (open_ended, executing, overdue, lapsed)
        assert books.intents.due(START, 2) == (open_ended, executing)


def test_intents_are_listed_by_state_and_newest_first(store: Store) -> None:
    old = an_intent("old", created_at=START, updated_at=LATER)
    new = an_intent("new", created_at=LATER, updated_at=START)
    failed = an_intent("failed", created_at=LATER + SECOND, state=IntentState.FAILED)
    with store.write() as books:
        for intent in (old, new, failed):
            books.intents.add(intent)

    with store.read() as books:
        assert books.intents.recent(2) == (failed, new)
        assert books.intents.in_state(IntentState.PENDING, 10) == (new, old)
        assert books.intents.in_state(IntentState.PENDING, 1) == (new,)


def test_what_open_trades_will_give_is_summed_and_unknown_when_one_gives_everything(store: Store) -> None:
    with store.write() as books:
        assert books.intents.promised_raw(WALLET, USDC) == 0
        books.intents.add(an_intent("pending", input_amount_raw=5))
        books.intents.add(an_intent("executing", input_amount_raw=7, state=IntentState.EXECUTING))
        books.intents.add(an_intent("filled", input_amount_raw=11, state=IntentState.FILLED))
        books.intents.add(an_intent("another", input_mint=WSOL_MINT, output_mint=USDC, input_amount_raw=13))
        assert books.intents.promised_raw(WALLET, USDC) == 12
        books.intents.add(an_intent("everything", input_amount_raw=None))
        assert books.intents.promised_raw(WALLET, USDC) is None
        assert books.intents.promised_raw(WALLET, WSOL_MINT) == 13


def test_intents_are_found_by_the_beginning_of_their_id(store: Store) -> None:
    intents = sorted((an_intent(name) for name in ("one", "two", "three")), key=lambda intent: intent.id)
    with store.write() as books:
        for intent in reversed(intents):
            books.intents.add(intent)

    with store.read() as books:
        assert books.intents.starting_with("", 2) == tuple(intents[:2])
        assert books.intents.starting_with(intents[1].id[:10], 2) == (intents[1],)
        assert books.intents.starting_with(intents[1].id, 2) == (intents[1],)
        assert books.intents.starting_with("%", 2) == ()


# --- attempts


def test_an_attempt_comes_back_exactly(store: Store) -> None:
    attempt = an_attempt(
        an_intent(),
        signed_transaction=bytes(range(256)) * 4,
        control_signature=Signature("control"),
        execute_code=-2003,
        execute_message="quote expired",
        landed_error='{"InstructionError":[3,{"Custom":6001}]}',
        death_proof='{"height": 1051}',
        watch_until=LATER,
        sent_count=3,
        last_sent_at=LATER,
    )
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(attempt)

    with store.read() as books:
        assert books.attempts.get(attempt.id) == attempt
        assert books.attempts.by_signature(attempt.signature) == attempt
        assert books.attempts.of_intent(attempt.intent_id) == (attempt,)
        assert books.attempts.by_signature(Signature("nobody's")) is None


def test_an_attempt_of_an_intent_that_nobody_decided_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError), store.write() as books:
        books.attempts.add(an_attempt(an_intent()))


def test_an_attempt_has_a_bound_or_a_nonce(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())

    with pytest.raises(InvalidInputError), store.write() as books:
        books.attempts.add(an_attempt(an_intent(), bound_block_height=None))


def test_an_attempt_on_paper_needs_neither(store: Store) -> None:
    on_paper = an_attempt(an_intent(), path=SendPath.PAPER, bound_block_height=None)
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(on_paper)

    with store.read() as books:
        assert books.attempts.get(on_paper.id) == on_paper


@pytest.mark.parametrize("state", sorted(LIVE_ATTEMPT_STATES))
def test_an_intent_has_one_live_attempt(store: Store, state: AttemptState) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(an_attempt(an_intent(), 1, state=state))

    with pytest.raises(ConflictError), store.write() as books:
        books.attempts.add(an_attempt(an_intent(), 2))


@pytest.mark.parametrize("state", sorted(set(AttemptState) - LIVE_ATTEMPT_STATES))
def test_a_settled_attempt_makes_room_for_the_next(store: Store, state: AttemptState) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(an_attempt(an_intent(), 1, state=state))
        books.attempts.add(an_attempt(an_intent(), 2))

    with store.read() as books:
        assert [attempt.number for attempt in books.attempts.of_intent(an_intent().id)] == [1, 2]


def nonce_bound(number: int, value: str | None, account: str | None = "nonce") -> Any:
    bound = 1_050 if account is None else None
    return an_attempt(an_intent(), number, nonce_account=account, nonce_value=value, bound_block_height=bound)


def test_live_attempts_may_share_one_nonce_value(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(nonce_bound(1, "value"))
        books.attempts.add(nonce_bound(2, "value"))

    with store.read() as books:
        assert len(books.attempts.live(10)) == 2


@pytest.mark.parametrize(
    "second", [nonce_bound(2, "other"), nonce_bound(2, "value", "other account"), nonce_bound(2, None, None)]
)
def test_live_attempts_of_two_nonce_values_are_refused(store: Store, second: Any) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(nonce_bound(1, "value"))

    with pytest.raises(ConflictError), store.write() as books:
        books.attempts.add(second)


def test_a_signature_and_a_number_are_taken_once(store: Store) -> None:
    first = an_attempt(an_intent(), 1, state=AttemptState.EXPIRED)
    with store.write() as books:
        books.intents.add(an_intent())
        books.intents.add(an_intent("two"))
        books.attempts.add(first)

    with pytest.raises(ConflictError), store.write() as books:
        books.attempts.add(an_attempt(an_intent("two"), signature=first.signature))
    with pytest.raises(ConflictError), store.write() as books:
        books.attempts.add(replace(an_attempt(an_intent(), 2), number=1))


def test_attempts_change_along_their_table_only(store: Store) -> None:
    for before, after in product(AttemptState, AttemptState):
        intent = an_intent(f"{before}-{after}")
        attempt = an_attempt(intent, state=before)
        with store.write() as books:
            books.intents.add(intent)
            books.attempts.add(attempt)

        if (before, after) in ATTEMPT_TRANSITIONS:
            with store.write() as books:
                changed = books.attempts.change(attempt, at=LATER, state=after, landed_slot=7)
            with store.read() as books:
                assert books.attempts.get(attempt.id) == changed
                assert (changed.state, changed.version, changed.landed_slot) == (after, 1, 7)
        else:
            with pytest.raises(InvalidTransitionError), store.write() as books:
                books.attempts.change(attempt, at=LATER, state=after)


def test_the_signed_bytes_never_change(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(an_attempt(an_intent()))

    with pytest.raises(TypeError, match="signed_transaction"), store.write() as books:
        books.attempts.change(an_attempt(an_intent()), at=LATER, signed_transaction=b"others")


def test_two_settlements_of_one_attempt_book_once(store: Store) -> None:
    """Rule book-once: booking is a compare-and-set on the attempt."""
    attempt = an_attempt(an_intent())
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(attempt)

    def settle() -> None:
        with store.write() as books:
            books.attempts.change(attempt, at=LATER, state=AttemptState.CONFIRMED)
            books.fills.add(a_fill(attempt))

    settle()
    with pytest.raises(ConflictError):
        settle()

    with store.read() as books:
        assert books.fills.of_intent(attempt.intent_id) == (a_fill(attempt),)


def test_live_and_watched_attempts_are_listed_in_order(store: Store) -> None:
    with store.write() as books:
        for name, created, state, watch in (
            ("a", LATER, AttemptState.SENT, None),
            ("b", START, AttemptState.CONFIRMED, None),
            ("c", START, AttemptState.EXPIRED, LATER + SECOND),
            ("d", START, AttemptState.EXPIRED, START),
            ("e", START, AttemptState.EXPIRED, LATER),
            ("f", START, AttemptState.FINALIZED, LATER),
        ):
            books.intents.add(an_intent(name))
            books.attempts.add(an_attempt(an_intent(name), created_at=created, state=state, watch_until=watch))

    with store.read() as books:
        ids = {an_intent(name).id: name for name in "abcdef"}
        assert [ids[one.intent_id] for one in books.attempts.live(10)] == ["b", "a"]
        assert [ids[one.intent_id] for one in books.attempts.live(1)] == ["b"]
        assert [ids[one.intent_id] for one in books.attempts.watched(START, 10)] == ["e", "c"]
        assert [ids[one.intent_id] for one in books.attempts.watched(START, 1)] == ["e"]


# --- reservations


def a_reservation(attempt_of: str, mint: Any, kind: ReservationKind, amount: int) -> Reservation:
    return Reservation(
        attempt_id=an_attempt(an_intent(attempt_of)).id,
        wallet=WALLET,
        mint=mint,
        kind=kind,
        amount_raw=amount,
        created_at=START,
    )


def reserve(books: Books, attempt_of: str, mint: Any, kind: ReservationKind, amount: int) -> None:
    books.reservations.add([a_reservation(attempt_of, mint, kind, amount)])


def test_reserved_funds_add_up_until_they_are_released(store: Store) -> None:
    with store.write() as books:
        for name in ("one", "two"):
            books.intents.add(an_intent(name))
            books.attempts.add(an_attempt(an_intent(name)))
        reserve(books, "one", USDC, ReservationKind.INPUT, 25)
        reserve(books, "one", USDC, ReservationKind.RISK_BUDGET, 1_000)
        reserve(books, "one", WSOL_MINT, ReservationKind.FEE, 7)
        reserve(books, "two", USDC, ReservationKind.INPUT, 5)

    with store.read() as books:
        assert books.reservations.held_raw(WALLET, USDC) == 30
        assert books.reservations.held_raw(WALLET, WSOL_MINT) == 7
        assert books.reservations.held_raw(WALLET, USDC, {ReservationKind.RISK_BUDGET}) == 1_000
        assert books.reservations.held_raw(Address("other"), USDC) == 0

    with store.write() as books:
        assert books.reservations.release(an_attempt(an_intent("one")).id, LATER) == 3
        assert books.reservations.release(an_attempt(an_intent("one")).id, LATER + SECOND) == 0

    with store.read() as books:
        assert books.reservations.held_raw(WALLET, USDC) == 5
        released = books.reservations.of_attempt(an_attempt(an_intent("one")).id)
        assert {one.released_at for one in released} == {LATER}
        assert [one.kind for one in released] == ["input", "risk_budget", "fee"]


def test_an_attempt_reserves_each_kind_of_a_mint_once(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(an_attempt(an_intent()))
        reserve(books, "one", USDC, ReservationKind.INPUT, 25)

    with pytest.raises(ConflictError), store.write() as books:
        reserve(books, "one", USDC, ReservationKind.INPUT, 25)


def test_a_reservation_for_no_attempt_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError), store.write() as books:
        reserve(books, "one", USDC, ReservationKind.INPUT, 25)


# --- fills, ledger, positions


def test_a_fork_takes_a_fill_back_and_may_return_it(store: Store) -> None:
    attempt = an_attempt(an_intent())
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(attempt)
        books.fills.add(a_fill(attempt))
        assert books.fills.provisional(10) == (a_fill(attempt),)
        reversed_fill = books.fills.change(a_fill(attempt), state=FillState.REVERSED)
        assert books.fills.provisional(10) == ()
        final = books.fills.change(reversed_fill, state=FillState.FINAL, slot=2_001, output_raw=1, finalized_at=LATER)

    with store.read() as books:
        assert books.fills.get(attempt.signature) == final
        assert (final.version, final.slot, final.output_raw) == (2, 2_001, 1)

    with pytest.raises(InvalidTransitionError), store.write() as books:
        books.fills.change(final, state=FillState.REVERSED)
    with pytest.raises(ConflictError), store.write() as books:
        books.fills.change(a_fill(attempt), slot=3)


def test_the_fills_of_a_token_are_those_that_stand_in_slot_order(store: Store) -> None:
    intents = [an_intent(name) for name in ("one", "two", "three")]
    attempts = [an_attempt(intent) for intent in intents]
    with store.write() as books:
        for intent, attempt, slot in zip(intents, attempts, (30, 10, 20), strict=True):
            books.intents.add(intent)
            books.attempts.add(attempt)
            books.fills.add(a_fill(attempt, slot=slot))
        books.fills.change(a_fill(attempts[2], slot=20), state=FillState.REVERSED)
    with store.read() as books:
        for mint in (USDC, WSOL_MINT):
            assert [fill.slot for fill in books.fills.of_asset(WALLET, mint)] == [10, 30]
        assert books.fills.of_asset(WALLET, Mint("another")) == ()
        assert books.fills.of_asset(Address("another"), USDC) == ()


def line(kind: LedgerKind, delta: int, **changes: Any) -> LedgerEntry:
    given: dict[str, Any] = {
        "source": "signature",
        "wallet": WALLET,
        "asset": NATIVE_SOL,
        "kind": kind,
        "delta_raw": delta,
        "slot": 10,
        "state": FillState.PROVISIONAL,
        "booked_at": START,
    }
    return LedgerEntry(**{**given, **changes})


def test_a_balance_is_the_sum_of_lines_that_were_not_reversed(store: Store) -> None:
    with store.write() as books:
        books.ledger.add([line(LedgerKind.OPENING, MAX_RAW - 10, source="opening", slot=1, state=FillState.FINAL)])
        books.ledger.add([line(LedgerKind.FEE, -5_000), line(LedgerKind.TRADE_OUT, 5, asset=WSOL_MINT)])
        books.ledger.add([line(LedgerKind.TIP, -9, source="taken back", state=FillState.REVERSED)])

    with store.read() as books:
        assert books.ledger.balance_raw(WALLET, NATIVE_SOL, final_only=False) == MAX_RAW - 5_010
        assert books.ledger.balance_raw(WALLET, NATIVE_SOL, final_only=True) == MAX_RAW - 10
        assert books.ledger.balance_raw(WALLET, NATIVE_SOL, up_to_slot=9, final_only=False) == MAX_RAW - 10
        assert books.ledger.balance_raw(Address("other"), NATIVE_SOL, final_only=False) == 0


def test_what_changed_after_a_slot_is_the_sum_of_its_later_lines(store: Store) -> None:
    with store.write() as books:
        books.ledger.add([line(LedgerKind.OPENING, 100, source="opening", slot=9, state=FillState.FINAL)])
        books.ledger.add([line(LedgerKind.FEE, -5), line(LedgerKind.TRADE_OUT, -7, asset=WSOL_MINT)])
        books.ledger.add([line(LedgerKind.TIP, -9, source="later", slot=11, state=FillState.FINAL)])
        books.ledger.add([line(LedgerKind.TIP, -1, source="taken back", slot=12, state=FillState.REVERSED)])

    with store.read() as books:
        assert books.ledger.change_after(WALLET, NATIVE_SOL, 8) == 86
        assert books.ledger.change_after(WALLET, NATIVE_SOL, 9) == -14
        assert books.ledger.change_after(WALLET, NATIVE_SOL, 10) == -9
        assert books.ledger.change_after(WALLET, NATIVE_SOL, 11) == 0
        assert books.ledger.change_after(Address("other"), NATIVE_SOL, 8) == 0


def test_the_assets_of_a_wallet_are_those_its_lines_count(store: Store) -> None:
    with store.write() as books:
        books.wallets.add(a_wallet(address=Address("other"), name="other"))
        books.ledger.add([line(LedgerKind.FEE, -5), line(LedgerKind.TIP, -1), line(LedgerKind.TRADE_IN, 7, asset=USDC)])
        books.ledger.add([line(LedgerKind.TRADE_IN, 1, wallet=Address("other"), asset=WSOL_MINT)])

    with store.read() as books:
        assert books.ledger.assets(WALLET) == (Asset(USDC), NATIVE_SOL)
        assert books.ledger.assets(Address("nobody")) == ()


def test_a_ledger_line_is_booked_once(store: Store) -> None:
    with store.write() as books:
        books.ledger.add([line(LedgerKind.FEE, -5_000)])

    with pytest.raises(ConflictError), store.write() as books:
        books.ledger.add([line(LedgerKind.TIP, -1), line(LedgerKind.FEE, -5_000)])

    with store.read() as books:
        assert books.ledger.of_source("signature") == (line(LedgerKind.FEE, -5_000),)


def test_lines_are_settled_together_and_final_ones_stay(store: Store) -> None:
    with store.write() as books:
        books.ledger.add([line(LedgerKind.FEE, -5_000), line(LedgerKind.TIP, -1)])
        assert books.ledger.settle("signature", FillState.FINAL) == 2
        assert books.ledger.settle("signature", FillState.FINAL) == 0

    with pytest.raises(InvalidTransitionError), store.write() as books:
        books.ledger.settle("signature", FillState.REVERSED)
    with pytest.raises(ConflictError), store.write() as books:
        books.ledger.correct("signature", [line(LedgerKind.FEE, -1)])

    with store.read() as books:
        assert [entry.state for entry in books.ledger.of_source("signature")] == [FillState.FINAL] * 2


def test_a_later_reading_corrects_lines_that_are_not_final(store: Store) -> None:
    final = line(LedgerKind.TRADE_OUT, 8, slot=11, state=FillState.FINAL)
    with store.write() as books:
        books.ledger.add([line(LedgerKind.TRADE_OUT, 7), line(LedgerKind.TIP, -1)])
        books.ledger.correct("signature", [final])

    with store.read() as books:
        assert books.ledger.of_source("signature") == (final,)

    with pytest.raises(InvalidInputError), store.write() as books:
        books.ledger.correct("another", [final])


def test_a_later_reading_may_find_that_nothing_changed_hands(store: Store) -> None:
    with store.write() as books:
        books.ledger.add([line(LedgerKind.TIP, -1)])
        books.ledger.correct("signature", [])

    with store.read() as books:
        assert books.ledger.of_source("signature") == ()


def test_lines_of_a_wallet_are_listed_newest_first(store: Store) -> None:
    lines = [line(LedgerKind.FEE, -1, slot=2), line(LedgerKind.TIP, -1, slot=3), line(LedgerKind.TRADE_IN, -1, slot=3)]
    with store.write() as books:
        books.ledger.add(lines)

    with store.read() as books:
        assert books.ledger.of_wallet(WALLET, 2) == (lines[2], lines[1])


def test_lines_are_added_up_by_kind(store: Store) -> None:
    with store.write() as books:
        books.ledger.add([line(LedgerKind.OPENING, 100, source="opening", slot=1, state=FillState.FINAL)])
        books.ledger.add([line(LedgerKind.FEE, -5), line(LedgerKind.TIP, -3), line(LedgerKind.FEE, 7, asset=WSOL_MINT)])
        books.ledger.add([line(LedgerKind.FEE, -20, source="final", state=FillState.FINAL)])
        books.ledger.add([line(LedgerKind.FEE, -1, source="taken back", state=FillState.REVERSED)])

    with store.read() as books:
        assert books.ledger.sum_of(WALLET, NATIVE_SOL, [LedgerKind.FEE]) == -25
        assert books.ledger.sum_of(WALLET, NATIVE_SOL, [LedgerKind.FEE, LedgerKind.TIP]) == -28
        assert books.ledger.sum_of(WALLET, NATIVE_SOL, [LedgerKind.RENT_PAID]) == 0
        assert books.ledger.sum_of(Address("other"), NATIVE_SOL, [LedgerKind.FEE]) == 0


def test_fees_without_a_swap_are_those_of_our_transactions_that_no_trade_line_stands_beside(store: Store) -> None:
    attempt = an_attempt(an_intent())
    ours: dict[str, Any] = {"attempt_id": attempt.id, "intent_id": attempt.intent_id}
    gone: dict[str, Any] = {"state": FillState.REVERSED}
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(attempt)
        books.ledger.add(
            [line(LedgerKind.FEE, -1, source="bought", **ours), line(LedgerKind.TRADE_IN, 5, source="bought")]
        )
        books.ledger.add(
            [line(LedgerKind.FEE, -2, source="sold", **ours), line(LedgerKind.TRADE_OUT, -5, source="sold")]
        )
        books.ledger.add(
            [line(LedgerKind.FEE, -40, source="wasted", **ours), line(LedgerKind.TIP, -4, source="wasted")]
        )
        books.ledger.add(
            [line(LedgerKind.FEE, -500, source="lost", **ours), line(LedgerKind.TRADE_IN, 5, source="lost", **gone)]
        )
        books.ledger.add([line(LedgerKind.FEE, -8, source="taken back", **ours, **gone)])
        books.ledger.add([line(LedgerKind.FEE, -16, source="a stranger's")])

    with store.read() as books:
        assert books.ledger.fees_without_swap(WALLET) == -540
        assert books.ledger.fees_without_swap(Address("other")) == 0


def test_a_position_is_new_once_and_changed_by_compare_and_set(store: Store) -> None:
    new = Position(WALLET, USDC, 25, Decimal("25.0000000000000000000000001"), Decimal("-0.1"))
    with store.write() as books:
        first = books.positions.save(new)
    with store.write() as books:
        second = books.positions.save(first.sold(5, Decimal("5.5")))

    with store.read() as books:
        assert books.positions.get(WALLET, USDC) == second
        assert books.positions.of_wallet(WALLET) == (second,)
        assert books.positions.get(WALLET, WSOL_MINT) is None
        assert second.version == 2
    with pytest.raises(ConflictError), store.write() as books:
        books.positions.save(first)
    with pytest.raises(ConflictError), store.write() as books:
        books.positions.save(new)


# --- nonces, history, prices, events, system, wallets


def a_nonce(**changes: Any) -> NonceAccount:
    given: dict[str, Any] = {
        "address": Address("nonce"),
        "authority": WALLET,
        "wallet": WALLET,
        "state": NonceState.FREE,
        "value": "value",
        "value_slot": 1,
    }
    return NonceAccount(**{**given, **changes})


def test_a_nonce_is_leased_once(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        books.nonces.add(a_nonce())
    with store.write() as books:
        leased = books.nonces.change(a_nonce(), state=NonceState.LEASED, leased_intent_id=an_intent().id)

    with pytest.raises(ConflictError), store.write() as books:
        books.nonces.change(a_nonce(), state=NonceState.LEASED, leased_intent_id=an_intent().id)
    with store.read() as books:
        assert books.nonces.get(Address("nonce")) == leased
        assert books.nonces.of_wallet(WALLET) == (leased,)
    with pytest.raises(ConflictError), store.write() as books:
        books.nonces.add(a_nonce())


def test_nonces_change_along_their_table_only(store: Store) -> None:
    for before, after in product(NonceState, NonceState):
        nonce = a_nonce(address=Address(f"{before}-{after}"), state=before)
        with store.write() as books:
            books.nonces.add(nonce)

        if (before, after) in NONCE_TRANSITIONS:
            with store.write() as books:
                assert books.nonces.change(nonce, state=after, value="next").value == "next"
        else:
            with pytest.raises(InvalidTransitionError), store.write() as books:
                books.nonces.change(nonce, state=after)


def known(name: str, **changes: Any) -> KnownTransaction:
    given: dict[str, Any] = {
        "signature": Signature(name),
        "wallet": WALLET,
        "slot": 5,
        "err": None,
        "attribution": Attribution.UNKNOWN,
        "seen_at": START,
    }
    return KnownTransaction(**{**given, **changes})


def test_transactions_that_nobody_looked_at_are_told_from_known_ones(store: Store) -> None:
    asked = [Signature(f"s{number}") for number in range(1_200)]
    with store.write() as books:
        books.wallets.add(a_wallet(address=Address("second"), name="second"))
        books.known_transactions.add(known("s7"))
        books.known_transactions.add(known("s7", wallet=Address("second")))
        books.known_transactions.add(known("s1199", slot=4, err="{}"))
        books.known_transactions.add(known("s8", wallet=Address("second")))

    with store.read() as books:
        found = books.known_transactions
        assert found.missing(WALLET, asked) == tuple(one for one in asked if one not in {"s7", "s1199"})
        assert found.missing(WALLET, []) == ()
        assert found.get(WALLET, Signature("s7")) == known("s7")
        assert found.in_attribution(WALLET, Attribution.UNKNOWN) == (known("s1199", slot=4, err="{}"), known("s7"))
    with pytest.raises(ConflictError), store.write() as books:
        books.known_transactions.add(known("s7"))


def test_an_unknown_transaction_is_attributed_once(store: Store) -> None:
    with store.write() as books:
        books.known_transactions.add(known("s"))
        answer = books.known_transactions.attribute(WALLET, Signature("s"), Attribution.FOREIGN)

    assert answer == known("s", attribution=Attribution.FOREIGN)
    with store.read() as books:
        assert books.known_transactions.get(WALLET, Signature("s")) == answer
    with pytest.raises(ConflictError), store.write() as books:
        books.known_transactions.attribute(WALLET, Signature("s"), Attribution.OURS)
    with pytest.raises(ConflictError), store.write() as books:
        books.known_transactions.attribute(WALLET, Signature("never seen"), Attribution.OURS)


def a_price(usd: str, seconds: int) -> Price:
    return Price(
        mint=WSOL_MINT,
        usd=Decimal(usd),
        source="pyth",
        observed_at=START + timedelta(seconds=seconds),
        slot=3,
        confidence_usd=Decimal("0.00000000012345678901234567890"),
    )


@pytest.mark.parametrize("usd", [str(MIN_PRICE), "0.000012345678901234567", "180.12345678901234", str(MAX_PRICE)])
def test_a_price_comes_back_exactly(store: Store, usd: str) -> None:
    with store.write() as books:
        books.prices.observe([a_price(usd, 0)])

    with store.read() as books:
        assert books.prices.newest([WSOL_MINT]) == {(WSOL_MINT, "pyth"): a_price(usd, 0)}
        assert books.prices.newest([USDC]) == {}


def test_the_newest_price_is_kept_whatever_came_last(store: Store) -> None:
    with store.write() as books:
        books.prices.observe([a_price("180", 0), a_price("182", 2)])
        books.prices.observe([a_price("181", 1)])

    with store.read() as books:
        assert books.prices.newest([WSOL_MINT]) == {(WSOL_MINT, "pyth"): a_price("182", 2)}


def test_prices_are_kept_apart_by_mint_and_source(store: Store) -> None:
    kept = [
        replace(a_price(usd, 0), mint=mint, source=source)
        for usd, mint, source in (("3", USDC, "pyth"), ("2", WSOL_MINT, "jupiter"), ("1", WSOL_MINT, "pyth"))
    ]
    with store.write() as books:
        books.prices.observe(kept)

    with store.read() as books:
        assert books.prices.newest([WSOL_MINT, USDC]) == {(price.mint, price.source): price for price in kept}
        assert books.prices.newest([USDC]) == {(USDC, "pyth"): kept[0]}


def test_nothing_observed_and_nothing_reserved_changes_nothing(store: Store) -> None:
    with store.write() as books:
        books.prices.observe([])
        books.reservations.add([])

    with store.read() as books:
        assert books.prices.newest([WSOL_MINT, USDC]) == {}
        assert books.reservations.held_raw(WALLET, USDC) == 0


def test_of_no_kind_and_no_mint_nothing_is_known(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent())
        books.attempts.add(an_attempt(an_intent()))
        reserve(books, "one", USDC, ReservationKind.INPUT, 25)
        books.prices.observe([a_price("180", 0)])

    with store.read() as books:
        assert books.reservations.held_raw(WALLET, USDC, ()) == 0
        assert books.prices.newest(()) == {}


def test_events_are_a_timeline_with_exact_facts(store: Store) -> None:
    facts = {"price": Decimal("0.1"), "big": 2**70, "list": [Decimal("1.50"), None, True, "é"], "more": {"a": 1}}
    first = Event(at=START, kind="a.b", severity=Severity.INFO, message="m", intent_id=an_intent().id, facts=facts)
    with store.write() as books:
        one = books.events.add(first)
        two = books.events.add(replace(first, intent_id=None, wallet=WALLET, facts={}))
        three = books.events.add(replace(first, facts={}))

    with store.read() as books:
        assert books.events.of_intent(an_intent().id) == (one, three)
        assert books.events.recent(2) == (three, two)
        assert one == replace(first, id=one.id)
        assert one.id is not None


def test_the_newest_events_of_some_kinds_and_severities_are_found(store: Store) -> None:
    def event(kind: str, severity: Severity) -> Event:
        return Event(at=START, kind=kind, severity=severity, message="m")

    with store.write() as books:
        one = books.events.add(event("a.b", Severity.CRITICAL))
        two = books.events.add(event("a.c", Severity.ERROR))
        three = books.events.add(event("a.b", Severity.INFO))

    with store.read() as books:
        assert books.events.recent(1, kinds=["a.b"]) == (three,)
        assert books.events.recent(9, kinds=["a.b", "a.c"]) == (three, two, one)
        assert books.events.recent(9, severities=[Severity.ERROR, Severity.CRITICAL]) == (two, one)
        assert books.events.recent(9, kinds=["a.b"], severities=[Severity.CRITICAL]) == (one,)
        assert books.events.recent(9, kinds=[]) == books.events.recent(9, severities=[]) == ()


@pytest.mark.parametrize("facts", [{"price": 0.1}, {"deep": [{"price": 0.1}]}, {"when": START}])
def test_facts_that_are_not_exact_json_are_refused(store: Store, facts: Any) -> None:
    with pytest.raises(InvalidInputError), store.write() as books:
        books.events.add(Event(at=START, kind="a.b", severity=Severity.INFO, message="m", facts=facts))


def test_the_system_starts_active_in_its_first_epoch(store: Store) -> None:
    with store.read() as books:
        state = books.system.get()

    assert (state.epoch, state.mode, state.highest_finalized_height) == (1, TradingMode.ACTIVE, 0)


def test_the_mode_is_changed_by_compare_and_set(store: Store) -> None:
    with store.write() as books:
        before = books.system.hold()
    with store.write() as books:
        halted = books.system.change(
            before, mode=TradingMode.HALTED, reason="clone", changed_by="operator", changed_at=LATER
        )

    with store.read() as books:
        assert books.system.get() == halted
        assert halted.version == 1
    with pytest.raises(ConflictError), store.write() as books:
        books.system.change(before, mode=TradingMode.ACTIVE)
    with pytest.raises(TypeError), store.write() as books:
        books.system.change(halted, highest_finalized_height=0)


def test_the_highest_height_never_falls(store: Store) -> None:
    with store.write() as books:
        books.system.saw_finalized_height(500)
        books.system.saw_finalized_height(400)

    with store.read() as books:
        assert books.system.get().highest_finalized_height == 500


def test_a_wallet_is_found_changed_and_unique(store: Store) -> None:
    with store.write() as books:
        changed = books.wallets.change(
            a_wallet(),
            mode=TradingMode.REDUCING,
            mode_reason="clone",
            mode_changed_at=LATER,
            wrap_mode=WrapMode.WRAPPED,
            cursor_signature=Signature("newest"),
            cursor_slot=9,
        )
        books.wallets.add(a_wallet(address=Address("another"), name="another"))

    with store.read() as books:
        assert books.wallets.get(WALLET) == books.wallets.by_name("main") == changed
        assert [wallet.name for wallet in books.wallets.all()] == ["another", "main"]
        assert books.wallets.get(Address("nobody")) is None
    with store.write() as books:
        assert books.wallets.lock(WALLET) == changed
    with pytest.raises(ConflictError), store.write() as books:
        books.wallets.add(a_wallet(address=Address("third")))
    with pytest.raises(ConflictError), store.write() as books:
        books.wallets.change(a_wallet(), name="lost")


def test_every_time_in_the_books_is_utc(store: Store) -> None:
    with store.write() as books:
        books.intents.add(an_intent(lease_until=LATER, cancel_requested_at=LATER))

    with store.read() as books:
        intent = books.intents.get(an_intent().id)
        times = [getattr(intent, field.name) for field in fields(an_intent())]
        assert {time.tzinfo for time in times if isinstance(time, datetime)} == {UTC}
