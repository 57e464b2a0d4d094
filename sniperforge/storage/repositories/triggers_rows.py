"""Triggers and their subjects as rows, and places: prices as integers that mean the same for both directions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import CTE, Select, Update, bindparam, text, update, values
from sqlalchemy import column as sql_column
from sqlalchemy.dialects import postgresql, sqlite

from sniperforge.domain.ids import TriggerId
from sniperforge.domain.prices import price_from_key, price_key
from sniperforge.domain.trigger import Direction, Subject, Trigger, TriggerState, trail_level
from sniperforge.ports.triggers import TriggerView, WatchedSubject
from sniperforge.storage import tables
from sniperforge.storage.prepared import one_of, values_of
from sniperforge.storage.repositories.base import Rows

_IN_ONE_STATEMENT = 500
_T = TypeVar("_T")


def place_of(direction: Direction, price: Decimal) -> int:
    """The key of a price, negated for `UP`.

    So for both directions the better of two values has the greater place, and so has the nearer of two levels; a value
    is at or beyond a level when its place is no greater.
    """
    key = price_key(price)
    return key if direction is Direction.DOWN else -key


def price_at(direction: Direction, place: int) -> Decimal:
    """The price with this place."""
    return price_from_key(place if direction is Direction.DOWN else -place)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRow:
    """A trigger as its row has it.

    Attributes:
        group_id: Of one that trails and is not FIRED (`triggers_trailing`).
        peak: Place of the best value seen, of one that trails. The floor of its group may be better.
        reach: Place of its level; of one that trails, of the level at its own peak. None when nothing can reach it.
    """

    id: TriggerId
    subject: Subject
    direction: Direction
    confirmations: int
    level: Decimal | None
    trail_bps: int | None
    trail_amount: Decimal | None
    best: Decimal | None
    added_at: datetime
    state: TriggerState
    counted: int
    group_id: int | None
    peak: int | None
    reach: int | None
    fired_at: datetime | None = None
    fired_value: Decimal | None = None

    @property
    def trigger(self) -> Trigger:
        """The trigger as it was added."""
        return Trigger(
            id=self.id,
            subject=self.subject,
            direction=self.direction,
            confirmations=self.confirmations,
            level=self.level,
            trail_bps=self.trail_bps,
            trail_amount=self.trail_amount,
            best=self.best,
        )

    def risen(self, floor: int | None) -> TriggerRow:
        """The same, the floor of its group made its own: `peak` and `reach` say all there is to say."""
        if self.peak is None or floor is None or floor <= self.peak:
            return self
        return replace(self, peak=floor, reach=_reach(self.trigger, floor))

    def view(self, floor: int | None) -> TriggerView:
        """As everybody else sees it."""
        whole = self.risen(floor)
        return TriggerView(
            trigger=self.trigger,
            state=self.state,
            counted=self.counted,
            best=None if whole.peak is None else price_at(self.direction, whole.peak),
            level=None if whole.reach is None else price_at(self.direction, whole.reach),
            fired_at=self.fired_at,
            fired_value=self.fired_value,
        )


def new_row(trigger: Trigger, group_id: int | None, at: datetime) -> TriggerRow:
    """The row of a trigger that was just armed."""
    peak = None if trigger.best is None else place_of(trigger.direction, trigger.best)
    return TriggerRow(
        id=trigger.id,
        subject=trigger.subject,
        direction=trigger.direction,
        confirmations=trigger.confirmations,
        level=trigger.level,
        trail_bps=trigger.trail_bps,
        trail_amount=trigger.trail_amount,
        best=trigger.best,
        added_at=at,
        state=TriggerState.ARMED,
        counted=0,
        group_id=group_id,
        peak=peak,
        reach=_reach(trigger, peak),
    )


def _reach(trigger: Trigger, peak: int | None) -> int | None:
    level = trigger.level_at(None if peak is None else price_at(trigger.direction, peak))
    return None if level is None else place_of(trigger.direction, level)


@dataclass(slots=True)
class MovingRow:
    """What may change of a trigger, and what that depends on; a value that fires many reads no more of them.

    Attributes:
        group_id: As `TriggerRow`.
        peak: The same.
        reach: The same.
    """

    id: TriggerId
    subject: Subject
    direction: Direction
    confirmations: int
    trail_bps: int | None
    trail_amount: Decimal | None
    state: TriggerState
    counted: int
    group_id: int | None
    peak: int | None
    reach: int | None

    def rise(self, floor: int | None) -> None:
        """Make the floor of its group its own, as `TriggerRow.risen` does."""
        if self.peak is None or floor is None or floor <= self.peak:
            return
        best = price_at(self.direction, floor)
        level = trail_level(self.direction, best, bps=self.trail_bps, amount=self.trail_amount)
        self.peak, self.reach = floor, None if level is None else place_of(self.direction, level)


class TriggerTable(Rows[TriggerRow]):
    """Whole triggers."""

    table = tables.triggers
    record = TriggerRow

    def one(self, trigger: TriggerId) -> TriggerRow | None:
        """The row, or None."""
        return self._one(id=trigger)

    def ask(self, query: Select[Any], **values: Any) -> tuple[TriggerRow, ...]:
        """What one of the statements of its users finds."""
        return self._asked(query, values)

    def add(self, rows: Sequence[TriggerRow]) -> None:
        """Write new rows."""
        self._insert(rows)


class MovingTable(Rows[MovingRow]):
    """What may change of triggers."""

    table = tables.triggers
    record = MovingRow

    def these(self, triggers: Collection[TriggerId]) -> tuple[MovingRow, ...]:
        """Those of these that are there."""
        chunks = _chunks(sorted(set(triggers)))
        return tuple(row for names in chunks for row in self._asked(_these(len(names)), values_of("id", names)))

    def ask(self, query: Select[Any], **values: Any) -> tuple[MovingRow, ...]:
        """What one of the statements of its users finds."""
        return self._asked(query, values)

    def write(self, rows: Sequence[MovingRow]) -> None:
        """Write what may change of rows that are not FIRED."""
        for some in _chunks(rows):
            self._transaction.write(_wait(len(some)), [_own(_MOVING, some)])

    def fire(self, rows: Sequence[MovingRow], value: Decimal, at: datetime) -> None:
        """These have fired, at the levels that they have now."""
        for some in _chunks(rows):
            self._transaction.write(_fire(len(some)), [{"value": value, "at": at, **_own(_FIRING, some)}])


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRow:
    """A subject as its row has it: with how many of its triggers are not FIRED."""

    name: Subject
    watched: int
    value: Decimal | None = None
    print_number: int | None = None
    seen_at: datetime | None = None
    problem: str | None = None
    problem_since: datetime | None = None


class SubjectTable(Rows[SubjectRow]):
    """Subjects. Whoever writes anything of their triggers holds their rows."""

    table = tables.trigger_subjects
    record = SubjectRow
    _same = update(table).where(table.c.name == bindparam("of"))

    def watched(self) -> tuple[WatchedSubject, ...]:
        """Every subject with a trigger that is not FIRED, by name."""
        return tuple(
            WatchedSubject(
                subject=row.name,
                value=row.value,
                print_number=row.print_number,
                seen_at=row.seen_at,
                problem=row.problem,
                problem_since=row.problem_since,
            )
            for row in self._asked(_WATCHED, {})
        )

    def hold(self, name: Subject) -> SubjectRow | None:
        """The subject, unchanged by others until this transaction ends."""
        return self._locked(name=name)

    def hold_all(self, names: Collection[Subject]) -> dict[Subject, SubjectRow]:
        """Those of these that are there, in the order of their names."""
        return {name: row for name in sorted(names) if (row := self.hold(name)) is not None}

    def make(self, names: Collection[Subject]) -> None:
        """Add those of these that are not there, in the order of their names."""
        self._transaction.must_write()
        for name in sorted(names):
            self._transaction.write(_UNLESS_THERE[self._transaction.dialect], [{"name": name, "watched": 0}])

    def write(self, row: SubjectRow) -> None:
        """Write what may change of a row that is held; its name, to which others refer, is left alone."""
        values = self._values(row)
        self._transaction.write(self._same, [{"of": values.pop("name"), **values}])


def _chunks(things: Sequence[_T]) -> list[Sequence[_T]]:
    """A statement holds only so many values."""
    return [things[start : start + _IN_ONE_STATEMENT] for start in range(0, len(things), _IN_ONE_STATEMENT)]


@cache
def _these(triggers: int) -> Select[Any]:
    return MovingTable.query.where(one_of(tables.triggers.c.id, "id", triggers))


_MOVING = ("id", "state", "counted", "group_id", "peak", "reach")
_FIRING = ("id", "peak", "reach")


@cache
def _wait(rows: int) -> Update:
    """So many triggers that are not FIRED, by what each is from now on: one value may reach many."""
    own = _places(_MOVING, rows)
    return (
        update(tables.triggers)
        .where(tables.triggers.c.id == own.c.id)
        .values(fired_at=None, fired_value=None, **{name: own.c[name] for name in _MOVING[1:]})
    )


@cache
def _fire(rows: int) -> Update:
    """So many triggers that have fired, each at a level of its own."""
    column, own = tables.triggers.c, _places(_FIRING, rows)
    return (
        update(tables.triggers)
        .where(column.id == own.c.id)
        .values(
            state=TriggerState.FIRED,
            counted=column.confirmations,
            group_id=None,
            peak=own.c.peak,
            reach=own.c.reach,
            fired_at=bindparam("at", type_=column.fired_at.type),
            fired_value=bindparam("value", type_=column.fired_value.type),
        )
    )


def _places(names: Sequence[str], rows: int) -> CTE:
    """Places for these columns of so many rows; `_own` gives the values."""
    columns = [tables.triggers.c[name] for name in names]
    places = [tuple(bindparam(f"{one.name}_of_{place}", type_=one.type) for one in columns) for place in range(rows)]
    return values(*(sql_column(one.name, one.type) for one in columns), name="own").data(places).cte("own")


def _own(names: Sequence[str], rows: Sequence[MovingRow]) -> dict[str, Any]:
    return {f"{name}_of_{place}": getattr(row, name) for place, row in enumerate(rows) for name in names}


_WATCHED = SubjectTable.query.where(text("watched > 0")).order_by(tables.trigger_subjects.c.name)
_UNLESS_THERE: Mapping[str, Any] = MappingProxyType(
    {
        "sqlite": sqlite.insert(tables.trigger_subjects).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(tables.trigger_subjects).on_conflict_do_nothing(),
    }
)
