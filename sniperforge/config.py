"""Settings: `SNIPERFORGE_*` in the environment, `sniperforge.toml` in the home, a running stack, then defaults.

A running `sniperforge up` writes down its own addresses in `run/stack.toml` in the home, so that commands find it.
Everything SniperForge writes lies under one home; two homes are two systems that share nothing.
Problems are reported all at once, each with its place and, for a misspelt name, the nearest right one.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sniperforge.errors import ConfigError

ENV_PREFIX = "SNIPERFORGE_"
CONFIG_NAME = "sniperforge.toml"
STACK_NAME = "run/stack.toml"
"""Written by `sniperforge up` and removed when it stops: where its Redis, nodes and Jupiter answer."""

Network = Literal["sandbox", "devnet", "mainnet"]
Mode = Literal["live", "paper"]
JupiterPlan = Literal["keyless", "free", "developer", "launch", "pro"]


BUSY_ADDRESS = "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4"
"""Jupiter's aggregator is named by transactions of nearly every block: a source of controls for proofs of death."""


CASH_MINTS = ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
"""USDC and USDT."""


class NetworkDefaults(BaseModel):
    """Addresses of a network when the settings name none."""

    model_config = ConfigDict(frozen=True)

    rpc_urls: tuple[str, ...]
    jupiter_url: str | None
    genesis_hash: str | None
    """What `getGenesisHash` must answer, where it is fixed; None where every start makes a new chain."""


NETWORKS: Mapping[Network, NetworkDefaults] = {
    "sandbox": NetworkDefaults(
        rpc_urls=("http://127.0.0.1:8899",), jupiter_url="http://127.0.0.1:8901", genesis_hash=None
    ),
    "devnet": NetworkDefaults(
        rpc_urls=("https://api.devnet.solana.com",),
        jupiter_url=None,
        genesis_hash="EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG",
    ),
    "mainnet": NetworkDefaults(
        rpc_urls=("https://api.mainnet-beta.solana.com",),
        jupiter_url="https://api.jup.ag",
        genesis_hash="5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d",
    ),
}


def default_home() -> Path:
    """The platform's data directory for SniperForge."""
    return Path(platformdirs.user_data_path("sniperforge", appauthor=False))


_READ_FROM_FILES = ("jupiter_api_key", "redis_url", "database_url")
"""Secrets that are read when the settings are: whoever has settings has them, wherever they came from."""

_READ_LATER = ("wallet_passphrase", "flower_password")
"""Secrets whose files are read where they are needed, and nowhere else."""

_CONTRADICTIONS = "contradictions"


class Settings(BaseModel):
    """Every setting of SniperForge, free of `contradictions`. Frozen; secrets do not print themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    home: Path = Field(
        default_factory=default_home,
        description="Folder that holds everything SniperForge writes. Two homes are two systems. "
        "Environment only: the file lies inside it.",
    )
    network: Network = Field("sandbox", description="Which Solana network: `sandbox`, `devnet` or `mainnet`.")
    mainnet_opt_in: bool = Field(
        default=False, description="Must be true before anything is asked of mainnet. Real money starts here."
    )
    mode: Mode = Field(
        "live",
        description="`live`, or `paper`: live quotes, nothing is signed or sent, and books of their own.",
    )
    rpc_urls: tuple[str, ...] = Field(
        (),
        description="Solana JSON-RPC addresses, comma-separated, most trusted first. Default: the network's own.",
    )
    rpc_timeout_s: float = Field(10.0, gt=0, le=120, description="Longest wait for one RPC answer, in seconds.")
    rpc_max_slots_behind: int = Field(
        50,
        ge=0,
        description="A node this many slots behind the best one is not asked while another is healthy.",
    )
    jupiter_url: str | None = Field(None, description="Jupiter API address. Default: the network's own.")
    # A file stands before the value that is read from it: fields are validated in this order.
    jupiter_api_key_file: Path | None = Field(
        None, description="File whose first line is that key; readable by its owner only."
    )
    jupiter_api_key: SecretStr | None = Field(None, description="Jupiter API key. Secret; prefer the file.")
    jupiter_plan: JupiterPlan = Field(
        "keyless",
        description="Plan of that key, which sets the request budget: `keyless`, `free`, ... `pro`.",
    )
    jupiter_timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for a quote or price, in seconds.")
    jupiter_execute_timeout_s: float = Field(30.0, gt=0, le=120, description="Longest wait for `/execute`, in seconds.")
    organisation: str = Field(
        "default",
        pattern=r"^[A-Za-z0-9_-]{1,40}$",
        description="Whose Jupiter budget is used; every process with the same name shares one window.",
    )
    redis_url_file: Path | None = Field(
        None, description="File whose first line is `redis_url`, password included; readable by its owner only."
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Redis of the queues and of the shared request budget. `sniperforge up` brings its own. "
        "Without it the budget holds for one process only. May contain a password, so secret.",
    )
    database_url_file: Path | None = Field(
        None, description="File whose first line is `database_url`, password included; readable by its owner only."
    )
    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy address of the books. Default: `books.db` (SQLite) in the home. Secret."
    )
    wallet: str | None = Field(None, description="Wallet used when a command names none. Default: the only one.")
    wallet_passphrase: SecretStr | None = Field(
        None, description="Passphrase of the wallets, for unattended start. Secret; prefer the file."
    )
    wallet_passphrase_file: Path | None = Field(
        None, description="File whose first line is the passphrase; readable by its owner only."
    )
    allow_tokens: tuple[str, ...] = Field(
        (),
        description="Mints that may be traded in spite of a warning (unverified, freezable, transfer fee...).",
    )
    oracle_max_age_s: int = Field(60, gt=0, description="An on-chain price older than this is no price, in seconds.")
    oracle_max_confidence_bps: int = Field(
        100,
        gt=0,
        le=10_000,
        description="An on-chain price less certain than this share of itself is no price.",
    )
    entry_slippage_bps: int = Field(
        100,
        ge=1,
        le=5_000,
        description="How much worse than the independent price an entry may be at most, costs included.",
    )
    exit_slippage_bps: int = Field(
        300, ge=1, le=10_000, description="The same for an exit, which must get out but not be robbed."
    )
    widest_exit_slippage_bps: int = Field(
        1_000,
        ge=1,
        le=10_000,
        description="How wide that cap may become where an order says so: stops widen it after trades that failed. "
        "Never tighter than exit_slippage_bps.",
    )
    single_source_slippage_bps: int = Field(
        50,
        ge=1,
        le=5_000,
        description="The tighter cap for entries in tokens that only Jupiter prices, since nothing checks it there.",
    )
    price_divergence_bps: int = Field(
        100,
        ge=1,
        le=5_000,
        description="Beyond this distance of Jupiter's price from the oracle's, entries are denied.",
    )
    price_jump_bps: int = Field(
        2_000,
        ge=1,
        le=10_000,
        description="A price this far from the last one seen is no price until it is seen again.",
    )
    price_max_slots_behind: int = Field(
        600, ge=1, description="A Jupiter price from this many slots ago is stale (600 slots are two minutes)."
    )
    max_network_fee_lamports: int = Field(
        1_000_000, ge=5_000, description="Most that base and priority fee of one transaction may cost together."
    )
    max_tip_lamports: int = Field(1_000_000, ge=0, description="Most that one transaction may tip.")
    max_attempts: int = Field(5, ge=1, le=50, description="How many transactions one trade may sign before it fails.")
    trade_deadline_s: int = Field(300, ge=10, description="How long after the decision a trade may still be signed.")
    max_spend_per_trade_usd: int | None = Field(
        None,
        ge=1,
        description="Most that one entry may spend, in dollars. Needed on mainnet; exits are never held back.",
    )
    max_spend_per_day_usd: int | None = Field(
        None, ge=1, description="Most that all entries of 24 hours may spend together, in dollars. Needed on mainnet."
    )
    max_loss_per_day_usd: int | None = Field(
        None,
        ge=1,
        description="Entries stop when exits and fees since `risk_day_starts_at` lost so much, in dollars.",
    )
    max_fees_per_day_usd: Decimal | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Entries stop when fees, tips and rent since `risk_day_starts_at` come to so much, in dollars.",
    )
    risk_day_starts_at: str = Field(
        "00:00",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        description="Time of day (UTC) at which losses and fees of a day are counted anew.",
    )
    max_drawdown_usd: int | None = Field(
        None,
        ge=1,
        description="Entries stop when results fell so far from their highest point, in dollars.",
    )
    risk_drawdown_days: int = Field(
        30, ge=1, le=366, description="How many days back that highest point is looked for."
    )
    max_exposure_per_token_usd: int | None = Field(
        None,
        ge=1,
        description="Most that may be held of one token, at cost, this entry and those under way included, in dollars.",
    )
    max_exposure_usd: int | None = Field(None, ge=1, description="The same of all tokens together, in dollars.")
    risk_cash_tokens: tuple[str, ...] = Field(
        CASH_MINTS, description="Mints that are money: holding them is no exposure. Default: USDC and USDT."
    )
    risk_pause_after_stops: int | None = Field(
        None, ge=1, description="So many stops filled within `risk_window_s` pause entries for `risk_pause_s`."
    )
    risk_pause_after_failures: int | None = Field(
        None, ge=1, description="So many entries that fail in a row pause entries for `risk_pause_s`."
    )
    risk_pause_after_divergences: int | None = Field(
        None,
        ge=1,
        description="So many trades set back by contradicting prices within `risk_window_s` pause entries, too.",
    )
    risk_window_s: int = Field(3_600, ge=1, description="Within which stops and divergences are counted, in seconds.")
    risk_pause_s: int = Field(3_600, ge=1, description="How long entries pause after the last of them, in seconds.")
    risk_token_cooldown_s: int | None = Field(
        None, ge=1, description="For so long after an exit from a token it is not bought again, in seconds."
    )
    lease_s: int = Field(30, ge=1, description="How long one worker has a trade to itself before another may look.")
    large_trade_usd: int = Field(
        10_000, ge=0, description="From this value on a second node must agree before a transaction is called dead."
    )
    trade_workers: int = Field(
        2, ge=1, le=16, description="How many processes that carry trades `up` starts: one per core of the machine."
    )
    trade_threads: int = Field(24, ge=1, le=64, description="How many trades one worker process carries at once.")
    worker_memory_mb: int = Field(
        400, ge=150, description="A worker that uses more drains, ends, and is started again, in MB."
    )
    redis_port: int = Field(0, ge=0, le=65_535, description="Port of the Redis that `up` brings; 0 takes a free one.")
    flower_port: int = Field(
        0, ge=0, le=65_535, description="Port of Flower; 0 takes 5555, or a free one where that is taken."
    )
    flower_password: SecretStr | None = Field(
        None, description="Password of Flower's user `operator`. Default: made at the first start. Secret."
    )
    flower_password_file: Path | None = Field(
        None, description="File whose first line is that password; readable by its owner only."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe event logged.")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto",
        description="What standard error gets: readable on a terminal, JSON lines elsewhere, with `auto`.",
    )

    @field_validator("rpc_urls", "allow_tokens", "risk_cash_tokens", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("rpc_urls", "jupiter_url")
    @classmethod
    def _http(cls, value: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        for url in (value,) if isinstance(value, str) else value or ():
            if not url.startswith(("http://", "https://")):
                message = "an address starts with http:// or https://"
                raise ValueError(message)
        return value

    @field_validator(*(f"{name}_file" for name in _READ_FROM_FILES))
    @classmethod
    def _usable_file(cls, value: Path | None) -> Path | None:
        if value is not None:
            _first_line(value)
        return value

    @field_validator(*_READ_FROM_FILES)
    @classmethod
    def _from_file(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        path: Path | None = info.data.get(f"{info.field_name}_file")
        if path is None:
            return value
        if value is not None:
            message = f"{info.field_name}_file is set, too: keep one"
            raise ValueError(message)
        return SecretStr(_first_line(path))

    @field_validator(*_READ_LATER)
    @classmethod
    def _not_empty(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value():
            message = "it is set and empty: give it a value, or leave it out"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        found = tuple(contradictions(self))
        if found:
            told = "; ".join(f"{one.setting}: {one.text}" for one in found)
            raise PydanticCustomError(_CONTRADICTIONS, "{told}", {"told": told, "found": found})
        return self

    @property
    def defaults(self) -> NetworkDefaults:
        """Fixed facts of the chosen network."""
        return NETWORKS[self.network]

    @property
    def effective_rpc_urls(self) -> tuple[str, ...]:
        """The RPC addresses in force."""
        return self.rpc_urls or self.defaults.rpc_urls

    @property
    def effective_jupiter_url(self) -> str | None:
        """The Jupiter address in force; None on a network that has no Jupiter."""
        return self.jupiter_url or self.defaults.jupiter_url

    @property
    def effective_database_url(self) -> str:
        """The address of the books in force."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home / ('paper.db' if self.mode == 'paper' else 'books.db')}"

    @property
    def keystore_dir(self) -> Path:
        """Where encrypted keys lie."""
        return self.home / "keys"

    @property
    def run_dir(self) -> Path:
        """Where a running stack keeps its addresses, locks and Redis data."""
        return self.home / "run"

    @property
    def log_dir(self) -> Path:
        """Where log files lie."""
        return self.home / "logs"


class Problem(NamedTuple):
    """What is wrong with settings.

    Attributes:
        setting: The one to change, with the place inside of it if it has parts.
        text: What is wrong with it.
        about: Names of all the settings that make it so.
    """

    setting: str
    text: str
    about: frozenset[str]


def contradictions(settings: Settings) -> Iterator[Problem]:
    """What does not go together in settings that are right one by one."""
    if settings.network == "mainnet" and not settings.mainnet_opt_in:
        told = "network is mainnet, where real money moves: set it to true if you mean it"
        yield Problem("mainnet_opt_in", told, frozenset({"mainnet_opt_in", "network"}))
    if settings.network == "mainnet" and settings.mode == "live":
        for limit in ("max_spend_per_trade_usd", "max_spend_per_day_usd"):
            if getattr(settings, limit) is None:
                told = "it is missing: network is mainnet, where nothing trades without it"
                yield Problem(limit, told, frozenset({limit, "network", "mode"}))
    for secret in _READ_LATER:
        file = f"{secret}_file"
        if getattr(settings, secret) is not None and getattr(settings, file) is not None:
            yield Problem(secret, f"{file} is set, too: keep one", frozenset({secret, file}))
    # With a Redis of its own elsewhere, `up` brings none and its port is not used.
    if settings.redis_url is None and settings.flower_port and settings.flower_port == settings.redis_port:
        told = f"{settings.flower_port} is redis_port, too: give Flower another port, or 0 for any"
        yield Problem("flower_port", told, frozenset({"flower_port", "redis_port", "redis_url"}))


def _first_line(path: Path) -> str:
    """What a file of a secret holds.

    Raises:
        ValueError: It cannot be read, others may read it, or there is nothing in it.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            message = f"others may read {path} (mode {mode:04o}): run chmod 600 '{path}'"
            raise ValueError(message)
        line = path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise ValueError(message) from error
    except UnicodeDecodeError:
        message = f"{path} is no UTF-8 text"
        raise ValueError(message) from None  # its message repeats what was read
    if not line:
        message = f"{path} is empty: write the value in its first line"
        raise ValueError(message)
    return line


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, Settings.model_fields, n=1)
    return f"there is no such setting; did you mean {close[0]}?" if close else "there is no such setting"


def load_settings(**overrides: Any) -> Settings:
    """Settings from `overrides`, the environment, the home's files and defaults, in that order of precedence.

    Args:
        **overrides: Values that win over everything (command-line options).

    Raises:
        ConfigError: `problems` lists every problem found, each with its place.
    """
    home = Path(overrides.get("home") or os.environ.get(f"{ENV_PREFIX}HOME") or default_home()).expanduser().absolute()
    problems: list[str] = []
    environment = {
        name[len(ENV_PREFIX) :].lower(): value for name, value in os.environ.items() if name.startswith(ENV_PREFIX)
    }
    files = {path: _toml(path, problems) for path in (home / CONFIG_NAME, home / STACK_NAME)}
    unread = bool(problems)
    for path, values in files.items():
        if values.pop("home", None) is not None:
            problems.append(f"{path}: home: this file lies in the home; set {ENV_PREFIX}HOME instead")
    given = {"home": home}
    for values in (*reversed(files.values()), environment, overrides):
        given |= {name: value for name, value in values.items() if name != "home"}

    def place(name: str) -> str:
        first = name.partition(".")[0]
        if first in overrides:
            return f"option {name}"
        if first in environment:
            return f"{ENV_PREFIX}{name.upper()}"
        return next((f"{path}: {name}" for path, values in files.items() if first in values), name)

    settings, found = _read(given)
    # What a file would have said that cannot be read, nobody knows: nothing is held against that.
    told = [one for one in found if not unread or one.about <= given.keys()]
    problems += [f"{place(one.setting)}: {one.text}" for one in told]
    if settings is None or problems:
        raise ConfigError("the settings cannot work:\n  " + "\n  ".join(problems), problems=tuple(problems))
    return settings


def _toml(path: Path, problems: list[str]) -> dict[str, Any]:
    """What a file holds, nothing if there is none; that it cannot be read is one more problem."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{path}: cannot be read: {error}")
        return {}


def _read(given: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """Settings of these values, or everything that is wrong: of each one, and between those that are right."""
    try:
        return Settings(**given), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == _CONTRADICTIONS:
        return None, list(found[0]["ctx"]["found"])
    problems = [_problem(".".join(str(part) for part in item["loc"]), item["type"], item["msg"]) for item in found]
    wrong = frozenset[str]().union(*(one.about for one in problems))
    right = {name: value for name, value in given.items() if name not in wrong}
    others = _read(right)[1] if len(right) < len(given) else []
    return None, problems + [one for one in others if not one.about & wrong]


def _problem(setting: str, kind: str, said: str) -> Problem:
    name = setting.partition(".")[0]
    text = _nearest(name) if kind == "extra_forbidden" else said.removeprefix("Value error, ")
    return Problem(setting, text, frozenset({name}))
