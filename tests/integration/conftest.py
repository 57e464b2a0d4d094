"""Fixtures of tests that talk to a real sandbox process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.sandbox_process import RunningSandbox, running_sandbox


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One sandbox for the whole run: 10 ms slots, no other people's trades, no request budget."""
    home = tmp_path_factory.mktemp("sandbox-home")
    with running_sandbox(home, slot_ms=10, crowd=0, rate_limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """The shared sandbox, put right again after the test: no faults, running, nodes as they were."""
    yield shared_sandbox
    shared_sandbox.clear_faults()
    shared_sandbox.ask("POST", "/pause", paused=False)
    shared_sandbox.ask("POST", "/clock", slot_ms=10, market_speed=1)
    shared_sandbox.ask(
        "POST", "/jupiter", jupiterz_share="0.3", maker_leg_share=0, absurd_price_share="0.02", forbidden={}
    )
    for name, lag in (("a", 0), ("b", 1), ("c", 3)):
        shared_sandbox.ask("POST", "/nodes", name=name, lag_slots=lag, remembers_all=True, swallow=0)


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as solana-py does."""
    return "asyncio"
