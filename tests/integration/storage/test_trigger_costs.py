"""A tick costs what it fires, not what is open: counted in steps and rows of the databases themselves, not in time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from sniperforge.domain.ids import TriggerId
from sniperforge.domain.trigger import Direction, Subject, Trigger
from sniperforge.ports.triggers import Triggers
from sniperforge.storage import tables
from sniperforge.storage.repositories.triggers import _FOUND
from sniperforge.storage.repositories.triggers_rows import place_of
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes.clock import START
from tests.fakes.stores import Database, migrated_engine

SOL = Subject("SOL")
SMALL, LARGE = 300, 6_000
STEPS = 100
"""SQLite tells when it has taken so many."""


def book(size: int) -> list[Trigger]:
    """Far levels on both sides, and trails with a peak each, as a falling market leaves them."""
    made = []
    for number in range(size):
        name, direction = TriggerId(f"far-{number}"), (Direction.UP, Direction.DOWN)[number % 2]
        share = Decimal(number) / 100_000
        best, level = 100 - share, Decimal(200) + share if number % 2 == 0 else 50 - share
        kind = {"trail_bps": 5_000 + number % 1_000, "best": best} if number % 3 == 0 else {"level": level}
        made.append(Trigger(id=name, subject=SOL, direction=direction, confirmations=1, **kind))
    return made


class Book:
    """One book, and what it takes to do something with it."""

    def __init__(self, engine: Engine, size: int) -> None:
        self.store, self.prints, self.steps = SqlStore(engine), 0, 0
        with self.store.write() as books:
            books.triggers.add(book(size), at=START)

    def steps_of(self, act: Callable[[Triggers], object]) -> int:
        """SQLite's own steps, about."""
        with self.store.write() as books:
            raw = books.triggers._transaction._connection.connection.driver_connection
            assert raw is not None
            self.steps = 0
            raw.set_progress_handler(self._step, STEPS)
            act(books.triggers)
            raw.set_progress_handler(None, 0)
        return self.steps * STEPS

    def _step(self) -> int:
        self.steps += 1
        return 0

    def tick(self, value: str) -> Callable[[Triggers], object]:
        self.prints += 1
        return lambda triggers: triggers.tick(SOL, Decimal(value), print_number=self.prints, at=START)


@contextmanager
def filled(database: Database, folder: Path, size: int) -> Iterator[tuple[Engine, Book]]:
    folder.mkdir()
    with migrated_engine(database, folder) as engine:
        yield engine, Book(engine, size)


def one_more(triggers: Triggers) -> None:
    best = Decimal(99)
    triggers.add(
        [
            Trigger(
                id=TriggerId("new"), subject=SOL, direction=Direction.DOWN, confirmations=1, trail_bps=100, best=best
            )
        ],
        at=START,
    )


DEEDS: dict[str, Callable[[Book], Callable[[Triggers], object]]] = {
    "nothing reached": lambda made: made.tick("99.5"),
    "a high seen once": lambda made: made.tick("110"),
    "all peaks overtaken": lambda made: made.tick("110"),
    "a higher high seen once": lambda made: made.tick("111"),
    "a higher high": lambda made: made.tick("111"),
    "nothing reached after that": lambda made: made.tick("109"),
    "one more trail": lambda _: one_more,
    "one more falls": lambda made: made.tick("97"),
    "held": lambda _: lambda triggers: triggers.hold([TriggerId("far-0"), TriggerId("far-1")]),
    "armed": lambda _: lambda triggers: triggers.arm([TriggerId("far-0"), TriggerId("far-1")]),
    "removed": lambda _: lambda triggers: triggers.remove([TriggerId("far-0"), TriggerId("far-1"), TriggerId("new")]),
    "what is watched": lambda _: lambda triggers: triggers.watched(),
    "what fired": lambda _: lambda triggers: triggers.fired(10),
}


def test_what_is_done_with_a_book_takes_as_many_steps_whatever_is_open(tmp_path: Path) -> None:
    with (
        filled("sqlite", tmp_path / "small", SMALL) as (_, small),
        filled("sqlite", tmp_path / "large", LARGE) as (
            _,
            large,
        ),
    ):
        for name, deed in DEEDS.items():
            few, many = (made.steps_of(deed(made)) for made in (small, large))
            assert many <= 2 * few + 10 * STEPS, name


def test_no_tick_reads_through_the_table(tmp_path: Path) -> None:
    """PostgreSQL makes a plan for any values after five: that one, too, has to keep to the indexes."""
    with filled("postgres", tmp_path / "books", LARGE) as (engine, made):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
        for value in ("99.5", "99.4", "99.5", "99.4", "99.5", "99.4", "99.5", "110", "109", *map(str, range(111, 119))):
            with made.store.write() as books:
                made.tick(value)(books.triggers)
                read = books.triggers._transaction.rows(
                    text("SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'triggers'")
                )
                assert [tuple(row) for row in read] == [(0,)], value


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_group_that_was_opened_in_vain_is_not_opened_at_every_tick(database: Database, tmp_path: Path) -> None:
    with filled(database, tmp_path / "books", SMALL) as (engine, made):
        with made.store.write() as books:
            one_more(books.triggers)
        for value in ("110", "110", "109"):
            with made.store.write() as books:
                made.tick(value)(books.triggers)
        with made.store.write() as books:
            books.triggers.remove([TriggerId("new")])
        before = nearest(engine)
        with made.store.write() as books:
            made.tick("108.9")(books.triggers)
        assert nearest(engine) < before


def nearest(engine: Engine) -> int:
    """Of the group of trails that fall."""
    column = tables.trigger_groups.c
    with engine.connect() as connection:
        ((found,),) = connection.execute(
            select(column.nearest).where(column.direction == Direction.DOWN, column.floor.is_not(None))
        )
    return int(found)


def test_postgresql_knows_how_few_a_value_reaches(tmp_path: Path) -> None:
    """Levels of both directions stand in one column: what it believes of all of them made it read the whole table."""
    with filled("postgres", tmp_path / "books", LARGE) as (engine, _):
        at = {direction.value: place_of(direction, Decimal(100)) for direction in Direction}
        found = _FOUND.params(subject=SOL, **at).compile(engine, compile_kwargs={"literal_binds": True})
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
            (plan, *_rest), *_more = connection.exec_driver_sql(f"EXPLAIN {found}".replace("%", "%%")).all()
    (rows,) = re.findall(r"rows=(\d+)", plan)
    assert int(rows) < LARGE / 100
