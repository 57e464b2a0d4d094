"""Several nodes: which one is asked, when the next one is, and what pinning means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sniperforge.domain.money import Signature
from sniperforge.errors import ConfigError, NodeBehindError, NodeUnavailableError, ProtocolError, RpcRejectedError
from sniperforge.ports.chain import Commitment
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.clock import FakeClock
from tests.fakes.rpc_server import Reply, RpcServer, error, in_context, raw, result

Serve = Callable[..., RpcServer]
Connect = Callable[..., SolanaChain]
HASH = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"


def node(serve: Serve, slot: int, height: int, **more: Reply) -> RpcServer:
    replies: dict[str, Any] = {
        "getSlot": result(slot),
        "getBlockHeight": result(height),
        "getVersion": result({"solana-core": "3.1.0", "feature-set": 1}),
        "getLatestBlockhash": in_context({"blockhash": HASH, "lastValidBlockHeight": height + 150}, slot=slot),
        "getSignatureStatuses": in_context([None], slot=slot),
        "getHealth": result("ok"),
    }
    return serve({**replies, **more})


def height(chain: SolanaChain) -> int:
    return chain.block_height(Commitment.FINALIZED)


def test_the_first_healthy_node_of_the_settings_is_asked(serve: Serve, connect: Connect) -> None:
    first, second = node(serve, 100, 1), node(serve, 101, 2)
    assert height(connect(first, second)) == 1
    assert second.asked("getBlockHeight") == []


@pytest.mark.parametrize("failure", [error(-32603), error(-32005), error(429), raw("<html>", status=502)])
def test_a_retryable_failure_goes_on_to_the_next_node(serve: Serve, connect: Connect, failure: Reply) -> None:
    first, second = node(serve, 100, 1, getBlockHeight=failure), node(serve, 100, 2)
    assert height(connect(first, second)) == 2
    assert len(first.asked("getBlockHeight")) == 1


@pytest.mark.parametrize(
    ("failure", "expected"), [(error(-32602), RpcRejectedError), (result("nonsense"), ProtocolError)]
)
def test_a_terminal_failure_is_not_asked_again_elsewhere(
    serve: Serve, connect: Connect, failure: Reply, expected: type[Exception]
) -> None:
    first, second = node(serve, 100, 1, getBlockHeight=failure), node(serve, 100, 2)
    with pytest.raises(expected):
        height(connect(first, second))
    assert second.asked("getBlockHeight") == []


def test_the_first_failure_is_told_when_every_node_fails(serve: Serve, connect: Connect) -> None:
    first = node(serve, 100, 1, getBlockHeight=error(-32005))
    second = node(serve, 100, 2, getBlockHeight=error(-32603))
    with pytest.raises(NodeBehindError, match=str(first.port)):
        height(connect(first, second))
    assert len(second.asked("getBlockHeight")) == 1


def test_a_node_that_failed_is_set_aside_for_a_while(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    first, second = node(serve, 100, 1, getBlockHeight=error(-32603)), node(serve, 100, 2)
    chain = connect(first, second)
    assert [height(chain), height(chain)] == [2, 2]
    assert len(first.asked("getBlockHeight")) == 1
    first.replies["getBlockHeight"] = result(1)
    clock.advance(timedelta(seconds=6))
    assert height(chain) == 1


def test_a_node_that_lags_is_not_asked_while_another_is_healthy(serve: Serve, connect: Connect) -> None:
    behind, best = node(serve, 949, 1), node(serve, 1000, 2)
    assert height(connect(behind, best, max_slots_behind=50)) == 2
    assert behind.asked("getBlockHeight") == []


def test_a_node_that_lags_no_more_than_allowed_is_asked(serve: Serve, connect: Connect) -> None:
    behind, best = node(serve, 950, 1), node(serve, 1000, 2)
    assert height(connect(behind, best, max_slots_behind=50)) == 1


def test_a_node_that_lags_does_not_stand_in_for_one_that_fails(serve: Serve, connect: Connect) -> None:
    behind, best = node(serve, 100, 1), node(serve, 1000, 2, getBlockHeight=error(-32603))
    with pytest.raises(NodeUnavailableError):
        height(connect(behind, best, max_slots_behind=50))
    assert behind.asked("getBlockHeight") == []


def test_lag_is_looked_at_again_every_few_seconds(serve: Serve, connect: Connect, clock: FakeClock) -> None:
    behind, best = node(serve, 100, 1), node(serve, 1000, 2)
    chain = connect(behind, best, max_slots_behind=50)
    assert height(chain) == 2
    behind.replies["getSlot"] = result(1000)
    assert height(chain) == 2
    clock.advance(timedelta(seconds=6))
    assert height(chain) == 1


def test_a_single_node_is_asked_without_looking_at_its_slot(serve: Serve, connect: Connect) -> None:
    only = node(serve, 100, 1)
    assert height(connect(only)) == 1
    assert only.asked("getSlot") == []


def test_all_answers_of_a_pinned_node_are_its_own(serve: Serve, connect: Connect) -> None:
    first, second = node(serve, 100, 1), node(serve, 100, 2)
    chain = connect(first, second)
    with chain.pinned(chain.nodes[1]) as pinned:
        assert pinned.node == chain.nodes[1]
        assert pinned.block_height(Commitment.FINALIZED) == 2
        assert pinned.signature_statuses([Signature(HASH)], search_history=True).node == pinned.node
    assert first.asked("getBlockHeight") == []


def test_a_pinned_node_never_fails_over(serve: Serve, connect: Connect) -> None:
    first, second = node(serve, 100, 1, getBlockHeight=error(-32603)), node(serve, 100, 2)
    chain = connect(first, second)
    with chain.pinned(chain.nodes[0]) as pinned, pytest.raises(NodeUnavailableError, match=str(first.port)):
        pinned.block_height(Commitment.FINALIZED)
    assert second.asked("getBlockHeight") == []


def test_without_a_name_the_healthiest_node_is_pinned(serve: Serve, connect: Connect) -> None:
    behind, best = node(serve, 100, 1), node(serve, 1000, 2)
    chain = connect(behind, best)
    with chain.pinned() as pinned:
        assert pinned.node == chain.nodes[1]


def test_a_second_opinion_comes_from_another_node(serve: Serve, connect: Connect) -> None:
    chain = connect(node(serve, 100, 1), node(serve, 100, 2))
    with chain.pinned(other_than=chain.nodes[0]) as pinned:
        assert pinned.block_height(Commitment.FINALIZED) == 2


def test_there_is_no_second_opinion_with_one_node(serve: Serve, connect: Connect) -> None:
    chain = connect(node(serve, 100, 1))
    with pytest.raises(NodeUnavailableError), chain.pinned(other_than=chain.nodes[0]):
        pass


def test_an_unknown_node_cannot_be_pinned(serve: Serve, connect: Connect) -> None:
    chain = connect(node(serve, 100, 1))
    with pytest.raises(NodeUnavailableError, match=chain.nodes[0]), chain.pinned("elsewhere:1"):
        pass


def test_health_asks_every_node_by_the_methods_in_use(serve: Serve, connect: Connect) -> None:
    first, second = node(serve, 940, 1), node(serve, 1000, 2)
    lagging, healthy = connect(first, second, max_slots_behind=50).health()
    assert (healthy.healthy, healthy.slot, healthy.slots_behind, healthy.version) == (True, 1000, 0, "3.1.0")
    assert healthy.latency_ms is not None
    assert (lagging.healthy, lagging.slots_behind) == (False, 60)
    assert lagging.problem is not None
    assert "60 slots behind" in lagging.problem
    assert {request.method for request in first.requests} >= {
        "getSlot",
        "getVersion",
        "getBlockHeight",
        "getLatestBlockhash",
        "getSignatureStatuses",
    }


@pytest.mark.parametrize(
    "method", ["getSlot", "getVersion", "getBlockHeight", "getLatestBlockhash", "getSignatureStatuses"]
)
def test_a_node_that_fails_one_method_in_use_is_not_healthy(serve: Serve, connect: Connect, method: str) -> None:
    (seen,) = connect(node(serve, 100, 1, **{method: error(-32603)})).health()
    assert not seen.healthy
    assert seen.problem is not None
    assert method in seen.problem


def test_a_node_that_says_it_lags_is_not_healthy(serve: Serve, connect: Connect) -> None:
    (seen,) = connect(node(serve, 100, 1, getHealth=error(-32005, "behind", {"numSlotsBehind": 42}))).health()
    assert (seen.healthy, seen.slots_behind) == (False, 42)


def test_a_node_that_does_not_offer_get_health_may_be_healthy(serve: Serve, connect: Connect) -> None:
    (seen,) = connect(node(serve, 100, 1, getHealth=error(-32601))).health()
    assert seen.healthy


def test_warming_opens_connections_and_survives_a_dead_node(serve: Serve, connect: Connect) -> None:
    alive, dead = node(serve, 100, 1), node(serve, 100, 2)
    dead.stop()
    chain = connect(dead, alive)
    chain.warm()
    assert alive.requests
    assert height(chain) == 1


@pytest.mark.parametrize("urls", [[], ["ftp://host"], ["http://"], ["http://host:port"], ["http://a", "http://a"]])
def test_addresses_that_cannot_work_are_refused(urls: list[str], clock: FakeClock) -> None:
    with pytest.raises(ConfigError):
        SolanaChain(urls, clock)
