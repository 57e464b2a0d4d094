"""The runbook for restored books, as typed: what they may do again waits for a person."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.fakes.home_books import books_of
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.fakes.terminal import run_at_terminal, sniperforge
from tests.fakes.user_home import Home, make_home, one_line

BUY = ("trade", "--from", "USDC", "--to", "SOL", "--inline")
PLAN = {
    "name": "weekly",
    "input_token": "USDC",
    "output_token": "SOL",
    "amount_per_order": "5",
    "schedule": {"interval_s": 3_600},
}


def test_restored_books_are_halted_sorted_and_resumed(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "sandbox", slot_ms=10, rate_limits=False) as sandbox:
        passphrase = tmp_path / "passphrase"
        passphrase.write_text("correct horse battery\n")
        passphrase.chmod(0o600)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
        environment = {
            **clean,
            "SNIPERFORGE_HOME": str(tmp_path / "home"),
            "SNIPERFORGE_RPC_URLS": sandbox.endpoints.rpc_url,
            "SNIPERFORGE_JUPITER_URL": sandbox.endpoints.jupiter_url,
            "SNIPERFORGE_WALLET_PASSPHRASE_FILE": str(passphrase),
            **books_of(tmp_path / "home"),
        }

        def run(*arguments: str, status: int = 0) -> str:
            done = subprocess.run(
                sniperforge(*arguments), env=environment, text=True, capture_output=True, timeout=60, check=False
            )
            assert done.returncode == status, done.stdout + done.stderr
            return done.stdout + done.stderr

        run("wallet-import", "main", "--file", sandbox.endpoints.demo_wallet_file)
        run("reconcile", "main")
        sandbox.ask("POST", "/pause", paused=True)
        assert "give either" in run("books-restored", status=1)
        assert "epoch 2" in run("books-restored", "--reason", "a backup")
        assert "may land" in run("books-restored", "--finish", status=1)
        sandbox.ask("POST", "/pause", paused=False)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            done = subprocess.run(
                sniperforge("books-restored", "--finish"),
                env=environment,
                text=True,
                capture_output=True,
                timeout=60,
                check=False,
            )
            if done.returncode == 0:
                break
        assert "stays halted" in done.stdout, done.stderr
        assert "halted" in run("trade", "--from", "USDC", "--to", "SOL", "--amount", "1", "--inline", status=1)
        assert "active" in run("resume")


def finished(home: Home) -> str:
    """What `--finish` says when nothing sent before can land any more."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done = home.run("books-restored", "--finish")
        if done.status == 0:
            return done.text
        assert "may land" in one_line(done)
    raise AssertionError(done.text)


def test_what_may_have_happened_already_waits_for_a_person(sandbox: RunningSandbox, home: Home, tmp_path: Path) -> None:
    config = tmp_path / "weekly.json"
    config.write_text(json.dumps(PLAN))
    assert home.run("strategy-run", "--type", "dca", "--config", str(config), "--yes").status == 0
    stop = ("order-create", "--type", "stop-loss", "--token", "SOL", "--trigger", "140", "--yes")
    order = home.json(*stop)["id"]
    waiting = home.trade_until("requeued", *BUY, "--amount", "25", "--limit", "20")
    waiting.send_signal(signal.SIGKILL)
    waiting.communicate(timeout=10)
    trade = home.trades()[0]["id"]
    # What these books do not know: as it is after the backup of yesterday was restored.
    (tmp_path / "forgotten").mkdir()
    assert make_home(sandbox, tmp_path / "forgotten", home.keypair).run(*BUY, "--amount", "1").status == 0

    assert "every plan is paused" in home.run("books-restored", "--reason", "a backup").text
    assert "--finish" in one_line(home.run("resume", "--yes"))
    told = finished(home)
    for said in (f"{trade}  parked", f"{order}  open order (stop-loss)", "weekly  paused plan"):
        assert said in told, told
    assert [plan["status"] for plan in home.json("strategy-list")] == ["paused"]

    refused = one_line(home.run("resume"))
    for named in (trade, order, "weekly", "resume --yes"):
        assert named in refused
    question = "may trading go on?"
    assert run_at_terminal(sniperforge("resume"), home.environment, [(question, "n")]).status == 1
    assert "halted" in one_line(home.run(*BUY, "--amount", "2"))

    cancelled = home.run("cancel", trade)
    assert cancelled.status == 0, cancelled.text
    assert "if it had not happened" in cancelled.text
    assert "it is cancelled already" in one_line(home.run("cancel", trade))
    assert home.run("order-cancel", order).status == 0
    gone_on = run_at_terminal(sniperforge("resume"), home.environment, [(question, "y")])
    assert gone_on.status == 0, gone_on.text
    assert "paused plans: weekly" in gone_on.text
    assert order not in gone_on.text
    assert home.run("strategy-resume", "weekly").status == 0
    assert home.run("resume", "main", "--yes").status == 0
    assert home.run(*BUY, "--amount", "2").status == 0
    assert home.run("reconcile").status == 0
    assert home.trades()[1]["state"] == "cancelled"
