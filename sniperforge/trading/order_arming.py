"""Which triggers watch the market for a leg.

A crossing is one trigger. A trail is one, or two one after the other: its activation, then the trail, which begins at
the value that activated it. Any of several crossings is a trigger each. All of several is one armed trigger at a time,
on a crossing that does not hold yet; the others are held, so that their values are asked for. When it fires, and so has
been confirmed, another one is armed that has not been; the leg fires when each was confirmed and all hold at that look.
So no leg costs more than one place in the book that can fire, and no bad print alone fires any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sniperforge.domain.ids import trigger_id
from sniperforge.domain.order import Condition, Crossing, Leg, Rule, Trail
from sniperforge.domain.trigger import Direction, Subject, Trigger, is_crossed
from sniperforge.errors import PriceUnavailableError

MOST_CROSSINGS = 8
"""Of one condition."""

_ACTIVATION, _TRAIL = 0, 1


@dataclass(frozen=True, slots=True)
class Arming:
    """What the book of triggers has to hold for a leg.

    Attributes:
        armed: Can fire.
        held: Only make their subjects watched.
    """

    armed: tuple[Trigger, ...]
    held: tuple[Trigger, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a fired trigger means.

    Attributes:
        fires: The leg fires.
        next: If it does not: what the book has to hold from now on for this leg, instead of all it held.
    """

    fires: bool
    next: Arming | None = None


def subjects_of(rule: Rule) -> tuple[Subject, ...]:
    """Everything that is watched for this rule, each once."""
    crossings = rule.crossings if isinstance(rule, Condition) else (rule,)
    return tuple(dict.fromkeys(crossing.subject for crossing in crossings))


def needs_values(rule: Rule) -> bool:
    """Whether arming it needs to know the values of now."""
    return (isinstance(rule, Trail) and rule.activation is None) or (isinstance(rule, Condition) and rule.needs_all)


def arming_of(leg: Leg, values: Mapping[Subject, Decimal]) -> Arming:
    """What the book has to hold for a leg that begins to be watched now.

    Args:
        leg: The leg.
        values: Of now, by subject; needed where `needs_values` says so.

    Raises:
        PriceUnavailableError: One that is needed is missing.
    """
    rule = leg.rule
    if isinstance(rule, Crossing):
        return Arming((_on(leg, rule, _ACTIVATION),))
    if isinstance(rule, Trail):
        if rule.activation is not None:
            beginning = Crossing(subject=rule.subject, direction=_other(rule.direction), level=rule.activation)
            return Arming((_on(leg, beginning, _ACTIVATION),))
        return Arming((_trailing(leg, rule, _value(values, rule.subject)),))
    if not rule.needs_all:
        return Arming(tuple(_on(leg, crossing, place) for place, crossing in enumerate(rule.crossings)))
    return _watch_one(leg, rule, values, confirmed=0)


def arming_anew(leg: Leg, values: Mapping[Subject, Decimal]) -> Arming:
    """What the book has to hold for a leg that fired in vain: a trail begins at the price of now.

    Raises:
        PriceUnavailableError: A value that is needed is missing.
    """
    if isinstance(leg.rule, Trail):
        return Arming((_trailing(leg, leg.rule, _value(values, leg.rule.subject)),))
    return arming_of(leg, values)


def triggers_of(leg: Leg, values: Mapping[Subject, Decimal]) -> tuple[Trigger, ...]:
    """The triggers of a leg that begins to be watched now that can fire; see `arming_of`."""
    return arming_of(leg, values).armed


def verdict_on(leg: Leg, number: int, values: Mapping[Subject, Decimal]) -> Verdict:
    """What it means that trigger `number` of this leg fired.

    Args:
        leg: The leg.
        number: Of the trigger, from its id.
        values: Of the same look, by subject.

    Raises:
        PriceUnavailableError: A value that is needed is missing at this look.
    """
    rule = leg.rule
    if isinstance(rule, Trail) and rule.activation is not None and number == _ACTIVATION:
        return Verdict(fires=False, next=Arming((_trailing(leg, rule, _value(values, rule.subject)),)))
    if not isinstance(rule, Condition) or not rule.needs_all:
        return Verdict(fires=True)
    confirmed, place = divmod(number, MOST_CROSSINGS)
    holding = _holding(rule.crossings, values)
    confirmed = confirmed | 1 << place if all(holding) else 0
    if confirmed == (1 << len(rule.crossings)) - 1:
        return Verdict(fires=True)
    return Verdict(fires=False, next=_watch_one(leg, rule, values, confirmed=confirmed))


def holds(rule: Rule, values: Mapping[Subject, Decimal]) -> bool:
    """Whether what a leg waits for is so at this look. A turn of the price, which a trail waits for, has been.

    Raises:
        PriceUnavailableError: A value is missing that could make it so.
    """
    if isinstance(rule, Trail):
        return False
    if isinstance(rule, Condition) and not rule.needs_all:
        known = [one for one in rule.crossings if one.subject in values]
        return any(_holding(known, values)) or any(_holding(rule.crossings, values))
    return all(_holding(rule.crossings if isinstance(rule, Condition) else (rule,), values))


def _holding(crossings: Sequence[Crossing], values: Mapping[Subject, Decimal]) -> list[bool]:
    return [is_crossed(one.direction, _value(values, one.subject), one.level) for one in crossings]


def _watch_one(leg: Leg, rule: Condition, values: Mapping[Subject, Decimal], *, confirmed: int) -> Arming:
    """Arm one crossing: one that does not hold, else one that was not confirmed. Its number says which were."""
    places: Sequence[int] = range(len(rule.crossings))
    crossings = rule.crossings
    holding = _holding(crossings, values)
    watched = next((place for place in places if not holding[place]), None)
    if watched is None:
        watched = next(place for place in places if not confirmed >> place & 1)
    base = confirmed * MOST_CROSSINGS
    return Arming(
        (_on(leg, crossings[watched], base + watched),),
        tuple(_on(leg, crossings[place], base + place) for place in places if place != watched),
    )


def _on(leg: Leg, crossing: Crossing, number: int) -> Trigger:
    return Trigger(
        id=trigger_id(leg.order_id, leg.name, number),
        subject=crossing.subject,
        direction=crossing.direction,
        confirmations=leg.confirmations,
        level=crossing.level,
    )


def _trailing(leg: Leg, rule: Trail, value: Decimal) -> Trigger:
    return Trigger(
        id=trigger_id(leg.order_id, leg.name, _TRAIL),
        subject=rule.subject,
        direction=rule.direction,
        confirmations=leg.confirmations,
        trail_bps=rule.bps,
        trail_amount=rule.amount,
        best=value,
    )


def _value(values: Mapping[Subject, Decimal], subject: Subject) -> Decimal:
    value = values.get(subject)
    if value is None:
        raise PriceUnavailableError("there is no price of it now", subject=subject, fix="It is looked at again")
    return value


def _other(direction: Direction) -> Direction:
    return Direction.UP if direction is Direction.DOWN else Direction.DOWN
