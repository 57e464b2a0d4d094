"""The sandbox's market: tokens, pools, a price path, and other people who trade.

`World` is what genesis creates and everything else reads: mints, pools, lookup tables, the demo wallet.
`Market` moves prices along a seeded path, re-pegs pools to it by writing vaults, keeps Pyth accounts fresh,
and lands other people's swaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.pools import PoolSpec, Reserves, TransferFee


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """A token of the sandbox, with everything `/tokens/v2` tells about it."""

    mint: Pubkey
    symbol: str
    name: str
    decimals: int
    token_program: Pubkey
    verified: bool
    freeze_authority: Pubkey | None
    transfer_fee: TransferFee | None
    is_sus: bool
    start_usd: Fraction
    has_price: bool
    pyth_account: Pubkey | None


@dataclass(frozen=True, slots=True)
class World:
    """What exists from the first slot on. The same seed makes the same world."""

    tokens: Mapping[Pubkey, TokenSpec]
    pools: tuple[PoolSpec, ...]
    lookup_tables: Mapping[Pubkey, tuple[Pubkey, ...]]
    demo_wallet: Keypair
    maker_wallet: Keypair
    gas_sponsor: Keypair
    crowd: tuple[Keypair, ...]


def create_world(chain: Chain, *, seed: int) -> World:
    """Write genesis into an empty chain: programs, mints, pools, tables, Pyth accounts, funded wallets."""
    raise NotImplementedError


def load_world(chain: Chain, *, seed: int) -> World:
    """The same world from a chain that was loaded from its file."""
    raise NotImplementedError


class Market:
    """Prices that move."""

    def step(self, chain_unix_time: int) -> None:
        """Once per slot: move the path, re-peg pools, refresh Pyth accounts, let the crowd trade."""
        raise NotImplementedError

    def usd(self, mint: Pubkey) -> Fraction | None:
        """Fair price of one whole token in dollars, None when the market has none."""
        raise NotImplementedError

    def change_24h_pct(self, mint: Pubkey) -> Fraction | None:
        """Change over the last 24 market hours in percent, None when there is no such history."""
        raise NotImplementedError

    def reserves(self) -> Reserves:
        """Vault amounts now, by pool."""
        raise NotImplementedError

    def set_price(self, mint: Pubkey, usd: Fraction) -> None:
        """A jump by decree; the path goes on from there."""
        raise NotImplementedError
