"""Statements that are compiled once and then handed straight to the driver.

A trade runs some fifty statements, always the same ones. SQLAlchemy writes their SQL and says how their values are
converted, as it does for every statement, but it is asked only once: finding that out anew, and wrapping what comes
back, costs several times what the database takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Dialect, Insert, Select, Update, bindparam, false

Statement: TypeAlias = Select[Any] | Insert | Update

_KEPT = 1_024
"""Far more than there are, for one database; tests open many."""


class Prepared:
    """One statement in one database's words.

    Args:
        statement: With a place (`bindparam`) for each value that differs from time to time, lists by `one_of`.
        dialect: The database.
        columns: Of the rows that an INSERT or UPDATE writes.

    Raises:
        TypeError: The statement has a list in it.
    """

    def __init__(self, statement: Statement, dialect: Dialect, columns: tuple[str, ...]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        if compiled.post_compile_params:
            message = f"a list has no fixed number of places, use `one_of`: {compiled.string}"
            raise TypeError(message)
        self._sql = compiled.string
        self._by_position = compiled.positiontup is not None
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        self._places = [
            (name, binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or binds
        ]
        self._constants = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
        selected = statement.selected_columns if isinstance(statement, Select) else ()
        readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in selected]
        self._readers = [(place, read) for place, read in enumerate(readers) if read is not None]

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Every row, all of them read here: SQLite finds a damaged page only when it comes to it."""
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute(self._sql, self._given(values))
            found = [list(row) for row in cursor.fetchall()]
        for row in found:
            for place, read in self._readers:
                row[place] = read(row[place])
        return found

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run it for each of these, of which there is one at least; returns how many rows it changed."""
        with closing(connection.connection.cursor()) as cursor:
            if len(rows) == 1:
                cursor.execute(self._sql, self._given(rows[0]))
            else:
                cursor.executemany(self._sql, [self._given(row) for row in rows])
            return cursor.rowcount

    def _given(self, values: Mapping[str, Any]) -> Any:
        if self._constants:
            values = {**self._constants, **values}
        if self._by_position:
            return [values[name] if write is None else write(values[name]) for name, write in self._places]
        return {name: values[name] if write is None else write(values[name]) for name, write in self._places}


@lru_cache(_KEPT)
def prepared(statement: Statement, dialect: Dialect, columns: tuple[str, ...]) -> Prepared:
    """The statement, prepared when it is asked for the first time."""
    return Prepared(statement, dialect, columns)


def one_of(column: ColumnElement[Any], name: str, count: int) -> ColumnElement[bool]:
    """The condition that a column has one of `count` values; `values_of` gives them."""
    places = [bindparam(f"{name}_{place}", type_=column.type) for place in range(count)]
    return column.in_(places) if places else false()


def values_of(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """The values of `one_of`."""
    return {f"{name}_{place}": value for place, value in enumerate(values)}
