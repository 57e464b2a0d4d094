"""The book of triggers: every level in one index, so that a value finds what it reaches and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, text, union_all

from sniperforge.domain.ids import OrderId, TriggerId
from sniperforge.domain.prices import MAX_PRICE, MIN_PRICE
from sniperforge.domain.trigger import Direction, Subject, Trigger, TriggerState, in_a_row
from sniperforge.errors import InvalidInputError
from sniperforge.ports.triggers import TickResult, TriggerView, WatchedSubject, kind_of_problem
from sniperforge.storage import tables
from sniperforge.storage.repositories.base import Transaction
from sniperforge.storage.repositories.triggers_compaction import MOST_GROUPS, Compaction
from sniperforge.storage.repositories.triggers_rows import (
    MovingRow,
    MovingTable,
    SubjectRow,
    SubjectTable,
    TriggerTable,
    new_row,
    place_of,
)
from sniperforge.storage.repositories.triggers_trailing import FEW, Group, Trailing

_CAN_BE_HELD = frozenset({TriggerState.ARMED, TriggerState.CROSSED, TriggerState.FIRED})


class SqlTriggers:
    """`ports.triggers.Triggers`.

    Args:
        transaction: The transaction.
        few: Peaks that a tick rather moves one by one.
        most_groups: Groups of one subject and direction that compaction leaves alone.
    """

    def __init__(self, transaction: Transaction, *, few: int = FEW, most_groups: int = MOST_GROUPS) -> None:
        self._transaction = transaction
        self._subjects = SubjectTable(transaction)
        self._triggers = TriggerTable(transaction)
        self._moving = MovingTable(transaction)
        self._trailing = Trailing(transaction, few)
        self._compaction = Compaction(transaction, most_groups)

    def add(self, triggers: Sequence[Trigger], *, at: datetime) -> None:
        """Arm new triggers; what that costs does not depend on how many there are."""
        names = {trigger.subject for trigger in triggers}
        self._subjects.make(names)
        held = self._subjects.hold_all(names)
        for name, subject in held.items():
            groups = self._trailing.of(name)
            rows = [
                new_row(trigger, self._group_of(groups, trigger), at) for trigger in triggers if trigger.subject == name
            ]
            self._triggers.add(rows)
            self._subjects.write(replace(subject, watched=subject.watched + len(rows)))

    def _group_of(self, groups: list[Group], trigger: Trigger) -> int | None:
        if trigger.best is None:
            return None
        peak = place_of(trigger.direction, trigger.best)
        return self._trailing.joined(groups, trigger.subject, trigger.direction, peak)

    def get(self, trigger: TriggerId) -> TriggerView | None:
        """The trigger as it stands, or None."""
        row = self._triggers.one(trigger)
        return None if row is None else row.view(self._trailing.floor(row.group_id))

    def of_order(self, order: OrderId) -> tuple[TriggerView, ...]:
        """Every trigger of an order, by id: its ids begin alike, so they stand side by side in the table's key."""
        rows = self._triggers.ask(_OF_ORDER, first=f"{order}:", after=f"{order};")
        return tuple(row.view(self._trailing.floor(row.group_id)) for row in rows)

    def remove(self, triggers: Sequence[TriggerId]) -> int:
        """Take triggers out of the book."""
        held, rows = self._held(triggers)
        for name, subject in held.items():
            gone = [row for row in rows if row.subject == name]
            waiting = sum(row.state is not TriggerState.FIRED for row in gone)
            self._subjects.write(replace(subject, watched=subject.watched - waiting))
        for row in rows:
            self._transaction.run(delete(tables.triggers).where(tables.triggers.c.id == row.id))
        return len(rows)

    def hold(self, triggers: Sequence[TriggerId]) -> int:
        """ARMED, CROSSED or FIRED -> HELD. A fired trail has left its group and joins one again."""
        held, rows = self._held(triggers)
        changed: list[MovingRow] = []
        for name, subject in held.items():
            groups = self._trailing.of(name)
            moving = [row for row in rows if row.subject == name and row.state in _CAN_BE_HELD]
            again = sum(row.state is TriggerState.FIRED for row in moving)
            self._subjects.write(replace(subject, watched=subject.watched + again))
            for row in moving:
                row.state, row.counted = TriggerState.HELD, 0
                if row.peak is not None and row.group_id is None:
                    row.group_id = self._trailing.joined(groups, name, row.direction, row.peak)
            changed += moving
        self._moving.write(changed)
        return len(changed)

    def arm(self, triggers: Sequence[TriggerId]) -> int:
        """HELD -> ARMED, with a reach of its own: the nearest level of its group did not count it while it was held."""
        held, rows = self._held(triggers)
        floors = {group.id: group.floor for name in held for group in self._trailing.of(name)}
        changed = [row for row in rows if row.state is TriggerState.HELD]
        for row in changed:
            _rise(row, floors)
            row.state = TriggerState.ARMED
        self._moving.write(changed)
        return len(changed)

    def _held(self, triggers: Sequence[TriggerId]) -> tuple[dict[Subject, SubjectRow], tuple[MovingRow, ...]]:
        """These triggers, with their subjects held; that nobody adds or removes them meanwhile is up to who calls."""
        self._transaction.must_write()
        held = self._subjects.hold_all({row.subject for row in self._moving.these(triggers)})
        return held, self._moving.these(triggers)

    def watched(self) -> tuple[WatchedSubject, ...]:
        """Every subject with a trigger that is not FIRED, by name."""
        return self._subjects.watched()

    def tick(self, subject: Subject, value: Decimal, *, print_number: int, at: datetime) -> TickResult:
        """Apply one value: trails follow it, then what it reaches is counted, then what it does not reach any more."""
        self._transaction.must_write()
        try:
            places = {direction: place_of(direction, value) for direction in Direction}
        except InvalidInputError as error:
            self._transaction.fail(error)
        known = self._subjects.hold(subject)
        if known is None or known.watched == 0:
            return TickResult(is_news=False, fired=0)
        if known.print_number is not None and print_number <= known.print_number:
            if known.problem is not None:
                self._subjects.write(replace(known, problem=None, problem_since=None))
            return TickResult(is_news=False, fired=0)
        before = known.value if in_a_row(known.seen_at, at) else None
        groups_before = self._trailing.of(subject)
        groups = self._trailing.follow(groups_before, value, before)
        opened, within = self._trailing.reached(groups, value)
        found = self._moving.ask(_FOUND, subject=subject, up=places[Direction.UP], down=places[Direction.DOWN])
        may_fire = {row.id: row for row in (*found, *within)}
        fired = self._counted(may_fire.values(), groups, places, follows=before is not None)
        self._moving.fire(fired, value, at)
        risen = [group for group, old in zip(groups, groups_before, strict=True) if group.floor != old.floor]
        self._trailing.renew(subject, [*risen, *opened])
        now = SubjectRow(
            name=subject, watched=known.watched - len(fired), value=value, print_number=print_number, seen_at=at
        )
        self._subjects.write(now)
        return TickResult(is_news=True, fired=len(fired))

    def _counted(
        self,
        rows: Iterable[MovingRow],
        groups: Collection[Group],
        places: Mapping[Direction, int],
        *,
        follows: bool,
    ) -> list[MovingRow]:
        """Count a value for the triggers that may fire; returns those that do."""
        floors = {group.id: group.floor for group in groups}
        fired: list[MovingRow] = []
        others: list[MovingRow] = []
        for row in rows:
            _rise(row, floors)
            if row.reach is None or places[row.direction] > row.reach:
                row.state, row.counted = TriggerState.ARMED, 0
            else:
                row.state, row.counted = TriggerState.CROSSED, row.counted + 1 if follows else 1
            (fired if row.counted >= row.confirmations else others).append(row)
        self._moving.write(others)
        return fired

    def missed(self, subject: Subject, problem: str, *, at: datetime) -> bool:
        """Note that a subject has no value now, once for each kind of problem."""
        known = self._subjects.hold(subject)
        if known is None or known.watched == 0:
            return False
        if known.problem is not None and kind_of_problem(known.problem) == kind_of_problem(problem):
            return False
        self._subjects.write(replace(known, problem=problem, problem_since=known.problem_since or at))
        return True

    def fired(self, limit: int) -> tuple[TriggerView, ...]:
        """FIRED triggers, longest fired first."""
        return tuple(row.view(None) for row in self._triggers.ask(_fired(limit)))

    def compact(self, limit: int) -> int:
        """Do some of the work that ticks left for later."""
        return self._compaction.run(limit)


def _rise(row: MovingRow, floors: Mapping[int, int | None]) -> None:
    """Make what the floor of its group says its own."""
    if row.group_id is not None:
        row.rise(floors[row.group_id])


_column = tables.triggers.c
_of_subject = _column.subject == bindparam("subject")
_armed = text(tables.ARMED)
_FARTHEST = {Direction.UP: place_of(Direction.UP, MIN_PRICE), Direction.DOWN: place_of(Direction.DOWN, MAX_PRICE)}
"""No level of a direction has a greater place. PostgreSQL knows only how the places of both directions are spread, and
would read the whole table for what it takes for a quarter of it; a range with two ends it estimates well."""


def _reached(direction: Direction) -> Select[Any]:
    within = _column.reach.between(bindparam(direction.value), _FARTHEST[direction])
    return MovingTable.query.where(_of_subject, _armed, _column.direction == direction, within)


_FOUND = select(
    union_all(
        _reached(Direction.UP),
        _reached(Direction.DOWN),
        MovingTable.query.where(_of_subject, text(tables.CROSSED)),
    ).subquery()
)
"""What a value reaches by its own reach, and what was crossed before."""
_OF_ORDER = TriggerTable.query.where(_column.id >= bindparam("first"), _column.id < bindparam("after")).order_by(
    _column.id
)


@cache
def _fired(limit: int) -> Select[Any]:
    return TriggerTable.query.where(text(tables.FIRED)).order_by(_column.fired_at, _column.id).limit(limit)
