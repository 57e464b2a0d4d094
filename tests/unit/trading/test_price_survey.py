"""Prices to look at what one has by: one source is enough, contradictions are said, a missing price stays missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import ExchangeUnavailableError, NodeUnavailableError
from sniperforge.ports.chain import Commitment
from sniperforge.ports.exchange import Lane
from sniperforge.trading.price_survey import Appraisal, survey_prices
from tests.fakes.chain import FakeChain
from tests.fakes.clock import FakeClock
from tests.fakes.oracle import FakeOracle
from tests.fakes.records import USDC

BONK = Mint("DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263")


class Jupiter:
    """Prices by a table."""

    def __init__(self, chain: FakeChain, clock: FakeClock) -> None:
        self.table: dict[Mint, Price] = {}
        self.is_away = False
        self._chain = chain
        self._clock = clock

    def says(self, mint: Mint, usd: str, *, slots_old: int = 0) -> None:
        slot = self._chain.slot(Commitment.CONFIRMED) - slots_old
        self.table[mint] = Price(mint, Decimal(usd), "jupiter", self._clock.now(), slot=slot)

    def prices(self, mints: Sequence[Mint], *, lane: Lane = Lane.MONITORING) -> Mapping[Mint, Price]:
        assert lane is Lane.MONITORING
        if self.is_away:
            raise ExchangeUnavailableError("nobody answers", subject="jupiter")
        return {mint: self.table[mint] for mint in mints if mint in self.table}


class Market:
    """Both sources on three tokens; the oracle knows two of them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.chain = FakeChain("one")
        self.chain.advance(2_000)
        self.jupiter = Jupiter(self.chain, self.clock)
        self.oracle = FakeOracle(self.clock, (WSOL_MINT, USDC))

    def appraise(self, mint: Mint, *, with_jupiter: bool = True) -> Appraisal:
        found = survey_prices(
            [mint],
            exchange=self.jupiter if with_jupiter else None,
            oracle=self.oracle,
            chain=self.chain,
            max_slots_behind=600,
            divergence_bps=100,
        )
        return found[mint]


def test_jupiters_price_counts_where_the_oracle_agrees_or_has_no_feed() -> None:
    market = Market()
    market.jupiter.says(WSOL_MINT, "180")
    market.jupiter.says(BONK, "0.00002")
    market.oracle.publish(market.chain, WSOL_MINT, Decimal("181.8"))
    assert market.appraise(WSOL_MINT) == Appraisal(Decimal(180))
    assert market.appraise(BONK) == Appraisal(Decimal("0.00002"))


def test_of_two_prices_that_contradict_each_other_the_lower_counts_and_both_are_told() -> None:
    market = Market()
    market.jupiter.says(WSOL_MINT, "180")
    market.oracle.publish(market.chain, WSOL_MINT, Decimal(170))
    lower = market.appraise(WSOL_MINT)
    assert lower.usd == 170
    assert "180 by Jupiter and 170 by pyth, 588 bps apart" in lower.note
    market.oracle.publish(market.chain, WSOL_MINT, Decimal(190))
    assert market.appraise(WSOL_MINT).usd == 180


def test_the_oracle_stands_in_where_jupiter_has_no_price_of_now() -> None:
    market = Market()
    market.oracle.publish(market.chain, WSOL_MINT, Decimal(170))
    assert market.appraise(WSOL_MINT).note == "by pyth alone: Jupiter has no price for it"
    market.jupiter.says(WSOL_MINT, "180", slots_old=601)
    stale = market.appraise(WSOL_MINT)
    assert (stale.usd, stale.note) == (Decimal(170), "by pyth alone: Jupiter's price is 601 slots old, 600 allowed")
    market.jupiter.says(WSOL_MINT, "171", slots_old=600)
    assert market.appraise(WSOL_MINT) == Appraisal(Decimal(171))
    market.jupiter.table[WSOL_MINT] = replace(market.jupiter.table[WSOL_MINT], slot=None)
    assert "does not say of which slot" in market.appraise(WSOL_MINT).note
    assert "does not exist on this network" in market.appraise(WSOL_MINT, with_jupiter=False).note


def test_a_source_that_is_away_is_said_and_the_other_goes_on() -> None:
    market = Market()
    market.jupiter.says(WSOL_MINT, "180")
    market.oracle.publish(market.chain, WSOL_MINT, Decimal(180))
    market.jupiter.is_away = True
    alone = market.appraise(WSOL_MINT)
    assert alone.usd == 180
    assert "nobody answers" in alone.note
    market.chain.break_node(NodeUnavailableError("the node is away"))
    assert market.appraise(WSOL_MINT).usd is None
    assert market.appraise(WSOL_MINT).note == "jupiter: nobody answers; the node is away"


def test_nobodys_price_is_no_price_and_never_zero() -> None:
    market = Market()
    missing = market.appraise(BONK)
    assert missing.usd is None
    assert "Jupiter has no price for it" in missing.note
    assert "it has no feed" in missing.note


def test_nothing_to_price_asks_nobody() -> None:
    market = Market()
    market.chain.break_node(NodeUnavailableError("the node is away"))
    market.jupiter.is_away = True
    found = survey_prices(
        [], exchange=market.jupiter, oracle=market.oracle, chain=market.chain, max_slots_behind=1, divergence_bps=1
    )
    assert found == {}
