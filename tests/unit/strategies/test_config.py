"""Settings of plans: exact numbers, and every problem at once, each with its path and the nearest right key."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniperforge.errors import InvalidInputError
from sniperforge.strategies.config import parse_config
from sniperforge.strategies.dca import DcaConfig, DcaStrategy
from sniperforge.strategies.schedule import Calendar, Every

GOOD: dict[str, Any] = {
    "name": "weekly-sol",
    "input_token": "USDC",
    "output_token": "SOL",
    "amount_per_order": "5",
    "schedule": {"interval_s": 3_600},
}
TOTAL: dict[str, Any] = {"amount_per_order": None, "total_amount": "10", "orders": 4}


def given_as(**changes: Any) -> dict[str, Any]:
    """Good settings with changes; None leaves one out."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


def read(**changes: Any) -> DcaConfig:
    return DcaStrategy().read(given_as(**changes))


def problems(**changes: Any) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        read(**changes)
    for problem in caught.value.problems:
        assert problem in str(caught.value)
    return list(caught.value.problems)


# --- what is right


def test_the_least_that_a_plan_needs() -> None:
    config = read()
    assert (config.amount_per_order, config.schedule) == (Decimal(5), Every(interval_s=3_600))
    assert (config.catch_up, config.max_lateness_s, config.jitter_s) == ("skip", 300, 0)
    assert (config.wallet, config.max_price, config.deadline_s, config.start_at) == (None, None, None, None)


def test_everything_that_a_plan_can_have() -> None:
    config = read(
        **TOTAL,
        wallet="trading",
        schedule={"days": ["mon", "fri"], "time": "09:30", "time_zone": "Europe/Berlin"},
        start_at="2027-01-01T00:00:00+01:00",
        end_at="2028-01-01T00:00:00Z",
        min_price="100",
        max_price=Decimal("250.5"),
        max_slippage_bps=50,
        max_cost_bps=80,
        jitter_s=600,
        catch_up="once",
        max_lateness_s=7_200,
        deadline_s=120,
    )
    assert isinstance(config.schedule, Calendar)
    assert config.start_at == datetime(2026, 12, 31, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize("written", ['"0.1"', "0.1", "1e-1", '" 0.10 "'])
def test_a_number_is_exact_however_it_is_written(written: str) -> None:
    values = parse_config(f'{{"amount_per_order": {written}}}', subject="x")
    assert DcaStrategy().read({**GOOD, **values}).amount_per_order == Decimal("0.1")


@settings(deadline=None)
@given(st.decimals(Decimal("1e-18"), Decimal("1e18"), allow_nan=False, allow_infinity=False))
def test_no_digit_of_an_amount_is_lost(amount: Decimal) -> None:
    values = parse_config(f'{{"amount_per_order": {amount:f}, "max_price": "{amount}"}}', subject="x")
    config = DcaStrategy().read({**GOOD, **values})
    assert config.amount_per_order == config.max_price == amount


def test_settings_never_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read().name = "other"  # type: ignore[misc]


# --- what is wrong


def test_all_problems_are_told_at_once_contradictions_included() -> None:
    found = problems(
        name="my plan",
        output_token="usdc",
        amount_per_order=None,
        amount_per_oder="5",
        schedule={"intervall_s": 60},
        min_price=200,
        max_price=100,
        start_at="2027-02-01T00:00:00Z",
        end_at="2027-01-01T00:00:00Z",
        catch_up="twice",
        max_slippage_bps="50",
    )
    assert found == [
        "name: 'my plan' is no name: 1 to 64 letters, digits, points, dashes and underscores",
        "max_slippage_bps: must be a valid integer",
        "catch_up: must be 'skip' or 'once'",
        "schedule.interval_s: it is missing",
        "schedule.intervall_s: there is no such setting; did you mean schedule.interval_s?",
        "amount_per_oder: there is no such setting; did you mean amount_per_order?",
        "end_at: 2027-01-01T00:00:00+00:00 is not after start_at (2027-02-01T00:00:00+00:00)",
        "output_token: usdc is the input_token too",
        "amount_per_order: it is missing (or total_amount with orders)",
        "min_price: 200 is above max_price (100)",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount_per_order": None}, "amount_per_order: it is missing (or total_amount with orders)"),
        ({"total_amount": 5}, "total_amount: amount_per_order says how much already; keep one of them"),
        ({"orders": 5}, "orders: it shares a total_amount; an end for amount_per_order is end_at"),
        ({**TOTAL, "orders": None}, "orders: it is missing; among how many orders is total_amount shared?"),
        ({**TOTAL, "orders": 0}, "orders: must be greater than or equal to 1"),
        (
            {"amount_per_order": "five"},
            "amount_per_order: 'five' is not a number; write digits with a point, e.g. 12.5",
        ),
        ({"amount_per_order": 0}, "amount_per_order: must be greater than 0"),
        ({"amount_per_order": "-5"}, "amount_per_order: must be greater than 0"),
        ({"amount_per_order": "NaN"}, "amount_per_order: NaN is no amount or price that exists"),
        ({"amount_per_order": "1e60"}, "amount_per_order: 1e60 is no amount or price that exists"),
        ({"amount_per_order": True}, "amount_per_order: must be a number, or a number in quotes"),
        ({"amount_per_order": 0.5}, "amount_per_order: must be a number, or a number in quotes"),
        ({"name": ""}, "name: '' is no name: 1 to 64 letters, digits, points, dashes and underscores"),
        ({"name": "a:b"}, "name: 'a:b' is no name: 1 to 64 letters, digits, points, dashes and underscores"),
        ({"name": 5}, "name: 5 is no name: 1 to 64 letters, digits, points, dashes and underscores"),
        ({"name": None}, "name: it is missing"),
        ({"start_at": "tomorrow"}, "start_at: 'tomorrow' is not a time; write it like 2027-01-31T09:00:00+01:00"),
        ({"start_at": 1_700_000_000}, "start_at: 1700000000 is not a time; write it like 2027-01-31T09:00:00+01:00"),
        (
            {"end_at": "2027-01-31T09:00:00"},
            "end_at: 2027-01-31T09:00:00 has no offset; add Z for UTC, or one like +01:00",
        ),
        ({"end_at": "9999-01-31T09:00:00Z"}, "end_at: 9999-01-31T09:00:00Z is not between the years 2000 and 2200"),
        ({"interval_s": 60}, "interval_s: there is no such setting; did you mean schedule.interval_s?"),
        ({"max_lateness_s": 0}, "max_lateness_s: must be greater than or equal to 1"),
        ({"max_cost_bps": 10_001}, "max_cost_bps: must be less than or equal to 10000"),
        ({"jitter_s": 3_600}, "jitter_s: 3600 is not shorter than the time between two rounds (3600 s)"),
        ({"zzzzzz": 1}, "zzzzzz: there is no such setting"),
        ({"schedule": None}, "schedule: it is missing"),
        (
            {"schedule": "daily"},
            'schedule: write {"interval_s": 3600}, or {"days": ["mon"], "time": "09:00", "time_zone": "Europe/Berlin"}',
        ),
        (
            {"schedule": {"interval_s": 60, "time": "09:00"}},
            "schedule: give interval_s, or days, time and time_zone, not both",
        ),
        ({"schedule": {"interval_s": 0}}, "schedule.interval_s: must be greater than or equal to 1"),
    ],
)
def test_one_wrong_setting_is_one_problem(changes: dict[str, Any], expected: str) -> None:
    assert problems(**changes) == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"days": []}, "schedule.days: name one day at least, as a list of mon, tue, wed, thu, fri, sat, sun"),
        ({"days": "mon"}, "schedule.days: name one day at least, as a list of mon, tue, wed, thu, fri, sat, sun"),
        ({"days": ["monday"]}, "schedule.days.0: must be 'mon', 'tue', 'wed', 'thu', 'fri', 'sat' or 'sun'"),
        ({"time": "9"}, "schedule.time: '9' is no time of day; write it like 09:30"),
        ({"time": "25:00"}, "schedule.time: hour must be in 0..23"),
        ({"time": "09:00+01:00"}, "schedule.time: '09:00+01:00' is no time of day; write it like 09:30"),
        (
            {"time_zone": "Berlin"},
            "schedule.time_zone: 'Berlin' is no time zone; write it like Europe/Berlin or America/New_York",
        ),
        (
            {"time_zone": "../../etc/passwd"},
            "schedule.time_zone: '../../etc/passwd' is no time zone; write it like Europe/Berlin or America/New_York",
        ),
        ({"zone": "Europe/Berlin"}, "schedule.zone: there is no such setting; did you mean schedule.time_zone?"),
    ],
)
def test_one_wrong_part_of_a_calendar_is_one_problem(changes: dict[str, Any], expected: str) -> None:
    schedule = {"days": ["mon"], "time": "09:00", "time_zone": "Europe/Berlin", **changes}
    assert problems(schedule=schedule) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1, column 1: Expecting value: this is no JSON"),
        ('{"name": "a",\n}', "line 2, column 1"),
        ("[]", "this is no JSON object"),
        ('"name"', "this is no JSON object"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": 1, "a": 2, "b": 1, "b": 1}', "a: it is there twice"),
        ('{"schedule": {"interval_s": 60, "interval_s": 6}}', "interval_s: it is there twice"),
        ("[" * 100_000, "this is no JSON"),
        ('{"a": ' + "9" * 5_000 + "}", "this is no JSON"),
    ],
)
def test_a_file_that_is_no_settings_says_where(text: str, expected: str) -> None:
    with pytest.raises(InvalidInputError, match="x: these settings cannot work") as caught:
        parse_config(text, subject="x")
    assert expected in str(caught.value)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*DcaConfig.model_fields, "days", "nonsense"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=10),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=4,
        ),
    )
)
def test_whatever_is_written_is_settings_or_a_list_of_problems(values: dict[str, Any]) -> None:
    try:
        DcaStrategy().read(values)
    except InvalidInputError as error:
        assert error.problems  # noqa: PT017 (either outcome is right, nothing else is)
