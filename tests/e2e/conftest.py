"""Whose turn it is to keep the books of every home: SQLite's, or PostgreSQL's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.home_books import kept_in
from tests.fakes.stores import Database


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that ask for `each_books` run on both in the usual run, and not once more on SQLite in PostgreSQL's."""
    if "each_books" in metafunc.fixturenames:
        usual = metafunc.config.getoption("--books") == "sqlite"
        metafunc.parametrize("each_books", ["sqlite", "postgres"] if usual else ["postgres"], scope="module")


@pytest.fixture(scope="module", autouse=True)
def books(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The database of the homes that this module makes; `--books` says which."""
    kind: Database = request.config.getoption("--books")
    with kept_in(kind):
        yield kind
