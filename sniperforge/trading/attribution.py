"""Whose doing a transaction is, and what it writes into the books when it is not ours (rule *one owner*).

Everything that one transaction brings about is one commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sniperforge.domain.ids import AttemptId
from sniperforge.domain.intent import Attempt, AttemptState, FillState
from sniperforge.domain.money import MAX_RAW, Address
from sniperforge.ports.chain import LandedTransaction
from sniperforge.ports.clock import Clock
from sniperforge.ports.records import (
    Attribution,
    Event,
    KnownTransaction,
    LedgerEntry,
    LedgerKind,
    Severity,
    TradingMode,
    WalletRecord,
)
from sniperforge.ports.store import Books, Store
from sniperforge.trading.balances import wallet_change
from sniperforge.trading.bookkeeping import ledger_lines
from sniperforge.trading.controls import stopped_since
from sniperforge.trading.history import signers

RUNBOOK = "docs/runbooks/foreign-transaction.md"


class Attributor:
    """Looks at finalized transactions of a wallet for the first time.

    Args:
        store: The books.
        clock: Times of booking.
        tip_accounts: Where tips go on this network.
    """

    def __init__(self, *, store: Store, clock: Clock, tip_accounts: Collection[Address]) -> None:
        self._store = store
        self._clock = clock
        self._tip_accounts = tip_accounts

    def look_at(self, address: Address, landed: LandedTransaction) -> KnownTransaction | None:
        """Attribute a transaction and, unless it is ours, book it. None if somebody looked at it before.

        - OURS: the transaction of an attempt of this wallet. The executor books it.
        - FOREIGN: our key signed it and the books do not know it, or it took something without our key (a delegate, a
          mint's permanent delegate). It is booked, the wallet is halted, and the event is CRITICAL.
        - DEPOSIT: anything else. Nobody can take this way, so it gave something, or changed nothing of ours.
        """
        with self._store.write() as books:
            wallet = books.wallets.lock(address)
            if wallet is None or books.known_transactions.get(address, landed.signature) is not None:
                return None
            now = self._clock.now()
            attempt = books.attempts.by_signature(landed.signature)
            if attempt is not None and attempt.wallet == address:
                _alarm_if_undead(books, attempt, landed, now)
                return _know(books, address, landed, Attribution.OURS, now, attempt)
            lines = self._lines(books, address, landed, now)
            _book(books, lines, now)
            reason = _foreign(address, landed, lines)
            if reason is None:
                _tell_deposit(books, address, landed, lines, now)
                return _know(books, address, landed, Attribution.DEPOSIT, now)
            _halt(books, wallet, landed, lines, reason, now)
            return _know(books, address, landed, Attribution.FOREIGN, now)

    def signed_elsewhere(self, address: Address, landed: LandedTransaction) -> bool:
        """Whether our key signed a transaction that is not one of the wallet's attempts."""
        if address not in signers(landed):
            return False
        with self._store.read() as books:
            attempt = books.attempts.by_signature(landed.signature)
        return attempt is None or attempt.wallet != address

    def undead(self, looked_at: Iterable[KnownTransaction]) -> tuple[AttemptId, ...]:
        """Attempts among these transactions that the books call dead, by what was proof, and that landed."""
        with self._store.read() as books:
            attempts = [books.attempts.get(one.attempt_id) for one in looked_at if one.attempt_id is not None]
        return tuple(one.id for one in attempts if one is not None and one.state is AttemptState.EXPIRED)

    def _lines(
        self, books: Books, address: Address, landed: LandedTransaction, now: datetime
    ) -> tuple[LedgerEntry, ...]:
        change = wallet_change(
            landed,
            wallet=address,
            fee_lamports=landed.fee_lamports,
            # What others tip in their own transactions is no cost of ours.
            tip_accounts=self._tip_accounts if landed.accounts[0] == address else (),
            nonce_accounts=[nonce.address for nonce in books.nonces.of_wallet(address)],
        )
        return ledger_lines(landed, change, wallet=address, traded=frozenset(), state=FillState.FINAL, at=now)


def _foreign(address: Address, landed: LandedTransaction, lines: Sequence[LedgerEntry]) -> str | None:
    """Why somebody else must hold power over this wallet, or None."""
    transaction = f"transaction {landed.signature} of slot {landed.slot}"
    if address in signers(landed):
        return f"{transaction} was signed by this wallet's key, and the books do not know it"
    if any(line.kind is LedgerKind.TRANSFER_OUT for line in lines):
        return f"{transaction} took from this wallet without its key"
    return None


def _book(books: Books, lines: Sequence[LedgerEntry], now: datetime) -> None:
    """Book every line that 64 bits can count.

    Only tokens that somebody issued without measure have others; to send some of them must not stop the books.
    """
    for line in lines:
        held = books.ledger.balance_raw(line.wallet, line.asset, final_only=False)
        if max(abs(line.delta_raw), abs(held + line.delta_raw)) <= MAX_RAW:
            books.ledger.add([line])
        else:
            books.events.add(
                Event(
                    at=now,
                    kind="wallet.uncountable",
                    severity=Severity.WARNING,
                    message=f"not booked: more of {line.asset} than the books can count, by transaction {line.source}",
                    wallet=line.wallet,
                    facts={"signature": line.source, "asset": line.asset, "raw": str(line.delta_raw)},
                )
            )


def _know(
    books: Books,
    address: Address,
    landed: LandedTransaction,
    attribution: Attribution,
    now: datetime,
    attempt: Attempt | None = None,
) -> KnownTransaction:
    known = KnownTransaction(
        signature=landed.signature,
        wallet=address,
        slot=landed.slot,
        err=landed.err,
        attribution=attribution,
        seen_at=now,
        attempt_id=attempt.id if attempt is not None else None,
    )
    books.known_transactions.add(known)
    return known


def _alarm_if_undead(books: Books, attempt: Attempt, landed: LandedTransaction, now: datetime) -> None:
    if attempt.state is not AttemptState.EXPIRED:
        return
    books.events.add(
        Event(
            at=now,
            kind="attempt.undead",
            severity=Severity.CRITICAL,
            message=f"transaction {attempt.signature} was called dead and landed in slot {landed.slot}",
            wallet=attempt.wallet,
            intent_id=attempt.intent_id,
            attempt_id=attempt.id,
            facts={"signature": attempt.signature, "slot": landed.slot, "err": landed.err},
        )
    )


def _tell_deposit(
    books: Books, address: Address, landed: LandedTransaction, lines: Sequence[LedgerEntry], now: datetime
) -> None:
    """A line for people, unless nothing of ours changed (addresses are named by strangers for many reasons)."""
    if lines:
        books.events.add(
            Event(
                at=now,
                kind="wallet.deposit",
                severity=Severity.INFO,
                message=f"received by transaction {landed.signature} of slot {landed.slot}",
                wallet=address,
                facts=_facts(landed, lines),
            )
        )


def _halt(
    books: Books,
    wallet: WalletRecord,
    landed: LandedTransaction,
    lines: Sequence[LedgerEntry],
    reason: str,
    now: datetime,
) -> None:
    since = stopped_since(wallet, now)
    books.wallets.change(wallet, mode=TradingMode.HALTED, mode_reason=reason, mode_changed_at=since)
    books.events.add(
        Event(
            at=now,
            kind="wallet.foreign_transaction",
            severity=Severity.CRITICAL,
            message=f"{reason}; the wallet is halted. Read {RUNBOOK}",
            wallet=wallet.address,
            facts=_facts(landed, lines),
        )
    )


def _facts(landed: LandedTransaction, lines: Sequence[LedgerEntry]) -> dict[str, object]:
    # As text: a stranger may have sent more than a whole number of the books can hold.
    moved = [{"asset": line.asset, "kind": line.kind.value, "raw": str(line.delta_raw)} for line in lines]
    return {"signature": landed.signature, "slot": landed.slot, "err": landed.err, "lines": moved}
