"""The guide on the sandbox: every command in it is typed, in its order, and does to the chain what the guide says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from solders.keypair import Keypair

from tests.fakes.guide_reader import Person, commands_in, text_of
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox

pytestmark = pytest.mark.system

GUIDE = text_of("docs/guides/sandbox.md")
COMMANDS = commands_in(GUIDE)
ELSEWHERE = {"sniperforge sandbox": "it runs already, on free ports: others may use those of the guide"}
NODE_C, ODDITIES = (command for command in COMMANDS if command.startswith("curl "))
FAULTS = [command for command in COMMANDS if command.startswith("sniperforge sandbox-fault ")]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """It is jumped, paused, forked and hurt: nobody else uses it."""
    home = tmp_path_factory.mktemp("own")
    with running_sandbox(home, slot_ms=40, rate_limits=False, crowd=20, scenario="flat") as running:
        yield running


def test_every_command_of_the_guide_does_what_it_says(own: RunningSandbox, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    person = Person(
        tmp_path,
        {**clean, "SNIPERFORGE_HOME": str(own.home)},
        words={"WALLET": str(Keypair().pubkey())},
        instead={"127.0.0.1:8902": own.endpoints.admin_url.removeprefix("http://")},
    )
    person.follow(COMMANDS, but=ELSEWHERE)
    said = person.said
    assert '"lag_slots":200' in said[NODE_C].replace(" ", "")
    assert '"maker_leg_share"' in said[ODDITIES], "it answers all of them, the named and the others"
    assert all(target in said["sniperforge sandbox-fault"] for target in ("sendTransaction", "/execute", "rpc:*"))
    status = own.ask("GET", "/status")
    assert not status["faults"], "the last command of the guide clears them"
    assert status["paused"] is False


def test_a_sandbox_tells_what_the_guide_shows_of_it(own: RunningSandbox) -> None:
    (shown,) = re.findall(r"^sandbox ready: .*$", GUIDE, re.MULTILINE)
    assert set(re.findall(r"(\w+) (?:http|ws)://", shown)) == {"rpc", "ws", "jupiter", "admin"}
    assert {"rpc_url", "ws_url", "jupiter_url", "admin_url", "demo_wallet_file"} <= {
        one.name for one in fields(own.endpoints)
    }
