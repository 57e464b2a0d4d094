"""What open orders watch, as it is now: prices by Jupiter, ratios of two, changes over a time, and windows of time.

A price that is missing, stale or jumped is no price, by the rules that trades go by (`price_checks`): what is made of
it has no value, and why is said. One request brings the prices of 50 tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sniperforge.domain.money import Mint
from sniperforge.domain.prices import MAX_PRICE, MIN_PRICE, Price, rounded_price
from sniperforge.domain.time_window import TimeWindow, value_of
from sniperforge.domain.trigger import Subject
from sniperforge.domain.watching import Watching, mints_of, watching
from sniperforge.ports.chain import ChainReader, Commitment
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Exchange, Lane
from sniperforge.ports.price_samples import PriceSample
from sniperforge.ports.records import Event, Severity
from sniperforge.ports.store import Books, Store
from sniperforge.trading.price_checks import ABSENT, jumped, stale
from sniperforge.trading.price_judge import PricePolicy

MINTS_AT_ONCE = 50
"""Prices that one request may ask for (developers.jup.ag, Price API v3)."""

SAMPLE_EVERY = timedelta(seconds=10)
"""How often a price is kept for later, of tokens that are watched over a time."""

SHORTEST_INTERVAL = timedelta(seconds=1)
"""Prices are looked at this often where the budget bears it: they change with the slots, two in a second."""

TOO_EARLY = "too early"
"""The kind of problem of a change over a time for which no price was kept yet: it ends by itself."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_SLACK = timedelta(seconds=60)
_SLACK_SHARE = 10
_FORGOTTEN_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenValue:
    """A value that something watched has now.

    Attributes:
        value: Positive, at most 17 significant digits.
        print_number: Grows with every new price of what it is made of, and only with it.
        at: When it was seen.
    """

    value: Decimal
    print_number: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look found. Every subject that was asked for has a value or a problem.

    Attributes:
        values: By subject.
        problems: Why the others have none: `KIND: WORDS`, as `ports.triggers.kind_of_problem` tells the kind.
        observed: Every fresh price, those that jumped included.
        sampled: Prices to go by of tokens that are watched over a time: some are kept for later.
        longest_lookback: The longest of these times; None when nothing is watched over a time.
    """

    values: Mapping[Subject, SeenValue]
    problems: Mapping[Subject, str]
    observed: tuple[Price, ...]
    sampled: tuple[Price, ...] = ()
    longest_lookback: timedelta | None = None


class PriceWatch:
    """Looks at what is watched.

    Args:
        store: Knows the last price seen of each token, and prices of a while ago.
        exchange: Jupiter.
        chain: Tells our own slot, by which prices are old or new.
        clock: Time.
        policy: When a price is stale, and when it jumped.
    """

    def __init__(
        self, *, store: Store, exchange: Exchange, chain: ChainReader, clock: Clock, policy: PricePolicy
    ) -> None:
        self._store = store
        self._exchange = exchange
        self._chain = chain
        self._clock = clock
        self._policy = policy

    def look(self, subjects: Sequence[Subject], *, lane: Lane = Lane.MONITORING) -> Look:
        """What these are now: every price is asked for, or none.

        A price that jumped is kept as the last one seen, so that it is believed at the next look if it stays.

        Args:
            subjects: Names by `domain.watching`.
            lane: How urgent it is.

        Raises:
            RateLimitedError: There is no room for it in the request budget; nothing was asked.
            RetryableError: Jupiter, the chain or the books cannot be reached now.
            InvalidInputError: One of the names is no name.
        """
        every = {subject: watching(subject) for subject in subjects}
        watched = {subject: one for subject, one in every.items() if isinstance(one, Watching)}
        windows = {subject: one for subject, one in every.items() if not isinstance(one, Watching)}
        if not watched:
            return Look(values=_by_the_clock(windows, self._clock.now()), problems={}, observed=())
        mints = tuple(dict.fromkeys(mint for one in watched.values() for mint in one.mints))
        started = self._clock.now()
        with self._store.read() as books:
            last_seen = books.prices.newest(mints)
            earlier = {subject: _sample(books, one, started) for subject, one in watched.items()}
        found = self._ask(mints, lane)
        answers = self._sift(found, mints, last_seen, self._chain.slot(Commitment.CONFIRMED))
        if answers.jumped:
            with self._store.write() as books:
                books.prices.observe(answers.jumped)
        look = _look(watched, earlier, answers)
        return replace(look, values={**look.values, **_by_the_clock(windows, answers.at)})

    def _ask(self, mints: Sequence[Mint], lane: Lane) -> Mapping[Mint, Price]:
        batches = [mints[start : start + MINTS_AT_ONCE] for start in range(0, len(mints), MINTS_AT_ONCE)]
        if len(batches) == 1:
            return self._exchange.prices(mints, lane=lane)
        found: dict[Mint, Price] = {}
        with self._exchange.together(len(batches), lane=lane):
            for batch in batches:
                found |= self._exchange.prices(batch, lane=lane)
        return found

    def _sift(
        self,
        found: Mapping[Mint, Price],
        mints: Sequence[Mint],
        last_seen: Mapping[tuple[Mint, str], Price],
        slot: int,
    ) -> _Answers:
        """Tell prices to go by from reasons why there is none."""
        now, behind, jump_bps = self._clock.now(), self._policy.max_slots_behind, self._policy.jump_bps
        by_mint: dict[Mint, Price | str] = {}
        fresh: list[Price] = []
        strange: list[Price] = []
        for mint in mints:
            price = found.get(mint)
            if price is None:
                by_mint[mint] = f"missing: {ABSENT}"
            elif why := stale(price, slot=slot, now=now, max_slots_behind=behind):
                by_mint[mint] = f"stale: {why}"
            elif why := jumped(price, last_seen.get((mint, price.source)), jump_bps=jump_bps):
                by_mint[mint] = f"jumped: {why}"
                strange.append(price)
            else:
                by_mint[mint] = price
                fresh.append(price)
        return _Answers(by_mint=by_mint, observed=(*fresh, *strange), jumped=tuple(strange), at=now)


def note(books: Books, look: Look, now: datetime) -> None:
    """Write a look down: prices seen, prices kept for later, and an event for whatever has no value any more or again.

    It is told once and not at every look.

    Args:
        books: Where, before the ticks of this look: they end what is noted as missing.
        look: What was found.
        now: The time.
    """
    books.prices.observe(look.observed)
    _keep(books, look, now)
    for subject, problem in sorted(look.problems.items()):
        if books.triggers.missed(subject, problem, at=now):
            books.events.add(
                Event(
                    at=now,
                    kind="price.missing",
                    severity=Severity.WARNING,
                    message=f"nothing that watches {subject} can fire: {problem}",
                    facts={"subject": subject, "problem": problem},
                )
            )
    for watched in books.triggers.watched():
        if watched.problem is not None and watched.subject in look.values:
            books.events.add(
                Event(
                    at=now,
                    kind="price.back",
                    severity=Severity.INFO,
                    message=f"{watched.subject} has a value again",
                    facts={"subject": watched.subject, "problem": watched.problem},
                )
            )


def check_every(subjects: Sequence[Subject], *, calls: int, window: timedelta) -> timedelta:
    """How often so many subjects can be looked at.

    Args:
        subjects: What is watched.
        calls: How many requests of lane MONITORING the budget holds in any `window`, at least 1.
        window: Of the budget.
    """
    mints = {mint for subject in subjects for mint in mints_of(subject)}
    requests = -(-len(mints) // MINTS_AT_ONCE)
    return max(SHORTEST_INTERVAL, window * requests / calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """What Jupiter said, told apart.

    Attributes:
        by_mint: The price to go by of each token, or why there is none.
        observed: Every fresh price.
        jumped: Those of them that are too far from the last one seen.
        at: When it was told apart.
    """

    by_mint: Mapping[Mint, Price | str]
    observed: tuple[Price, ...]
    jumped: tuple[Price, ...]
    at: datetime


def _look(
    watched: Mapping[Subject, Watching], earlier: Mapping[Subject, PriceSample | None], answers: _Answers
) -> Look:
    values: dict[Subject, SeenValue] = {}
    problems: dict[Subject, str] = {}
    for subject, one in watched.items():
        seen = _value(one, earlier[subject], answers)
        if isinstance(seen, str):
            problems[subject] = seen
        else:
            values[subject] = seen
    over_time = {one.mint: answers.by_mint[one.mint] for one in watched.values() if one.lookback_s is not None}
    lookbacks = [timedelta(seconds=one.lookback_s) for one in watched.values() if one.lookback_s is not None]
    return Look(
        values=values,
        problems=problems,
        observed=answers.observed,
        sampled=tuple(price for price in over_time.values() if isinstance(price, Price)),
        longest_lookback=max(lookbacks, default=None),
    )


def _by_the_clock(windows: Mapping[Subject, TimeWindow], at: datetime) -> dict[Subject, SeenValue]:
    """Windows of time, open or shut; every look is a print of them."""
    number = (at - _EPOCH) // timedelta(milliseconds=1)
    return {
        subject: SeenValue(value=value_of(window, at), print_number=number, at=at)
        for subject, window in windows.items()
    }


def _value(one: Watching, earlier: PriceSample | None, answers: _Answers) -> SeenValue | str:
    """What one subject is now, or why it has no value."""
    prices = [answers.by_mint[mint] for mint in one.mints]
    missing = [
        why if one.per is None else f"{why} ({mint})"
        for mint, why in zip(one.mints, prices, strict=True)
        if isinstance(why, str)
    ]
    if missing:
        return "; ".join(missing)
    price, *per = [price for price in prices if isinstance(price, Price)]
    if one.lookback_s is not None:
        if earlier is None:
            return f"{TOO_EARLY}: no price is known from {one.lookback_s} s ago yet"
        exact = price.usd / earlier.usd
    else:
        exact = price.usd / per[0].usd if per else price.usd
    value = rounded_price(exact)
    if not MIN_PRICE <= value <= MAX_PRICE:
        return f"out of range: {value} is not between {MIN_PRICE} and {MAX_PRICE}"
    return SeenValue(value=value, print_number=_number(price, *per), at=answers.at)


def _number(*prices: Price) -> int:
    """Number of the print that is made of these: the sum of their slots.

    A source's slots never fall, so the sum grows when any of them has a new price, and else stays. The greatest would
    not do: the price with the lower slot could change unseen.
    """
    return sum(price.slot for price in prices if price.slot is not None)


def _slack(lookback: timedelta) -> timedelta:
    """How much older than asked for an earlier price may be."""
    return max(_LEAST_SLACK, lookback / _SLACK_SHARE)


def _sample(books: Books, one: Watching, now: datetime) -> PriceSample | None:
    """The price that a change over a time is told from."""
    if one.lookback_s is None:
        return None
    then = now - timedelta(seconds=one.lookback_s)
    return books.price_samples.before(one.mint, then, not_before=then - _slack(now - then))


def _keep(books: Books, look: Look, now: datetime) -> None:
    """Keep prices for later where the last one kept is old enough, and forget those that nobody will ask for."""
    lately = now - SAMPLE_EVERY + timedelta.resolution
    due = {
        price.mint: price.usd
        for price in look.sampled
        if books.price_samples.before(price.mint, now, not_before=lately) is None
    }
    if due and look.longest_lookback is not None:
        books.price_samples.add(due, at=now)
        oldest = now - look.longest_lookback - _slack(look.longest_lookback)
        books.price_samples.forget(oldest, _FORGOTTEN_AT_ONCE)
