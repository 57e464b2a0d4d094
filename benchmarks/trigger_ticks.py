"""What a tick of the trigger book costs, by how many triggers are open, beside a naive scan of the same book.

PYTHONPATH=. .venv/bin/python benchmarks/trigger_ticks.py [--sizes 1000,10000,100000,1000000] [--database both]

Every book is of one token, a third of it trails, and holds an order with its leg for each trigger. Ticks that fire
nothing, that are a new high each, that ten are reached by each, and that fire these ten, as it is seen again; and
orders placed one by one as the desk places them: order, leg, trigger and event. Each in a transaction of its own, its
commit included. The hostile book: 100,000 trails with a peak each, left by a falling market (and the same with a
hundred lower highs on the way), then one new high that overtakes them all. The naive scan applies the same values to
the same triggers in memory, by `Decimal`, and must fire the same, trigger for trigger. Triggers are filled by `add` on
SQLite; PostgreSQL's are copies of the rows, which is checked against `add` first; the orders are copies of one that the
desk placed.

What is judged is the mean of every tick of a run, its warm-up apart, and the slowest of the hostile ticks. Beside a
mean is that of its best stretch: what the same took while nothing else ran on the machine. Ends with 1 when a target
is missed.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.trigger_books import (
    HIGH,
    MARKET,
    PEAKS,
    SCANS,
    SOL,
    TEN,
    add,
    add_orders,
    book,
    check_copies,
    copy,
    falls,
    highs,
    naive,
    peaks,
    quiet,
    tidy,
)
from sniperforge.domain.ids import OrderId, TriggerId
from sniperforge.domain.order import OrderKind
from sniperforge.domain.trigger import Trigger, TriggerState
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.unit_of_work import SqlStore
from sniperforge.trading.order_desk import Draft
from tests.fakes import postgres
from tests.fakes.clock import START
from tests.fakes.desk_world import DeskWorld
from tests.fakes.order_terms import SOL as SOL_MINT
from tests.fakes.order_terms import terms
from tests.fakes.stores import migrated_engine

PLACED = 100
LOWER_HIGHS = 100
MEAN_MS = {"sqlite": 1.0, "postgresql": 3.0}
HOSTILE_MS, GROWTH = 100.0, 3.0
SAME = 1.5
"""Placing an order costs the same at every size: no more than this times what it costs in the smallest book."""

WARM_UP = STRETCH = 10


# --- the book of triggers


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one thing that was done over and over.

    Attributes:
        mean: Of all.
        best: Of the best stretch.
    """

    mean: float
    best: float

    @staticmethod
    def of(taken: Sequence[float]) -> Cost:
        """From how long each took."""
        stretches = [taken[start : start + STRETCH] for start in range(0, len(taken), STRETCH)]
        return Cost(statistics.mean(taken), min(map(statistics.mean, stretches)))

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.best:.3f})"


@dataclass(frozen=True)
class Measured:
    """What is done to one book."""

    none: Cost
    high: Cost
    reached: Cost
    ten: Cost
    place: Cost
    commit: Cost
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

    def ticks(self, values: Sequence[Decimal]) -> Cost:
        """What these cost, none of which may fire anything."""
        return Cost.of([self.checked(value, 0) for value in values])

    def falls(self) -> tuple[Cost, Cost]:
        """What values cost that ten are reached by, and these again, which fire the ten."""
        taken = [(self.checked(value, 0), self.checked(value, TEN)) for value in falls()]
        return Cost.of([first for first, _ in taken]), Cost.of([second for _, second in taken])

    def checked(self, value: Decimal, fires: int) -> float:
        """Milliseconds of a tick that has to fire so many."""
        milliseconds, fired = self.tick(value)
        if fired != fires:
            raise SystemExit(f"{fired} fired at {value}, not {fires}")
        return milliseconds

    def fired(self) -> list[list[str]]:
        """What the first falls fired."""
        with self.store.read() as books:
            views = books.triggers.fired(SCANS * TEN)
        return [[view.trigger.id for view in views[start : start + TEN]] for start in range(0, len(views), TEN)]

    def commit(self) -> Cost:
        """A transaction that writes one row and does nothing else."""
        taken = []
        for _ in range(PLACED):
            started = time.perf_counter()
            with self.store.write() as books:
                books.system.change(books.system.hold(), reason="benchmark")
            taken.append((time.perf_counter() - started) * 1_000)
        return Cost.of(taken)


class Desk:
    """Places orders as people do, on prices that were looked at before: what is measured is what the books do."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.world = DeskWorld(SqlStore(engine))
        self.placed = 0

    def fill(self) -> None:
        """An order for each trigger that is in the book."""
        draft = self._drafts(MARKET)[0]
        self.place_one(draft)
        add_orders(self.engine, _numbered(draft, self.placed).order.id)

    def place(self) -> Cost:
        """One order each, every other a trail."""
        drafts = self._drafts(HIGH)
        for number in range(WARM_UP):
            self.place_one(drafts[number % 2])
        return Cost.of([self.place_one(drafts[number % 2]) for number in range(PLACED)])

    def place_one(self, draft: Draft) -> float:
        """Milliseconds of an order with these terms."""
        self.placed += 1
        draft = _numbered(draft, self.placed)
        started = time.perf_counter()
        self.world.desk.place(draft)
        return (time.perf_counter() - started) * 1_000

    def _drafts(self, price: Decimal) -> tuple[Draft, Draft]:
        """Levels that no value of a run reaches."""
        self.world.exchange.usd[SOL_MINT] = price
        desk = self.world.desk
        return (
            desk.draft(terms(OrderKind.TAKE_PROFIT, trigger=HIGH * 2)),
            desk.draft(terms(OrderKind.TRAILING_STOP, trail_bps=8_000)),
        )


def _numbered(draft: Draft, number: int) -> Draft:
    """The same order under another id."""
    name = OrderId(f"placed-{number}")
    return replace(
        draft,
        order=replace(draft.order, id=name),
        legs=tuple(replace(leg, order_id=name) for leg in draft.legs),
    )


def measure(engine: Engine) -> Measured:
    """One filled book, each kind of tick in turn."""
    market, desk = Market(engine), Desk(engine)
    desk.fill()
    tidy(engine)
    market.ticks(quiet()[:WARM_UP])  # connections and statements are there
    gc.collect()
    none, high, place = market.ticks(quiet()), market.ticks(highs()), desk.place()
    reached, ten = market.falls()
    return Measured(
        none=none, high=high, reached=reached, ten=ten, place=place, commit=market.commit(), fired=market.fired()
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
            for value in (lowest + Decimal("0.02"), lowest + Decimal("0.02"), lowest):
                market.tick(value)


def hostile(engine: Engine) -> float:
    """Milliseconds of the one new high, when it is seen the second time: one print moves no trail."""
    market = Market(engine)
    market.prints = 10**6
    tidy(engine)
    with market.store.write() as books:  # connections and statements are there
        books.triggers.tick(SOL, MARKET / 2, print_number=10**6, at=START)
    market.tick(MARKET * 2)
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
    postgres.MEMORY_AND_SPEED.update(
        {"fsync": "on", "shared_buffers": "128MB"}
    )  # as PostgreSQL comes, not as tests run
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if "postgresql" in databases:
            check_copies(folder)
        bench = Bench(folder, databases)
        print(f"Milliseconds: the mean of all, and in brackets that of the best {STRETCH} in a row")
        print(
            line("triggers", "book", "fires none", "new high", "ten reached", "fires ten", "place order", "one commit")
        )
        first: dict[str, Measured] = {}
        for size in map(int, options.sizes.split(",")):
            found = bench.of_size(size)
            for database, one in found.items():
                first.setdefault(database, one)
                missed += judged(size, database, one, first[database])
                print(line(size, database, one.none, one.high, one.reached, one.ten, one.place, one.commit))
            scans, fired = naive(size)
            print(line(size, "naive scan", *scans), flush=True)
            for database, one in found.items():
                if [sorted(names) for names in one.fired] != [sorted(names) for names in fired]:
                    missed.append(f"{database} at {size}: another fired set than the scan's")
        for lower_highs in (0, LOWER_HIGHS):
            for database, times in bench.hostile(lower_highs=lower_highs).items():
                shown = ", ".join(f"{one:.1f}" for one in times)
                print(f"hostile book, {PEAKS} peaks, {lower_highs} lower highs, {database}: {shown} ms")
                if max(times) > HOSTILE_MS:
                    missed.append(f"{database}: the slowest hostile tick took {max(times):.0f} ms")
    for what in missed:
        print(f"MISSED: {what}")
    return 1 if missed else 0


def line(size: int | str, name: str, *columns: Cost | float | str) -> str:
    """A line of the table."""
    cells = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in columns)
    return f"{size:>9}  {name:<11}{''.join(f'{cell:>16}' for cell in cells)}"


def judged(size: int, database: str, one: Measured, first: Measured) -> Iterator[str]:
    """Which targets a book misses: what a mean tick may cost, and how much more than the smallest book's."""
    for name, most, growth in (
        ("none", MEAN_MS[database], GROWTH),
        ("high", MEAN_MS[database], GROWTH),
        ("reached", MEAN_MS[database], GROWTH),
        ("ten", MEAN_MS[database], GROWTH),
        ("place", None, SAME),
    ):
        mean, least = getattr(one, name).mean, getattr(first, name).mean
        if most is not None and mean > most:
            yield f"{database} at {size}: {name} {mean:.2f} ms over {most} ms"
        if mean > growth * least:
            yield f"{database} at {size}: {name} {mean:.2f} ms, more than {growth} x {least:.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
