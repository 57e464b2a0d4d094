"""Windows of time by hand: stretches of the clock, one alone or one every day, told without any zone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal

from sniperforge.domain.order import Crossing
from sniperforge.domain.time_window import Daily, Once, TimeWindow
from sniperforge.domain.trigger import Subject
from sniperforge.trading.order_terms import OrderTerms
from tests.fakes.clock import START

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

AHEAD_OF_UTC = {"UTC": 0, "Asia/Kolkata": 5 * 60 + 30, "Pacific/Tarawa": 12 * 60}
"""Minutes, all year round: the first day begins at noon, at half past five, and at midnight."""

IS_OPEN, IS_SHUT = Decimal(1), Decimal(2)

_LONG_AGO, _NEVER = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

Stretch = tuple[datetime, datetime]
"""From a moment until before another."""


@dataclass(frozen=True)
class OnceFromNow:
    """A window that a person asks for, in minutes from then; None where it is left open."""

    begins: int | None
    ends: int | None
    zone: str = "UTC"

    def at(self, now: datetime) -> tuple[TimeWindow, NaiveWindow]:
        """The window asked for now, and the same by hand."""
        begins, ends = (None if one is None else now + one * MINUTE for one in (self.begins, self.ends))
        told = timezone(AHEAD_OF_UTC[self.zone] * MINUTE)
        product = Once(*(None if one is None else one.astimezone(told) for one in (begins, ends)))
        return product, NaiveWindow(begins or _LONG_AGO, ends or _NEVER)


@dataclass(frozen=True)
class EveryDay:
    """A window that opens every day so many minutes after `START`, told by the clocks of a zone."""

    begins: int
    lasts: int
    zone: str

    def at(self, now: datetime) -> tuple[TimeWindow, NaiveWindow]:  # noqa: ARG002 (the clocks of walls tell it)
        """The window, and the same by hand."""
        begins, ahead = START + self.begins * MINUTE, AHEAD_OF_UTC[self.zone] * MINUTE
        ends = begins + self.lasts * MINUTE
        opens, shuts = (time(shown.hour, shown.minute) for shown in (begins + ahead, ends + ahead))
        return Daily(opens, shuts, self.zone), NaiveWindow(begins, ends, is_daily=True)


@dataclass(frozen=True)
class NaiveWindow:
    """From one moment until before another, and so every day if it is a daily one."""

    begins: datetime
    ends: datetime
    is_daily: bool = False

    def is_open(self, at: datetime) -> bool:
        """Whether this moment is in it."""
        return any(begins <= at < ends for begins, ends in self.near(at))

    def near(self, at: datetime) -> list[Stretch]:
        """When it is open: of a daily one only the days about this moment."""
        if not self.is_daily:
            return [(self.begins, self.ends)]
        today = (at - self.begins) // DAY
        return [(self.begins + day * DAY, self.ends + day * DAY) for day in range(today - 1, today + 3)]


@dataclass
class Calendar:
    """Every window that anybody asked for, by the name it is watched by."""

    windows: dict[Subject, NaiveWindow] = field(default_factory=dict)

    def crossing(self, asked: OnceFromNow | EveryDay, now: datetime) -> Crossing:
        """A condition that is met while the window asked for now is open."""
        window, by_hand = asked.at(now)
        met = Crossing.into(window)
        assert self.windows.setdefault(met.subject, by_hand) == by_hand
        return met

    def values(self, at: datetime) -> dict[Subject, Decimal]:
        """Of all windows: they never lack one."""
        return {name: IS_OPEN if one.is_open(at) else IS_SHUT for name, one in self.windows.items()}

    def of(self, terms: OrderTerms) -> list[Subject]:
        """The windows that an order waits for."""
        return [one.subject for one in terms.conditions if is_time(one.subject)]

    def ends_of(self, terms: OrderTerms) -> datetime | None:
        """When an order is over: by itself, or because a window is that it cannot do without."""
        windows = [self.windows[name] for name in self.of(terms) if terms.needs_all]
        ends = [one.ends for one in windows if not one.is_daily and one.ends < _NEVER]
        return min([*ends, *([] if terms.expires_at is None else [terms.expires_at])], default=None)

    def lets_fire(self, terms: OrderTerms, now: datetime) -> bool:
        """Whether each window opens while the order is watched, and all at once where it needs all."""
        begins, ends = max(now, terms.active_from or now), terms.expires_at
        names = self.of(terms)
        needed = [[name] for name in names] + ([names] if terms.needs_all else [])
        return all(self.opens(some, begins, ends) is not None for some in needed)

    def lets_fire_still(self, before: OrderTerms, after: OrderTerms, now: datetime) -> bool:
        """The same of an order that is changed: where any is enough, a window that was over already may stay so."""
        if after.needs_all:
            return self.lets_fire(after, now)
        known = [name for name in self.of(before) if not self._opens_for(before, name, now)]
        return all(self._opens_for(after, name, now) or name in known for name in self.of(after))

    def _opens_for(self, terms: OrderTerms, name: Subject, now: datetime) -> bool:
        return self.opens([name], max(now, terms.active_from or now), terms.expires_at) is not None

    def opens(self, names: Collection[Subject], after: datetime, until: datetime | None = None) -> datetime | None:
        """The first moment of this time at which all of these are open, if there is one."""
        windows = [self.windows[name] for name in names]
        found, about = [(after, until or _NEVER)], max([after, *(one.begins for one in windows)])
        for one in windows:
            found = list(_common(found, one.near(about)))
        return min((begins for begins, _ in found), default=None)

    def edges(self, names: Iterable[Subject], after: datetime) -> list[datetime]:
        """When one of these opens or shuts next."""
        stretches = [stretch for name in names for stretch in self.windows[name].near(after)]
        return sorted({edge for stretch in stretches for edge in stretch if after <= edge < _NEVER})


def is_time(subject: Subject) -> bool:
    """Whether a window is watched by this name."""
    return subject.startswith("time/")


def _common(some: Iterable[Stretch], others: Sequence[Stretch]) -> Iterator[Stretch]:
    for begins, ends in some:
        for other_begins, other_ends in others:
            first, last = max(begins, other_begins), min(ends, other_ends)
            if first < last:
                yield first, last
