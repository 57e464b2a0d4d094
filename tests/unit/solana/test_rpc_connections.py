"""Connections for questions: lent to one thread at a time, used again, closed, and never shared with a child."""

from __future__ import annotations

import base64
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sniperforge.errors import ConfigError, NodeUnavailableError
from sniperforge.ports.chain import Commitment
from sniperforge.shared.connections import Connections
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.raw_server import IN_BODY, IN_HEADERS, Drip, one_connection
from tests.fakes.rpc_server import RpcReply, RpcRequest, RpcServer, result

Serve = Callable[..., RpcServer]
Connect = Callable[..., SolanaChain]


def height(chain: SolanaChain) -> int:
    return chain.block_height(Commitment.FINALIZED)


def used(server: RpcServer) -> list[int]:
    return [request.connection for request in server.requests]


def test_one_question_after_the_other_goes_over_one_connection(serve: Serve, connect: Connect) -> None:
    server = serve({"getBlockHeight": result(7)})
    chain = connect(server)
    with ThreadPoolExecutor(1) as another_thread:
        assert [height(chain), another_thread.submit(height, chain).result(), height(chain)] == [7, 7, 7]
    assert len(set(used(server))) == 1


def test_questions_at_the_same_time_have_a_connection_each(serve: Serve, connect: Connect) -> None:
    together = threading.Barrier(3)

    def both_are_here(request: RpcRequest) -> RpcReply:
        together.wait(5)
        return result(7)(request)

    server = serve({"getBlockHeight": both_are_here})
    chain = connect(server)
    with ThreadPoolExecutor(3) as pool:
        for _ in range(2):
            assert list(pool.map(lambda _: height(chain), range(3))) == [7, 7, 7]
    assert len(set(used(server))) == 3
    assert len(used(server)) == 6


def test_a_warmed_chain_asks_its_first_question_over_an_open_connection(serve: Serve, connect: Connect) -> None:
    signature = {"context": {"slot": 1}, "value": [None]}
    blockhash = {"context": {"slot": 1}, "value": {}}
    answers = {"getVersion": {"solana-core": "3"}, "getSignatureStatuses": signature, "getLatestBlockhash": blockhash}
    numbers = {name: result(7) for name in ("getSlot", "getBlockHeight", "getHealth")}
    server = serve({**{name: result(answer) for name, answer in answers.items()}, **numbers})
    chain = connect(server)
    chain.warm()
    open_before = set(used(server))
    assert height(chain) == 7
    assert used(server)[-1] in open_before


def test_a_closed_chain_opens_a_new_connection_for_the_next_question(serve: Serve, connect: Connect) -> None:
    server = serve({"getBlockHeight": result(7)})
    chain = connect(server)
    height(chain)
    chain.close()
    assert height(chain) == 7
    assert len(set(used(server))) == 2


def test_a_connection_that_is_lent_while_the_chain_is_closed_is_not_used_again(serve: Serve, connect: Connect) -> None:
    def close(request: RpcRequest) -> RpcReply:
        chain.close()
        return result(7)(request)

    server = serve({"getBlockHeight": [close, result(8)]})
    chain = connect(server)
    assert [height(chain), height(chain)] == [7, 8]
    assert len(set(used(server))) == 2


def test_what_only_a_burst_needed_is_closed_when_it_has_been_idle(serve: Serve) -> None:
    together = threading.Barrier(2)

    def both_are_here(request: RpcRequest) -> RpcReply:
        together.wait(5)
        return result(7)(request)

    server = serve({"burst": both_are_here, "later": result(7)})
    connections = Connections(server.url, setting="rpc_urls", keepalive_s=0.05, largest_bytes=1000)
    body = b'{"jsonrpc":"2.0","id":1,"method":"%b"}'
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: connections.request(b"POST", b"/", (), body % b"burst", 5), range(2)))
    threading.Event().wait(0.06)
    connections.request(b"POST", b"/", (), body % b"later", 5)
    assert len(connections._idle) == 1
    assert len(set(used(server))) == 3, "the one that was used again had been idle for as long"
    connections.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_process_leaves_its_parents_connections_alone(serve: Serve, connect: Connect) -> None:
    server = serve({"getBlockHeight": result(7)})
    chain = connect(server)
    assert height(chain) == 7
    # As when another thread was just asking while the process forked.
    with chain._nodes[0]._connections._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # a child that waits for ever fails the test instead of hanging it
            status = 1
            try:
                status = 0 if height(chain) == 7 else 2
                chain.close()
            finally:
                os._exit(status)
    _, waited = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(waited) == 0
    assert height(chain) == 7
    before, in_child, after = used(server)
    assert before == after
    assert in_child != before


@pytest.mark.parametrize("drip", [IN_HEADERS, IN_BODY], ids=["in its headers", "in its body"])
def test_an_answer_that_drips_in_is_given_up_in_time(connect: Connect, drip: Drip) -> None:
    with one_connection(drip) as url, pytest.raises(NodeUnavailableError, match=r"within 0\.1 s"):
        height(connect(url, timeout_s=0.1))


def test_user_and_password_of_an_address_are_sent_as_basic_authentication(serve: Serve, connect: Connect) -> None:
    server = serve({"getBlockHeight": result(7)})
    height(connect(f"http://some%20one:w%2Ford@127.0.0.1:{server.port}/"))
    (request,) = server.requests
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"some one:w/ord").decode()


def test_a_proxy_of_the_environment_leads_to_nodes_elsewhere(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve({"getBlockHeight": result(7)})
    monkeypatch.setenv("http_proxy", f"http://me:word@127.0.0.1:{proxy.port}")
    assert height(connect("http://node.example:8899/rpc")) == 7
    (request,) = proxy.requests
    assert request.headers["host"] == "node.example:8899"
    assert request.headers["Proxy-Authorization"] == "Basic " + base64.b64encode(b"me:word").decode()


def test_no_proxy_leads_to_this_machine_nor_to_hosts_that_want_none(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = serve({"getBlockHeight": result(7)}), serve({})
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "node.invalid")
    assert height(connect(server)) == 7
    with pytest.raises(NodeUnavailableError, match="no connection"):
        height(connect("http://node.invalid:8899/"))
    assert proxy.requests == []


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "nonsense"])
def test_a_proxy_of_another_kind_is_refused(connect: Connect, monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(ConfigError, match="no HTTP proxy"):
        connect("http://node.example:8899/")


def test_an_address_that_cannot_be_written_in_a_request_is_refused(connect: Connect) -> None:
    with pytest.raises(ConfigError, match="characters"):
        connect("http://127.0.0.1:8899/\x7f")
