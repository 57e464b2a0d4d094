"""A file of prices is refused as a whole, with every problem, its line, and what to do."""

from fractions import Fraction
from pathlib import Path

import pytest

from sniperforge.errors import ConfigError
from sniperforge.sandbox.price_file import COLUMNS, read_price_file

HEADER = ",".join(COLUMNS)


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "prices.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def refused(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_price_file(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.fix
    return caught.value


def test_a_good_file_is_read_exactly(tmp_path: Path) -> None:
    path = written(
        tmp_path, HEADER, "2022-01-01 00:00:00,1.1,1.3,1.0,1.2,9", "", "2022-01-01T01:00:00Z,1.2,1.2,1.2,1.2,9"
    )
    prices = read_price_file(path)
    assert [(bar.start_s, bar.open, bar.close) for bar in prices.bars] == [
        (0, Fraction(11, 10), Fraction(6, 5)),
        (3_600, Fraction(6, 5), Fraction(6, 5)),
    ]
    assert prices.bar_s == 3_600


def test_columns_may_stand_in_any_order_and_more_of_them_do_no_harm(tmp_path: Path) -> None:
    path = written(tmp_path, "note,Close,low,high,open,volume,time_utc", "x,3,1,4,2,9,2022-01-01 00:00:00")
    bar = read_price_file(path).bars[0]
    assert [bar.open, bar.high, bar.low, bar.close] == [Fraction(n) for n in (2, 4, 1, 3)]


def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    error = refused(written(tmp_path, "time,open,high,low,price", "2022-01-01 00:00:00,1,1,1,1"))
    assert error.problems == ("line 1: no column time_utc", "line 1: no column close", "line 1: no column volume")
    assert HEADER in error.fix


@pytest.mark.parametrize("price", ["0", "-3", "0.000", "NaN", "inf", "", "1,5", "abc"])
def test_a_price_that_is_no_positive_number_is_refused(tmp_path: Path, price: str) -> None:
    error = refused(written(tmp_path, HEADER, f'2022-01-01 00:00:00,1,2,0.5,"{price}",9'))
    assert len(error.problems) == 1
    assert error.problems[0].startswith("line 2: close ")


@pytest.mark.parametrize("price", ["0.009", "1000001", "1e400"])
def test_a_price_no_pool_could_express_is_refused(tmp_path: Path, price: str) -> None:
    error = refused(written(tmp_path, HEADER, f"2022-01-01 00:00:00,{price},1e401,0.001,1,9"))
    assert error.problems[0] == f"line 2: open {price} is outside 0.01 to 1000000 dollars per SOL"


def test_all_problems_are_told_at_once_in_order_of_lines(tmp_path: Path) -> None:
    error = refused(
        written(
            tmp_path,
            HEADER,
            "2022-01-01 00:00:00,1,1,1,1,9",
            "2022-01-01 01:00:00,0,1,1,-1,9",
            "2022-01-01 02:00:00,1,1,1,1,9",
            "2022-01-01 02:00:00,1,1,1,1,9",
            "2022-01-01 03:00:00,1,1,1,1",
            "yesterday,1,1,1,1,9",
            "2022-01-01 05:00:00,5,4,3,3.5,9",
            "2022-01-01 06:00:00,1,1,1,1,9",
            "2022-01-01 09:00:00,1,1,1,1,9",
        )
    )
    assert error.problems == (
        "line 3: open 0 is not above zero",
        "line 3: close -1 is not above zero",
        "line 5: 2022-01-01 02:00:00 is not after the line before",
        "line 6: 5 values for 6 columns",
        "line 7: time_utc 'yesterday' is no time such as 2021-04-04 21:00:00",
        "line 8: open and close do not lie between low and high",
        "line 10: a gap of 7200 s before 2022-01-01 09:00:00",
    )
    assert "7 problems" in str(error)


def test_time_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    rows = [f"2022-01-01 0{hour}:00:00,1,1,1,1,9" for hour in (0, 1, 2, 1)]
    assert refused(written(tmp_path, HEADER, *rows)).problems == (
        "line 5: 2022-01-01 01:00:00 is not after the line before",
    )


def test_times_of_another_zone_are_refused(tmp_path: Path) -> None:
    error = refused(written(tmp_path, HEADER, "2022-01-01T00:00:00+02:00,1,1,1,1,9"))
    assert "is not UTC" in error.problems[0]


def test_bars_shorter_than_the_others_are_refused(tmp_path: Path) -> None:
    times = ("00:00:00", "01:00:00", "02:00:00", "02:30:00", "03:30:00")
    error = refused(written(tmp_path, HEADER, *(f"2022-01-01 {time},1,1,1,1,9" for time in times)))
    assert error.problems == ("line 5: a bar of 1800 s among bars of 3600 s",)


def test_a_gap_is_refused_unless_it_may_be_bridged(tmp_path: Path) -> None:
    hours = (0, 1, 2, 6, 7)
    path = written(tmp_path, HEADER, *(f"2022-01-01 0{hour}:00:00,{1 + hour},9,1,{2 + hour},9" for hour in hours))
    error = refused(path)
    assert error.problems == ("line 5: a gap of 10800 s before 2022-01-01 06:00:00",)
    assert "--bridge-gaps" in error.fix

    bridged = read_price_file(path, bridge_gaps=True)
    in_gap = [bridged.usd_at((3 * 3_600 + seconds) * 1_000) for seconds in (0, 5_400, 10_800)]
    assert in_gap == [4, Fraction(11, 2), 7]


@pytest.mark.parametrize("lines", [(), (HEADER,), (HEADER, "", "")])
def test_an_empty_file_is_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert refused(written(tmp_path, *lines)).problems


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    assert "No such file" in str(refused(tmp_path / "nowhere.csv"))
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    assert "not UTF-8" in str(refused(binary))
    assert "field larger" in str(refused(written(tmp_path, "x" * 200_000)))


def test_a_single_bar_is_enough(tmp_path: Path) -> None:
    prices = read_price_file(written(tmp_path, HEADER, "2022-01-01 00:00:00,3,3,3,3,9"))
    assert prices.usd_at(0) == prices.usd_at(10**12) == 3
