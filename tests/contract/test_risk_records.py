"""What protections ask of the books, held by every store: the one in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sniperforge.domain.intent import (
    AttemptState,
    ExposureEffect,
    FillState,
    IntentKind,
    IntentState,
    MaintenancePurpose,
    TradeIntent,
)
from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.portfolio import Position
from sniperforge.domain.risk import Dated
from sniperforge.ports.records import NATIVE_SOL, Event, LedgerEntry, LedgerKind, Severity
from sniperforge.ports.risk import PRICE_DIVERGED, EndedEntry, ExitFill
from sniperforge.ports.store import Books, Store
from tests.fakes.clock import START
from tests.fakes.records import USDC, WALLET, a_fill, a_wallet, an_attempt, an_intent
from tests.fakes.stores import empty_store

SECOND = timedelta(seconds=1)
LATER = START + timedelta(minutes=1)
ENTRY, EXIT = ExposureEffect.ENTRY, ExposureEffect.EXIT
JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
OTHER = Address("4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T")


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with empty_store(request.param, tmp_path) as made:
        with made.write() as books:
            books.wallets.add(a_wallet())
            books.wallets.add(a_wallet(address=OTHER, name="other"))
        yield made


def add(books: Books, name: str, *, effect: ExposureEffect = ENTRY, output: Mint = WSOL_MINT, **attempt: Any) -> None:
    """A trade with one signed transaction."""
    intent = an_intent(name, effect=effect, output_mint=output)
    books.intents.add(intent)
    books.attempts.add(an_attempt(intent, **attempt))


def fill(books: Books, name: str, result: str | None = None, *, effect: ExposureEffect = EXIT, **changes: Any) -> None:
    """A trade with a fill; an attempt of it was signed at the start, unless said otherwise."""
    intent = an_intent(name, effect=effect)
    attempt = an_attempt(intent, created_at=changes.pop("signed_at", START), **changes.pop("attempt", {}))
    books.intents.add(intent)
    books.attempts.add(attempt)
    result_usd = None if result is None else Decimal(result)
    books.fills.add(a_fill(attempt, result_usd=result_usd, **changes))


def test_spending_is_what_entries_of_the_time_gave_or_may_still_give(store: Store) -> None:
    with store.write() as books:
        for name, created, state, effect, raw in (
            ("c", LATER + SECOND, AttemptState.FINALIZED, ENTRY, 300),
            ("a", LATER, AttemptState.SIGNED, ENTRY, 1),
            ("d", LATER, AttemptState.EXPIRED, ENTRY, 4_000),
            ("e", LATER, AttemptState.REVERTED, ENTRY, 50_000),
            ("f", LATER, AttemptState.SENT, EXIT, 600_000),
            ("g", LATER - SECOND, AttemptState.SENT, ENTRY, 7_000_000),
        ):
            add(books, name, effect=effect, created_at=created, state=state, input_amount_raw=raw)
        add(books, "worth-nobody-knows", created_at=LATER, usd_per_input_unit=None)
    with store.read() as books:
        spent = (Dated(LATER, Decimal("0.000001")), Dated(LATER + SECOND, Decimal("0.0003")))
        assert books.risk.spent(since=LATER) == spent
        assert books.risk.spent(since=LATER + SECOND + SECOND) == ()


def test_under_way_is_what_signed_entries_without_a_fill_give_by_the_token_they_get(store: Store) -> None:
    with store.write() as books:
        for name, state, effect, output, raw in (
            ("a", AttemptState.SIGNED, ENTRY, JUP, 1),
            ("b", AttemptState.SENT, ENTRY, JUP, 20),
            ("c", AttemptState.SENT, ENTRY, WSOL_MINT, 300),
            ("d", AttemptState.CONFIRMED, ENTRY, JUP, 4_000),
            ("e", AttemptState.EXPIRED, ENTRY, JUP, 50_000),
            ("f", AttemptState.SENT, EXIT, JUP, 600_000),
        ):
            add(books, name, effect=effect, output=output, state=state, input_amount_raw=raw)
    with store.read() as books:
        assert books.risk.under_way() == {JUP: Decimal("0.000021"), WSOL_MINT: Decimal("0.0003")}


def test_held_is_the_cost_of_positions_of_all_wallets_that_are_not_empty(store: Store) -> None:
    with store.write() as books:
        for wallet, mint, raw, cost in ((WALLET, JUP, 5, "1.5"), (OTHER, JUP, 1, "2"), (WALLET, WSOL_MINT, 7, "10")):
            books.positions.save(Position(wallet, mint, raw, Decimal(cost), Decimal(0)))
        books.positions.save(Position(OTHER, WSOL_MINT, 0, Decimal("0.1"), Decimal(3)))
    with store.read() as books:
        assert books.risk.held() == {JUP: Decimal("3.5"), WSOL_MINT: Decimal(10)}


def test_exits_are_fills_with_a_result_that_stand_oldest_first(store: Store) -> None:
    with store.write() as books:
        add_exits(books)
    with store.read() as books:
        assert books.risk.exits(since=LATER) == (
            ExitFill(at=LATER, key=an_intent("soon").key, token=USDC),
            ExitFill(at=LATER + SECOND, key=an_intent("late").key, token=JUP),
        )


def add_exits(books: Books) -> None:
    fill(books, "late", "-1.5", booked_at=LATER + SECOND, input_mint=JUP, output_mint=USDC)
    fill(books, "soon", "2", booked_at=LATER)
    fill(books, "before", "4", booked_at=LATER - SECOND)
    fill(books, "taken-back", "8", booked_at=LATER, state=FillState.REVERSED)
    fill(books, "an-entry", effect=ENTRY, booked_at=LATER)


def test_a_result_can_be_corrected(store: Store) -> None:
    with store.write() as books:
        fill(books, "one", "2")
    with store.write() as books:
        (found,) = books.fills.of_intent(an_intent("one").id)
        books.fills.change(found, result_usd=Decimal(-3))
    with store.read() as books:
        assert [one.usd for one in books.risk.results(since=START)] == [Decimal(-3)]


def reverted(books: Books, name: str, lamports: int, **changes: Any) -> None:
    """A transaction that landed with an error, and its fee."""
    state = changes.pop("line_state", FillState.FINAL)
    attempt = an_attempt(an_intent(name), **{"state": AttemptState.REVERTED, "created_at": LATER, **changes})
    books.intents.add(an_intent(name))
    books.attempts.add(attempt)
    line = LedgerEntry(
        source=attempt.signature,
        wallet=WALLET,
        asset=NATIVE_SOL,
        kind=LedgerKind.FEE,
        delta_raw=-lamports,
        slot=5,
        state=state,
        booked_at=LATER,
        attempt_id=attempt.id,
    )
    books.ledger.add([line])


def test_results_are_what_exits_brought_and_as_losses_fees_of_what_landed_with_an_error(store: Store) -> None:
    lamport, half = Decimal("0.0000002"), timedelta(seconds=0.5)
    with store.write() as books:
        add_exits(books)
        reverted(books, "last", 20, created_at=LATER + 2 * SECOND, usd_per_lamport=lamport)
        reverted(books, "between", 5_000, created_at=LATER + half, usd_per_lamport=lamport)
        reverted(books, "earlier", 7, created_at=LATER - SECOND, usd_per_lamport=lamport)
        reverted(books, "without-price", 7, usd_per_lamport=None)
        reverted(books, "landed", 7, state=AttemptState.FINALIZED, usd_per_lamport=lamport)
        reverted(books, "not-of-now", 7, line_state=FillState.REVERSED, usd_per_lamport=lamport)
    with store.read() as books:
        assert books.risk.results(since=LATER) == (
            Dated(LATER, Decimal(2)),
            Dated(LATER + half, -5_000 * lamport),
            Dated(LATER + SECOND, Decimal("-1.5")),
            Dated(LATER + 2 * SECOND, -20 * lamport),
        )


def test_fees_are_fee_tip_and_rent_of_fills_and_the_fees_that_were_wasted(store: Store) -> None:
    one: dict[str, Any] = {"attempt": {"usd_per_lamport": Decimal(1)}, "signed_at": LATER}
    paid: dict[str, Any] = {
        "fee_lamports": 5,
        "tip_lamports": 20,
        "rent_paid_lamports": 300,
        "rent_returned_lamports": 0,
    }
    with store.write() as books:
        fill(books, "entry", effect=ENTRY, **one, **paid)
        fill(books, "exit", "1", **one, **{**paid, "rent_paid_lamports": 0, "rent_returned_lamports": 4_000})
        fill(books, "taken-back", "1", state=FillState.REVERSED, **one, **paid)
        fill(books, "before", "1", **{**one, "signed_at": LATER - SECOND}, **paid)
        fill(books, "no-price", "1", attempt={"usd_per_lamport": None}, signed_at=LATER, **paid)
        reverted(books, "wasted", 60_000, usd_per_lamport=Decimal(1))
    with store.read() as books:
        assert books.risk.fees(since=LATER) == 325 + (25 - 4_000) + 60_000


def ended(books: Books, name: str, state: IntentState, minute: int, **changes: Any) -> TradeIntent:
    """A trade decided at that minute that ended an hour after the start."""
    given = {"created_at": START + timedelta(minutes=minute), "updated_at": START + timedelta(hours=1, minutes=minute)}
    intent = an_intent(name, state=state, **{**given, **changes})
    books.intents.add(intent)
    return intent


def test_ended_entries_are_those_that_filled_or_failed_newest_decision_first(store: Store) -> None:
    failed, filled = IntentState.FAILED, IntentState.FILLED
    with store.write() as books:
        ended(books, "a", filled, 1)
        ended(books, "b", failed, 3, reason_code="deadline", updated_at=START + timedelta(hours=9))
        ended(books, "c", failed, 2)
        ended(books, "open", IntentState.PENDING, 5)
        ended(books, "cancelled", IntentState.CANCELLED, 6)
        ended(books, "parked", IntentState.PARKED, 6)
        ended(books, "executing", IntentState.EXECUTING, 6)
        ended(books, "exit", failed, 7, effect=EXIT)
        ended(books, "wrap", failed, 8, kind=IntentKind.MAINTENANCE, purpose=MaintenancePurpose.WRAP)
        ended(books, "denied", failed, 9, reason_code="max_exposure_usd")
    b, c = EndedEntry(START + timedelta(hours=9), failed=True), EndedEntry(START + timedelta(minutes=62), failed=True)
    a = EndedEntry(START + timedelta(minutes=61), failed=False)
    with store.read() as books:
        assert books.risk.ended_entries(10, without=["max_exposure_usd", "other"]) == (b, c, a)
        assert books.risk.ended_entries(2, without=["max_exposure_usd"]) == (b, c)
        assert len(books.risk.ended_entries(10, without=[])) == 4


def test_diverged_is_when_each_trade_was_last_set_back_by_prices(store: Store) -> None:
    def event(name: str, seconds: int, kind: str = PRICE_DIVERGED) -> Event:
        at = LATER + timedelta(seconds=seconds)
        return Event(at=at, kind=kind, severity=Severity.WARNING, message="", intent_id=an_intent(name).id)

    with store.write() as books:
        for one in (event("a", -9), event("b", 1), event("b", 7), event("c", 3), event("d", 5, "intent.set_back")):
            books.events.add(one)
    with store.read() as books:
        assert books.risk.diverged(since=LATER) == tuple(LATER + timedelta(seconds=at) for at in (3, 7))
        assert len(books.risk.diverged(since=START)) == 3


def test_empty_books_answer_everything_with_nothing(store: Store) -> None:
    with store.read() as books:
        asked = books.risk
        assert (asked.spent(since=START), asked.exits(since=START), asked.results(since=START)) == ((), (), ())
        assert [dict(asked.under_way()), dict(asked.held()), [asked.fees(since=START)]] == [{}, {}, [Decimal(0)]]
        assert (asked.ended_entries(3, without=["x"]), asked.diverged(since=START)) == ((), ())
