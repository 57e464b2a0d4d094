"""Pyth price accounts as they lie on mainnet: same addresses, same owner, same bytes.

Layout (`PriceUpdateV2`, little-endian, Borsh after the 8-byte Anchor discriminator), from pyth-network/pyth-crosschain:
`target_chains/solana/pyth_solana_receiver_sdk/src/price_update.rs` and `pythnet/pythnet_sdk/src/messages.rs`:

```
  0   8  discriminator = sha256("account:PriceUpdateV2")[:8] = 22 f1 23 63 9d 7e f4 cd
  8  32  write_authority
 40   1  verification_level: 0 = Partial { num_signatures: u8 } (one more byte follows), 1 = Full
 41  32  price_message.feed_id
 73   8  price i64          81  8  conf u64         89  4  exponent i32
 93   8  publish_time i64  101  8  prev_publish_time i64
109   8  ema_price i64     117  8  ema_conf u64
125   8  posted_slot u64
```

The account is allocated for the longer `Partial` form (`PriceUpdateV2::LEN` = 134), so a `Full` one ends
with a zero byte.
Price feed accounts are program-derived: seeds `shard_id` (u16, little-endian) and the feed id, program pythWSns...
(`target_chains/solana/programs/pyth-push-oracle/src/lib.rs`); the account is its own write authority and belongs to the
receiver rec5EKMG.... Shard 0 is the one that is kept fresh on mainnet. A price is `price * 10^exponent` dollars.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b

from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.tokens import BONK, JUP, SOL, USDC

RECEIVER_PROGRAM = Pubkey.from_string("rec5EKMGg6MxZYaMdyBfgwp4d5rB9T1VQH5pJv5LtFJ")
PUSH_ORACLE_PROGRAM = Pubkey.from_string("pythWSnswVUd12oZpeFP8e9CVaEqJg25g1Vtc2biRsT")
DISCRIMINATOR = bytes.fromhex("22f123639d7ef4cd")
ACCOUNT_BYTES = 134

_LAYOUT = struct.Struct("<8s32sB32sqQiqqqQQx")
_VERIFICATION_FULL = 1
_EMA_SECONDS = 3_600
_NOISE_BPS = 2
_CONFIDENCE_BPS = (5, 8)


@dataclass(frozen=True, slots=True)
class PythFeed:
    """One price feed: Pyth's id of it and the exponent it publishes with."""

    feed_id: bytes
    exponent: int

    @property
    def account(self) -> Pubkey:
        """Address of its price feed account, shard 0."""
        address, _bump = Pubkey.find_program_address([(0).to_bytes(2, "little"), self.feed_id], PUSH_ORACLE_PROGRAM)
        return address


FEEDS: Mapping[Pubkey, PythFeed] = {
    SOL: PythFeed(bytes.fromhex("ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d"), -8),
    USDC: PythFeed(bytes.fromhex("eaa020c61cc479712813461ce153894a96a6c00b21ed0cfc2798d1f9a9e9c94a"), -8),
    JUP: PythFeed(bytes.fromhex("0a0408d619e9380abad35060f9192039ed5042fa6f82301d0e48bb52be830996"), -8),
    BONK: PythFeed(bytes.fromhex("72b021217ca3fe68922a19aaf990109cb9d84e9ad004b4d2025ad6f529314419"), -10),
}
"""Feed ids of SOL/USD, USDC/USD, JUP/USD and BONK/USD (docs.pyth.network, price feed ids)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUpdate:
    """What a price account says. Prices and confidences count `10^exponent` dollars, times Unix seconds."""

    feed_id: bytes
    price: int
    confidence: int
    exponent: int
    publish_time: int
    previous_publish_time: int
    ema_price: int
    ema_confidence: int
    posted_slot: int

    def to_bytes(self, write_authority: Pubkey) -> bytes:
        """The account's data, fully verified."""
        return _LAYOUT.pack(
            DISCRIMINATOR,
            bytes(write_authority),
            _VERIFICATION_FULL,
            self.feed_id,
            self.price,
            self.confidence,
            self.exponent,
            self.publish_time,
            self.previous_publish_time,
            self.ema_price,
            self.ema_confidence,
            self.posted_slot,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> PriceUpdate:
        """Read back what `to_bytes` wrote.

        Raises:
            struct.error: The data has another length.
        """
        _tag, _authority, _level, *fields = _LAYOUT.unpack(data)
        names = (
            "feed_id", "price", "confidence", "exponent", "publish_time",
            "previous_publish_time", "ema_price", "ema_confidence", "posted_slot",
        )  # fmt: skip
        return cls(**dict(zip(names, fields, strict=True)))


class PythAccounts:
    """Publishes a price for every feed, a little off the market and honest about how much."""

    def __init__(self, chain: Chain, seed: int) -> None:
        self._chain = chain
        self._seed = seed
        self._addresses = {mint: feed.account for mint, feed in FEEDS.items()}
        self._last: dict[Pubkey, PriceUpdate] = {}
        for mint, address in self._addresses.items():
            account = chain.account(address)
            if account is not None and account.data:
                self._last[mint] = PriceUpdate.from_bytes(account.data)

    def publish(self, prices: Mapping[Pubkey, Fraction], unix_time: int) -> None:
        """Write every feed's account; `prices` are dollars per whole token."""
        for mint, feed in FEEDS.items():
            last = self._last.get(mint)
            if last is not None and unix_time <= last.publish_time:
                continue  # updates are monotonic, as the push oracle demands
            update = self._next(feed, last, prices[mint], unix_time)
            address = self._addresses[mint]
            rent = self._chain.minimum_rent(ACCOUNT_BYTES)
            self._chain.set_account(address, Account(rent, update.to_bytes(address), RECEIVER_PROGRAM))
            self._last[mint] = update

    def _next(self, feed: PythFeed, last: PriceUpdate | None, usd: Fraction, unix_time: int) -> PriceUpdate:
        draw = blake2b(f"{self._seed}:{feed.feed_id.hex()}:{unix_time}".encode(), digest_size=8).digest()
        noise_millibps = int.from_bytes(draw[:4], "little") % (2_000 * _NOISE_BPS + 1) - 1_000 * _NOISE_BPS
        exact = usd / Fraction(10) ** feed.exponent
        price = max(1, round(exact * (10_000_000 + noise_millibps) / 10_000_000))
        low, high = _CONFIDENCE_BPS
        confidence_bps = low + int.from_bytes(draw[4:], "little") % (high - low + 1)
        confidence = max(1, price * confidence_bps // 10_000)
        if last is None:
            previous_time, ema_price, ema_confidence = unix_time - 1, price, confidence
        else:
            previous_time = last.publish_time
            weight = min(unix_time - last.publish_time, _EMA_SECONDS)
            ema_price = last.ema_price + (price - last.ema_price) * weight // _EMA_SECONDS
            ema_confidence = last.ema_confidence + (confidence - last.ema_confidence) * weight // _EMA_SECONDS
        return PriceUpdate(
            feed_id=feed.feed_id,
            price=price,
            confidence=confidence,
            exponent=feed.exponent,
            publish_time=unix_time,
            previous_publish_time=previous_time,
            ema_price=ema_price,
            ema_confidence=ema_confidence,
            posted_slot=self._chain.head_slot(),
        )
