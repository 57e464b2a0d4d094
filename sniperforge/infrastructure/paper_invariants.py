"""The invariants of books on paper. There is no chain to hold them against, so they are held against themselves.

What is left of them: I1 one fill at most per intent; I2 every fill has its attempt, marked as paper, and every FILLED
intent its fill; I3 nothing is in flight; I4 what ended has no fill; I5 each fill's ledger lines are what the fill
says, every other line is a balance that was given, and no balance is below zero.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from sniperforge.domain.intent import (
    LIVE_ATTEMPT_STATES,
    TERMINAL_INTENT_STATES,
    AttemptState,
    Fill,
    FillState,
    IntentState,
    SendPath,
)
from sniperforge.domain.money import WSOL_MINT, Address
from sniperforge.infrastructure.books_view import BooksView, Case, read_books
from sniperforge.infrastructure.invariant_report import Invariant, LookedAt, Report, Violation
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerEntry, LedgerKind
from sniperforge.ports.store import Store

MARK = "paper-"
"""How the id of everything on paper begins; no signature does."""


class PaperInvariantChecker:
    """`invariants.InvariantChecker` for books on paper; changes nothing and asks nobody.

    Args:
        store: The books of paper mode.
    """

    def __init__(self, *, store: Store) -> None:
        self._store = store

    def check(self, wallet: Address) -> Report:
        """Hold what can be held."""
        books = read_books(self._store, wallet, ())
        found = [*_trades(books), *_ledger(books)]
        return Report(
            wallet=wallet,
            node="PAPER: there is no chain to compare with",
            slot=max((line.slot for line in books.lines), default=0),
            violations=tuple(sorted(found, key=lambda one: (one.invariant, one.subject))),
            alerts=(),
            looked_at=LookedAt(
                transactions=0,
                landings=0,
                in_flight=0,
                intents=len(books.cases),
                attempts=sum(len(case.attempts) for case in books.cases),
                fills=sum(len(case.fills) for case in books.cases),
                lines=len(books.lines),
                assets=len({line.asset for line in books.lines}),
                uncountable=0,
            ),
        )


def _trades(books: BooksView) -> Iterator[Violation]:
    for case in books.cases:
        subject, intent = f"intent {case.intent.id}", case.intent
        if len(case.fills) > 1:
            yield _broken("I1", subject, f"it was filled {len(case.fills)} times")
        if case.fills and intent.state in TERMINAL_INTENT_STATES:
            yield _broken("I4", subject, f"it is {intent.state.value}, and has a fill")
        elif bool(case.fills) != (intent.state is IntentState.FILLED):
            yield _broken("I2", subject, f"it is {intent.state.value}, and has {len(case.fills)} fills")
        yield from _attempts(case)


def _attempts(case: Case) -> Iterator[Violation]:
    filled = {fill.attempt_id: fill for fill in case.fills}
    for attempt in case.attempts:
        subject = f"attempt {attempt.id}"
        if attempt.state in LIVE_ATTEMPT_STATES or attempt.signed_transaction:
            yield _broken("I3", subject, f"it is {attempt.state.value}: on paper nothing is signed or in flight")
        if attempt.path is not SendPath.PAPER or not attempt.signature.startswith(MARK):
            yield _broken("I2", subject, f"it is not marked as paper ({attempt.path.value}, {attempt.signature})")
        fill = filled.pop(attempt.id, None)
        if (
            fill is None
            or (fill.state, attempt.state) != (FillState.FINAL, AttemptState.FINALIZED)
            or fill.signature != attempt.signature
        ):
            yield _broken("I2", subject, f"it is {attempt.state.value}, and has no final fill of its own")
    for fill in filled.values():
        yield _broken("I2", f"fill {fill.signature}", "it belongs to no attempt of its intent")


def _ledger(books: BooksView) -> Iterator[Violation]:
    by_source: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    for line in books.lines:
        by_source[line.source].append(line)
    for case in books.cases:
        for fill in case.fills:
            expected, booked = _expected(fill), _sums(by_source.pop(fill.signature, []))
            if booked != expected:
                yield _broken(
                    "I5", f"fill {fill.signature}", f"it comes to {dict(expected)}, and its lines to {dict(booked)}"
                )
    for source, lines in by_source.items():
        if any(line.kind is not LedgerKind.TRANSFER_IN or line.delta_raw < 0 for line in lines):
            yield _broken("I5", f"source {source}", "its lines belong to no fill, and are no balance that was given")
    for asset, raw in sorted(_sums(books.lines).items()):
        if raw < 0:
            yield _broken("I5", f"balance of {asset}", f"it is {raw} base units")


def _expected(fill: Fill) -> Counter[Asset]:
    total: Counter[Asset] = Counter()
    for mint, raw in ((fill.input_mint, -fill.input_raw), (fill.output_mint, fill.output_raw)):
        total[NATIVE_SOL if mint == WSOL_MINT else Asset(mint)] += raw
    total[NATIVE_SOL] -= fill.fee_lamports + fill.tip_lamports + fill.rent_paid_lamports - fill.rent_returned_lamports
    return Counter({asset: raw for asset, raw in total.items() if raw})


def _sums(lines: Sequence[LedgerEntry]) -> Counter[Asset]:
    total: Counter[Asset] = Counter()
    for line in lines:
        total[line.asset] += line.delta_raw
    return Counter({asset: raw for asset, raw in total.items() if raw})


def _broken(invariant: Invariant, subject: str, what: str) -> Violation:
    return Violation(
        invariant=invariant,
        subject=subject,
        what=what,
        fix="No money is involved; but the program or somebody else wrote what it must not: report it",
        evidence={},
    )
