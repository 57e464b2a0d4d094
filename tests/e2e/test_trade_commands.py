"""Trading as typed, against a running sandbox: both directions, wrong input, stops, kills, and what the books say."""

from __future__ import annotations

import signal
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fakes.home_books import change_books
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.terminal import run_at_terminal, sniperforge
from tests.fakes.user_home import Home, make_home, one_line

pytestmark = [pytest.mark.slow, pytest.mark.system]

FEE2 = "J3wdetjgWGDCTPn9Vb13c8qsLFuw3AbZd3kqPvULb5tR"
BUY = ("trade", "--from", "USDC", "--to", "SOL", "--inline")
SELL = ("trade", "--from", "SOL", "--to", "USDC", "--inline")


def test_a_trade_is_run_to_its_end_and_the_books_tell_of_it(home: Home) -> None:
    bought = home.run(*BUY, "--amount", "25")
    assert bought.status == 0, bought.text
    assert "its balances on chain become their opening" in bought.text
    steps = [line.split()[1] for line in bought.text.splitlines() if line.startswith("   ")]
    for step in ("decided", "signed", "persisted", "sent", "booked", "finalized"):
        assert step in steps, bought.text
    assert steps.index("persisted") < steps.index("sending")
    assert "gave          25 USDC" in bought.text

    (listed,) = home.trades()
    assert listed["state"] == "filled"
    assert listed["id"][:6] in home.run("trades").text
    told = home.run("trade-show", listed["id"][:6]).text
    report = home.json("trade-show", listed["id"])
    signature = report["fill"]["signature"]
    for part in (
        signature,
        "filled, final",
        "attempt 1: finalized",
        "realised",
        "attempt.confirmed",
        "nothing: it is final",
    ):
        assert part in told, told
    assert report["fill"]["input_raw"] == 25_000_000
    assert report["fill"]["fee_lamports"] >= 5_000

    sold = home.json(*SELL, "--amount", "0.05")
    assert sold["fill"]["state"] == "final"
    assert sold["steps"][0]["step"] == "decided"
    assert home.run("reconcile").status == 0
    assert "every invariant holds" in home.run("invariants").text


def test_all_sells_what_there_is_and_keeps_sol_for_fees(home: Home) -> None:
    sold = home.json(*SELL, "--amount", "all")
    assert 9_900_000_000 < sold["fill"]["input_raw"] < 10_000_000_000
    assert home.run("reconcile").status == 0
    spent = home.json(*BUY, "--amount", "ALL")
    assert spent["fill"]["input_raw"] == 1_000_000_000 + sold["fill"]["output_raw"]
    agreed = home.run("reconcile")
    assert agreed.status == 0, agreed.text
    assert "agree" in agreed.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*BUY, "--amount", "0"), "zero"),
        ((*BUY, "--amount", "-1"), "negative"),
        ((*BUY, "--amount", "1.0000001"), "decimals"),
        ((*BUY, "--amount", "plenty"), "not a number"),
        ((*BUY, "--amount", "25", "--slippage-bps", "101"), "wider than the settings allow"),
        ((*BUY, "--amount", "25", "--slippage-bps", "-1"), "basis points"),
        ((*BUY, "--amount", "25", "--limit", "free"), "not a price above zero"),
        ((*BUY, "--amount", "25", "--limit", "0"), "not a price above zero"),
        ((*BUY, "--amount", "25", "--wallet", "nobody"), "no such wallet"),
        ((*BUY, "--amount", "25", "--token", "a b"), "letters"),
        (("trade", "--from", "USDC", "--to", "USDC", "--amount", "1", "--inline"), "same"),
        (("trade", "--from", "USDC", "--to", "NOSUCH", "--amount", "1", "--inline"), "NOSUCH"),
        (("trade", "--from", "USDC", "--to", "PEPE2", "--amount", "1", "--inline"), "several mints"),
        (("trade", "--from", "USDC", "--to", "SOL", "--amount", "1"), "--inline"),
        (("trade-show", "zzzzzz"), "no such trade"),
        (("trade-show", "%%%"), "no id of a trade"),
        (("settle", "zzzzzz"), "no such trade"),
        (("cancel", "zzzzzz"), "no such trade"),
        (("halt",), "needs a reason"),
        (("logs", "--events", "--plan", "weekly"), "give one of them"),
        (("reconcile", "nobody"), "no such wallet"),
    ],
)
def test_wrong_input_is_one_line_and_decides_nothing(shared_home: Home, arguments: tuple[str, ...], says: str) -> None:
    assert says in one_line(shared_home.run(*arguments))
    assert shared_home.decided() == 0


def test_a_dangerous_token_is_refused_before_anything_is_decided(home: Home) -> None:
    refused = home.run("trade", "--from", "USDC", "--to", "FEE2", "--amount", "5", "--inline")
    assert refused.status == 1
    assert "allow_tokens" in refused.text
    assert home.decided() == 0


def test_a_token_of_the_newer_program_is_traded_when_it_is_allowed(home: Home) -> None:
    bought = home.run(
        "trade", "--from", "USDC", "--to", "FEE2", "--amount", "5", "--inline", "--exit", SNIPERFORGE_ALLOW_TOKENS=FEE2
    )
    assert bought.status == 0, bought.text
    agreed = home.run("reconcile")
    assert agreed.status == 0, agreed.text


def test_more_than_the_wallet_has_fails_with_the_reason_in_the_books(home: Home) -> None:
    failed = home.run(*BUY, "--amount", "5000")
    assert failed.status == 1
    assert "Fund the wallet" in failed.text.splitlines()[-1]
    (listed,) = home.trades()
    assert (listed["state"], listed["attempts_made"]) == ("failed", 0)
    again = home.run(*BUY, "--amount", "5000")
    assert "the same trade was decided" not in again.text


def test_an_unfunded_wallet_fails_with_what_to_do(sandbox: RunningSandbox, tmp_path: Path) -> None:
    failed = make_home(sandbox, tmp_path).run(*BUY, "--amount", "1")
    assert failed.status == 1
    assert "Fund the wallet" in failed.text


def test_a_locked_wallet_decides_nothing(shared_home: Home) -> None:
    locked = {name: value for name, value in shared_home.environment.items() if "PASSPHRASE" not in name}
    assert "locked" in one_line(Home(locked, shared_home.keypair).run(*BUY, "--amount", "1"))
    assert shared_home.decided() == 0


def test_without_anybody_to_ask_nothing_is_decided(shared_home: Home) -> None:
    nowhere = {"SNIPERFORGE_RPC_URLS": "http://127.0.0.1:9", "SNIPERFORGE_JUPITER_URL": "http://127.0.0.1:9"}
    one_line(shared_home.run(*BUY, "--amount", "1", **nowhere))
    assert shared_home.decided() == 0


def test_a_limit_that_the_market_does_not_give_is_not_signed_and_can_be_cancelled(home: Home) -> None:
    waiting = home.trade_until("requeued", *BUY, "--amount", "25", "--limit", "20")
    (listed,) = home.trades()
    cancelled = home.run("cancel", listed["id"][:8])
    assert cancelled.status == 0, cancelled.text
    output, errors = waiting.communicate(timeout=30)
    assert waiting.returncode == 1
    assert "cancelled" in errors, output + errors
    (listed,) = home.trades()
    assert (listed["state"], listed["attempts_made"]) == ("cancelled", 0)


def test_a_limit_that_the_market_gives_holds(home: Home) -> None:
    done = home.json(*BUY, "--amount", "25", "--limit", "200")
    fill = done["fill"]
    assert Decimal(fill["input_raw"]) / 10**6 / (Decimal(fill["output_raw"]) / 10**9) < 200
    assert Decimal(done["trade"]["min_out_per_input"]) == 5


def test_the_same_trade_within_a_minute_is_asked_about(home: Home) -> None:
    assert home.run(*BUY, "--amount", "2").status == 0
    assert "--yes" in one_line(home.run(*BUY, "--amount", "2"))
    no = run_at_terminal(sniperforge(*BUY, "--amount", "2"), home.environment, [("Trade again?", "n")])
    assert no.status == 1
    assert home.decided() == 1
    yes = run_at_terminal(sniperforge(*BUY, "--amount", "2"), home.environment, [("Trade again?", "y")])
    assert yes.status == 0, yes.text
    assert home.run(*BUY, "--amount", "2", "--yes").status == 0
    assert home.run(*BUY, "--amount", "3").status == 0
    assert home.decided() == 4


def test_a_script_that_runs_twice_trades_once(home: Home) -> None:
    first = home.json(*BUY, "--amount", "2", "--token", "monday")
    second = home.json(*BUY, "--amount", "2", "--token", "monday")
    assert first["fill"] == second["fill"]
    assert "other terms" in home.run(*BUY, "--amount", "3", "--token", "monday").text
    assert home.decided() == 1


def test_a_halt_stops_trades_until_they_are_resumed(home: Home) -> None:
    assert home.run(*BUY, "--amount", "1").status == 0
    assert home.run("halt", "--reason", "tea time").status == 0
    assert "tea time" in one_line(home.run(*BUY, "--amount", "2"))
    assert home.run("halt", "--reducing", "--reason", "exits only").status == 0
    assert "exits only" in one_line(home.run(*BUY, "--amount", "2"))
    assert home.run(*SELL, "--amount", "0.01", "--exit").status == 0
    assert home.run("halt", "main", "--reason", "this one").status == 0
    assert "wallet main is still halted: this one" in home.run("resume").text
    assert "sniperforge resume main" in one_line(home.run(*BUY, "--amount", "2"))
    assert home.run("resume", "main").status == 0
    assert home.run(*BUY, "--amount", "2").status == 0


@pytest.mark.parametrize("step", ["claimed", "signed", "persisted", "answered", "booked"])
def test_a_killed_trade_is_settled_by_the_next_command(home: Home, step: str) -> None:
    killed = home.trade_until(step, *BUY, "--amount", "25")
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=10)
    settled = home.run("settle")
    assert settled.status == 0, settled.text
    (listed,) = home.trades()
    assert listed["state"] == "filled", settled.text
    agreed = home.run("reconcile")
    assert agreed.status == 0, agreed.text
    assert "every invariant holds" in home.run("invariants").text


def test_an_interrupted_trade_says_how_it_goes_on(home: Home) -> None:
    interrupted = home.trade_until("persisted", *BUY, "--amount", "25")
    interrupted.send_signal(signal.SIGINT)
    _, errors = interrupted.communicate(timeout=20)
    assert interrupted.returncode == 130
    (listed,) = home.trades()
    assert f"sniperforge settle {listed['id']}" in errors
    settled = home.run("settle", listed["id"][:6])
    assert settled.status == 0, settled.text
    assert home.run("reconcile").status == 0
    assert home.trades()[0]["state"] == "filled"
    assert "every trade is settled" in home.run("settle").text


def test_a_transaction_from_elsewhere_halts_the_wallet_until_somebody_has_looked(
    sandbox: RunningSandbox, home: Home, tmp_path: Path
) -> None:
    assert home.run("reconcile").status == 0
    (tmp_path / "clone").mkdir()
    clone = make_home(sandbox, tmp_path / "clone", home.keypair)
    assert clone.run(*BUY, "--amount", "1").status == 0
    found = home.run("reconcile")
    assert found.status == 1
    (theft,) = [line.split()[1] for line in found.text.splitlines() if line.startswith("  foreign") and "seen" in line]
    assert "agree" in found.text
    again = home.run("reconcile")
    assert again.status == 1, "what still holds the halt is told whoever looked first"
    assert f"foreign  {theft}" in again.text
    assert "0 transactions looked at for the first time" in again.text
    assert "sniperforge resume main" in again.text
    events = home.run("logs", "--events", "--level", "critical").text
    assert "wallet.foreign_transaction: " in events
    assert theft in events
    assert len(events.splitlines()) == 1, events
    grown = (
        "INSERT INTO events (at, kind, severity, message, facts) SELECT at, kind, 'info', message, facts FROM events"
    )
    while change_books(home.environment, grown) < 1_000:
        pass
    assert theft in home.run("logs", "--events", "--level", "critical").text, "whatever else happened since"
    assert "nothing was decided: wallet main is halted" in home.run(*BUY, "--amount", "2").text
    assert "add --yes" in one_line(home.run("resume", "main"))
    asked = run_at_terminal(sniperforge("resume", "main"), home.environment, [("may trading go on?", "y")])
    assert asked.status == 0, asked.text
    assert home.run(*BUY, "--amount", "2").status == 0
    assert home.run("reconcile").status == 0


def test_events_that_belong_to_no_trade_are_shown_and_followed(home: Home) -> None:
    logs = Path(home.environment["SNIPERFORGE_HOME"]) / "logs"
    logs.mkdir(exist_ok=True)
    line = '{"timestamp": "2026-03-01T12:00:00Z", "level": "critical", "event": "no event of the books"}'
    (logs / "sniperforge-2026-03-01.jsonl").write_text(f"{line}\n")
    assert "no event of the books" in home.run("logs").text
    assert home.run("logs", "--events").text == "nothing in the books tells of that\n"
    assert home.run("reconcile").status == 0
    assert home.run("halt", "--reason", "tea time").status == 0
    follow = subprocess.Popen(
        sniperforge("logs", "--events", "--lines", "1", "--follow"),
        env=home.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert follow.stdout is not None
        assert "control.halted: trading is halted by " in follow.stdout.readline()
        assert home.run("halt", "main", "--reason", "this one").status == 0
        assert f"this one wallet={home.keypair.pubkey()}" in follow.stdout.readline()
    finally:
        follow.kill()
        follow.communicate(timeout=10)


def test_books_that_lie_are_named_with_asset_and_amount(home: Home) -> None:
    assert home.run("reconcile").status == 0
    first = "SELECT min(id) FROM ledger_entries WHERE asset = 'native'"
    change = f"UPDATE ledger_entries SET delta_raw = delta_raw - 7 WHERE id = ({first})"  # noqa: S608 (no input)
    assert change_books(home.environment, change) == 1
    found = home.run("reconcile")
    assert found.status == 1
    assert "SOL (native) (+7 base units)" in found.text
    broken = home.run("invariants")
    assert broken.status == 1
    assert "I5" in broken.text
