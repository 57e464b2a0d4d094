"""Sending: the same bytes, once to every node, and never an exception."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.rpc_server import Reply, RpcServer, dropped, error, raw, result

Serve = Callable[..., RpcServer]
Connect = Callable[..., SolanaChain]

PAYER = Keypair.from_seed(bytes([7]) * 32)
TRANSACTION = VersionedTransaction(MessageV0.try_compile(PAYER.pubkey(), [], [], Hash.default()), [PAYER])
BYTES = bytes(TRANSACTION)
ID = str(TRANSACTION.signatures[0])


@contextmanager
def node_that_hangs_up(received: list[bytes]) -> Iterator[str]:
    """A raw socket server: reads each request whole, keeps it, and closes without a byte of answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data or not data.endswith(b"}"):
                    data += connection.recv(65536)
                received.append(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_exactly_these_bytes_go_to_every_node_once(serve: Serve, connect: Connect) -> None:
    servers = [serve({"sendTransaction": result(ID)}) for _ in range(3)]
    answers = connect(*servers).send(BYTES)
    assert [(answer.accepted, answer.already_processed, answer.error) for answer in answers] == [
        (True, False, None)
    ] * 3
    for server, answer in zip(servers, answers, strict=True):
        (request,) = server.requests
        data, config = request.params
        assert base64.b64decode(data) == BYTES
        assert config == {
            "encoding": "base64",
            "skipPreflight": True,
            "preflightCommitment": "confirmed",
            "maxRetries": 0,
        }
        assert answer.node == f"127.0.0.1:{server.port}"


def test_preflight_is_asked_for_when_wanted(serve: Serve, connect: Connect) -> None:
    server = serve({"sendTransaction": result(ID)})
    connect(server).send(BYTES, skip_preflight=False)
    assert server.requests[0].params[1]["skipPreflight"] is False


def test_a_connection_that_drops_during_a_send_sees_the_bytes_exactly_once(connect: Connect) -> None:
    received: list[bytes] = []
    with node_that_hangs_up(received) as url:
        (answer,) = connect(url).send(BYTES)
    assert (answer.accepted, answer.already_processed) == (False, False)
    assert answer.error is not None
    assert "dropped" in answer.error
    assert len(received) == 1
    assert base64.b64encode(BYTES) in received[0]


def test_a_send_whose_connection_is_reset_is_not_repeated(serve: Serve, connect: Connect) -> None:
    server = serve({"sendTransaction": dropped()})
    connect(server).send(BYTES)
    assert len(server.requests) == 1


@pytest.mark.parametrize("failure", [error(-32005), error(429), error(-32603), raw("<html>", status=503), raw("junk")])
def test_a_node_that_fails_is_not_asked_twice_and_hides_no_other(
    serve: Serve, connect: Connect, failure: Reply
) -> None:
    bad, good = serve({"sendTransaction": failure}), serve({"sendTransaction": result(ID)})
    first, second = connect(bad, good).send(BYTES)
    assert (first.accepted, second.accepted) == (False, True)
    assert first.error
    assert len(bad.requests) == len(good.requests) == 1


def test_a_known_transaction_is_told_as_such(serve: Serve, connect: Connect) -> None:
    data: dict[str, object] = {"err": "AlreadyProcessed", "logs": [], "accounts": None, "unitsConsumed": 0}
    words = "Transaction simulation failed: This transaction has already been processed"
    (answer,) = connect(serve({"sendTransaction": error(-32002, words, data)})).send(BYTES)
    assert (answer.accepted, answer.already_processed, answer.error) == (False, True, None)


@pytest.mark.parametrize("data", [{"err": {"InstructionError": [2, {"Custom": 6001}]}, "logs": ["x"]}, None, "text"])
def test_another_preflight_failure_is_an_error(serve: Serve, connect: Connect, data: object) -> None:
    (answer,) = connect(serve({"sendTransaction": error(-32002, "custom program error", data)})).send(BYTES)
    assert (answer.accepted, answer.already_processed) == (False, False)
    assert answer.error is not None
    assert "custom program error" in answer.error


@pytest.mark.parametrize("answered", [str(PAYER.sign_message(b"another")), "", 7, None, ["x"]])
def test_an_answer_that_is_not_the_transactions_id_is_no_acceptance(
    serve: Serve, connect: Connect, answered: object
) -> None:
    (answer,) = connect(serve({"sendTransaction": result(answered)})).send(BYTES)
    assert not answer.accepted
    assert answer.error


def test_bytes_that_are_no_transaction_are_sent_all_the_same(serve: Serve, connect: Connect) -> None:
    (answer,) = connect(serve({"sendTransaction": error(-32602, "failed to deserialize")})).send(b"rubbish")
    assert answer.error is not None
    assert "deserialize" in answer.error
