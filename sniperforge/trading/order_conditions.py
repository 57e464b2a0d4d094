"""Whether several conditions can ever hold, together or one by one.

Every condition bounds the ratio of two prices: a dollar price that of a token to one dollar, a change that of a token
to itself some time ago. Bounds multiply along a path, so conditions contradict each other exactly if, going round some
circle of prices, they make a price greater than itself: what Bellman and Ford find, here exact, in fractions. That
covers `above 150` with `below 140` as well as three ratios of three tokens. Windows of time bound no price; they are
held against the calendar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from sniperforge.domain.order import Crossing
from sniperforge.domain.prices import price_key
from sniperforge.domain.time_window import is_window, open_together, window_of
from sniperforge.domain.trigger import Direction
from sniperforge.domain.watching import Watching, price_watched
from sniperforge.errors import InvalidInputError

SHORTEST_LOOKBACK_S, LONGEST_LOOKBACK_S = 60, 7 * 86_400
"""Of a change: prices are kept every ten seconds, and for as long as an open order wants them."""

_DOLLAR = "usd"
_Bound = tuple[str, str, Fraction]
"""(a, b, most): the price of `a` is at most `most` times that of `b`."""


def condition_problems(
    crossings: Sequence[Crossing], *, needs_all: bool, begins: datetime, ends: datetime | None
) -> list[str]:
    """Everything that is wrong with these conditions, in words.

    Args:
        crossings: The conditions.
        needs_all: All must hold at once.
        begins: They are watched from then on.
        ends: And until then; None for no end.
    """
    windows = [crossing for crossing in crossings if is_window(crossing.subject)]
    prices = [crossing for crossing in crossings if not is_window(crossing.subject)]
    problems = [text for crossing in prices for text in _problems_of(crossing)]
    if not problems and needs_all and (never := never_together(prices)):
        problems.append(f"these can never hold at once: {', '.join(_described(one) for one in never)}")
    return problems + list(_never_open(windows, needs_all=needs_all, begins=begins, ends=ends))


def _never_open(
    windows: Sequence[Crossing], *, needs_all: bool, begins: datetime, ends: datetime | None
) -> Iterator[str]:
    times = [window_of(one.subject) for one in windows]
    never = [one for one in times if open_together([one], begins, ends) is None]
    for one in never:
        yield f"{one}: it is over, or does not come before the order ends"
    if needs_all and times and not never and open_together(times, begins, ends) is None:
        yield f"these never come together while the order is open: {', '.join(map(str, times))}"


def never_together(crossings: Sequence[Crossing]) -> tuple[Crossing, ...]:
    """Conditions that contradict each other, as few as tell it; none when all can hold at once."""
    if not _contradict(crossings):
        return ()
    left = tuple(crossings)
    for crossing in crossings:
        without = tuple(one for one in left if one is not crossing)
        if _contradict(without):
            left = without
    return left


def _problems_of(crossing: Crossing) -> Iterator[str]:
    watched, level = price_watched(crossing.subject), crossing.level
    told = _described(crossing)
    if watched.per == watched.mint:
        yield f"{told}: the ratio of a token to itself is always 1"
        return
    if watched.lookback_s is None:
        try:
            price_key(level)
        except InvalidInputError as error:
            yield f"{told}: {error.what}"
        return
    if not level.is_finite():
        yield f"{told}: that is no number"
    elif level <= 0:
        how = "never" if crossing.direction is Direction.DOWN else "always"
        yield f"{told}: that is {how} so, since no price falls by more than 100 %"
    else:
        try:
            price_key(level)
        except InvalidInputError as error:
            yield f"{told}: as a share of the earlier price, {error.what}"
    if not SHORTEST_LOOKBACK_S <= watched.lookback_s <= LONGEST_LOOKBACK_S:
        yield f"{told}: give a time from {SHORTEST_LOOKBACK_S} s to {LONGEST_LOOKBACK_S // 86_400} days"


def _contradict(crossings: Sequence[Crossing]) -> bool:
    """Whether no prices satisfy all of them: some circle of bounds multiplies to less than 1."""
    bounds = [_bound(crossing) for crossing in crossings]
    names = {name for bound in bounds for name in bound[:2]}
    # Every price starts at one: only their ratios count, and lowering them for ever means a contradiction.
    most = dict.fromkeys(names, Fraction(1))
    for _ in names:
        lowered = False
        for one, other, ratio in bounds:
            if most[other] * ratio < most[one]:
                most[one] = most[other] * ratio
                lowered = True
        if not lowered:
            return False
    return bool(names)


def _bound(crossing: Crossing) -> _Bound:
    one, other = _prices_of(price_watched(crossing.subject))
    if crossing.direction is Direction.DOWN:
        return one, other, Fraction(crossing.level)
    return other, one, 1 / Fraction(crossing.level)


def _prices_of(watched: Watching) -> tuple[str, str]:
    if watched.per is not None:
        return watched.mint, watched.per
    return watched.mint, _DOLLAR if watched.lookback_s is None else watched.subject


def _described(crossing: Crossing) -> str:
    return (
        f"{crossing.subject} {'at or above' if crossing.direction is Direction.UP else 'at or below'} {_told(crossing)}"
    )


def _told(crossing: Crossing) -> str:
    if price_watched(crossing.subject).lookback_s is None:
        return f"{crossing.level:f}"
    return f"{percent_of_change(crossing.level):+f} %"


def percent_of_change(level: Decimal) -> Decimal:
    """A share of an earlier price as the change in percent: 0.95 is -5."""
    return ((level - 1) * 100).normalize()


def change_of_percent(percent: Decimal) -> Decimal:
    """A change in percent as the share of the earlier price: -5 is 0.95."""
    return 1 + percent / 100
