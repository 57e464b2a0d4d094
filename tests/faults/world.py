"""A small world for one fault test: a funded wallet, its books with opening balances, and the services over them.

Everything is the product's own; only the clock runs faster, so that the product's usual patience fits slots of a few
milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from solders.keypair import Keypair

from sniperforge.bootstrap import Services, build
from sniperforge.config import Settings
from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.ports.records import NATIVE_SOL, Asset
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.keystore import SEED_BYTES, Keystore
from sniperforge.shared.tokens import USDC_MINT
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.chain_truth import ChainTruth

TIMES_FASTER = 20
"""The product's two seconds between two sendings last 100 ms, its lease of thirty 1.5 s."""

FUNDS: Mapping[str, str] = {"SOL": "40", "USDC": "9000", "JUP": "9000"}
JUP_MINT = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
SOL_MINT = WSOL_MINT
PASSPHRASE = "correct horse battery staple"
_UNITS = {"SOL": 10**9, "USDC": 10**6, "JUP": 10**6}
_ASSETS = {"SOL": NATIVE_SOL, "USDC": Asset(USDC_MINT), "JUP": Asset(JUP_MINT)}


@dataclass(frozen=True)
class SwiftClock:
    """A wall clock that runs `TIMES_FASTER` since `origin`, and may be wrong by `ahead_s`."""

    origin: datetime
    ahead_s: float = 0.0

    def now(self) -> datetime:
        """Wall clock of this world."""
        real = SystemClock().now()
        return self.origin + (real - self.origin) * TIMES_FASTER + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        """Real seconds: time-outs of real connections are measured by it."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Seconds of this world pass sooner."""
        time.sleep(seconds / TIMES_FASTER)


@dataclass(frozen=True, kw_only=True)
class World:
    """Where everything of one test is; goes to workers as it is.

    Attributes:
        settings: Changes of the settings, as `Settings` takes them.
    """

    home: Path
    wallet: Address
    rpc_urls: tuple[str, ...]
    jupiter_url: str
    origin: datetime
    database_url: str | None = None
    settings: Mapping[str, object] | None = None

    def using(self, *rpc_urls: str, **settings: object) -> World:
        """The same world seen through other nodes and settings."""
        return replace(self, rpc_urls=rpc_urls or self.rpc_urls, settings={**(self.settings or {}), **settings} or None)

    def services(self, *, ahead_s: float = 0.0) -> Services:
        """The product's services over this world."""
        services = build(Settings.model_validate(self._values()))
        services.clock = SwiftClock(self.origin, ahead_s)
        return services

    def environment(self) -> dict[str, str]:
        """The same settings for a program, as an operator gives them."""
        return {
            f"SNIPERFORGE_{name.upper()}": _as_typed(value)
            for name, value in self._values().items()
            if value is not None
        }

    def _values(self) -> dict[str, object]:
        return {
            "home": self.home,
            "rpc_urls": self.rpc_urls,
            "jupiter_url": self.jupiter_url,
            "jupiter_plan": "pro",
            "wallet_passphrase_file": self.home / "passphrase",
            "database_url": SecretStr(self.database_url) if self.database_url else None,
            "oracle_max_age_s": 10**9,
            "rpc_timeout_s": 2.0,
            "jupiter_timeout_s": 2.0,
            "jupiter_execute_timeout_s": 2.0,
            **(self.settings or {}),
        }

    @contextmanager
    def opened(self) -> Iterator[Services]:
        """The services for a while, every connection closed afterwards."""
        services = self.services()
        try:
            yield services
        finally:
            close(services)

    @property
    def reports(self) -> Path:
        """Where workers write what they do."""
        return self.home / "reports"


def new_world(
    sandbox: RunningSandbox,
    home: Path,
    *,
    database_url: str | None = None,
    funds: Mapping[str, str] = FUNDS,
    key: Keypair | None = None,
) -> World:
    """A new wallet (of this key, or of any) with `funds`, finalized, and books that open with them."""
    key = key or Keypair()
    wallet = Address(str(key.pubkey()))
    for symbol, amount in funds.items():
        if symbol == "SOL":
            sandbox.fund(key.pubkey(), sol=amount)
        else:
            sandbox.fund(key.pubkey(), token=symbol, amount=amount)
    home.mkdir(parents=True, exist_ok=True)
    (home / "reports").mkdir()
    passphrase = home / "passphrase"
    passphrase.write_text(PASSPHRASE)
    passphrase.chmod(0o600)
    Keystore(home / "keys", scrypt_n=2).write("main", wallet, bytes(key)[:SEED_BYTES], PASSPHRASE)
    world = World(
        home=home,
        wallet=wallet,
        rpc_urls=(sandbox.endpoints.rpc_url,),
        jupiter_url=sandbox.endpoints.jupiter_url,
        origin=SystemClock().now(),
        database_url=database_url,
    )
    _open_books(world, {_ASSETS[name]: _raw(name, amount) for name, amount in funds.items()})
    return world


def _as_typed(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _raw(symbol: str, amount: str) -> int:
    return int(amount) * _UNITS[symbol]


def _open_books(world: World, expected: Mapping[Asset, int]) -> None:
    with ChainTruth(world.rpc_urls[0]) as truth:
        while truth.balances(world.wallet) != expected:
            time.sleep(0.02)
    with world.opened() as services:
        services.reconciler.adopt("main", world.wallet)


def close(services: Services) -> None:
    """Close every connection that was opened."""
    services.engine.dispose()
    for name in ("chain", "exchange", "queue", "budget"):
        if name in vars(services):
            vars(services)[name].close()
