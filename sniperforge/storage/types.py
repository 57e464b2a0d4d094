"""Column types that keep values exact and mean the same on SQLite and PostgreSQL.

| Python | SQLite (STRICT tables) | PostgreSQL |
|---|---|---|
| base units, lamports, slots, heights | INTEGER | BIGINT |
| price in dollars, as its order-preserving key (`domain.prices`) | INTEGER | BIGINT |
| exact decimal that is never compared in SQL | TEXT | TEXT |
| yes or no | INTEGER, 0 or 1 | SMALLINT, 0 or 1 |
| aware UTC time with microseconds | TEXT, fixed width, so it sorts | TIMESTAMP WITH TIME ZONE |
| JSON value | TEXT | TEXT |
| bytes | BLOB | BYTEA |

A value of another type is refused before it reaches the database: no column rounds, converts or guesses.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary, SmallInteger, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from sniperforge.domain.money import MAX_RAW
from sniperforge.domain.prices import price_from_key, price_key
from sniperforge.errors import InvalidInputError, StorageError

_BIGINT: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
_TIME: TypeEngine[Any] = DateTime(timezone=True).with_variant(Text(), "sqlite")
MIN_SIGNED = -MAX_RAW - 1


class Whole(TypeDecorator[int]):
    """An integer that fits 64 bits with its sign."""

    impl = _BIGINT
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002 (base class)
        """Refuse anything that is not a plain int in range; a bool is not a number here."""
        if value is None:
            return None
        if type(value) is not int or not MIN_SIGNED <= value <= MAX_RAW:
            raise InvalidInputError(f"{value!r} is not a whole number of 64 bits", subject="the books")
        return value


class Flag(TypeDecorator[bool]):
    """Yes or no, as 1 or 0: the same condition on both databases. The table adds the CHECK."""

    impl = SmallInteger().with_variant(Integer(), "sqlite")
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002 (base class)
        """1 or 0; anything but a bool is refused."""
        if value is None:
            return None
        if type(value) is not bool:
            raise InvalidInputError(f"{value!r} is neither yes nor no", subject="the books")
        return int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:  # noqa: ARG002 (base class)
        """The bool."""
        return None if value is None else bool(value)


class PriceKey(TypeDecorator[Decimal]):
    """A price in dollars, stored as its order-preserving key: exact, and comparable in SQL."""

    impl = _BIGINT
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002 (base class)
        """The key; `price_key` refuses floats, and digits beyond what it keeps."""
        return None if value is None else price_key(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 (base class)
        """The exact price."""
        return None if value is None else price_from_key(value)


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal as its own digits. Exact on both databases, at the cost of having no order in SQL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 (base class)
        """Its digits; anything but a finite `Decimal` is refused."""
        if value is None:
            return None
        if type(value) is not Decimal or not value.is_finite():
            raise InvalidInputError(f"{value!r} is not an exact decimal", subject="the books")
        return str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 (base class)
        """The same decimal."""
        return None if value is None else Decimal(value)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in, aware UTC out, to the microsecond. A naive time is refused, never guessed."""

    impl = _TIME
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> datetime | str | None:
        """UTC; on SQLite as fixed-width ISO text, so that text order is time order."""
        if value is None:
            return None
        if not isinstance(value, datetime) or value.utcoffset() is None:
            raise InvalidInputError(f"{value!r} is not an aware time", subject="the books", fix="Give it a time zone")
        moment = value.astimezone(UTC)
        return moment.isoformat(timespec="microseconds") if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (base class)
        """Aware UTC."""
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime) or moment.utcoffset() is None:
            raise StorageError(f"{value!r} in the books is not an aware time", subject="the books")
        return moment.astimezone(UTC)


class Choice(TypeDecorator[StrEnum]):
    """A member of a `StrEnum`, stored as its value. The table adds the CHECK (`tables.one_of`)."""

    impl = Text
    cache_ok = True

    def __init__(self, choices: type[StrEnum]) -> None:
        super().__init__()
        self.choices = choices

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 (base class)
        """Its value; a string that is no member is refused."""
        return None if value is None else self.choices(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002 (base class)
        """The member."""
        return None if value is None else self.choices(value)


class Json(TypeDecorator[Any]):
    """A JSON value whose fractions are exact: `Decimal` goes in and comes out, a float is refused."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 (base class)
        """JSON text, keys sorted: equal values are equal texts."""
        return None if value is None else exact_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 (base class)
        """The value, every fraction a `Decimal`."""
        return None if value is None else json.loads(value, parse_float=Decimal)


def exact_json(value: Any) -> str:
    """JSON text of `value` with `Decimal` written digit by digit and keys sorted.

    Raises:
        InvalidInputError: A float, a number that is not finite, or a type JSON does not have.
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(key))}:{exact_json(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(exact_json, value)) + "]"
    if type(value) is Decimal and value.is_finite():
        return str(value)
    if value is None or isinstance(value, str | bool | int):
        return json.dumps(value)
    raise InvalidInputError(f"{value!r} cannot be kept exactly as JSON", subject="the books")


class Bytes(TypeDecorator[bytes]):
    """Exact bytes."""

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:  # noqa: ARG002 (base class)
        """Plain `bytes` from either driver."""
        return None if value is None else bytes(value)
