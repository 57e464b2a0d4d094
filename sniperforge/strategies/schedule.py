"""When the rounds of a plan are due: every so many seconds, or at a time of day in a time zone.

A calendar follows the wall clock of its zone. A local time that does not exist (clocks go forward) runs at the next
moment that does; one that exists twice (clocks go back) runs at the first of the two, once. Moments strictly increase.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from sniperforge.domain.wall_clock import moment_on, zone_named
from sniperforge.errors import InvalidInputError
from sniperforge.strategies.config import TAG, Whole

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

SHORTEST_DAY = timedelta(hours=23)
"""The least that is between two days' same time (clocks go forward by an hour in between)."""

_TIME = re.compile(r"\d\d:\d\d(:\d\d)?")
_DAY = timedelta(days=1)
_JUST_BEFORE = timedelta(microseconds=1)


class Every(BaseModel):
    """Every so many seconds, counted from the first round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interval_s: Annotated[Whole, Field(ge=1, le=31_622_400)]

    @property
    def shortest_gap(self) -> timedelta:
        """The least time between two moments."""
        return timedelta(seconds=self.interval_s)

    def first(self, not_before: datetime) -> datetime:
        """The first moment from then on."""
        return not_before

    def after(self, moment: datetime) -> datetime:
        """The moment that follows this one."""
        return moment + self.shortest_gap

    def ahead(self, moment: datetime, until: datetime) -> tuple[int, datetime]:
        """How many moments follow this one up to `until`, and the last of them (this one if there is none)."""
        count = max(0, (until - moment) // self.shortest_gap)
        return count, moment + count * self.shortest_gap


def _some_days(value: object) -> object:
    if not isinstance(value, list | tuple) or not value:
        message = f"name one day at least, as a list of {', '.join(DAYS)}"
        raise ValueError(message)
    return value


def _a_time(value: object) -> object:
    if isinstance(value, str) and _TIME.fullmatch(value):
        value = time.fromisoformat(value)
    if not isinstance(value, time):
        message = f"{value!r} is no time of day; write it like 09:30"
        raise ValueError(message)  # noqa: TRY004 (pydantic turns only these into problems)
    return value


def _a_zone(value: object) -> object:
    try:
        return zone_named(value) if isinstance(value, str) else value
    except InvalidInputError as error:
        raise ValueError(error.what) from None


class Calendar(BaseModel):
    """On these days of the week, at this time of day, by the clocks of this zone."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    days: Annotated[tuple[Day, ...], BeforeValidator(_some_days)]
    time: Annotated[time, BeforeValidator(_a_time)]
    time_zone: Annotated[ZoneInfo, BeforeValidator(_a_zone)]

    @property
    def shortest_gap(self) -> timedelta:
        """The least time between two moments."""
        return SHORTEST_DAY

    def first(self, not_before: datetime) -> datetime:
        """The first moment from then on."""
        return self.after(not_before - _JUST_BEFORE)

    def after(self, moment: datetime) -> datetime:
        """The first moment that is later than this one."""
        return next(one for one in self._from(moment) if one > moment)

    def ahead(self, moment: datetime, until: datetime) -> tuple[int, datetime]:
        """How many moments follow this one up to `until`, and the last of them (this one if there is none)."""
        count, last = 0, moment
        for one in self._from(moment):
            if one > until:
                break
            if one > last:
                count, last = count + 1, one
        return count, last

    def _from(self, moment: datetime) -> Iterator[datetime]:
        """Moments in order, from the day on which `moment` is in this zone; none of an earlier day is later than it.

        One may be there twice: a day that a zone left out (Samoa, 2011) runs at the beginning of the next one.
        """
        day = moment.astimezone(self.time_zone).date()
        while True:
            if DAYS[day.weekday()] in self.days:
                yield moment_on(day, self.time, self.time_zone)
            day += _DAY


def _form(value: Any) -> str:
    """Which of the two is meant; misspelt keys count for the interval, which has only one."""
    keys = set(value) if isinstance(value, dict) else set()
    return f"{TAG}calendar" if keys & set(Calendar.model_fields) else f"{TAG}interval"


def _one_form(value: object) -> object:
    if not isinstance(value, dict):
        message = 'write {"interval_s": 3600}, or {"days": ["mon"], "time": "09:00", "time_zone": "Europe/Berlin"}'
        raise ValueError(message)  # noqa: TRY004 (as above)
    if set(value) & set(Every.model_fields) and set(value) & set(Calendar.model_fields):
        message = "give interval_s, or days, time and time_zone, not both"
        raise ValueError(message)
    return value


Schedule = Annotated[
    Annotated[Every, Tag(f"{TAG}interval")] | Annotated[Calendar, Tag(f"{TAG}calendar")],
    Discriminator(_form),
    BeforeValidator(_one_form),
]
"""`{"interval_s": 3600}` or `{"days": ["mon"], "time": "09:00", "time_zone": "Europe/Berlin"}`."""

SCHEDULE_KEYS = tuple(f"schedule.{key}" for key in (*Every.model_fields, *Calendar.model_fields))


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a plan.

    Attributes:
        number: From 0; every moment of the schedule has one, missed or not.
        due_at: When, with its jitter.
    """

    number: int
    due_at: datetime


class Timetable:
    """The rounds of one plan.

    Args:
        schedule: Its moments.
        plan_id: Its name, from which each round's jitter follows: the same on every machine, for ever.
        jitter_s: A round is due up to this many seconds after its moment, so that nobody can wait for it.
        start_at: No moment before.
        end_at: No moment after.
    """

    def __init__(
        self,
        schedule: Every | Calendar,
        plan_id: str,
        *,
        jitter_s: int,
        start_at: datetime | None,
        end_at: datetime | None,
    ) -> None:
        self._schedule = schedule
        self._plan_id = plan_id
        self._jitter_ms = 1_000 * jitter_s
        self._start_at = start_at
        self._end_at = end_at

    def first(self, now: datetime) -> Round | None:
        """The first round of a plan that is made now, None if its end comes before."""
        moment = self._schedule.first(now if self._start_at is None else max(now, self._start_at))
        return self._round(0, moment)

    def after(self, one: Round) -> Round | None:
        """The round that follows, None if the plan has ended by then."""
        return self._round(one.number + 1, self._schedule.after(self._moment(one)))

    def newest(self, one: Round, now: datetime) -> Round:
        """The newest round that is due by now, counted from `one`; `one` itself if no later one is."""
        moment = self._moment(one)
        until = now if self._end_at is None else min(now, self._end_at)
        count, last = self._schedule.ahead(moment, until)
        if count and last + self._jitter(one.number + count) > now:
            # Its moment has come, but not its jitter; that is shorter than any gap, so the one before it is due.
            count, last = self._schedule.ahead(moment, last - _JUST_BEFORE)
        return Round(one.number + count, last + self._jitter(one.number + count)) if count else one

    def count(self, one: Round, until: datetime) -> int:
        """How many rounds there are from `one` on with moments up to `until`."""
        end = until if self._end_at is None else min(until, self._end_at)
        return 1 + self._schedule.ahead(self._moment(one), end)[0]

    def onwards(self, one: Round | None) -> Iterator[Round]:
        """This round and all that follow."""
        while one is not None:
            yield one
            one = self.after(one)

    def _round(self, number: int, moment: datetime) -> Round | None:
        if self._end_at is not None and moment > self._end_at:
            return None
        return Round(number, moment + self._jitter(number))

    def _moment(self, one: Round) -> datetime:
        return one.due_at - self._jitter(one.number)

    def _jitter(self, number: int) -> timedelta:
        digest = hashlib.sha256(f"sniperforge-jitter:{self._plan_id}:{number}".encode()).digest()
        return timedelta(milliseconds=int.from_bytes(digest[:8], "big") % (self._jitter_ms + 1))
