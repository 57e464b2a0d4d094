"""Opening the database so that a commit that was acknowledged stays, and two writers never blur.

SQLite: write-ahead log, `synchronous=FULL` (in WAL mode NORMAL may lose the last commits when power fails, see
https://www.sqlite.org/pragma.html#pragma_synchronous), foreign keys, `BEGIN IMMEDIATE` for writers so that they queue
at the start instead of failing in the middle. PostgreSQL: `synchronous_commit=on`, READ COMMITTED with explicit row
locks for writers, one REPEATABLE READ snapshot for readers, as SQLite's readers have.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from sniperforge.errors import StorageBusyError, StorageError

BUSY_TIMEOUT_MS = 5_000
"""Longest wait for another writer before `StorageBusyError`."""

POOL_SIZE = 8
MAX_OVERFLOW = 56
"""With the pool, as many connections as one worker has threads."""

_URL_FIX = "Use sqlite:///PATH, or postgresql://USER@HOST/NAME with the extra `postgres` installed"
_POSTGRES_OPTIONS = " ".join(
    (
        "-c synchronous_commit=on",
        "-c timezone=UTC",
        f"-c lock_timeout={BUSY_TIMEOUT_MS}",
        "-c statement_timeout=30000",
        "-c idle_in_transaction_session_timeout=60000",
        "-c max_parallel_workers_per_gather=0",
        "-c jit=off",
    )
)
"""Every statement here reads a few rows by an index, or is a person's question. Where its statistics make PostgreSQL
expect more rows of a large book than there are, helpers that it starts, or code that it compiles, take longer than all
the rest: a tick over 10^6 triggers took 7 ms instead of 0.3."""


def create_engine_for(address: str) -> Engine:
    """An engine on the books. Nothing is opened yet. Make one per process, after any fork.

    Args:
        address: `sqlite:///PATH` or `postgresql://...`.

    Raises:
        StorageError: Not an address, a database we do not know, a driver that is not installed, or SQLite in memory
            (each connection would have books of its own).
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise StorageError("this is no database address", subject="database_url", fix=_URL_FIX) from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite_engine(url)
    if backend == "postgresql":
        return _postgres_engine(url.set(drivername="postgresql+psycopg"))
    raise StorageError(f"books cannot be kept in {backend!r}", subject="database_url", fix=_URL_FIX)


def for_reading(connection: Connection) -> Connection:
    """`connection`, its next transaction a read of one snapshot."""
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return connection


def for_writing(connection: Connection) -> Connection:
    """`connection`, its next transaction a write."""
    return connection.execution_options(sniperforge_writes=True)


class WriterTurn:
    """Lets the threads of this process write to SQLite one after the other, each as soon as the last one ended.

    SQLite itself makes a writer that finds the file locked sleep and look again, longer each time: with many threads
    the lock stands idle while all of them sleep, and some wait a hundred times longer than others. PostgreSQL needs no
    such help.

    Args:
        engine: From `create_engine_for`.
    """

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock() if engine.dialect.name == "sqlite" else None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, and give it on.

        Raises:
            StorageBusyError: It did not come.
        """
        if self._lock is None:
            yield
            return
        if not self._lock.acquire(timeout=BUSY_TIMEOUT_MS / 1000):
            raise StorageBusyError(
                "another thread has been writing for too long", subject="the books", fix="It is tried again"
            )
        try:
            yield
        finally:
            self._lock.release()


def _sqlite_engine(url: URL) -> Engine:
    if not url.database or url.database == ":memory:" or url.query.get("mode") == "memory":
        raise StorageError("the books need a file", subject="database_url", fix=_URL_FIX)
    engine = create_engine(url, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW)

    @event.listens_for(engine, "connect")
    def _open(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # sqlite3 begins nothing by itself; `_begin` does
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise StorageError(f"SQLite cannot keep a write-ahead log here ({mode})", subject=str(url.database))
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("sniperforge_writes", False)
        # By the driver itself: a statement of SQLAlchemy's would cost several times as much.
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            isolation_level="READ COMMITTED",
            pool_size=POOL_SIZE,
            max_overflow=MAX_OVERFLOW,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 5,
                "application_name": "sniperforge",
                "options": _POSTGRES_OPTIONS,
            },
        )
    except ImportError as error:
        raise StorageError(f"no PostgreSQL driver: {error}", subject="database_url", fix=_URL_FIX) from error
