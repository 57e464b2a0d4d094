"""API keys stand in RPC addresses, and must stand nowhere else."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable

import pytest

from sniperforge.errors import ConfigError, NodeUnavailableError, SniperForgeError
from sniperforge.ports.chain import Commitment
from sniperforge.shared.solana.addresses import node_addresses
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.clock import FakeClock
from tests.fakes.rpc_server import Reply, RpcServer, dropped, error, raw, result

Serve = Callable[..., RpcServer]
Connect = Callable[..., SolanaChain]

KEY = "s3cr3t-ab/cd"
WRITTEN = "s3cr3t-ab%2Fcd"
SHAPES = [
    "http://{host}/?api-key=" + WRITTEN,
    "http://{host}/v2/" + WRITTEN,
    "http://user:" + WRITTEN + "@{host}/",
    "http://" + WRITTEN + ":x@{host}/rpc",
]
FAILURES: list[Reply] = [
    raw(f"invalid key {KEY} in {WRITTEN}", status=403),
    raw(f"<html>{KEY}</html>", status=502),
    raw(f"not json {KEY}"),
    error(-32603, f"key {KEY} is wrong"),
    error(429, f"key {WRITTEN} used too often"),
    raw(f'{{"id": "{WRITTEN}", "result": 5}}'),
    raw(f'["{KEY}"]'),
    dropped(),
]


def clean(text: str) -> bool:
    return "s3cr3t" not in text


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("failure", FAILURES)
def test_no_error_repr_or_log_line_holds_a_key(
    serve: Serve, connect: Connect, shape: str, failure: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx2").setLevel(logging.DEBUG)
    server = serve({"getBlockHeight": failure, "sendTransaction": failure, "getSlot": failure})
    chain = connect(shape.format(host=f"127.0.0.1:{server.port}"))
    with pytest.raises(SniperForgeError) as caught:
        chain.block_height(Commitment.FINALIZED)
    told = [
        str(caught.value),
        repr(caught.value),
        repr(caught.value.details),
        "".join(traceback.format_exception(caught.value)),
        repr(pickle.loads(pickle.dumps(caught.value)).__dict__),  # noqa: S301 (what Celery does to it)
        repr(chain),
        repr(chain.nodes),
        repr(chain.send(b"rubbish")),
        repr(chain.health()),
        *(record.getMessage() for record in caplog.records),
    ]
    assert [text for text in told if not clean(text)] == []
    reasons: list[BaseException | None] = [caught.value.__cause__, caught.value.__context__]
    assert reasons == [None, None], "a chained error of the HTTP client prints the whole address"


def test_a_successful_request_logs_no_address(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve({"getBlockHeight": result(5)})
    connect(f"{server.url}/?api-key={WRITTEN}").block_height(Commitment.FINALIZED)
    assert clean(caplog.text)


def test_an_unreachable_node_keeps_its_key(connect: Connect, serve: Serve) -> None:
    server = serve({})
    server.stop()
    with pytest.raises(NodeUnavailableError) as caught:
        connect(f"{server.url}/{WRITTEN}").block_height(Commitment.FINALIZED)
    assert clean("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:8899", "127.0.0.1:8899"),
        ("http://127.0.0.1:8899/node-b/", "127.0.0.1:8899/node-b"),
        ("https://api.mainnet-beta.solana.com", "api.mainnet-beta.solana.com"),
        ("https://mainnet.helius-rpc.com/?api-key=0123-4567", "mainnet.helius-rpc.com"),
        ("https://solana-mainnet.g.alchemy.com/v2/AbCdEf", "solana-mainnet.g.alchemy.com/v2/***"),
        ("https://rpc.ankr.com/solana/0f1e2d3c4b5a69788796a5b4c3d2e1f0", "rpc.ankr.com/solana/***"),
        ("https://user:word@host/rpc", "host/rpc"),
        ("http://[::1]:8899/", "[::1]:8899"),
    ],
)
def test_a_node_is_called_by_host_port_and_harmless_path(url: str, name: str) -> None:
    assert node_addresses([url])[0].name == name


def test_two_keys_at_one_host_are_two_names() -> None:
    first, second = node_addresses(["https://host/?key=aaaa", "https://host/?key=bbbb"])
    assert (first.name, second.name) == ("host", "host#2")


def test_a_broken_address_is_refused_without_printing_it(clock: FakeClock) -> None:
    with pytest.raises(ConfigError) as caught:
        SolanaChain([f"htp://user:{WRITTEN}@host"], clock)
    assert clean("".join(traceback.format_exception(caught.value)))
