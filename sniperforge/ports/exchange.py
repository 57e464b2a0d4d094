"""What SniperForge asks of Jupiter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.domain.prices import Price
from sniperforge.ports.codec import PlainInstruction


class Lane(StrEnum):
    """Who goes first when the request budget is short, in this order."""

    EXIT = "exit"
    CONFIRMATION = "confirmation"
    ENTRY = "entry"
    MONITORING = "monitoring"


@dataclass(frozen=True, slots=True)
class RouteStep:
    """One hop of a quoted route."""

    pool: Address
    label: str
    input_mint: Mint
    output_mint: Mint
    in_raw: int
    out_raw: int
    share_bps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What to ask of `/order`. Without a taker Jupiter only quotes."""

    input_mint: Mint
    output_mint: Mint
    amount_raw: int
    taker: Address | None
    slippage_bps: int | None = None
    exclude_routers: tuple[str, ...] = ()
    exclude_dexes: tuple[str, ...] = ()
    priority_fee_lamports: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A quote and, when a taker was given and it could be built, an unsigned transaction.

    Attributes:
        transaction: None when there is none: without a taker (quote only, `error_message` is None too), or because
            none could be built (`error_message` says why).
        last_valid_block_height: As Jupiter says; it may be missing or too low, so never a bound by itself.
        price_impact_pct: Percentage points, negative is worse than mid.
        fee_bps: Everything charged for the swap, already inside `out_raw`; fractions are rounded up.
        error_code: Why no transaction could be built; means something only together with `router`.
        error_message: Why no transaction could be built, for people; None exactly when nothing is wrong.
        fee_payer: Who Jupiter says pays the signature fee.
    """

    request_id: str
    input_mint: Mint
    output_mint: Mint
    in_raw: int
    out_raw: int
    min_out_raw: int
    slippage_bps: int
    price_impact_pct: Decimal | None
    router: str
    route: tuple[RouteStep, ...]
    fee_bps: int
    fee_mint: Mint | None
    platform_fee_raw: int | None
    signature_fee_lamports: int | None
    priority_fee_lamports: int | None
    rent_lamports: int | None
    fee_payer: Address | None
    transaction: bytes | None
    last_valid_block_height: int | None
    gasless: bool
    expire_at: datetime | None
    quote_id: str | None
    maker: Address | None
    error_code: int | None
    error_message: str | None
    gateway_request_id: str | None
    received_at: datetime


class ExecuteHint(StrEnum):
    """What an `/execute` answer suggests doing next. None of them proves that nothing landed.

    `LANDED`: it says confirmed; verify on chain. `LANDED_WITH_ERROR`: it says the program refused; verify on chain.
    `POLL`: unknown; post the same bytes again and ask the chain. `CHECK_THEN_REQUOTE`: probably never left; the proof
    of death still decides. `BUG`: our request was wrong; tell a person.
    """

    LANDED = "landed"
    LANDED_WITH_ERROR = "landed_with_error"
    POLL = "poll"
    CHECK_THEN_REQUOTE = "check_then_requote"
    BUG = "bug"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteAnswer:
    """What `/execute` answered. Amounts are a preview, never a fill."""

    code: int
    hint: ExecuteHint
    meaning: str
    fix: str
    signature: Signature | None
    slot: int | None
    error: str | None
    input_raw: int | None
    output_raw: int | None
    gateway_request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What to ask of `/build`."""

    input_mint: Mint
    output_mint: Mint
    amount_raw: int
    taker: Address
    slippage_bps: int
    dexes: tuple[str, ...] = ()
    exclude_dexes: tuple[str, ...] = ()
    max_accounts: int | None = None
    tip_lamports: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Instructions for a transaction that we assemble and send ourselves.

    Attributes:
        price_impact_pct: Percentage points, negative is worse than mid, as in `Order`.
        compute_unit_price_micro_lamports: Jupiter's suggestion, sometimes absurd: clamp it.
    """

    input_mint: Mint
    output_mint: Mint
    in_raw: int
    out_raw: int
    min_out_raw: int
    slippage_bps: int
    price_impact_pct: Decimal | None
    route: tuple[RouteStep, ...]
    compute_unit_price_micro_lamports: int
    setup: tuple[PlainInstruction, ...]
    swap: PlainInstruction
    cleanup: PlainInstruction | None
    other: tuple[PlainInstruction, ...]
    tip: PlainInstruction | None
    lookup_tables: Mapping[Address, tuple[Address, ...]]
    blockhash: str
    last_valid_block_height: int
    gateway_request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenListing:
    """A token as Jupiter lists it. None in a flag means "not said", which is not "safe"."""

    mint: Mint
    symbol: str
    name: str
    decimals: int
    token_program: Address
    is_verified: bool | None
    is_sus: bool | None
    freeze_authority: Address | None
    mint_authority: Address | None
    liquidity_usd: Decimal | None
    organic_score: Decimal | None
    tags: tuple[str, ...]


class PriceSource(Protocol):
    """Somebody who knows what tokens cost."""

    def prices(self, mints: Sequence[Mint], *, lane: Lane = Lane.MONITORING) -> Mapping[Mint, Price]:
        """Prices by mint. A mint without a trustworthy price is absent; absent is never zero."""
        ...


class Exchange(PriceSource, Protocol):
    """Jupiter.

    Reads raise `ExchangeUnavailableError`, `RateLimitedError`, `NoRouteError` (try again), `ExchangeRejectedError`,
    `AuthenticationError`, `ProtocolError` (something must change).
    """

    def together(self, calls: int, *, lane: Lane) -> AbstractContextManager[None]:
        """Leave for the next `calls` reads of this thread, made in the block, before the first of them is made.

        A price without the order that it was asked for is a call thrown away: on a small plan trades would else take
        each other's places.

        Raises:
            RateLimitedError: There is no room for them; nothing was sent.
        """
        ...

    def order(self, request: OrderRequest, *, lane: Lane) -> Order:
        """A quote and, with a taker, a transaction to sign."""
        ...

    def execute(
        self,
        signed_transaction: bytes,
        request_id: str,
        last_valid_block_height: int | None,
        *,
        lane: Lane = Lane.CONFIRMATION,
    ) -> ExecuteAnswer:
        """Post a signed transaction; posting the same bytes again for two minutes only asks how it went.

        The default lane lets what is signed already go before new entries.

        Raises:
            ExecuteOutcomeUnknownError: Whatever kept the answer from arriving whole, a refused key and status 429
                included: an earlier post of the same bytes may have landed. `details["status"]` has the HTTP status.
            RateLimitedError: Refused before our own budget let it leave; nothing was sent.
        """
        ...

    def build(self, request: BuildRequest, *, lane: Lane) -> Build:
        """Instructions for a transaction of our own."""
        ...

    def search_tokens(self, query: str, *, lane: Lane = Lane.MONITORING) -> tuple[TokenListing, ...]:
        """Tokens by symbol or name (up to 20), or by mints separated by commas (up to 100)."""
        ...

    def program_labels(self, *, lane: Lane = Lane.MONITORING) -> Mapping[Address, str]:
        """Venue labels by program id."""
        ...
