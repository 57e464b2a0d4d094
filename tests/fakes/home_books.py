"""Where the homes that tests make keep their books: in a file of their own, or each in a database of one PostgreSQL.

A home asks for its settings when it is made; which kind there is was said around it, with `kept_in`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text

from sniperforge.config import CONFIG_NAME, ENV_PREFIX
from sniperforge.storage.engine import create_engine_for, for_reading, for_writing
from tests.fakes.postgres import shared_server
from tests.fakes.stores import Database

ADDRESS = f"{ENV_PREFIX}DATABASE_URL"
TRADE_THREADS = 8
"""Of a stack on PostgreSQL: the tests' server has few connections."""


@dataclass
class _Books:
    kind: Database
    databases: dict[Path, str] = field(default_factory=dict)


_said: list[_Books] = [_Books("sqlite")]


@contextmanager
def kept_in(kind: Database) -> Iterator[None]:
    """Homes that are made meanwhile keep their books there; databases that were made for them go at the end."""
    books = _Books(kind)
    _said.append(books)
    try:
        yield
    finally:
        _said.remove(books)
        for name in books.databases.values():
            shared_server().drop(name)


def books_of(home: Path) -> dict[str, str]:
    """What to set in the environment of this home, the same each time. Nothing for books in the home itself."""
    return {f"{ENV_PREFIX}{name.upper()}": value for name, value in _settings(home).items()}


def write_books_of(home: Path) -> None:
    """Write it to the home's settings, for programs that take nothing from the environment."""
    settings = _settings(home)
    if settings:
        home.mkdir(parents=True, exist_ok=True)
        path = home / CONFIG_NAME
        path.write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
        path.chmod(0o600)


def read_books(environment: Mapping[str, str], question: str, *, of: str) -> list[Any]:
    """First column of what this SQL finds, read past the command line, which takes a second to start.

    Args:
        environment: Of the home.
        question: A query that both kinds of database understand.
        of: A table that it asks. Nothing is found in books that do not have it yet.
    """
    if ADDRESS not in environment and not _file(environment).exists():
        return []  # opening it would make it
    with _engine(environment) as engine, engine.connect() as connection, for_reading(connection).begin():
        return list(connection.scalars(text(question))) if inspect(connection).has_table(of) else []


def change_books(environment: Mapping[str, str], change: str) -> int:
    """Make this change in the books, as a hand that the product knows nothing of. Returns how many rows it changed."""
    with _engine(environment) as engine, engine.connect() as connection, for_writing(connection).begin():
        return connection.execute(text(change)).rowcount


def _file(environment: Mapping[str, str]) -> Path:
    """Of live books that are in the home itself."""
    return Path(environment[f"{ENV_PREFIX}HOME"]) / "books.db"


@contextmanager
def _engine(environment: Mapping[str, str]) -> Iterator[Engine]:
    engine = create_engine_for(environment[ADDRESS] if ADDRESS in environment else f"sqlite:///{_file(environment)}")
    try:
        yield engine
    finally:
        engine.dispose()


def _settings(home: Path) -> dict[str, str]:
    books = _said[-1]
    if books.kind == "sqlite":
        return {}
    server = shared_server()
    if home not in books.databases:
        books.databases[home] = server.database()
    return {"database_url": server.url(books.databases[home]), "trade_threads": str(TRADE_THREADS)}
