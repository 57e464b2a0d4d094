"""The commands that steer a running sandbox, as a person types them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from solders.keypair import Keypair
from typer.testing import CliRunner

from sniperforge.cli.main import app
from sniperforge.errors import ConfigError, TerminalError
from sniperforge.sandbox.statusline import status_text
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.solana_transactions import result_of


def typed(sandbox: RunningSandbox, *arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, env={"SNIPERFORGE_HOME": str(sandbox.home)})
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_fault_is_added_listed_and_cleared(sandbox: RunningSandbox) -> None:
    added = typed(sandbox, "sandbox-fault", "rpc:sendTransaction", "drop_response", "--next", "3")
    assert "rpc:sendTransaction  drop_response  next 3" in added
    typed(sandbox, "sandbox-fault", "rpc:*", "latency", "--probability", "0.1", "--param", "ms=5", "--node", "b")
    listed = typed(sandbox, "sandbox-fault")
    assert "rpc:*  latency  probability 0.1  node b  ms=5  hit 0" in listed
    assert typed(sandbox, "sandbox-fault", "rpc:*", "--clear") == "1 removed\n"
    assert typed(sandbox, "sandbox-fault", "--clear") == "1 removed\n"
    assert typed(sandbox, "sandbox-fault") == "no faults in force\n"


def test_a_wallet_is_funded(sandbox: RunningSandbox) -> None:
    wallet = str(Keypair().pubkey())
    told = typed(sandbox, "sandbox-fund", wallet, "--sol", "10", "--token", "USDC", "--amount", "1000")
    assert f"{wallet}: 10000000000 lamports more" in told
    assert "1000000000 base units of USDC more" in told
    signatures = [line.split()[1] for line in told.splitlines() if line.startswith("signature ")]
    listed: Any = result_of(sandbox.endpoints.rpc_url, "getSignatureStatuses", signatures)
    assert [status["err"] for status in listed["value"]] == [None, None]


def test_a_price_is_set_and_the_clock_stopped_and_started(sandbox: RunningSandbox) -> None:
    assert typed(sandbox, "sandbox-price", "JUP", "0.5") == "JUP is 0.5 USD now\n"
    assert typed(sandbox, "sandbox-pause") == "paused\n"
    assert typed(sandbox, "sandbox-fork", "1") == "0 transactions dropped\n"
    assert typed(sandbox, "sandbox-pause", "--resume") == "running\n"


def test_slots_and_the_market_change_speed_apart(sandbox: RunningSandbox) -> None:
    assert typed(sandbox, "sandbox-speed", "--slot-ms", "20", "--market", "3600") == (
        "a slot takes 20 ms, the market runs at 3600 times its speed\n"
    )
    assert "20 ms, the market runs at 0.5 times" in typed(sandbox, "sandbox-speed", "--market", "0.5")
    assert "5 ms, the market runs at 0.5 times" in typed(sandbox, "sandbox-speed", "--slot-ms", "5")
    assert "5 ms, the market runs at 0.5 times" in typed(sandbox, "sandbox-speed")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("sandbox-fault", "rpc:*", "explode", "--next", "1"), "kind: 'explode'"),
        (("sandbox-fault", "rpc:*"), "kind: missing"),
        (("sandbox-fault", "rpc:*", "latency", "--next", "1", "--param", "ms"), "is not name=value"),
        (("sandbox-fund", "nobody", "--sol", "1"), "nobody: there is no such wallet"),
        (("sandbox-price", "NOPE", "1"), "no token 'NOPE'"),
        (("sandbox-speed", "--slot-ms", "4"), "5 to 60000"),
        (("sandbox-speed", "--market", "0"), "0.01 to 1000000"),
    ],
)
def test_nonsense_is_refused_in_one_line(sandbox: RunningSandbox, arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(TerminalError) as caught:
        typed(sandbox, *arguments)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_running_sandbox_the_command_says_how_to_start_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sandbox-price", "SOL", "1"], env={"SNIPERFORGE_HOME": str(tmp_path)})
    assert isinstance(result.exception, ConfigError)
    assert "sniperforge sandbox" in str(result.exception)


def test_the_status_line_tells_slot_height_price_trades_and_faults(sandbox: RunningSandbox) -> None:
    sandbox.fault("*", "reset", probability=0.001)
    status = sandbox.ask("GET", "/status")
    line = status_text(status)
    assert f"slot {status['slot']:,}" in line
    assert f"height {status['block_height']:,}" in line
    assert "SOL " in line
    assert "faults in force: 1" in line
    assert Console(width=200).render_str(line).plain == line
