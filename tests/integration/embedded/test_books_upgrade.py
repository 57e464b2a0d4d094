"""Books of another version when a stack starts."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from sniperforge.embedded.books_upgrade import upgrade_books
from sniperforge.errors import StorageError
from sniperforge.storage import migrations
from sniperforge.storage.engine import create_engine_for
from tests.fakes.clock import START

BACKUP = "books-0001-20260101T120000Z.db"


def test_new_books_get_their_tables_and_no_backup(tmp_path: Path) -> None:
    assert _upgraded(tmp_path) == []
    assert _revision(tmp_path / "books.db") == migrations.head_revision()
    assert _upgraded(tmp_path) == [], "books of this version are left alone"
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["books.db"]


def test_older_books_are_copied_before_they_are_upgraded(tmp_path: Path) -> None:
    _books_at_revision("0001", tmp_path)
    with closing(sqlite3.connect(tmp_path / "books.db")) as books:
        books.execute(
            "INSERT INTO wallets (address, name, network, mode, wrap_mode, epoch, version, created_at)"
            " VALUES ('w', 'main', 'sandbox', 'active', 'native', 1, 0, '2026-01-01')"
        )
        books.commit()
    told = _upgraded(tmp_path)
    assert len(told) == 1
    assert BACKUP in told[0]
    assert _revision(tmp_path / BACKUP) == "0001"
    assert _revision(tmp_path / "books.db") == migrations.head_revision()
    for name in (BACKUP, "books.db"):
        with closing(sqlite3.connect(tmp_path / name)) as books:
            assert books.execute("SELECT name FROM wallets").fetchall() == [("main",)], name
    assert stat.S_IMODE((tmp_path / BACKUP).stat().st_mode) == 0o600


def test_books_that_a_newer_program_made_are_refused_and_not_touched(tmp_path: Path) -> None:
    _books_at_revision("head", tmp_path)
    with closing(sqlite3.connect(tmp_path / "books.db")) as books:
        books.execute("UPDATE alembic_version SET version_num = '9999'")
        books.commit()
    with pytest.raises(StorageError, match=r"9999, which this program does not know.*newer SniperForge"):
        _upgraded(tmp_path)
    assert _revision(tmp_path / "books.db") == "9999"
    assert [path.name for path in tmp_path.glob("books-*")] == []


def test_books_that_cannot_be_copied_are_not_upgraded(tmp_path: Path) -> None:
    _books_at_revision("0001", tmp_path)
    (tmp_path / BACKUP).mkdir()  # a name that cannot be written
    (tmp_path / BACKUP / "in the way").touch()
    with pytest.raises(StorageError, match="cannot be copied before their upgrade"):
        _upgraded(tmp_path)
    assert _revision(tmp_path / "books.db") == "0001"


def _upgraded(folder: Path) -> list[str]:
    told: list[str] = []

    def say(text: str, *, warning: bool = False) -> None:
        told.append(text)

    engine = create_engine_for(f"sqlite:///{folder / 'books.db'}")
    try:
        upgrade_books(engine, now=START, say=say)
    finally:
        engine.dispose()
    return told


def _books_at_revision(revision: str, folder: Path) -> None:
    engine = create_engine_for(f"sqlite:///{folder / 'books.db'}")
    config = migrations._config()
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def _revision(path: Path) -> str:
    engine = create_engine_for(f"sqlite:///{path}")
    with engine.connect() as connection:
        found: str = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    return found
