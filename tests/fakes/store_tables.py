"""What the books in memory stand on: tables as dicts, and a transaction that refuses what a database would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from sniperforge.domain.intent import checked_transition
from sniperforge.domain.money import checked_raw
from sniperforge.errors import (
    ConflictError,
    InvalidInputError,
    InvalidTransitionError,
    SniperForgeError,
    StorageError,
)
from sniperforge.ports.records import SystemState

RecordT = TypeVar("RecordT", bound=Any)
Table = dict[Any, Any]


@dataclass
class Data:
    """Every table, by primary key. Records are frozen, so copying the dicts copies the books."""

    system: SystemState
    wallets: Table = field(default_factory=dict)
    intents: Table = field(default_factory=dict)
    attempts: Table = field(default_factory=dict)
    reservations: Table = field(default_factory=dict)
    fills: Table = field(default_factory=dict)
    ledger: Table = field(default_factory=dict)
    positions: Table = field(default_factory=dict)
    nonces: Table = field(default_factory=dict)
    known: Table = field(default_factory=dict)
    prices: Table = field(default_factory=dict)
    events: Table = field(default_factory=dict)
    plans: Table = field(default_factory=dict)
    occurrences: Table = field(default_factory=dict)
    orders: Table = field(default_factory=dict)
    legs: Table = field(default_factory=dict)
    price_samples: Table = field(default_factory=dict)
    subjects: Table = field(default_factory=dict)
    triggers: Table = field(default_factory=dict)

    def copy(self) -> Data:
        """The same books, to be changed apart."""
        tables = {name.name: dict(getattr(self, name.name)) for name in fields(self) if name.name != "system"}
        return Data(system=self.system, **tables)


class Transaction:
    """One transaction on a copy of the books; its first error ends it."""

    def __init__(self, data: Data, *, writes: bool) -> None:
        self.data = data
        self._writes = writes
        self._error: SniperForgeError | None = None

    def fail(self, error: SniperForgeError) -> NoReturn:
        self._error = error
        raise error

    def must_be_sound(self) -> None:
        if self._error is not None:
            raise self._error

    def must_write(self) -> None:
        self.must_be_sound()
        if not self._writes:
            self.fail(StorageError("a read was asked to write or lock", subject="the books"))

    def insert(self, table: Table, key: Any, record: Any, *unique: str) -> None:
        self.must_write()
        record = self._stored(record)
        taken = key in table or any(
            getattr(other, name) == getattr(record, name) for name in unique for other in table.values()
        )
        if taken:
            self.fail(ConflictError("the key is taken", subject=str(key)))
        table[key] = record

    def refer(self, table: Table, key: Any) -> None:
        self.must_write()
        if key is not None and key not in table:
            self.fail(InvalidInputError("the books refuse this row: it refers to nothing", subject=str(key)))

    def change(
        self,
        table: Table,
        key: Any,
        record: RecordT,
        state: Any,
        changes: Mapping[str, Any],
        allowed: frozenset[str],
        transitions: Mapping[tuple[Any, Any], str],
    ) -> RecordT:
        self.must_write()
        if set(changes) - allowed:
            message = f"{sorted(set(changes) - allowed)} never change"
            raise TypeError(message)
        if state is not None:
            self.check_transition(transitions, record.state, state, str(key))
            changes = {**changes, "state": state}
        current = table.get(key)
        if current is None or current.version != record.version:
            self.fail(ConflictError("somebody else changed it first", subject=str(key)))
        changes = {**changes, "version": record.version + 1}
        table[key] = self._stored(replace(current, **changes))
        return replace(record, **changes)

    def check_transition(self, table: Mapping[tuple[Any, Any], str], before: Any, after: Any, subject: str) -> None:
        try:
            checked_transition(table, before, after, subject=subject)
        except InvalidTransitionError as error:
            self.fail(error)

    def _stored(self, record: Any) -> Any:
        """The record as a database gives it back: values refused that would not be exact, times in UTC."""
        moments: dict[str, datetime] = {}
        for item in fields(record):
            value = getattr(record, item.name)
            try:
                if isinstance(value, float):
                    raise InvalidInputError(f"{value!r} is a float", subject=item.name)  # noqa: TRY301
                if isinstance(value, datetime):
                    if value.utcoffset() is None:
                        raise InvalidInputError(f"{value!r} is not an aware time", subject=item.name)  # noqa: TRY301
                    moments[item.name] = value.astimezone(UTC)
                if type(value) is int:
                    checked_raw(abs(value) if item.name in {"delta_raw", "execute_code"} else value, field=item.name)
                if isinstance(value, Mapping):
                    _check_json(value, item.name)
            except InvalidInputError as error:
                self.fail(error)
        return replace(record, **moments)


def _check_json(value: Any, name: str) -> None:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            _check_json(part, name)
    elif value is not None and not isinstance(value, str | bool | int | Decimal):
        raise InvalidInputError(f"{value!r} cannot be kept exactly as JSON", subject=name)


class Part:
    """What every part of the books has."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._data = transaction.data

    def _rows(
        self,
        table: Table,
        where: Callable[[Any], bool],
        order: Callable[[Any], Any],
        *,
        limit: int | None = None,
        reverse: bool = False,
    ) -> tuple[Any, ...]:
        self._transaction.must_be_sound()
        return tuple(sorted(filter(where, table.values()), key=order, reverse=reverse)[:limit])

    def _get(self, table: Table, key: Any) -> Any:
        self._transaction.must_be_sound()
        return table.get(key)

    def _only(self, table: Table, where: Callable[[Any], bool]) -> Any:
        self._transaction.must_be_sound()
        return next(filter(where, table.values()), None)

    def _lock(self, table: Table, key: Any) -> Any:
        self._transaction.must_write()
        return table.get(key)
