"""`up` that cannot start says why in one line and leaves nothing behind; `up` that is to stop, stops."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.fakes.home_books import books_of
from tests.fakes.terminal import run_at_terminal, sniperforge

WITHIN_S = 120.0


def typed(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    given = {f"SNIPERFORGE_{name.upper()}": text for name, text in {"home": str(home), **settings}.items()}
    return subprocess.run(
        sniperforge(*arguments),
        env={**clean, **books_of(home), **given},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_a_port_that_was_set_and_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        up = typed(tmp_path, "up", flower_port=str(port))
    assert up.returncode == 1
    assert f"flower_port: port {port} is taken by another program" in up.stderr
    assert not (tmp_path / "run" / "stack.toml").exists()


def test_another_network_without_a_passphrase_is_refused(tmp_path: Path) -> None:
    up = typed(tmp_path, "up", network="devnet")
    assert up.returncode == 1
    assert "no passphrase is set" in up.stderr
    assert "SNIPERFORGE_WALLET_PASSPHRASE_FILE" in up.stderr
    assert not (tmp_path / "run" / "stack.toml").exists()


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    up = typed(tmp_path, "up", rpc_urls="http://127.0.0.1:8899")
    assert up.returncode == 1
    assert "a chain and its exchange belong together" in up.stderr


@pytest.mark.parametrize("duration", ["soon", "0", "-1s", "1d"])
def test_a_duration_that_is_none_is_refused(tmp_path: Path, duration: str) -> None:
    up = typed(tmp_path, "up", f"--for={duration}")
    assert up.returncode == 1
    assert f"--for {duration}: this is no duration. Write 90s, 15m or 8h" in up.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_redis_elsewhere_that_does_not_answer_is_said_without_its_password(tmp_path: Path) -> None:
    up = typed(tmp_path, "up", redis_url="redis://:very-secret@127.0.0.1:9/0")
    assert up.returncode == 1
    assert "Redis does not answer" in up.stderr
    assert "very-secret" not in up.stdout + up.stderr


@pytest.mark.system
def test_a_service_that_cannot_run_stops_the_start_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "chain.db").write_text("no database")
    up = typed(tmp_path, "up", "-d")
    assert up.returncode == 1
    assert "sandbox: ended 3 times before the stack was ready; its last words:" in up.stderr
    assert "chain.db" in up.stderr
    assert typed(tmp_path, "status").returncode == 1
    assert not (tmp_path / "run" / "stack.toml").exists()


@pytest.mark.system
def test_up_for_a_while_stops_by_itself(tmp_path: Path) -> None:
    up = typed(tmp_path, "up", "--for", "1s", trade_threads="2")
    assert up.returncode == 0, up.stderr
    lines = [line.partition(" ")[2] for line in up.stdout.splitlines()]
    assert "redis stopped" in lines[-1]
    assert any(line.startswith("ready after") for line in lines)
    assert (tmp_path / "flower-password").read_text().strip() not in up.stdout


@pytest.mark.system
def test_ctrl_c_at_a_terminal_drains_and_stops_everything_that_the_screen_showed(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    environment |= books_of(tmp_path)
    environment |= {"SNIPERFORGE_HOME": str(tmp_path), "SNIPERFORGE_TRADE_THREADS": "2", "TERM": "xterm-256color"}
    up = run_at_terminal(sniperforge("up"), environment, [("SniperForge is ready", "\x03")], within_s=WITHIN_S)
    assert up.status == 0
    assert "redis stopped" in up.text
    assert "killed" not in up.text
    password = (tmp_path / "flower-password").read_text().strip()
    assert f"user operator  password {password}" in up.text
    assert not (tmp_path / "run" / "stack.toml").exists()
