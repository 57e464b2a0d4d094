"""Books of triggers and the values of a market for `trigger_ticks.py`, and the naive scan that must fire the same."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from pathlib import Path

import psycopg
from sqlalchemy import Engine, Insert, Table, insert, join, select

from sniperforge.domain.ids import OrderId, TriggerId
from sniperforge.domain.trigger import Direction, Subject, Trigger, is_crossed
from sniperforge.ports.store import Store
from sniperforge.storage import tables
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes import postgres
from tests.fakes.clock import START
from tests.fakes.order_terms import SOL as SOL_MINT
from tests.fakes.stores import migrated_engine

SOL = Subject(SOL_MINT)
MARKET, HIGH = Decimal(100), Decimal(102)
QUIET, HIGHS, FALLS, TEN = 200, 200, 50, 10
PEAKS = 100_000
CONFIRMATIONS = 2
"""As orders have them: ten are reached by one value and fire at the next."""
SCANS = 5
COPIED = (tables.trigger_subjects, tables.trigger_groups, tables.triggers)


# --- books


def book(size: int) -> Iterator[Trigger]:
    """So many triggers: ten for each value of a fall, the others farther away than the market goes."""
    for number in range(FALLS * TEN):
        level = falling(number // TEN)
        if number % 3:
            near = _fixed(f"near-{number}", Direction.DOWN, level)
        else:
            near = _trail(f"near-{number}", Direction.DOWN, MARKET, amount=HIGH - level)
        yield replace(near, confirmations=CONFIRMATIONS)
    for number in range(size - FALLS * TEN):
        away = Decimal(number * 7919 % 500_000) / 10_000
        down = number % 2 == 0
        if number % 3:
            level = MARKET * (Decimal("0.97") - away / 100 if down else Decimal("1.04") + away / 100)
            yield _fixed(f"far-{number}", Direction.DOWN if down else Direction.UP, level)
        elif number % 9:
            yield _trail(f"far-{number}", Direction.DOWN if down else Direction.UP, MARKET, bps=500 + number % 8_000)
        else:
            yield _trail(f"far-{number}", Direction.DOWN if down else Direction.UP, MARKET, amount=5 + away)


def peaks() -> Iterator[Trigger]:
    """Wide trails, each armed at a lower price than the one before."""
    for number in range(PEAKS):
        best = MARKET - Decimal(number) / 2_000
        yield _trail(f"peak-{number}", Direction.DOWN, best, bps=8_000 + number % 1_000)


def _fixed(name: str, direction: Direction, level: Decimal) -> Trigger:
    return Trigger(id=TriggerId(name), subject=SOL, direction=direction, confirmations=1, level=level)


def _trail(
    name: str, direction: Direction, best: Decimal, *, bps: int | None = None, amount: Decimal | None = None
) -> Trigger:
    return Trigger(
        id=TriggerId(name),
        subject=SOL,
        direction=direction,
        confirmations=1,
        trail_bps=bps,
        trail_amount=amount,
        best=best,
    )


def add(store: Store, triggers: Iterable[Trigger], at_once: int = 10_000) -> None:
    """Arm them as an order does."""
    rest = iter(triggers)
    while batch := tuple(islice(rest, at_once)):
        with store.write() as books:
            books.triggers.add(batch, at=START)


def copy(source: Engine, target: Engine) -> None:
    """The rows of SQLite's book in PostgreSQL."""
    with source.connect() as reading, target.begin() as writing:
        raw: psycopg.Connection[tuple[object, ...]] = writing.connection.driver_connection  # type: ignore[assignment]
        writing.exec_driver_sql("SET LOCAL statement_timeout = 0")
        for table in COPIED:
            names = ", ".join(table.c.keys())
            with raw.cursor().copy(f"COPY {table.name} ({names}) FROM STDIN") as stream:
                found = reading.exec_driver_sql(f"SELECT {names} FROM {table.name}")  # noqa: S608 (our own names)
                for row in found:
                    stream.write_row(row)
        writing.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('trigger_groups', 'id'), (SELECT max(id) FROM trigger_groups))"
        )


def add_orders(engine: Engine, template: OrderId) -> None:
    """An open order with its leg for each trigger of a book, copies of one that the desk placed there."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        for table, key in ((tables.orders, "id"), (tables.order_legs, "order_id")):
            connection.execute(_copies(table, key, template))


def _copies(table: Table, key: str, template: OrderId) -> Insert:
    """One row for each trigger that is not the template's own."""
    named = [tables.triggers.c.id if column.key == key else column for column in table.c]
    others = ~tables.triggers.c.id.startswith(f"{template}:")
    rows = select(*named).select_from(join(table, tables.triggers, others)).where(table.c[key] == template)
    return insert(table).from_select([column.key for column in table.c], rows)


def tidy(engine: Engine) -> None:
    """What the database does by itself within a minute, and what filling left to be written: none of a tick's cost."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.exec_driver_sql("VACUUM ANALYZE")
            connection.exec_driver_sql("CHECKPOINT")
    os.sync()


def check_copies(folder: Path) -> None:
    """A copied book is, row for row, the book that `add` makes."""
    filled, copied = (create_engine_for(postgres.new_books()) for _ in range(2))
    with migrated_engine("sqlite", folder) as source:
        for engine in (source, filled):
            add(SqlStore(engine), islice(book(2_000), 2_000))
        copy(source, copied)
    for table in COPIED:
        rows = []
        for engine in (filled, copied):
            with engine.connect() as connection:
                rows.append(sorted(map(repr, connection.execute(select(table)))))
        if rows[0] != rows[1]:
            raise SystemExit(f"a copied book is not the book that `add` makes: {table.name}")
    filled.dispose()
    copied.dispose()


# --- values


def quiet() -> list[Decimal]:
    """Values that reach nothing and are no new best, after the first few."""
    return [MARKET - Decimal(number * 37 % 100) / 100 for number in range(QUIET)]


def highs() -> list[Decimal]:
    """A new high each, up to `HIGH`, which is seen twice: trails follow what two in a row have reached."""
    return [MARKET + (HIGH - MARKET) * number / HIGHS for number in range(1, HIGHS)] + [HIGH] * 2


def falls() -> list[Decimal]:
    """Values that ten are reached by each, and fired by when they are seen again."""
    return [falling(number) for number in range(FALLS)]


def falling(number: int) -> Decimal:
    """One of them, below everything before."""
    return MARKET - Decimal("1.1") - Decimal(number) / 50


# --- the naive scan


class Scanned:
    """One trigger in memory."""

    __slots__ = ("best", "counted", "trigger")

    def __init__(self, trigger: Trigger) -> None:
        self.trigger, self.best, self.counted = trigger, trigger.best, 0


def scan(triggers: Sequence[Scanned], value: Decimal, before: Decimal) -> list[str]:
    """Look at every trigger, when a value follows another; which fired."""
    fired: list[str] = []
    for one in triggers:
        trigger = one.trigger
        if one.counted == trigger.confirmations:
            continue
        if one.best is not None:
            down = trigger.direction is Direction.DOWN
            one.best = max(one.best, min(value, before)) if down else min(one.best, max(value, before))
        one.counted = one.counted + 1 if is_crossed(trigger.direction, value, trigger.level_at(one.best)) else 0
        if one.counted == trigger.confirmations:
            fired.append(trigger.id)
    return fired


def naive(size: int) -> tuple[list[float], list[list[str]]]:
    """Mean ms of a scan when nothing fires, at new highs, when ten are reached, when they fire; and what fired then."""
    triggers = [Scanned(trigger) for trigger in book(size)]
    step = HIGHS // SCANS
    taken: list[list[float]] = []
    fired: list[list[str]] = []
    before = MARKET
    twice = [value for value in falls()[:SCANS] for _ in range(CONFIRMATIONS)]
    for values in (quiet()[:SCANS], [*highs()[step::step], HIGH], twice):
        taken.append([])
        for value in values:
            started = time.perf_counter()
            found = scan(triggers, value, before)
            taken[-1].append((time.perf_counter() - started) * 1_000)
            fired += [found] if found else []
            before = value
    none, high, fall = taken
    return [statistics.mean(some) for some in (none, high, fall[0::2], fall[1::2])], fired
