"""What a pair costs: by the rules of an entry, from both sources, kept so that a jump is believed when it stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest

from sniperforge.domain.money import Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import PriceDivergedError, PriceUnavailableError
from sniperforge.ports.exchange import Lane
from sniperforge.strategies.base import Pair, Token
from sniperforge.trading.pair_price import JudgedPrices
from sniperforge.trading.price_judge import PriceJudge
from tests.fakes.oracle import FakeOracle
from tests.fakes.trading_market import TradingExchange
from tests.fakes.trading_orders import JUP, SOL, USDC
from tests.fakes.trading_world import PRICES, TradingWorld

SOL_FOR_USDC = Pair(Token(USDC, 6), Token(SOL, 9))


@pytest.fixture
def world() -> TradingWorld:
    return TradingWorld()


def price(world: TradingWorld, pair: Pair = SOL_FOR_USDC) -> Decimal:
    judge = PriceJudge(exchange=world.exchange, oracle=world.oracle, clock=world.clock, policy=PRICES)
    return JudgedPrices(store=world.store, chain=world.chain, judge=judge).price(pair)


class HeldBack(TradingExchange):
    """Jupiter's answers arrive when the chain is far ahead of them."""

    def prices(self, mints: Sequence[Mint], *, lane: Lane = Lane.MONITORING) -> Mapping[Mint, Price]:
        found = super().prices(mints, lane=lane)
        self.chain.advance(PRICES.max_slots_behind + 100)
        return found


def test_the_price_is_whole_input_tokens_per_whole_output_token(world: TradingWorld) -> None:
    assert price(world) == Decimal("180.25")
    assert price(world, Pair(Token(SOL, 9), Token(JUP, 6))) == Decimal("0.5") / Decimal("180.25")


def test_a_price_that_is_missing_is_none(world: TradingWorld) -> None:
    del world.exchange.usd[SOL]
    with pytest.raises(PriceUnavailableError):
        price(world)


def test_a_pair_without_an_oracle_is_priced_by_jupiter_alone(world: TradingWorld) -> None:
    world.oracle = FakeOracle(world.clock, ())
    assert price(world) == Decimal("180.25")


@pytest.mark.parametrize("fed", [(SOL, USDC), ()])
def test_a_price_of_old_slots_is_none_with_and_without_an_oracle(world: TradingWorld, fed: tuple[Mint, ...]) -> None:
    world.oracle = FakeOracle(world.clock, fed)
    for mint in fed:
        world.oracle.publish(world.chain, mint, world.usd[mint])
    world.exchange = HeldBack(world.clock, world.chain, world.points)
    with pytest.raises(PriceUnavailableError, match="slots old"):
        price(world)


def test_sources_that_contradict_each_other_give_no_price(world: TradingWorld) -> None:
    world.usd[SOL] = Decimal(185)
    world.publish()
    with pytest.raises(PriceDivergedError):
        price(world)


def test_a_price_that_jumped_is_believed_at_the_second_look(world: TradingWorld) -> None:
    price(world)
    world.exchange.usd[SOL] = world.usd[SOL] = Decimal(260)
    world.publish()
    with pytest.raises(PriceUnavailableError, match="jumped"):
        price(world)
    assert price(world) == 260
