"""Empty books of each kind, for tests that hold for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import Engine

from sniperforge.ports.store import Store
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.migrations import upgrade
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes import postgres
from tests.fakes.store import FakeStore

Database = Literal["sqlite", "postgres"]


@contextmanager
def migrated_engine(database: Database, folder: Path) -> Iterator[Engine]:
    """An engine on fresh, empty books."""
    if database == "sqlite":
        engine = create_engine_for(f"sqlite:///{folder / 'books.db'}")
        upgrade(engine)
    else:
        engine = create_engine_for(postgres.new_books())
    yield engine
    engine.dispose()


@contextmanager
def empty_store(kind: Literal["fake"] | Database, folder: Path) -> Iterator[Store]:
    """Fresh, empty books."""
    if kind == "fake":
        yield FakeStore()
    else:
        with migrated_engine(kind, folder) as engine:
            yield SqlStore(engine)
