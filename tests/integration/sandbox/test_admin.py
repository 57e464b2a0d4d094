"""The admin port: what it decrees, and how it refuses nonsense, with every problem at once."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair

from sniperforge.sandbox.tokens import PEPE2, SOL, USDC
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.solana_transactions import result_of

NOBODY = "Cn7JxBsLzYNTgvtXy6vs5svvwLG1VJ7eWKzVkVzdDyb7"


def test_funding_adds_exactly_what_was_asked(sandbox: RunningSandbox) -> None:
    wallet = Keypair().pubkey()
    sandbox.fund(wallet, sol="1.5")
    sandbox.fund(wallet, sol=0.5, token="bonk", amount="7.00001")
    answer: Any = result_of(sandbox.endpoints.rpc_url, "getBalance", str(wallet), {"commitment": "processed"})
    assert answer["value"] == 2 * 10**9
    again = sandbox.ask("POST", "/fund", wallet=str(wallet), token="BONK", amount=1)
    balance: Any = result_of(
        sandbox.endpoints.rpc_url, "getTokenAccountBalance", again["token_account"], {"commitment": "processed"}
    )
    assert balance["value"]["amount"] == "800001"


def test_a_price_jumps_and_the_jupiter_api_says_so(sandbox: RunningSandbox) -> None:
    before = sandbox.ask("GET", "/status")["sol_usd"]
    sandbox.ask("POST", "/price", token="SOL", usd="150")
    assert abs(sandbox.ask("GET", "/status")["sol_usd"] - 150) < 5
    sandbox.ask("POST", "/price", token=str(SOL), usd=before)


def test_a_paused_chain_closes_no_slot_and_a_resumed_one_does(sandbox: RunningSandbox) -> None:
    def slot() -> int:
        return int(sandbox.ask("GET", "/status")["slot"])

    sandbox.ask("POST", "/pause", paused=True)
    stood = slot()
    time.sleep(0.05)
    assert slot() == stood
    sandbox.ask("POST", "/pause", paused=False)
    while slot() == stood:
        time.sleep(0.005)


def test_the_clock_changes_speed(sandbox: RunningSandbox) -> None:
    assert sandbox.ask("POST", "/clock", slot_ms=5) == {"slot_ms": 5, "market_speed": 1.0}
    assert sandbox.ask("POST", "/clock", market_speed="86400") == {"slot_ms": 5, "market_speed": 86_400.0}
    status = sandbox.ask("GET", "/status")
    assert (status["slot_ms"], status["market_speed"]) == (5, 86_400.0)


def test_a_faster_market_moves_its_price_further(sandbox: RunningSandbox) -> None:
    def sol_usd() -> float:
        return float(sandbox.ask("GET", "/status")["sol_usd"])

    before = sol_usd()
    sandbox.ask("POST", "/clock", market_speed=1_000_000)
    deadline = time.monotonic() + 10
    while abs(sol_usd() / before - 1) < 0.005:  # a third of a usual day; a calm second moves a hundredth of that
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_market_makers_win_as_often_as_they_are_told_to(sandbox: RunningSandbox) -> None:
    query = {"inputMint": str(USDC), "outputMint": str(SOL), "amount": "25000000"}

    def routers() -> set[str]:
        url = sandbox.endpoints.jupiter_url + "/swap/v2/order"
        return {httpx.get(url, params=query).json()["router"] for _ in range(12)}

    assert sandbox.ask("POST", "/jupiter", jupiterz_share=1)["jupiterz_share"] == 1
    assert routers() == {"jupiterz"}
    assert sandbox.ask("POST", "/jupiter", jupiterz_share=0)["jupiterz_share"] == 0
    assert routers() == {"metis"}


def test_an_api_key_is_closed_to_a_path_and_opened_again(sandbox: RunningSandbox) -> None:
    def status(key: str) -> int:
        url = sandbox.endpoints.jupiter_url + "/price/v3"
        return httpx.get(url, params={"ids": str(SOL)}, headers={"x-api-key": key}).status_code

    told = sandbox.ask("POST", "/jupiter", forbidden={"sandbox-free": ["/price/"]})
    assert told["forbidden"] == {"sandbox-free": ["/price/"]}
    assert sandbox.ask("POST", "/jupiter", maker_leg_share="0.5") == {**told, "maker_leg_share": 0.5}
    assert (status("sandbox-free"), status("sandbox-pro")) == (403, 200)
    sandbox.ask("POST", "/jupiter", forbidden={})
    assert status("sandbox-free") == 200


def test_a_new_node_is_made_by_naming_it(sandbox: RunningSandbox) -> None:
    nodes = sandbox.ask("POST", "/nodes", name="far", lag_slots=12, remembers_slots=50, swallow=0.5)["nodes"]
    assert [node["path"] for node in nodes] == ["/", "/node/b", "/node/c", "/node/far"]
    assert (nodes[-1]["lag_slots"], nodes[-1]["remembers_slots"], nodes[-1]["swallow"]) == (12, 50, 0.5)
    assert result_of(sandbox.endpoints.rpc_url + "/node/far", "getHealth") == "ok"


def test_faults_are_added_listed_and_cleared(sandbox: RunningSandbox) -> None:
    sandbox.fault("rpc:getSlot", "reset", count=2)
    sandbox.fault("jupiter:/swap/v2/execute", "execute_code", probability=0.5, params={"code": -1000, "lands": True})
    kinds = [one["kind"] for one in sandbox.ask("GET", "/faults")["faults"]]
    assert kinds == ["reset", "execute_code"]
    answer = sandbox.admin.request("DELETE", "/faults", params={"target": "rpc:getSlot"}).json()
    assert answer == {"removed": 1}


@pytest.mark.parametrize(
    ("path", "body", "problems"),
    [
        ("/fund", {}, ["wallet: missing"]),
        ("/fund", {"wallet": "x", "sol": "much", "colour": 1}, ["wallet", "sol", "colour: there is no such field"]),
        ("/fund", {"wallet": NOBODY}, ["sol, amount"]),
        ("/fund", {"wallet": NOBODY, "sol": "0"}, ["above zero"]),
        ("/fund", {"wallet": NOBODY, "sol": "0.0000000001"}, ["more than 9 decimals"]),
        ("/fund", {"wallet": NOBODY, "token": "USDC"}, ["give both"]),
        ("/fund", {"wallet": NOBODY, "token": "NOPE", "amount": 1}, ["no token 'NOPE'"]),
        ("/fund", {"wallet": NOBODY, "token": "PEPE2", "amount": 1}, [str(PEPE2)]),
        ("/price", {"token": "SOL", "usd": "-1"}, ["cannot express"]),
        ("/price", {"token": "SOL", "usd": "nan"}, ["not a price"]),
        ("/pause", {"paused": "yes"}, ["paused: 'yes' is not true or false"]),
        ("/clock", {"slot_ms": 4}, ["5 to 60000"]),
        ("/clock", {"slot_ms": True}, ["slot_ms"]),
        ("/clock", {"market_speed": 0}, ["0.01 to 1000000"]),
        ("/clock", {"slot_ms": 10, "market_speed": "fast"}, ["market seconds per second"]),
        ("/jupiter", {"jupiterz_share": 1.5, "maker_leg_share": "often"}, ["jupiterz_share: 1.5", "maker_leg_share"]),
        ("/jupiter", {"forbidden": {"sandbox-free": "/price/"}}, ["path prefixes by API key"]),
        ("/fork", {"depth": 0, "reinclude": 2}, ["depth", "reinclude"]),
        ("/nodes", {"name": "a/b", "lag_slots": -1}, ["name", "lag_slots"]),
        ("/faults", {"target": "here", "kind": "reset"}, ["target", "exactly one"]),
        ("/faults", {"target": "*", "kind": "reset", "count": 1, "node": "z"}, ["no node 'z'"]),
    ],
)
def test_nonsense_is_refused_with_all_its_problems(
    sandbox: RunningSandbox, path: str, body: dict[str, Any], problems: list[str]
) -> None:
    response = sandbox.admin.post(path, json=body)
    assert response.status_code == 400
    told = response.json()["problems"]
    assert len(told) == len(problems)
    for expected in problems:
        assert any(expected in one for one in told), (expected, told)


def test_a_body_that_is_no_json_object_is_refused(sandbox: RunningSandbox) -> None:
    assert sandbox.admin.post("/pause", content=b"{").status_code == 400
    assert sandbox.admin.post("/pause", content=b"[]").status_code == 400


def test_a_fork_deeper_than_finality_is_refused(sandbox: RunningSandbox) -> None:
    response = sandbox.admin.post("/fork", json={"depth": 500})
    assert response.status_code == 400
    assert "finalized blocks stay" in response.json()["error"]
