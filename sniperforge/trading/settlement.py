"""Booking what the chain did: each function is one transaction of the books, and a compare-and-set.

Whatever is booked, the intent's state is recomputed from its attempts in the same commit (rule *fence-end*), so two
workers that saw different moments of the chain cannot leave it contradicting them.
Provisional is what is confirmed; final, reverted and reopened need finalized evidence (rule *final-evidence*).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sniperforge.domain.intent import (
    LIVE_ATTEMPT_STATES,
    Attempt,
    AttemptState,
    Fill,
    FillState,
    IntentState,
    TradeIntent,
)
from sniperforge.domain.money import Address
from sniperforge.ports.chain import LandedTransaction
from sniperforge.ports.clock import Clock
from sniperforge.ports.records import Event, Severity, TradingMode
from sniperforge.ports.store import Books, Store
from sniperforge.trading.balances import WalletChange, wallet_change
from sniperforge.trading.bookkeeping import fill_of, ledger_lines
from sniperforge.trading.order_life import follow
from sniperforge.trading.positions import apply_fill, exit_result, rebuild_positions

_LANDED = frozenset({AttemptState.CONFIRMED, AttemptState.FINALIZED})
MAX_BACKOFF = timedelta(seconds=60)


class Settlement:
    """Writes into the books what was seen on the chain.

    Args:
        store: The books.
        clock: For times of booking and backoff.
        tip_accounts: Where tips go on this network.
    """

    def __init__(self, *, store: Store, clock: Clock, tip_accounts: Collection[Address]) -> None:
        self._store = store
        self._clock = clock
        self._tip_accounts = tip_accounts

    def confirmed(self, attempt: Attempt, landed: LandedTransaction) -> TradeIntent | None:
        """Book a provisional fill: the transaction is confirmed without error. None if it was booked already.

        Never over EXPIRED: only finalized evidence may contradict a proof.
        """
        with self._store.write() as books:
            intent, current = locked_with_intent(books, attempt)
            if current.state not in (AttemptState.SIGNED, AttemptState.SENT):
                return None
            now = self._clock.now()
            books.attempts.change(
                current, at=now, state=AttemptState.CONFIRMED, landed_slot=landed.slot, confirmed_at=now
            )
            self._book(books, intent, current, landed, FillState.PROVISIONAL, now)
            filled = _recompute(books, intent, now)
            _tell(books, intent, current, "attempt.confirmed", f"confirmed in slot {landed.slot}", now)
        return filled

    def finalized(self, attempt: Attempt, landed: LandedTransaction) -> bool:
        """Book the final fill, read again at finalized; reservations end. False if it was booked already.

        An EXPIRED attempt that landed after all is booked, loudly: the proof was wrong, so the system halts.
        """
        with self._store.write() as books:
            intent, current = locked_with_intent(books, attempt)
            if current.state in (AttemptState.FINALIZED, AttemptState.REVERTED):
                return False
            now = self._clock.now()
            if current.state is AttemptState.EXPIRED or intent.state in (IntentState.FAILED, IntentState.CANCELLED):
                self._alarm(books, intent, current, now)
            books.attempts.change(
                current,
                at=now,
                state=AttemptState.FINALIZED,
                landed_slot=landed.slot,
                confirmed_at=current.confirmed_at or now,
                finalized_at=now,
            )
            self._book(books, intent, current, landed, FillState.FINAL, now)
            books.reservations.release(current.id, now)
            follow(books, _recompute(books, intent, now), now, is_final=True)
            _tell(books, intent, current, "attempt.finalized", f"final in slot {landed.slot}", now)
            return True

    def reverted(self, attempt: Attempt, landed: LandedTransaction) -> bool:
        """Book a landing with an error, finalized: nothing was swapped, the fee is gone, reservations end."""
        with self._store.write() as books:
            intent, current = locked_with_intent(books, attempt)
            if current.state not in LIVE_ATTEMPT_STATES:
                return False
            now = self._clock.now()
            books.attempts.change(
                current,
                at=now,
                state=AttemptState.REVERTED,
                landed_slot=landed.slot,
                landed_error=landed.err,
                finalized_at=now,
            )
            _reverse(books, intent, current)
            self._lines(books, current, landed, frozenset(), FillState.FINAL, now)
            books.reservations.release(current.id, now)
            _recompute(books, intent, now)
            _tell(
                books, intent, current, "attempt.reverted", f"landed with an error: {landed.err}", now, Severity.WARNING
            )
            return True

    def taken_back(self, attempt: Attempt) -> bool:
        """A fork took the landing back: the fill is reversed, the transaction may land again."""
        with self._store.write() as books:
            intent, current = locked_with_intent(books, attempt)
            if current.state is not AttemptState.CONFIRMED:
                return False
            now = self._clock.now()
            books.attempts.change(current, at=now, state=AttemptState.SENT)
            _reverse(books, intent, current)
            _recompute(books, intent, now)
            _tell(books, intent, current, "attempt.taken_back", "a fork took it back", now, Severity.WARNING)
            return True

    def expired(self, attempt: Attempt, proof: str, *, watch_for: timedelta) -> bool:
        """The transaction is proven dead: reservations end, the intent may go on."""
        with self._store.write() as books:
            intent, current = locked_with_intent(books, attempt)
            if current.state not in LIVE_ATTEMPT_STATES:
                return False
            now = self._clock.now()
            books.attempts.change(
                current, at=now, state=AttemptState.EXPIRED, death_proof=proof, watch_until=now + watch_for
            )
            _reverse(books, intent, current)
            books.reservations.release(current.id, now)
            _recompute(books, intent, now)
            _tell(books, intent, current, "attempt.expired", "proven that it can never land", now)
            return True

    def late_failure(self, attempt: Attempt, landed: LandedTransaction) -> bool:
        """An EXPIRED attempt landed after all, but with an error: its fee is booked, and the wrong proof is as loud."""
        with self._store.write() as books:
            intent, current = locked_with_intent(books, attempt)
            booked = any(line.state is FillState.FINAL for line in books.ledger.of_source(current.signature))
            if current.state is not AttemptState.EXPIRED or booked:
                return False
            now = self._clock.now()
            self._alarm(books, intent, current, now)
            self._lines(books, current, landed, frozenset(), FillState.FINAL, now)
            return True

    def _book(
        self,
        books: Books,
        intent: TradeIntent,
        attempt: Attempt,
        landed: LandedTransaction,
        state: FillState,
        now: datetime,
    ) -> None:
        change = self._lines(books, attempt, landed, frozenset({intent.input_mint, intent.output_mint}), state, now)
        fresh = fill_of(intent, attempt, landed, change, at=now)
        booked = books.fills.get(attempt.signature)
        if booked is None:
            booked = replace(fresh, result_usd=exit_result(books, intent, attempt, fresh))
            books.fills.add(booked)
            apply_fill(books, attempt, booked)
        amounts = _amounts(fresh)
        moved = {name: value for name, value in amounts.items() if getattr(booked, name) != value}
        if state is FillState.FINAL:
            books.fills.change(booked, state=FillState.FINAL, finalized_at=now, **moved)
        elif booked.state is FillState.REVERSED:
            books.fills.change(booked, state=FillState.PROVISIONAL, **moved)
        if moved or booked.state is FillState.REVERSED:
            rebuild_positions(books, intent)

    def _lines(
        self,
        books: Books,
        attempt: Attempt,
        landed: LandedTransaction,
        traded: frozenset[Any],
        state: FillState,
        now: datetime,
    ) -> WalletChange:
        change = wallet_change(
            landed,
            wallet=attempt.wallet,
            fee_lamports=landed.fee_lamports,
            tip_accounts=self._tip_accounts,
            nonce_accounts=[nonce.address for nonce in books.nonces.of_wallet(attempt.wallet)],
        )
        lines = ledger_lines(landed, change, wallet=attempt.wallet, traded=traded, state=state, at=now, attempt=attempt)
        if books.ledger.of_source(attempt.signature):
            books.ledger.correct(attempt.signature, lines)
        else:
            books.ledger.add(lines)
        return change

    def _alarm(self, books: Books, intent: TradeIntent, attempt: Attempt, now: datetime) -> None:
        reason = f"transaction {attempt.signature} was called dead and landed after all"
        system = books.system.get()
        books.system.change(system, mode=TradingMode.HALTED, reason=reason, changed_by="executor", changed_at=now)
        _tell(books, intent, attempt, "attempt.undead", reason, now, Severity.CRITICAL)


def _amounts(fill: Fill) -> dict[str, int]:
    return {
        "slot": fill.slot,
        "input_raw": fill.input_raw,
        "output_raw": fill.output_raw,
        "fee_lamports": fill.fee_lamports,
        "tip_lamports": fill.tip_lamports,
        "rent_paid_lamports": fill.rent_paid_lamports,
        "rent_returned_lamports": fill.rent_returned_lamports,
    }


def locked_with_intent(books: Books, attempt: Attempt) -> tuple[TradeIntent, Attempt]:
    """Intent and attempt as they are now, and as they stay until the end of the transaction.

    Everything that changes an attempt holds its intent.
    """
    intent, current = books.intents.lock(attempt.intent_id), books.attempts.get(attempt.id)
    if intent is None or current is None:
        message = f"attempt {attempt.id} vanished from the books"
        raise LookupError(message)
    return intent, current


def _reverse(books: Books, intent: TradeIntent, attempt: Attempt) -> None:
    """Take a provisional fill back, if there is one, with its lines and its part in the positions."""
    fill = books.fills.get(attempt.signature)
    if fill is not None and fill.state is FillState.PROVISIONAL:
        books.fills.change(fill, state=FillState.REVERSED)
        books.ledger.settle(attempt.signature, FillState.REVERSED)
        rebuild_positions(books, intent)


def _recompute(books: Books, intent: TradeIntent, now: datetime) -> TradeIntent:
    """The intent's state as its attempts say (rule *fence-end*).

    With every attempt dead it goes back to PENDING; whether it is tried again, fails or is cancelled is decided when
    it is looked at next.
    """
    states = {attempt.state for attempt in books.attempts.of_intent(intent.id)}
    if states & _LANDED:
        wanted = IntentState.FILLED
    elif states & LIVE_ATTEMPT_STATES:
        wanted = IntentState.EXECUTING
    else:
        wanted = IntentState.PENDING
    fields: dict[str, Any] = {}
    if wanted is IntentState.PENDING:
        backoff = min(MAX_BACKOFF, timedelta(seconds=2 ** min(intent.attempts_made, 6)))
        fields = {"next_attempt_at": now + backoff, "lease_owner": None, "lease_until": None}
    if wanted is intent.state:
        return intent
    if wanted is IntentState.FILLED:
        fields = {"reason_code": None, "reason": None}
        if intent.state is IntentState.PENDING:
            # Its attempt was called dead and landed after all: it was EXECUTING all the time.
            intent = books.intents.change(intent, at=now, state=IntentState.EXECUTING)
    changed = books.intents.change(intent, at=now, state=wanted, **fields)
    follow(books, changed, now)
    return changed


def _tell(
    books: Books,
    intent: TradeIntent,
    attempt: Attempt,
    kind: str,
    message: str,
    now: datetime,
    severity: Severity = Severity.INFO,
) -> None:
    books.events.add(
        Event(
            at=now,
            kind=kind,
            severity=severity,
            message=message,
            wallet=attempt.wallet,
            intent_id=intent.id,
            attempt_id=attempt.id,
            facts={"signature": attempt.signature},
        )
    )
