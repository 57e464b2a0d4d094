"""Guides that need no running stack: every command in them is typed, in its order, and works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from solders.keypair import Keypair

from tests.fakes.guide_reader import Person, commands_in, text_of
from tests.fakes.home_books import books_of
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.user_home import Home

pytestmark = pytest.mark.system


def test_the_guide_on_wallets(sandbox: RunningSandbox, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    home = tmp_path / "home"
    given = {"HOME": home, "RPC_URLS": sandbox.endpoints.rpc_url, "JUPITER_URL": sandbox.endpoints.jupiter_url}
    person = Person(
        tmp_path, {**clean, **books_of(home), **{f"SNIPERFORGE_{name}": str(to) for name, to in given.items()}}
    )
    imported = Keypair()
    (tmp_path / "id.json").write_text(imported.to_json())
    person.follow(commands_in(text_of("docs/guides/wallets.md")))
    assert str(imported.pubkey()) in person.said["sniperforge wallet-list"]
    assert person.said["sniperforge wallet-list"].splitlines()[0].startswith("main ")


@pytest.mark.parametrize("guide", ["jupiter", "protections"])
def test_a_guide_that_only_asks(shared_home: Home, tmp_path: Path, guide: str) -> None:
    commands = commands_in(text_of(f"docs/guides/{guide}.md"))
    assert commands
    Person(tmp_path, shared_home.environment).follow(commands)


def test_the_life_of_a_trade(home: Home, tmp_path: Path) -> None:
    person = Person(tmp_path, home.environment)
    person.follow(
        commands_in(text_of("docs/guides/life-of-a-trade.md"), prose=True),
        but={"make sandbox": "a sandbox runs already"},
    )
    assert "filled, final" in person.said["sniperforge trade --from USDC --to SOL --amount 25 --inline"]
    assert "books and chain agree" in person.said["sniperforge reconcile"]
