"""Reserving what an attempt may use up, so that two trades cannot spend one balance.

What is free is what the chain showed, changed by what was booked from later slots, less what other attempts hold and
less what the wallet's own account must keep. A reservation ends only by settlement, so an attempt that has landed but
is not final counts twice for a while: too little is offered then, never too much.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sniperforge.domain.intent import Attempt
from sniperforge.domain.money import SOL_DECIMALS, WSOL_MINT, Address, Mint, format_units
from sniperforge.errors import InvalidInputError, RetryableError
from sniperforge.ports.records import NATIVE_SOL, Asset, Reservation, ReservationKind
from sniperforge.ports.store import Books


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The most an attempt can use up, in base units and lamports.

    Attributes:
        risk_raw: Input that counts against risk limits; 0 for exits.
    """

    input_mint: Mint
    input_raw: int
    fee_lamports: int
    tip_lamports: int
    rent_lamports: int
    temporary_wsol_lamports: int
    risk_raw: int

    @property
    def side_lamports(self) -> int:
        """Lamports needed beside the input."""
        return self.fee_lamports + self.tip_lamports + self.rent_lamports + self.temporary_wsol_lamports


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """What the chain showed of a wallet.

    Attributes:
        slot: Nothing here is from before this slot.
        native_lamports: The wallet's own account.
        input_raw: Its token accounts of the input mint together (wSOL does not count as SOL to spend).
        keep_lamports: What its own account must keep to stay rent exempt.
    """

    slot: int
    native_lamports: int
    input_raw: int
    keep_lamports: int


def free_raw(books: Books, wallet: Address, mint: Mint, *, balances: Balances) -> int:
    """Base units of `mint` that nobody has reserved; for SOL, native lamports above what must stay. May be negative."""
    held = books.reservations.held_raw(wallet, mint)
    if mint == WSOL_MINT:
        later = books.ledger.change_after(wallet, NATIVE_SOL, balances.slot)
        return balances.native_lamports + min(0, later) - balances.keep_lamports - held
    later = books.ledger.change_after(wallet, Asset(mint), balances.slot)
    return balances.input_raw + min(0, later) - held


def reserve(books: Books, attempt: Attempt, need: Need, *, balances: Balances, at: datetime) -> None:
    """Hold back everything the attempt may use up. The wallet must be locked by this transaction.

    Raises:
        InvalidInputError: The wallet does not have it.
        RetryableError: It does, but other trades hold it now.
    """
    wallet = attempt.wallet
    spends_sol = need.input_mint == WSOL_MINT
    lamports = need.side_lamports + (need.input_raw if spends_sol else 0)
    _must_have(
        "SOL",
        lamports,
        free_raw(books, wallet, WSOL_MINT, balances=balances),
        balances.native_lamports - balances.keep_lamports,
    )
    if not spends_sol:
        _must_have(
            need.input_mint,
            need.input_raw,
            free_raw(books, wallet, need.input_mint, balances=balances),
            balances.input_raw,
        )
    lines = (
        (ReservationKind.INPUT, need.input_mint, need.input_raw),
        (ReservationKind.FEE, WSOL_MINT, need.fee_lamports),
        (ReservationKind.TIP, WSOL_MINT, need.tip_lamports),
        (ReservationKind.RENT, WSOL_MINT, need.rent_lamports),
        (ReservationKind.TEMPORARY_WSOL, WSOL_MINT, need.temporary_wsol_lamports),
        (ReservationKind.RISK_BUDGET, need.input_mint, need.risk_raw),
    )
    books.reservations.add(
        [
            Reservation(attempt_id=attempt.id, wallet=wallet, mint=mint, kind=kind, amount_raw=amount, created_at=at)
            for kind, mint, amount in lines
            if amount
        ]
    )


def _must_have(name: str, needed: int, free: int, there: int) -> None:
    if needed <= free:
        return
    if needed > there:
        told = f"{needed} base units are needed, the wallet has {max(0, there)}"
        if name == "SOL":
            told = (
                f"{format_units(needed, SOL_DECIMALS)} SOL are needed with fee, tip and rent, "
                f"the wallet has {format_units(max(0, there), SOL_DECIMALS)} to spend"
            )
        raise InvalidInputError(told, subject=name, fix="Fund the wallet, or trade less")
    raise RetryableError(
        f"{needed} base units are needed, other trades hold all but {max(0, free)}", subject=name, fix="They end soon"
    )
