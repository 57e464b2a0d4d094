"""Trails that follow the market without a row being moved: groups, and the floors under them.

The level of a trail at its own peak (`reach`) stands in the same index as fixed levels. When a value is better than
peaks of a group, the group gets a floor: no member's best value is worse than that. A floor says so of any number of
members in one row, and may rise in place, tick by tick. A member's best value is the better of its own peak and the
floor of its group, and because the level of a trail moves the same way as its best value:

- whatever `reach` says has been reached is reached in truth, under a floor or not;
- a trail that is reached from the floor is reached in truth, wherever its own peak is.

So the trails that a value reaches are those with a `reach` that is reached and, in each group whose nearest level is
reached, the narrowest ones: two ranges of two indexes, in which there is nothing else.

A new trail joins the group with the best floor that is not better than its own best value; the one group of a subject
and direction that has no floor takes any. Where a value is better than only a few peaks of that one, those rows are
moved instead, so that each group is there for many members.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select, text, union_all, update

from sniperforge.domain.prices import MIN_PRICE
from sniperforge.domain.trigger import Direction, Subject, steady, trail_level, widest_crossed
from sniperforge.storage import tables
from sniperforge.storage.repositories.base import Rows, Transaction
from sniperforge.storage.repositories.triggers_rows import MovingRow, MovingTable, place_of, price_at

FEW = 16
"""Peaks that a tick rather moves one by one than gives them a floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Trails that share a floor.

    Attributes:
        floor: Place that no member's best value is worse than; None for the group that takes any.
        nearest: Place that no level of an armed member, as it follows from the floor alone, is nearer than; None when
            no value reaches any.
    """

    id: int
    subject: Subject
    direction: Direction
    floor: int | None
    nearest: int | None

    def takes(self, peak: int) -> bool:
        """Whether a trail with this best value may be a member."""
        return self.floor is None or self.floor <= peak


class Trailing(Rows[Group]):
    """Groups of the subjects that this transaction holds.

    Args:
        transaction: The transaction.
        few: See `FEW`.
    """

    table = tables.trigger_groups
    record = Group
    _same = update(table).where(table.c.id == bindparam("of"))
    _new = insert(table).returning(table.c.id)

    def __init__(self, transaction: Transaction, few: int = FEW) -> None:
        super().__init__(transaction)
        self._triggers = MovingTable(transaction)
        self._few = few

    def of(self, subject: Subject) -> list[Group]:
        """The groups of a subject."""
        return list(self._with("id", subject=subject))

    def floor(self, group_id: int | None) -> int | None:
        """The floor of a group, None for no group."""
        group = None if group_id is None else self._one(id=group_id)
        return None if group is None else group.floor

    def joined(self, groups: list[Group], subject: Subject, direction: Direction, peak: int) -> int:
        """The group that takes a trail with this best value, added to `groups` where there was none."""
        open_to_it = [group for group in groups if group.direction is direction and group.takes(peak)]
        if open_to_it:
            return max(open_to_it, key=lambda group: (group.floor is not None, group.floor or 0)).id
        values = {"subject": subject, "direction": direction, "floor": None, "nearest": None}
        ((given,),) = self._transaction.ask(self._new, values)
        groups.append(Group(id=given, subject=subject, direction=direction, floor=None, nearest=None))
        return groups[-1].id

    def follow(self, groups: Sequence[Group], value: Decimal, before: Decimal | None) -> list[Group]:
        """Let every trail of a subject see a value and the one before it.

        Returns:
            Its groups, with their floors as they are then; `renew` has to write those that have risen.
        """
        floors: dict[int, int] = {}
        for direction in Direction:
            seen = steady(direction, value, before)
            if seen is None:
                continue
            place = place_of(direction, seen)
            mine = [group for group in groups if group.direction is direction]
            overtaken = [group for group in mine if group.floor is not None and group.floor < place]
            overtaken += self._pool_overtaken(mine, overtaken, place)
            floors |= {group.id: place for group in overtaken}
        return [replace(group, floor=floors[group.id]) if group.id in floors else group for group in groups]

    def _pool_overtaken(self, groups: Sequence[Group], overtaken: Sequence[Group], place: int) -> list[Group]:
        """The group without a floor if it has to get one; where few peaks are worse than a value, those are moved."""
        pool = next((group for group in groups if group.floor is None), None)
        if pool is None:
            return []
        worse = self._triggers.ask(_worse(self._few + 1), group_id=pool.id, place=place)
        if len(worse) > self._few:
            return [pool]
        for row in worse:
            if overtaken:
                row.group_id = overtaken[0].id
            else:
                row.rise(place)
        self._triggers.write(worse)
        return []

    def reached(self, groups: Collection[Group], value: Decimal) -> tuple[list[Group], list[MovingRow]]:
        """Groups whose nearest level a value reaches, and the armed members that it reaches from their floors."""
        opened: list[Group] = []
        rows: list[MovingRow] = []
        for group in groups:
            place = place_of(group.direction, value)
            # No trail is reached from a floor that has just risen: it is no better than the value.
            if group.floor is None or group.floor <= place or group.nearest is None or group.nearest < place:
                continue
            bps, amount = widest_crossed(group.direction, price_at(group.direction, group.floor), value)
            opened.append(group)
            rows += self._triggers.ask(_WITHIN, group_id=group.id, bps=bps, amount=amount)
        return opened, rows

    def renew(self, subject: Subject, groups: Sequence[Group]) -> None:
        """Write the floors of these groups of a subject, and their nearest levels, which are found anew."""
        if not groups:
            return
        narrowest = {
            number: (bps, amount) for number, bps, amount in self._transaction.ask(_NARROWEST, {"subject": subject})
        }
        written = [
            {"of": group.id, "floor": group.floor, "nearest": _nearest(group, *narrowest[group.id])} for group in groups
        ]
        self._transaction.write(self._same, written)


def _nearest(group: Group, bps: int | None, amount: Decimal | None) -> int | None:
    """The level of the narrowest armed trails, at the floor."""
    if group.floor is None:
        return None
    best = price_at(group.direction, group.floor)
    levels = (
        None if bps is None else trail_level(group.direction, best, bps=bps, amount=None),
        None if amount is None else trail_level(group.direction, best, bps=None, amount=amount),
    )
    return max((place_of(group.direction, level) for level in levels if level is not None), default=None)


_column = tables.triggers.c
_of_group = _column.group_id == bindparam("group_id")
_BY_BPS, _BY_AMOUNT = text(tables.ARMED_BPS), text(tables.ARMED_AMOUNT)
_WITHIN = select(
    union_all(
        MovingTable.query.where(_of_group, _BY_BPS, _column.trail_bps.between(0, bindparam("bps"))),
        MovingTable.query.where(_of_group, _BY_AMOUNT, _column.trail_amount.between(MIN_PRICE, bindparam("amount"))),
    ).subquery()
)
_group = tables.trigger_groups.c
_NARROWEST = select(
    _group.id,
    select(func.min(_column.trail_bps)).where(_column.group_id == _group.id, _BY_BPS).scalar_subquery(),
    select(func.min(_column.trail_amount)).where(_column.group_id == _group.id, _BY_AMOUNT).scalar_subquery(),
).where(_group.subject == bindparam("subject"))
"""Of each group of a subject: two looks at the start of an index."""


@cache
def _worse(limit: int) -> Select[Any]:
    """Members whose own peak is worse than a value; worst first, so that a limit keeps to the index."""
    return MovingTable.query.where(_of_group, _column.peak < bindparam("place")).order_by(_column.peak).limit(limit)
