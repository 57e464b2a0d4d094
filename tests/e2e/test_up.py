"""`up`, `down` and `status` as typed: a whole stack that is used, hurt, stopped, killed, and started again."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from sniperforge.bootstrap import build
from sniperforge.config import load_settings
from sniperforge.domain.intent import IntentState
from sniperforge.embedded.stack_lock import stack_holder
from tests.fakes.home_books import write_books_of
from tests.fakes.terminal import sniperforge
from tests.fakes.tiny_services import is_running

WITHIN_S = 120.0
SERVICES = ["redis", "sandbox", "worker-trades", "worker-trades-2", "worker-others", "beat", "flower"]

pytestmark = pytest.mark.system


class Home:
    """A home, and commands typed in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
        self.environment = {
            **clean,
            "SNIPERFORGE_HOME": str(path),
            "SNIPERFORGE_JUPITER_API_KEY": "sandbox-pro",
            "SNIPERFORGE_JUPITER_PLAN": "pro",
            "SNIPERFORGE_TRADE_THREADS": "4",
        }

    def type(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        environment = {**self.environment, **{f"SNIPERFORGE_{name.upper()}": text for name, text in settings.items()}}
        return subprocess.run(
            sniperforge(*arguments), env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )

    def status(self) -> dict[str, Any]:
        """`status --json`."""
        answer: dict[str, Any] = json.loads(self.type("status", "--json").stdout)
        return answer

    def service(self, name: str) -> dict[str, Any]:
        """One service of it, as the stack wrote it down last."""
        services = json.loads((self.path / "run" / "services.json").read_text())["services"]
        found: dict[str, Any] = next(one for one in services if one["name"] == name)
        return found

    def pids(self) -> list[int]:
        """Every process of the stack."""
        report = json.loads((self.path / "run" / "services.json").read_text())
        return [report["pid"], *(one["pid"] for one in report["services"] if one["pid"])]

    def secrets(self) -> dict[str, str]:
        """What no other user and no command line may show."""
        names = {"wallet": "wallet-passphrase", "flower": "flower-password", "redis": "run/redis/password"}
        return {name: (self.path / file).read_text().strip() for name, file in names.items()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("up") / "home")
    write_books_of(made.path)
    up = made.type("up", "-d")
    assert up.returncode == 0, up.stdout + up.stderr
    yield made
    holder = stack_holder(made.path / "run")
    made.type("down")
    if holder is not None and is_running(holder):
        os.kill(holder, signal.SIGKILL)


def test_everything_runs_and_answers_after_one_command(home: Home) -> None:
    status = home.status()
    assert status["running"] is True
    assert status["phase"] == "ready"
    assert [(one["name"], one["state"]) for one in status["services"]] == [(name, "running") for name in SERVICES]
    assert set(status["addresses"]) == {"flower", "redis", "rpc", "ws", "jupiter", "admin"}
    assert status["queues"] is not None
    assert status["stops"] == []
    assert status["orders"] == {"open": 0, "is_all": True, "fire_again": 0, "reason": None}
    assert status["problems"] == []
    shown = home.type("status")
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in SERVICES)


def test_no_secret_stands_on_a_command_line_or_in_a_file_that_others_may_read(home: Home) -> None:
    secrets = home.secrets()
    assert all(len(secret) >= 20 for secret in secrets.values())
    for pid in home.pids():
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert not [name for name, secret in secrets.items() if secret.encode() in line], line
    for path in home.path.rglob("*"):
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            content = path.read_bytes()
            assert not [name for name, secret in secrets.items() if secret.encode() in content], path


def test_a_second_stack_on_the_same_home_is_refused(home: Home) -> None:
    pid = stack_holder(home.path / "run")
    for arguments in (["up"], ["up", "-d"]):
        again = home.type(*arguments)
        assert again.returncode == 1
        assert f"already (process {pid})" in again.stderr
        assert "sniperforge down" in again.stderr


def test_a_trade_is_carried_by_its_worker(home: Home) -> None:
    trade = home.type("trade", "--from", "USDC", "--to", "SOL", "--amount", "25")
    assert trade.returncode == 0, trade.stderr
    _until(lambda: _states(home) == [IntentState.FILLED])
    assert home.status()["trades"][0]["what"] == "25 USDC to SOL"


def test_whatever_is_killed_starts_again(home: Home) -> None:
    before = {name: home.service(name)["pid"] for name in SERVICES}
    for name in SERVICES:
        os.kill(before[name], signal.SIGKILL)
    _until(lambda: all(home.service(name)["pid"] not in {None, before[name]} for name in SERVICES))
    _until(lambda: all(home.service(name)["state"] == "running" for name in SERVICES))
    status = home.status()
    assert status["running"] is True
    assert [one["restarts"] for one in status["services"]] == [1] * len(SERVICES)
    said = (home.path / "logs" / "up.out").read_text()
    assert all(f"{name} ended (killed by SIGKILL); it starts again in 1 s" in said for name in SERVICES)


def test_redis_that_is_wiped_ends_nothing_for_long(home: Home) -> None:
    settings = load_settings(home=home.path)
    assert settings.redis_url is not None
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushall()
    trade = home.type("trade", "--from", "USDC", "--to", "SOL", "--amount", "30")
    assert trade.returncode == 0, trade.stderr
    _until(lambda: _states(home) == [IntentState.FILLED] * 2)
    _until(lambda: all(home.service(name)["state"] == "running" for name in SERVICES))


def test_down_stops_all_of_it_and_the_next_up_carries_on(home: Home) -> None:
    addresses, pids = home.status()["addresses"], home.pids()
    down = home.type("down")
    assert down.returncode == 0, down.stderr
    assert down.stdout.endswith("stopped\n")
    assert not any(is_running(pid) for pid in pids[1:])
    _until(lambda: not is_running(pids[0]))  # it has let go of the home; its interpreter takes a moment more
    assert not (home.path / "run" / "stack.toml").exists()
    status = home.type("status")
    assert status.returncode == 1
    assert "nothing runs on this home" in status.stderr
    assert home.type("down").stdout == "nothing runs on this home\n"
    stopped_in_turn = [line.split()[1] for line in _said(home) if line.endswith(" stopped")]
    assert stopped_in_turn.index("beat") < stopped_in_turn.index("worker-trades")
    assert stopped_in_turn.index("worker-trades") < stopped_in_turn.index("sandbox") < stopped_in_turn.index("redis")

    up = home.type("up", "-d")
    assert up.returncode == 0, up.stderr
    assert home.status()["addresses"] == addresses
    assert _states(home) == [IntentState.FILLED] * 2
    agrees = home.type("reconcile")
    assert agrees.returncode == 0, agrees.stdout + agrees.stderr


def test_a_supervisor_that_is_killed_leaves_nothing_and_the_next_up_carries_on(home: Home) -> None:
    pids = home.pids()
    os.kill(pids[0], signal.SIGKILL)
    _until(lambda: not any(is_running(pid) for pid in pids))
    assert (home.path / "run" / "stack.toml").exists(), "nobody was left to remove it"
    up = home.type("up", "-d")
    assert up.returncode == 0, up.stderr
    assert home.status()["running"] is True
    assert home.type("reconcile").returncode == 0


def _states(home: Home) -> list[IntentState]:
    services = build(load_settings(home=home.path))
    try:
        with services.store.read() as books:
            return [intent.state for intent in books.intents.recent(10)]
    finally:
        services.close()


def _said(home: Home) -> list[str]:
    return (home.path / "logs" / "up.out").read_text().splitlines()


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
