"""Faults as a client meets them, and whether the effect is there afterwards."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.fakes.sandbox_process import RunningSandbox
from tests.fakes.solana_transactions import (
    RENT_FREE_LAMPORTS,
    funded_keypair,
    latest_blockhash,
    result_of,
    transfer_transaction,
)

SEND = "rpc:sendTransaction"


def prepared(sandbox: RunningSandbox) -> tuple[dict[str, Any], Pubkey]:
    """The body of a send, and who receives."""
    payer, receiver = funded_keypair(sandbox), Keypair().pubkey()
    transaction = transfer_transaction(payer, receiver, latest_blockhash(sandbox.endpoints.rpc_url))
    encoded = base64.b64encode(bytes(transaction)).decode()
    params = [encoded, {"encoding": "base64", "preflightCommitment": "processed"}]
    return {"jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": params}, receiver


def arrived(sandbox: RunningSandbox, receiver: Pubkey) -> bool:
    answer: Any = result_of(sandbox.endpoints.rpc_url, "getBalance", str(receiver), {"commitment": "processed"})
    return bool(answer["value"] == RENT_FREE_LAMPORTS)


@pytest.mark.parametrize(
    ("kind", "error", "effect"),
    [
        ("drop_request", httpx.RemoteProtocolError, False),
        ("drop_response", httpx.RemoteProtocolError, True),
        ("reset", httpx.ReadError, False),
    ],
)
def test_a_broken_connection_hides_whether_it_happened(
    sandbox: RunningSandbox, kind: str, error: type[httpx.TransportError], *, effect: bool
) -> None:
    body, receiver = prepared(sandbox)
    sandbox.fault(SEND, kind, count=1)
    with pytest.raises(error):
        httpx.post(sandbox.endpoints.rpc_url, json=body)
    assert arrived(sandbox, receiver) == effect


def is_rate_limited(answer: httpx.Response) -> bool:
    return answer.status_code == 429 and answer.json()["error"]["code"] == 429


def is_html_500(answer: httpx.Response) -> bool:
    return answer.status_code == 500 and answer.headers["content-type"] == "text/html" and "<html>" in answer.text


def is_no_json(answer: httpx.Response) -> bool:
    try:
        json.loads(answer.content)
    except ValueError:
        return answer.status_code == 200
    return False


@pytest.mark.parametrize(
    ("kind", "looks_right", "effect"),
    [
        ("http_429", is_rate_limited, False),
        ("http_500_html", is_html_500, False),
        ("http_500_after", is_html_500, True),
        ("garbage", is_no_json, True),
    ],
)
def test_a_bad_answer_hides_whether_it_happened(
    sandbox: RunningSandbox, kind: str, looks_right: Callable[[httpx.Response], bool], *, effect: bool
) -> None:
    body, receiver = prepared(sandbox)
    sandbox.fault(SEND, kind, count=1)
    assert looks_right(httpx.post(sandbox.endpoints.rpc_url, json=body))
    assert arrived(sandbox, receiver) == effect
    if effect:
        return
    assert httpx.post(sandbox.endpoints.rpc_url, json=body).json()["result"]
    assert arrived(sandbox, receiver)


def test_the_connection_lives_on_after_a_bad_answer(sandbox: RunningSandbox) -> None:
    sandbox.fault("rpc:getHealth", "http_500_after", count=1)
    with httpx.Client(base_url=sandbox.endpoints.rpc_url) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
        assert client.post("/", json=body).status_code == 500
        assert client.post("/", json=body).json()["result"] == "ok"


def test_an_rpc_error_is_answered_as_told_and_nothing_happens(sandbox: RunningSandbox) -> None:
    body, receiver = prepared(sandbox)
    sandbox.fault(SEND, "rpc_error", count=1, params={"code": -32005, "message": "behind", "data": {"n": 1}})
    error = httpx.post(sandbox.endpoints.rpc_url, json=body).json()["error"]
    assert error == {"code": -32005, "message": "behind", "data": {"n": 1}}
    assert not arrived(sandbox, receiver)


def test_a_swallowed_send_answers_the_signature_and_never_lands(sandbox: RunningSandbox) -> None:
    body, receiver = prepared(sandbox)
    sandbox.fault(SEND, "swallow", count=1)
    assert httpx.post(sandbox.endpoints.rpc_url, json=body).json()["result"]
    assert not arrived(sandbox, receiver)


def test_while_history_is_down_the_past_is_null_and_not_an_error(sandbox: RunningSandbox) -> None:
    body, receiver = prepared(sandbox)
    url = sandbox.endpoints.rpc_url
    signature = httpx.post(url, json=body).json()["result"]
    sandbox.fault("rpc:*", "history_down", probability=1.0)
    statuses: Any = result_of(url, "getSignatureStatuses", [signature], {"searchTransactionHistory": True})
    assert statuses["value"] == [None]
    assert result_of(url, "getTransaction", signature) is None
    assert result_of(url, "getSignaturesForAddress", str(receiver)) == []
    assert arrived(sandbox, receiver)


def test_latency_delays_the_answer_and_nothing_else(sandbox: RunningSandbox) -> None:
    sandbox.fault("rpc:getHealth", "latency", count=1, params={"ms": 60_000})
    body = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(sandbox.endpoints.rpc_url, json=body, timeout=0.1)
    assert httpx.post(sandbox.endpoints.rpc_url, json=body).json()["result"] == "ok"


def test_a_fault_of_one_node_leaves_the_others_well(sandbox: RunningSandbox) -> None:
    sandbox.fault("rpc:*", "http_429", probability=1.0, node="b")
    body = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
    assert httpx.post(sandbox.endpoints.node_urls["b"], json=body).status_code == 429
    assert httpx.post(sandbox.endpoints.rpc_url, json=body).status_code == 200


def test_one_bad_member_of_a_batch_takes_the_whole_connection(sandbox: RunningSandbox) -> None:
    body, receiver = prepared(sandbox)
    sandbox.fault("rpc:getHealth", "drop_response", count=1)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(sandbox.endpoints.rpc_url, json=[body, {"jsonrpc": "2.0", "id": 2, "method": "getHealth"}])
    assert arrived(sandbox, receiver)


@pytest.mark.parametrize("kind", ["drop_request", "drop_response", "reset"])
def test_jupiter_suffers_at_its_paths_too(sandbox: RunningSandbox, kind: str) -> None:
    sandbox.fault("jupiter:/price/v3", kind, count=1)
    url = sandbox.endpoints.jupiter_url + "/price/v3"
    with pytest.raises(httpx.TransportError):
        httpx.get(url)
    assert httpx.get(url).status_code < 500


def test_a_fork_takes_back_what_was_confirmed(sandbox: RunningSandbox) -> None:
    url = sandbox.endpoints.rpc_url
    sandbox.ask("POST", "/clock", slot_ms=100)  # so that nothing is finalized before the fork
    body, receiver = prepared(sandbox)
    signature = httpx.post(url, json=body).json()["result"]

    def status() -> Any:
        answer: Any = result_of(url, "getSignatureStatuses", [signature], {"searchTransactionHistory": True})
        return answer["value"][0]

    while (landed := status())["confirmationStatus"] != "confirmed":
        time.sleep(0.02)
    sandbox.ask("POST", "/pause", paused=True)
    head: Any = result_of(url, "getSlot", {"commitment": "processed"})
    assert sandbox.ask("POST", "/fork", depth=head - landed["slot"] + 1)["dropped"] == [signature]
    assert not arrived(sandbox, receiver)
    assert status() is None


def test_a_fork_may_include_again_what_it_dropped(sandbox: RunningSandbox) -> None:
    body, receiver = prepared(sandbox)
    sandbox.ask("POST", "/pause", paused=True)
    time.sleep(0.02)
    signature = httpx.post(sandbox.endpoints.rpc_url, json=body).json()["result"]
    assert sandbox.ask("POST", "/fork", depth=1, reinclude=1)["dropped"] == [signature]
    assert arrived(sandbox, receiver)
