"""Windows of time: open from one moment until before another, by the clocks of their zone, and known by name."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.time_window import (
    OPEN,
    SHUT,
    Daily,
    Once,
    TimeWindow,
    is_window,
    open_together,
    time_of_day,
    value_of,
    window_of,
)
from sniperforge.domain.trigger import Subject
from sniperforge.domain.watching import Watching, mints_of, watching
from sniperforge.errors import InvalidInputError
from tests.fakes.clock import START
from tests.fakes.order_terms import JUP, SOL

HOUR, DAY, TICK = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
BERLIN = "Europe/Berlin"
OFFICE = Daily(time(9), time(17, 30), BERLIN)
NIGHT = Daily(time(22), time(2), "UTC")

zones = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
moments = st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds)
daily = st.tuples(times, times, zones).filter(lambda one: one[0] != one[1]).map(lambda one: Daily(*one))
once = st.one_of(
    moments.map(lambda one: Once(one, None)),
    moments.map(lambda one: Once(None, one)),
    st.tuples(moments, st.integers(1, 10**6)).map(lambda one: Once(one[0], one[0] + timedelta(seconds=one[1]))),
)
windows = st.one_of(daily, once)


def local(text: str, zone: str = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def test_it_is_open_from_its_beginning_until_before_its_end() -> None:
    window = Once(START, START + HOUR)
    assert [window.is_open(at) for at in (START - TICK, START, START + HOUR - TICK, START + HOUR)] == [
        False,
        True,
        True,
        False,
    ]
    assert [value_of(window, at) for at in (START - TICK, START)] == [SHUT, OPEN]


def test_either_end_may_be_left_out() -> None:
    assert Once(START, None).is_open(START + 1_000 * DAY)
    assert not Once(START, None).is_open(START - TICK)
    assert Once(None, START).is_open(START - 1_000 * DAY)
    assert not Once(None, START).is_open(START)


@pytest.mark.parametrize("day", ["2026-01-15", "2026-07-15"])
def test_a_daily_one_goes_by_the_clocks_of_its_zone_in_winter_and_summer(day: str) -> None:
    shown = ("08:59:59.999999", "09:00", "17:29:59.999999", "17:30")
    assert [OFFICE.is_open(local(f"{day}T{one}")) for one in shown] == [False, True, True, False]


def test_one_that_ends_before_it_begins_is_open_over_midnight() -> None:
    shown = ("21:59", "22:00", "23:59", "00:00", "01:59", "02:00")
    assert [NIGHT.is_open(local(f"2026-01-15T{one}", "UTC")) for one in shown] == [False, True, True, True, True, False]


@given(windows)
def test_its_name_tells_it_whole(window: TimeWindow) -> None:
    assert is_window(window.subject)
    assert watching(window.subject) == window
    assert window_of(window.subject).subject == window.subject
    assert mints_of(window.subject) == ()


def test_the_same_moments_in_another_zone_are_the_same_window() -> None:
    assert Once(START.astimezone(ZoneInfo(BERLIN)), None).subject == Once(START, None).subject


@pytest.mark.parametrize("watched", [Watching(SOL), Watching(SOL, per=JUP), Watching(SOL, lookback_s=60)])
def test_no_price_is_taken_for_a_window(watched: Watching) -> None:
    assert not is_window(watched.subject)
    assert watching(watched.subject) == watched


@pytest.mark.parametrize(
    "name",
    [
        "time/",
        "time//",
        "time/x",
        "time/09:00/UTC",
        "time/09:00-25:00/UTC",
        "time/09:00-10:00/",
        "time/2026-01-01T00:00/",
    ],
)
def test_what_is_no_name_of_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        window_of(Subject(name))


def test_what_could_never_be_open_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="begins or ends"):
        Once(None, None)
    with pytest.raises(InvalidInputError, match="needs a time zone"):
        Once(START.replace(tzinfo=None), None)
    with pytest.raises(InvalidInputError, match="before it begins"):
        Once(START, START)
    with pytest.raises(InvalidInputError, match="it ends when it begins, at 09:00"):
        Daily(time(9), time(9), "UTC")
    with pytest.raises(InvalidInputError, match="'Europe/Berln' is no time zone"):
        Daily(time(9), time(10), "Europe/Berln")


@pytest.mark.parametrize("text", ["9:00", "24:00", "09:60", "09:00:00", "0900", ""])
def test_what_clocks_do_not_show_is_no_time(text: str) -> None:
    with pytest.raises(InvalidInputError, match="no time of day"):
        time_of_day(text)


# --- when they are open together


def test_the_first_moment_at_which_all_are_open_is_found() -> None:
    assert open_together([OFFICE], START, None) == START, "13:00 in Berlin"
    assert open_together([NIGHT], START, None) == START + 10 * HOUR
    assert open_together([NIGHT, Daily(time(1), time(9), "UTC")], START, None) == START + 13 * HOUR
    assert open_together([NIGHT, Once(START + 30 * DAY, None)], START, None) == START + 30 * DAY + 10 * HOUR


def test_windows_that_never_meet_are_told() -> None:
    assert open_together([NIGHT, Daily(time(9), time(10), "UTC")], START, None) is None
    assert open_together([Once(None, START + HOUR), Once(START + HOUR, None)], START, None) is None
    assert open_together([Once(None, START)], START, None) is None


def test_what_comes_after_the_end_does_not_count() -> None:
    assert open_together([NIGHT], START, START + 10 * HOUR) is None
    assert open_together([NIGHT], START, START + 10 * HOUR + TICK) == START + 10 * HOUR
    assert open_together([OFFICE], START, START) is None


def test_what_begins_when_there_are_no_more_dates_never_opens() -> None:
    farthest = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    assert open_together([Once(farthest, None), Daily(time(0), time(1), "Pacific/Apia")], START, None) is None
    assert open_together([OFFICE], farthest, None) is None


def test_two_zones_may_meet_only_while_their_clocks_differ_by_another_hour() -> None:
    """Between the two changes of spring New York is four hours behind London, and else five."""
    london, new_york = Daily(time(13), time(13, 1), "Europe/London"), Daily(time(9), time(9, 1), "America/New_York")
    assert open_together([london, new_york], START, None) == local("2026-03-08T13:00", "Europe/London")


@given(st.lists(windows, min_size=1, max_size=3), moments)
def test_nothing_earlier_is_open_at_any_full_minute(together: list[TimeWindow], after: datetime) -> None:
    after = after.replace(second=0, microsecond=0)
    found = open_together(together, after, None)
    if found is not None:
        assert found >= after
        assert all(one.is_open(found) for one in together)
    for minute in range(0, 3 * 1_440, 7):
        at = after + timedelta(minutes=minute)
        if found is None or at < found:
            assert not all(one.is_open(at) for one in together)
