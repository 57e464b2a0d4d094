"""What a landed transaction writes into the books: its fill, its ledger lines, and the position it changes.

Every lamport and every base unit that a transaction moved in or out of a wallet has a line, so that at any finalized
slot the lines add up to what the chain holds (invariant I5). The lines of one transaction on one asset add up to that
asset's change, whatever the transaction was.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from sniperforge.domain.intent import Attempt, Fill, FillState, TradeIntent
from sniperforge.domain.money import WSOL_MINT, Address, Mint, Signature
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerEntry, LedgerKind
from sniperforge.trading.balances import WalletChange

OPENING = "opening"
"""Source of the ledger lines that no transaction made: what a wallet held when it came into the books."""


class Landing(Protocol):
    """Where something landed, and under which id."""

    @property
    def signature(self) -> Signature:
        """Its id, and the source of its lines."""
        ...

    @property
    def slot(self) -> int:
        """The slot of the change."""
        ...


def fill_of(intent: TradeIntent, attempt: Attempt, landed: Landing, change: WalletChange, *, at: datetime) -> Fill:
    """The provisional fill of a transaction that landed without error, read from its own balances.

    SOL and wSOL are one asset. A side that moved the other way than decided counts 0; its ledger lines tell the truth.
    """
    return Fill(
        signature=attempt.signature,
        attempt_id=attempt.id,
        intent_id=intent.id,
        wallet=attempt.wallet,
        state=FillState.PROVISIONAL,
        version=0,
        slot=landed.slot,
        input_mint=intent.input_mint,
        input_raw=max(0, -change.of_asset(intent.input_mint)),
        output_mint=intent.output_mint,
        output_raw=max(0, change.of_asset(intent.output_mint)),
        fee_lamports=change.fee_lamports,
        tip_lamports=change.tip_lamports,
        rent_paid_lamports=max(0, change.locked),
        rent_returned_lamports=max(0, -change.locked),
        booked_at=at,
    )


def ledger_lines(
    landed: Landing,
    change: WalletChange,
    *,
    wallet: Address,
    traded: frozenset[Mint],
    state: FillState,
    at: datetime,
    attempt: Attempt | None = None,
) -> tuple[LedgerEntry, ...]:
    """Every line of one transaction, none of them zero.

    Args:
        landed: The transaction.
        change: What it did to `wallet`.
        wallet: Whose books.
        traded: Mints the transaction was meant to trade; a change of any other one is a transfer.
        state: Provisional or final.
        at: Time of booking.
        attempt: Ours, if it is.
    """

    def line(asset: Asset, kind: LedgerKind, delta_raw: int) -> LedgerEntry:
        return LedgerEntry(
            source=landed.signature,
            wallet=wallet,
            asset=asset,
            kind=kind,
            delta_raw=delta_raw,
            slot=landed.slot,
            state=state,
            booked_at=at,
            intent_id=attempt.intent_id if attempt else None,
            attempt_id=attempt.id if attempt else None,
        )

    return tuple(line(*parts) for parts in _parts(change, traded) if parts[2] != 0)


def _parts(change: WalletChange, traded: frozenset[Mint]) -> Iterator[tuple[Asset, LedgerKind, int]]:
    yield NATIVE_SOL, LedgerKind.FEE, -change.fee_lamports
    yield NATIVE_SOL, LedgerKind.TIP, -change.tip_lamports
    yield NATIVE_SOL, LedgerKind.RENT_PAID if change.locked > 0 else LedgerKind.RENT_RETURNED, -change.locked
    wrapped = _wrapped(change)
    yield NATIVE_SOL, LedgerKind.WRAP, -wrapped
    yield Asset(WSOL_MINT), LedgerKind.WRAP, wrapped
    yield NATIVE_SOL, *_moved(change.native_traded + wrapped, traded=WSOL_MINT in traded)
    for mint, delta in change.tokens.items():
        rest = delta - wrapped if mint == WSOL_MINT else delta
        yield Asset(mint), *_moved(rest, traded=mint in traded)


def _wrapped(change: WalletChange) -> int:
    """Lamports that only went from native to wSOL (negative: back): the part in which both sides cancel."""
    native, wsol = change.native_traded, change.tokens.get(WSOL_MINT, 0)
    if native < 0 < wsol:
        return min(-native, wsol)
    if wsol < 0 < native:
        return -min(native, -wsol)
    return 0


def _moved(delta: int, *, traded: bool) -> tuple[LedgerKind, int]:
    if traded:
        return (LedgerKind.TRADE_IN if delta > 0 else LedgerKind.TRADE_OUT), delta
    return (LedgerKind.TRANSFER_IN if delta > 0 else LedgerKind.TRANSFER_OUT), delta
