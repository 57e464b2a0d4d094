"""Amounts as people read them. Names and decimals are asked of Jupiter and the chain; without them amounts stay raw.

A name is only shown, so no answer of Jupiter's keeps a command from showing the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING

import typer

from sniperforge.domain.money import SOL_DECIMALS, WSOL_MINT, Mint, format_units
from sniperforge.errors import SniperForgeError, TokenError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services

_SHOWN = Context(prec=8)


@dataclass(frozen=True, slots=True)
class TokenName:
    """What is needed to show an amount of a token."""

    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class TokenNames:
    """Tokens by mint, those that could be found out about."""

    known: Mapping[Mint, TokenName]

    def symbol(self, mint: Mint) -> str:
        """The symbol, or the beginning of the mint."""
        name = self.known.get(mint)
        return name.symbol if name else f"{mint[:4]}..."

    def amount(self, raw: int, mint: Mint) -> str:
        """An exact amount with its symbol; in base units where decimals are unknown."""
        name = self.known.get(mint)
        if name is None:
            return f"{raw} base units of {mint}"
        return f"{format_units(raw, name.decimals)} {name.symbol}"


def names_of(services: Services, mints: Iterable[Mint]) -> TokenNames:
    """Names of these mints. What cannot be asked now is said on standard error and shown raw."""
    known = {WSOL_MINT: TokenName("SOL", SOL_DECIMALS)}
    wanted = [mint for mint in dict.fromkeys(mints) if mint not in known]
    if wanted and services.settings.effective_jupiter_url is not None:
        try:
            known |= _asked(services, wanted)
        except SniperForgeError as error:  # away, or it refuses the key: neither is about what is shown
            typer.echo(f"names of tokens are missing: {error}", err=True)
    return TokenNames(known)


def _asked(services: Services, mints: list[Mint]) -> dict[Mint, TokenName]:
    """One search for all of them; one by one if one of them is wrong, so that it hides no other."""
    try:
        found = services.tokens.resolve_all(mints)
    except TokenError:
        if len(mints) == 1:
            return {}
        return {mint: name for one in mints for mint, name in _asked(services, [one]).items()}
    return {token.mint: TokenName(token.symbol, token.decimals) for token in found}


def short(value: Decimal) -> str:
    """`value` at a few significant digits, without an exponent."""
    return f"{_SHOWN.plus(value):f}"
