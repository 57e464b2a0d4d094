"""What counts as a price, and what a trade must bring at least."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import (
    ExchangeUnavailableError,
    InvalidInputError,
    PriceDivergedError,
    PriceUnavailableError,
    RetryableError,
)
from sniperforge.ports.exchange import Lane
from sniperforge.trading.price_judge import MAX_HELD, MAX_SLOTS_AHEAD, PriceJudge, PricePolicy, Valuation
from tests.fakes.chain import FakeChain
from tests.fakes.clock import START, FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.oracle import FakeOracle

SOL = WSOL_MINT
USDC = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
CAT = Mint("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
DECIMALS = {SOL: 9, USDC: 6, JUP: 6, CAT: 2}
ENTRY, EXIT = ExposureEffect.ENTRY, ExposureEffect.EXIT

POLICY = PricePolicy(
    entry_slippage_bps=100,
    exit_slippage_bps=300,
    single_source_slippage_bps=50,
    divergence_bps=100,
    jump_bps=2_000,
    max_slots_behind=600,
)
HUNDRED_USDC = 100_000_000


@dataclass
class Desk:
    """A judge between a Jupiter and an oracle whose words the test chooses. SOL, USDC and JUP have a feed."""

    clock: FakeClock = field(default_factory=FakeClock)
    chain: FakeChain = field(default_factory=FakeChain)
    policy: PricePolicy = POLICY
    last_seen: dict[tuple[Mint, str], Price] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exchange = FakeExchange(self.clock, listings=(), usd={})
        self.exchange.slot = self.chain.head_slot
        self.oracle = FakeOracle(self.clock, (SOL, USDC, JUP))

    def says(self, *, jupiter: Mapping[Mint, str], oracle: Mapping[Mint, str] = {}) -> Desk:  # noqa: B006 (never written)
        """Let both sources say these dollars per whole token from now on."""
        self.exchange.usd.update({mint: Decimal(usd) for mint, usd in jupiter.items()})
        for mint, usd in oracle.items():
            self.oracle.publish(self.chain, mint, Decimal(usd))
        return self

    @property
    def judge(self) -> PriceJudge:
        return PriceJudge(exchange=self.exchange, oracle=self.oracle, clock=self.clock, policy=self.policy)

    def value(self, input_mint: Mint, output_mint: Mint, input_raw: int, **kwargs: Any) -> Valuation:
        """Ask, read and judge, as whoever signs does."""
        quoted = self.judge.ask(input_mint, output_mint, lane=Lane.ENTRY)
        return self.value_quoted(quoted, input_mint, output_mint, input_raw, **kwargs)

    def value_quoted(
        self,
        quoted: Mapping[Mint, Price],
        input_mint: Mint,
        output_mint: Mint,
        input_raw: int,
        *,
        effect: ExposureEffect = ENTRY,
        max_slippage_bps: int | None = None,
        min_out_per_input: Decimal | None = None,
    ) -> Valuation:
        addresses = self.judge.accounts(input_mint, output_mint)
        return self.judge.judge(
            quoted=quoted,
            accounts=dict(zip(addresses, self.chain.accounts(addresses), strict=True)),
            slot=self.chain.head_slot,
            last_seen=self.last_seen,
            input_mint=input_mint,
            output_mint=output_mint,
            input_decimals=DECIMALS[input_mint],
            output_decimals=DECIMALS[output_mint],
            input_raw=input_raw,
            effect=effect,
            max_slippage_bps=max_slippage_bps,
            min_out_per_input=min_out_per_input,
        )

    def remember(self, prices: Iterable[Price]) -> None:
        """Keep what was observed, as the books do."""
        self.last_seen.update({(price.mint, price.source): price for price in prices})


PLAIN = {SOL: "200", USDC: "1"}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_two_sources_that_agree_value_a_trade_exactly(desk: Desk) -> None:
    found = desk.says(jupiter=PLAIN, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC)

    assert found.fair_out_raw == 500_000_000
    assert found.min_out_raw == 495_000_000
    assert found.cap_bps == 100
    assert found.divergence_bps == 0
    assert (found.usd_per_input_unit, found.usd_per_output_unit) == (Decimal("1e-6"), Decimal("2e-7"))
    assert found.usd_per_lamport == Decimal("2e-7")
    assert {(price.mint, price.source) for price in found.observed} == {
        (mint, source) for mint in (SOL, USDC) for source in ("jupiter", "pyth")
    }
    assert found.notes == ()
