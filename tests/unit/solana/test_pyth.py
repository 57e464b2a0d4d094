"""Pyth accounts: the price that is in them, and every reason not to believe it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.errors import NodeUnavailableError, PriceUnavailableError
from sniperforge.ports.chain import AccountInfo
from sniperforge.shared.solana.pyth import FEEDS, RECEIVER_PROGRAM, PythFeed, PythOracle
from tests.fakes.chain import FakeChain
from tests.fakes.clock import START, FakeClock

USDC = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
BONK = Mint("DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263")
JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
NOW = int(START.timestamp())
FULL = b"\x01"


def account_data(
    feed: PythFeed,
    *,
    price: int = 18_012_345_678,
    confidence: int = 9_000_000,
    exponent: int = -8,
    published: int = NOW - 3,
    level: bytes = FULL,
    discriminator: str = "22f123639d7ef4cd",
    feed_id: str | None = None,
) -> bytes:
    """A PriceUpdateV2 account, written out by hand."""
    message = bytes.fromhex(feed_id or feed.feed_id) + struct.pack(
        "<qQiqqqQ", price, confidence, exponent, published, published - 1, price, confidence
    )
    data = bytes.fromhex(discriminator) + bytes(32) + level + message + struct.pack("<Q", 4242)
    return data.ljust(134, b"\0")


def put(chain: FakeChain, feed: PythFeed, data: bytes, owner: Address = RECEIVER_PROGRAM) -> None:
    chain.set_account(feed.account, owner=owner, data=data)


@pytest.fixture
def chain() -> FakeChain:
    return FakeChain()


@pytest.fixture
def oracle(chain: FakeChain, clock: FakeClock) -> PythOracle:
    return PythOracle(chain, clock, max_age_s=60, max_confidence_bps=100)


SOL_FEED = FEEDS[WSOL_MINT]


def test_a_fresh_price_is_exact_with_its_time_slot_and_confidence(chain: FakeChain, oracle: PythOracle) -> None:
    put(chain, SOL_FEED, account_data(SOL_FEED))
    price = oracle.price(WSOL_MINT)
    assert price.usd == Decimal("180.12345678")
    assert price.confidence_usd == Decimal("0.09")
    assert (price.slot, price.source, price.mint) == (4242, "pyth", WSOL_MINT)
    assert price.observed_at == START - timedelta(seconds=3)
    assert oracle.explain([WSOL_MINT]) == {}


def test_a_small_price_keeps_all_its_digits(chain: FakeChain, oracle: PythOracle) -> None:
    feed = FEEDS[BONK]
    put(chain, feed, account_data(feed, price=201_234, confidence=150, exponent=-10))
    assert oracle.price(BONK).usd == Decimal("0.0000201234")


@pytest.mark.parametrize(
    ("mint", "address"),
    [
        (WSOL_MINT, "7UVimffxr9ow1uXYxsr4LHAcV58mLzhmwaeKvJ1pjLiE"),
        (USDC, "Dpw1EAVrSB1ibxiDQyTAW6Zip3J4Btk2x4SgApQCeFbX"),
        (BONK, "DBE3N8uNjhKPRHfANdwGvCZghWXyLPdqdSbEW2XFwBiX"),
        (JUP, "7dbob1psH1iZBS7qPsm3Kwbf5DzSXK8Jyg31CTgTnxH5"),
    ],
)
def test_feeds_stand_where_pyth_publishes_them(mint: Mint, address: str) -> None:
    assert FEEDS[mint].account == address


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (account_data(SOL_FEED, published=NOW - 61), "61 s old"),
        (account_data(SOL_FEED, published=NOW + 6), "in the future"),
        (account_data(SOL_FEED, published=2**62), "in the future"),
        (account_data(SOL_FEED, price=0, confidence=0), "not above zero"),
        (account_data(SOL_FEED, price=-1, confidence=0), "not above zero"),
        (account_data(SOL_FEED, price=1_000_000, confidence=10_001), "uncertainty"),
        (account_data(SOL_FEED, exponent=-30), "exponent"),
        (account_data(SOL_FEED, exponent=5), "out of range"),
        (account_data(SOL_FEED, price=2**63 - 1, exponent=-18), "out of range"),
        (account_data(SOL_FEED, level=b"\x00\x05"), "not Full"),
        (account_data(SOL_FEED, level=b"\x00\x01"), "not Full"),
        (account_data(SOL_FEED, level=b"\x02"), "not Full"),
        (account_data(SOL_FEED, discriminator="0123456789abcdef"), "no PriceUpdateV2"),
        (account_data(SOL_FEED)[:132], "no PriceUpdateV2"),
        (b"", "no PriceUpdateV2"),
        (account_data(SOL_FEED, feed_id=FEEDS[USDC].feed_id), "instead"),
    ],
)
def test_a_price_that_cannot_be_trusted_is_no_price(
    chain: FakeChain, oracle: PythOracle, data: bytes, why: str
) -> None:
    put(chain, SOL_FEED, data)
    assert oracle.prices([WSOL_MINT]) == {}
    assert why in oracle.explain([WSOL_MINT])[WSOL_MINT]
    with pytest.raises(PriceUnavailableError, match=why):
        oracle.price(WSOL_MINT)


@pytest.mark.parametrize(
    "data",
    [
        account_data(SOL_FEED, published=NOW - 60),
        account_data(SOL_FEED, published=NOW + 5),
        account_data(SOL_FEED, price=1_000_000, confidence=10_000),
    ],
)
def test_a_price_at_the_edge_of_what_is_allowed_counts(chain: FakeChain, oracle: PythOracle, data: bytes) -> None:
    put(chain, SOL_FEED, data)
    assert set(oracle.prices([WSOL_MINT])) == {WSOL_MINT}


def test_an_account_of_another_program_is_not_believed(chain: FakeChain, oracle: PythOracle) -> None:
    put(chain, SOL_FEED, account_data(SOL_FEED), owner=Address("11111111111111111111111111111111"))
    assert "not to Pyth" in oracle.explain([WSOL_MINT])[WSOL_MINT]


def test_good_prices_are_told_beside_the_reasons_for_bad_ones(chain: FakeChain, oracle: PythOracle) -> None:
    put(chain, SOL_FEED, account_data(SOL_FEED))
    put(chain, FEEDS[USDC], account_data(FEEDS[USDC], price=100_000_000, confidence=50_000, published=NOW - 900))
    unpriced = Mint("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
    wanted = [WSOL_MINT, USDC, JUP, unpriced, WSOL_MINT]
    assert set(oracle.prices(wanted)) == {WSOL_MINT}
    reasons = oracle.explain(wanted)
    assert set(reasons) == {USDC, JUP, unpriced}
    assert "does not exist" in reasons[JUP]
    assert "no Pyth feed" in reasons[unpriced]


def test_a_price_grows_old_on_our_clock(chain: FakeChain, oracle: PythOracle, clock: FakeClock) -> None:
    put(chain, SOL_FEED, account_data(SOL_FEED))
    clock.advance(timedelta(seconds=58))
    assert oracle.prices([WSOL_MINT]) == {}


def test_a_node_that_fails_is_an_error_and_not_an_absent_price(chain: FakeChain, oracle: PythOracle) -> None:
    chain.break_node(NodeUnavailableError("as told", subject="node"))
    with pytest.raises(NodeUnavailableError):
        oracle.prices([WSOL_MINT])


def test_tokens_without_a_feed_ask_nothing_of_the_chain(chain: FakeChain, oracle: PythOracle) -> None:
    class Silent(FakeChain):
        def accounts(self, addresses: Sequence[Address], *_args: object) -> tuple[AccountInfo | None, ...]:
            raise AssertionError(addresses)

    silent = PythOracle(Silent(), FakeClock(), max_age_s=60, max_confidence_bps=100)
    assert silent.prices([Mint("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")]) == {}
