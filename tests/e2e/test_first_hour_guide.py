"""The first hour as the guide tells it: every command in it is typed, in its order, and works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.guide_reader import ROOT, Person, commands_in, text_of
from tests.fakes.home_books import books_of, kept_in
from tests.fakes.stores import Database

pytestmark = pytest.mark.system

GUIDE = text_of("docs/guides/first-hour.md")
ELSEWHERE = {
    "make demo": "test_demo.py runs what it runs",
    "source .venv/bin/activate": "the tests run there already",
}


@pytest.fixture
def newcomer(each_books: Database, tmp_path: Path) -> Iterator[Person]:
    """Books in the home, as the guide has them, or in a PostgreSQL that was set before."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    with kept_in(each_books):
        one = Person(tmp_path, clean | books_of(tmp_path))
        yield one
        if "SNIPERFORGE_HOME" in one.environment:
            one.type("sniperforge down")


def test_every_command_of_the_first_hour_works_as_typed(newcomer: Person) -> None:
    newcomer.follow(commands_in(GUIDE), but=ELSEWHERE)
    said = newcomer.said
    assert "FAIL" not in said["sniperforge doctor"]
    assert "filled, final" in said["sniperforge trade --from USDC --to SOL --amount 25 --wait"]
    assert "dca-sol" in said["sniperforge strategy-list"]
    assert "step=signed" in said["sniperforge logs --intent ID"]
    assert "books and chain agree" in said["sniperforge reconcile"]
    assert "every invariant holds" in said["sniperforge invariants"]
    assert "filled, final" in said["sniperforge flatten --wait"]


def test_commands_named_in_passing_exist() -> None:
    listed = subprocess.run(
        [str(Path(sys.executable).parent / "sniperforge"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"^  ([a-z][a-z-]+)  ", listed, re.MULTILINE))
    named = set(re.findall(r"`sniperforge ([a-z-]+)", GUIDE)) | {
        command.split()[1] for command in commands_in(GUIDE) if command.startswith("sniperforge ")
    }
    assert named <= known


def test_the_guide_is_linked_to_what_exists() -> None:
    for target in re.findall(r"\]\(([a-z-]+\.md)\)", GUIDE):
        assert (ROOT / "docs" / "guides" / target).exists(), target
