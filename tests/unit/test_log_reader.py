"""Log files read back: the newest lines whatever the size and number of files, and each later line once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sniperforge.log_reader import LogLine, LogReader

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def write(folder: Path, number: int, *, day: int = 1, end: str = "\n", **fields: object) -> None:
    at = NOON + timedelta(days=day - 1, milliseconds=number)
    line = {"timestamp": at.isoformat(), "level": "info", "event": f"line {number}", **fields}
    with (folder / f"sniperforge-2026-03-{day:02}.jsonl").open("a") as file:
        file.write(json.dumps(line) + end)


def every(_: LogLine) -> bool:
    return True


def events(lines: tuple[LogLine, ...]) -> list[str]:
    return [line.event.removeprefix("line ") for line in lines]


def test_the_newest_lines_of_several_days_are_found_in_order(tmp_path: Path) -> None:
    for day in (1, 2):
        for number in range(3):
            write(tmp_path, day * 10 + number, day=day)
    assert events(LogReader(tmp_path).newest(every, 4)) == ["12", "20", "21", "22"]
    assert len(LogReader(tmp_path).newest(every, 100)) == 6


def test_lines_are_found_across_blocks_of_a_large_file(tmp_path: Path) -> None:
    for number in range(500):
        write(tmp_path, number, padding="x" * 400)
    reader = LogReader(tmp_path)
    assert events(reader.newest(every, 500)) == [str(number) for number in range(500)]
    assert events(reader.newest(lambda line: line.event.endswith("7"), 2)) == ["487", "497"]
    assert reader.unreadable == 0


def test_what_is_written_later_is_told_once_also_in_a_new_days_file(tmp_path: Path) -> None:
    write(tmp_path, 1)
    reader = LogReader(tmp_path)
    assert events(reader.newest(every, 5)) == ["1"]
    assert reader.more(every) == ()
    write(tmp_path, 2)
    write(tmp_path, 3, day=2)
    assert events(reader.more(every)) == ["2", "3"]
    assert reader.more(every) == ()


def test_a_line_that_is_being_written_is_left_until_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2, end="")
    reader = LogReader(tmp_path)
    assert events(reader.newest(every, 5)) == ["1"]
    with (tmp_path / "sniperforge-2026-03-01.jsonl").open("a") as file:
        file.write("\n")
    assert events(reader.more(every)) == ["2"]
    assert reader.unreadable == 0


@pytest.mark.parametrize(
    "text", ["{half a li", "[1]", "7", '{"event": "x", "level": "info"}', '{"timestamp": 1, "event": "", "level": ""}']
)
def test_what_is_no_log_line_is_counted_and_left_out(tmp_path: Path, text: str) -> None:
    write(tmp_path, 1)
    with (tmp_path / "sniperforge-2026-03-01.jsonl").open("a") as file:
        file.write(text + "\n")
    write(tmp_path, 2)
    write(tmp_path, 3, level="loud")
    reader = LogReader(tmp_path)
    assert events(reader.newest(every, 5)) == ["1", "2"]
    assert reader.unreadable == 2


def test_lines_of_several_processes_stand_in_the_order_of_their_times(tmp_path: Path) -> None:
    write(tmp_path, 2)
    write(tmp_path, 1)
    reader = LogReader(tmp_path)
    assert events(reader.newest(every, 5)) == ["1", "2"]
    write(tmp_path, 4)
    write(tmp_path, 3)
    assert events(reader.more(every)) == ["3", "4"]


def test_lines_of_one_moment_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, 1, name=name)
    assert [line.fields["name"] for line in LogReader(tmp_path).newest(every, 2)] == ["b", "c"]


def test_a_home_without_logs_has_no_lines(tmp_path: Path) -> None:
    reader = LogReader(tmp_path / "logs")
    assert reader.newest(every, 5) == ()
    assert reader.more(every) == ()


def test_everything_written_with_an_event_is_kept(tmp_path: Path) -> None:
    write(tmp_path, 1, intent="abc", seconds=0.5)
    (line,) = LogReader(tmp_path).newest(every, 1)
    assert line.at == NOON + timedelta(milliseconds=1)
    assert line.fields == {"intent": "abc", "seconds": 0.5}
    assert json.loads(line.text)["intent"] == "abc"
