"""Positions follow fills: each fill sells its input and buys its output, valued at the price stored when it was signed.

Only what was bought here has a known cost. Selling more than that (what the wallet held before it was adopted) changes
no profit or loss for the excess.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

from sniperforge.domain.intent import Attempt, ExposureEffect, Fill, IntentKind, TradeIntent
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


def exit_result(books: Books, intent: TradeIntent, attempt: Attempt, fill: Fill) -> Decimal | None:
    """What an exit brought, in dollars (`domain.risk`), by the position as it is before the fill is put into it.

    That is what it got, at its own price when it was signed, less the average cost of what it gave, less fee and tip.
    What was not bought here brings neither profit nor loss.

    Returns:
        None for an entry, whose costs are in the cost of what it bought.
    """
    if intent.kind is not IntentKind.TRADE or intent.effect is ExposureEffect.ENTRY:
        return None
    return _result(_position(books, fill.wallet, fill.input_mint), attempt, fill)


def rebuild_positions(books: Books, intent: TradeIntent) -> None:
    """Count the positions of an intent's tokens, and what exits from them brought, anew from every fill that stands.

    An average cost cannot be walked back by one fill, so a reversal or a correction starts from the beginning.
    """
    for mint in (intent.input_mint, intent.output_mint):
        current = _position(books, intent.wallet, mint)
        rebuilt = Position(intent.wallet, mint, 0, Decimal(0), Decimal(0), current.version)
        for fill in books.fills.of_asset(intent.wallet, mint):
            attempts = {attempt.id: attempt for attempt in books.attempts.of_intent(fill.intent_id)}
            attempt = attempts[fill.attempt_id]
            if mint == fill.input_mint and fill.result_usd not in (None, _result(rebuilt, attempt, fill)):
                books.fills.change(fill, result_usd=_result(rebuilt, attempt, fill))
            rebuilt = _after(rebuilt, attempt, fill)
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


def _result(position: Position, attempt: Attempt, fill: Fill) -> Decimal:
    with localcontext() as context:
        context.prec = _DIGITS
        got = fill.output_raw * attempt.usd_per_output_unit if attempt.usd_per_output_unit else _value(fill, attempt)
        sold = min(fill.input_raw, position.raw)
        cost = position.cost_usd * sold / position.raw if sold else Decimal(0)
        brought = got * sold / fill.input_raw - cost if sold else Decimal(0)
        paid = (fill.fee_lamports + fill.tip_lamports) * (attempt.usd_per_lamport or Decimal(0))
        return (brought - paid).quantize(_CENT_FRACTION)


def _value(fill: Fill, attempt: Attempt) -> Decimal:
    """Dollars that changed hands: the input at its independent price (the output's where the input has none)."""
    if attempt.usd_per_input_unit is not None:
        return fill.input_raw * attempt.usd_per_input_unit
    return fill.output_raw * (attempt.usd_per_output_unit or Decimal(0))
