"""What is held and how it came: ledger lines, positions, and the newest prices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sniperforge.domain.intent import FILL_TRANSITIONS, FillState, checked_transition
from sniperforge.domain.money import Address, Mint
from sniperforge.domain.portfolio import Position
from sniperforge.domain.prices import Price
from sniperforge.errors import ConflictError, InvalidInputError, InvalidTransitionError
from sniperforge.ports.records import Asset, LedgerEntry, LedgerKind
from sniperforge.storage import tables
from sniperforge.storage.prepared import one_of, values_of
from sniperforge.storage.repositories.base import Rows


class SqlLedger(Rows[LedgerEntry]):
    """`ports.store.Ledger`."""

    table = tables.ledger_entries
    record = LedgerEntry
    _after = select(func.coalesce(func.sum(table.c.delta_raw), 0)).where(
        table.c.wallet == bindparam("wallet"),
        table.c.asset == bindparam("asset"),
        table.c.slot > bindparam("slot"),
        table.c.state != FillState.REVERSED,
    )

    _swap = table.alias("swap")
    _wasted = select(func.coalesce(func.sum(table.c.delta_raw), 0)).where(
        table.c.wallet == bindparam("wallet"),
        table.c.kind == LedgerKind.FEE,
        table.c.attempt_id.is_not(None),
        table.c.state != FillState.REVERSED,
        ~exists().where(
            _swap.c.source == table.c.source,
            _swap.c.wallet == table.c.wallet,
            or_(_swap.c.kind == LedgerKind.TRADE_IN, _swap.c.kind == LedgerKind.TRADE_OUT),
            _swap.c.state != FillState.REVERSED,
        ),
    )

    def add(self, entries: Sequence[LedgerEntry]) -> None:
        """Book lines."""
        self._insert(entries)

    def of_source(self, source: str) -> tuple[LedgerEntry, ...]:
        """In booking order."""
        return self._with("id", source=source)

    def settle(self, source: str, state: FillState) -> int:
        """Move every line of a transaction to `state`."""
        self._transaction.must_write()
        column = self.table.c
        for entry in self.of_source(source):
            if entry.state != state:
                try:
                    checked_transition(FILL_TRANSITIONS, entry.state, state, subject=source)
                except InvalidTransitionError as error:
                    self._transaction.fail(error)
        moving = update(self.table).where(column.source == source, column.state != state).values(state=state)
        return self._transaction.run(moving)

    def correct(self, source: str, entries: Sequence[LedgerEntry]) -> None:
        """Replace a transaction's lines that are not final."""
        self._transaction.must_write()
        if any(entry.source != source for entry in entries):
            self._transaction.fail(InvalidInputError("a line belongs to another transaction", subject=source))
        if any(entry.state is FillState.FINAL for entry in self.of_source(source)):
            self._transaction.fail(ConflictError("its lines are final", subject=source, fix="Leave them"))
        self._transaction.run(delete(self.table).where(self.table.c.source == source))
        self.add(entries)

    def balance_raw(self, wallet: Address, asset: Asset, *, up_to_slot: int | None = None, final_only: bool) -> int:
        """Sum of all lines that were not reversed."""
        column = self.table.c
        states = (FillState.FINAL,) if final_only else (FillState.PROVISIONAL, FillState.FINAL)
        where = [column.wallet == wallet, column.asset == asset, column.state.in_(states)]
        if up_to_slot is not None:
            where.append(column.slot <= up_to_slot)
        ((total,),) = self._transaction.rows(select(func.coalesce(func.sum(column.delta_raw), 0)).where(*where))
        return int(total)

    def change_after(self, wallet: Address, asset: Asset, slot: int) -> int:
        """Sum of the lines of later slots that were not reversed."""
        ((total,),) = self._transaction.ask(self._after, {"wallet": wallet, "asset": asset, "slot": slot})
        return int(total)

    def assets(self, wallet: Address) -> tuple[Asset, ...]:
        """In order of their names."""
        column = self.table.c
        found = select(column.asset).where(column.wallet == wallet).distinct()
        return tuple(sorted(row.asset for row in self._transaction.rows(found)))

    def of_wallet(self, wallet: Address, limit: int) -> tuple[LedgerEntry, ...]:
        """Newest first."""
        column = self.table.c
        return self._select(column.wallet == wallet, order=(column.slot.desc(), column.id.desc()), limit=limit)

    def sum_of(self, wallet: Address, asset: Asset, kinds: Collection[LedgerKind]) -> int:
        """Sum of the lines of these kinds that were not reversed."""
        column = self.table.c
        where = (column.wallet == wallet, column.asset == asset, column.kind.in_(kinds))
        standing = column.state != FillState.REVERSED
        ((total,),) = self._transaction.rows(
            select(func.coalesce(func.sum(column.delta_raw), 0)).where(*where, standing)
        )
        return int(total)

    def fees_without_swap(self, wallet: Address) -> int:
        """Sum of the fee lines of our own transactions that no trade line of the wallet stands beside."""
        ((total,),) = self._transaction.ask(self._wasted, {"wallet": wallet})
        return int(total)


class SqlPositions(Rows[Position]):
    """`ports.store.Positions`."""

    table = tables.positions
    record = Position
    _unchanged = update(table).where(
        table.c.wallet == bindparam("of_wallet"),
        table.c.mint == bindparam("of_mint"),
        table.c.version == bindparam("read_version"),
    )

    def get(self, wallet: Address, mint: Mint) -> Position | None:
        """The position, or None."""
        return self._one(wallet=wallet, mint=mint)

    def of_wallet(self, wallet: Address) -> tuple[Position, ...]:
        """By mint."""
        return self._with("mint", wallet=wallet)

    def save(self, position: Position) -> Position:
        """Compare-and-set; version 0 is new."""
        self._transaction.must_write()
        saved = replace(position, version=position.version + 1)
        if position.version == 0:
            self._insert([saved])
            return saved
        read = {"of_wallet": position.wallet, "of_mint": position.mint, "read_version": position.version}
        if self._transaction.write(self._unchanged, [self._values(saved) | read]) != 1:
            self._transaction.fail(
                ConflictError("somebody else changed it first", subject=position.mint, fix="Reload and decide again")
            )
        return saved


class SqlPrices(Rows[Price]):
    """`ports.store.Prices`."""

    table = tables.price_observations
    record = Price

    def observe(self, prices: Sequence[Price]) -> None:
        """Keep these prices, unless newer ones are kept.

        They are written in one order, so that two trades cannot wait for each other's rows in a ring.
        """
        ordered = sorted(prices, key=lambda price: (price.mint, price.source))
        self._write_all(_NEWER[self._transaction.dialect], ordered)

    def newest(self, mints: Collection[Mint]) -> Mapping[tuple[Mint, str], Price]:
        """The newest price seen of each, by mint and source."""
        found = self._asked(_of_mints(len(mints)), values_of("mint", sorted(mints)))
        return {(price.mint, price.source): price for price in found}


@cache
def _of_mints(mints: int) -> Select[Any]:
    """What was seen of so many mints."""
    return SqlPrices.query.where(one_of(SqlPrices.table.c.mint, "mint", mints))


def _newer(insertion: Any) -> Any:
    """The insertion of a price that replaces an older one of its source."""
    table, new = SqlPrices.table, insertion.excluded
    return insertion.on_conflict_do_update(
        index_elements=table.primary_key,
        set_={column.name: new[column.name] for column in table.c if not column.primary_key},
        where=table.c.observed_at <= new.observed_at,
    )


_NEWER: Mapping[str, Any] = MappingProxyType(
    {"sqlite": _newer(sqlite.insert(SqlPrices.table)), "postgresql": _newer(postgresql.insert(SqlPrices.table))}
)
