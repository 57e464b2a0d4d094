"""What a tick of the trigger book costs, by how many triggers are open, beside a naive scan of the same book.

PYTHONPATH=. .venv/bin/python benchmarks/trigger_ticks.py [--sizes 1000,10000,100000,1000000] [--database both]

Every book is of one token, a third of it trails. Ticks that fire nothing, that are a new high each, that fire ten each,
and orders that are created one by one; each in a transaction of its own, its commit included. The hostile book: 100,000
trails with a peak each, left by a falling market (and the same with a hundred lower highs on the way), then one new
high that overtakes them all. The naive scan applies the same values to the same triggers in memory, by `Decimal`, and
must fire the same, trigger for trigger. Books are filled by `add` on SQLite; PostgreSQL's are copies of the rows, which
is checked against `add` first. Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

import psycopg
from sqlalchemy import Engine, select

from sniperforge.domain.ids import TriggerId
from sniperforge.domain.trigger import Direction, Subject, Trigger, TriggerState, is_crossed
from sniperforge.ports.store import Store
from sniperforge.storage import tables
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes import postgres
from tests.fakes.clock import START
from tests.fakes.stores import migrated_engine

SOL = Subject("SOL")
MARKET, HIGH = Decimal(100), Decimal(102)
QUIET, HIGHS, FALLS, TEN, CREATED = 200, 200, 50, 10, 100
PEAKS, LOWER_HIGHS = 100_000, 100
MEAN_MS = {"sqlite": 1.0, "postgresql": 3.0}
HOSTILE_MS, GROWTH = 100.0, 3.0
SCANS = 5
STRETCH = 10
COPIED = (tables.trigger_subjects, tables.trigger_groups, tables.triggers)


# --- books


def book(size: int) -> Iterator[Trigger]:
    """So many triggers: ten for each falling tick, the others farther away than the market goes."""
    for number in range(FALLS * TEN):
        level = falling(number // TEN)
        if number % 3:
            yield _fixed(f"near-{number}", Direction.DOWN, level)
        else:
            yield _trail(f"near-{number}", Direction.DOWN, MARKET, amount=HIGH - level)
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
    with target.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql("VACUUM ANALYZE")  # as autovacuum does within a minute


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
    """A new high each, up to `HIGH`."""
    return [MARKET + (HIGH - MARKET) * number / HIGHS for number in range(1, HIGHS + 1)]


def falls() -> list[Decimal]:
    """Values that fire ten each."""
    return [falling(number) for number in range(FALLS)]


def falling(number: int) -> Decimal:
    """One of them, below everything before."""
    return MARKET - Decimal("1.1") - Decimal(number) / 50


# --- the naive scan


class Scanned:
    """One trigger in memory."""

    __slots__ = ("best", "fired", "trigger")

    def __init__(self, trigger: Trigger) -> None:
        self.trigger, self.best, self.fired = trigger, trigger.best, False


def scan(triggers: Sequence[Scanned], value: Decimal) -> list[str]:
    """Look at every trigger; which fired."""
    fired: list[str] = []
    for one in triggers:
        if one.fired:
            continue
        trigger = one.trigger
        if one.best is not None:
            one.best = max(one.best, value) if trigger.direction is Direction.DOWN else min(one.best, value)
        if is_crossed(trigger.direction, value, trigger.level_at(one.best)):
            one.fired = True
            fired.append(trigger.id)
    return fired


def naive(size: int) -> tuple[float, float, float, list[list[str]]]:
    """Mean ms of a scan when nothing fires, at new highs, when ten fire; and what fired then."""
    triggers = [Scanned(trigger) for trigger in book(size)]
    step = HIGHS // SCANS
    means, fired = [], []
    for values in (quiet()[:SCANS], highs()[step - 1 :: step], falls()[:SCANS]):
        taken = []
        for value in values:
            started = time.perf_counter()
            fired.append(scan(triggers, value))
            taken.append((time.perf_counter() - started) * 1_000)
        means.append(statistics.mean(taken))
    return means[0], means[1], means[2], fired[-SCANS:]


# --- the book of triggers


@dataclass
class Measured:
    """Mean milliseconds of what is done to one book."""

    none: float
    high: float
    ten: float
    create: float
    commit: float
    fired: list[list[str]]


class Market:
    """Applies values to one book, and takes the time of each."""

    def __init__(self, engine: Engine) -> None:
        self.store = SqlStore(engine)
        self.prints = 0

    def tick(self, value: Decimal) -> tuple[float, int]:
        """Milliseconds, commit included, and how many fired."""
        self.prints += 1
        started = time.perf_counter()
        with self.store.write() as books:
            at = START + timedelta(seconds=self.prints)
            result = books.triggers.tick(SOL, value, print_number=self.prints, at=at)
        return (time.perf_counter() - started) * 1_000, result.fired

    def ticks(self, values: Sequence[Decimal], each_fires: int) -> float:
        """Mean milliseconds of these, each of which has to fire so many."""
        taken = []
        for value in values:
            milliseconds, fired = self.tick(value)
            taken.append(milliseconds)
            if fired != each_fires:
                raise SystemExit(f"{fired} fired at {value}, not {each_fires}")
        return steady(taken)

    def fired(self) -> list[list[str]]:
        """What the first falls fired."""
        with self.store.read() as books:
            views = books.triggers.fired(SCANS * TEN)
        return [[view.trigger.id for view in views[start : start + TEN]] for start in range(0, len(views), TEN)]

    def create(self) -> float:
        """Mean milliseconds of one order's trigger, every other a trail."""
        taken = []
        for number in range(CREATED):
            name = f"new-{number}"
            trigger = (
                _trail(name, Direction.DOWN, HIGH, bps=8_000) if number % 2 else _fixed(name, Direction.UP, HIGH * 2)
            )
            started = time.perf_counter()
            add(self.store, [trigger])
            taken.append((time.perf_counter() - started) * 1_000)
        return steady(taken)

    def commit(self) -> float:
        """Mean milliseconds of a transaction that writes one row and does nothing else."""
        taken = []
        for _ in range(CREATED):
            started = time.perf_counter()
            with self.store.write() as books:
                books.system.change(books.system.hold(), reason="benchmark")
            taken.append((time.perf_counter() - started) * 1_000)
        return steady(taken)


def steady(taken: Sequence[float]) -> float:
    """The mean of the best stretch of these: what else runs on the machine comes and goes."""
    return min(statistics.mean(taken[start : start + STRETCH]) for start in range(0, len(taken), STRETCH))


def measure(engine: Engine) -> Measured:
    """One filled book, each kind of tick in turn."""
    market = Market(engine)
    os.sync()  # what filling left to be written is none of a tick's business
    market.ticks(quiet()[:10], 0)  # connections and statements are there
    gc.collect()
    return Measured(
        none=market.ticks(quiet(), 0),
        high=market.ticks(highs(), 0),
        create=market.create(),
        ten=market.ticks(falls(), TEN),
        commit=market.commit(),
        fired=market.fired(),
    )


def fill_hostile(engine: Engine, *, lower_highs: int) -> None:
    """The falling market, with so many bounces that overtake the last peaks before them."""
    market = Market(engine)
    at_once = PEAKS // (lower_highs or 10)
    rest = peaks()
    while batch := tuple(islice(rest, at_once)):
        add(market.store, batch)
        lowest = batch[-1].best or MARKET
        market.tick(lowest)
        if lower_highs:
            market.tick(lowest + Decimal("0.02"))
            market.tick(lowest)


def hostile(engine: Engine) -> float:
    """Milliseconds of the one new high."""
    market = Market(engine)
    market.prints = 10**6
    os.sync()
    with market.store.write() as books:  # connections and statements are there
        books.triggers.tick(SOL, MARKET / 2, print_number=10**6, at=START)
    milliseconds, _ = market.tick(MARKET * 2)
    with market.store.read() as books:
        for name in ("peak-0", f"peak-{PEAKS - 1}"):
            view = books.triggers.get(TriggerId(name))
            if view is None or (view.best, view.state) != (MARKET * 2, TriggerState.ARMED):
                raise SystemExit(f"{name} was not overtaken: {view}")
    return milliseconds


# --- all of it


class Bench:
    """Filled books: SQLite's by `add`, PostgreSQL's as copies of them."""

    def __init__(self, folder: Path, databases: Sequence[str]) -> None:
        self.folder, self.databases = folder, databases

    def of_size(self, size: int) -> dict[str, Measured]:
        """Both databases' books of a size."""
        found = {}
        path = self._filled(f"book-{size}", book(size))
        if "postgresql" in self.databases:
            engine = self._copied(path)
            found["postgresql"] = measure(engine)
            engine.dispose()
        if "sqlite" in self.databases:
            engine = create_engine_for(f"sqlite:///{path}")
            found["sqlite"] = measure(engine)
            engine.dispose()
        path.unlink()
        return found

    def hostile(self, *, lower_highs: int) -> dict[str, list[float]]:
        """Three times the one tick, each on a copy of the book."""
        path = self._filled(f"hostile-{lower_highs}", ())
        engine = create_engine_for(f"sqlite:///{path}")
        fill_hostile(engine, lower_highs=lower_highs)
        engine.dispose()
        found: dict[str, list[float]] = {name: [] for name in self.databases}
        for _ in range(3):
            for database in self.databases:
                again = self.folder / "again.db"
                shutil.copy(path, again)
                engine = self._copied(again) if database == "postgresql" else create_engine_for(f"sqlite:///{again}")
                found[database].append(hostile(engine))
                engine.dispose()
        return found

    def _filled(self, name: str, triggers: Iterable[Trigger]) -> Path:
        folder = self.folder / name
        folder.mkdir()
        with migrated_engine("sqlite", folder) as engine:
            add(SqlStore(engine), triggers)
        return folder / "books.db"

    def _copied(self, path: Path) -> Engine:
        target = create_engine_for(postgres.new_books())
        source = create_engine_for(f"sqlite:///{path}")
        copy(source, target)
        source.dispose()
        return target


def main() -> int:
    """Print the table; exit 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    options = parser.parse_args()
    databases = ["sqlite", "postgresql"] if options.database == "both" else [options.database]
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if "postgresql" in databases:
            check_copies(folder)
        bench = Bench(folder, databases)
        print(f"Milliseconds, the mean of the best {STRETCH} in a row")
        print(line("triggers", "book", "fires none", "new high", "fires ten", "create", "one commit"))
        first: dict[str, Measured] = {}
        for size in map(int, options.sizes.split(",")):
            found = bench.of_size(size)
            for database, one in found.items():
                first.setdefault(database, one)
                missed += judged(size, database, one, first[database])
                print(line(size, database, one.none, one.high, one.ten, one.create, one.commit))
            none, high, ten, fired = naive(size)
            print(line(size, "naive scan", none, high, ten), flush=True)
            for database, one in found.items():
                if [sorted(names) for names in one.fired] != [sorted(names) for names in fired]:
                    missed.append(f"{database} at {size}: another fired set than the scan's")
        for lower_highs in (0, LOWER_HIGHS):
            for database, times in bench.hostile(lower_highs=lower_highs).items():
                shown = ", ".join(f"{one:.1f}" for one in times)
                print(f"hostile book, {PEAKS} peaks, {lower_highs} lower highs, {database}: {shown} ms")
                if min(times) > HOSTILE_MS:
                    missed.append(f"{database}: the hostile tick took {min(times):.0f} ms")
    for what in missed:
        print(f"MISSED: {what}")
    return 1 if missed else 0


def line(size: int | str, name: str, *columns: float | str) -> str:
    """A line of the table."""
    cells = (f"{cell:>11.3f}" if isinstance(cell, float) else f"{cell:>11}" for cell in columns)
    return f"{size:>9}  {name:<11}{''.join(cells)}"


def judged(size: int, database: str, one: Measured, first: Measured) -> list[str]:
    """Which targets a book misses: what a mean tick may cost, and how much more than the smallest book's."""
    lines = []
    for name in ("none", "high", "ten", "create"):
        mean, least = getattr(one, name), getattr(first, name)
        if name != "create" and mean > MEAN_MS[database]:
            lines.append(f"{database} at {size}: {name} {mean:.2f} ms over {MEAN_MS[database]} ms")
        if mean > GROWTH * least:
            lines.append(f"{database} at {size}: {name} {mean:.2f} ms, more than {GROWTH:.0f} x {least:.2f} ms")
    return lines


if __name__ == "__main__":
    sys.exit(main())
