"""An oracle whose accounts a test writes: `ports.oracle.Oracle` with its prices as text in accounts of its own program.

Publish onto the fake chain, read the accounts as whoever signs reads them, and hand them to `judge`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from solders.hash import Hash

from sniperforge.domain.money import Address, Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import PriceUnavailableError
from sniperforge.ports.chain import AccountInfo
from sniperforge.ports.clock import Clock
from tests.fakes.chain import FakeChain

PROGRAM = Address(str(Hash.hash(b"the fake oracle's program")))
SOURCE = "pyth"
"""It stands in for the second source, so it goes by that name."""
SLOT = 4_242
MAX_AGE = timedelta(seconds=60)
MAX_AHEAD = timedelta(seconds=5)


class FakeOracle:
    """An oracle with a feed for each of `mints`, and no price before one is published.

    Args:
        clock: Ages are taken by it.
        mints: The tokens it prices.
    """

    def __init__(self, clock: Clock, mints: Iterable[Mint]) -> None:
        self._clock = clock
        self._accounts = {mint: Address(str(Hash.hash(f"feed of {mint}".encode()))) for mint in mints}

    def publish(self, chain: FakeChain, mint: Mint, usd: Decimal, *, published: datetime | None = None) -> None:
        """Write a price into its account, by default one of now."""
        data = f"{mint} {usd} {(published or self._clock.now()).isoformat()}"
        chain.set_account(self._accounts[mint], owner=PROGRAM, data=data.encode())

    def feed_accounts(self, mints: Sequence[Mint]) -> Mapping[Mint, Address]:
        """The account of each token that has a feed."""
        return {mint: self._accounts[mint] for mint in mints if mint in self._accounts}

    def judge(
        self, mints: Sequence[Mint], accounts: Mapping[Address, AccountInfo | None]
    ) -> Mapping[Mint, Price | PriceUnavailableError]:
        """What the accounts say, for each of `mints`."""
        return {mint: self._judged(mint, accounts) for mint in mints}

    def _judged(self, mint: Mint, accounts: Mapping[Address, AccountInfo | None]) -> Price | PriceUnavailableError:
        if mint not in self._accounts:
            return _unavailable(mint, "it has no feed")
        account = accounts.get(self._accounts[mint])
        if account is None:
            return _unavailable(mint, "its account does not exist")
        if account.owner != PROGRAM or not account.data.startswith(mint.encode()):
            return _unavailable(mint, "its account is not the oracle's")
        _, usd, published = account.data.decode().split(" ")
        at = datetime.fromisoformat(published)
        if not -MAX_AHEAD <= self._clock.now() - at <= MAX_AGE:
            return _unavailable(mint, "it is not of now")
        return Price(mint=mint, usd=Decimal(usd), source=SOURCE, observed_at=at, slot=SLOT)


def _unavailable(mint: Mint, why: str) -> PriceUnavailableError:
    return PriceUnavailableError(f"no price of the oracle: {why}", subject=mint, fix="Wait for the next update")
