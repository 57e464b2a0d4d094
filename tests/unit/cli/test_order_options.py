"""What is typed for an order: read exactly, and refused with every problem, by option."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest

from sniperforge.cli.order_options import (
    Typed,
    TypedWindow,
    option_of,
    parse_base_amount,
    parse_conditions,
    parse_decimal,
    parse_moment,
    parse_quote_amount,
)
from sniperforge.domain.order import ALL, Amount, AmountKind, Crossing
from sniperforge.domain.time_window import Daily, Once, TimeWindow
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.errors import InvalidInputError, TokenError, WalletError
from tests.fakes.clock import START
from tests.fakes.order_terms import JUP, SOL

MINTS = {"SOL": SOL, "JUP": JUP}
UP, DOWN = Direction.UP, Direction.DOWN


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("all", ALL),
        (" ALL ", ALL),
        ("100%", ALL),
        ("25 %", Amount(AmountKind.PERCENT, 2_500)),
        ("0.01%", Amount(AmountKind.PERCENT, 1)),
        ("1.5", Amount(AmountKind.BASE, 1_500_000_000)),
    ],
)
def test_an_amount_is_all_a_share_or_whole_tokens(text: str, amount: Amount) -> None:
    assert parse_base_amount(text, 9) == amount


@pytest.mark.parametrize(
    "text", ["", "many", "0.001%", "%", "1.0000000001", "-1", "NaN%", "1e9%", "1e999999%", "-1e999999%", "1e999999"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_base_amount(text, 9)


def test_an_amount_in_the_other_token_has_its_decimals() -> None:
    assert parse_quote_amount("100.25", 6) == Amount(AmountKind.QUOTE, 100_250_000)


@pytest.mark.parametrize(("text", "value"), [("140", "140"), (" 0.01 ", "0.01"), ("$181.5", "181.5"), ("-3", "-3")])
def test_a_number_is_read_exactly(text: str, value: str) -> None:
    assert parse_decimal(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "x", "NaN", "1e", "Infinity", "1 000"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a number"):
        parse_decimal(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", START + timedelta(seconds=90)),
        ("15m", START + timedelta(minutes=15)),
        ("12 h", START + timedelta(hours=12)),
        ("7d", START + timedelta(days=7)),
        ("2027-01-31T09:00:00+01:00", datetime(2027, 1, 31, 8, tzinfo=UTC)),
        ("2027-01-31 09:00Z", datetime(2027, 1, 31, 9, tzinfo=UTC)),
    ],
)
def test_a_time_has_a_zone_or_is_told_from_now(text: str, moment: datetime) -> None:
    assert parse_moment(text, START) == moment


@pytest.mark.parametrize("text", ["5000000d", "999999999999999999d"])
def test_a_time_so_far_away_that_no_date_tells_it_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="later than any date"):
        parse_moment(text, START)


@pytest.mark.parametrize("text", ["2027-01-31T09:00:00", "tomorrow", "12", "1.5h", "", f"{'9' * 5_000}s"])
def test_a_time_that_could_mean_several_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_moment(text, START)


@pytest.mark.parametrize(
    ("text", "crossing"),
    [
        ("SOL above 150", Crossing(subject=Subject(SOL), direction=UP, level=Decimal(150))),
        ("SOL below 0.5", Crossing(subject=Subject(SOL), direction=DOWN, level=Decimal("0.5"))),
        ("SOL/JUP below 200", Crossing(subject=Subject(f"{SOL}/{JUP}"), direction=DOWN, level=Decimal(200))),
        ("SOL / JUP ABOVE 200", Crossing(subject=Subject(f"{SOL}/{JUP}"), direction=UP, level=Decimal(200))),
        (
            "SOL change over 1h below -5%",
            Crossing(subject=Subject(f"{SOL}@3600"), direction=DOWN, level=Decimal("0.95")),
        ),
        (
            "JUP change over 15 m above +2.5 %",
            Crossing(subject=Subject(f"{JUP}@900"), direction=UP, level=Decimal("1.025")),
        ),
    ],
)
def test_a_condition_is_a_price_a_ratio_or_a_change(text: str, crossing: Crossing) -> None:
    (typed,) = parse_conditions([text], START)
    assert typed.crossing(MINTS) == crossing
    assert set(typed.tokens) <= set(MINTS)


@pytest.mark.parametrize(
    "text",
    [
        "SOL over 150",
        "SOL above",
        "SOL above 5%",
        "SOL change over 1h below -5",
        "SOL/JUP change over 1h above 5%",
        "above 150",
        "SOL above x",
        "SOL above 1.2.3",
        f"SOL change over {'9' * 5_000}d above 5%",
    ],
)
def test_every_condition_that_has_no_such_form_is_told(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_conditions(["SOL above 150", text, "nonsense"], START)
    assert repr(text) in caught.value.what
    assert "'nonsense'" in caught.value.what
    assert "'SOL above 150'" not in caught.value.what


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("time 09:00-17:30", Daily(time(9), time(17, 30), "UTC")),
        (" TIME  22:00 - 02:00  Europe/Berlin ", Daily(time(22), time(2), "Europe/Berlin")),
        ("time from 2026-01-02T09:00:00+01:00", Once(START + timedelta(hours=20), None)),
        ("time until 12h", Once(None, START + timedelta(hours=12))),
        ("time from 90s until 2026-01-02T00:00Z", Once(START + timedelta(seconds=90), START + timedelta(hours=12))),
    ],
)
def test_a_condition_may_be_a_window_of_time(text: str, window: TimeWindow) -> None:
    (typed,) = parse_conditions([text], START)
    assert typed.crossing({}) == Crossing.into(window)
    assert typed.tokens == ()


def test_what_is_typed_of_a_window_is_typed_again_by_what_it_is_called() -> None:
    for text in (
        "time 09:00-17:30 Europe/Berlin",
        "time from 2026-01-02T08:00:00+00:00 until 2026-01-03T08:00:00+00:00",
    ):
        (typed,) = parse_conditions([text], START)
        assert isinstance(typed, TypedWindow)
        assert str(typed.window) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("time 09:00-25:00", "'25:00' is no time of day"),
        ("time 09:00-09:00", "it ends when it begins"),
        ("time 09:00-10:00 Berlin", "'Berlin' is no time zone"),
        ("time from 09:00", "'09:00' is neither a time with its zone nor a duration"),
        ("time from 2h until 1h", "before it begins"),
        ("time", "'time': no condition"),
        ("time from", "'time from': no condition"),
        ("time until", "'time until': no condition"),
        ("time 9-10", "'time 9-10': no condition"),
    ],
)
def test_a_window_that_there_cannot_be_is_told_with_every_other_condition_that_is_wrong(text: str, told: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_conditions([text, "nonsense"], START)
    assert told in caught.value.what
    assert "'nonsense': no condition" in caught.value.what
    assert "time 09:00-17:30 Europe/Berlin" in caught.value.fix


def test_a_token_may_be_called_time() -> None:
    (typed,) = parse_conditions(["time above 5"], START)
    assert typed.tokens == ("time",)


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("trail_bps", "--trail-bps"),
        ("base_mint", "--token"),
        ("quote_mint", "--quote"),
        ("kind", "--type"),
        ("conditions", "--condition"),
        ("needs_all", "--match"),
    ],
)
def test_a_problem_names_the_option_that_was_typed(field: str, option: str) -> None:
    assert option_of(field) == option


def test_what_could_not_be_read_and_what_the_desk_found_are_told_together() -> None:
    typed = Typed()
    assert typed.read("trigger", "x", parse_decimal) is None
    assert typed.read("entry", None, parse_decimal) is None
    assert typed.read("stop_loss", "5", parse_decimal) == Decimal(5)
    found = ("trigger: orders of kind stop-loss need it", f"base_mint: {SOL} has no price now")
    with pytest.raises(InvalidInputError) as caught:
        typed.refuse(found, symbols={SOL: "SOL"})
    assert caught.value.problems == (
        "--trigger: 'x' is not a number. Write it as digits with a point, e.g. 140.5",
        "--token: SOL has no price now",
    )


def test_an_amount_that_could_not_be_read_is_not_missed_as_well() -> None:
    typed = Typed()
    typed.read("quote_amount", "x", lambda text: parse_quote_amount(text, 6))
    with pytest.raises(InvalidInputError) as caught:
        typed.refuse(["amount: say how much to buy"])
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["--quote-amount"]


def test_names_of_nothing_are_told_with_everything_else_and_as_they_were_found() -> None:
    typed = Typed()
    typed.note("base_mint", TokenError("Jupiter lists none", subject="NOSUCH"))
    typed.note("conditions", TokenError(f"similar: {SOL}", subject="ALSONOT"))
    typed.read("expires_at", "soon", lambda text: parse_moment(text, START))
    with pytest.raises(InvalidInputError) as caught:
        typed.refuse([f"conditions: {SOL} at or above 0: no price"], symbols={SOL: "SOL"})
    assert caught.value.problems[:2] == (
        "--token: NOSUCH: Jupiter lists none",
        f"--condition: ALSONOT: similar: {SOL}",
    )
    assert caught.value.problems[2].startswith("--expires-at: 'soon'")
    assert caught.value.problems[3:] == ("--condition: SOL at or above 0: no price",)


def test_a_name_of_nothing_is_refused_by_itself_too() -> None:
    typed = Typed()
    typed.note("wallet", WalletError("there is no wallet yet"))
    with pytest.raises(InvalidInputError) as caught:
        typed.refuse()
    assert caught.value.problems == ("--wallet: there is no wallet yet",)


def test_force_is_offered_only_where_it_helps() -> None:
    typed = Typed()
    for problem, fix in (("trigger: it would fire at once, unless forced", "Add --force"), ("trigger: it is zero", "")):
        with pytest.raises(InvalidInputError) as caught:
            typed.refuse([problem])
        assert caught.value.fix.startswith(fix)
        assert bool(caught.value.fix) == bool(fix)


def test_nothing_is_refused_when_nothing_is_wrong() -> None:
    Typed().refuse()
