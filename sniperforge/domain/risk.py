"""Protections: when no new exposure may be taken on. Rules, their limits, what is used of them, and what they deny.

All of them speak of all wallets together, and of entries only: an exit is never denied. Each rule has the name of the
setting that is its limit, so that whoever reads a denial knows where it comes from.

| rule | denies an entry | until |
|---|---|---|
| `max_spend_per_trade_usd` | worth more | never by itself |
| `max_spend_per_day_usd` | that with all entries signed within 24 hours is worth more | enough of them are older |
| `max_loss_per_day_usd` | when the results since the last reset add up to such a loss | the next reset |
| `max_drawdown_usd` | when results fell so far from their highest point within the days looked at | that is older |
| `max_fees_per_day_usd` | when fees, tips and rent since the last reset come to so much | the next reset |
| `max_exposure_per_token_usd` | that with what is held of its token and under way is more | something is sold |
| `max_exposure_usd` | the same, of all tokens | something is sold |
| `risk_pause_after_stops` | when so many stops filled within the window | the pause is over |
| `risk_pause_after_failures` | when the last so many entries failed | the pause is over |
| `risk_pause_after_divergences` | when prices contradicted each other in so many trades within it | the pause is over |
| `risk_token_cooldown_s` | of a token that was sold so short a time ago | that time is over |

A *result* is what an exit brought: what it got, at its own independent price when it was signed, less the average cost
(`domain.portfolio`) of what it gave of what was bought here, less its fee and tip; and, as a loss, the fee of a
transaction that swapped nothing. What an entry costs is in the cost of what it bought and shows when that is sold. So
equity as booked (cost of what is held, and money) moves by results and by nothing else, and its drawdown is the largest
loss that results in a row, up to the newest, add up to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import Mint

DAY = timedelta(hours=24)

_NOTHING: Mapping[Mint, Decimal] = MappingProxyType({})


class Rule(StrEnum):
    """The rules, in the order in which they are looked at; each is named as the setting of its limit."""

    SPEND_PER_TRADE = "max_spend_per_trade_usd"
    SPEND_PER_DAY = "max_spend_per_day_usd"
    LOSS_PER_DAY = "max_loss_per_day_usd"
    DRAWDOWN = "max_drawdown_usd"
    FEES_PER_DAY = "max_fees_per_day_usd"
    EXPOSURE_PER_TOKEN = "max_exposure_per_token_usd"  # noqa: S105 (a token to trade)
    EXPOSURE = "max_exposure_usd"
    STOPS = "risk_pause_after_stops"
    FAILURES = "risk_pause_after_failures"
    DIVERGENCES = "risk_pause_after_divergences"
    COOLDOWN = "risk_token_cooldown_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """What is allowed; None where there is no limit. Dollars unless the name says otherwise.

    Attributes:
        spend_per_trade_usd: Worth of one entry at most.
        spend_per_day_usd: Worth of all entries signed within 24 hours at most.
        loss_per_day_usd: With such a loss since the last reset entries stop.
        drawdown_usd: With such a fall of the results within `drawdown_over` entries stop.
        fees_per_day_usd: With such fees, tips and rent since the last reset entries stop.
        exposure_per_token_usd: Cost of what is held of one token, and worth of what is under way into it, at most.
        exposure_usd: The same of all tokens.
        pause_after_stops: So many stops filled within `window` pause entries.
        pause_after_failures: So many entries that failed in a row pause entries.
        pause_after_divergences: So many trades set back by contradicting prices within `window` pause entries.
        token_cooldown: A token is not bought again so soon after an exit from it.
        window: Within which stops and divergences are counted.
        pause: How long entries pause after the last of them.
        drawdown_over: How far back the highest point of the results is looked for.
        day_starts_at: Time of day (UTC) at which losses and fees are counted anew.
        cash: Tokens that are money: holding or buying them is no exposure.
    """

    spend_per_trade_usd: int | None = None
    spend_per_day_usd: int | None = None
    loss_per_day_usd: int | None = None
    drawdown_usd: int | None = None
    fees_per_day_usd: Decimal | None = None
    exposure_per_token_usd: int | None = None
    exposure_usd: int | None = None
    pause_after_stops: int | None = None
    pause_after_failures: int | None = None
    pause_after_divergences: int | None = None
    token_cooldown: timedelta | None = None
    window: timedelta = timedelta(hours=1)
    pause: timedelta = timedelta(hours=1)
    drawdown_over: timedelta = timedelta(days=30)
    day_starts_at: time = time(0)
    cash: frozenset[Mint] = frozenset()

    def day_of(self, now: datetime) -> datetime:
        """The last reset: the newest moment with the reset's time of day that is not after `now`."""
        start = datetime.combine(now.astimezone(UTC).date(), self.day_starts_at, UTC)
        return start if start <= now else start - DAY


NO_LIMITS = RiskLimits()
"""Everything is allowed."""


@dataclass(frozen=True, slots=True)
class Dated:
    """Dollars at a moment."""

    at: datetime
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFacts:
    """What the books say, all wallets together. What no limit asks for may be left out.

    Attributes:
        now: The time.
        spent: Worth of each entry signed within 24 hours that gave something or still may, oldest first.
        results: Results since the last reset and within the days of the drawdown, oldest first.
        fees_usd: Fees, tips and rent (less rent returned) since the last reset.
        held_usd: Cost of what is held, by token.
        under_way_usd: Worth of entries that are signed and in no position yet, by the token they get.
        stops: When stops filled, oldest first, as far back as a pause can reach.
        failures: When the newest entries ended, newest decision first, up to the first one that did not fail.
        divergences: When trades were set back by contradicting prices, each once, oldest first.
        exits: When each token was last sold, within the cool-down.
    """

    now: datetime
    spent: Sequence[Dated] = ()
    results: Sequence[Dated] = ()
    fees_usd: Decimal = Decimal(0)
    held_usd: Mapping[Mint, Decimal] = field(default_factory=lambda: _NOTHING)
    under_way_usd: Mapping[Mint, Decimal] = field(default_factory=lambda: _NOTHING)
    stops: Sequence[datetime] = ()
    failures: Sequence[datetime] = ()
    divergences: Sequence[datetime] = ()
    exits: Mapping[Mint, datetime] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedTrade:
    """What somebody wants to decide or sign.

    Attributes:
        token: What it gets; None leaves that open: then no limit of one token denies it.
        worth_usd: What it gives; None where nobody knows yet: then only a limit that is used up denies it.
    """

    effect: ExposureEffect
    token: Mint | None = None
    worth_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Why an entry may not be.

    Attributes:
        limit: Dollars, a count, or seconds, as the rule's name says.
        used: What is used of it already, this entry not included.
        because: The same in words.
        until: From when it would be allowed again if nothing else happens; None when time does not heal it.
    """

    rule: Rule
    limit: Decimal
    used: Decimal
    because: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a rule stands.

    Attributes:
        limit: As in `Denial`, like `used`.
        token: Of which token it tells, if it is a rule of one token.
        denial: What it denies the entry with, if it does.
    """

    rule: Rule
    limit: Decimal
    used: Decimal
    token: Mint | None = None
    denial: Denial | None = None


def denials(limits: RiskLimits, facts: RiskFacts, trade: ProposedTrade) -> tuple[Denial, ...]:
    """Every rule that denies a trade; an exit is denied by none."""
    if trade.effect is ExposureEffect.EXIT:
        return ()
    return tuple(use.denial for use in uses(limits, facts, trade) if use.denial is not None)


def uses(limits: RiskLimits, facts: RiskFacts, entry: ProposedTrade) -> tuple[Use, ...]:
    """How every rule that has a limit stands, for an entry."""
    found = (rule(limits, facts, entry) for rule in _RULES)
    return tuple(use for use in found if use is not None)


# ---- what is spent


def _spend_per_trade(limits: RiskLimits, _: RiskFacts, entry: ProposedTrade) -> Use | None:
    most, worth = limits.spend_per_trade_usd, entry.worth_usd
    if most is None:
        return None
    because = None
    if worth is not None and worth > most:
        because = f"it is worth {_cents(worth)} USD, and a trade may spend {most}"
    return _use(Rule.SPEND_PER_TRADE, most, Decimal(0), because)


def _spend_per_day(limits: RiskLimits, facts: RiskFacts, entry: ProposedTrade) -> Use | None:
    most = limits.spend_per_day_usd
    if most is None:
        return None
    day = [one for one in facts.spent if one.at >= facts.now - DAY]
    spent = _sum(day)
    if _fits(spent, entry.worth_usd, most):
        return _use(Rule.SPEND_PER_DAY, most, spent)
    because = f"{_worth(entry)}of {most} for 24 hours {_cents(spent)} are spent"
    until, left = None, spent
    for one in day:
        left -= one.usd
        if _fits(left, entry.worth_usd, most):
            # A moment later: what was signed exactly 24 hours ago still counts.
            until = one.at + DAY + _MOMENT
            break
    return _use(Rule.SPEND_PER_DAY, most, spent, because, until)


# ---- what is lost


def _loss_per_day(limits: RiskLimits, facts: RiskFacts, _: ProposedTrade) -> Use | None:
    most = limits.loss_per_day_usd
    if most is None:
        return None
    day = limits.day_of(facts.now)
    lost = -_sum(one for one in facts.results if one.at >= day)
    because = None
    if lost >= most:
        because = f"{_cents(lost)} USD were lost since {_clock(day)}, and entries stop at {most}"
    return _use(Rule.LOSS_PER_DAY, most, lost, because, day + DAY)


def _drawdown(limits: RiskLimits, facts: RiskFacts, _: ProposedTrade) -> Use | None:
    most = limits.drawdown_usd
    if most is None:
        return None
    fall = deepest = Decimal(0)
    until = None
    for one in reversed(facts.results):
        if one.at < facts.now - limits.drawdown_over:
            break
        fall -= one.usd
        deepest = max(deepest, fall)
        if until is None and fall >= most:
            # What came before this one makes it no better: only when this one is too old, the fall is less.
            until = one.at + limits.drawdown_over + _MOMENT
    because = None
    if deepest >= most:
        days = limits.drawdown_over.days
        because = f"results fell by {_cents(deepest)} USD within {days} days, and entries stop at {most}"
    return _use(Rule.DRAWDOWN, most, deepest, because, until)


def _fees_per_day(limits: RiskLimits, facts: RiskFacts, _: ProposedTrade) -> Use | None:
    most = limits.fees_per_day_usd
    if most is None:
        return None
    day, because = limits.day_of(facts.now), None
    if facts.fees_usd >= most:
        paid = f"{facts.fees_usd:.4f} USD of fees, tips and rent were paid since {_clock(day)}"
        because = f"{paid}, and entries stop at {most}"
    return _use(Rule.FEES_PER_DAY, most, facts.fees_usd, because, day + DAY)


# ---- what is held


def _exposure_per_token(limits: RiskLimits, facts: RiskFacts, entry: ProposedTrade) -> Use | None:
    most, token = limits.exposure_per_token_usd, entry.token
    if most is None or token in limits.cash:
        return None
    if token is None:
        return _use(Rule.EXPOSURE_PER_TOKEN, most, Decimal(0))
    held = facts.held_usd.get(token, Decimal(0)) + facts.under_way_usd.get(token, Decimal(0))
    because = None
    if not _fits(held, entry.worth_usd, most):
        because = f"{_worth(entry)}{_cents(held)} USD of this token are held or under way, and {most} may be"
    return _use(Rule.EXPOSURE_PER_TOKEN, most, held, because, token=token)


def _exposure(limits: RiskLimits, facts: RiskFacts, entry: ProposedTrade) -> Use | None:
    most = limits.exposure_usd
    if most is None:
        return None
    parts = (*facts.held_usd.items(), *facts.under_way_usd.items())
    held = sum((usd for token, usd in parts if token not in limits.cash), Decimal(0))
    because = None
    if entry.token not in limits.cash and not _fits(held, entry.worth_usd, most):
        because = f"{_worth(entry)}{_cents(held)} USD of all tokens are held or under way, and {most} may be"
    return _use(Rule.EXPOSURE, most, held, because)


# ---- what went wrong


def _stops(limits: RiskLimits, facts: RiskFacts, _: ProposedTrade) -> Use | None:
    return _counted(Rule.STOPS, limits.pause_after_stops, facts.stops, limits, facts.now, "stops were filled")


def _divergences(limits: RiskLimits, facts: RiskFacts, _: ProposedTrade) -> Use | None:
    what = "trades were set back because sources of prices contradicted each other"
    return _counted(Rule.DIVERGENCES, limits.pause_after_divergences, facts.divergences, limits, facts.now, what)


def _failures(limits: RiskLimits, facts: RiskFacts, _: ProposedTrade) -> Use | None:
    most = limits.pause_after_failures
    if most is None:
        return None
    used, because, until = Decimal(min(len(facts.failures), most)), None, None
    if used >= most:
        # The newest decision need not be the last to end: an older one may have tried for longer.
        until = max(facts.failures) + limits.pause
        if facts.now < until:
            because = f"the last {most} entries failed, and entries pause for {_seconds(limits.pause)} s"
    return _use(Rule.FAILURES, most, used, because, until)


def _cooldown(limits: RiskLimits, facts: RiskFacts, entry: ProposedTrade) -> Use | None:
    span, token = limits.token_cooldown, entry.token
    if span is None:
        return None
    sold, most = None if token is None else facts.exits.get(token), _seconds(span)
    if sold is None or facts.now >= sold + span:
        return _use(Rule.COOLDOWN, most, Decimal(0), token=token)
    because = f"this token was sold {_seconds(facts.now - sold)} s ago, and is not bought again for {most} s"
    return _use(Rule.COOLDOWN, most, Decimal(_seconds(facts.now - sold)), because, sold + span, token=token)


def _counted(
    rule: Rule, most: int | None, times: Sequence[datetime], limits: RiskLimits, now: datetime, what: str
) -> Use | None:
    """So many within the window, at any time from which a pause reaches until now."""
    if most is None:
        return None
    used = Decimal(sum(at > now - limits.window for at in times))
    ends = [
        last + limits.pause
        for first, last in zip(times, times[most - 1 :], strict=False)
        if last - first <= limits.window
    ]
    until = max(ends, default=now)
    because = None
    if now < until:
        within = f"within {_seconds(limits.window)} s"
        because = f"{most} {what} {within}, and entries pause for {_seconds(limits.pause)} s"
    return _use(rule, most, used, because, until)


_RULES: tuple[Callable[[RiskLimits, RiskFacts, ProposedTrade], Use | None], ...] = (
    _spend_per_trade,
    _spend_per_day,
    _loss_per_day,
    _drawdown,
    _fees_per_day,
    _exposure_per_token,
    _exposure,
    _stops,
    _failures,
    _divergences,
    _cooldown,
)

_MOMENT = timedelta(microseconds=1)


def _use(
    rule: Rule,
    limit: int | Decimal,
    used: Decimal,
    because: str | None = None,
    until: datetime | None = None,
    *,
    token: Mint | None = None,
) -> Use:
    most = Decimal(limit)
    denial = None if because is None else Denial(rule=rule, limit=most, used=used, because=because, until=until)
    return Use(rule=rule, limit=most, used=used, token=token, denial=denial)


def _fits(used: Decimal, worth: Decimal | None, most: int) -> bool:
    """Whether there is room for it; for what nobody knows the worth of, whether there is any."""
    return used < most if worth is None else used + worth <= most


def _worth(entry: ProposedTrade) -> str:
    return "" if entry.worth_usd is None else f"it is worth {_cents(entry.worth_usd)} USD, and "


def _sum(parts: Iterable[Dated]) -> Decimal:
    return sum((one.usd for one in parts), Decimal(0))


def _cents(usd: Decimal) -> str:
    return f"{usd:.2f}"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M} UTC"


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
