"""A real sandbox in a process of its own, for tests that need what a user has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.sandbox.endpoints import ENDPOINTS_NAME, Endpoints

READY_WITHIN_S = 30.0
CERTAIN_WITHIN_S = 30.0


@dataclass(frozen=True)
class RunningSandbox:
    """Where it listens, and its admin port at hand."""

    endpoints: Endpoints
    home: Path
    admin: httpx.Client

    @property
    def pid(self) -> int:
        """Its process, for tests that kill it."""
        return self.endpoints.pid

    @property
    def demo_wallet(self) -> Keypair:
        """The funded wallet."""
        return Keypair.from_json(Path(self.endpoints.demo_wallet_file).read_text())

    def ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Call the admin port; anything but 200 fails the test."""
        response = self.admin.request(method, path, json=body if method == "POST" else None)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def fault(self, target: str, kind: str, **rule: Any) -> None:
        """Put a fault in force."""
        self.ask("POST", "/faults", target=target, kind=kind, **rule)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.ask("DELETE", "/faults")

    def fund(self, wallet: Pubkey, **what: Any) -> dict[str, Any]:
        """Give SOL (`sol="1"`) or tokens (`token="USDC", amount="5"`), and wait until that is confirmed.

        The admin port tells when, so no fault of a node disturbs it. Returns what it said of the funding.
        """
        answer = self.ask("POST", "/fund", wallet=str(wallet), **what)
        self.wait_for_slot(answer["slot"], "confirmed")
        return answer

    def wait_for_slot(self, slot: int, commitment: Literal["confirmed", "finalized"]) -> None:
        """Wait until this slot is as certain as that."""
        deadline = time.monotonic() + CERTAIN_WITHIN_S
        while self.ask("GET", "/status")[f"{commitment}_slot"] < slot:
            assert time.monotonic() < deadline, f"slot {slot} is not {commitment} after {CERTAIN_WITHIN_S:.0f} s"
            time.sleep(0.005)


def sandbox_command(home: Path, **options: Any) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a sandbox on free ports; `slot_ms=10` becomes `--slot-ms 10`."""
    command = [sys.executable, "-m", "sniperforge.cli.main", "sandbox", "--json"]
    ports = dict.fromkeys(("rpc_port", "ws_port", "jupiter_port", "admin_port"), 0)
    for name, value in {**ports, **options}.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            command.append(option if value else option.replace("--", "--no-", 1))
        else:
            command += [option, str(value)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    return command, {**environment, "SNIPERFORGE_HOME": str(home)}


@contextmanager
def running_sandbox(home: Path, *, slot_ms: int = 10, **options: Any) -> Iterator[RunningSandbox]:
    """Start a sandbox on this home, wait until it answers, and stop it in the end.

    What it writes goes to `<home>.log`; if it dies of itself, the test fails with that.
    """
    command, environment = sandbox_command(home, slot_ms=slot_ms, **options)
    log = home.with_suffix(".log")
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            endpoints = _wait(process, home, log)
            with httpx.Client(base_url=endpoints.admin_url, timeout=10.0) as admin:
                yield RunningSandbox(endpoints, home, admin)
            if process.poll() not in {None, -signal.SIGKILL}:
                raise AssertionError(f"the sandbox ended with {process.returncode}:\n{log.read_text()}")
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that this test started: politely, then for good."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _wait(process: subprocess.Popen[bytes], home: Path, log: Path) -> Endpoints:
    path = home / "sandbox" / ENDPOINTS_NAME
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the sandbox ended with {process.returncode}:\n{log.read_text()}")
        if path.exists():
            endpoints = Endpoints(**json.loads(path.read_text()))
            if endpoints.pid == process.pid:
                return endpoints
        time.sleep(0.02)
    raise AssertionError(f"the sandbox was not ready within {READY_WITHIN_S:.0f} s:\n{log.read_text()}")
