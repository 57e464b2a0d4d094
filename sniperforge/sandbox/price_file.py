"""Prices from a CSV file (`time_utc,open,high,low,close,volume`), checked as a whole before the first one is used."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from sniperforge.errors import ConfigError

COLUMNS = ("time_utc", "open", "high", "low", "close", "volume")
LOWEST_USD, HIGHEST_USD = Decimal("0.01"), Decimal(1000000)
_PRICE_COLUMNS = COLUMNS[1:5]
_SECOND = timedelta(seconds=1)
_USD_UNITS = 10**12
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the file. `start_s` counts from the first bar; prices are dollars."""

    start_s: int
    open: Fraction
    high: Fraction
    low: Fraction
    close: Fraction

    def at(self, share: Fraction) -> Fraction:
        """Price after this share of the bar: open, one extreme, the other extreme, close, joined by straight lines.

        A rising bar visits its low first, a falling one its high.
        """
        extremes = (self.low, self.high) if self.close >= self.open else (self.high, self.low)
        turns = (self.open, *extremes, self.close)
        third, rest = divmod(min(share, Fraction(1)) * 3, 1)
        if third == 3:
            return self.close
        here, there = turns[int(third)], turns[int(third) + 1]
        return here + (there - here) * rest


@dataclass(frozen=True, slots=True)
class PriceFile:
    """A checked file of prices. `digest` identifies its contents."""

    bars: tuple[Bar, ...]
    bar_s: int
    digest: str

    def usd_at(self, market_ms: int) -> Fraction:
        """Price at this time since the first bar began, to 1e-12 dollars; after the last bar its close.

        Where a gap was bridged, the price goes straight from the close before it to the open after it.
        """
        bar = self.bars[self._index(market_ms)]
        into = Fraction(market_ms, 1_000) - bar.start_s
        exact = bar.at(into / self.bar_s) if into <= self.bar_s else self._in_gap(bar, into)
        return Fraction(max(1, round(exact * _USD_UNITS)), _USD_UNITS)

    def _index(self, market_ms: int) -> int:
        """The last bar that has begun."""
        low, high = 0, len(self.bars) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.bars[middle].start_s * 1_000 <= market_ms:
                low = middle
            else:
                high = middle - 1
        return low

    def _in_gap(self, bar: Bar, into: Fraction) -> Fraction:
        following = self._index((bar.start_s + self.bar_s) * 1_000) + 1
        if following >= len(self.bars):
            return bar.close
        after = self.bars[following]
        share = (into - self.bar_s) / (after.start_s - bar.start_s - self.bar_s)
        return bar.close + (after.open - bar.close) * share


def read_price_file(path: Path, *, bridge_gaps: bool = False) -> PriceFile:
    """Read and check a file of prices.

    Args:
        path: The CSV file; times are UTC, prices dollars per SOL, bars of one length in rising order.
        bridge_gaps: Accept missing bars and draw a straight line over them.

    Raises:
        ConfigError: The file cannot be used; `problems` lists everything found, with line numbers.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.reader(text.splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        if isinstance(error, OSError):
            reason = error.strerror or reason
        raise ConfigError(
            f"the price file cannot be read: {reason}", subject=str(path), fix="Name a readable CSV file"
        ) from error
    header = [name.strip().lower() for name in rows[0]] if rows else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        problems = [f"line 1: no column {name}" for name in missing]
        raise _refuse(path, problems, f"The first line must be: {','.join(COLUMNS)}")
    stamped, problems = _parse(header, rows[1:])
    if not stamped and not problems:
        problems = ["line 2: no prices follow the header"]
    step_s = _bar_seconds(stamped)
    timeless = {_line_of(problem) for problem in problems} - {line for line, _time, _prices in stamped}
    order_problems, gap_problems = _check_times(stamped, step_s, timeless)
    problems += order_problems if bridge_gaps else order_problems + gap_problems
    if problems:
        fix = "Correct these lines; each needs a UTC time after the one before and prices above zero"
        if gap_problems and not bridge_gaps:
            fix += ". Fill the gaps, or pass --bridge-gaps to draw a straight line over them"
        raise _refuse(path, sorted(problems, key=_line_of), fix)
    start = stamped[0][1]
    bars = tuple(Bar((time - start) // _SECOND, *prices) for _line, time, prices in stamped)
    return PriceFile(bars, step_s, sha256(text.encode()).hexdigest()[:16])


_Prices = tuple[Fraction, Fraction, Fraction, Fraction]
_Stamped = tuple[int, datetime, _Prices]


def _parse(header: list[str], rows: Iterable[list[str]]) -> tuple[list[_Stamped], list[str]]:
    """Every line that has a time, even if its prices are refused, and what is wrong with each line by itself."""
    stamped: list[_Stamped] = []
    problems: list[str] = []
    for line, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            problems.append(f"line {line}: {len(row)} values for {len(header)} columns")
            continue
        values = dict(zip(header, (cell.strip() for cell in row), strict=True))
        found: list[str] = []
        time = _time(values["time_utc"], found)
        prices = tuple(_price(name, values[name], found) for name in _PRICE_COLUMNS)
        if not found:
            found += _check_bar(prices)
        problems += [f"line {line}: {problem}" for problem in found]
        if time is not None:
            opened, high, low, close = prices
            stamped.append((line, time, (opened, high, low, close)))
    return stamped, problems


def _time(text: str, found: list[str]) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        found.append(f"time_utc {text!r} is no time such as 2021-04-04 21:00:00")
        return None
    if time.utcoffset():
        found.append(f"time_utc {text!r} is not UTC")
        return None
    return time.replace(tzinfo=UTC)


def _price(name: str, text: str, found: list[str]) -> Fraction:
    try:
        value = Decimal(text)
    except InvalidOperation:
        found.append(f"{name} {text!r} is no number")
        return Fraction(0)
    if not value.is_finite():
        found.append(f"{name} {text!r} is no number")
        return Fraction(0)
    if value <= 0:
        found.append(f"{name} {text} is not above zero")
        return Fraction(0)
    if not LOWEST_USD <= value <= HIGHEST_USD:
        found.append(f"{name} {text} is outside {LOWEST_USD} to {HIGHEST_USD} dollars per SOL")
        return Fraction(0)
    return Fraction(value)


def _check_bar(prices: tuple[Fraction, ...]) -> list[str]:
    opened, high, low, close = prices
    if low <= min(opened, close) and max(opened, close) <= high:
        return []
    return ["open and close do not lie between low and high"]


def _bar_seconds(stamped: list[_Stamped]) -> int:
    """The commonest distance between two lines; one hour when there is only one line."""
    steps = Counter((later[1] - earlier[1]) // _SECOND for earlier, later in pairwise(stamped))
    rising = {step: count for step, count in steps.items() if step > 0}
    return min(rising, key=lambda step: (-rising[step], step)) if rising else 3_600


def _check_times(stamped: list[_Stamped], step_s: int, timeless: set[int]) -> tuple[list[str], list[str]]:
    """Problems of order, and gaps. A line whose time cannot be read has its own problem and makes no gap."""
    order: list[str] = []
    gaps: list[str] = []
    for (earlier_line, earlier, _), (line, time, _) in pairwise(stamped):
        distance = (time - earlier) // _SECOND
        if distance <= 0:
            order.append(f"line {line}: {time:%Y-%m-%d %H:%M:%S} is not after the line before")
        elif distance < step_s:
            order.append(f"line {line}: a bar of {distance} s among bars of {step_s} s")
        elif distance > step_s * (1 + sum(1 for number in timeless if earlier_line < number < line)):
            gaps.append(f"line {line}: a gap of {distance - step_s} s before {time:%Y-%m-%d %H:%M:%S}")
    return order, gaps


def _line_of(problem: str) -> int:
    return int(problem.removeprefix("line ").split(":", 1)[0])


def _refuse(path: Path, problems: list[str], fix: str) -> ConfigError:
    shown = "; ".join(problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return ConfigError(
        f"the price file has {len(problems)} problem{'s' * (len(problems) > 1)}: {shown}{more}",
        subject=str(path),
        fix=fix,
        problems=tuple(problems),
    )
