"""Schedules: moments in order, for years, in zones whose clocks jump; the same rounds for everybody."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniperforge.domain.wall_clock import moment_on
from sniperforge.strategies.schedule import DAYS, Calendar, Every, Round, Timetable

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Santiago",
    "Africa/Casablanca",
    "Asia/Gaza",
    "Pacific/Chatham",
)
BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = tuple(DAYS)

moments = st.datetimes(datetime(2005, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
times = st.builds(time, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
calendars = st.builds(
    lambda days, at, zone: Calendar.model_validate(
        {"days": [DAYS[day] for day in sorted(days)], "time": f"{at:%H:%M:%S}", "time_zone": zone}
    ),
    st.sets(st.integers(0, 6), min_size=1),
    times,
    st.sampled_from(ZONES),
)
intervals = st.builds(lambda seconds: Every(interval_s=seconds), st.integers(1, 31_622_400))


def calendar(at: str, zone: str = "Europe/Berlin", days: tuple[str, ...] = EVERY_DAY) -> Calendar:
    return Calendar.model_validate({"days": days, "time": at, "time_zone": zone})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def brute_force(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first moment at which the clocks of a zone show this local time or, if they skip it, a later one."""
    wanted = datetime.combine(day, at)
    start = datetime.combine(day, at, tzinfo=UTC) - timedelta(hours=27)
    shown = ((start + timedelta(minutes=step)).astimezone(zone).replace(tzinfo=None) for step in range(60 * 54))
    step = next(step for step, local in enumerate(shown) if local >= wanted)
    return start + timedelta(minutes=step)


# --- one day


@pytest.mark.parametrize(
    ("day", "at", "zone", "expected"),
    [
        ("2026-07-01", "09:00", "Europe/Berlin", "2026-07-01T07:00"),
        ("2026-01-01", "09:00", "Europe/Berlin", "2026-01-01T08:00"),
        ("2026-03-29", "02:30", "Europe/Berlin", "2026-03-29T01:00"),  # does not exist: at 03:00, when clocks go on
        ("2026-03-29", "02:00", "Europe/Berlin", "2026-03-29T01:00"),
        ("2026-03-29", "03:00", "Europe/Berlin", "2026-03-29T01:00"),
        ("2026-10-25", "02:30", "Europe/Berlin", "2026-10-25T00:30"),  # exists twice: the first of the two
        ("2026-03-08", "02:15", "America/New_York", "2026-03-08T07:00"),
        ("2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:30"),  # half an hour of daylight saving
        ("2011-12-30", "09:00", "Pacific/Apia", "2011-12-30T10:00"),  # a day that Samoa never had
        ("2026-09-06", "00:00", "America/Santiago", "2026-09-06T04:00"),  # midnight does not exist
    ],
)
def test_a_local_time_becomes_the_moment_it_exists(day: str, at: str, zone: str, expected: str) -> None:
    found = moment_on(date.fromisoformat(day), time.fromisoformat(at), ZoneInfo(zone))
    assert found == utc(expected)


@settings(max_examples=60, deadline=None)
@given(st.dates(date(2006, 1, 1), date(2037, 1, 1)), st.integers(0, 23), st.integers(0, 59), st.sampled_from(ZONES))
def test_a_moment_is_the_first_that_shows_the_time_or_the_next_one_that_exists(
    day: date, hour: int, minute: int, zone: str
) -> None:
    found = moment_on(day, time(hour, minute), ZoneInfo(zone))
    assert found == brute_force(day, time(hour, minute), ZoneInfo(zone))


# --- moments in order


@settings(max_examples=150, deadline=None)
@given(calendars, moments)
def test_the_moments_of_a_calendar_are_one_per_day_in_order(schedule: Calendar, start: datetime) -> None:
    run = [schedule.first(start)]
    for _ in range(20):
        run.append(schedule.after(run[-1]))
    assert run[0] >= start
    assert all(one < two for one, two in pairwise(run))
    wanted = {
        moment_on(start.date() + timedelta(days=shift), schedule.time, schedule.time_zone)
        for shift in range(-3, 160)
        if DAYS[(start.date() + timedelta(days=shift)).weekday()] in schedule.days
    }
    assert run == sorted(moment for moment in wanted if moment >= start)[: len(run)]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", ["00:00", "00:30", "02:30", "23:59"])
def test_ten_years_have_a_moment_for_each_day_whatever_the_clocks_do(zone: str, at: str) -> None:
    schedule = calendar(at, zone)
    start, end = utc("2015-01-01T00:00"), utc("2025-01-01T00:00")
    count, last = schedule.ahead(start - timedelta(microseconds=1), end)
    assert abs(count - 3_653) <= 1
    assert end - timedelta(days=1) < last <= end


def test_both_clock_changes_of_a_year_run_once() -> None:
    schedule = calendar("02:30")
    spring = [schedule.first(utc("2026-03-28T00:00"))]
    autumn = [schedule.first(utc("2026-10-24T00:00"))]
    for _ in range(2):
        spring.append(schedule.after(spring[-1]))
        autumn.append(schedule.after(autumn[-1]))
    assert spring == [utc("2026-03-28T01:30"), utc("2026-03-29T01:00"), utc("2026-03-30T00:30")]
    assert autumn == [utc("2026-10-24T00:30"), utc("2026-10-25T00:30"), utc("2026-10-26T01:30")]


def test_a_day_that_was_left_out_and_the_next_midnight_are_one_moment() -> None:
    schedule = calendar("00:00", "Pacific/Apia")
    first = schedule.first(utc("2011-12-29T10:00"))
    assert [first, schedule.after(first), schedule.after(schedule.after(first))] == [
        utc("2011-12-29T10:00"),
        utc("2011-12-30T10:00"),
        utc("2011-12-31T10:00"),
    ]
    assert schedule.ahead(first, utc("2011-12-31T10:00")) == (2, utc("2011-12-31T10:00"))


def test_the_day_is_that_of_the_zone_and_not_that_of_utc() -> None:
    schedule = calendar("20:00", "Pacific/Honolulu")
    assert schedule.after(utc("2026-01-02T05:00")) == utc("2026-01-02T06:00")  # still the first of January there


def test_days_of_the_week_are_those_of_the_zone() -> None:
    schedule = calendar("09:00", "Pacific/Apia", ("mon",))
    first = schedule.first(utc("2026-06-01T00:00"))
    assert first.astimezone(ZoneInfo("Pacific/Apia")).strftime("%a %H:%M") == "Mon 09:00"
    assert schedule.after(first) - first == timedelta(days=7)


@settings(max_examples=150, deadline=None)
@given(st.one_of(calendars, intervals), moments, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_counting_ahead_is_stepping(schedule: Calendar | Every, start: datetime, span: timedelta) -> None:
    if isinstance(schedule, Every):
        span = min(span, 50 * schedule.shortest_gap)
    first = schedule.first(start)
    until, steps, moment = first + span, 0, first
    while (following := schedule.after(moment)) <= until:
        steps, moment = steps + 1, following
    assert schedule.ahead(first, until) == (steps, moment)


# --- rounds


@settings(max_examples=60, deadline=None)
@given(st.one_of(calendars, intervals), moments, st.integers(0, 3_600), st.timedeltas(timedelta(0), timedelta(days=60)))
def test_the_newest_round_is_the_last_one_due(
    schedule: Calendar | Every, start: datetime, jitter_s: int, span: timedelta
) -> None:
    gap = schedule.shortest_gap
    jitter_s = min(jitter_s, int(gap.total_seconds()) - 1)
    span = min(span, 40 * gap)
    timetable = Timetable(schedule, "plan", jitter_s=jitter_s, start_at=None, end_at=None)
    first = timetable.first(start)
    assert first is not None
    now = first.due_at + span
    due = [one for one in islice(timetable.onwards(first), 1_000) if one.due_at <= now]
    assert timetable.newest(first, now) == due[-1]
    assert [one.number for one in due] == list(range(len(due)))


@settings(deadline=None)
@given(st.text("abc", min_size=1, max_size=4), st.integers(0, 1_000), st.integers(0, 10**6))
def test_jitter_depends_on_plan_and_round_only_and_stays_below_its_limit(name: str, jitter_s: int, number: int) -> None:
    schedule = Every(interval_s=2_000_000)
    start = utc("2026-01-01T00:00")

    def due(starting: datetime) -> timedelta:
        timetable = Timetable(schedule, name, jitter_s=jitter_s, start_at=None, end_at=None)
        one = timetable.after(Round(number, starting))
        assert one is not None
        again = timetable.after(Round(number, starting))
        assert again == one
        return one.due_at - starting

    assert due(start) == due(start + timedelta(days=9))
    first = Timetable(schedule, name, jitter_s=jitter_s, start_at=None, end_at=None).first(start)
    assert first is not None
    assert timedelta(0) <= first.due_at - start <= timedelta(seconds=jitter_s)


def test_a_plan_begins_at_its_start_or_at_once() -> None:
    now, start = utc("2026-01-01T00:00"), utc("2026-02-01T00:00")
    for start_at, expected in ((None, now), (start, start), (now - timedelta(days=1), now)):
        timetable = Timetable(Every(interval_s=60), "x", jitter_s=0, start_at=start_at, end_at=None)
        assert timetable.first(now) == Round(0, expected)


def test_the_end_is_the_last_moment_that_counts() -> None:
    now = utc("2026-01-01T00:00")
    timetable = Timetable(Every(interval_s=60), "x", jitter_s=0, start_at=None, end_at=now + timedelta(seconds=120))
    first = timetable.first(now)
    assert first is not None
    assert [one.number for one in timetable.onwards(first)] == [0, 1, 2]
    assert timetable.newest(first, now + timedelta(days=1)).number == 2
    assert timetable.count(first, now + timedelta(days=1)) == 3
    assert timetable.first(now + timedelta(seconds=121)) is None


def test_years_of_seconds_are_counted_without_stepping() -> None:
    now = utc("2026-01-01T00:00")
    timetable = Timetable(Every(interval_s=1), "x", jitter_s=0, start_at=None, end_at=None)
    assert timetable.newest(Round(0, now), now + timedelta(days=36_500)).number == 36_500 * 86_400
