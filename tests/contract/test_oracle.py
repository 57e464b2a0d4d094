"""What every `ports.oracle.Oracle` promises: Pyth's and the fake one, over accounts of the same chain."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import PriceUnavailableError
from sniperforge.ports.chain import AccountInfo
from sniperforge.ports.oracle import Oracle
from sniperforge.shared.solana.pyth import FEEDS, RECEIVER_PROGRAM, PythOracle
from tests.fakes.chain import SYSTEM_PROGRAM, FakeChain
from tests.fakes.clock import FakeClock
from tests.fakes.oracle import FakeOracle

SOL = WSOL_MINT
USDC = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
CAT = Mint("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
MAX_AGE_S = 60


@dataclass
class Scene:
    """An oracle with feeds of SOL and USDC, the chain its accounts are on, and the clock it goes by."""

    oracle: Oracle
    chain: FakeChain
    clock: FakeClock

    def publish(self, mint: Mint, usd: str, published: datetime) -> None:
        """Write a price into its account."""
        oracle = self.oracle
        if isinstance(oracle, FakeOracle):
            oracle.publish(self.chain, mint, Decimal(usd), published=published)
            return
        raw, seconds = int(Decimal(usd).scaleb(8)), int(published.timestamp())
        fields = struct.pack("<qQiqqqQQ", raw, 1, -8, seconds, seconds - 1, raw, 1, 4_242)
        head = bytes.fromhex("22f123639d7ef4cd") + bytes(32) + b"\1" + bytes.fromhex(FEEDS[mint].feed_id)
        self.chain.set_account(FEEDS[mint].account, owner=RECEIVER_PROGRAM, data=head + fields + b"\0")

    def account(self, mint: Mint) -> Address:
        return self.oracle.feed_accounts([mint])[mint]

    def read(self) -> dict[Address, AccountInfo | None]:
        """Every feed's account, as whoever signs reads them."""
        addresses = list(self.oracle.feed_accounts([SOL, USDC]).values())
        return dict(zip(addresses, self.chain.accounts(addresses), strict=True))

    def judged(self, mint: Mint) -> Price | PriceUnavailableError:
        return self.oracle.judge([mint], self.read())[mint]


@pytest.fixture(params=["pyth", "fake"])
def scene(request: pytest.FixtureRequest) -> Scene:
    chain, clock = FakeChain(), FakeClock()
    oracle: Oracle = (
        FakeOracle(clock, [SOL, USDC])
        if request.param == "fake"
        else PythOracle(chain, clock, max_age_s=MAX_AGE_S, max_confidence_bps=100)
    )
    return Scene(oracle, chain, clock)


def test_tokens_with_a_feed_have_one_account_each(scene: Scene) -> None:
    accounts = scene.oracle.feed_accounts([SOL, CAT, USDC])

    assert accounts.keys() == {SOL, USDC}
    assert len(set(accounts.values())) == 2
    assert scene.oracle.feed_accounts([CAT]) == {}


def test_a_published_price_is_read_back_exactly(scene: Scene) -> None:
    published = scene.clock.now() - timedelta(seconds=3)
    scene.publish(SOL, "180.12345678", published)

    price = scene.judged(SOL)

    assert isinstance(price, Price)
    assert (price.mint, price.usd, price.observed_at) == (SOL, Decimal("180.12345678"), published)
    assert price.source == "pyth"
    assert price.slot == 4_242


def test_every_token_asked_about_is_answered(scene: Scene) -> None:
    scene.publish(SOL, "180", scene.clock.now())

    answers = scene.oracle.judge([SOL, USDC, CAT], scene.read())

    assert answers.keys() == {SOL, USDC, CAT}
    assert isinstance(answers[SOL], Price)
    for mint in (USDC, CAT):
        refusal = answers[mint]
        assert isinstance(refusal, PriceUnavailableError)
        assert refusal.subject == mint
        assert refusal.what
        assert refusal.fix


def test_an_account_that_was_not_read_gives_no_price(scene: Scene) -> None:
    scene.publish(SOL, "180", scene.clock.now())

    assert isinstance(scene.oracle.judge([SOL], {})[SOL], PriceUnavailableError)
    assert isinstance(scene.oracle.judge([SOL], {scene.account(SOL): None})[SOL], PriceUnavailableError)


@pytest.mark.parametrize(("age_s", "counts"), [(60, True), (61, False), (-5, True), (-6, False)])
def test_a_price_counts_while_it_is_of_now(scene: Scene, age_s: int, counts: bool) -> None:  # noqa: FBT001
    scene.publish(SOL, "180", scene.clock.now() - timedelta(seconds=age_s))

    assert isinstance(scene.judged(SOL), Price) is counts


def test_accounts_that_are_not_the_feeds_give_no_price(scene: Scene) -> None:
    for mint in (SOL, USDC):
        scene.publish(mint, "180", scene.clock.now())
    found = scene.read()
    own, other = found[scene.account(SOL)], found[scene.account(USDC)]
    assert own is not None
    assert other is not None
    for wrong in (
        replace(own, owner=SYSTEM_PROGRAM),
        replace(own, data=b""),
        replace(own, data=b"\xff" * 134),
        replace(own, data=other.data),
    ):
        answer = scene.oracle.judge([SOL], {**found, scene.account(SOL): wrong})[SOL]
        assert isinstance(answer, PriceUnavailableError), wrong


def test_reading_is_left_to_others(scene: Scene) -> None:
    scene.publish(SOL, "180", scene.clock.now())
    found = scene.read()
    scene.chain.break_node(PriceUnavailableError("the chain was asked"))

    assert isinstance(scene.oracle.judge([SOL], found)[SOL], Price)
