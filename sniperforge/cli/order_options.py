"""What is typed for an order, turned into terms; everything that is wrong with it is collected, by option."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from sniperforge.domain.money import Mint, parse_units
from sniperforge.domain.order import ALL, Amount, AmountKind, Crossing
from sniperforge.domain.time_window import Daily, Once, TimeWindow, time_of_day
from sniperforge.domain.trigger import Direction
from sniperforge.domain.watching import Watching
from sniperforge.errors import InvalidInputError, SniperForgeError
from sniperforge.trading.order_conditions import change_of_percent

_T = TypeVar("_T")
_OPTIONS = {
    "kind": "--type",
    "base_mint": "--token",
    "quote_mint": "--quote",
    "conditions": "--condition",
    "needs_all": "--match",
}
_SAME = {"quote_amount": "amount"}
"""Options that give a field of another name."""

_TOO_MANY_DIGITS = 9
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,18})\s*([smhd])")
_CONDITION = re.compile(
    r"(?P<token>[^\s/]+)(?:\s*/\s*(?P<per>[^\s/]+))?(?:\s+change\s+over\s+(?P<over>\d{1,18}\s*[smhd]))?"
    r"\s+(?P<side>above|below)\s+(?P<level>[+-]?[0-9.]+)\s*(?P<percent>%?)",
    re.IGNORECASE,
)
_DAILY = re.compile(r"time\s+(?P<begins>\d\d:\d\d)\s*-\s*(?P<ends>\d\d:\d\d)(?:\s+(?P<zone>\S+))?", re.IGNORECASE)
_ONCE = re.compile(
    r"time(?=\s+(?:from|until)\s)(?:\s+from\s+(?P<begins>\S+))?(?:\s+until\s+(?P<ends>\S+))?", re.IGNORECASE
)
_CONDITION_FORMS = (
    '"SOL above 150", "SOL/JUP below 200", "SOL change over 1h below -5%", "time 09:00-17:30 Europe/Berlin" or '
    '"time from 2027-01-31T09:00:00+01:00 until 2027-02-01T09:00:00+01:00"'
)


@dataclass(frozen=True, slots=True)
class TypedCondition:
    """A condition as it was typed: its tokens are symbols or mints."""

    token: str
    per: str | None
    lookback_s: int | None
    direction: Direction
    level: Decimal

    def crossing(self, mints: Mapping[str, Mint]) -> Crossing:
        """The same for tokens that are known."""
        per = None if self.per is None else mints[self.per]
        watched = Watching(mints[self.token], per=per, lookback_s=self.lookback_s)
        return Crossing(subject=watched.subject, direction=self.direction, level=self.level)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Tokens that it names."""
        return (self.token,) if self.per is None else (self.token, self.per)


@dataclass(frozen=True, slots=True)
class TypedWindow:
    """A window of time as it was typed."""

    window: TimeWindow
    tokens: tuple[str, ...] = ()
    """It names none."""

    def crossing(self, mints: Mapping[str, Mint]) -> Crossing:  # noqa: ARG002 (as `TypedCondition`)
        """As a condition."""
        return Crossing.into(self.window)


class Typed:
    """Collects what is wrong with what was typed, so that it is told all at once."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self.noted: list[tuple[str, str]] = []

    def note(self, field: str, error: SniperForgeError) -> None:
        """Keep what is wrong with a field that could be read: a name of nothing that there is."""
        self.noted.append((field, str(error)))

    def read(self, field: str, text: str | None, parse: Callable[[str], _T]) -> _T | None:
        """What was typed for a field; None when nothing was, or what was is wrong."""
        if text is None:
            return None
        try:
            return parse(text)
        except InvalidInputError as error:
            self.problems[field] = f"{error.what}. {error.fix}" if error.fix else error.what
            return None

    def refuse(self, others: Iterable[str] = (), *, symbols: Mapping[Mint, str] | None = None) -> None:
        """Raise if anything is wrong.

        Args:
            others: Problems that the desk found, as `field: what`; those of a field that could not be read follow from
                that, and are left out.
            symbols: How tokens are called.

        Raises:
            InvalidInputError: Lists everything, by option.
        """
        found = list(self.problems.items())
        unread = {_SAME.get(field, field) for field in self.problems}
        for problem in others:
            field, _, text = problem.partition(": ")
            if field not in unread:
                found.append((field, text))
        if not found and not self.noted:
            return
        problems = tuple(f"{option_of(field)}: {text}" for field, text in self.noted)
        problems += tuple(f"{option_of(field)}: {_named(text, symbols or {})}" for field, text in found)
        listed = "".join(f"\n  {problem}" for problem in problems)
        forced = any("unless forced" in problem for problem in problems)
        raise InvalidInputError(
            f"nothing was written, this order cannot be:{listed}",
            subject="order",
            fix="Add --force if you mean what would fire at once" if forced else "",
            problems=problems,
        )


def option_of(field: str) -> str:
    """The option that gives a field of `OrderTerms`."""
    return _OPTIONS.get(field, f"--{field.replace('_', '-')}")


def parse_decimal(text: str) -> Decimal:
    """A plain number.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        value = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise InvalidInputError(f"{text!r} is not a number", fix="Write it as digits with a point, e.g. 140.5")
    return value


def parse_base_amount(text: str, decimals: int) -> Amount:
    """How much of the token: `all`, a share of the position (`25%`) or whole tokens (`1.5`).

    Raises:
        InvalidInputError: It is none of these.
    """
    typed = text.strip().lower()
    if typed == "all":
        return ALL
    if typed.endswith("%"):
        percent = parse_decimal(typed.removesuffix("%"))
        if percent.adjusted() >= _TOO_MANY_DIGITS:  # `int` would write all of them out
            raise InvalidInputError(f"{text!r} is no share of a position")
        hundredths = percent * 100
        if hundredths != int(hundredths):
            raise InvalidInputError(f"{text!r} is finer than a hundredth of a percent")
        return Amount(AmountKind.PERCENT, int(hundredths))
    return Amount(AmountKind.BASE, parse_units(text, decimals))


def parse_quote_amount(text: str, decimals: int) -> Amount:
    """How much of the other token, in whole tokens.

    Raises:
        InvalidInputError: It is no amount.
    """
    return Amount(AmountKind.QUOTE, parse_units(text, decimals))


def parse_moment(text: str, now: datetime) -> datetime:
    """A time with its zone (`2027-01-31T09:00:00+01:00`), or so long from now (`12h`).

    Raises:
        InvalidInputError: It is neither.
    """
    duration = _DURATION.fullmatch(text.strip())
    if duration is not None:
        try:
            return now + timedelta(seconds=int(duration[1]) * _UNITS[duration[2]])
        except ArithmeticError:
            raise InvalidInputError(
                f"{text!r} is later than any date that can be written", fix="Leave it out for no such time"
            ) from None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInputError(
            f"{text!r} is neither a time with its zone nor a duration",
            fix="Write 2027-01-31T09:00:00+01:00, or 90s, 15m, 12h, 7d from now",
        )
    return moment


def parse_condition(text: str, now: datetime) -> TypedCondition | TypedWindow:
    """One condition.

    Raises:
        InvalidInputError: It has none of the forms, or is a window of time that there cannot be.
    """
    typed = text.strip()
    if daily := _DAILY.fullmatch(typed):
        return TypedWindow(Daily(time_of_day(daily["begins"]), time_of_day(daily["ends"]), daily["zone"] or "UTC"))
    if once := _ONCE.fullmatch(typed):
        begins, ends = (None if one is None else parse_moment(one, now) for one in (once["begins"], once["ends"]))
        return TypedWindow(Once(begins, ends))
    found = _CONDITION.fullmatch(typed)
    over = None if found is None else found["over"]
    if found is None or (over is None) != (found["percent"] == "") or (over is not None and found["per"] is not None):
        raise InvalidInputError("no condition", fix=f"Write {_CONDITION_FORMS}")
    level, lookback_s = parse_decimal(found["level"]), None
    if over is not None:
        duration = _DURATION.fullmatch(over)
        lookback_s = int(duration[1]) * _UNITS[duration[2].lower()] if duration else None
        level = change_of_percent(level)
    direction = Direction.UP if found["side"].lower() == "above" else Direction.DOWN
    return TypedCondition(found["token"], found["per"], lookback_s, direction, level)


def parse_conditions(texts: Iterable[str], now: datetime) -> tuple[TypedCondition | TypedWindow, ...]:
    """Several; all that are wrong are told.

    Raises:
        InvalidInputError: Some are no conditions.
    """
    parsed: list[TypedCondition | TypedWindow] = []
    wrong: dict[str, InvalidInputError] = {}
    for text in texts:
        try:
            parsed.append(parse_condition(text, now))
        except InvalidInputError as error:
            wrong[text] = error
    if wrong:
        told = "; ".join(f"{text!r}: {error.what}" for text, error in wrong.items())
        raise InvalidInputError(told, fix=". ".join(dict.fromkeys(one.fix for one in wrong.values() if one.fix)))
    return tuple(parsed)


def _named(text: str, symbols: Mapping[Mint, str]) -> str:
    for mint, symbol in symbols.items():
        text = text.replace(mint, symbol)
    return text
