"""The most that may be spent: per trade, and by all entries of 24 hours together. Exits are never held back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sniperforge.domain.intent import ExposureEffect
from sniperforge.errors import SpendLimitError
from sniperforge.ports.store import Books

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLimits:
    """Limits in dollars, None where there is none. Held in the transaction that inserts an attempt.

    What counts is what an attempt would give, valued as when it was signed. One that is proven dead or landed with an
    error gave nothing and does not count; one that may still land counts in full.
    """

    per_trade_usd: int | None = None
    per_day_usd: int | None = None

    @property
    def is_shared(self) -> bool:
        """Whether all wallets draw on one limit, so that two of them must not look for room at the same time."""
        return self.per_day_usd is not None

    def require_room(self, books: Books, worth: Decimal, effect: ExposureEffect, now: datetime) -> None:
        """Refuse an entry that goes beyond a limit. Nothing of its attempt is in the books yet.

        Args:
            books: The write transaction that inserts the attempt; it holds the system alone if the limit `is_shared`.
            worth: What it gives, in dollars.
            effect: Exits are never held back.
            now: The time.

        Raises:
            SpendLimitError: There is no room for it.
        """
        if effect is ExposureEffect.EXIT:
            return
        if self.per_trade_usd is not None and worth > self.per_trade_usd:
            raise SpendLimitError(
                f"it is worth {_shown(worth)} USD, and a trade may spend {self.per_trade_usd}",
                subject="max_spend_per_trade_usd",
                fix="Trade less, or raise the limit",
            )
        if self.per_day_usd is None:
            return
        spent = books.attempts.spent_on_entries_usd(since=now - DAY)
        if spent + worth > self.per_day_usd:
            raise SpendLimitError(
                f"it is worth {_shown(worth)} USD, and of {self.per_day_usd} for 24 hours {_shown(spent)} are spent",
                subject="max_spend_per_day_usd",
                fix="Wait, trade less, or raise the limit",
            )


NO_SPEND_LIMITS = SpendLimits()
"""Everything may be spent."""


def _shown(usd: Decimal) -> str:
    return f"{usd:.2f}"
