"""A sandbox world on a real chain, small and fast, for tests of the market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.chain import Chain, ChainConfig, LandedRecord, Refusal
from sniperforge.sandbox.market import Market, MarketConfig, World, create_world
from sniperforge.sandbox.pools import PoolSpec
from sniperforge.sandbox.scenarios import PricePath
from sniperforge.sandbox.tokens import amount_of, token_account_address

START = 1_790_000_000
"""Unix time of the first step."""


@dataclass(slots=True)
class MarketChain:
    """A chain, its world, and a clock of whole seconds with a few slots in each."""

    chain: Chain
    world: World
    now: int = START
    landed: list[LandedRecord] = field(default_factory=list)

    @classmethod
    def create(cls, path: Path | None = None, seed: int = 1, skip_probability: float = 0) -> MarketChain:
        """Genesis on an empty chain that skips no slots unless told to, in memory unless a file is named."""
        chain = Chain(ChainConfig(skip_probability=skip_probability), path, unix_time=START)
        made = cls(chain, create_world(chain, seed=seed))
        chain.on_landed(made.landed.append)
        return made

    def run(self, market: Market, seconds: int, *, slots_per_second: int = 2) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.now += 1
            for _ in range(slots_per_second):
                market.step(self.now)
                self.chain.tick(self.now)

    def market(self, **config: object) -> Market:
        """A market on this world, stepped once; no crowd unless asked for."""
        market = Market(self.chain, self.world, MarketConfig(**{"crowd_per_second": 0, **config}))  # type: ignore[arg-type]
        market.step(self.now)
        return market

    def balance(self, owner: Pubkey, mint: Pubkey) -> int:
        """Base units in the owner's associated account."""
        account = self.chain.account(token_account_address(owner, self.world.tokens[mint]))
        return 0 if account is None else amount_of(account)

    def blockhash(self) -> Hash:
        """The newest one."""
        return Hash.from_string(self.chain.latest_blockhash("processed")[0])

    def send(
        self, signer: Keypair, *instructions: Instruction, tables: Sequence[AddressLookupTableAccount] = ()
    ) -> LandedRecord | Refusal:
        """Sign and submit."""
        message = MessageV0.try_compile(signer.pubkey(), list(instructions), list(tables), self.blockhash())
        return self.chain.submit(bytes(VersionedTransaction(message, [signer])))

    def off_path_bps(self, market: Market, pool: PoolSpec, path: PricePath, market_ms: int) -> Fraction:
        """How far the pool's mid price is from the path at this market time, in basis points."""
        a, b = self.world.tokens[pool.mint_a], self.world.tokens[pool.mint_b]
        usd_a, usd_b = path.usd(a, market_ms), path.usd(b, market_ms)
        assert usd_a is not None
        assert usd_b is not None
        raw_a, raw_b = market.reserves()[pool.address]
        mid_price = Fraction(raw_b, 10**b.decimals) / Fraction(raw_a, 10**a.decimals)
        return abs(mid_price / (usd_a / usd_b) - 1) * 10_000
