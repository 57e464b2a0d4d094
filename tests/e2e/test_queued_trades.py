"""Trades that workers carry on, as typed: left alone, followed, interrupted, and decided while nobody can be rung."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fakes.redis_server import RedisServer
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.terminal import sniperforge
from tests.fakes.user_home import Home, fund, make_home, one_line
from tests.fakes.working_home import working

pytestmark = pytest.mark.system

BUY = ("trade", "--from", "USDC", "--to", "SOL")


@pytest.fixture(scope="module")
def home(sandbox: RunningSandbox, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A funded home that a worker and beat work for."""
    folder = tmp_path_factory.mktemp("user")
    made = make_home(sandbox, folder, SNIPERFORGE_REDIS_URL=redis.url)
    fund(sandbox, made)
    with working(made.environment, redis, folder):
        yield made


@pytest.fixture
def idle_home(sandbox: RunningSandbox, tmp_path: Path) -> Home:
    """A funded home for which nobody works."""
    made = make_home(sandbox, tmp_path)
    fund(sandbox, made)
    return made


def test_a_trade_is_left_to_workers_and_settled_by_them(home: Home) -> None:
    left = home.run(*BUY, "--amount", "11")
    assert left.status == 0, left.text
    (trade,) = [line.split()[1] for line in left.text.splitlines() if line.startswith("trade ")]
    assert f"`sniperforge trade-show {trade}` tells where it stands" in left.text
    followed = home.json(*BUY, "--amount", "12", "--wait")
    assert followed["fill"]["input_raw"] == 12_000_000
    assert followed["rung"] is True
    states = {one["id"]: one["state"] for one in home.trades()}
    assert states == {trade: "filled", followed["trade"]["id"]: "filled"}


def test_a_followed_trade_shows_every_step_once_and_ends_as_inline_does(home: Home) -> None:
    followed = home.run(*BUY, "--amount", "13", "--wait")
    assert followed.status == 0, followed.text
    steps = [line.split()[1] for line in followed.text.splitlines() if line.startswith("   ")]
    for step in ("intent.decided", "attempt.signed", "attempt.sent", "attempt.confirmed", "attempt.finalized"):
        assert steps.count(step) == 1, followed.text
    assert "gave          13 USDC" in followed.text
    assert "filled, final" in followed.text
    failed = home.run(*BUY, "--amount", "5000", "--wait")
    assert failed.status == 1
    assert "Fund the wallet" in failed.text.splitlines()[-1]


def test_a_running_system_is_found_well_and_shows_what_it_did(home: Home) -> None:
    found = {one["check"]: one["verdict"] for one in home.json("doctor")}
    assert set(found.values()) == {"ok"}, found
    assert {"workers", "beat", "queue", "clock", "disk"} <= found.keys()
    trade = next(one for one in home.trades() if one["state"] == "filled")
    told = home.run("logs", "--intent", trade["id"][:6], "--lines", "200").text
    assert "  books     intent.decided: decided" in told
    assert re.search(r"  worker    signed .*step=signed", told), told
    assert told.index("intent.decided") < told.index("step=signed") < told.index("attempt.confirmed")
    worth = home.json("portfolio")
    held = {one["symbol"]: one for one in worth["holdings"]}
    assert held["SOL"]["bought_raw"] > 0
    assert Decimal(worth["value_usd"]) == sum(Decimal(one["value_usd"]) for one in worth["holdings"])
    assert worth["fee_lamports"] >= 5_000
    assert "of it bought here" in home.run("portfolio", "--wallet", "main").text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("logs", "--level", "loud", "--intent", "x", "--plan", "y"), "none of debug, info"),
        (("logs", "--plan", "nothing"), "no such plan"),
        (("logs", "--intent", "zzzzzz"), "no such trade"),
        (("portfolio", "--wallet", "nobody"), "no such wallet"),
        (("portfolio",), "sniperforge reconcile"),
    ],
)
def test_wrong_input_is_one_line(idle_home: Home, arguments: tuple[str, ...], says: str) -> None:
    assert says in one_line(idle_home.run(*arguments))


def test_the_same_name_again_is_the_same_trade_for_workers_too(home: Home) -> None:
    named = (*BUY, "--amount", "3", "--token", "tuesday", "--wait")
    assert home.json(*named)["fill"] == home.json(*named)["fill"]


def test_who_stops_following_is_told_that_it_goes_on(home: Home) -> None:
    process = home.trade_until("intent.decided", *BUY, "--amount", "14", "--wait", "--limit", "20")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    newest = home.trades()[0]
    assert f"Trade {newest['id']} goes on without you" in errors
    assert newest["state"] in ("pending", "executing")
    home.run("cancel", newest["id"])


def test_logs_are_followed_and_hold_nothing_that_a_terminal_obeys(idle_home: Home) -> None:
    assert idle_home.run("logs").text.startswith("nothing in ")
    folder = Path(idle_home.environment["SNIPERFORGE_HOME"]) / "logs"
    line = {"timestamp": "2026-03-01T12:00:00Z", "level": "warning", "event": "one\x1b[2J", "role": "worker", "n": 5}
    file = folder / "sniperforge-2026-03-01.jsonl"
    folder.mkdir(exist_ok=True)
    file.write_text(json.dumps(line) + "\n")
    follow = subprocess.Popen(
        sniperforge("logs", "--follow", "--level", "warning"),
        env=idle_home.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert follow.stdout is not None
        assert follow.stdout.readline() == "2026-03-01 12:00:00.000Z  warning   worker    one\\x1b[2J n=5\n"
        with file.open("a") as log:
            log.write(json.dumps(line | {"level": "info", "event": "quiet"}) + "\n")
            log.write(json.dumps(line | {"event": "two", "exception": "Traceback:\n  boom"}) + "\n")
        assert follow.stdout.readline().endswith("  two n=5\n")
        assert [follow.stdout.readline() for _ in range(2)] == ["    Traceback:\n", "      boom\n"]
    finally:
        follow.kill()
        follow.communicate(timeout=10)


def test_without_a_stack_nothing_is_decided(idle_home: Home) -> None:
    refused = one_line(idle_home.run(*BUY, "--amount", "1"))
    assert "sniperforge up" in refused
    assert "--inline" in refused
    assert "give one of them" in one_line(idle_home.run(*BUY, "--amount", "1", "--inline", "--wait"))
    assert idle_home.decided() == 0


def test_with_redis_away_a_trade_is_decided_and_says_how_it_goes_on(idle_home: Home) -> None:
    nowhere = {"SNIPERFORGE_REDIS_URL": "redis://:hunter2@127.0.0.1:9/0"}
    decided = idle_home.run(*BUY, "--amount", "1", **nowhere)
    assert decided.status == 0, decided.text
    (trade,) = idle_home.trades()
    assert f"nobody could be rung for trade {trade['id']}" in decided.text
    assert f"sniperforge settle {trade['id']}" in decided.text
    assert "hunter2" not in decided.text
    answer = replace(idle_home, environment={**idle_home.environment, **nowhere}).json(*BUY, "--amount", "2")
    assert (answer["rung"], answer["trade"]["state"]) == (False, "pending")
    settled = idle_home.run("settle", trade["id"])
    assert settled.status == 0, settled.text


def test_a_small_request_budget_says_beforehand_how_long_a_trade_waits(idle_home: Home, redis: RedisServer) -> None:
    keyless = {
        "SNIPERFORGE_JUPITER_PLAN": "keyless",
        "SNIPERFORGE_REDIS_URL": redis.url,
        "SNIPERFORGE_ORGANISATION": "k",
    }
    first = idle_home.run(*BUY, "--amount", "1", **keyless)
    assert first.status == 0, first.text
    second = idle_home.run(*BUY, "--amount", "2", **keyless)
    assert re.search(r"budget of plan keyless holds it back for about [12]0 s, with 1 ahead of it", second.text)
    assert "holds it back" not in idle_home.run(*BUY, "--amount", "3", SNIPERFORGE_REDIS_URL=redis.url).text
    assert json.loads(idle_home.run("trades", "--json").text)[0]["state"] == "pending"
