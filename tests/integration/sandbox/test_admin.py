"""The admin port: what it does to the world, and how it refuses nonsense, with every problem at once."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from spl.token.instructions import freeze_account
from spl.token.models import FreezeAccountParams

from sniperforge.sandbox.tokens import PEPE2, SOL, TOKEN_PROGRAM, USDC, seeded_keypair
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.solana_transactions import latest_blockhash, result_of, signed

NOBODY = "Cn7JxBsLzYNTgvtXy6vs5svvwLG1VJ7eWKzVkVzdDyb7"
CONFIRMED = {"commitment": "confirmed"}


def balance_of(sandbox: RunningSandbox, wallet: Pubkey) -> int:
    answer: Any = result_of(sandbox.endpoints.rpc_url, "getBalance", str(wallet), CONFIRMED)
    return int(answer["value"])


def raw_in(sandbox: RunningSandbox, token_account: str) -> str:
    answer: Any = result_of(sandbox.endpoints.rpc_url, "getTokenAccountBalance", token_account, CONFIRMED)
    return str(answer["value"]["amount"])


def history(sandbox: RunningSandbox, address: str) -> list[str]:
    listed: Any = result_of(sandbox.endpoints.rpc_url, "getSignaturesForAddress", address, CONFIRMED)
    return [one["signature"] for one in listed]


def refusal(sandbox: RunningSandbox, wallet: Pubkey, **what: Any) -> str:
    response = sandbox.admin.post("/fund", json={"wallet": str(wallet), **what})
    assert response.status_code == 400
    return str(response.json()["error"])


def test_funding_adds_exactly_what_was_asked(sandbox: RunningSandbox) -> None:
    wallet = Keypair().pubkey()
    sandbox.fund(wallet, sol="1.5")
    sandbox.fund(wallet, sol=0.5, token="bonk", amount="7.00001")
    told = sandbox.fund(wallet, token="BONK", amount=1)
    assert balance_of(sandbox, wallet) == 2 * 10**9
    assert raw_in(sandbox, told["token_account"]) == "800001"


def test_sol_comes_by_a_transaction_in_the_history_of_the_wallet(sandbox: RunningSandbox) -> None:
    wallet = Keypair().pubkey()
    told = sandbox.fund(wallet, sol="1.5")
    assert history(sandbox, str(wallet)) == told["signatures"]
    (signature,) = told["signatures"]
    found: Any = result_of(sandbox.endpoints.rpc_url, "getTransaction", signature, CONFIRMED)
    keys = found["transaction"]["message"]["accountKeys"]
    meta = found["meta"]
    assert meta["postBalances"][keys.index(str(wallet))] == 1_500_000_000
    assert meta["postBalances"][0] == meta["preBalances"][0] - 1_500_000_000 - meta["fee"]


@pytest.mark.parametrize(
    ("symbol", "amount", "raw"),
    [("USDC", "1000", 10**9), ("FEE2", "1000", 10**12), ("SOL", "0.25", 250_000_000)],
)
def test_tokens_alone_come_to_a_new_wallet_by_a_transaction_without_a_fee_on_them(
    sandbox: RunningSandbox, symbol: str, amount: str, raw: int
) -> None:
    wallet = Keypair().pubkey()
    told = sandbox.fund(wallet, token=symbol, amount=amount)
    assert history(sandbox, told["token_account"]) == told["signatures"]
    assert raw_in(sandbox, told["token_account"]) == str(raw)
    assert balance_of(sandbox, wallet) == 0


def test_new_tokens_are_part_of_their_supply(sandbox: RunningSandbox) -> None:
    def supply() -> int:
        answer: Any = result_of(sandbox.endpoints.rpc_url, "getTokenSupply", str(USDC), CONFIRMED)
        return int(answer["value"]["amount"])

    before = supply()
    sandbox.fund(Keypair().pubkey(), token="USDC", amount="3")
    assert supply() == before + 3_000_000


def test_equal_fundings_in_one_slot_are_different_transactions(sandbox: RunningSandbox) -> None:
    wallet = Keypair().pubkey()
    sandbox.ask("POST", "/pause", paused=True)
    told = [sandbox.ask("POST", "/fund", wallet=str(wallet), sol="1", token="USDC", amount="1") for _ in range(3)]
    sandbox.ask("POST", "/pause", paused=False)
    sandbox.fund(wallet, sol="1")
    assert len({signature for one in told for signature in one["signatures"]}) == 6
    assert balance_of(sandbox, wallet) == 4 * 10**9
    assert raw_in(sandbox, told[0]["token_account"]) == "3000000"


def test_a_frozen_account_is_not_funded_and_the_sol_asked_for_with_it_stays_away(sandbox: RunningSandbox) -> None:
    issuer, owner = seeded_keypair(1, "issuer"), Keypair().pubkey()
    account = Pubkey.from_string(sandbox.fund(owner, token="USDC", amount="5")["token_account"])
    freeze = freeze_account(
        FreezeAccountParams(program_id=TOKEN_PROGRAM, account=account, mint=USDC, authority=issuer.pubkey())
    )
    url = sandbox.endpoints.rpc_url
    frozen = base64.b64encode(bytes(signed(issuer, [freeze], latest_blockhash(url)))).decode()
    froze = result_of(url, "sendTransaction", frozen, {"encoding": "base64", "preflightCommitment": "confirmed"})
    known = history(sandbox, str(account))
    assert "Account is frozen" in refusal(sandbox, owner, sol="1", token="USDC", amount="5")
    sandbox.fund(Keypair().pubkey(), sol="1")  # when this is confirmed, whatever came before it is
    assert history(sandbox, str(account)) == [froze, *[one for one in known if one != froze]]
    assert (balance_of(sandbox, owner), raw_in(sandbox, str(account))) == (0, "5000000")


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"sol": "0.000000001"}, "insufficient funds for rent"),
        ({"sol": "5000000000"}, "insufficient lamports"),
        ({"token": "SOL", "amount": "5000000000"}, "insufficient lamports"),
        ({"token": "USDC", "amount": "18446744073709"}, "overflow"),
    ],
)
def test_what_the_chain_cannot_do_is_refused_with_its_reason(
    sandbox: RunningSandbox, what: dict[str, str], reason: str
) -> None:
    text = refusal(sandbox, Keypair().pubkey(), **what)
    assert "the chain refuses it" in text
    assert reason in text


def test_a_fork_that_includes_everything_again_includes_a_funding(sandbox: RunningSandbox) -> None:
    wallet = Keypair().pubkey()
    sandbox.ask("POST", "/clock", slot_ms=100)  # so that nothing is finalized before the fork
    (signature,) = sandbox.fund(wallet, sol="1")["signatures"]
    assert signature in sandbox.ask("POST", "/fork", depth=20, reinclude=1)["dropped"]
    sandbox.ask("POST", "/clock", slot_ms=10)
    sandbox.fund(wallet, sol="1")
    assert balance_of(sandbox, wallet) == 2 * 10**9


def test_a_price_jumps_and_the_jupiter_api_says_so(sandbox: RunningSandbox) -> None:
    before = sandbox.ask("GET", "/status")["sol_usd"]
    sandbox.ask("POST", "/price", token="SOL", usd="150")
    assert abs(sandbox.ask("GET", "/status")["sol_usd"] - 150) < 5
    sandbox.ask("POST", "/price", token=str(SOL), usd=before)


def test_a_crash_that_is_begun_at_run_time_goes_on_by_itself(sandbox: RunningSandbox) -> None:
    def sol_usd() -> float:
        return float(sandbox.ask("GET", "/status")["sol_usd"])

    before = sol_usd()
    assert sandbox.ask("POST", "/scenario", scenario="crash") == {"scenario": "crash"}
    sandbox.ask("POST", "/clock", market_speed=86_400)
    for _ in range(500):
        if sol_usd() <= before * 0.8:
            break
        time.sleep(0.02)
    else:
        pytest.fail("nothing falls")
    sandbox.ask("POST", "/clock", market_speed=1)
    sandbox.ask("POST", "/scenario", scenario="calm")
    sandbox.ask("POST", "/price", token="SOL", usd=before)


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
        ("/scenario", {"speed": 1}, ["scenario: missing", "speed: there is no such field"]),
        ("/scenario", {"scenario": "boom"}, ["there are calm, volatile, crash, moon, flat"]),
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
