"""The sandbox as a process: start, addresses, stop, kill, and everything that may stand in its way."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from tests.fakes.sandbox_process import RunningSandbox, running_sandbox, sandbox_command
from tests.fakes.solana_transactions import RENT_FREE_LAMPORTS, latest_blockhash, result_of, transfer_transaction


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def refused(home: Path, **options: Any) -> str:
    """Start a sandbox that cannot start; its one line on standard error."""
    command, environment = sandbox_command(home, **options)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_it_tells_its_addresses_and_cleans_up_when_it_stops(home: Path) -> None:
    command, environment = sandbox_command(home, slot_ms=20)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert json.loads((home / "sandbox" / "endpoints.json").read_text()) == told
        assert result_of(told["rpc_url"], "getHealth") == "ok"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
    assert (process.returncode, stderr) == (0, "")
    assert not (home / "sandbox" / "endpoints.json").exists()


def test_the_demo_wallet_is_funded_and_its_key_is_private(sandbox: RunningSandbox) -> None:
    wallet = sandbox.demo_wallet.pubkey()
    answer: Any = result_of(sandbox.endpoints.rpc_url, "getBalance", str(wallet))
    assert answer["value"] > 10**9
    assert Path(sandbox.endpoints.demo_wallet_file).stat().st_mode & 0o077 == 0


def test_a_second_sandbox_on_one_home_says_so(sandbox: RunningSandbox) -> None:
    line = refused(sandbox.home)
    assert f"a sandbox is running on this home already (process {sandbox.pid})" in line
    assert "--home" in line


def test_a_taken_port_is_named_with_the_way_out(home: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(home, jupiter_port=port)
    assert f"127.0.0.1:{port}" in line
    assert "--jupiter-port 0" in line


def test_a_damaged_state_file_is_one_line(home: Path) -> None:
    (home / "sandbox").mkdir(parents=True)
    (home / "sandbox" / "chain.db").write_bytes(b"not a database at all" * 100)
    assert "chain.db" in refused(home)


def test_another_seed_than_the_home_was_made_with_is_one_line(home: Path) -> None:
    with running_sandbox(home, seed=5):
        pass
    assert "seed 5" in refused(home, seed=6)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", "no column"),
        ("time_utc,open,high,low,close,volume\n2024-01-01 00:00:00,1,1,1,0,1\n", "line 2"),
    ],
)
def test_a_price_file_that_cannot_be_used_is_one_line(home: Path, tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(text)
    line = refused(home, prices=path)
    assert problem in line
    assert str(path) in line


def test_a_full_disk_ends_it_with_one_line(home: Path) -> None:
    command, environment = sandbox_command(home, slot_ms=5, crowd=100)
    limited = ["bash", "-c", 'ulimit -f 1500; exec "$@"', "limited", *command]
    done = subprocess.run(limited, env=environment, capture_output=True, text=True, timeout=60, check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "chain.db" in line


def test_what_was_confirmed_survives_a_kill_at_any_moment(home: Path) -> None:
    with running_sandbox(home, slot_ms=10, crowd=0) as first:
        url, receiver = first.endpoints.rpc_url, Keypair().pubkey()
        transaction = transfer_transaction(first.demo_wallet, receiver, latest_blockhash(url))
        encoded = base64.b64encode(bytes(transaction)).decode()
        signature = result_of(url, "sendTransaction", encoded, {"encoding": "base64", "skipPreflight": True})

        def commitment(at: str) -> str | None:
            answer: Any = result_of(at, "getSignatureStatuses", [signature])
            status = answer["value"][0]
            return None if status is None else str(status["confirmationStatus"])

        while commitment(url) != "confirmed":
            time.sleep(0.001)
        os.kill(first.pid, signal.SIGKILL)
    with running_sandbox(home, slot_ms=10, crowd=0) as second:
        assert commitment(second.endpoints.rpc_url) in {"confirmed", "finalized"}
        balance: Any = result_of(second.endpoints.rpc_url, "getBalance", str(receiver), {"commitment": "confirmed"})
        assert balance["value"] == RENT_FREE_LAMPORTS


def test_a_clean_stop_keeps_what_the_open_slot_did(home: Path) -> None:
    receiver = Keypair().pubkey()
    with running_sandbox(home, slot_ms=60_000, crowd=0) as first:
        url = first.endpoints.rpc_url
        transaction = transfer_transaction(first.demo_wallet, receiver, latest_blockhash(url))
        encoded = base64.b64encode(bytes(transaction)).decode()
        signature = result_of(url, "sendTransaction", encoded, {"encoding": "base64", "skipPreflight": True})
    with running_sandbox(home, slot_ms=10, crowd=0) as second:
        url = second.endpoints.rpc_url
        statuses: Any = result_of(url, "getSignatureStatuses", [signature])
        assert statuses["value"][0]["err"] is None
        balance: Any = result_of(url, "getBalance", str(receiver), {"commitment": "processed"})
        assert balance["value"] == RENT_FREE_LAMPORTS


def test_shares_of_market_makers_are_set_at_the_start(home: Path) -> None:
    with running_sandbox(home, jupiterz_share=1, maker_leg_share=0.25) as sandbox:
        told = sandbox.ask("POST", "/jupiter")
    assert (told["jupiterz_share"], told["maker_leg_share"]) == (1.0, 0.25)
