"""Books of an earlier version, brought up to date after a copy of them was put aside."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sniperforge.errors import StorageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from sniperforge.embedded.supervisor import Say


def upgrade_books(engine: Engine, *, now: datetime, say: Say) -> Path | None:
    """Bring the books to this program's schema, SQLite after a backup beside the file; gives that backup.

    Books in PostgreSQL are upgraded when new only: backing them up is their owner's, and `check_schema` says so.

    Raises:
        StorageError: A newer program made them (nothing was touched), or they cannot be copied.
        StorageBusyError: The database is locked, full or read-only.
    """
    from sniperforge.storage.migrations import check_schema, current_revision, head_revision, refuse_newer, upgrade

    revision = current_revision(engine)
    backup = None
    if revision is not None and revision != head_revision():
        refuse_newer(revision)
        if engine.dialect.name != "sqlite":
            check_schema(engine)
        backup = _backup(Path(str(engine.url.database)), revision, now)
        say(f"the books are at schema {revision}: copied to {backup}, now upgraded to {head_revision()}")
    if revision != head_revision():
        upgrade(engine)
    return backup


def _backup(books: Path, revision: str, now: datetime) -> Path:
    """A copy of a database in use, whole under its name or not there."""
    target = books.with_name(f"{books.stem}-{revision}-{now:%Y%m%dT%H%M%SZ}.db")
    unfinished = target.with_suffix(".unfinished")
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with closing(sqlite3.connect(books)) as source, closing(sqlite3.connect(unfinished)) as copy:
            source.backup(copy)
        unfinished.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"the books cannot be copied before their upgrade: {error}",
            subject=str(books),
            fix="Make room, start again",
        ) from error
    return target
