"""Where the market is, kept in an account on the chain, so that it survives exactly what the chain survives."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction

from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.tokens import seeded_keypair

_ALWAYS_MS = -(10**15)
_HISTORY_MS = 86_400_000


@dataclass(slots=True)
class MarketRecord:
    """Position on a price path, and how prices were moved off it by decree.

    Attributes:
        path: Name of the path that is being followed.
        market_ms: Market time since that path began, in milliseconds.
        offsets: By mint, in order of market time: from when on the path's price is multiplied by what. The first
            entry also holds for everything before.
        usd: Prices at that moment, so that another path can go on from them.
    """

    path: str
    market_ms: int = 0
    offsets: dict[Pubkey, list[tuple[int, Fraction]]] = field(default_factory=dict)
    usd: dict[Pubkey, Fraction] = field(default_factory=dict)

    def offset_at(self, mint: Pubkey, market_ms: int) -> Fraction:
        """What the path's price of this token is multiplied by at this market time."""
        entries = self.offsets.get(mint)
        if not entries:
            return Fraction(1)
        return next((offset for since, offset in reversed(entries) if since <= market_ms), entries[0][1])

    def start_from(self, mint: Pubkey, offset: Fraction) -> None:
        """Multiply the whole path of this token."""
        self.offsets[mint] = [(_ALWAYS_MS, offset)]

    def jump(self, mint: Pubkey, offset: Fraction) -> None:
        """Multiply the path of this token from now on."""
        entries = self.offsets.get(mint) or [(_ALWAYS_MS, Fraction(1))]
        recent = [entry for entry in entries if entry[0] > self.market_ms - _HISTORY_MS]
        base = [entry for entry in entries if entry not in recent][-1:]
        self.offsets[mint] = [*base, *recent, (self.market_ms, offset)]

    def to_bytes(self) -> bytes:
        """JSON, so that a person who looks at the account can read it."""
        return json.dumps(
            {
                "path": self.path,
                "market_ms": self.market_ms,
                "offsets": {
                    str(mint): [[since, str(offset)] for since, offset in entries]
                    for mint, entries in self.offsets.items()
                },
                "usd": {str(mint): str(usd) for mint, usd in self.usd.items()},
            },
            separators=(",", ":"),
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> MarketRecord:
        """Read what `to_bytes` wrote."""
        raw = json.loads(data)
        return cls(
            path=raw["path"],
            market_ms=raw["market_ms"],
            offsets={
                Pubkey.from_string(mint): [(since, Fraction(offset)) for since, offset in entries]
                for mint, entries in raw["offsets"].items()
            },
            usd={Pubkey.from_string(mint): Fraction(usd) for mint, usd in raw["usd"].items()},
        )


class RecordAccount:
    """The account that holds the record of one seed's market."""

    def __init__(self, chain: Chain, seed: int) -> None:
        self._chain = chain
        self._address = seeded_keypair(seed, "market-record").pubkey()
        self._owner = seeded_keypair(seed, "market").pubkey()

    def read(self) -> MarketRecord | None:
        """The record, or None in a world whose market has not moved yet."""
        account = self._chain.account(self._address)
        return MarketRecord.from_bytes(account.data) if account is not None and account.data else None

    def write(self, record: MarketRecord) -> None:
        """Write it as part of the current slot."""
        data = record.to_bytes()
        self._chain.set_account(self._address, Account(self._chain.minimum_rent(len(data)), data, self._owner))
