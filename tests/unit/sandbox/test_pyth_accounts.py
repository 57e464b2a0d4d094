"""Pyth price accounts, byte by byte against the published layout."""

import hashlib
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from sniperforge.sandbox.pyth_accounts import FEEDS, PriceUpdate, PythAccounts
from sniperforge.sandbox.tokens import BONK, JUP, SOL, USDC
from tests.fakes.market_chain import START, MarketChain

MAINNET_ACCOUNTS = {
    SOL: "7UVimffxr9ow1uXYxsr4LHAcV58mLzhmwaeKvJ1pjLiE",
    USDC: "Dpw1EAVrSB1ibxiDQyTAW6Zip3J4Btk2x4SgApQCeFbX",
    JUP: "7dbob1psH1iZBS7qPsm3Kwbf5DzSXK8Jyg31CTgTnxH5",
    BONK: "DBE3N8uNjhKPRHfANdwGvCZghWXyLPdqdSbEW2XFwBiX",
}
"""The sponsored accounts that mainnet programs read; written here as they are published, not derived."""


def data_of(market_chain: MarketChain, mint: Pubkey) -> bytes:
    account = market_chain.chain.account(MAINNET_ACCOUNTS[mint])
    assert account is not None
    assert str(account.owner) == "rec5EKMGg6MxZYaMdyBfgwp4d5rB9T1VQH5pJv5LtFJ"
    assert account.lamports == market_chain.chain.minimum_rent(134)
    return account.data


def dollars(data: bytes) -> Fraction:
    price, _confidence, exponent = struct.unpack_from("<qQi", data, 73)
    return Fraction(price) * Fraction(10) ** int(exponent)


@pytest.fixture
def market_chain() -> MarketChain:
    return MarketChain.create()


def test_accounts_lie_where_they_lie_on_mainnet() -> None:
    assert {mint: str(feed.account) for mint, feed in FEEDS.items()} == MAINNET_ACCOUNTS


def test_the_world_names_them(market_chain: MarketChain) -> None:
    named = {mint: token.pyth_account for mint, token in market_chain.world.tokens.items() if token.pyth_account}
    assert {mint: str(address) for mint, address in named.items()} == MAINNET_ACCOUNTS


def test_every_field_stands_where_the_receiver_sdk_puts_it(market_chain: MarketChain) -> None:
    market_chain.market(scenario="flat")
    data = data_of(market_chain, SOL)
    assert len(data) == 134
    assert data[:8] == hashlib.sha256(b"account:PriceUpdateV2").digest()[:8]
    assert str(Pubkey(data[8:40])) == MAINNET_ACCOUNTS[SOL]  # its own write authority
    assert data[40] == 1  # fully verified
    assert data[41:73].hex() == "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d"
    price, confidence, exponent, published, previous, ema, ema_confidence, slot = struct.unpack_from(
        "<qQiqqqQQ", data, 73
    )
    assert exponent == -8
    assert abs(price - 180 * 10**8) <= 180 * 10**8 * 2 // 10_000
    assert 5 <= confidence * 10_000 / price <= 8
    assert (published, previous) == (START, START - 1)
    assert (ema, ema_confidence) == (price, confidence)
    assert slot == market_chain.chain.head_slot()
    assert data[133:] == b"\0"


def test_every_feed_says_the_market_price_within_its_confidence(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=600.0)
    market_chain.run(market, 3)
    for mint in MAINNET_ACCOUNTS:
        data, usd = data_of(market_chain, mint), market.usd(mint)
        assert usd is not None
        confidence = struct.unpack_from("<Q", data, 81)[0] * Fraction(10) ** struct.unpack_from("<i", data, 89)[0]
        assert abs(dollars(data) - usd) <= confidence


def test_prices_are_published_every_second_with_the_chains_time(market_chain: MarketChain) -> None:
    market = market_chain.market()
    seen = []
    for _ in range(4):
        market_chain.run(market, 1)
        seen.append(struct.unpack_from("<qq", data_of(market_chain, JUP), 93))
    assert seen == [(START + second, START + second - 1) for second in range(1, 5)]


def test_the_moving_average_lags_behind_a_jump(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="flat")
    market.set_price(SOL, Fraction(90))
    market_chain.run(market, 60)
    price, *_, ema = struct.unpack_from("<qQiqqq", data_of(market_chain, SOL), 73)
    assert price < 91 * 10**8
    assert 176 * 10**8 < ema < 180 * 10**8


def test_a_restart_publishes_after_what_is_there(market_chain: MarketChain) -> None:
    market_chain.run(market_chain.market(scenario="flat"), 3)
    ema_before = struct.unpack_from("<q", data_of(market_chain, SOL), 109)[0]
    pyth = PythAccounts(market_chain.chain, seed=1)
    prices = {mint: token.start_usd for mint, token in market_chain.world.tokens.items()}
    pyth.publish(prices, market_chain.now)
    assert struct.unpack_from("<q", data_of(market_chain, SOL), 93)[0] == market_chain.now
    pyth.publish({**prices, SOL: Fraction(360)}, market_chain.now + 1)
    data = data_of(market_chain, SOL)
    assert struct.unpack_from("<qq", data, 93) == (market_chain.now + 1, market_chain.now)
    assert struct.unpack_from("<q", data, 109)[0] < ema_before * 1.01


i64 = st.integers(-(2**63), 2**63 - 1)
u64 = st.integers(0, 2**64 - 1)


@given(
    st.builds(
        PriceUpdate,
        feed_id=st.binary(min_size=32, max_size=32),
        price=i64,
        confidence=u64,
        exponent=st.integers(-(2**31), 2**31 - 1),
        publish_time=i64,
        previous_publish_time=i64,
        ema_price=i64,
        ema_confidence=u64,
        posted_slot=u64,
    )
)
def test_an_update_survives_its_bytes(update: PriceUpdate) -> None:
    assert PriceUpdate.from_bytes(update.to_bytes(Pubkey.default())) == update
