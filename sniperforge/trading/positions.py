"""Positions follow fills: each fill sells its input and buys its output, valued at the price stored when it was signed.

Only what was bought here has a known cost. Selling more than that (what the wallet held before it was adopted) changes
no profit or loss for the excess.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

from sniperforge.domain.intent import Attempt, Fill, TradeIntent
from sniperforge.domain.money import Address, Mint
from sniperforge.domain.portfolio import Position
from sniperforge.ports.store import Books

_DIGITS = 40
"""Significant digits of values in dollars while they are computed; stored values keep what fits a lamport's worth."""

_CENT_FRACTION = Decimal("1e-12")


def apply_fill(books: Books, attempt: Attempt, fill: Fill) -> None:
    """Put a new fill into the positions of its two tokens."""
    for mint in (fill.input_mint, fill.output_mint):
        books.positions.save(_after(_position(books, fill.wallet, mint), attempt, fill))


def rebuild_positions(books: Books, intent: TradeIntent) -> None:
    """Count the positions of an intent's tokens anew from every fill that stands.

    An average cost cannot be walked back by one fill, so a reversal or a correction starts from the beginning.
    """
    for mint in (intent.input_mint, intent.output_mint):
        current = _position(books, intent.wallet, mint)
        rebuilt = Position(intent.wallet, mint, 0, Decimal(0), Decimal(0), current.version)
        for fill in books.fills.of_asset(intent.wallet, mint):
            attempts = {attempt.id: attempt for attempt in books.attempts.of_intent(fill.intent_id)}
            rebuilt = _after(rebuilt, attempts[fill.attempt_id], fill)
        books.positions.save(rebuilt)


def _position(books: Books, wallet: Address, mint: Mint) -> Position:
    return books.positions.get(wallet, mint) or Position(wallet, mint, 0, Decimal(0), Decimal(0))


def _after(position: Position, attempt: Attempt, fill: Fill) -> Position:
    with localcontext() as context:
        context.prec = _DIGITS
        value = _value(fill, attempt)
        costs = (fill.fee_lamports + fill.tip_lamports) * (attempt.usd_per_lamport or Decimal(0))
        if position.mint == fill.output_mint and fill.output_raw:
            return position.bought(fill.output_raw, (value + costs).quantize(_CENT_FRACTION))
        sold = min(fill.input_raw, position.raw) if position.mint == fill.input_mint else 0
        if sold:
            after = position.sold(sold, (value * sold / fill.input_raw).quantize(_CENT_FRACTION))
            return replace(
                after,
                cost_usd=after.cost_usd.quantize(_CENT_FRACTION),
                realised_usd=after.realised_usd.quantize(_CENT_FRACTION),
            )
    return position


def _value(fill: Fill, attempt: Attempt) -> Decimal:
    """Dollars that changed hands: the input at its independent price (the output's where the input has none)."""
    if attempt.usd_per_input_unit is not None:
        return fill.input_raw * attempt.usd_per_input_unit
    return fill.output_raw * (attempt.usd_per_output_unit or Decimal(0))
