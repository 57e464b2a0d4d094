"""Fixtures of the crash suite: one fast sandbox for all of it, and a fresh wallet with fresh books for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.postgres import new_books
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.faults.crew import dismiss_all
from tests.faults.scenes import calm, sandbox_options
from tests.faults.world import World, new_world


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full-matrix` runs every answer against every step, which takes minutes."""
    parser.addoption("--full-matrix", action="store_true", help="every crash against every answer")


@pytest.fixture(scope="package")
def fast_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """5 ms slots and a busy crowd: a proof of death takes about a second."""
    with running_sandbox(tmp_path_factory.mktemp("faults-sandbox"), **sandbox_options()) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(fast_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """The sandbox without faults, before and after."""
    calm(fast_sandbox)
    yield fast_sandbox
    dismiss_all()
    calm(fast_sandbox)


@pytest.fixture
def world(sandbox: RunningSandbox, tmp_path: Path) -> World:
    """A funded wallet and its books in SQLite."""
    return new_world(sandbox, tmp_path / "home")


@pytest.fixture
def postgres_world(sandbox: RunningSandbox, tmp_path: Path) -> World:
    """The same with books in PostgreSQL."""
    return new_world(sandbox, tmp_path / "home", database_url=new_books())
