"""The books of one wallet as one transaction of the database saw them, all of it at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sniperforge.domain.intent import Attempt, Fill, FillState, TradeIntent
from sniperforge.domain.money import Address, Signature
from sniperforge.errors import InvalidInputError
from sniperforge.ports.records import Asset, Attribution, LedgerEntry, LedgerKind
from sniperforge.ports.store import Store

OPENING = "opening"
"""Source of the lines that say what a wallet held when it came into the books."""

_ALL = 2**31 - 1
"""More rows than any table of ours has: a check that stops somewhere proves nothing about the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a wallet held, by asset, at the end of which slot."""

    slot: int
    balances: Mapping[Asset, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One intent with everything that came of it."""

    intent: TradeIntent
    attempts: Sequence[Attempt]
    fills: Sequence[Fill]


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksView:
    """Everything the checks read of the books.

    Attributes:
        decided: Every intent of every wallet: a key must not be decided twice, wherever.
        cases: The wallet's intents.
        lines: The wallet's ledger lines, opening included, in the order of slots.
        nonce_accounts: The wallet's.
        attributions: Whose the transactions asked about are, as far as the books looked at them.
    """

    decided: Sequence[TradeIntent]
    cases: Sequence[Case]
    lines: Sequence[LedgerEntry]
    nonce_accounts: frozenset[Address]
    attributions: Mapping[Signature, Attribution]

    def attempts(self) -> Mapping[Signature, tuple[Attempt, Case]]:
        """Attempts by signature, with their case."""
        return {attempt.signature: (attempt, case) for case in self.cases for attempt in case.attempts}


def read_opening(store: Store, wallet: Address) -> Opening:
    """What the wallet held when it came into the books.

    Raises:
        InvalidInputError: It has no opening balance, so there is nothing to compare the chain with.
    """
    with store.read() as books:
        lines = [line for line in books.ledger.of_source(OPENING) if is_opening(line) and line.wallet == wallet]
    if not lines:
        raise InvalidInputError(
            "the books have no opening balance of this wallet",
            subject=wallet,
            fix="Take it into the books first: run `sniperforge reconcile`",
        )
    return Opening(
        slot=max(line.slot for line in lines), balances={line.asset: line.delta_raw for line in lines if line.delta_raw}
    )


def is_opening(line: LedgerEntry) -> bool:
    """An opening line that counts."""
    return (line.source, line.kind, line.state) == (OPENING, LedgerKind.OPENING, FillState.FINAL)


def read_books(store: Store, wallet: Address, landed: Iterable[Signature]) -> BooksView:
    """Everything of a wallet, in one consistent read.

    Args:
        store: The books.
        wallet: Whose.
        landed: Transactions whose attribution matters.
    """
    with store.read() as books:
        decided = books.intents.recent(_ALL)
        return BooksView(
            decided=decided,
            cases=tuple(
                Case(
                    intent=intent,
                    attempts=books.attempts.of_intent(intent.id),
                    fills=books.fills.of_intent(intent.id),
                )
                for intent in decided
                if intent.wallet == wallet
            ),
            lines=tuple(reversed(books.ledger.of_wallet(wallet, _ALL))),
            nonce_accounts=frozenset(nonce.address for nonce in books.nonces.of_wallet(wallet)),
            attributions={
                signature: known.attribution
                for signature in landed
                if (known := books.known_transactions.get(wallet, signature)) is not None
            },
        )
