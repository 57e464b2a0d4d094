"""Stopping trading and letting it go on, for everything or for one wallet.

A mode stops what is not signed yet; what is signed is settled whatever the mode. It is checked inside the transaction
that inserts an attempt (rule *fence-insert*), so nothing is signed after `halt` has returned.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import Address
from sniperforge.errors import ConflictError, InvalidInputError
from sniperforge.ports.clock import Clock
from sniperforge.ports.records import (
    Attribution,
    Event,
    KnownTransaction,
    Severity,
    SystemState,
    TradingMode,
    WalletRecord,
)
from sniperforge.ports.store import Books, Store
from sniperforge.trading.restored_books import RestoredBooks, restored, tell_ended

_TRIES = 5


def stop_reason(books: Books, wallet: Address, effect: ExposureEffect) -> str | None:
    """Why nothing may be signed now for a trade of this kind, or None."""
    return stopped_by(books.system.get(), books.wallets.get(wallet), effect)


def stopped_by(system: SystemState, record: WalletRecord | None, effect: ExposureEffect) -> str | None:
    """The same, as these rows say: those who hold them already need not read them again. The stricter of both holds."""
    told = [("trading", "", system.mode, system.reason)]
    if record is not None:
        told.append((f"wallet {record.name}", f" {record.name}", record.mode, record.mode_reason))
    for what, name, mode, reason in told:
        stops = mode is TradingMode.HALTED or (mode is TradingMode.REDUCING and effect is ExposureEffect.ENTRY)
        if stops:
            return f"{what} is {mode.value}: {reason or 'no reason given'}. `sniperforge resume{name}` lets it go on"
    return None


def stopped_since(wallet: WalletRecord, now: datetime) -> datetime:
    """Since when a wallet that is stopped now does not trade freely: a second stop does not hide the first.

    Never later than `now`, even after a clock was set back: whatever stops it now was found since then.
    """
    if wallet.mode is TradingMode.ACTIVE or wallet.mode_changed_at is None:
        return now
    return min(now, wallet.mode_changed_at)


class Controls:
    """Changes the mode of the system and of wallets; every change says who, when and why.

    Args:
        store: The books.
        clock: Dates the changes.
    """

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def change_system(
        self, mode: TradingMode, *, reason: str | None, by: str, knows_what_is_open: bool = False
    ) -> SystemState:
        """Set the mode of everything.

        Args:
            mode: The new mode.
            reason: Why, for people; needed for everything but ACTIVE.
            by: Who.
            knows_what_is_open: A person was shown what `restored` tells. Restored books stay halted without.

        Raises:
            InvalidInputError: No reason is given; or the books were restored, and their trades are not sorted or
                nobody was shown what is open.
            ConflictError: Others keep changing it at the same time.
        """
        reason = _checked_reason(mode, reason)
        for _ in range(_TRIES - 1):
            # A halt must not lose against a change of something else in the same row.
            with suppress(ConflictError):
                return self._change_system(mode, reason, by, is_known=knows_what_is_open)
        return self._change_system(mode, reason, by, is_known=knows_what_is_open)

    def restored(self) -> RestoredBooks | None:
        """What may have happened already, if these books were restored and nobody has let trading go on since."""
        with self._store.read() as books:
            return restored(books)

    def change_wallet(self, address: Address, mode: TradingMode, *, reason: str | None, by: str) -> WalletRecord:
        """Set the mode of one wallet.

        Raises:
            InvalidInputError: The books do not know the wallet, or no reason is given.
        """
        reason = _checked_reason(mode, reason)
        with self._store.write() as books:
            found = books.wallets.lock(address)
            if found is None:
                raise InvalidInputError(
                    "the books do not know this wallet", subject=address, fix="Run `sniperforge reconcile` first"
                )
            now = self._clock.now()
            since = now if mode is TradingMode.ACTIVE else stopped_since(found, now)
            changed = books.wallets.change(found, mode=mode, mode_reason=reason, mode_changed_at=since)
            _tell(books, mode, f"wallet {found.name}", reason, by, now, address)
        return changed

    def _change_system(self, mode: TradingMode, reason: str | None, by: str, *, is_known: bool) -> SystemState:
        with self._store.write() as books:
            now = self._clock.now()
            found = None if mode is TradingMode.HALTED else restored(books)
            if found is not None:
                found.require_known(is_known=is_known)
                tell_ended(books, found, by=by, now=now)
            state = books.system.change(books.system.get(), mode=mode, reason=reason, changed_by=by, changed_at=now)
            _tell(books, mode, "trading", reason, by, now)
        return state

    def foreign_transactions(self, address: Address) -> tuple[KnownTransaction, ...]:
        """Transactions that somebody else made, found since this wallet was stopped, by slot.

        A person looks at them before it goes on. Those from before the last `resume` were looked at then; of a wallet
        that is not stopped there are none, because each of them stops it.
        """
        with self._store.read() as books:
            wallet = books.wallets.get(address)
            foreign = books.known_transactions.in_attribution(address, Attribution.FOREIGN)
        if wallet is None or wallet.mode is TradingMode.ACTIVE:
            return ()
        since = wallet.mode_changed_at
        return tuple(one for one in foreign if since is None or one.seen_at >= since)


def _checked_reason(mode: TradingMode, reason: str | None) -> str | None:
    text = (reason or "").strip() or None
    if mode is not TradingMode.ACTIVE and text is None:
        raise InvalidInputError(
            "a halt needs a reason, for whoever finds it", subject="reason", fix="Give one with --reason"
        )
    return text


def _tell(
    books: Books,
    mode: TradingMode,
    what: str,
    reason: str | None,
    by: str,
    now: datetime,
    wallet: Address | None = None,
) -> None:
    because = f": {reason}" if reason else ""
    books.events.add(
        Event(
            at=now,
            kind=f"control.{mode.value}",
            severity=Severity.INFO if mode is TradingMode.ACTIVE else Severity.WARNING,
            message=f"{what} is {mode.value} by {by}{because}",
            wallet=wallet,
            facts={"by": by},
        )
    )
