"""Windows of time that an order may wait for beside prices: once, or every day by the clocks of a zone.

A window is watched as everything else is: it is a subject, `time/...`, with one value while it is open and a greater
one while it is shut. So it can be confirmed, combined and missed like a price, and costs no request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from sniperforge.domain.trigger import Subject
from sniperforge.domain.wall_clock import moment_on, zone_named
from sniperforge.errors import InvalidInputError

OPEN, SHUT = Decimal(1), Decimal(2)
"""Values of a window; a condition on it is a crossing from above at `OPEN`."""

LOOKED_AHEAD = timedelta(days=400)
"""How far `open_together` looks: every date, and every change of a clock, comes once a year."""

_KIND = "time"
_DAY = timedelta(days=1)
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_FARTHEST = datetime(9_998, 1, 1, tzinfo=UTC)
"""Beyond this no zone can tell the time, and nobody waits."""


@dataclass(frozen=True, slots=True)
class Once:
    """From one moment until before another, either of which may be left out.

    Raises:
        InvalidInputError: Neither is given, one has no zone, or it ends before it begins.
    """

    begins: datetime | None
    ends: datetime | None

    def __post_init__(self) -> None:
        given = [moment for moment in (self.begins, self.ends) if moment is not None]
        if not given:
            raise InvalidInputError("a window of time begins or ends at some time", subject=_KIND)
        for moment in given:
            if moment.tzinfo is None:
                raise InvalidInputError(f"{moment.isoformat()} needs a time zone", subject=_KIND)
        if self.begins is not None and self.ends is not None and self.ends <= self.begins:
            raise InvalidInputError(
                f"it ends ({self.ends.isoformat()}) before it begins ({self.begins.isoformat()})", subject=_KIND
            )

    @property
    def subject(self) -> Subject:
        """The name that it is watched by: equal windows have equal names."""
        moments = ("" if one is None else one.astimezone(UTC).isoformat() for one in (self.begins, self.ends))
        return Subject("/".join((_KIND, *moments)))

    def __str__(self) -> str:
        begins = "" if self.begins is None else f" from {self.begins.isoformat()}"
        return f"time{begins}" if self.ends is None else f"time{begins} until {self.ends.isoformat()}"

    def is_open(self, at: datetime) -> bool:
        """Whether this moment is in it."""
        return (self.begins is None or self.begins <= at) and (self.ends is None or at < self.ends)

    def openings(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Moments of this time at which it opens, in order."""
        if self.begins is not None and after <= self.begins <= until:
            yield self.begins


@dataclass(frozen=True, slots=True)
class Daily:
    """Every day from one time until before another, over midnight where that is earlier, by the clocks of a zone.

    Raises:
        InvalidInputError: It is empty, or there is no such zone.
    """

    begins: time
    ends: time
    zone: str

    def __post_init__(self) -> None:
        zone_named(self.zone)
        if self.begins == self.ends:
            raise InvalidInputError(f"it ends when it begins, at {self.begins:%H:%M}", subject=_KIND)

    @property
    def subject(self) -> Subject:
        """The name that it is watched by: equal windows have equal names."""
        return Subject(f"{_KIND}/{self.begins:%H:%M}-{self.ends:%H:%M}/{self.zone}")

    def __str__(self) -> str:
        return f"time {self.begins:%H:%M}-{self.ends:%H:%M} {self.zone}"

    def is_open(self, at: datetime) -> bool:
        """Whether clocks show a time in it."""
        shown = at.astimezone(zone_named(self.zone)).time()
        if self.begins < self.ends:
            return self.begins <= shown < self.ends
        return shown >= self.begins or shown < self.ends

    def openings(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Moments of this time at which it opens, in order."""
        zone = zone_named(self.zone)
        day: date = after.astimezone(zone).date() - _DAY
        while (opens := moment_on(day, self.begins, zone)) <= until:
            if opens >= after and self.is_open(opens):
                yield opens
            day += _DAY


TimeWindow = Once | Daily


def is_window(subject: Subject) -> bool:
    """Whether this is the name of a window of time."""
    return subject.startswith(f"{_KIND}/")


def window_of(subject: Subject) -> TimeWindow:
    """The window with this name.

    Raises:
        InvalidInputError: It is not the name of one.
    """
    _, first, second = [*subject.split("/", 2), "", ""][:3]
    try:
        if "T" in first or not first:
            return Once(*(datetime.fromisoformat(moment) if moment else None for moment in (first, second)))
        begins, _, ends = first.partition("-")
        return Daily(time_of_day(begins), time_of_day(ends), second)
    except ValueError:
        raise InvalidInputError("this is no window of time", subject=subject) from None


def time_of_day(text: str) -> time:
    """A time as clocks show it, `09:30`.

    Raises:
        InvalidInputError: It is none.
    """
    if not _TIME.fullmatch(text):
        raise InvalidInputError(f"{text!r} is no time of day; write it like 09:30", subject=_KIND)
    return time.fromisoformat(text)


def value_of(window: TimeWindow, at: datetime) -> Decimal:
    """What is watched of a window."""
    return OPEN if window.is_open(at) else SHUT


def open_together(windows: Sequence[TimeWindow], after: datetime, until: datetime | None) -> datetime | None:
    """The first moment from `after` on at which all of these are open.

    Args:
        windows: At least one.
        after: Nothing before counts.
        until: Nothing from then on counts; None for no end.

    Returns:
        None when there is none before `until`, nor within `LOOKED_AHEAD` of when the last of them can be open first.
    """
    begins = [one.begins for one in windows if isinstance(one, Once) and one.begins is not None]
    earliest = max([after, *begins])
    if earliest > _FARTHEST:
        return None
    latest = earliest + LOOKED_AHEAD
    if until is not None:
        latest = min(latest, until)
    openings = (moment for one in windows for moment in one.openings(earliest, latest))
    return min(
        (
            moment
            for moment in (earliest, *openings)
            if (until is None or moment < until) and all(one.is_open(moment) for one in windows)
        ),
        default=None,
    )
