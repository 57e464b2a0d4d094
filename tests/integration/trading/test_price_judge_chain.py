"""The independent price as it is in use: Jupiter over HTTP, Pyth's accounts off a chain, and the books in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import WSOL_MINT, Bps, Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import PriceDivergedError, PriceUnavailableError
from sniperforge.ports.chain import Commitment
from sniperforge.ports.exchange import Lane, OrderRequest
from sniperforge.ports.store import Store
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.jupiter.client import JupiterClient
from sniperforge.shared.jupiter.rate_limit import PlanLimits, RequestBudget
from sniperforge.shared.solana.pyth import FEEDS, PythFeed, PythOracle
from sniperforge.shared.solana.rpc import SolanaChain
from sniperforge.trading.price_judge import PriceJudge, PricePolicy, Valuation
from tests.fakes.chain_worlds import wait_until
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.fakes.stores import empty_store

SOL = WSOL_MINT
USDC = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
USDT = Mint("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
SOL_USD = 180
ENTRY, EXIT = ExposureEffect.ENTRY, ExposureEffect.EXIT
HUNDRED_USD = 100_000_000
POLICY = PricePolicy(
    entry_slippage_bps=100,
    exit_slippage_bps=300,
    single_source_slippage_bps=50,
    divergence_bps=100,
    jump_bps=2_000,
    max_slots_behind=600,
)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    home = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(home, slot_ms=20, scenario="flat", crowd=0, rate_limits=False) as running:
        yield running


@dataclass
class Desk:
    """A judge with everything behind it, and the books that remember what it saw."""

    sandbox: RunningSandbox
    exchange: JupiterClient
    chain: SolanaChain
    store: Store
    clock: SystemClock

    def value(
        self,
        input_mint: Mint,
        output_mint: Mint,
        effect: ExposureEffect = ENTRY,
        *,
        feeds: Mapping[Mint, PythFeed] = FEEDS,
        input_raw: int = HUNDRED_USD,
    ) -> Valuation:
        """What a trade does about prices: ask, read, judge, and keep what was observed."""
        oracle = PythOracle(self.chain, self.clock, feeds, max_age_s=60, max_confidence_bps=100)
        judge = PriceJudge(exchange=self.exchange, oracle=oracle, clock=self.clock, policy=POLICY)
        quoted = judge.ask(input_mint, output_mint, lane=Lane.ENTRY)
        addresses = judge.accounts(input_mint, output_mint)
        with self.store.read() as books:
            seen = books.prices.newest({input_mint, output_mint, SOL})
        observed: tuple[Price, ...] = ()
        try:
            found = judge.judge(
                quoted=quoted,
                accounts=dict(zip(addresses, self.chain.accounts(addresses), strict=True)) if addresses else {},
                slot=self.chain.slot(Commitment.CONFIRMED),
                last_seen=seen,
                input_mint=input_mint,
                output_mint=output_mint,
                input_decimals=9 if input_mint == SOL else 6,
                output_decimals=9 if output_mint == SOL else 6,
                input_raw=input_raw,
                effect=effect,
                max_slippage_bps=None,
                min_out_per_input=None,
            )
            observed = found.observed
            return found
        except (PriceUnavailableError, PriceDivergedError) as refusal:
            observed = refusal.details["observed"]
            raise
        finally:
            with self.store.write() as books:
                books.prices.observe(observed)

    def set_sol(self, usd: int) -> None:
        """Let SOL jump, and wait until both sources have noticed."""
        self.sandbox.ask("POST", "/price", token="SOL", usd=usd)
        oracle = PythOracle(self.chain, self.clock, max_age_s=60, max_confidence_bps=100)
        for source in (self.exchange, oracle):
            wait_until(lambda source=source: abs(source.prices([SOL])[SOL].usd / usd - 1) < 0.01)  # type: ignore[misc]


@pytest.fixture
def desk(process: RunningSandbox, tmp_path: Path) -> Iterator[Desk]:
    clock = SystemClock()
    wide = PlanLimits(main=1000, execute=1000)
    budget = RequestBudget(wide, organisation="judge", clock=clock, redis_url=None)
    exchange = JupiterClient(process.endpoints.jupiter_url, api_key=None, budget=budget, clock=clock)
    chain = SolanaChain([process.endpoints.node_urls["a"]], clock, timeout_s=5.0)
    with empty_store("sqlite", tmp_path) as store:
        yield Desk(process, exchange, chain, store, clock)
    chain.close()
    exchange.close()
    process.clear_faults()


def test_an_honest_market_is_valued_by_two_sources_that_agree(desk: Desk) -> None:
    found = desk.value(USDC, SOL)

    assert found.cap_bps == 100
    assert found.divergence_bps is not None
    assert found.divergence_bps < 20
    assert abs(found.fair_out_raw / (100 / SOL_USD * 10**9) - 1) < 0.002
    assert 0 <= found.min_out_raw - Bps(100).less(found.fair_out_raw) <= 1
    assert {(price.mint, price.source) for price in found.observed} == {
        (mint, source) for mint in (SOL, USDC) for source in ("jupiter", "pyth")
    }


@pytest.mark.parametrize(("pair", "input_raw"), [((USDC, SOL), HUNDRED_USD), ((SOL, USDC), 10**9)])
def test_an_honest_quote_brings_what_the_judge_demands(desk: Desk, pair: tuple[Mint, Mint], input_raw: int) -> None:
    found = desk.value(*pair, input_raw=input_raw)
    order = desk.exchange.order(
        OrderRequest(input_mint=pair[0], output_mint=pair[1], amount_raw=input_raw, taker=None), lane=Lane.ENTRY
    )

    assert found.min_out_raw <= order.out_raw < found.fair_out_raw * 1.002


def test_a_token_without_a_feed_is_entered_under_the_tighter_cap(desk: Desk) -> None:
    assert desk.value(USDT, SOL).cap_bps == 50
    assert desk.value(USDT, SOL, EXIT).cap_bps == 300


@pytest.mark.parametrize("effect", [ENTRY, EXIT])
def test_a_real_jump_is_refused_once_and_believed_from_the_books(desk: Desk, effect: ExposureEffect) -> None:
    desk.value(USDC, SOL)
    desk.set_sol(SOL_USD * 2)
    try:
        with pytest.raises(PriceUnavailableError, match="jumped"):
            desk.value(USDC, SOL, effect)
        found = desk.value(USDC, SOL, effect)
        assert abs(found.fair_out_raw / (50 / SOL_USD * 10**9) - 1) < 0.002
    finally:
        desk.set_sol(SOL_USD)


@pytest.mark.parametrize("effect", [ENTRY, EXIT])
def test_a_price_of_an_old_block_is_no_price(desk: Desk, effect: ExposureEffect) -> None:
    desk.sandbox.fault("jupiter:/price/v3", "stale_price", count=1)

    with pytest.raises(PriceUnavailableError, match="slots old, 600 allowed"):
        desk.value(USDC, SOL, effect)
    assert desk.value(USDC, SOL, effect).min_out_raw > 0


def test_a_token_that_jupiter_leaves_out_is_named(desk: Desk) -> None:
    nobodys = Mint("HZ1JovNiVvGrGNiiYvEozEVgZ58xaU3RKwX8eACQBCt3")

    with pytest.raises(PriceUnavailableError, match=nobodys):
        desk.value(USDC, nobodys)


def test_a_feed_whose_account_is_not_on_chain_stops_entries_only(desk: Desk) -> None:
    feeds = {**FEEDS, USDT: PythFeed("USDT/USD", "ab" * 32)}

    with pytest.raises(PriceUnavailableError, match="no Pyth price for USDT/USD"):
        desk.value(USDT, SOL, feeds=feeds)
    found = desk.value(USDT, SOL, EXIT, feeds=feeds)
    assert found.cap_bps == 300
    assert [note for note in found.notes if USDT in note and "by Jupiter alone" in note]


def test_a_chain_that_contradicts_jupiter_stops_entries_and_raises_what_exits_demand(desk: Desk) -> None:
    """USDT is priced by SOL's account here, so the chain calls it 180 times as dear."""
    feeds = {**FEEDS, USDT: PythFeed("USDT/USD", FEEDS[SOL].feed_id)}

    with pytest.raises(PriceDivergedError) as refusal:
        desk.value(USDT, SOL, feeds=feeds)
    assert refusal.value.details["mint"] == USDT
    found = desk.value(USDT, SOL, EXIT, feeds=feeds)
    assert abs(found.fair_out_raw / (100 * 10**9) - 1) < 0.002
