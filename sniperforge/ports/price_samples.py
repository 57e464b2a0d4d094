"""Prices of a while ago, for what is watched over a time: "down 5 % in an hour" needs the price of an hour ago."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from sniperforge.domain.money import Mint


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSample:
    """What one whole token cost at one moment.

    Attributes:
        usd: Dollars for one whole token, at most 17 significant digits (`domain.prices`).
    """

    mint: Mint
    at: datetime
    usd: Decimal


class PriceSamples(Protocol):
    """Fresh prices kept now and then, each with the moment it was seen."""

    def add(self, usd: Mapping[Mint, Decimal], *, at: datetime) -> None:
        """Keep these prices of one moment. One that is there for its token and moment stays."""
        ...

    def before(self, mint: Mint, at: datetime, *, not_before: datetime) -> PriceSample | None:
        """The newest of a token at or before `at`, and at or after `not_before`; None when there is none."""
        ...

    def forget(self, before: datetime, limit: int) -> int:
        """Drop up to `limit` of those older than `before`, oldest first; returns how many were dropped."""
        ...
