"""The RPC server at the level of bytes: malformed bodies, batches, ids, parameters, commitments, nodes."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.sandbox.tokens import USDC
from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.solana_transactions import (
    RENT_FREE_LAMPORTS,
    funded_keypair,
    latest_blockhash,
    result_of,
    rpc,
    transfer_transaction,
)

JSON = {"content-type": "application/json"}
SIGNATURE = "5" * 87
NOBODY = "Cn7JxBsLzYNTgvtXy6vs5svvwLG1VJ7eWKzVkVzdDyb7"


def post(sandbox: RunningSandbox, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.post(sandbox.endpoints.rpc_url, content=body, headers=JSON if headers is None else headers)


@pytest.mark.parametrize(
    ("body", "code", "identifier"),
    [
        (b"{", -32700, None),
        (b"", -32700, None),
        (b"\xff\xfe", -32700, None),
        (b"[" * 40_000, -32700, None),
        (b"[]", -32600, None),
        (b"7", -32600, None),
        (b'{"jsonrpc":"1.0","id":4,"method":"getSlot"}', -32600, 4),
        (b'{"id":4,"method":"getSlot"}', -32600, 4),
        (b'{"jsonrpc":"2.0","id":"x"}', -32600, "x"),
        (b'{"jsonrpc":"2.0","id":true,"method":"getSlot"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":7}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"getNothing"}', -32601, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBalance"}', -32602, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":{"commitment":"confirmed"}}', -32602, 1),
    ],
)
def test_a_malformed_call_is_answered_with_its_code_and_id(
    sandbox: RunningSandbox, body: bytes, code: int, identifier: object
) -> None:
    answer = post(sandbox, body).json()
    assert (answer["error"]["code"], answer["id"]) == (code, identifier)
    assert answer["error"]["message"]


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("getBalance", [7], "invalid type: integer `7`, expected a string"),
        ("getBalance", ["short"], "Invalid param: WrongSize"),
        ("getBalance", ["not base58!"], "Invalid param: Invalid"),
        ("getBalance", [NOBODY, {"commitment": "max"}], "unknown variant `max`"),
        ("getBalance", [NOBODY, {"minContextSlot": "1"}], "expected u64"),
        ("getBalance", [NOBODY, {"minContextSlot": -1}], "expected u64"),
        ("getBalance", [NOBODY, {}, 1], "expected at most 2"),
        ("getHealth", [1], "No parameters were expected"),
        ("getSignatureStatuses", [["x"]], "WrongSize"),
        ("getSignatureStatuses", [[SIGNATURE] * 257], "Too many inputs provided; max 256"),
        ("getMultipleAccounts", [[NOBODY] * 101], "Too many inputs provided; max 100"),
        ("getSignaturesForAddress", [NOBODY, {"limit": 1001}], "Invalid limit; max 1000"),
        ("getSignaturesForAddress", [NOBODY, {"limit": 0}], "Invalid limit"),
        ("getTokenAccountsByOwner", [NOBODY, {"mint": NOBODY}], "could not find mint"),
        ("getTokenAccountsByOwner", [NOBODY, {"programId": NOBODY}], "unrecognized Token program id"),
        ("getTokenAccountsByOwner", [NOBODY, {}], "expected `mint` or `programId`"),
        ("getTokenAccountBalance", [str(USDC)], "not a Token account"),
        ("sendTransaction", ["0O"], "invalid base58 encoding"),
        ("sendTransaction", ["!!", {"encoding": "base64"}], "invalid base64 encoding"),
        ("sendTransaction", ["AAAA", {"encoding": "base64"}], "failed to deserialize"),
        ("sendTransaction", ["AAAA", {"encoding": "jsonParsed"}], "unsupported encoding"),
        ("sendTransaction", ["1" * 1684], "too large"),
        ("sendTransaction", [base64.b64encode(bytes(1233)).decode(), {"encoding": "base64"}], "too large"),
        ("getFeeForMessage", ["AAAA"], "message"),
        ("isBlockhashValid", ["x"], "WrongSize"),
        ("getBlocks", [1, 999_999_999, {"commitment": "processed"}], "below `confirmed`"),
        ("getProgramAccounts", [NOBODY, {"filters": [{"dataSize": 1}] * 5}], "Too many filters"),
        ("getProgramAccounts", [NOBODY, {"filters": [{"memcmp": {"offset": 0, "bytes": "0"}}]}], "not base58"),
    ],
)
def test_a_wrong_parameter_is_named(sandbox: RunningSandbox, method: str, params: list[Any], message: str) -> None:
    answer: Any = rpc(sandbox.endpoints.rpc_url, method, *params)
    assert answer["error"]["code"] == -32602
    assert message in answer["error"]["message"]


def test_a_batch_is_answered_in_its_order_and_bad_members_do_not_spoil_it(sandbox: RunningSandbox) -> None:
    body = (
        b'[{"jsonrpc":"2.0","id":1,"method":"getHealth"},7,'
        b'{"jsonrpc":"2.0","id":"two","method":"getNothing"},{"jsonrpc":"2.0","method":"getHealth"}]'
    )
    answers = post(sandbox, body).json()
    assert [one["id"] for one in answers] == [1, None, "two"]
    assert answers[0]["result"] == "ok"
    assert [one["error"]["code"] for one in answers[1:]] == [-32600, -32601]


def test_a_notification_gets_an_empty_body(sandbox: RunningSandbox) -> None:
    answer = post(sandbox, b'{"jsonrpc":"2.0","method":"getHealth"}')
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_body_above_50_kilobytes_is_refused(sandbox: RunningSandbox) -> None:
    assert post(sandbox, b" " * (50 * 1024 + 1)).status_code == 413
    padded = b'{"jsonrpc":"2.0","id":1,"method":"getHealth"}'.ljust(50 * 1024)
    assert post(sandbox, padded).json()["result"] == "ok"


def test_http_that_is_no_json_rpc_is_refused(sandbox: RunningSandbox) -> None:
    url = sandbox.endpoints.rpc_url
    assert httpx.get(url).status_code == 405
    assert post(sandbox, b"{}", {"content-type": "text/plain"}).status_code == 415
    assert httpx.post(url + "/node/nowhere", json={}).status_code == 404
    assert httpx.get(url + "/health").text == "ok"
    assert httpx.options(url).headers["access-control-allow-origin"] == "*"


def test_a_node_that_lags_far_is_unhealthy_and_refuses_to_preflight(sandbox: RunningSandbox) -> None:
    sandbox.ask("POST", "/nodes", name="c", lag_slots=200)
    url = sandbox.endpoints.node_urls["c"]
    answer: Any = rpc(url, "getHealth")
    assert answer["error"] == {
        "code": -32005,
        "message": "Node is behind by 200 slots",
        "data": {"numSlotsBehind": 200},
    }
    assert httpx.get(url + "/health").text == "behind"
    payer = funded_keypair(sandbox)
    transaction = transfer_transaction(payer, Keypair().pubkey(), latest_blockhash(sandbox.endpoints.rpc_url))
    sent: Any = rpc(url, "sendTransaction", base64.b64encode(bytes(transaction)).decode(), {"encoding": "base64"})
    assert sent["error"]["code"] == -32005


def test_a_slot_that_is_not_reached_is_told_with_the_slot_that_is(sandbox: RunningSandbox) -> None:
    answer: Any = rpc(sandbox.endpoints.rpc_url, "getBalance", NOBODY, {"minContextSlot": 2**40})
    assert answer["error"]["code"] == -32016
    slot = answer["error"]["data"]["contextSlot"]
    assert rpc(sandbox.endpoints.rpc_url, "getBalance", NOBODY, {"minContextSlot": slot})["result"]


def send_paused(sandbox: RunningSandbox) -> tuple[str, Pubkey]:
    """Land a transfer in the open slot of a chain that stands still."""
    payer, receiver = funded_keypair(sandbox), Keypair().pubkey()
    url = sandbox.endpoints.rpc_url
    sandbox.ask("POST", "/pause", paused=True)
    transaction = transfer_transaction(payer, receiver, latest_blockhash(url))
    encoded = base64.b64encode(bytes(transaction)).decode()
    options = {"encoding": "base64", "preflightCommitment": "processed"}
    return str(result_of(url, "sendTransaction", encoded, options)), receiver


def test_confirmed_does_not_show_what_is_only_processed(sandbox: RunningSandbox) -> None:
    signature, receiver = send_paused(sandbox)
    url = sandbox.endpoints.rpc_url

    def balance(commitment: str) -> Any:
        answer: Any = result_of(url, "getBalance", str(receiver), {"commitment": commitment})
        return answer["value"]

    assert balance("processed") == RENT_FREE_LAMPORTS
    assert balance("confirmed") == balance("finalized") == 0
    status: Any = result_of(url, "getSignatureStatuses", [signature])
    assert status["value"][0]["confirmationStatus"] == "processed"
    assert result_of(url, "getTransaction", signature, {"commitment": "confirmed"}) is None
    assert result_of(url, "getSignaturesForAddress", str(receiver), {"commitment": "confirmed"}) == []


def test_a_lagging_node_knows_nothing_of_the_newest_slot(sandbox: RunningSandbox) -> None:
    signature, receiver = send_paused(sandbox)
    behind = sandbox.endpoints.node_urls["c"]
    status: Any = result_of(behind, "getSignatureStatuses", [signature], {"searchTransactionHistory": True})
    assert status["value"] == [None]
    balance: Any = result_of(behind, "getBalance", str(receiver), {"commitment": "processed"})
    assert balance["value"] == 0
    head: Any = result_of(sandbox.endpoints.rpc_url, "getSlot", {"commitment": "processed"})
    lagging: Any = result_of(behind, "getSlot", {"commitment": "processed"})
    assert lagging <= head - 3


def test_a_lagging_node_does_not_know_a_new_blockhash(sandbox: RunningSandbox) -> None:
    sandbox.ask("POST", "/nodes", name="c", lag_slots=20)
    sandbox.ask("POST", "/pause", paused=True)
    blockhash = str(latest_blockhash(sandbox.endpoints.rpc_url, "processed"))
    answers: list[Any] = [
        result_of(url, "isBlockhashValid", blockhash, {"commitment": "processed"})
        for url in (sandbox.endpoints.rpc_url, sandbox.endpoints.node_urls["c"])
    ]
    assert [one["value"] for one in answers] == [True, False]


def test_a_node_with_a_short_memory_answers_null_about_the_past(sandbox: RunningSandbox) -> None:
    signature, receiver = send_paused(sandbox)
    sandbox.ask("POST", "/pause", paused=False)
    url = sandbox.endpoints.node_urls["b"]
    search = {"searchTransactionHistory": True}

    def status() -> Any:
        answer: Any = result_of(url, "getSignatureStatuses", [signature], search)
        return answer["value"][0]

    while (found := status()) is None or found["confirmationStatus"] != "finalized":
        pass
    sandbox.ask("POST", "/nodes", name="b", remembers_slots=5)
    assert status() is None
    assert result_of(url, "getTransaction", signature, {"maxSupportedTransactionVersion": 0}) is None
    assert result_of(url, "getSignaturesForAddress", str(receiver)) == []
    answer: Any = rpc(url, "getBlock", found["slot"])
    assert answer["error"]["code"] == -32001


def test_a_node_that_swallows_answers_the_signature_and_forwards_nothing(sandbox: RunningSandbox) -> None:
    sandbox.ask("POST", "/nodes", name="a", swallow=1)
    signature, _ = send_paused(sandbox)
    status: Any = result_of(sandbox.endpoints.rpc_url, "getSignatureStatuses", [signature])
    assert status["value"] == [None]


def test_a_block_of_the_future_is_not_available(sandbox: RunningSandbox) -> None:
    answer: Any = rpc(sandbox.endpoints.rpc_url, "getBlock", 2**40)
    assert answer["error"]["code"] == -32004


def test_account_data_comes_in_the_encoding_and_slice_that_was_asked(sandbox: RunningSandbox) -> None:
    url = sandbox.endpoints.rpc_url

    def data(**config: Any) -> Any:
        answer: Any = result_of(url, "getAccountInfo", str(USDC), config)
        return answer["value"]["data"]

    raw = base64.b64decode(data(encoding="base64")[0])
    piece = {"offset": 44, "length": 1}
    assert base64.b64decode(data(encoding="base64", dataSlice=piece)[0]) == raw[44:45] == b"\x06"
    frame = base64.b64decode(data(encoding="base64+zstd")[0])
    assert frame.endswith(raw)
    assert data(encoding="jsonParsed")["parsed"]["info"]["decimals"] == 6
    assert data(encoding="base58", dataSlice=piece) == ["7", "base58"]


def test_base58_is_refused_for_long_data(sandbox: RunningSandbox) -> None:
    owner = Keypair().pubkey()
    sandbox.fund(owner, token="USDC", amount="1")
    url, config = sandbox.endpoints.rpc_url, {"encoding": "base64", "commitment": "processed"}
    found: Any = result_of(url, "getTokenAccountsByOwner", str(owner), {"mint": str(USDC)}, config)
    key = found["value"][0]["pubkey"]
    answer: Any = rpc(url, "getAccountInfo", key, {**config, "encoding": "base58"})
    assert answer["error"]["code"] == -32600
    assert "less than 128 bytes" in answer["error"]["message"]
