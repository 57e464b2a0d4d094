"""What every repository stands on: one transaction, and rows that are records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Protocol, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Row,
    Select,
    Table,
    TextClause,
    insert,
    select,
    update,
)
from sqlalchemy.exc import StatementError

from sniperforge.domain.intent import checked_transition
from sniperforge.errors import ConflictError, InvalidTransitionError, SniperForgeError, StorageError
from sniperforge.storage.failures import BOOKS, meaning

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class VersionedRecord(DataclassInstance, Protocol):
        """A frozen record with a compare-and-set counter."""

        @property
        def version(self) -> int:
            """Grows by one with every change."""
            ...


RecordT = TypeVar("RecordT", bound="DataclassInstance")
VersionedT = TypeVar("VersionedT", bound="VersionedRecord")


class Transaction:
    """One database transaction. Its first error ends it: every later use, and its commit, raise that error again."""

    def __init__(self, connection: Connection, *, writes: bool) -> None:
        self._connection = connection
        self._writes = writes
        self._error: SniperForgeError | None = None

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._connection.dialect.name

    def fail(self, error: SniperForgeError, cause: Exception | None = None) -> NoReturn:
        """End the transaction with this error."""
        self._error = error
        raise error from cause

    def run(self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None) -> int:
        """Execute a statement that changes rows; returns how many."""
        self.must_be_sound()
        try:
            return self._connection.execute(statement, rows).rowcount
        except StatementError as error:
            self.fail(meaning(error), error)

    def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """Every row of a query, all of them read here: SQLite finds a damaged page only when it comes to it."""
        self.must_be_sound()
        try:
            return self._connection.execute(statement).all()
        except StatementError as error:
            self.fail(meaning(error), error)
        except SniperForgeError as error:  # a column type refused what it found
            self.fail(error)

    def scalar(self, statement: Executable) -> Any:
        """The one value of a query."""
        return self.rows(statement)[0][0]

    def must_be_sound(self) -> None:
        """Raise the error that ended it, if one did."""
        if self._error is not None:
            raise self._error

    def must_write(self) -> None:
        """Refuse to write or lock in a read."""
        if not self._writes:
            self.fail(StorageError("a read was asked to write or lock", subject=BOOKS, fix="Use `store.write()`"))


class Rows(Generic[RecordT]):
    """A table whose rows are records: columns are named as the record's fields."""

    table: ClassVar[Table]
    record: Callable[..., RecordT]
    _names: ClassVar[tuple[str, ...]]
    _query: ClassVar[Select[Any]]

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __init_subclass__(cls) -> None:
        """Make the query for all columns once per table: made anew each time, it costs more than being asked."""
        if "table" in vars(cls):
            known = {field.name for field in fields(cast("type[Any]", cls.record))}
            cls._names = tuple(column.name for column in cls.table.c if column.name in known)
            cls._query = select(*(cls.table.c[name] for name in cls._names))

    def _values(self, record: RecordT) -> dict[str, Any]:
        return {name: getattr(record, name) for name in self._names}

    def _record_of(self, row: Row[Any]) -> RecordT:
        return self.record(**dict(zip(self._names, row, strict=True)))

    def _select(
        self,
        *where: ColumnElement[bool] | TextClause,
        order: Sequence[ColumnElement[Any]] = (),
        limit: int | None = None,
    ) -> tuple[RecordT, ...]:
        statement = self._query.where(*where).order_by(*order).limit(limit)
        return tuple(self._record_of(row) for row in self._transaction.rows(statement))

    def _first(self, *where: ColumnElement[bool]) -> RecordT | None:
        return next(iter(self._select(*where)), None)

    def _locked(self, *where: ColumnElement[bool], share: bool = False) -> RecordT | None:
        """The row, locked until the end. SQLite's writers are alone anyway and ignore it.

        NO KEY UPDATE and not UPDATE: rows that refer to this one may still be added meanwhile.
        """
        self._transaction.must_write()
        statement = self._query.where(*where).with_for_update(read=share, key_share=not share)
        rows = self._transaction.rows(statement)
        return self._record_of(rows[0]) if rows else None

    def _insert(self, records: Iterable[RecordT]) -> None:
        self._transaction.must_write()
        self._transaction.run(insert(self.table), [self._values(record) for record in records])


class VersionedRows(Rows[VersionedT]):
    """Rows changed by compare-and-set on `version`, along a transition table where the record has one."""

    key: ClassVar[str | None] = None
    """The key's column; None for a table of one row."""
    changeable: ClassVar[frozenset[str]]
    transitions: ClassVar[Mapping[tuple[Any, Any], str] | None] = None

    def _change(self, record: VersionedT, state: StrEnum | None, changes: Mapping[str, Any]) -> VersionedT:
        self._transaction.must_write()
        fixed = set(changes) - self.changeable
        if fixed:
            message = f"{', '.join(sorted(fixed))}: never changes in {self.table.name}"
            raise TypeError(message)
        new = dict(changes)
        subject = self.table.name if self.key is None else str(getattr(record, self.key))
        if state is not None:
            try:
                checked_transition(self.transitions or {}, getattr(record, "state"), state, subject=subject)  # noqa: B009
            except InvalidTransitionError as error:
                self._transaction.fail(error)
            new["state"] = state
        new["version"] = record.version + 1
        same = [self.table.c.version == record.version]
        if self.key is not None:
            same.append(self.table.c[self.key] == getattr(record, self.key))
        if self._transaction.run(update(self.table).where(*same).values(new)) != 1:
            self._transaction.fail(
                ConflictError("somebody else changed it first", subject=subject, fix="Reload and decide again")
            )
        return replace(record, **new)
