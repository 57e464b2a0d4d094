"""A user's home with a funded wallet, and the commands that a user types in it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solders.keypair import Keypair

from tests.fakes.home_books import books_of, read_books
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.terminal import Outcome, sniperforge

PASSPHRASE = "correct horse battery"


@dataclass(frozen=True)
class Home:
    """One user's home with a funded wallet, pointed at the sandbox by URLs alone."""

    environment: dict[str, str]
    keypair: Keypair

    def run(self, *arguments: str, **changes: str) -> Outcome:
        """A command without a terminal."""
        done = subprocess.run(
            sniperforge(*arguments),
            env={**self.environment, **changes},
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def json(self, *arguments: str) -> Any:
        """What a command that must succeed prints as JSON."""
        done = subprocess.run(
            sniperforge(*arguments, "--json"), env=self.environment, stdin=subprocess.DEVNULL, text=True,
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def trade_until(self, step: str, *arguments: str) -> subprocess.Popen[str]:
        """A trade in a process of its own that has just told of this step."""
        process = subprocess.Popen(
            sniperforge(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if line.split()[1:2] == [step]:
                return process
        process.wait(timeout=10)
        assert process.stderr is not None
        raise AssertionError(f"it never reached {step}: {''.join(seen)}{process.stderr.read()}")

    def decided(self) -> int:
        """How many trades the books hold, read past the command line, which takes a second to start."""
        return len(read_books(self.environment, "SELECT id FROM trade_intents", of="trade_intents"))

    def trades(self) -> list[dict[str, Any]]:
        """Every trade, newest first."""
        listed: list[dict[str, Any]] = self.json("trades")
        return listed


def make_home(sandbox: RunningSandbox, folder: Path, keypair: Keypair | None = None, **settings: str) -> Home:
    """A home with the wallet `main`, unfunded. Further settings by name, as in the environment."""
    passphrase = folder / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n")
    passphrase.chmod(0o600)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    environment = {
        **clean,
        "SNIPERFORGE_HOME": str(folder / "home"),
        "SNIPERFORGE_RPC_URLS": sandbox.endpoints.rpc_url,
        "SNIPERFORGE_JUPITER_URL": sandbox.endpoints.jupiter_url,
        "SNIPERFORGE_JUPITER_PLAN": "pro",
        "SNIPERFORGE_WALLET_PASSPHRASE_FILE": str(passphrase),
        "SNIPERFORGE_LEASE_S": "1",
        "SNIPERFORGE_TRADE_DEADLINE_S": "60",
        **books_of(folder / "home"),
        **settings,
    }
    keypair = keypair or Keypair()
    home = Home(environment, keypair)
    key_file = folder / "key.json"
    key_file.write_text(keypair.to_json())
    assert home.run("wallet-import", "main", "--file", str(key_file)).status == 0
    return home


def fund(sandbox: RunningSandbox, home: Home) -> None:
    """10 SOL and 1000 USDC. Both are final, so books that are opened now begin with them."""
    sandbox.fund(home.keypair.pubkey(), sol="10")
    last = sandbox.fund(home.keypair.pubkey(), token="USDC", amount="1000")
    sandbox.wait_for_slot(last["slot"], "finalized")


def one_line(outcome: Outcome) -> str:
    """What a refused command said, in the one line it may say it in."""
    assert outcome.status == 1, outcome.text
    assert outcome.text.startswith("sniperforge: "), outcome.text
    assert outcome.text.count("\n") == 1, outcome.text
    return outcome.text
