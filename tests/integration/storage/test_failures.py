"""When the database fails: nothing is lost, and the books never guess whether something was written."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from sniperforge.errors import CommitOutcomeUnknownError, ConflictError, StorageBusyError, StorageError
from sniperforge.ports.records import Event, Severity
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.migrations import upgrade
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes.clock import START
from tests.fakes.postgres import PostgresServer
from tests.fakes.records import a_wallet, an_intent
from tests.fakes.stores import migrated_engine

ROOT = Path(__file__).parents[3]


def an_event(message: str) -> Event:
    return Event(at=START, kind="test.fills_the_disk", severity=Severity.INFO, message=message)


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with migrated_engine(request.param, tmp_path) as made:
        yield made


def with_pragma(path: Path, pragma: str) -> Engine:
    """Another engine on the same SQLite file, every connection of which runs this pragma."""
    engine = create_engine_for(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _run(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA {pragma}")

    return engine


def test_a_read_only_database_refuses_to_write_and_still_reads(tmp_path: Path) -> None:
    with migrated_engine("sqlite", tmp_path) as good:
        with SqlStore(good).write() as books:
            books.wallets.add(a_wallet())
        store = SqlStore(with_pragma(tmp_path / "books.db", "query_only=ON"))

        with pytest.raises(StorageBusyError, match="read-only"), store.write() as books:
            books.intents.add(an_intent())

        with store.read() as books:
            assert books.wallets.all() == (a_wallet(),)
            assert books.intents.recent(1) == ()
        store.close()


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with migrated_engine("sqlite", tmp_path) as good:
        with good.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        store = SqlStore(with_pragma(tmp_path / "books.db", f"max_page_count={pages + 30}"))
        acknowledged: list[Event] = []

        def fill_up() -> None:
            for number in range(1_000):
                with store.write() as books:
                    books.events.add(an_event(f"{number} " + "x" * 2_000))
                    added = books.events.add(an_event(f"{number} " + "y" * 2_000))
                acknowledged.append(added)

        with pytest.raises(StorageBusyError, match="disk is full"):
            fill_up()

        assert acknowledged
        with store.read() as books:
            assert books.events.recent(1) == (acknowledged[-1],)
        store.close()
        with SqlStore(good).write() as books:
            books.events.add(an_event("there is room again"))


def test_a_writer_that_waits_too_long_is_told_to_try_again(tmp_path: Path) -> None:
    with migrated_engine("sqlite", tmp_path) as good:
        impatient = SqlStore(with_pragma(tmp_path / "books.db", "busy_timeout=10"))

        with SqlStore(good).write(), pytest.raises(StorageBusyError, match="locked"), impatient.write():
            pass

        impatient.close()


def test_a_row_lock_that_is_not_given_is_told_to_try_again(tmp_path: Path) -> None:
    with migrated_engine("postgres", tmp_path) as good:
        impatient = create_engine_for(good.url.render_as_string(hide_password=False))

        @event.listens_for(impatient, "begin")
        def _hurry(connection: Any) -> None:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '10ms'")

        with SqlStore(good).write() as books:
            books.system.change(books.system.get(), reason="held")
            with (
                pytest.raises(StorageBusyError, match="holds the row"),
                SqlStore(impatient).write() as others,
            ):
                others.system.hold()
        impatient.dispose()


def test_a_table_that_is_not_there_asks_for_a_migration(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE price_observations")
        connection.exec_driver_sql("DROP TABLE events")

    with pytest.raises(StorageError, match="upgrade"), SqlStore(engine).read() as books:
        books.events.recent(1)


def test_a_damaged_page_is_said_so_when_a_query_comes_to_it(tmp_path: Path) -> None:
    with migrated_engine("sqlite", tmp_path) as engine:
        store = SqlStore(engine)
        with store.write() as books:
            for number in range(50):
                books.events.add(an_event(f"{number} " + "x" * 4_000))
        store.close()
        path = tmp_path / "books.db"
        content = path.read_bytes()
        page = content.index(b"20 xxx") // 4_096 * 4_096
        path.write_bytes(content[:page] + b"\xff" * 4_096 + content[page + 4_096 :])

        with pytest.raises(StorageError, match="damaged"), store.read() as books:
            books.events.recent(100)
        store.close()


def test_a_system_row_that_is_gone_is_said_so(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM system_state")

    with pytest.raises(StorageError, match="system_state"), SqlStore(engine).read() as books:
        books.system.get()


def kill_connections_of(engine: Engine) -> None:
    with engine.connect() as admin:
        admin.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_server_that_goes_away_under_a_reader_leaves_no_error_of_its_own(tmp_path: Path) -> None:
    with migrated_engine("postgres", tmp_path) as engine:
        store = SqlStore(engine)
        with store.read() as books:
            before = books.system.get()
            kill_connections_of(engine)
        with store.read() as books:
            assert books.system.get() == before


def test_a_connection_lost_at_commit_is_an_unknown_outcome(tmp_path: Path) -> None:
    with migrated_engine("postgres", tmp_path) as engine:
        store = SqlStore(engine)

        def write() -> None:
            with store.write() as books:
                books.wallets.add(a_wallet())
                kill_connections_of(engine)

        with pytest.raises(CommitOutcomeUnknownError, match="Read the rows again"):
            write()

        with store.read() as books:
            assert books.wallets.all() == ()


def test_a_connection_lost_before_commit_wrote_nothing(tmp_path: Path) -> None:
    with migrated_engine("postgres", tmp_path) as engine:
        store = SqlStore(engine)

        def write() -> None:
            with store.write() as books:
                books.wallets.add(a_wallet())
                kill_connections_of(engine)
                books.intents.add(an_intent())

        with pytest.raises(StorageBusyError, match="stopped this transaction"):
            write()

        with store.write() as books:
            assert books.wallets.all() == ()
            books.wallets.add(a_wallet())


def test_a_commit_that_the_database_itself_refuses_is_known_to_be_undone(tmp_path: Path) -> None:
    with migrated_engine("postgres", tmp_path) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "ALTER TABLE events ADD CONSTRAINT late UNIQUE (message) DEFERRABLE INITIALLY DEFERRED"
            )
        store = SqlStore(engine)

        def write() -> None:
            with store.write() as books:
                books.events.add(an_event("twice"))
                books.events.add(an_event("twice"))

        with pytest.raises(ConflictError):
            write()

        with store.read() as books:
            assert books.events.recent(10) == ()


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [("disk I/O error", CommitOutcomeUnknownError), ("database or disk is full", StorageBusyError)],
)
def test_a_failed_sqlite_commit_is_undone_or_unknown_never_both(
    tmp_path: Path, trouble: str, expected: type[Exception]
) -> None:
    """The disk fails exactly when COMMIT reaches it; only what SQLite calls undone is taken as undone."""
    codes = {"disk I/O error": sqlite3.SQLITE_IOERR, "database or disk is full": sqlite3.SQLITE_FULL}
    with migrated_engine("sqlite", tmp_path) as engine:
        failing = {"now": True}

        @event.listens_for(engine, "commit")
        def _fail(_connection: Any) -> None:
            if failing["now"]:
                error = sqlite3.OperationalError(trouble)
                error.sqlite_errorcode = codes[trouble]
                raise OperationalError("COMMIT", None, error)

        with pytest.raises(expected), SqlStore(engine).write() as books:
            books.wallets.add(a_wallet())

        failing["now"] = False
        with SqlStore(engine).write() as books:
            assert books.wallets.all() == ()


def test_after_the_server_restarts_the_same_store_goes_on() -> None:
    with PostgresServer() as server:
        engine = create_engine_for(server.url(server.database()))
        upgrade(engine)
        store = SqlStore(engine)
        with store.write() as books:
            books.wallets.add(a_wallet())

        server.stop()
        with pytest.raises(StorageBusyError, match="cannot be reached"), store.read():
            pass
        server.start()

        with store.read() as books:
            assert books.wallets.all() == (a_wallet(),)
        engine.dispose()


WRITER = """
import os, signal, sys
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes.records import a_wallet, an_intent
store = SqlStore(create_engine_for(sys.argv[1]))
with store.write() as books:
    books.wallets.add(a_wallet())
with store.write() as books:
    books.intents.add(an_intent())
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_what_it_committed_and_nothing_else(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)

    ended = subprocess.run((sys.executable, "-c", WRITER, url), cwd=ROOT, check=False, timeout=60)

    assert ended.returncode == -signal.SIGKILL
    with SqlStore(engine).write() as books:
        assert books.wallets.all() == (a_wallet(),)
        assert books.intents.recent(1) == ()
