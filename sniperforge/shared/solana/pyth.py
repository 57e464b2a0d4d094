"""Prices from Pyth's price feed accounts, read through our own RPC nodes.

Layout of a `PriceUpdateV2` account (pyth-network/pyth-crosschain, `target_chains/solana/pyth_solana_receiver_sdk/src/
price_update.rs`, and `PriceFeedMessage` in `pythnet/pythnet_sdk/src/messages.rs`; Anchor and Borsh, little-endian):
8 bytes discriminator (the first of sha256 of "account:PriceUpdateV2"), 32 write authority, the verification level (one
byte: 1 is Full; 0 is Partial and is followed by a count of signatures), then 32 feed id, i64 price, u64 confidence,
i32 exponent, i64 publish time, i64 previous publish time, i64 and u64 moving averages, and u64 posted slot.
The price is (price +- confidence) * 10^exponent dollars for one whole token.

Addresses: the push oracle program (`target_chains/solana/programs/pyth-push-oracle`) owns one address per feed, derived
from the shard (u16, 0 for the feeds Pyth sponsors) and the feed id; the account itself belongs to the receiver program.
Feed ids are the same on every network (https://docs.pyth.network/price-feeds/core/price-feeds/price-feed-ids).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from solders.pubkey import Pubkey

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import InvalidInputError, PriceUnavailableError
from sniperforge.ports.chain import AccountInfo, ChainReader
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Lane

RECEIVER_PROGRAM = Address("rec5EKMGg6MxZYaMdyBfgwp4d5rB9T1VQH5pJv5LtFJ")
PUSH_ORACLE_PROGRAM = Address("pythWSnswVUd12oZpeFP8e9CVaEqJg25g1Vtc2biRsT")
MAX_AHEAD_S = 5
"""A price may be this much ahead of our clock, because clocks differ."""

_DISCRIMINATOR = hashlib.sha256(b"account:PriceUpdateV2").digest()[:8]
_LEVEL_AT = 40
_FULL = 1
_MESSAGE = struct.Struct("<32sqQiqqqQQ")
_EXPONENTS = range(-18, 10)


@dataclass(frozen=True, slots=True)
class PythFeed:
    """One feed: what it prices, and its id (32 bytes as hex)."""

    symbol: str
    feed_id: str

    @property
    def account(self) -> Address:
        """Where its price stands on chain: the address of shard 0."""
        program = Pubkey.from_string(PUSH_ORACLE_PROGRAM)
        address, _ = Pubkey.find_program_address([bytes(2), bytes.fromhex(self.feed_id)], program)
        return Address(str(address))


FEEDS: Mapping[Mint, PythFeed] = {
    WSOL_MINT: PythFeed("SOL/USD", "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d"),
    Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN"): PythFeed(
        "JUP/USD", "0a0408d619e9380abad35060f9192039ed5042fa6f82301d0e48bb52be830996"
    ),
    Mint("DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"): PythFeed(
        "BONK/USD", "72b021217ca3fe68922a19aaf990109cb9d84e9ad004b4d2025ad6f529314419"
    ),
    Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"): PythFeed(
        "USDC/USD", "eaa020c61cc479712813461ce153894a96a6c00b21ed0cfc2798d1f9a9e9c94a"
    ),
}
"""Feeds by the mint they price, under mainnet's mints."""


class PythOracle:
    """`ports.exchange.PriceSource` from Pyth's accounts. Errors of the chain itself are passed on.

    Args:
        chain: Where the accounts are read, at `confirmed`.
        clock: Our clock. A price is judged by its publish time against it, so a wrong clock means no prices.
        feeds: What is priced by which feed.
        max_age_s: A price published longer ago than this is no price.
        max_confidence_bps: A price less certain than this share of itself is no price.
    """

    def __init__(
        self,
        chain: ChainReader,
        clock: Clock,
        feeds: Mapping[Mint, PythFeed] = FEEDS,
        *,
        max_age_s: int,
        max_confidence_bps: int,
    ) -> None:
        self._chain = chain
        self._clock = clock
        self._feeds = dict(feeds)
        self._accounts = {mint: feed.account for mint, feed in feeds.items()}
        self._max_age_s = max_age_s
        self._max_confidence_bps = max_confidence_bps

    def prices(self, mints: Sequence[Mint], *, lane: Lane = Lane.MONITORING) -> Mapping[Mint, Price]:  # noqa: ARG002
        """Prices by mint. A mint without a trustworthy price is absent; absent is never zero.

        The lane is of no concern here: our own nodes have no shared request budget.
        """
        return {mint: found for mint, found in self._read(mints).items() if isinstance(found, Price)}

    def price(self, mint: Mint) -> Price:
        """The price of one token.

        Raises:
            PriceUnavailableError: There is none to trust, and why.
        """
        found = self._read([mint])[mint]
        if isinstance(found, PriceUnavailableError):
            raise found
        return found

    def explain(self, mints: Sequence[Mint]) -> Mapping[Mint, str]:
        """Why there is no price, for those of `mints` that have none."""
        return {mint: str(found) for mint, found in self._read(mints).items() if not isinstance(found, Price)}

    def feed_accounts(self, mints: Sequence[Mint]) -> Mapping[Mint, Address]:
        """The accounts to read for these tokens; a token without a feed is absent."""
        return {mint: self._accounts[mint] for mint in mints if mint in self._accounts}

    def judge(
        self, mints: Sequence[Mint], accounts: Mapping[Address, AccountInfo | None]
    ) -> Mapping[Mint, Price | PriceUnavailableError]:
        """Prices out of accounts that somebody else has read (see `feed_accounts`), or why there is none."""
        found: dict[Mint, Price | PriceUnavailableError] = {
            mint: PriceUnavailableError("no Pyth feed prices this token", subject=mint, fix="Use another source")
            for mint in mints
            if mint not in self._feeds
        }
        # One time for all: read after the answer, so that waiting for it counts as age.
        now = self._clock.now()
        for mint, address in self.feed_accounts(mints).items():
            try:
                found[mint] = self._judged(mint, accounts.get(address), now)
            except PriceUnavailableError as reason:
                found[mint] = reason
        return found

    def _read(self, mints: Sequence[Mint]) -> Mapping[Mint, Price | PriceUnavailableError]:
        wanted = list(self.feed_accounts(mints).values())
        found = self._chain.accounts(wanted) if wanted else ()
        return self.judge(mints, dict(zip(wanted, found, strict=True)))

    def _judged(self, mint: Mint, account: AccountInfo | None, now: datetime) -> Price:
        feed = self._feeds[mint]
        raw, confidence, exponent, publish_time, slot = self._fields(mint, feed, account)
        age_s = now.timestamp() - publish_time
        if age_s > self._max_age_s:
            raise _unavailable(mint, feed, f"it is {age_s:.0f} s old, {self._max_age_s} allowed")
        if age_s < -MAX_AHEAD_S:
            raise _unavailable(mint, feed, f"it is from {-age_s:.0f} s in the future", "Set this machine's clock right")
        if raw <= 0:
            raise _unavailable(mint, feed, f"its price is {raw}, not above zero")
        if confidence * 10_000 > raw * self._max_confidence_bps:
            share = confidence * 10_000 // raw
            raise _unavailable(mint, feed, f"its uncertainty is {share} bps of it, {self._max_confidence_bps} allowed")
        if exponent not in _EXPONENTS:
            raise _unavailable(mint, feed, f"its exponent {exponent} makes no sense")
        try:
            return Price(
                mint=mint,
                usd=Decimal(raw).scaleb(exponent),
                source="pyth",
                observed_at=datetime.fromtimestamp(publish_time, UTC),
                slot=slot,
                confidence_usd=Decimal(confidence).scaleb(exponent),
            )
        except InvalidInputError as error:
            raise _unavailable(mint, feed, f"it is out of range: {error.what}") from None

    def _fields(self, mint: Mint, feed: PythFeed, account: AccountInfo | None) -> tuple[int, int, int, int, int]:
        """Raw price, raw confidence, exponent, publish time and posted slot of an account that is what it should be."""
        if account is None:
            raise _unavailable(mint, feed, "its account does not exist on this network")
        if account.owner != RECEIVER_PROGRAM:
            raise _unavailable(mint, feed, f"its account belongs to {account.owner}, not to Pyth's receiver")
        data = account.data
        if data[:8] != _DISCRIMINATOR or len(data) < _LEVEL_AT + 1 + _MESSAGE.size:
            raise _unavailable(mint, feed, "its account holds no PriceUpdateV2")
        if data[_LEVEL_AT] != _FULL:
            raise _unavailable(mint, feed, "too few guardians signed it (verification is not Full)")
        feed_id, raw, confidence, exponent, publish_time, _, _, _, slot = _MESSAGE.unpack_from(data, _LEVEL_AT + 1)
        if feed_id.hex() != feed.feed_id:
            raise _unavailable(mint, feed, f"its account holds feed {feed_id.hex()[:8]}… instead")
        return raw, confidence, exponent, publish_time, slot


def _unavailable(
    mint: Mint, feed: PythFeed, why: str, fix: str = "Wait for the next update, or use another source"
) -> PriceUnavailableError:
    return PriceUnavailableError(f"no Pyth price for {feed.symbol}: {why}", subject=mint, fix=fix, source="pyth")
