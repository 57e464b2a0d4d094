"""Flattening a wallet as typed: asked about, cancelled, waited for, sold; and what stays is named."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.home_books import read_books
from tests.fakes.queue_stack import wait_for
from tests.fakes.redis_server import RedisServer
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.terminal import run_at_terminal, sniperforge
from tests.fakes.user_home import Home, fund, make_home, one_line
from tests.fakes.working_home import working

pytestmark = pytest.mark.system

USUAL = "0.42"
"""What JUP costs."""

BUY = ("trade", "--from", "USDC", "--inline")


def positions(home: Home) -> dict[str, int]:
    """Base units bought and held, by symbol."""
    return {one["symbol"]: one["bought_raw"] for one in home.json("portfolio")["holdings"]}


def test_everything_open_ends_and_what_was_bought_is_sold(home: Home) -> None:
    assert home.run(*BUY, "--to", "SOL", "--amount", "20").status == 0
    assert home.run(*BUY, "--to", "BONK", "--amount", "30").status == 0
    # As an exit: an entry that costs more in fees than it is worth is refused.
    assert home.run(*BUY, "--to", "JUP", "--amount", "0.005", "--exit").status == 0
    waiting = home.trade_until("requeued", *BUY, "--to", "SOL", "--amount", "25", "--limit", "20")
    waiting.send_signal(signal.SIGKILL)
    waiting.communicate(timeout=10)
    before = positions(home)
    assert before["SOL"] > 0
    assert before["BONK"] > 0

    asked = home.run("flatten", "--inline")
    assert asked.status == 1
    assert "would cancel 1 open trades and sell 2 positions" in asked.text
    assert "--yes" in asked.text.splitlines()[-1]
    no = run_at_terminal(sniperforge("flatten", "--inline"), home.environment, [("sell 2 positions?", "n")])
    assert no.status == 1
    assert positions(home) == before

    done = home.run("flatten", "--inline", "--yes")
    assert done.status == 0, done.text
    assert "JUP: it is worth less than a cent" in done.text
    after = positions(home)
    assert (after["SOL"], after.get("BONK", 0)) == (0, 0)
    assert after["JUP"] == before["JUP"]
    states = [one["state"] for one in home.trades()]
    assert sorted(states) == ["cancelled", *["filled"] * 5]
    assert home.run("reconcile").status == 0
    again = home.run("flatten", "--inline", "--yes")
    assert again.status == 0, again.text
    assert "nothing is open" in again.text
    assert len(home.trades()) == 6


def test_a_signed_trade_is_waited_for_and_sold_too(home: Home) -> None:
    killed = home.trade_until("answered", *BUY, "--to", "SOL", "--amount", "25")
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=10)
    done = home.run("flatten", "--inline", "--yes")
    assert done.status == 0, done.text
    assert positions(home)["SOL"] == 0
    assert sorted(one["state"] for one in home.trades()) == ["filled", "filled"]


def order(home: Home, kind: str, *options: str) -> str:
    """Make an order of JUP; its id."""
    placed = home.json("order-create", "--type", kind, "--token", "JUP", *options, "--yes")
    return str(placed["id"])


@contextmanager
def jup_at(sandbox: RunningSandbox, usd: str) -> Iterator[None]:
    """JUP costs this for a while."""
    sandbox.ask("POST", "/price", token="JUP", usd=usd)
    yield
    sandbox.ask("POST", "/price", token="JUP", usd=USUAL)


def test_orders_end_too_and_nothing_of_them_fires_when_the_market_comes_to_them(
    sandbox: RunningSandbox, redis: RedisServer, tmp_path: Path
) -> None:
    home = make_home(sandbox, tmp_path, SNIPERFORGE_REDIS_URL=redis.url)
    sandbox.fund(home.keypair.pubkey(), token="JUP", amount="1000")
    fund(sandbox, home)  # waits until all of it is final: only then is it in the books
    ended = [
        order(home, "bracket", "--entry", "0.38", "--stop-loss", "0.2", "--take-profit", "0.6", "--quote-amount", "50"),
        order(home, "stop-loss", "--trigger", "0.37"),
    ]
    asked = home.run("flatten", "--inline")
    assert asked.status == 1
    assert "would cancel 2 open orders, 0 open trades and sell 0 positions" in asked.text
    done = home.run("flatten", "--inline", "--yes")
    assert done.status == 0, done.text
    for one in ended:
        assert f"cancel   order {one} (" in done.text
        assert home.json("order-show", one)["state"] == "cancelled"

    watched = order(home, "stop-loss", "--trigger", "0.36", "--amount", "10")
    filled = "SELECT id FROM orders WHERE state = 'filled'"
    with jup_at(sandbox, "0.35"), working(home.environment, redis, tmp_path):
        wait_for(
            lambda: read_books(home.environment, filled, of="orders") == [watched],
            within_s=90,
            told=lambda: home.run("order-show", watched).text,
        )
    assert home.decided() == 1, "an order that was cancelled has fired"


def test_what_cannot_be_flattened_is_one_line_and_changes_nothing(home: Home) -> None:
    assert "sniperforge up" in one_line(home.run("flatten", "--yes"))
    assert "give one of them" in one_line(home.run("flatten", "--inline", "--wait"))
    assert "nothing was traded with it yet" in one_line(home.run("flatten", "--inline", "--yes"))
    assert home.run(*BUY, "--to", "SOL", "--amount", "5").status == 0
    assert home.run("halt", "--reason", "tea time").status == 0
    assert "tea time" in one_line(home.run("flatten", "--inline", "--yes"))
    assert home.run("halt", "--reducing", "--reason", "exits go on").status == 0
    assert "NOSUCH" in one_line(home.run("flatten", "--inline", "--yes", "--to", "NOSUCH"))
    assert home.decided() == 1
    reduced = home.run("flatten", "--inline", "--yes")
    assert reduced.status == 0, reduced.text
    assert home.decided() == 2
