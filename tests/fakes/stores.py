"""Empty books of each kind, for tests that hold for all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
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


@cache
def _migrated_file() -> bytes:
    """A SQLite file with the newest schema and nothing in it; migrating takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "books.db"
        engine = create_engine_for(f"sqlite:///{path}")
        upgrade(engine)
        engine.dispose()
        return path.read_bytes()


@contextmanager
def migrated_engine(database: Database, folder: Path) -> Iterator[Engine]:
    """An engine on fresh, empty books."""
    if database == "sqlite":
        path = folder / "books.db"
        path.write_bytes(_migrated_file())
        engine = create_engine_for(f"sqlite:///{path}")
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
