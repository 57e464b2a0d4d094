"""Orders as typed: shown and asked about, listed, changed, cancelled, fired by workers; wrong input."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.home_books import read_books
from tests.fakes.queue_stack import wait_for
from tests.fakes.redis_server import RedisServer
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.terminal import run_at_terminal, sniperforge
from tests.fakes.user_home import Home, fund, make_home
from tests.fakes.working_home import working

pytestmark = pytest.mark.system

STOP = ("order-create", "--type", "stop-loss", "--token", "SOL", "--trigger", "140")


def written(home: Home, question: str = "SELECT id FROM orders") -> list[str]:
    """Ids of all orders, read past the command line, which takes a second to start."""
    return read_books(home.environment, question, of="orders")


def create(home: Home, kind: str, *options: str) -> dict[str, Any]:
    placed: dict[str, Any] = home.json("order-create", "--type", kind, "--token", "SOL", *options, "--yes")
    return placed


def test_a_stop_loss_says_what_it_will_do_and_asks(home: Home) -> None:
    no = run_at_terminal(sniperforge(*STOP), home.environment, [("Place this order?", "n")])
    assert no.status == 1
    assert written(home) == []
    asked = run_at_terminal(sniperforge(*STOP), home.environment, [("Place this order?", "y")])
    assert asked.status == 0, asked.text
    for shown in (
        "which holds 10 SOL",
        "when SOL costs 140 USD or less, at 2 looks in a row: sell all SOL held for USDC",
        "300 bps from the independent price, up to 1000 bps after trades that failed; never more than is held",
        "140 USD is 22.2",
        "% below the market (1",
        "nothing runs on this home now, so nobody watches the market for it",
    ):
        assert shown in asked.text, asked.text
    (order,) = written(home)
    assert f"order {order} is open" in asked.text
    assert home.json("order-show", order[:6])["legs"][0]["standing"] == "armed"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            "--type stop-loss --token SOL --trigger 200 --confirmations 0 --expires-at soon --amount 11",
            ("--expires-at: 'soon'", "--trigger: 200 is not below", "--confirmations: 0", "--amount: 11 is more"),
        ),
        (
            "--type oco --token SOL --stop-loss 150 --take-profit 140 --trail-bps 5 --slippage-bps 5000",
            ("--trail-bps: ", "--take-profit: 140 is not above the stop-loss", "--slippage-bps: 5000", "the market"),
        ),
        (
            "--type trailing-stop --token SOL --trail-bps 9001 --quote-amount x --side up",
            ("--quote-amount: 'x'", "--side: 'up'", "--trail-bps: 9001"),
        ),
        ("--type conditional --token SOL --match some", ("--match: 'some'", "--condition: ")),
        ("--type stop --token SOL", ("--type: 'stop' is none of stop-loss, take-profit",)),
        ("--type stop-loss --token NOSUCH --trigger 1", ("Jupiter lists no token with this symbol",)),
        ("--type stop-loss --token SOL --trigger 140", ("nobody is there to ask",)),
    ],
)  # fmt: skip
def test_wrong_input_is_told_all_at_once_and_writes_nothing(
    shared_home: Home, options: str, says: tuple[str, ...]
) -> None:
    refused = shared_home.run("order-create", *options.split())
    assert refused.status == 1
    for said in says:
        assert said in refused.text, refused.text
    assert "Traceback" not in refused.text
    assert written(shared_home) == []


def test_tokens_and_wallets_that_there_are_not_hide_nothing_else_that_is_wrong(shared_home: Home) -> None:
    refused = shared_home.run(
        "order-create", "--type", "conditional", "--token", "NOSUCH", "--wallet", "nobody", "--expires-at", "soon",
        "--condition", "ALSONOT above 5", "--condition", "SOL/ALSO@NOT below 0", "--confirmations", "0",
        "--amount", "0.000", "--trigger", "5", "--yes",
    )  # fmt: skip
    assert refused.status == 1
    told = [line.strip() for line in refused.text.splitlines()]
    for said in (
        "--wallet: nobody: ",
        "--token: NOSUCH: Jupiter lists no token with this symbol",
        "--condition: ALSONOT: Jupiter lists no token with this symbol",
        "--condition: ALSO@NOT: Jupiter lists no token with this symbol",
        "--condition: SOL/ALSO?NOT at or below 0: ",
        "--expires-at: 'soon'",
        "--trigger: orders of kind conditional do not have it",
        "--confirmations: 0 is not within",
        "--amount: it is zero",
    ):
        assert sum(line.startswith(said) for line in told) == 1, refused.text
    assert "Traceback" not in refused.text
    assert written(shared_home) == []
    quote = shared_home.run(*STOP, "--quote", "NOSUCH", "--quote-amount", "1.5", "--slippage-bps", "0", "--yes")
    assert "--quote: NOSUCH: " in quote.text
    assert "--slippage-bps: 0 is not above zero" in quote.text
    assert "--quote-amount" not in quote.text
    dangerous = ("--type", "take-profit", "--side", "buy", "--token", "FEE2", "--trigger", "0.00001", "--amount", "1")
    refused = shared_home.run("order-create", *dangerous, "--expires-at", "soon", "--yes")
    assert "--token: FEE2 (" in refused.text, refused.text
    assert "not traded because every transfer costs" in refused.text
    assert "--expires-at: 'soon'" in refused.text


def test_orders_of_every_kind_are_listed_shown_changed_and_cancelled(home: Home) -> None:
    stop = create(home, "stop-loss", "--trigger", "140", "--expires-at", "7d", "--amount", "50%")
    create(home, "take-profit", "--trigger", "220", "--quote-amount", "100", "--no-reduce-only")
    trail = create(home, "trailing-stop", "--trail-amount", "9", "--amount", "2")
    conditions = ("SOL/JUP below 100", "SOL above 300", "time from 1h until 2h", "time 09:00-17:30 Europe/Berlin")
    conditional = create(home, "conditional", *chain(*(("--condition", one) for one in conditions)), "--match", "any")
    create(home, "oco", "--stop-loss", "140", "--take-profit", "220")
    create(home, "bracket", "--stop-loss", "140", "--take-profit", "220", "--entry", "150", "--quote-amount", "50")
    assert stop["legs"][0]["amount"] == {"kind": "percent", "value": 5_000}
    listed = home.run("order-list").text
    for shown in (
        "1 SOL costs 100 JUP or less or SOL costs 300 USD or more",
        "once the entry has filled",
        "falls by 9 USD",
        "or it is from 09:00 to 17:30 Europe/Berlin, at 2 looks in a row",
    ):
        assert shown in listed, listed
    assert len(home.json("order-list")) == 6

    best = trail["legs"][0]["triggers"][0]["best"]
    changed = home.run("order-edit", trail["id"], "--trail-bps", "700", "--confirmations", "3", "--yes")
    assert "SOL falls by 7 % from its highest price" in changed.text
    (trigger,) = home.json("order-show", trail["id"])["legs"][0]["triggers"]
    assert (trigger["best"], trigger["confirmations"]) == (best, 3)
    wrong = ("--condition", "NOPE above 5", "--condition", "time until 2020-01-01T00:00Z", "--confirmations", "0")
    refused = home.run("order-edit", conditional["id"], *wrong, "--match", "all", "--yes")
    assert refused.status == 1
    for told in ("--condition: NOPE", "does not come before the order ends", "--confirmations: 0 is not within 1 to"):
        assert told in refused.text, refused.text
    until = home.json("order-edit", conditional["id"], "--condition", "time until 9h", "--match", "all", "--yes")
    assert until["expires_at"] is not None
    unasked = home.run("order-edit", stop["id"], "--trigger", "141")
    assert (unasked.status, "nobody is there to ask" in unasked.text) == (1, True)
    assert home.json("order-edit", stop["id"], "--expires-at", "never", "--yes")["expires_at"] is None

    assert home.run("order-cancel", stop["id"]).text.startswith(f"order {stop['id']} is cancelled")
    assert "it is cancelled already" in home.run("order-cancel", stop["id"]).text
    assert "it is cancelled already" in home.run("order-edit", stop["id"], "--trigger", "141", "--yes").text
    assert len(home.json("order-list")) == 5
    assert len(home.json("order-list", "--all")) == 6
    assert "there is no such order" in home.run("order-show", "onowhere").text


def test_workers_fire_an_order_and_its_trade_is_shown_with_it(
    sandbox: RunningSandbox, redis: RedisServer, tmp_path: Path
) -> None:
    home = make_home(sandbox, tmp_path, SNIPERFORGE_REDIS_URL=redis.url)
    fund(sandbox, home)
    with working(home.environment, redis, tmp_path):
        placed = home.run(
            "order-create", "--type", "bracket", "--token", "SOL", "--stop-loss", "140", "--take-profit", "220",
            "--quote-amount", "50", "--yes",
        )  # fmt: skip
        assert placed.status == 0, placed.text
        assert "nothing runs on this home" not in placed.text
        (bracket,) = written(home)

        exits = "SELECT state FROM order_legs WHERE name != 'entry'"
        wait_for(
            lambda: written(home, exits) == ["armed"] * 2,
            within_s=60,
            told=lambda: home.run("order-show", bracket).text,
        )
        legs = {leg["name"]: leg for leg in home.json("order-show", bracket)["legs"]}
        assert (legs["entry"]["state"], [one["state"] for one in legs["entry"]["trades"]]) == ("filled", ["filled"])
        assert legs["stop"]["amount"]["kind"] == "base"
        assert legs["stop"]["triggers"][0]["level"] == "140"

        sell = create(home, "stop-loss", "--trigger", "300", "--amount", "1", "--force")
        wait_for(
            lambda: written(home, "SELECT id FROM orders WHERE state = 'filled'") == [sell["id"]],
            within_s=60,
            told=lambda: home.run("order-show", sell["id"]).text,
        )
        told = home.run("order-show", sell["id"]).text
        for shown in ("fired ", " beyond its level", "filled by trade", "  trade  "):
            assert shown in told, told
        cancelled = home.run("order-cancel", bracket, "--wait")
        assert cancelled.status == 0, cancelled.text
        assert home.json("order-show", bracket)["state"] == "cancelled"
    assert "every invariant holds" in home.run("invariants").text
