"""Fixtures of the Solana adapter's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.clock import FakeClock
from tests.fakes.rpc_server import Reply, RpcServer, rpc_server

Replies = Mapping[str, Reply | list[Reply]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def serve() -> Iterator[Callable[[Replies], RpcServer]]:
    """Start a node that answers like this."""
    with ExitStack() as stack:
        yield lambda replies: stack.enter_context(rpc_server(replies))


@pytest.fixture
def connect(clock: FakeClock) -> Iterator[Callable[..., SolanaChain]]:
    """Make a chain over these servers or addresses."""
    chains: list[SolanaChain] = []

    def make(*nodes: RpcServer | str, **options: Any) -> SolanaChain:
        urls: Sequence[str] = [node if isinstance(node, str) else node.url for node in nodes]
        chains.append(SolanaChain(urls, clock, **{"timeout_s": 5.0, **options}))
        return chains[-1]

    yield make
    for chain in chains:
        chain.close()
