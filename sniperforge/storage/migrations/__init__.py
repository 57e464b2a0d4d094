"""The schema's history, and the three things to do with it: bring it up to date, look at it, check it.

A new revision is a file in `versions/` named `NNNN_what_it_does.py`, written by hand: it uses plain SQLAlchemy types
and nothing of `tables.py`, because it must do the same for ever. The tests compare its outcome with `tables.py`.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from sniperforge.errors import StorageError
from sniperforge.storage.engine import for_writing
from sniperforge.storage.failures import BOOKS, in_our_words

_UPGRADE_LOCK = 7_264_583_911
"""Any number, the same for all: PostgreSQL's advisory lock that lets one process upgrade at a time."""


def head_revision() -> str:
    """The newest revision this program knows."""
    head = _scripts().get_current_head()
    if head is None:
        raise StorageError("the program has no schema revisions", subject="installation", fix="Install it again")
    return head


def current_revision(engine: Engine) -> str | None:
    """The schema's revision; None for an empty database."""
    with in_our_words(), engine.connect() as connection:
        return _revision(connection)


def check_schema(engine: Engine) -> None:
    """Make sure this program and this schema fit.

    Raises:
        StorageError: The database is empty, or its schema is older or newer than the program.
    """
    revision = current_revision(engine)
    if revision is None:
        raise StorageError("the database has no tables yet", subject=BOOKS, fix="Run `sniperforge books-upgrade`")
    refuse_newer(revision)
    if revision != head_revision():
        raise StorageError(
            f"the schema is at {revision}, this program needs {head_revision()}",
            subject=BOOKS,
            fix="Back up the books, then run `sniperforge books-upgrade`",
        )


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision: all of it or, when anything fails, none of it.

    Several processes may try at once; one does it, the others find it done.

    Raises:
        StorageError: The schema is newer than this program.
        StorageBusyError: The database is locked, full or read-only.
    """
    config = _config()
    with in_our_words(), engine.connect() as connection, for_writing(connection).begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
        revision = _revision(connection)
        if revision is not None:
            refuse_newer(revision)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def refuse_newer(revision: str) -> None:
    """Make sure that this program knows this revision.

    Raises:
        StorageError: It does not: a newer program made it.
    """
    if revision not in {script.revision for script in _scripts().walk_revisions()}:
        raise StorageError(
            f"the schema is at {revision}, which this program does not know: a newer one made it",
            subject=BOOKS,
            fix="Use that newer SniperForge, or restore a backup from before",
        )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
