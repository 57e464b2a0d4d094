"""Runbooks that need no running stack: something is wrong, every command is typed in its order, and it is mended."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.fakes.guide_reader import Person, commands_in, text_of
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.user_home import Home, make_home

pytestmark = pytest.mark.system

BUY = ("trade", "--from", "USDC", "--to", "SOL", "--inline")
PLAN = {
    "name": "weekly",
    "input_token": "USDC",
    "output_token": "SOL",
    "amount_per_order": "5",
    "schedule": {"interval_s": 3_600},
}
DEAD_NODE = "http://127.0.0.1:9"
"""Nobody listens there."""
SLOTS_OF_A_MINUTE = 200


def steps_of(runbook: str) -> list[str]:
    """What it tells to type, its sentences included."""
    return commands_in(text_of(f"docs/runbooks/{runbook}.md"), prose=True)


def killed_while_sending(home: Home, amount: str) -> str:
    """The id of a trade whose process died when its transaction was signed and committed."""
    with home.trade_until("persisted", *BUY, "--amount", amount) as process:
        process.send_signal(signal.SIGKILL)
    return str(home.trades()[0]["id"])


def test_the_runbook_for_an_unknown_outcome(home: Home, tmp_path: Path) -> None:
    person = Person(tmp_path, home.environment, words={"ID": killed_while_sending(home, "25")})
    person.follow(
        steps_of("unknown-outcome"),
        before={
            'sniperforge halt --reason "..."': lambda: person.words.update(ID=killed_while_sending(home, "3")),
            "sniperforge reconcile": lambda: person.type("sniperforge settle"),  # it says: "repeat step 1"
        },
    )
    states = {one["state"] for one in home.trades()}
    assert states <= {"filled", "cancelled", "failed"}, states
    assert "every invariant holds" in person.said["sniperforge invariants"]


def test_the_runbook_for_a_foreign_transaction(sandbox: RunningSandbox, home: Home, tmp_path: Path) -> None:
    assert home.run("reconcile").status == 0
    (tmp_path / "clone").mkdir()
    clone = make_home(sandbox, tmp_path / "clone", home.keypair)
    assert clone.run(*BUY, "--amount", "1").status == 0
    person = Person(tmp_path, home.environment, words={"NAME": "main"})
    person.follow(
        steps_of("foreign-transaction"),
        ends={"sniperforge reconcile": (0, 1)},  # 1 while it tells of what somebody else did
    )
    assert "books and chain agree" in person.said["sniperforge reconcile"]
    assert "wallet main is active" in person.said["sniperforge resume NAME"]


def test_the_runbook_for_a_node_that_is_down(sandbox: RunningSandbox, home: Home, tmp_path: Path) -> None:
    home.run(*BUY, "--amount", "5")
    nodes = {"SNIPERFORGE_RPC_URLS": f"{DEAD_NODE},{sandbox.endpoints.rpc_url}"}
    person = Person(tmp_path, home.environment | nodes, words={"ID": home.trades()[0]["id"]})
    running = "test_operating_guide.py types it"
    person.follow(
        steps_of("node-down"),
        but={"sniperforge down": running, "sniperforge up": running},
        ends={"sniperforge doctor": (1,)},
    )
    assert DEAD_NODE.removeprefix("http://") in person.said["sniperforge doctor"]


def test_the_runbook_for_restored_books(sandbox: RunningSandbox, home: Home, tmp_path: Path) -> None:
    (tmp_path / "weekly.json").write_text(json.dumps(PLAN))
    stop = ("order-create", "--type", "stop-loss", "--token", "SOL", "--trigger", "140", "--yes")
    words = {"NAME": "weekly", "WALLET": "main", "ORDER": home.json(*stop)["id"]}
    with home.trade_until("requeued", *BUY, "--amount", "25", "--limit", "20") as waiting:
        waiting.send_signal(signal.SIGKILL)
    words["ID"] = home.trades()[0]["id"]
    person = Person(tmp_path, home.environment, words=words)
    person.follow(["sniperforge strategy-run --type dca --config weekly.json"])

    def a_minute_later() -> None:
        """Of the slots of mainnet: those in which what was signed before can land."""
        sandbox.wait_for_slot(sandbox.ask("GET", "/status")["slot"] + SLOTS_OF_A_MINUTE, "finalized")

    person.follow(steps_of("books-restored"), before={"sniperforge books-restored --finish": a_minute_later})
    told = person.said["sniperforge books-restored --finish"]
    assert all(words[what] in told for what in ("ID", "ORDER", "NAME")), told
    assert "trading is active" in person.said["sniperforge resume"]
    assert home.trades()[0]["state"] == "cancelled"
    assert home.json("order-list") == []
