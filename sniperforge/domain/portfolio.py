"""Positions: how much of a token the books say is held, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from sniperforge.domain.money import Address, Mint
from sniperforge.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Position:
    """One token of one wallet, at average cost.

    Attributes:
        raw: Base units held by the books.
        cost_usd: What those units cost in dollars, fees included.
        realised_usd: Profit (or loss) of everything sold so far.
        version: Compare-and-set counter.
    """

    wallet: Address
    mint: Mint
    raw: int
    cost_usd: Decimal
    realised_usd: Decimal
    version: int = 0

    def bought(self, raw: int, cost_usd: Decimal) -> Position:
        """The position after `raw` more units that cost `cost_usd`.

        Raises:
            InvalidInputError: Not a positive amount, or a negative cost.
        """
        if raw <= 0 or cost_usd < 0:
            raise InvalidInputError(f"cannot buy {raw} units for {cost_usd} USD", subject=self.mint)
        return replace(self, raw=self.raw + raw, cost_usd=self.cost_usd + cost_usd)

    def sold(self, raw: int, proceeds_usd: Decimal) -> Position:
        """The position after `raw` units left for `proceeds_usd`; cost leaves at the average.

        Raises:
            InvalidInputError: More than is held, or not a positive amount.
        """
        if not 0 < raw <= self.raw:
            raise InvalidInputError(f"cannot sell {raw} of {self.raw} units", subject=self.mint)
        cost = self.cost_usd if raw == self.raw else self.cost_usd * raw / self.raw
        return replace(
            self,
            raw=self.raw - raw,
            cost_usd=self.cost_usd - cost,
            realised_usd=self.realised_usd + proceeds_usd - cost,
        )
