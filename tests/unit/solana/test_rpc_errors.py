"""Every way a node can fail, and which of our errors that is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sniperforge.errors import (
    NodeBehindError,
    NodeUnavailableError,
    ProtocolError,
    RateLimitedError,
    RpcRejectedError,
    SniperForgeError,
)
from sniperforge.ports.chain import Commitment
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.clock import START
from tests.fakes.rpc_server import Reply, RpcReply, RpcServer, dropped, error, raw, result

Serve = Callable[..., RpcServer]
Connect = Callable[..., SolanaChain]

CODES: list[tuple[Any, type[SniperForgeError]]] = [
    (-32001, RpcRejectedError),
    (-32003, RpcRejectedError),
    (-32004, NodeUnavailableError),
    (-32005, NodeBehindError),
    (-32006, RpcRejectedError),
    (-32007, RpcRejectedError),
    (-32008, RpcRejectedError),
    (-32009, RpcRejectedError),
    (-32010, RpcRejectedError),
    (-32011, NodeUnavailableError),
    (-32012, NodeUnavailableError),
    (-32013, RpcRejectedError),
    (-32014, NodeBehindError),
    (-32015, RpcRejectedError),
    (-32016, NodeBehindError),
    (-32017, NodeUnavailableError),
    (-32018, RpcRejectedError),
    (-32019, NodeUnavailableError),
    (-32020, RpcRejectedError),
    (-32021, NodeUnavailableError),
    (-32429, RateLimitedError),
    (-32600, RpcRejectedError),
    (-32601, RpcRejectedError),
    (-32602, RpcRejectedError),
    (-32603, NodeUnavailableError),
    (-32700, RpcRejectedError),
    (-32099, RpcRejectedError),
    (12345, RpcRejectedError),
    (429, RateLimitedError),
    (403, NodeUnavailableError),
    (503, NodeUnavailableError),
    ("429", NodeUnavailableError),
]

STATUSES: list[tuple[int, type[SniperForgeError]]] = [
    (301, NodeUnavailableError),
    (400, RpcRejectedError),
    (401, NodeUnavailableError),
    (403, NodeUnavailableError),
    (404, NodeUnavailableError),
    (408, NodeUnavailableError),
    (413, RpcRejectedError),
    (429, RateLimitedError),
    (500, NodeUnavailableError),
    (502, NodeUnavailableError),
    (503, NodeUnavailableError),
    (504, NodeUnavailableError),
]


def ask(serve: Serve, connect: Connect, reply: Reply) -> SniperForgeError:
    server = serve({"getBlockHeight": reply})
    with pytest.raises(SniperForgeError) as caught:
        connect(server).block_height(Commitment.FINALIZED)
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert "getBlockHeight" in str(caught.value)
    assert caught.value.fix
    return caught.value


@pytest.mark.parametrize(("code", "expected"), CODES)
def test_each_error_code_has_a_type(
    serve: Serve, connect: Connect, code: object, expected: type[SniperForgeError]
) -> None:
    failure = ask(serve, connect, error(code, "the node's own words"))
    assert type(failure) is expected
    assert "the node's own words" in str(failure)


@pytest.mark.parametrize("code", [-32002, -32005, -32603, 429, 77])
def test_an_error_without_message_or_data_is_an_error_all_the_same(serve: Serve, connect: Connect, code: int) -> None:
    assert "no message" in str(ask(serve, connect, error(code, None)))


@pytest.mark.parametrize(("status", "expected"), STATUSES)
def test_each_http_status_has_a_type(
    serve: Serve, connect: Connect, status: int, expected: type[SniperForgeError]
) -> None:
    failure = ask(serve, connect, raw("<html><h1>no</h1></html>", status=status))
    assert type(failure) is expected
    assert failure.details["code"] == status


def test_a_lagging_node_says_how_far(serve: Serve, connect: Connect) -> None:
    failure = ask(serve, connect, error(-32005, "Node is behind by 42 slots", {"numSlotsBehind": 42}))
    assert failure.details["slots_behind"] == 42


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("10", START + timedelta(seconds=10)),
        ("Thu, 01 Jan 2026 12:01:00 GMT", datetime(2026, 1, 1, 12, 1, tzinfo=UTC)),
        ("soon", None),
        (None, None),
    ],
)
def test_a_rate_limit_says_when_to_come_back(
    serve: Serve, connect: Connect, header: str | None, expected: datetime | None
) -> None:
    headers = {"Retry-After": header} if header else {}
    failure = ask(serve, connect, raw("slow down", status=429, headers=headers))
    assert isinstance(failure, RateLimitedError)
    assert failure.retry_at == expected


@pytest.mark.parametrize("body", ["", "<html>maintenance</html>", '{"jsonrpc":"2.0","id":1,"resu'])
def test_a_body_that_is_no_json_may_pass(serve: Serve, connect: Connect, body: str) -> None:
    assert type(ask(serve, connect, raw(body))) is NodeUnavailableError


@pytest.mark.parametrize("body", ["7", "[]", '"text"', "{}", '{"jsonrpc":"2.0","id":1}', '{"id":1,"error":"text"}'])
def test_json_that_is_no_answer_is_nonsense(serve: Serve, connect: Connect, body: str) -> None:
    assert type(ask(serve, connect, raw(body))) is ProtocolError


@pytest.mark.parametrize("answered", [999_999, "1", None])
def test_the_answer_to_another_request_is_refused(serve: Serve, connect: Connect, answered: object) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": answered, "result": 5})
    assert "another request" in str(ask(serve, connect, raw(body)))


def test_an_error_about_an_unreadable_request_has_no_id(serve: Serve, connect: Connect) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}})
    assert type(ask(serve, connect, raw(body))) is RpcRejectedError


def test_a_read_whose_connection_drops_is_repeated_once_at_the_same_node(serve: Serve, connect: Connect) -> None:
    server = serve({"getBlockHeight": [dropped(), result(5)]})
    assert connect(server).block_height(Commitment.FINALIZED) == 5
    assert len(server.asked("getBlockHeight")) == 2


def test_a_read_whose_connection_drops_twice_fails(serve: Serve, connect: Connect) -> None:
    server = serve({"getBlockHeight": dropped()})
    with pytest.raises(NodeUnavailableError, match="dropped"):
        connect(server).block_height(Commitment.FINALIZED)
    assert len(server.asked("getBlockHeight")) == 2


def test_a_node_that_does_not_answer_in_time_is_unavailable(serve: Serve, connect: Connect) -> None:
    told_to_answer = threading.Event()

    def late(_: object) -> RpcReply:
        told_to_answer.wait(5)
        return RpcReply("{}")

    server = serve({"getBlockHeight": late})
    with pytest.raises(NodeUnavailableError, match=r"within 0\.02 s"):
        connect(server, timeout_s=0.02).block_height(Commitment.FINALIZED)
    told_to_answer.set()


def test_a_closed_port_is_unavailable(serve: Serve, connect: Connect) -> None:
    server = serve({})
    server.stop()
    with pytest.raises(NodeUnavailableError, match="no connection"):
        connect(server).block_height(Commitment.FINALIZED)
