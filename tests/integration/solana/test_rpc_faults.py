"""The adapter against a sandbox that misbehaves: what is retried elsewhere, and what is never repeated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from solders.keypair import Keypair

from sniperforge.domain.money import WSOL_MINT, Address
from sniperforge.errors import NodeUnavailableError, RateLimitedError, SniperForgeError
from sniperforge.ports.chain import Commitment
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.solana.pyth import FEEDS, PythOracle
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.chain_worlds import SandboxWorld, pay, signature_of, wait_until
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), crowd=0) as running:
        yield running


@pytest.fixture
def sandbox(process: RunningSandbox) -> Iterator[RunningSandbox]:
    """The module's sandbox, its faults and lags taken back afterwards."""
    yield process
    process.clear_faults()
    for name in process.endpoints.node_urls:
        process.ask("POST", "/nodes", name=name, lag_slots=0, remembers_all=True)


@pytest.fixture
def chain(sandbox: RunningSandbox) -> Iterator[SolanaChain]:
    reader = SolanaChain(list(sandbox.endpoints.node_urls.values()), SystemClock(), timeout_s=5.0)
    yield reader
    reader.close()


@pytest.mark.parametrize("kind", ["http_429", "http_500_html", "garbage", "reset", "drop_request", "drop_response"])
def test_a_read_that_fails_at_one_node_is_answered_by_another(
    sandbox: RunningSandbox, chain: SolanaChain, kind: str
) -> None:
    sandbox.fault("rpc:getBlockHeight", kind, node="a", probability=1.0)
    assert chain.block_height(Commitment.FINALIZED) > 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("http_429", RateLimitedError), ("garbage", SniperForgeError), ("reset", NodeUnavailableError)],
)
def test_a_pinned_node_fails_for_itself(
    sandbox: RunningSandbox, chain: SolanaChain, kind: str, expected: type[SniperForgeError]
) -> None:
    sandbox.fault("rpc:getBlockHeight", kind, node="a", probability=1.0)
    with chain.pinned(chain.nodes[0]) as node, pytest.raises(expected):
        node.block_height(Commitment.FINALIZED)


def test_a_send_whose_answers_are_lost_may_have_landed_and_says_so(sandbox: RunningSandbox, chain: SolanaChain) -> None:
    world = SandboxWorld(sandbox, chain)
    transaction = pay(world, 10_000_000, Address(str(Keypair().pubkey())))
    sandbox.fault("rpc:sendTransaction", "drop_response", probability=1.0)
    for result in chain.send(transaction):
        assert not result.accepted
        assert result.error
    sandbox.clear_faults()
    signature = signature_of(transaction)
    wait_until(lambda: chain.signature_statuses([signature], search_history=True).statuses[0] is not None)


def test_a_lagging_node_is_seen_and_not_asked(sandbox: RunningSandbox, chain: SolanaChain) -> None:
    sandbox.ask("POST", "/nodes", name="a", lag_slots=20)
    strict = SolanaChain(list(sandbox.endpoints.node_urls.values()), SystemClock(), timeout_s=5.0, max_slots_behind=10)
    lagging, *_ = strict.health()
    assert not lagging.healthy
    with strict.pinned() as node:
        assert node.node != lagging.node
    strict.close()


def test_a_node_that_forgets_answers_null_while_another_remembers(sandbox: RunningSandbox, chain: SolanaChain) -> None:
    world = SandboxWorld(sandbox, chain)
    transaction = pay(world, 10_000_000, Address(str(Keypair().pubkey())))
    chain.send(transaction)
    world.pass_slots(20)
    sandbox.ask("POST", "/nodes", name="b", remembers_slots=5)
    signature = signature_of(transaction)
    answers = []
    for name in chain.nodes[:2]:
        with chain.pinned(name) as node:
            answers.append(node.signature_statuses([signature], search_history=True).statuses[0])
    assert answers[0] is not None
    assert answers[1] is None


def test_the_sandboxs_pyth_accounts_are_read_as_mainnets(chain: SolanaChain) -> None:
    oracle = PythOracle(chain, SystemClock(), max_age_s=60, max_confidence_bps=100)
    prices = oracle.prices(list(FEEDS))
    assert set(prices) == set(FEEDS)
    assert 100 < prices[WSOL_MINT].usd < 300
