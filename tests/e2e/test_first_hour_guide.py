"""The first hour as the guide tells it: every command in it is typed, in its order, and works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.home_books import books_of, kept_in
from tests.fakes.stores import Database
from tests.fakes.terminal import Outcome, run_at_terminal

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "first-hour.md").read_text(encoding="utf-8")
ANSWERS = {"strategy-run": [("?", "y")], "flatten": [("sell", "y")]}


def commands() -> list[str]:
    """What is to be typed, without comments."""
    blocks = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in lines]


@dataclass
class Newcomer:
    """Somebody who follows the guide in a clone of the project."""

    folder: Path
    environment: dict[str, str]
    trade: str = ""
    said: dict[str, str] = field(default_factory=dict)

    def type(self, command: str) -> Outcome:
        words = shlex.split(command.replace("$PWD", str(self.folder)))
        if words[0] == "export":
            self.environment |= {name: value for name, _, value in (word.partition("=") for word in words[1:])}
            return Outcome(0, "")
        words = [self.trade if word == "ID" else word for word in words]
        assert words[0] == "sniperforge", command
        words[0] = str(Path(sys.executable).parent / "sniperforge")
        answers = ANSWERS.get(words[1])
        if answers is not None:
            outcome = run_at_terminal(words, self.environment, answers, within_s=120)
        else:
            done = subprocess.run(
                words, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=180, check=False,
            )  # fmt: skip
            outcome = Outcome(done.returncode, done.stdout + done.stderr)
        self.said[command] = outcome.text
        named = re.search(r"^trade ([a-z2-7]{24})", outcome.text, re.MULTILINE)
        if named is not None and words[1] == "trade":
            self.trade = named[1]
        return outcome


@pytest.fixture
def newcomer(each_books: Database, tmp_path: Path) -> Iterator[Newcomer]:
    """Books in the home, as the guide has them, or in a PostgreSQL that was set before."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    with kept_in(each_books):
        one = Newcomer(tmp_path, clean | books_of(tmp_path))
        yield one
        if "SNIPERFORGE_HOME" in one.environment:
            one.type("sniperforge down")


def test_every_command_of_the_first_hour_works_as_typed(newcomer: Newcomer) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands():
        if command.startswith("make "):
            assert command.removeprefix("make ") in targets, "`make demo` has a test of its own"
        elif command != "source .venv/bin/activate":
            outcome = newcomer.type(command)
            assert outcome.status == 0, f"$ {command}\n{outcome.text}"
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
        command.split()[1] for command in commands() if command.startswith("sniperforge ")
    }
    assert named <= known


def test_the_guide_is_linked_to_what_exists() -> None:
    for target in re.findall(r"\]\(([a-z-]+\.md)\)", GUIDE):
        assert (ROOT / "docs" / "guides" / target).exists(), target
