"""A sandbox and homes for whoever types; and whose turn it is to keep the books: SQLite's, or PostgreSQL's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.home_books import kept_in
from tests.fakes.redis_server import RedisServer, running_redis
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.fakes.stores import Database
from tests.fakes.user_home import Home, fund, make_home


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


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A market that moves only when it is told to."""
    home = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(home, slot_ms=40, rate_limits=False, crowd=20, scenario="flat") as running:
        yield running


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """For homes whose `SNIPERFORGE_REDIS_URL` names it."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def home(sandbox: RunningSandbox, tmp_path: Path) -> Home:
    """Funded, and nothing runs on it."""
    made = make_home(sandbox, tmp_path)
    fund(sandbox, made)
    return made


@pytest.fixture(scope="module")
def shared_home(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """For tests after which nothing has changed."""
    made = make_home(sandbox, tmp_path_factory.mktemp("shared"))
    fund(sandbox, made)
    return made
