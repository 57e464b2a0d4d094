"""No document tells to type what no test types; and whoever types a document cannot leave a command out unnoticed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fakes.guide_reader import ROOT, Person, commands_in, text_of

TYPED_BY = {
    "README.md": "e2e/test_operating_guide.py",
    "docs/guides/cluster.md": "unit/deployment/test_cluster_guide.py",
    "docs/guides/dca.md": "e2e/test_dca_guide.py",
    "docs/guides/first-hour.md": "e2e/test_first_hour_guide.py",
    "docs/guides/jupiter.md": "e2e/test_guides_as_typed.py",
    "docs/guides/life-of-a-trade.md": "e2e/test_guides_as_typed.py",
    "docs/guides/networks.md": "e2e/test_networks.py",
    "docs/guides/operating.md": "e2e/test_operating_guide.py",
    "docs/guides/orders.md": "e2e/test_orders_guide.py",
    "docs/guides/protections.md": "e2e/test_guides_as_typed.py",
    "docs/guides/sandbox.md": "e2e/test_sandbox_guide.py",
    "docs/guides/wallets.md": "e2e/test_guides_as_typed.py",
    "docs/runbooks/books-restored.md": "e2e/test_runbooks_as_typed.py",
    "docs/runbooks/foreign-transaction.md": "e2e/test_runbooks_as_typed.py",
    "docs/runbooks/node-down.md": "e2e/test_runbooks_as_typed.py",
    "docs/runbooks/redis-lost.md": "e2e/test_operating_guide.py",
    "docs/runbooks/unknown-outcome.md": "e2e/test_runbooks_as_typed.py",
}
"""Cluster's needs Docker: its test holds every line against the compose file and the command line's own parser."""

DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_every_document_that_tells_to_type_something_is_typed() -> None:
    telling = {one for one in DOCUMENTS if commands_in(text_of(one), prose=one.startswith("docs/runbooks/"))}
    assert telling == set(TYPED_BY)


@pytest.mark.parametrize("document", sorted(TYPED_BY))
def test_the_test_that_types_a_document_reads_it(document: str) -> None:
    assert Path(document).stem in text_of(f"tests/{TYPED_BY[document]}")


def test_every_target_of_make_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", text_of("Makefile"), re.MULTILINE))
    commands = [command for one in DOCUMENTS for command in commands_in(text_of(one), prose=True)]
    named = {command.split()[1] for command in commands if command.startswith("make ")}
    assert named
    assert named <= targets


def test_commands_are_read_as_a_person_reads_them() -> None:
    text = "Use `sniperforge cancel ID`.\n```console\n$ sniperforge up -d  # now\nready\n# reboot\n```\n`trade`"
    assert commands_in(text) == ["sniperforge up -d", "reboot"]
    assert commands_in(text, prose=True) == ["sniperforge cancel ID", "sniperforge up -d", "reboot"]


def test_a_command_that_nobody_can_type_or_that_fails_is_noticed(tmp_path: Path) -> None:
    person = Person(tmp_path, {})
    with pytest.raises(AssertionError, match="nobody types"):
        person.follow(["docker compose ps"])
    with pytest.raises(AssertionError, match="No such command"):
        person.follow(["sniperforge fly"])
    person.follow(["docker compose ps"], but={"docker compose ps": "needs Docker"})


def test_a_reason_for_a_command_that_is_gone_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="does not have"):
        Person(tmp_path, {}).follow([], but={"docker compose ps": "needs Docker"})
