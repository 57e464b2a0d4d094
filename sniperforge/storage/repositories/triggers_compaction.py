"""Fewer groups, off the tick: members of small groups take what their floor says with them into the next one."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, exists, func, or_, select

from sniperforge.domain.trigger import Direction, Subject
from sniperforge.storage import tables
from sniperforge.storage.repositories.base import Transaction
from sniperforge.storage.repositories.triggers_rows import MovingRow, MovingTable, SubjectTable
from sniperforge.storage.repositories.triggers_trailing import Group, Trailing

MOST_GROUPS = 4
"""Groups of one subject and direction that are left alone: a new best value moves one row of each that it overtakes."""


class Compaction:
    """Empty groups are deleted; where there are too many, the smallest is emptied into the one with the next floor.

    Args:
        transaction: The transaction.
        most_groups: See `MOST_GROUPS`.
    """

    def __init__(self, transaction: Transaction, most_groups: int) -> None:
        self._transaction = transaction
        self._most_groups = most_groups
        self._subjects = SubjectTable(transaction)
        self._triggers = MovingTable(transaction)
        self._trailing = Trailing(transaction)

    def run(self, limit: int) -> int:
        """Move members and delete groups, up to `limit` of them; returns how many."""
        self._transaction.must_write()
        done = 0
        for (name,) in self._transaction.rows(self._unfinished()):
            if done < limit:
                self._subjects.hold(name)
                for direction in Direction:
                    done += self._run(name, direction, limit - done)
        return done

    def _unfinished(self) -> Select[Any]:
        """Subjects with an empty group or too many, by name."""
        column = tables.trigger_groups.c
        crowded = select(column.subject).group_by(column.subject, column.direction)
        crowded = crowded.having(func.count() > self._most_groups)
        empty = ~exists().where(tables.triggers.c.group_id == column.id)
        return select(column.subject).distinct().where(or_(empty, column.subject.in_(crowded))).order_by(column.subject)

    def _run(self, subject: Subject, direction: Direction, limit: int) -> int:
        groups = [group for group in self._trailing.of(subject) if group.direction is direction]
        empty = [group for group in groups if not self._members(group, 1)][:limit]
        for group in empty:
            self._delete(group)
        left = [group for group in groups if group not in empty]
        left.sort(key=lambda group: (group.floor is None, -(group.floor or 0)))
        return len(empty) + self._thinned(left, limit - len(empty))

    def _thinned(self, groups: list[Group], limit: int) -> int:
        """Empty small groups into the next; any trail may be a member where the floor is no better than its own."""
        done = 0
        sizes = {group.id: self._size(group) for group in groups} if len(groups) > self._most_groups else {}
        while len(groups) > self._most_groups and done < limit:
            smallest = min(range(len(groups) - 1), key=lambda number: sizes[groups[number].id])
            source, target = groups[smallest], groups[smallest + 1]
            rows = self._members(source, limit - done)
            for row in rows:
                row.rise(source.floor)
                row.group_id = target.id
            self._triggers.write(rows)
            done += len(rows)
            sizes[source.id] -= len(rows)
            sizes[target.id] += len(rows)
            if sizes[source.id] == 0:
                self._delete(source)
                groups.remove(source)
        return done

    def _members(self, group: Group, limit: int) -> tuple[MovingRow, ...]:
        return self._triggers.ask(_members(limit), group_id=group.id)

    def _size(self, group: Group) -> int:
        ((size,),) = self._transaction.ask(_SIZE, {"group_id": group.id})
        return int(size)

    def _delete(self, group: Group) -> None:
        self._transaction.run(delete(tables.trigger_groups).where(tables.trigger_groups.c.id == group.id))


_of_group = tables.triggers.c.group_id == bindparam("group_id")
_SIZE = select(func.count()).select_from(tables.triggers).where(_of_group)


@cache
def _members(limit: int) -> Select[Any]:
    """In the order of an index, so that a limit keeps to it."""
    return MovingTable.query.where(_of_group).order_by(tables.triggers.c.peak).limit(limit)
