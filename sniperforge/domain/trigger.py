"""Triggers: a level that a watched value reaches from one side, fixed or trailing behind the best value seen.

Everything is exact: values and levels are prices of at most 17 significant digits (`domain.prices`), so that any
database compares them as integers and finds the same triggers as a scan by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from enum import StrEnum
from typing import NewType

from sniperforge.domain.ids import TriggerId
from sniperforge.domain.prices import MAX_PRICE, MIN_PRICE, price_key, rounded_price
from sniperforge.errors import InvalidInputError

Subject = NewType("Subject", str)
"""What is watched, by name: see `domain.watching`. Its values are positive decimals."""

WHOLE_BPS = 10_000
TRAIL_BPS_LEAST, TRAIL_BPS_MOST = 1, 9_000
"""A trail of 0.01 % to 90 %: nearer is noise, farther protects nothing."""

IN_A_ROW_WITHIN = timedelta(minutes=10)
"""Two values further apart were not seen in a row: what was seen before a standstill confirms nothing after it."""

_EXACT = Context(prec=80)
"""Digits enough for any sum or product of two prices."""


class Direction(StrEnum):
    """From where the level is reached."""

    UP = "up"
    """Crossed when the value is at or above the level."""
    DOWN = "down"
    """Crossed when the value is at or below the level."""


class TriggerState(StrEnum):
    """Whether a trigger can fire."""

    ARMED = "armed"
    CROSSED = "crossed"
    """The last value was beyond the level; it fires when as many values in a row were as it wants."""
    HELD = "held"
    """Cannot fire for now, but its best value goes on being followed."""
    FIRED = "fired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What has to be reached. Exactly one of `level`, `trail_bps` and `trail_amount` is given.

    Attributes:
        subject: What is watched.
        confirmations: How many values in a row must be beyond the level; one bad print must not sell a position.
        level: The fixed level.
        trail_bps: The level is this share away from the best value seen.
        trail_amount: The level is this much away from the best value seen.
        best: The best value known when it was armed: highest for `DOWN`, lowest for `UP`. Only and always for a trail.
    """

    id: TriggerId
    subject: Subject
    direction: Direction
    confirmations: int
    level: Decimal | None = None
    trail_bps: int | None = None
    trail_amount: Decimal | None = None
    best: Decimal | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("level", "trail_bps", "trail_amount") if getattr(self, name) is not None]
        if len(given) != 1 or (self.best is None) != (given == ["level"]):
            raise InvalidInputError("it has a level, or a trail with the best value seen", subject=self.id)
        if self.confirmations < 1:
            raise InvalidInputError("a trigger needs one value at least", subject=self.id)
        if self.trail_bps is not None and not TRAIL_BPS_LEAST <= self.trail_bps <= TRAIL_BPS_MOST:
            raise InvalidInputError(f"a trail of {self.trail_bps} bps is not within 1 to 9000", subject=self.id)
        for value in (self.level, self.trail_amount, self.best):
            if value is not None:
                price_key(value)

    @property
    def trails(self) -> bool:
        """Whether its level follows the best value seen."""
        return self.level is None

    def level_at(self, best: Decimal | None) -> Decimal | None:
        """The level when `best` is the best value seen; None when no value can reach it."""
        if self.level is not None:
            return self.level
        if best is None:
            raise InvalidInputError("a trail has no level without a best value", subject=self.id)
        return trail_level(self.direction, best, bps=self.trail_bps, amount=self.trail_amount)


def trail_level(direction: Direction, best: Decimal, *, bps: int | None, amount: Decimal | None) -> Decimal | None:
    """The level of a trail, at 17 digits, rounded away from the best value: never nearer than was asked for.

    Returns:
        None when it would lie below the least or above the highest price there is: no value can reach it.
    """
    with localcontext(_EXACT):
        away = best * bps / WHOLE_BPS if bps is not None else amount or Decimal(0)
        exact = best - away if direction is Direction.DOWN else best + away
    if not MIN_PRICE <= exact <= MAX_PRICE:
        return None
    return rounded_price(exact, ROUND_FLOOR if direction is Direction.DOWN else ROUND_CEILING)


def widest_crossed(direction: Direction, best: Decimal, value: Decimal) -> tuple[int, Decimal | None]:
    """The widest trails whose levels a value is at or beyond, when `best` is the best value seen.

    Exactly those trails are crossed, `is_crossed(direction, value, trail_level(direction, best, ...))`, that are no
    wider than this: a level is rounded away from the best value to as many digits as every value has, so no value lies
    between a level and what it was rounded from.

    Returns:
        A share in bps, 0 when none is crossed, and an amount at 17 digits, None when none is crossed.
    """
    with localcontext(_EXACT):
        away = best - value if direction is Direction.DOWN else value - best
        if away <= 0:
            return 0, None
        bps = int(away * WHOLE_BPS // best)
    return min(bps, TRAIL_BPS_MOST), rounded_price(away, ROUND_FLOOR) if away >= MIN_PRICE else None


def in_a_row(seen_at: datetime | None, at: datetime) -> bool:
    """Whether a value seen at `at` is the next after the one seen at `seen_at`."""
    return seen_at is not None and at - seen_at <= IN_A_ROW_WITHIN


def steady(direction: Direction, value: Decimal, before: Decimal | None) -> Decimal | None:
    """The best value that two values in a row have reached, which is what a trail follows.

    One bad print may be any price: were a trail to follow it, the next good ones would lie beyond its level and sell.

    Args:
        direction: Of the trail.
        value: Of now.
        before: The value seen before it in a row; None when there was none.

    Returns:
        None when there was none before.
    """
    if before is None:
        return None
    return min(value, before) if direction is Direction.DOWN else max(value, before)


def is_crossed(direction: Direction, value: Decimal, level: Decimal | None) -> bool:
    """Whether a value is at or beyond a level."""
    if level is None:
        return False
    return value <= level if direction is Direction.DOWN else value >= level
