"""What every repository stands on: one transaction, and rows that are records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Protocol, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Insert,
    Row,
    Select,
    Table,
    TextClause,
    Update,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.exc import StatementError

from sniperforge.domain.intent import checked_transition
from sniperforge.errors import ConflictError, InvalidTransitionError, SniperForgeError, StorageError
from sniperforge.storage.failures import BOOKS, driver_meaning, meaning
from sniperforge.storage.prepared import prepared

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

_READ = "read_"
"""Before the name of a column: its value in the record that was read."""


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

    def run(self, statement: Executable) -> int:
        """Execute a statement that changes rows; returns how many."""
        self.must_be_sound()
        try:
            return self._connection.execute(statement).rowcount
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

    def ask(self, statement: Select[Any] | Insert, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Every row that a statement which is run often brings, with the values for its places."""
        with self._told():
            return prepared(statement, self._connection.dialect, tuple(values)).rows(self._connection, values)

    def write(self, statement: Insert | Update, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write rows by a statement that is run often, with the values for its places; returns how many changed."""
        with self._told():
            return prepared(statement, self._connection.dialect, tuple(rows[0])).run(self._connection, rows)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the driver says into our words, and end the transaction with it."""
        self.must_be_sound()
        try:
            yield
        except SniperForgeError as error:  # a column type refused a value
            self.fail(error)
        except self._connection.dialect.loaded_dbapi.Error as error:
            self.fail(driver_meaning(error), error)

    def must_be_sound(self) -> None:
        """Raise the error that ended it, if one did."""
        if self._error is not None:
            raise self._error

    def must_write(self) -> None:
        """Refuse to write or lock in a read."""
        if not self._writes:
            self.fail(StorageError("a read was asked to write or lock", subject=BOOKS, fix="Use `store.write()`"))


@cache
def _with_same(table: Table, query: Select[Any], columns: tuple[str, ...], order: tuple[str, ...]) -> Select[Any]:
    """The rows in which these columns have the values that are given by their names when it is asked."""
    column = table.c
    return query.where(*(column[name] == bindparam(name) for name in columns)).order_by(
        *(column[name] for name in order)
    )


@cache
def _locking(table: Table, query: Select[Any], columns: tuple[str, ...], *, share: bool) -> Select[Any]:
    """The same, and the rows stay so until the end of the transaction.

    NO KEY UPDATE and not UPDATE: rows that refer to these may still be added meanwhile.
    """
    return _with_same(table, query, columns, ()).with_for_update(read=share, key_share=not share)


class Rows(Generic[RecordT]):
    """A table whose rows are records: columns are named as the record's fields.

    Statements that every trade needs are made once, with places for their values. Made anew each time, a statement
    costs several times what it costs to ask it.
    """

    table: ClassVar[Table]
    record: Callable[..., RecordT]
    _names: ClassVar[tuple[str, ...]]
    query: ClassVar[Select[Any]]
    """All columns of all rows."""
    insertion: ClassVar[Insert]
    """A new row, its columns given by their names."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __init_subclass__(cls) -> None:
        """Make what every table needs once."""
        if "table" in vars(cls):
            known = {field.name for field in fields(cast("type[Any]", cls.record))}
            cls._names = tuple(column.name for column in cls.table.c if column.name in known)
            cls.query = select(*(cls.table.c[name] for name in cls._names))
            cls.insertion = insert(cls.table).inline()

    def _values(self, record: RecordT) -> dict[str, Any]:
        return {name: getattr(record, name) for name in self._names}

    def _record_of(self, row: Sequence[Any]) -> RecordT:
        return self.record(**dict(zip(self._names, row, strict=True)))

    def _select(
        self,
        *where: ColumnElement[bool] | TextClause,
        order: Sequence[ColumnElement[Any]] = (),
        limit: int | None = None,
    ) -> tuple[RecordT, ...]:
        statement = self.query.where(*where).order_by(*order).limit(limit)
        return tuple(map(self._record_of, self._transaction.rows(statement)))

    def _asked(self, query: Select[Any], values: Mapping[str, Any]) -> tuple[RecordT, ...]:
        return tuple(map(self._record_of, self._transaction.ask(query, values)))

    def _with(self, *order: str, **same: Any) -> tuple[RecordT, ...]:
        """Every row with these values, in this order."""
        return self._asked(_with_same(self.table, self.query, tuple(same), order), same)

    def _one(self, **same: Any) -> RecordT | None:
        """The row with these values, which are a key of it."""
        return next(iter(self._with(**same)), None)

    def _locked(self, *, share: bool = False, **same: Any) -> RecordT | None:
        """The row, locked until the end. SQLite's writers are alone anyway and ignore it."""
        self._transaction.must_write()
        return next(iter(self._asked(_locking(self.table, self.query, tuple(same), share=share), same)), None)

    def _insert(self, records: Sequence[RecordT]) -> None:
        self._write_all(self.insertion, records)

    def _write_all(self, statement: Insert | Update, records: Sequence[RecordT]) -> None:
        """Run a statement that writes one record, for each of these."""
        self._transaction.must_write()
        if records:
            self._transaction.write(statement, [self._values(record) for record in records])


class VersionedRows(Rows[VersionedT]):
    """Rows changed by compare-and-set on `version`, along a transition table where the record has one."""

    changeable: ClassVar[frozenset[str]]
    transitions: ClassVar[Mapping[tuple[Any, Any], str] | None] = None
    _key: ClassVar[tuple[str, ...]]
    """The key's columns; none for a table of one row."""
    _unchanged: ClassVar[Update]

    def __init_subclass__(cls) -> None:
        """Make the compare-and-set once."""
        super().__init_subclass__()
        cls._key = tuple(column.name for column in cls.table.primary_key if column.name in cls._names)
        same = (cls.table.c[name] == bindparam(f"{_READ}{name}") for name in (*cls._key, "version"))
        cls._unchanged = update(cls.table).where(*same)

    def _change(self, record: VersionedT, state: StrEnum | None, changes: Mapping[str, Any]) -> VersionedT:
        self._transaction.must_write()
        fixed = set(changes) - self.changeable
        if fixed:
            message = f"{', '.join(sorted(fixed))}: never changes in {self.table.name}"
            raise TypeError(message)
        new = dict(changes)
        read = {name: getattr(record, name) for name in (*self._key, "version")}
        subject = ":".join(read[name] for name in self._key) or self.table.name
        if state is not None:
            try:
                checked_transition(self.transitions or {}, getattr(record, "state"), state, subject=subject)  # noqa: B009
            except InvalidTransitionError as error:
                self._transaction.fail(error)
            new["state"] = state
        new["version"] = record.version + 1
        values = new | {f"{_READ}{name}": value for name, value in read.items()}
        if self._transaction.write(self._unchanged, [values]) != 1:
            self._transaction.fail(
                ConflictError("somebody else changed it first", subject=subject, fix="Reload and decide again")
            )
        return replace(record, **new)
