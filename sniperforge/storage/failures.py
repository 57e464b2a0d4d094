"""What a database error means, in our words: did it happen, does trying again help, what is to be done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sniperforge.errors import (
    CommitOutcomeUnknownError,
    ConflictError,
    InvalidInputError,
    SniperForgeError,
    StorageBusyError,
    StorageError,
)

BOOKS = "the books"
_SQLITE_DUPLICATE = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
}
_SQLITE_BUSY = {
    sqlite3.SQLITE_BUSY: ("the database is locked by another process", "It is tried again"),
    sqlite3.SQLITE_LOCKED: ("the database is locked by another connection", "It is tried again"),
    sqlite3.SQLITE_READONLY: ("the database is read-only", "Make the file and its folder writable"),
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space"),
    sqlite3.SQLITE_IOERR: ("the disk failed to read or write", "Look at the disk and its file system"),
    sqlite3.SQLITE_NOMEM: ("the machine is out of memory", "Free some memory"),
}
_SQLITE_BROKEN = {
    sqlite3.SQLITE_CANTOPEN: ("the database file cannot be opened", "Check that its folder exists and is writable"),
    sqlite3.SQLITE_NOTADB: ("the file is no SQLite database", "Point the settings at the right file"),
    sqlite3.SQLITE_CORRUPT: ("the database file is damaged", "Stop, keep the file, and restore a backup"),
}
# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES_BUSY = {
    "08": ("the database cannot be reached", "Start it, or correct its address"),
    "25006": ("the database is read-only", "Point the settings at the primary server"),
    "40": ("the database undid this transaction in favour of another", "It is tried again"),
    "53": ("the database is short of disk, memory or connections", "Look at the server"),
    "55P03": ("another transaction holds the row", "It is tried again"),
    "57": ("the database stopped this transaction", "It is tried again"),
}
_POSTGRES_BROKEN = {
    "28": ("the database refuses this user or password", "Correct SNIPERFORGE_DATABASE_URL"),
    "3D000": ("there is no such database", "Create it, or correct SNIPERFORGE_DATABASE_URL"),
    "42501": ("this database user lacks a right", "Grant it the tables of its schema"),
}
_SCHEMA_FIX = "Back up the books, then run `sniperforge books-upgrade`"


def meaning(error: Exception) -> SniperForgeError:
    """Our error for one of SQLAlchemy's, raised anywhere but in COMMIT: nothing of the transaction is kept."""
    if isinstance(error, PoolTimeoutError):
        return StorageBusyError("all database connections are in use", subject=BOOKS, fix="It is tried again")
    cause = error.orig if isinstance(error, StatementError) else error
    if isinstance(cause, SniperForgeError):
        return cause
    if cause is not None and isinstance(error, DBAPIError | sqlite3.Error):
        return driver_meaning(cause)
    raise error


def driver_meaning(cause: BaseException) -> SniperForgeError:
    """Our error for one of a driver's, raised anywhere but in COMMIT: nothing of the transaction is kept."""
    return _sqlite_meaning(cause) if isinstance(cause, sqlite3.Error) else _postgres_meaning(cause)


def commit_meaning(error: DBAPIError) -> SniperForgeError:
    """Our error for a failed COMMIT: nothing was written only if the database itself said so."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_IOERR)
        refused = code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CONSTRAINT}
    else:
        state = _sqlstate(cause)
        refused = state[:2] in {"23", "40", "53"} and state != "40003" and not error.connection_invalidated
    if refused:
        return meaning(error)
    return CommitOutcomeUnknownError(
        f"the connection failed while committing: {_first_line(cause)}",
        subject=BOOKS,
        fix="Read the rows again before acting",
    )


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turn errors inside, of SQLAlchemy and of SQLite's driver, into ours."""
    try:
        yield
    except (StatementError, PoolTimeoutError, sqlite3.Error) as error:
        raise meaning(error) from error


def _sqlite_meaning(cause: sqlite3.Error) -> SniperForgeError:
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code in _SQLITE_DUPLICATE:
        return ConflictError(f"the key is taken ({cause})", subject=BOOKS, fix="Reload and decide again")
    primary = code & 0xFF
    if primary in {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH}:
        return InvalidInputError(f"the books refuse this row ({cause})", subject=BOOKS)
    if primary in _SQLITE_BUSY:
        what, fix = _SQLITE_BUSY[primary]
        return StorageBusyError(what, subject=BOOKS, fix=fix)
    if primary in _SQLITE_BROKEN:
        what, fix = _SQLITE_BROKEN[primary]
        return StorageError(what, subject=BOOKS, fix=fix)
    return StorageError(f"the database refuses: {cause}", subject=BOOKS, fix=_SCHEMA_FIX)


def _postgres_meaning(cause: BaseException) -> SniperForgeError:
    state = _sqlstate(cause)
    line = _first_line(cause)
    if state == "23505":
        return ConflictError(f"the key is taken ({line})", subject=BOOKS, fix="Reload and decide again")
    if state[:2] in {"22", "23"}:
        return InvalidInputError(f"the books refuse this row ({line})", subject=BOOKS)
    for table, kind in ((_POSTGRES_BROKEN, StorageError), (_POSTGRES_BUSY, StorageBusyError)):
        found = table.get(state) or table.get(state[:2])
        if found:
            return kind(f"{found[0]} ({line})", subject=BOOKS, fix=found[1])
    return StorageError(f"the database refuses: {line}", subject=BOOKS, fix=_SCHEMA_FIX)


def _sqlstate(cause: BaseException | None) -> str:
    """SQLSTATE; an error without one is a connection that was never made or broke (class 08)."""
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return state
    text = str(cause)
    if "does not exist" in text and "database" in text:
        return "3D000"
    if "authentication failed" in text:
        return "28P01"
    return "08006"


def _first_line(cause: BaseException | None) -> str:
    return str(cause).strip().partition("\n")[0]
