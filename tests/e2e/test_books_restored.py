"""The runbook for restored books, as typed."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.fakes.home_books import books_of
from tests.fakes.sandbox_process import running_sandbox
from tests.fakes.terminal import sniperforge


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
