"""Orders as typed: shown and asked about, listed, changed, cancelled, refused; fired by the running system, and by the
one that is started again after the market moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sniperforge.sandbox.tokens import PEPE2_IMPOSTOR
from tests.fakes.home_books import kept_in, read_books
from tests.fakes.queue_stack import wait_for
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.stores import Database
from tests.fakes.terminal import run_at_terminal, sniperforge
from tests.fakes.user_home import Home, fund, make_home

pytestmark = pytest.mark.system

FIRES_WITHIN_S = 90.0
USUAL = "0.42"


def funded(sandbox: RunningSandbox, folder: Path, **settings: str) -> Home:
    """A home whose wallet holds 1000 JUP besides."""
    home = make_home(sandbox, folder, None, **settings)
    fund(sandbox, home)
    sandbox.fund(home.keypair.pubkey(), token="JUP", amount="1000")
    return home


@pytest.fixture(scope="module")
def running(each_books: Database, sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home on which `up` runs; chain and exchange go on without it."""
    with kept_in(each_books):
        home = funded(sandbox, tmp_path_factory.mktemp("running"))
        started = home.run("up", "-d")
        assert started.status == 0, started.text
        yield home
        home.run("down")


@pytest.fixture(scope="module")
def idle(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home on which nothing runs."""
    return funded(sandbox, tmp_path_factory.mktemp("idle"))


@pytest.fixture(autouse=True)
def usual_price(sandbox: RunningSandbox) -> None:
    price(sandbox, USUAL)


def price(sandbox: RunningSandbox, usd: str) -> None:
    sandbox.ask("POST", "/price", token="JUP", usd=usd)


def place(home: Home, terms: str) -> str:
    """Make an order of JUP; its id."""
    made = home.run("order-create", "--token", "JUP", *terms.split(), "--yes")
    assert made.status == 0, made.text
    found = re.search(r"^order (\w+) is open", made.text, re.MULTILINE)
    assert found is not None, made.text
    return found[1]


def order(home: Home, order_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = home.json("order-show", order_id)
    return shown


def open_orders(home: Home) -> int:
    """How many the books hold, read past the command line, which takes a second to start."""
    return len(read_books(home.environment, "SELECT id FROM orders WHERE state = 'open'", of="orders"))


def until_filled(home: Home, order_id: str) -> dict[str, Any]:
    """The order, when the fill of its trade is final."""
    wait_for(
        lambda: order(home, order_id)["state"] == "filled",
        within_s=FIRES_WITHIN_S,
        told=lambda: home.run("order-show", order_id).text,
    )
    return order(home, order_id)


KINDS = {
    "stop-loss": "--type stop-loss --trigger 0.05",
    "take-profit": "--type take-profit --trigger 3 --amount 25%",
    "trailing-stop": "--type trailing-stop --trail-bps 9000 --amount 5 --activation 2",
    "conditional": "--type conditional --match any --condition SOL/JUP~above~9000 --condition SOL~below~20 --amount 5",
    "oco": "--type oco --stop-loss 0.05 --take-profit 3 --quote-amount 5 --expires-at 7d",
    "bracket": "--type bracket --entry 0.06 --stop-loss 0.05 --take-profit 3 --quote-amount 5",
}
SAID = {
    "stop-loss": "when JUP costs 0.05 USD or less, at 2 looks in a row: sell all JUP held for USDC",
    "take-profit": "when JUP costs 3 USD or more, at 2 looks in a row: sell 25 % of the JUP held for USDC",
    "trailing-stop": "falls by 90 % from its highest price since it was at 2 USD or more",
    "conditional": "when 1 SOL costs 9000 JUP or more or SOL costs 20 USD or less, at 2 looks in a row: sell 5 JUP",
    "oco": "sell as much JUP as is worth 5 USDC",
    "bracket": "once the entry has filled, when JUP costs 0.05 USD or less",
}


def test_orders_of_every_kind_are_placed_and_told_in_plain_words(running: Home) -> None:
    ids = {}
    for kind, terms in KINDS.items():
        made = running.run(
            "order-create", "--token", "JUP", *(word.replace("~", " ") for word in terms.split()), "--yes"
        )
        assert made.status == 0, made.text
        assert SAID[kind] in made.text, made.text
        assert "looked at     every 1 s" in made.text
        found = re.search(r"^order (\w+) is open", made.text, re.MULTILINE)
        assert found is not None, made.text
        ids[found[1]] = kind
    wait_for(lambda: all(one["legs"][0]["triggers"][0]["seen_at"] for one in running.json("order-list")))
    listed = {one["id"]: one for one in running.json("order-list")}
    assert {name: one["kind"] for name, one in listed.items()} == ids
    assert all(one["state"] == "open" and one["legs"][0]["armed"] for one in listed.values())
    assert [leg["armed"] for one in listed.values() if one["kind"] == "bracket" for leg in one["legs"]] == [
        True,
        False,
        False,
    ]
    told = running.run("order-list").text
    assert all(text in told for text in SAID.values()), told
    stop = next(name for name, kind in ids.items() if kind == "stop-loss")
    shown = running.run("order-show", stop[:5]).text
    assert f"order {stop} (stop-loss): open" in shown
    assert re.search(r"level         0\.05 USD is 88\.(09|10) % below the market", shown), shown
    for name in ids:
        cancelled = running.run("order-cancel", name)
        assert cancelled.status == 0, cancelled.text
        assert f"order {name} is cancelled" in cancelled.text
    assert "no open orders" in running.run("order-list").text
    assert {one["state"] for one in running.json("order-list", "--all")} == {"cancelled"}


def test_a_stop_fires_at_its_changed_level_and_a_cancelled_one_does_not(running: Home, sandbox: RunningSandbox) -> None:
    stop, other = (place(running, f"--type stop-loss --trigger {level} --amount 50") for level in ("0.30", "0.39"))
    edited = running.run("order-edit", stop, "--trigger", "0.38", "--yes")
    assert edited.status == 0, edited.text
    assert "when JUP costs 0.38 USD or less" in edited.text
    assert running.run("order-cancel", other).status == 0
    price(sandbox, "0.375")
    fired = until_filled(running, stop)
    (leg,) = fired["legs"]
    assert (leg["state"], leg["firings"], [one["state"] for one in leg["trades"]]) == ("filled", 1, ["filled"])
    assert Decimal("0.374") < Decimal(leg["fired_value"]) < Decimal("0.376")
    sold = running.json("trade-show", leg["trades"][0]["id"])
    assert sold["fill"]["input_raw"] == 50_000_000
    (untouched,) = order(running, other)["legs"]
    assert (untouched["state"], untouched["firings"], untouched["trades"]) == ("cancelled", 0, [])
    shown = running.run("order-show", stop).text
    assert re.search(r"fired .* at 0\.37\d+ USD, 1[23]\d bps beyond its level", shown), shown
    late = running.run("order-cancel", stop)
    assert late.status == 1
    assert "it is filled already" in late.text
    changed = running.run("order-edit", stop, "--trigger", "0.3", "--yes")
    assert changed.status == 1
    assert "it is filled already" in changed.text


def test_an_order_that_was_crossed_while_nothing_ran_fires_on_fresh_prices_and_says_that_it_gapped(
    running: Home, sandbox: RunningSandbox
) -> None:
    stop = place(running, "--type stop-loss --trigger 0.36 --amount 50")
    down = running.run("down")
    assert down.status == 0, down.text
    price(sandbox, "0.345")
    (waiting,) = order(running, stop)["legs"]
    assert (waiting["state"], waiting["firings"]) == ("armed", 0)
    up = running.run("up", "-d")
    assert up.status == 0, up.text
    (leg,) = until_filled(running, stop)["legs"]
    assert Decimal("0.344") < Decimal(leg["fired_value"]) < Decimal("0.346")
    assert 400 < leg["gap_bps"] < 430
    assert datetime.fromisoformat(leg["fired_at"]) > datetime.fromisoformat(order(running, stop)["created_at"])
    (trade,) = leg["trades"]
    told = running.run("logs", "--intent", trade["id"], "--lines", "200").text
    assert re.search(r"order.fired: order \w+: leg main fired at 0\.34\d+, gapped 4\d\d bps beyond its level", told), (
        told
    )
    assert running.run("reconcile").status == 0


def test_risk_show_tells_limits_and_that_exits_are_never_held_back(idle: Home) -> None:
    assert "no limit: max_spend_per_trade_usd" in idle.run("risk-show").text
    limited = replace(idle, environment={**idle.environment, "SNIPERFORGE_MAX_SPEND_PER_TRADE_USD": "25"})
    told = limited.run("risk-show").text
    assert re.search(r"max_spend_per_trade_usd +25\.00", told), told
    assert "exits are never held back" in told
    assert limited.json("risk-show")["rules"][0]["limit"] == "25"


def test_an_order_is_shown_and_asked_about_before_it_is_written(idle: Home) -> None:
    command = sniperforge("order-create", "--type", "stop-loss", "--token", "SOL", "--trigger", "140")
    no = run_at_terminal(command, idle.environment, [("Place this order?", "n")], within_s=90)
    assert no.status == 1
    for shown in (
        "when SOL costs 140 USD or less, at 2 looks in a row: sell all SOL held for USDC",
        "140 USD is 22.2",
        "% below the market",
        "never more than is held",
        "the market can jump past it between two looks",
    ):
        assert shown in no.text, no.text
    assert "no open orders" in idle.run("order-list").text
    yes = run_at_terminal(command, idle.environment, [("Place this order?", "y")], within_s=90)
    assert yes.status == 0, yes.text
    assert "nothing runs on this home now" in yes.text
    (placed,) = idle.json("order-list")
    assert open_orders(idle) == 1
    refused = idle.run("order-edit", placed["id"], "--trigger", "130")
    assert refused.status == 1
    assert "nobody is there to ask; nothing was written" in refused.text
    assert order(idle, placed["id"]) == placed
    assert "is cancelled" in idle.run("order-cancel", placed["id"]).text


@pytest.mark.parametrize(
    ("terms", "problems"),
    [
        (
            "--type oco --stop-loss 0.5 --take-profit 0.4 --amount abc --expires-at 2020-01-01T00:00:00Z",
            (
                "--amount: 'abc' is not a number",
                "--take-profit: 0.4 is not above the stop-loss 0.5",
                "--expires-at: 2020-01-01T00:00:00+00:00 has passed already",
                "--stop-loss: 0.5 is not below the market (0.4",
                "Add --force",
            ),
        ),
        (
            "--type trailing-stop --trail-bps 9001 --slippage-bps 0 --confirmations 0 --amount 5000",
            (
                "--trail-bps: 9001 is not within 1 to 9000",
                "--slippage-bps: 0 is not above zero",
                "--confirmations: 0 is not within 1 to 100",
                "--amount: 5000 is more than the position",
            ),
        ),
        ("--type stop-loss --trigger 0.43", ("--trigger: 0.43 is not below the market", "unless forced")),
        ("--type take-profit --trigger 0.41", ("--trigger: 0.41 is not above the market", "unless forced")),
        ("--type stop", ("--type: 'stop' is none of stop-loss, take-profit",)),
        ("--type bracket --take-profit 0.5 --reduce-only", ("--stop-loss: ", "--amount: say how much to buy")),
        (
            "--type conditional --condition JUP~above~0.5 --condition JUP~below~0.4 --trigger 1",
            ("--condition: ", "--trigger: orders of kind conditional do not have it"),
        ),
        (
            f"--type conditional --condition {PEPE2_IMPOSTOR}~above~1 --slippage-bps -1",
            ("has no price now", "--slippage-bps: -1 is not above zero"),
        ),
    ],
)
def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_written(
    idle: Home, terms: str, problems: tuple[str, ...]
) -> None:
    words = (word.replace("~", " ") for word in terms.split())
    refused = idle.run("order-create", "--token", "JUP", *words, "--yes")
    assert refused.status == 1, refused.text
    for problem in problems:
        assert problem in refused.text, refused.text
    assert "Traceback" not in refused.text
    assert open_orders(idle) == 0


@pytest.mark.parametrize("command", ["order-show", "order-cancel", "order-edit"])
def test_an_order_that_is_not_there_is_said_in_one_line(idle: Home, command: str) -> None:
    unknown = idle.run(command, "ozzzzzzzzzzz")
    assert unknown.status == 1
    assert unknown.text.startswith("sniperforge: ")
    assert "there is no such order" in unknown.text
    assert unknown.text.count("\n") == 1
