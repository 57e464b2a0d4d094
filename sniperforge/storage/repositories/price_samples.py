"""Prices of a while ago."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from sniperforge.domain.money import Mint
from sniperforge.ports.price_samples import PriceSample
from sniperforge.storage import tables
from sniperforge.storage.repositories.base import Rows

_column = tables.price_samples.c


class SqlPriceSamples(Rows[PriceSample]):
    """`ports.price_samples.PriceSamples`."""

    table = tables.price_samples
    record = PriceSample

    def add(self, usd: Mapping[Mint, Decimal], *, at: datetime) -> None:
        """Keep these, written in one order, so that two looks cannot wait for each other's rows in a ring."""
        samples = [PriceSample(mint=mint, at=at, usd=usd[mint]) for mint in sorted(usd)]
        self._write_all(_UNLESS_THERE[self._transaction.dialect], samples)

    def before(self, mint: Mint, at: datetime, *, not_before: datetime) -> PriceSample | None:
        """The newest at or before that moment, and not too old."""
        return next(iter(self._asked(_BEFORE, {"mint": mint, "at": at, "not_before": not_before})), None)

    def forget(self, before: datetime, limit: int) -> int:
        """Drop old ones, oldest first."""
        self._transaction.must_write()
        oldest = (
            select(_column.mint, _column.at).where(_column.at < before).order_by(_column.at, _column.mint).limit(limit)
        )
        return self._transaction.run(delete(self.table).where(tuple_(_column.mint, _column.at).in_(oldest)))


_BEFORE = (
    SqlPriceSamples.query.where(
        _column.mint == bindparam("mint"), _column.at <= bindparam("at"), _column.at >= bindparam("not_before")
    )
    .order_by(_column.at.desc())
    .limit(1)
)
_UNLESS_THERE: Mapping[str, Any] = MappingProxyType(
    {
        "sqlite": sqlite.insert(tables.price_samples).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(tables.price_samples).on_conflict_do_nothing(),
    }
)
