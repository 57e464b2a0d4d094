"""What protections ask of the books. Every question costs what it brings, never the whole history."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from sniperforge.domain.ids import IntentKey
from sniperforge.domain.money import Mint
from sniperforge.domain.risk import Dated

PRICE_DIVERGED = "price.diverged"
"""Kind of the event that a trade was set back because sources of prices contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitFill:
    """A fill of an exit that no fork took back.

    Attributes:
        key: The key of its trade.
        token: What was sold.
    """

    at: datetime
    key: IntentKey
    token: Mint


@dataclass(frozen=True, slots=True)
class EndedEntry:
    """An entry that is over: when it ended, and whether it failed."""

    at: datetime
    failed: bool


class RiskRecords(Protocol):
    """Sums and moments of all wallets together, read only."""

    def spent(self, *, since: datetime) -> tuple[Dated, ...]:
        """What each entry signed at `since` or later gives, valued as it was then, oldest first.

        Those that are proven dead, or landed with an error, gave nothing.
        """
        ...

    def under_way(self) -> Mapping[Mint, Decimal]:
        """What entries that are signed and have no fill yet give, by the token they get."""
        ...

    def held(self) -> Mapping[Mint, Decimal]:
        """The cost of what is held, by token."""
        ...

    def exits(self, *, since: datetime) -> tuple[ExitFill, ...]:
        """Fills of exits booked at `since` or later, oldest first."""
        ...

    def results(self, *, since: datetime) -> tuple[Dated, ...]:
        """What exits brought whose fills were booked at `since` or later and stand, oldest first.

        Among them, as losses, fees of transactions signed then that landed with an error.
        """
        ...

    def fees(self, *, since: datetime) -> Decimal:
        """Fees, tips and rent (less rent returned) of landed transactions signed at `since` or later.

        Valued as stored in their attempts. One without a price of SOL counts nothing: nobody knows what it cost.
        """
        ...

    def ended_entries(self, limit: int, *, without: Collection[str]) -> tuple[EndedEntry, ...]:
        """The newest entries that were filled or failed, newest decision first.

        Args:
            limit: How many.
            without: Codes of reasons for which a failed one is passed over.
        """
        ...

    def diverged(self, *, since: datetime) -> tuple[datetime, ...]:
        """When trades were last set back by contradicting prices, if at `since` or later: each once, oldest first."""
        ...
