"""Orders in plain words: what fires a leg, what it does then, within which limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sniperforge.cli.token_names import TokenNames, short
from sniperforge.domain.money import Mint
from sniperforge.domain.order import (
    AmountKind,
    Condition,
    Crossing,
    Leg,
    LegName,
    LegState,
    Order,
    Rule,
    Trail,
)
from sniperforge.domain.time_window import OPEN, Daily, TimeWindow, open_together
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.domain.watching import Watching, mints_of, price_watched, watching
from sniperforge.trading.order_arming import subjects_of
from sniperforge.trading.order_conditions import percent_of_change
from sniperforge.trading.order_legs import waits_for_nothing

if TYPE_CHECKING:
    from sniperforge.trading.order_market import Distance

_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60
_SHOWN_PERCENT = Decimal("0.01")


def mints_in(order: Order, legs: Iterable[Leg]) -> list[Mint]:
    """Tokens that an order is about or watches."""
    watched = [mint for leg in legs for subject in subjects_of(leg.rule) for mint in mints_of(subject)]
    return list(dict.fromkeys([order.base_mint, order.quote_mint, *watched]))


def subject_words(subject: Subject, names: TokenNames) -> str:
    """What is watched: `SOL`, `SOL/JUP`, `SOL change over 1h` or `time 09:00-17:30 UTC`, as `--condition` has it."""
    watched = watching(subject)
    if not isinstance(watched, Watching):
        return str(watched)
    if watched.per is not None:
        return f"{names.symbol(watched.mint)}/{names.symbol(watched.per)}"
    symbol = names.symbol(watched.mint)
    return symbol if watched.lookback_s is None else f"{symbol} change over {duration_words(watched.lookback_s)}"


def rule_words(rule: Rule, names: TokenNames) -> str:
    """What has to be so, as the end of a sentence that begins with `when`."""
    if isinstance(rule, Condition):
        between = " and " if rule.needs_all else " or "
        return between.join(crossing_words(one, names) for one in rule.crossings)
    if isinstance(rule, Crossing):
        return "at once" if waits_for_nothing(rule) else crossing_words(rule, names)
    return _trail_words(rule, names)


def crossing_words(crossing: Crossing, names: TokenNames) -> str:
    """One level: `SOL costs 140 USD or less`."""
    watched, bound = watching(crossing.subject), "or less" if crossing.direction is Direction.DOWN else "or more"
    if not isinstance(watched, Watching):
        return _window_words(watched)
    symbol = names.symbol(watched.mint)
    if watched.per is not None:
        return f"1 {symbol} costs {crossing.level:f} {names.symbol(watched.per)} {bound}"
    if watched.lookback_s is None:
        return f"{symbol} costs {crossing.level:f} USD {bound}"
    return _change_words(crossing, symbol, duration_words(watched.lookback_s))


def value_words(value: Decimal, subject: Subject, names: TokenNames) -> str:
    """A value of something that is watched."""
    watched = watching(subject)
    if not isinstance(watched, Watching):
        return "open" if value <= OPEN else "shut"
    if watched.lookback_s is not None:
        return f"{_rounded(percent_of_change(value)):+f} %"
    return f"{short(value)} {_unit(watched, names)}"


def action_words(leg: Leg, order: Order, names: TokenNames) -> str:
    """What it does when it fires: `sell all SOL for USDC`."""
    base, quote = names.symbol(order.base_mint), names.symbol(order.quote_mint)
    kind, value = leg.amount.kind, leg.amount.value
    if leg.input_mint == order.base_mint:
        match kind:
            case AmountKind.PERCENT:
                what = f"all {base} held" if value == 10_000 else f"{Decimal(value) / 100:f} % of the {base} held"
                return f"sell {what} for {quote}"
            case AmountKind.BASE:
                return f"sell {names.amount(value, order.base_mint)} for {quote}"
            case AmountKind.QUOTE:
                return f"sell as much {base} as is worth {names.amount(value, order.quote_mint)}"
            case AmountKind.FILLED:
                return f"sell the {base} that the entry brought for {quote}"
    if kind is AmountKind.BASE:
        return f"buy {names.amount(value, order.base_mint)} with {quote}"
    return f"buy {base} for {names.amount(value, order.quote_mint)}"


def leg_words(leg: Leg, order: Order, names: TokenNames) -> str:
    """When it fires and what it does then."""
    action, rule = action_words(leg, order, names), rule_words(leg.rule, names)
    if waits_for_nothing(leg.rule):
        return f"{action} at once"
    looks = f", at {leg.confirmations} looks in a row" if leg.confirmations > 1 else ""
    begins = ""
    if leg.state is LegState.DORMANT and leg.amount.kind is AmountKind.FILLED:
        begins = "once the entry has filled, "
    elif leg.active_from is not None and leg.active_from > order.created_at:
        begins = f"from {leg.active_from:%Y-%m-%d %H:%M:%S} UTC, "
    return f"{begins}when {rule}{looks}: {action}"


def limit_words(leg: Leg) -> str:
    """How much worse than the independent price its trades may be, and how long they may wait."""
    told = f"{leg.max_slippage_bps} bps from the independent price"
    if leg.widen_to_bps is not None:
        told += f", up to {leg.widen_to_bps} bps after trades that failed"
    if leg.reduce_only:
        told += "; never more than is held"
    return told if leg.deadline_s is None else f"{told}; signed within {leg.deadline_s} s"


def distance_words(distance: Distance, names: TokenNames) -> str:
    """How far the market is from a level."""
    crossing = distance.crossing
    return _distance(crossing.level, distance.value, distance.percent, crossing.subject, names)


def opening_words(leg: Leg, now: datetime) -> Iterator[str]:
    """Of each window of time that a leg waits for: whether it is open, or when it opens."""
    for subject in subjects_of(leg.rule):
        window = watching(subject)
        if isinstance(window, Watching):
            continue
        opens = open_together([window], now, None)
        if opens == now:
            yield f"{window} is open now"
        elif opens is not None:
            yield f"{window} opens at {opens.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def level_words(level: Decimal, value: Decimal, subject: Subject, names: TokenNames) -> str:
    """The same for a level and a value."""
    return _distance(level, value, (level - value) / value * 100, subject, names)


def risk_words(legs: tuple[Leg, ...]) -> Iterator[str]:
    """What a stop cannot promise."""
    if any(leg.name is LegName.STOP or isinstance(leg.rule, Trail) or _falls(leg) for leg in legs):
        yield (
            "a trigger is no price: the market can jump past it between two looks, and what is sold then brings what "
            "the market gives"
        )


def duration_words(seconds: int) -> str:
    """`90s`, `15m`, `1h`, `2d`: the largest unit that is exact."""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _trail_words(rule: Trail, names: TokenNames) -> str:
    symbol = names.symbol(price_watched(rule.subject).mint)
    by = f"{rule.amount:f} USD" if rule.amount is not None else f"{Decimal(rule.bps or 0) / 100:f} %"
    falls = rule.direction is Direction.DOWN
    best, moves = ("highest", "falls") if falls else ("lowest", "rises")
    since = "from now on"
    if rule.activation is not None:
        since = f"since it was at {rule.activation:f} USD or {'more' if falls else 'less'}"
    return f"{symbol} {moves} by {by} from its {best} price {since}"


def _change_words(crossing: Crossing, symbol: str, time: str) -> str:
    percent = percent_of_change(crossing.level)
    down = crossing.direction is Direction.DOWN
    if down and percent < 0:
        return f"{symbol} has fallen by {-percent:f} % or more in {time}"
    if not down and percent > 0:
        return f"{symbol} has risen by {percent:f} % or more in {time}"
    side = "below" if percent < 0 else "above"
    return (
        f"{symbol} is {'at most' if down or percent < 0 else 'at least'} {abs(percent):f} % {side} its price {time} ago"
    )


def _window_words(window: TimeWindow) -> str:
    if isinstance(window, Daily):
        return f"it is from {window.begins:%H:%M} to {window.ends:%H:%M} {window.zone}"
    begins, ends = (
        None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        for moment in (window.begins, window.ends)
    )
    if begins is None:
        return f"it is before {ends}"
    return f"it is {begins} or later" if ends is None else f"it is from {begins} to {ends}"


def _distance(level: Decimal, value: Decimal, percent: Decimal, subject: Subject, names: TokenNames) -> str:
    watched = watching(subject)
    now = value_words(value, subject, names)
    if not isinstance(watched, Watching):
        return f"{watched} is {now}"
    if watched.lookback_s is not None:
        return f"{percent_of_change(level):+f} % is the level, now it is {now}"
    side = "below" if percent < 0 else "above"
    return f"{short(level)} {_unit(watched, names)} is {abs(_rounded(percent)):f} % {side} the market ({now})"


def _unit(watched: Watching, names: TokenNames) -> str:
    return "USD" if watched.per is None else names.symbol(watched.per)


def _rounded(percent: Decimal) -> Decimal:
    return percent.quantize(_SHOWN_PERCENT)


def _falls(leg: Leg) -> bool:
    """Whether it sells on a fall."""
    return leg.reduce_only and isinstance(leg.rule, Crossing) and leg.rule.direction is Direction.DOWN
