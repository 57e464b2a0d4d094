"""The sandbox's market: a price path, pools that are pulled to it, and other people who trade.

Prices follow a path (`scenarios`). Once a second of chain time the market moves every pool to the path: the path's own
move at once, what trades pushed away from it fading with a half-life of about two seconds (a stand-in for
arbitrage, done by writing both vaults to the pool's depth, so depth never drains), publishes Pyth prices, and notes
its position on the chain, where a restart finds it: the market stands still while the sandbox is off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from pathlib import Path

from solders.pubkey import Pubkey

from sniperforge.errors import ConfigError, InvalidInputError
from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.crowd import Crowd
from sniperforge.sandbox.genesis import (
    LARGEST_RESERVE_RAW,
    LEAST_RESERVE_RAW,
    World,
    create_world,
    load_world,
    target_reserves,
)
from sniperforge.sandbox.house_wallets import HouseWallets
from sniperforge.sandbox.market_record import MarketRecord, RecordAccount
from sniperforge.sandbox.pools import PoolSpec, Reserves
from sniperforge.sandbox.price_file import read_price_file
from sniperforge.sandbox.pyth_accounts import PythAccounts
from sniperforge.sandbox.scenarios import DAY_MS, FilePath, PricePath, ScenarioName, ScenarioPath
from sniperforge.sandbox.tokens import TokenSpec, amount_of, write_amount

__all__ = ["Market", "MarketConfig", "TokenSpec", "World", "create_world", "load_world"]

_UNITS = 10**12
_IMPACT_KEPT_PERCENT = 70  # of what trades moved a pool off the path, after each second
_IMPACT_GONE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketConfig:
    """How the market moves.

    Attributes:
        seed: Same seed, same path, same crowd.
        scenario: Shape of the path, unless a file is given.
        prices_csv: File of SOL prices to follow instead; the last close is held when it ends.
        bridge_gaps: Accept missing bars in the file and draw a straight line over them.
        speed: Market seconds per second of chain time.
        crowd_per_second: Other people's transactions per second of chain time, 0 for none. While slots are faster
            than that, there is still one in every ten slots, so that blocks are never long empty.
    """

    seed: int = 1
    scenario: ScenarioName = "calm"
    prices_csv: Path | None = None
    bridge_gaps: bool = False
    speed: float = 1.0
    crowd_per_second: float = 2.0

    def path(self) -> PricePath:
        """The price path this asks for.

        Raises:
            ConfigError: Speed or crowd make no sense, or the file cannot be used; all problems at once.
        """
        problems = []
        if not (math.isfinite(self.speed) and self.speed > 0):
            problems.append(f"speed {self.speed} is not above zero")
        if not (math.isfinite(self.crowd_per_second) and self.crowd_per_second >= 0):
            problems.append(f"crowd_per_second {self.crowd_per_second} is below zero")
        if problems:
            raise ConfigError(
                "; ".join(problems), subject="market", fix="Give finite numbers", problems=tuple(problems)
            )
        if self.prices_csv is None:
            return ScenarioPath(self.scenario, self.seed)
        return FilePath(read_price_file(self.prices_csv, bridge_gaps=self.bridge_gaps), self.seed)


class Market:
    """Prices that move.

    Args:
        chain: The chain whose accounts it writes.
        world: What genesis made on that chain.
        config: How to move.

    Raises:
        ConfigError: The configuration cannot be used.
    """

    def __init__(self, chain: Chain, world: World, config: MarketConfig) -> None:
        self._chain = chain
        self._world = world
        self.speed = Fraction(config.speed)
        """Market seconds per second of chain time, now."""
        self._path = config.path()
        self._seed = config.seed
        self._account = RecordAccount(chain, config.seed)
        left_off = self._account.read()
        start_usd = {mint: token.start_usd for mint, token in world.tokens.items()}
        self._pegged: Mapping[Pubkey, Fraction] = left_off.usd if left_off is not None else start_usd
        self._record = self._take_up(left_off)
        self._prices = self._prices_now()
        self._unix: int | None = None
        self._last_moved_s = 0
        self._pyth = PythAccounts(chain, config.seed)
        self._house = HouseWallets(chain, world)
        self._crowd = Crowd(chain, world, seed=config.seed, per_second=config.crowd_per_second)
        self._vaults = {str(vault): pool for pool in world.pools for vault in (pool.vault_a, pool.vault_b)}
        self._reserves: dict[Pubkey, tuple[int, int]] = {}
        self._forget = chain.on_account(self._account_written)

    def step(self, chain_unix_time: int) -> None:
        """Once per slot: let the crowd trade and, once a second, move the path, pools and Pyth accounts.

        A clock that goes back moves nothing until it has caught up. After a long time without slots (paused, a laptop
        that slept) prices go on about where they were: the market moves only while its chain does.
        """
        if self._unix is None:
            self._unix = chain_unix_time
            self._move(seconds=0)
        elapsed = max(chain_unix_time - self._unix, 0)
        moved = min(elapsed, 2 * self._last_moved_s + 2)  # slower slots are followed, pauses are not
        if elapsed:
            self._unix = chain_unix_time
            self._last_moved_s = moved
            self._record.market_ms += int(moved * 1_000 * self.speed)
            self._move(seconds=elapsed)
        self._crowd.step(self.reserves, elapsed_s=moved)

    def usd(self, mint: Pubkey) -> Fraction | None:
        """Fair price of one whole token in dollars, None when the market has none."""
        token = self._world.tokens.get(mint)
        return self._prices[mint] if token is not None and token.has_price else None

    def change_24h_pct(self, mint: Pubkey) -> Fraction | None:
        """Change over the last 24 market hours in percent, None when there is no such history."""
        now_usd = self.usd(mint)
        if now_usd is None:
            return None
        before_ms = self._record.market_ms - DAY_MS
        path_usd = self._path.usd(self._world.tokens[mint], before_ms)
        if path_usd is None:
            return None
        before_usd = path_usd * self._record.offset_at(mint, before_ms)
        return (now_usd / before_usd - 1) * 100

    def reserves(self) -> Reserves:
        """Vault amounts now, by pool."""
        for pool in self._world.pools:
            if pool.address not in self._reserves:
                self._reserves[pool.address] = (self._amount(pool.vault_a), self._amount(pool.vault_b))
        return dict(self._reserves)

    def set_price(self, mint: Pubkey, usd: Fraction) -> None:
        """A jump by decree, pools and all; the path goes on from there.

        Raises:
            InvalidInputError: No such token, or a price its pools cannot express.
        """
        token = self._world.tokens.get(mint)
        if token is None:
            raise InvalidInputError("no such token here", subject=str(mint), fix="Name a mint of the sandbox")
        if usd <= 0 or not self._can_express({**self._prices, mint: usd}):
            raise InvalidInputError(
                f"the pools cannot express {float(usd):g} USD for {token.symbol}",
                subject="sandbox-price",
                fix=f"Stay within a factor of 1000 of {float(token.start_usd):g} USD",
            )
        path_usd = self._path.usd(token, self._record.market_ms)
        if path_usd is None:
            raise InvalidInputError("the price path has no price now", subject=token.symbol, fix="Let it start first")
        self._record.jump(mint, usd / path_usd)
        self._move(seconds=0)

    def set_speed(self, speed: Fraction) -> None:
        """Let the market run at this many market seconds per second from now on; its path goes on from where it is.

        Raises:
            InvalidInputError: The speed is not above zero.
        """
        if speed <= 0:
            raise InvalidInputError(
                f"speed {float(speed):g} is not above zero", subject="market", fix="To hold it, pause the sandbox"
            )
        self.speed = speed

    def follow(self, scenario: ScenarioName) -> None:
        """Let this scenario begin now, from the present prices, whatever was followed before.

        A restart knows only the scenario that it is told: it goes on from the prices, with that one.
        """
        self._path = ScenarioPath(scenario, self._seed)
        self._record = self._begun_from(self._prices)
        self._move(seconds=0)

    def close(self) -> None:
        """Stop listening to the chain."""
        self._forget()

    # ---- position
    def _take_up(self, record: MarketRecord | None) -> MarketRecord:
        """Go on where the market was; another scenario begins now, from the prices the last one left."""
        if record is None:
            return MarketRecord(path=self._path.name)
        return record if record.path == self._path.name else self._begun_from(record.usd)

    def _begun_from(self, prices: Mapping[Pubkey, Fraction]) -> MarketRecord:
        """The path's beginning, a scenario's at these prices; a file has its own."""
        fresh = MarketRecord(path=self._path.name)
        if isinstance(self._path, ScenarioPath):
            for mint, usd in prices.items():
                fresh.start_from(mint, usd / self._path.usd(self._world.tokens[mint], 0))
        return fresh

    def _prices_now(self) -> dict[Pubkey, Fraction]:
        record = self._record
        return {
            mint: path_usd * record.offset_at(mint, record.market_ms)
            for mint, token in self._world.tokens.items()
            if (path_usd := self._path.usd(token, record.market_ms)) is not None
        }

    def _can_express(self, prices: Mapping[Pubkey, Fraction]) -> bool:
        return all(
            LEAST_RESERVE_RAW < amount < LARGEST_RESERVE_RAW
            for pool in self._world.pools
            for amount in target_reserves(self._world, pool, prices)
        )

    # ---- moving
    def _move(self, *, seconds: int) -> None:
        self._prices = self._prices_now()
        reserves = self.reserves()
        for pool in self._world.pools:
            self._repeg(pool, reserves[pool.address], seconds)
        self._pegged = self._prices
        self._house.refill()
        if self._unix is not None:
            self._pyth.publish(self._prices, self._unix)
        self._record.usd = self._prices
        self._account.write(self._record)

    def _repeg(self, pool: PoolSpec, now: tuple[int, int], seconds: int) -> None:
        """Put a pool at the path's price, save for what is left of the impact of trades."""
        was_a, was_b = target_reserves(self._world, pool, self._pegged)
        to_a, to_b = target_reserves(self._world, pool, self._prices)
        if not seconds and (was_a, was_b) == (to_a, to_b):
            return
        impact = now[1] * was_a * _UNITS // (now[0] * was_b)
        left = _UNITS + _faded(impact - _UNITS, seconds)
        self._set_vault(pool.vault_a, pool.mint_a, now[0], isqrt(to_a * to_a * _UNITS // left))
        self._set_vault(pool.vault_b, pool.mint_b, now[1], isqrt(to_b * to_b * left // _UNITS))

    def _set_vault(self, vault: Pubkey, mint: Pubkey, now_raw: int, raw: int) -> None:
        account = self._chain.account(vault)
        if account is not None and raw != now_raw:
            write_amount(self._chain, vault, account, self._world.tokens[mint], raw)

    # ---- vaults
    def _amount(self, vault: Pubkey) -> int:
        account = self._chain.account(vault)
        if account is None:
            raise ConfigError(
                "a pool's vault is missing", subject=str(vault), fix="Remove the sandbox's state directory"
            )
        return amount_of(account)

    def _account_written(self, address: str) -> None:
        pool = self._vaults.get(address)
        if pool is not None:
            self._reserves.pop(pool.address, None)


def _faded(impact: int, seconds: int) -> int:
    """What is left of a pool's distance from the path after this many seconds."""
    if seconds >= _IMPACT_GONE_S:
        return 0
    return int(Fraction(impact * _IMPACT_KEPT_PERCENT**seconds, 100**seconds))
