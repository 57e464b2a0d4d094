"""How the database is opened: what is set is read back, what cannot work is said in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from sniperforge.errors import StorageBusyError, StorageError
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.migrations import check_schema, upgrade
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes import postgres
from tests.fakes.stores import migrated_engine


@pytest.fixture
def sqlite_books(tmp_path: Path) -> Iterator[Engine]:
    with migrated_engine("sqlite", tmp_path) as engine:
        yield engine


@pytest.fixture
def postgres_books(tmp_path: Path) -> Iterator[Engine]:
    with migrated_engine("postgres", tmp_path) as engine:
        yield engine


def test_sqlite_is_opened_durably(sqlite_books: Engine) -> None:
    with sqlite_books.connect() as connection:

        def pragma(name: str) -> object:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()

        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2, "FULL"
        assert pragma("foreign_keys") == 1
        assert pragma("busy_timeout") == 5_000


def test_every_pooled_sqlite_connection_is_opened_durably(sqlite_books: Engine) -> None:
    with sqlite_books.connect(), sqlite_books.connect() as second:
        assert second.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_a_sqlite_writer_is_alone_from_its_first_moment(sqlite_books: Engine) -> None:
    store = SqlStore(sqlite_books)

    with store.write(), sqlite_books.connect() as other:
        other.exec_driver_sql("PRAGMA busy_timeout=0")
        raw = other.connection.driver_connection
        assert raw is not None
        with pytest.raises(Exception, match="locked"):
            raw.execute("BEGIN IMMEDIATE")


def test_a_sqlite_reader_and_a_writer_do_not_wait_for_each_other(sqlite_books: Engine) -> None:
    store = SqlStore(sqlite_books)

    with store.read() as reader:
        before = reader.system.get()
        with store.write() as books:
            books.system.saw_finalized_height(1)
        assert reader.system.get() == before


def test_postgresql_is_opened_durably_and_waits_for_no_helpers(postgres_books: Engine) -> None:
    with postgres_books.connect() as connection:

        def setting(name: str) -> object:
            return connection.exec_driver_sql(f"SHOW {name}").scalar_one()

        assert setting("synchronous_commit") == "on"
        assert setting("transaction_isolation") == "read committed"
        assert setting("timezone") == "UTC"
        assert setting("lock_timeout") == "5s"
        assert setting("max_parallel_workers_per_gather") == "0"
        assert setting("jit") == "off"
        assert setting("statement_timeout") == "30s"
        assert setting("idle_in_transaction_session_timeout") == "1min"
        assert setting("application_name") == "sniperforge"


def test_a_postgresql_read_is_one_read_only_snapshot_and_the_next_write_is_not(postgres_books: Engine) -> None:
    store = SqlStore(postgres_books)
    with store.read() as books:
        connection = books.system._transaction._connection
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "repeatable read"
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on"

    with store.write() as books:
        connection = books.system._transaction._connection
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "off"


@pytest.mark.parametrize("address", ["", "books.db", "sqlite://", "sqlite:///:memory:", "mysql://root@localhost/x"])
def test_an_address_that_cannot_work_is_refused_with_the_fix(address: str) -> None:
    with pytest.raises(StorageError, match="Use sqlite:///PATH, or postgresql://"):
        create_engine_for(address)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="folder exists"):
        upgrade(create_engine_for(f"sqlite:///{tmp_path / 'nowhere' / 'books.db'}"))


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    path.write_text("my shopping list, which is longer than the header of a database" * 20)

    with pytest.raises(StorageError, match="no SQLite database"):
        upgrade(create_engine_for(f"sqlite:///{path}"))

    assert path.read_text().startswith("my shopping list")


def test_a_damaged_database_says_so(sqlite_books: Engine, tmp_path: Path) -> None:
    sqlite_books.dispose()
    path = tmp_path / "books.db"
    damaged = bytearray(path.read_bytes())
    damaged[100:] = b"\xff" * (len(damaged) - 100)
    path.write_bytes(damaged)

    with pytest.raises(StorageError, match="damaged"):
        check_schema(sqlite_books)


def test_a_server_that_is_not_there_is_worth_another_try() -> None:
    engine = create_engine_for("postgresql://nobody@127.0.0.1:1/books")

    with pytest.raises(StorageBusyError, match="cannot be reached"):
        check_schema(engine)


def test_a_database_that_is_not_there_has_to_be_made() -> None:
    engine = create_engine_for(postgres.shared_server().url("nowhere"))

    with pytest.raises(StorageError, match="no such database"):
        check_schema(engine)


WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None
from sniperforge.errors import StorageError
from sniperforge.storage.engine import create_engine_for
try:
    create_engine_for("postgresql://me@host/books")
except StorageError as error:
    print(error)
"""


def test_a_driver_that_is_not_installed_is_named_with_the_extra_that_brings_it() -> None:
    said = subprocess.run(
        (sys.executable, "-c", WITHOUT_DRIVER), check=True, capture_output=True, text=True, timeout=60
    )

    assert "no PostgreSQL driver" in said.stdout
    assert "with the extra `postgres` installed" in said.stdout


def test_a_store_out_of_connections_is_worth_another_try(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'books.db'}", pool_size=1, max_overflow=0, pool_timeout=0.01)
    store = SqlStore(engine)

    with store.read(), pytest.raises(StorageBusyError, match="in use"), store.read():
        pass

    store.close()
