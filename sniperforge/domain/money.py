"""Money is integers in base units: lamports for SOL, the mint's smallest unit for tokens."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation, localcontext
from typing import NewType

from sniperforge.errors import InvalidInputError

Mint = NewType("Mint", str)
"""Base58 address of a token mint. Identity of a token is its mint, never its symbol."""

Address = NewType("Address", str)
"""Base58 address of an account."""

Signature = NewType("Signature", str)
"""Base58 transaction signature (the first one: the transaction's id)."""

WSOL_MINT = Mint("So11111111111111111111111111111111111111112")
"""Mint of wrapped SOL; native SOL and wSOL are booked as one asset under this mint."""

SOL_DECIMALS = 9
LAMPORTS_PER_SOL = 1_000_000_000
MAX_RAW = 2**63 - 1
"""Largest amount we handle: it must fit a signed BIGINT. (On chain amounts go to 2^64 - 1.)"""
MAX_DECIMALS = 18


def checked_raw(raw: int, *, field: str = "amount") -> int:
    """Return `raw` if it is an int in 0..MAX_RAW.

    Raises:
        InvalidInputError: It is a bool, a float, negative, or does not fit a signed 64-bit column.
    """
    if type(raw) is not int:
        raise InvalidInputError(f"{field} must be an integer of base units, got {type(raw).__name__}", subject=field)
    if not 0 <= raw <= MAX_RAW:
        raise InvalidInputError(f"{raw} is outside 0..{MAX_RAW}", subject=field)
    return raw


@dataclass(frozen=True, slots=True)
class Lamports:
    """An amount of native SOL in lamports (10^-9 SOL), 0..2^63-1."""

    raw: int

    def __post_init__(self) -> None:
        checked_raw(self.raw, field="lamports")

    def __add__(self, other: Lamports) -> Lamports:
        return Lamports(self.raw + other.raw)

    def __sub__(self, other: Lamports) -> Lamports:
        return Lamports(self.raw - other.raw)

    def __lt__(self, other: Lamports) -> bool:
        return self.raw < other.raw

    def __le__(self, other: Lamports) -> bool:
        return self.raw <= other.raw

    def __str__(self) -> str:
        return f"{format_units(self.raw, SOL_DECIMALS)} SOL"


@dataclass(frozen=True, slots=True)
class TokenAmount:
    """An amount of one token in its base units.

    Adding or comparing amounts of two mints is a programming error and raises `ValueError`.
    """

    raw: int
    mint: Mint

    def __post_init__(self) -> None:
        checked_raw(self.raw)

    def _same(self, other: TokenAmount) -> None:
        if self.mint != other.mint:
            message = f"amounts of different mints: {self.mint} and {other.mint}"
            raise ValueError(message)

    def __add__(self, other: TokenAmount) -> TokenAmount:
        self._same(other)
        return TokenAmount(self.raw + other.raw, self.mint)

    def __sub__(self, other: TokenAmount) -> TokenAmount:
        self._same(other)
        return TokenAmount(self.raw - other.raw, self.mint)

    def __lt__(self, other: TokenAmount) -> bool:
        self._same(other)
        return self.raw < other.raw

    def __le__(self, other: TokenAmount) -> bool:
        self._same(other)
        return self.raw <= other.raw


@dataclass(frozen=True, slots=True)
class Bps:
    """Basis points, 0..10,000 (one is 0.01 %)."""

    value: int

    def __post_init__(self) -> None:
        if type(self.value) is not int or not 0 <= self.value <= 10_000:
            raise InvalidInputError(f"{self.value!r} is not a whole number of basis points in 0..10000", subject="bps")

    def floor_of(self, raw: int) -> int:
        """`raw * bps / 10000`, rounded down."""
        return raw * self.value // 10_000

    def ceil_of(self, raw: int) -> int:
        """`raw * bps / 10000`, rounded up."""
        return -(-raw * self.value // 10_000)

    def less(self, raw: int) -> int:
        """`raw` minus these basis points, rounded up: as a minimum it never promises less than the exact value."""
        return raw - self.floor_of(raw)


def parse_units(text: str, decimals: int, *, field: str = "amount") -> int:
    """Turn what a person typed ("25", "0.5") into base units, exactly.

    Raises:
        InvalidInputError: Not a plain decimal number, negative, more decimals than the token has, or too large.
    """
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise InvalidInputError(
            f"{text!r} is not a number", subject=field, fix="Write it as digits with a point, e.g. 12.5"
        ) from None
    if not value.is_finite():
        raise InvalidInputError(f"{text!r} is not a finite number", subject=field)
    if value < 0:
        raise InvalidInputError(f"{text} is negative", subject=field, fix="Give an amount above zero")
    with localcontext() as context:
        context.prec = 60
        if value.adjusted() > 40:
            raise InvalidInputError(f"{text} is too large", subject=field)
        scaled = value.scaleb(decimals)
        raw = int(scaled.to_integral_value(rounding=ROUND_DOWN))
        if raw != scaled:
            raise InvalidInputError(
                f"{text} has more decimals than the token's {decimals}",
                subject=field,
                fix=f"Use at most {decimals} digits after the point",
            )
    return checked_raw(raw, field=field)


def format_units(raw: int, decimals: int) -> str:
    """Base units as a decimal number, exact, with no trailing zeros ("25", "-0.000001")."""
    sign, digits = ("-", str(-raw)) if raw < 0 else ("", str(raw))
    if decimals == 0:
        return sign + digits
    digits = digits.rjust(decimals + 1, "0")
    whole, fraction = digits[:-decimals], digits[-decimals:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole
