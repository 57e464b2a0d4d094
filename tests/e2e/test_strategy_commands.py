"""Plans as typed: shown and asked about, carried out by workers, looked at, paused, resumed, stopped; wrong input."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.home_books import read_books
from tests.fakes.queue_stack import wait_for
from tests.fakes.redis_server import RedisServer
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.terminal import Outcome, run_at_terminal, sniperforge
from tests.fakes.user_home import Home, fund, make_home
from tests.fakes.working_home import working

pytestmark = pytest.mark.system

FEE2 = "J3wdetjgWGDCTPn9Vb13c8qsLFuw3AbZd3kqPvULb5tR"
SETTINGS: dict[str, Any] = {
    "name": "hourly",
    "input_token": "USDC",
    "output_token": "SOL",
    "amount_per_order": "5",
    "schedule": {"interval_s": 3_600},
}


def write(folder: Path, /, file: str = "plan.json", **changes: Any) -> Path:
    """A file with settings; a change to None leaves one out."""
    settings = {key: value for key, value in {**SETTINGS, **changes}.items() if value is not None}
    path = folder / file
    path.write_text(json.dumps(settings))
    return path


def run_in(folder: Path, home: Home, *arguments: str) -> Outcome:
    """A command typed in this folder, with nobody to ask."""
    done = subprocess.run(
        sniperforge(*arguments),
        cwd=folder,
        env=home.environment,
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


def start(home: Home, path: Path) -> Outcome:
    return home.run("strategy-run", "--type", "dca", "--config", str(path), "--yes")


def written(home: Home, question: str = "SELECT id FROM strategy_plans ORDER BY id") -> list[Any]:
    """Names of all plans, read past the command line, which takes a second to start."""
    return read_books(home.environment, question, of="strategy_plans")


def test_a_plan_is_asked_about_and_carried_out_by_workers_to_its_last_base_unit(
    sandbox: RunningSandbox, redis: RedisServer, tmp_path: Path
) -> None:
    home = make_home(sandbox, tmp_path, SNIPERFORGE_REDIS_URL=redis.url)
    fund(sandbox, home)
    path = write(
        tmp_path, amount_per_order=None, total_amount="10.000001", orders=3, schedule={"interval_s": 1}, max_price="200"
    )
    command = sniperforge("strategy-run", "--type", "dca", "--config", str(path))
    asked = run_at_terminal(command, home.environment, [("Start this plan?", "y")])
    assert asked.status == 0, asked.text
    for shown in ("10.000001 USDC in 3 orders", "no order above 200 USDC per SOL", "next runs", "can freeze anybody"):
        assert shown in asked.text, asked.text
    with working(home.environment, redis, tmp_path):
        wait_for(lambda: settled(home), within_s=90, told=lambda: home.run("strategy-show", "hourly").text)
    report = home.json("strategy-show", "hourly")
    assert (report["status"], report["spent_raw"], report["fills"]) == ("ended", 10_000_001, 3)
    decided = [one["input_raw"] for one in reversed(report["rounds"]) if one["state"] == "decided"]
    assert decided == [3_333_333, 3_333_333, 3_333_335]
    assert 170 < float(report["average_price"]) < 190
    told = home.run("strategy-show", "hourly").text
    for shown in ("plan hourly (dca): ended", "spent         10.000001 USDC", "average price 1 SOL = ", "filled"):
        assert shown in told, told
    assert home.run("reconcile").status == 0
    assert "every invariant holds" in home.run("invariants").text


def settled(home: Home) -> bool:
    return written(home, "SELECT state FROM fills") == ["final"] * 3


def test_the_example_that_comes_along_is_found_from_anywhere_and_shown_first(shared_home: Home, tmp_path: Path) -> None:
    refused = run_in(tmp_path, shared_home, "strategy-run", "--type", "dca", "--config", "dca.json")
    assert refused.status == 1
    assert refused.text.startswith("plan dca-sol (dca), from ")
    for shown in ("10 USDC in 5 orders", "2 USDC -> 0.01", "UTC", "nobody is there to ask; nothing was written"):
        assert shown in refused.text, refused.text
    assert written(shared_home) == []


def test_settings_are_looked_for_here_then_at_home(home: Home, tmp_path: Path) -> None:
    folder, at_home = tmp_path / "here", Path(home.environment["SNIPERFORGE_HOME"])
    folder.mkdir()
    write(at_home, "dca.json", name="at-home")
    command = ("strategy-run", "--type", "dca", "--config", "dca.json", "--yes")
    assert "plan at-home is active" in run_in(folder, home, *command).text
    write(folder, "dca.json", name="here")
    assert "plan here is active" in run_in(folder, home, *command).text
    assert written(home) == ["at-home", "here"]


def test_a_plan_that_nobody_wants_after_all_is_not_written(home: Home, tmp_path: Path) -> None:
    command = sniperforge("strategy-run", "--type", "dca", "--config", str(write(tmp_path)))
    asked = run_at_terminal(command, home.environment, [("Start this plan?", "n")])
    assert asked.status == 1
    assert "no end: 3605 USDC in the first 30 days (721 orders)" in asked.text, asked.text
    assert written(home) == []


def test_a_plan_is_paused_resumed_and_stopped(home: Home, tmp_path: Path) -> None:
    made = start(home, write(tmp_path, start_at="2030-01-01T00:00:00Z"))
    assert made.status == 0, made.text
    assert "its balances on chain become their opening" in made.text
    assert "`sniperforge up` starts what carries plans out" in made.text
    assert "2030-01-01 00:00:00 UTC" in home.run("strategy-list").text
    assert "is paused" in home.run("strategy-pause", "hourly").text
    assert "the plan is paused" in home.run("strategy-pause", "hourly").text
    assert home.json("strategy-list")[0]["status"] == "paused"
    assert "next run" in home.run("strategy-resume", "hourly").text
    assert "Add --yes" in home.run("strategy-stop", "hourly").text
    asked = run_at_terminal(sniperforge("strategy-stop", "hourly"), home.environment, [("for good?", "y")])
    assert asked.status == 0, asked.text
    assert home.json("strategy-show", "hourly")["status"] == "ended"
    assert "choose another one" in start(home, write(tmp_path)).text


def test_what_may_not_be_meant_is_warned_of_and_allowed(home: Home, tmp_path: Path) -> None:
    assert home.run("halt", "--reason", "tea time").status == 0
    unlocked = {name: value for name, value in home.environment.items() if "PASSPHRASE" not in name}
    made = start(Home(unlocked, home.keypair), write(tmp_path, amount_per_order=None, total_amount="5000", orders=50))
    assert made.status == 0, made.text
    for warning in (
        "workers could not sign for this wallet: no passphrase is set",
        "does not hold enough USDC for all orders",
        "rounds are skipped for now: trading is halted: tea time",
    ):
        assert warning in made.text, made.text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"amount_per_oder": "5", "max_price": "free", "zone": "x"}, "did you mean amount_per_order?"),
        ({"amount_per_order": "0.0000001"}, "more decimals than the token's 6"),
        ({"max_slippage_bps": 101}, "wider than the settings allow (entry_slippage_bps: 100)"),
        ({"deadline_s": 61}, "longer than the settings allow (trade_deadline_s: 60)"),
        ({"wallet": "nobody"}, "no such wallet"),
        ({"output_token": "NOSUCH"}, "NOSUCH"),
        ({"output_token": "PEPE2"}, "several mints"),
        ({"output_token": FEE2}, "allow_tokens"),
        ({"output_token": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"}, "output_token"),
        ({"end_at": "2020-01-01T00:00:00Z"}, "no round is left"),
    ],
)
def test_settings_that_cannot_work_say_why_and_make_no_plan(
    shared_home: Home, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    refused = start(shared_home, write(tmp_path, **changes))
    assert refused.status == 1
    assert refused.text.startswith("sniperforge: "), refused.text
    assert says in refused.text, refused.text
    assert written(shared_home) == []


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        (
            {
                "wallet": "nobody",
                "input_token": "USDCC",
                "output_token": "NOSUCH",
                "max_slippage_bps": 101,
                "end_at": "2020-01-01T00:00:00Z",
            },
            ["wallet", "input_token", "output_token", "max_slippage_bps", "end_at"],
        ),
        ({"output_token": FEE2, "amount_per_order": "0.0000001"}, ["amount_per_order", "output_token"]),
        ({"input_token": "USDCC", "max_slippage_bps": 10_001}, ["input_token", "max_slippage_bps"]),
    ],
)
def test_everything_that_is_wrong_with_settings_wallet_and_tokens_is_told_in_one_run(
    shared_home: Home, tmp_path: Path, changes: dict[str, Any], paths: list[str]
) -> None:
    refused = start(shared_home, write(tmp_path, **changes))
    assert refused.status == 1
    told = [line.strip().split(":")[0] for line in refused.text.splitlines()[1:]]
    assert sorted(told) == sorted(paths), refused.text
    assert written(shared_home) == []


def test_tokens_that_cannot_be_looked_up_hide_nothing_else(home: Home, tmp_path: Path) -> None:
    away = Home({**home.environment, "SNIPERFORGE_JUPITER_URL": "http://127.0.0.1:9"}, home.keypair)
    refused = start(away, write(tmp_path, max_slippage_bps=101))
    assert refused.status == 1
    assert "max_slippage_bps: 101 is wider" in refused.text, refused.text
    assert "input_token, output_token: they cannot be looked up" in refused.text, refused.text
    assert "they cannot be looked up" not in start(away, write(tmp_path)).text
    assert written(home) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("strategy-run", "--type", "grid", "--config", "dca.json"), "Known are: dca"),
        (("strategy-run", "--type", "dca", "--config", "nosuch.json"), "an example that comes along: dca.json"),
        (("strategy-show", "nosuch"), "there is no plan of this name"),
        (("strategy-stop", "nosuch", "--yes"), "there is no plan of this name"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(shared_home: Home, arguments: tuple[str, ...], says: str) -> None:
    refused = shared_home.run(*arguments)
    assert refused.status == 1
    assert says in refused.text, refused.text
    assert refused.text.count("\n") == 1, refused.text


@pytest.mark.parametrize(("text", "says"), [(b"{", "this is no JSON"), (b"\xff\xfe", "cannot be read")])
def test_a_file_that_is_no_settings_says_so(shared_home: Home, tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text)
    refused = start(shared_home, path)
    assert refused.status == 1
    assert says in refused.text
