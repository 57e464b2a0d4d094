"""Books on paper held against themselves: sound ones pass, and each thing that must not be in them is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sniperforge.domain.intent import AttemptState, FillState, IntentState, SendPath
from sniperforge.domain.money import Signature
from sniperforge.infrastructure.paper_invariants import PaperInvariantChecker
from sniperforge.ports.records import NATIVE_SOL, LedgerEntry, LedgerKind
from sniperforge.ports.store import Books
from tests.fakes.paper_world import PaperWorld
from tests.fakes.records import a_fill, an_attempt, an_intent
from tests.fakes.trading_orders import OWNER, SOL, USDC


def traded() -> PaperWorld:
    """Three trades of both kinds, one that failed, one that waits."""
    world = PaperWorld()
    world.trade("buy")
    world.trade("more", output_mint=SOL)
    world.trade("sell", input_mint=SOL, output_mint=USDC, input_raw=10**8)
    world.trade("too-much", input_raw=10**12)
    world.decide("waits")
    return world


def check(world: PaperWorld) -> list[str]:
    report = PaperInvariantChecker(store=world.store.books).check(OWNER)
    assert report.holds is (not report.violations)
    return [f"{one.invariant} {one.what}" for one in report.violations]


def test_sound_books_pass_and_it_is_said_that_there_is_no_chain() -> None:
    world = traded()
    report = PaperInvariantChecker(store=world.store.books).check(OWNER)

    assert report.holds
    assert "no chain to compare with" in str(report)
    seen = report.looked_at
    assert (seen.intents, seen.attempts, seen.fills, seen.transactions) == (5, 3, 3, 0)


def test_books_without_a_trade_pass() -> None:
    assert check(PaperWorld()) == []


def line(**changes: object) -> LedgerEntry:
    made = LedgerEntry(
        source="somebody",
        wallet=OWNER,
        asset=NATIVE_SOL,
        kind=LedgerKind.TRADE_IN,
        delta_raw=1,
        slot=1,
        state=FillState.FINAL,
        booked_at=PaperWorld().clock.now(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


PAPER = an_intent("planted", wallet=OWNER, path=SendPath.PAPER, attempts_made=1)
MADE = an_attempt(PAPER, signature=Signature("paper-planted"), state=AttemptState.FINALIZED, signed_transaction=b"")


def a_case(books: Books, ended: IntentState = IntentState.FILLED, **attempt: object) -> None:
    """A filled trade whose lines are missing, made by hand."""
    made = replace(MADE, **attempt)  # type: ignore[arg-type]
    books.intents.add(replace(PAPER, state=ended))
    books.attempts.add(made)
    books.fills.add(a_fill(made, state=FillState.FINAL))


def no_fill(books: Books) -> None:
    books.intents.add(replace(PAPER, state=IntentState.FILLED))


def attempt_without_fill(books: Books) -> None:
    books.intents.add(PAPER)
    books.attempts.add(MADE)


def two_fills(books: Books) -> None:
    a_case(books)
    second = an_attempt(
        PAPER, 2, signature=Signature("paper-two"), state=AttemptState.FINALIZED, signed_transaction=b""
    )
    books.attempts.add(second)
    books.fills.add(a_fill(second, state=FillState.FINAL))


@pytest.mark.parametrize(
    ("told", "plant"),
    [
        ("I1 it was filled 2 times", two_fills),
        ("I2 it is filled, and has 0 fills", no_fill),
        ("I2 it is pending, and has 1 fills", lambda books: a_case(books, IntentState.PENDING)),
        ("I2 it is finalized, and has no final fill", attempt_without_fill),
        ("I2 it is not marked as paper (managed, paper-planted)", lambda books: a_case(books, path=SendPath.MANAGED)),
        ("I2 it is not marked as paper (paper, 5x)", lambda books: a_case(books, signature=Signature("5x"))),
        ("I3 it is sent", lambda books: a_case(books, state=AttemptState.SENT)),
        ("I3 it is finalized: on paper nothing is signed", lambda books: a_case(books, signed_transaction=b"x")),
        ("I4 it is failed, and has a fill", lambda books: a_case(books, IntentState.FAILED)),
        ("I5 it comes to {", a_case),
        ("I5 its lines belong to no fill", lambda books: books.ledger.add([line()])),
        ("I5 its lines belong to no fill", lambda books: books.ledger.add([line(kind=LedgerKind.OPENING)])),
        (
            "I5 its lines belong to no fill",
            lambda books: books.ledger.add([line(kind=LedgerKind.TRANSFER_IN, delta_raw=-1)]),
        ),
        ("I5 it is -", lambda books: books.ledger.add([line(delta_raw=-(10**12), kind=LedgerKind.TRADE_OUT)])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_must_not_be_in_the_books_is_named(told: str, plant: Callable[[Books], None]) -> None:
    world = traded()
    with world.store.books.write() as books:
        plant(books)

    assert any(one.startswith(told) for one in check(world)), check(world)
