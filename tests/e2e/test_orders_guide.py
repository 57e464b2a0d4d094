"""The guide on orders: every command in it is typed, in its order, and works; what its tables name is real."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sniperforge.domain.order import OrderKind
from tests.fakes.guide_reader import Person, commands_in, text_of
from tests.fakes.home_books import read_books
from tests.fakes.user_home import Home

pytestmark = pytest.mark.system

GUIDE = text_of("docs/guides/orders.md")
COMMANDS = commands_in(GUIDE)


def first_column(heading: str) -> str:
    """Of the tables below this heading."""
    section = GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))


def test_every_command_of_the_guide_works_as_typed(home: Home, tmp_path: Path) -> None:
    person = Person(tmp_path, home.environment)
    person.follow(COMMANDS)
    said = person.said
    assert "when SOL costs 140 USD or less" in said["sniperforge order-list"]
    assert "(stop-loss): open" in said["sniperforge order-show oud"]
    assert "when SOL costs 150 USD or less" in said["sniperforge order-edit oud --trigger 150"]
    assert "is cancelled" in said["sniperforge order-cancel oud"]
    (timed,) = [text for command, text in said.items() if "time from 6h" in command]
    assert re.search(r"^  time +time from \S+ opens at 20", timed, re.MULTILINE), timed
    typed = [words[words.index("--type") + 1] for words in map(shlex.split, COMMANDS) if "--type" in words]
    assert sorted(read_books(home.environment, "SELECT kind FROM orders", of="orders")) == sorted(typed)
    still_open = read_books(home.environment, "SELECT kind FROM orders WHERE state = 'open'", of="orders")
    assert len(still_open) == len(typed) - 1, "one of the two stop-losses was cancelled"
    assert set(still_open) == {kind.value for kind in OrderKind}


def test_what_the_guide_shows_of_an_order_is_what_is_shown(home: Home, tmp_path: Path) -> None:
    """Line by line; numbers and addresses are those of the day."""
    person = Person(tmp_path, home.environment)
    shown = person.type(COMMANDS[0]).text
    (example,) = re.findall(r"```text\n(stop-loss for .*?)```", GUIDE, re.DOTALL)
    labels = re.findall(r"^(?:stop-loss for SOL|  (?:[a-z]+ )+)", example, re.MULTILINE)
    assert len(labels) > 5
    assert [label for label in labels if label not in shown] == []


def test_options_and_conditions_that_the_guide_explains_are_understood(shared_home: Home) -> None:
    options = re.findall(r"`(--[a-z-]+)`", first_column("The options"))
    assert len(options) > 10
    helped = shared_home.run("order-create", "--help", COLUMNS="200").text
    assert set(options) <= set(re.findall(r"--[a-z-]+", helped))
    conditions = re.findall(r"`([^`]+)`", first_column("The options"))
    conditions = [one for one in conditions if not one.startswith("--")]
    assert len(conditions) >= 4
    asked = [word for one in conditions for word in ("--condition", one)]
    made = shared_home.run("order-create", "--type", "conditional", "--token", "SOL", "--match", "any", *asked)
    # Without a terminal nothing is written: all that is left to complain about is that nobody can be asked.
    assert "nobody is there to ask" in made.text, made.text
