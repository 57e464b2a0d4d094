"""Holds entries against the protections (`domain.risk`), with what the books say in the caller's own transaction.

An entry is looked at twice: when it is decided, and in the transaction that inserts its attempt, before a signed byte
leaves. Only there its worth is known, and only there two wallets cannot look for the same room at the same time.
Exits are never looked at, and what no limit asks for is not asked of the books.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import takewhile

from sniperforge.domain.ids import IntentKey, order_of_key
from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.order import LegName, OrderKind
from sniperforge.domain.risk import (
    DAY,
    NO_LIMITS,
    Denial,
    ProposedTrade,
    RiskFacts,
    RiskLimits,
    Rule,
    Use,
    denials,
    uses,
)
from sniperforge.errors import RiskDeniedError
from sniperforge.ports.risk import ExitFill
from sniperforge.ports.store import Books

_ALMOST_A_SECOND = timedelta(microseconds=999_999)

_OVERTAKEN = 100
"""How many entries decided before those that make a pause are looked at: one that failed later makes it longer."""

_STOPS = frozenset({OrderKind.STOP_LOSS, OrderKind.TRAILING_STOP})


@dataclass(frozen=True, slots=True)
class Protections:
    """The limits, and how to hold them."""

    limits: RiskLimits = NO_LIMITS

    @property
    def is_shared(self) -> bool:
        """Whether signing uses up something that all wallets share, so that two must not look for room at once."""
        limits = self.limits
        shared = (limits.spend_per_day_usd, limits.exposure_per_token_usd, limits.exposure_usd)
        return any(limit is not None for limit in shared)

    def denials(self, books: Books, trade: ProposedTrade, now: datetime) -> tuple[Denial, ...]:
        """Every rule that denies a trade now; none denies an exit.

        Args:
            books: Any transaction. One that inserts an attempt holds the system alone if the limits are shared, and
                has nothing of that attempt in the books yet.
            trade: What is to be decided or signed.
            now: The time.
        """
        if trade.effect is ExposureEffect.EXIT:
            return ()
        return denials(self.limits, self.facts(books, now), trade)

    def require_room(self, books: Books, trade: ProposedTrade, now: datetime) -> None:
        """Refuse an entry that a rule denies; arguments as of `denials`.

        Raises:
            RiskDeniedError: There is no room for it.
        """
        found = self.denials(books, trade, now)
        if found:
            raise refusal(found)

    def uses(self, books: Books, now: datetime) -> tuple[Use, ...]:
        """How every rule that has a limit stands for an entry whose worth nobody knows yet.

        Returns:
            In the order of the rules; one of a single token once for each token that it has something to tell of, by
            mint, or once without a token.
        """
        known = self.facts(books, now)
        tokens = sorted({*known.held_usd, *known.under_way_usd, *known.exits})
        entries = [ProposedTrade(effect=ExposureEffect.ENTRY, token=token) for token in (None, *tokens)]
        of_any, *of_tokens = (uses(self.limits, known, entry) for entry in entries)
        told = [use for found in of_tokens for use in found if use.token is not None and (use.used or use.denial)]
        return tuple(use for one in of_any for use in [other for other in told if other.rule is one.rule] or [one])

    def facts(self, books: Books, now: datetime) -> RiskFacts:
        """What these limits need to know."""
        limits, risk = self.limits, books.risk
        day = limits.day_of(now)
        lost_since = _earliest(
            day if limits.loss_per_day_usd is not None else None,
            now - limits.drawdown_over if limits.drawdown_usd is not None else None,
        )
        paused_since = now - limits.window - limits.pause
        stops_since = paused_since if limits.pause_after_stops is not None else None
        sold_since = now - limits.token_cooldown if limits.token_cooldown is not None else None
        exits_since = _earliest(stops_since, sold_since)
        exits = () if exits_since is None else risk.exits(since=exits_since)
        holds = limits.exposure_per_token_usd is not None or limits.exposure_usd is not None
        return RiskFacts(
            now=now,
            spent=risk.spent(since=now - DAY) if limits.spend_per_day_usd is not None else (),
            results=risk.results(since=lost_since) if lost_since is not None else (),
            fees_usd=risk.fees(since=day) if limits.fees_per_day_usd is not None else Decimal(0),
            held_usd=risk.held() if holds else {},
            under_way_usd=risk.under_way() if holds else {},
            stops=_stops(books, exits, stops_since) if stops_since is not None else (),
            failures=_failures(books, limits.pause_after_failures) if limits.pause_after_failures is not None else (),
            divergences=risk.diverged(since=paused_since) if limits.pause_after_divergences is not None else (),
            exits={one.token: one.at for one in exits} if sold_since is not None else {},
        )


NO_PROTECTIONS = Protections()
"""Nothing holds an entry back."""


def refusal(found: Sequence[Denial]) -> RiskDeniedError:
    """What a person is told about an entry that is denied: every rule, and what to do."""
    first, *others = found
    moments = [one.until for one in found if one.until is not None]
    until = max(moments) if len(moments) == len(found) else None
    fix = "Trade less, or raise the limit" if until is None else f"Entries are allowed again from {_second(until)}"
    return RiskDeniedError(
        "; ".join((first.because, *(f"{one.rule.value}: {one.because}" for one in others))),
        subject=first.rule.value,
        fix=f"{fix}; `sniperforge risk-show` tells how every limit stands",
        rules=tuple(one.rule.value for one in found),
        until=until,
    )


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((one for one in moments if one is not None), default=None)


def _stops(books: Books, exits: Sequence[ExitFill], since: datetime) -> tuple[datetime, ...]:
    return tuple(one.at for one in exits if one.at >= since and _is_stop(books, one.key))


def _is_stop(books: Books, key: IntentKey) -> bool:
    """Whether a trade was fired by a stop: the stop of a pair, or the leg of an order that is one."""
    known = order_of_key(key)
    if known is None:
        return False
    order_id, leg, _ = known
    if leg == LegName.STOP:
        return True
    order = books.orders.get(order_id)
    return order is not None and order.kind in _STOPS


def _failures(books: Books, most: int) -> tuple[datetime, ...]:
    """When the newest entries failed, as long as none of them filled. One that was denied here tried nothing."""
    row = _row_of_failures(books, most)
    return row if len(row) < most else _row_of_failures(books, most + _OVERTAKEN)


def _row_of_failures(books: Books, most: int) -> tuple[datetime, ...]:
    newest = books.risk.ended_entries(most, without=[rule.value for rule in Rule])
    return tuple(one.at for one in takewhile(lambda entry: entry.failed, newest))


def _second(at: datetime) -> str:
    """The first whole second from which it holds."""
    return f"{at.astimezone(UTC) + _ALMOST_A_SECOND:%Y-%m-%d %H:%M:%S} UTC"
