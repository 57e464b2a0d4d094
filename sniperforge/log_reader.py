"""Reading the log files of a home back (`logs` writes them): the newest lines first, then whatever is appended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LEVELS = ("debug", "info", "warning", "error", "critical")
"""From the least to the most severe."""

_BLOCK = 65_536


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log file.

    Attributes:
        level: One of `LEVELS`.
        event: What happened.
        fields: Everything else that was written with it.
        text: The line as it stands in the file.
    """

    at: datetime
    level: str
    event: str
    fields: Mapping[str, Any]
    text: str


class LogReader:
    """The log files of one folder, read together.

    Args:
        directory: Where they lie; it may not exist yet.

    Attributes:
        unreadable: How many lines were no log lines so far (a process that died while it wrote leaves half a line).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read_to: dict[Path, int] = {}
        self.unreadable = 0

    def newest(self, wanted: Callable[[LogLine], bool], limit: int) -> tuple[LogLine, ...]:
        """The last `limit` lines that are wanted, in the order of their times. `more` goes on after them."""
        self._read_to = {path: _end_of_lines(path) for path in self._files()}
        found: list[LogLine] = []
        for path, end in reversed(self._read_to.items()):
            for text in _backwards(path, end):
                line = self._parsed(text)
                if line is not None and wanted(line):
                    found.append(line)
                    if len(found) == limit:
                        return _by_time(found[::-1])
        return _by_time(found[::-1])

    def more(self, wanted: Callable[[LogLine], bool]) -> tuple[LogLine, ...]:
        """Lines that are wanted and were written since the last call, in the order of their times."""
        found: list[LogLine] = []
        for path in self._files():
            start, end = self._read_to.get(path, 0), _end_of_lines(path)
            self._read_to[path] = end
            if end > start:
                with path.open("rb") as file:
                    file.seek(start)
                    texts = file.read(end - start).split(b"\n")
                lines = [self._parsed(text) for text in texts if text]
                found += [line for line in lines if line is not None and wanted(line)]
        return _by_time(found)

    def _files(self) -> list[Path]:
        """Oldest first: their names are their days."""
        return sorted(self._directory.glob("sniperforge-*.jsonl"))

    def _parsed(self, text: bytes) -> LogLine | None:
        try:
            fields = json.loads(text)
            at = datetime.fromisoformat(fields.pop("timestamp")).astimezone(UTC)
            line = LogLine(at, fields.pop("level"), str(fields.pop("event")), fields, text.decode())
        except (ValueError, TypeError, AttributeError, KeyError):
            line = None
        if line is None or line.level not in LEVELS:
            self.unreadable += 1
            return None
        return line


def _by_time(lines: list[LogLine]) -> tuple[LogLine, ...]:
    """Several processes append to one file, and each stamps a line a moment before it is written."""
    return tuple(sorted(lines, key=lambda line: line.at))


def _end_of_lines(path: Path) -> int:
    """Where the last whole line ends: one that is being written now is left for later."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
    return 0


def _backwards(path: Path, end: int) -> Iterator[bytes]:
    """The lines of a file up to `end`, last first, read in blocks: a day of logs may be large."""
    rest = b""
    with path.open("rb") as file:
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            rest, *lines = (file.read(end - start) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            end = start
    if rest:
        yield rest
