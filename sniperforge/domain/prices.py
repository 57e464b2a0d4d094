"""Exact prices, and an integer key that keeps them exact and in order in any database.

A price is a positive decimal with at most 17 significant digits between 1e-12 and just under 1e10.
Every such number maps to one signed 64-bit integer, and larger numbers map to larger integers:

    key = (exponent + 12) * 9 * 10^16 + (mantissa - 10^16),   price = mantissa * 10^(exponent - 16)

with 10^16 <= mantissa < 10^17. So one BIGINT column stores a price without loss and can be indexed and
compared by SQLite and PostgreSQL alike, which neither a REAL (not exact) nor SQLite's NUMERIC (a REAL in
disguise) nor a text column (not in order) can.
17 digits hold every number a JSON double can print.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Literal

from sniperforge.domain.money import Mint
from sniperforge.errors import InvalidInputError

SIGNIFICANT_DIGITS = 17
MIN_EXPONENT = -12
MAX_EXPONENT = 9
MIN_PRICE = Decimal(1).scaleb(MIN_EXPONENT)
MAX_PRICE = Decimal(1).scaleb(MAX_EXPONENT)
_UNIT: int = 10 ** (SIGNIFICANT_DIGITS - 1)
_SPAN = 9 * _UNIT
_EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)
"""Moves the point of any number without rounding it."""

Rounding = Literal["ROUND_FLOOR", "ROUND_CEILING", "ROUND_HALF_EVEN"]


def price_key(value: Decimal) -> int:
    """The order-preserving integer key of an exact price.

    Raises:
        InvalidInputError: Not finite, outside 1e-12..1e9, or more than 17 significant digits (round it first,
            saying which way, with `rounded_price`).
    """
    if type(value) is not Decimal or not value.is_finite() or not MIN_PRICE <= value <= MAX_PRICE:
        raise InvalidInputError(f"{value!r} is not a price between {MIN_PRICE} and {MAX_PRICE}", subject="price")
    exponent = value.adjusted()
    scaled = _EXACT.scaleb(value, SIGNIFICANT_DIGITS - 1 - exponent)
    mantissa = int(scaled)
    if mantissa != scaled:
        raise InvalidInputError(
            f"{value} has more than {SIGNIFICANT_DIGITS} significant digits",
            subject="price",
            fix="Round it first, saying which way",
        )
    return (exponent - MIN_EXPONENT) * _SPAN + (mantissa - _UNIT)


def price_from_key(key: int) -> Decimal:
    """The exact price that `price_key` turned into `key`.

    Raises:
        InvalidInputError: No price has this key.
    """
    exponent, offset = divmod(key, _SPAN)
    if not 0 <= exponent <= MAX_EXPONENT - MIN_EXPONENT:
        raise InvalidInputError(f"{key} is not the key of a price", subject="price key")
    scaled = Decimal(_UNIT + offset)
    return _EXACT.scaleb(scaled, exponent + MIN_EXPONENT - SIGNIFICANT_DIGITS + 1).normalize(_EXACT)


def rounded_price(value: Decimal, rounding: Rounding = ROUND_HALF_EVEN) -> Decimal:
    """`value` at 17 significant digits. Limits name their direction, so that rounding never favours the market."""
    with localcontext() as context:
        context.prec = SIGNIFICANT_DIGITS
        context.rounding = rounding
        return +value


@dataclass(frozen=True, slots=True)
class Price:
    """A price of one whole token in US dollars, as one source saw it.

    Attributes:
        mint: The token.
        usd: Dollars for one whole token (not one base unit).
        source: Who says so: "jupiter" or "pyth".
        observed_at: When the source formed this price, as far as it says (aware, UTC).
        slot: The slot the source names, if it does.
        confidence_usd: Half-width of the source's own confidence interval in dollars, if it has one.
    """

    mint: Mint
    usd: Decimal
    source: str
    observed_at: datetime
    slot: int | None = None
    confidence_usd: Decimal | None = None

    def __post_init__(self) -> None:
        price_key(self.usd)
        if self.observed_at.tzinfo is None:
            raise InvalidInputError("a price needs an aware time", subject="observed_at")

    @property
    def key(self) -> int:
        """The order-preserving key of `usd`."""
        return price_key(self.usd)
