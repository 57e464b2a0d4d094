"""Jupiter's JSON, checked here and nowhere else; everything past the adapter is our own frozen types.

Fields that we do not know are ignored, because Jupiter adds some every month. Fields that we need are required.
Numbers arrive as `int` or `Decimal` (JSON is parsed with `parse_float=Decimal`), amounts as strings of digits.

Source: Jupiter's OpenAPI documents for swap v2, price v3 and tokens v2.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter
from pydantic.alias_generators import to_camel

_MAX_U64 = 2**64 - 1


def _amount(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if type(value) is not int or not 0 <= value <= _MAX_U64:
        message = "not a whole number of base units"
        raise ValueError(message)
    return value


def _optional_amount(value: object) -> int | None:
    return None if value is None or value == "" else _amount(value)


def _optional_slot(value: object) -> int | None:
    # "0" is what Jupiter writes when nothing landed.
    return _optional_amount(value) or None


def _whole(value: object) -> int:
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if type(value) is not int:
        message = "not a whole number"
        raise ValueError(message)
    return value


def _rounded_up(value: object) -> int | None:
    """Fees may be fractional; rounding up never understates what a trade costs."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite() or value < 0:
        message = "not a number of at least zero"
        raise ValueError(message)
    return int(Decimal(value).to_integral_value(rounding=ROUND_CEILING))


def _exact(value: object) -> Decimal:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    message = "not an exact number"
    raise ValueError(message)


def _exact_text(value: object) -> Decimal:
    try:
        return Decimal(value) if isinstance(value, str) else _exact(value)
    except InvalidOperation:
        message = "not a number"
        raise ValueError(message) from None


def _unix_seconds(value: object) -> datetime | None:
    seconds = _optional_amount(value)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


def _base64(value: object) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except binascii.Error:
        pass  # said below, as for every other value
    message = "not base64"
    raise ValueError(message)


RawAmount = Annotated[int, BeforeValidator(_amount)]
OptionalRawAmount = Annotated[int | None, BeforeValidator(_optional_amount)]
Whole = Annotated[int, BeforeValidator(_whole)]
RoundedUp = Annotated[int, BeforeValidator(_rounded_up)]
OptionalRoundedUp = Annotated[int | None, BeforeValidator(_rounded_up)]
Exact = Annotated[Decimal, BeforeValidator(_exact)]
ExactText = Annotated[Decimal, BeforeValidator(_exact_text)]
Base58 = Annotated[str, StringConstraints(pattern=r"^[1-9A-HJ-NP-Za-km-z]{32,44}$")]
OptionalBase58 = Annotated[Base58 | None, BeforeValidator(_blank_is_none)]
OptionalText = Annotated[str | None, BeforeValidator(_blank_is_none)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]
Bytes64 = Annotated[bytes, BeforeValidator(_base64)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, strict=True)


class SwapInfo(_Answer):
    """One pool's part of a route."""

    amm_key: Base58
    label: str
    input_mint: Base58
    output_mint: Base58
    in_amount: RawAmount
    out_amount: RawAmount


class RoutePlanStep(_Answer):
    """A step of a route. Its share may be missing or fractional."""

    swap_info: SwapInfo
    percent: Exact | None = None
    bps: Exact | None = None

    @property
    def share_bps(self) -> int | None:
        """Share of the trade in whole basis points, None where Jupiter does not say."""
        share = self.bps if self.bps is not None else None if self.percent is None else self.percent * 100
        return None if share is None else int(share.to_integral_value())


class PlatformFee(_Answer):
    """Jupiter's own fee."""

    amount: OptionalRawAmount = None


class OrderAnswer(_Answer):
    """`GET /swap/v2/order`. `transaction`: null without a taker, "" when it could not be built, else base64."""

    request_id: NonEmpty
    input_mint: Base58
    output_mint: Base58
    in_amount: RawAmount
    out_amount: RawAmount
    other_amount_threshold: RawAmount
    slippage_bps: RoundedUp
    price_impact: Exact | None = None
    router: NonEmpty
    route_plan: tuple[RoutePlanStep, ...] = Field(strict=False)
    fee_bps: RoundedUp = 0
    fee_mint: OptionalBase58 = None
    platform_fee: PlatformFee | None = None
    signature_fee_lamports: OptionalRoundedUp = None
    signature_fee_payer: OptionalBase58 = None
    prioritization_fee_lamports: OptionalRoundedUp = None
    rent_fee_lamports: OptionalRoundedUp = None
    transaction: Bytes64 | None
    last_valid_block_height: OptionalRawAmount = None
    gasless: bool = False
    expire_at: Annotated[datetime | None, BeforeValidator(_unix_seconds)] = None
    quote_id: OptionalText = None
    maker: OptionalBase58 = None
    error_code: Annotated[int | None, BeforeValidator(lambda value: None if value is None else _whole(value))] = None
    error_message: OptionalText = None
    error: OptionalText = None


class ExecuteAnswerBody(_Answer):
    """`POST /swap/v2/execute`, status 200, and status 400 with a code. Amounts are a preview."""

    status: OptionalText = None
    code: Whole
    signature: OptionalText = None
    slot: Annotated[int | None, BeforeValidator(_optional_slot)] = None
    error: OptionalText = None
    total_input_amount: OptionalRawAmount = None
    total_output_amount: OptionalRawAmount = None


class InstructionAccount(_Answer):
    """An account of an instruction."""

    pubkey: Base58
    is_signer: bool
    is_writable: bool


class Instruction(_Answer):
    """An instruction of `/build`."""

    program_id: Base58
    accounts: tuple[InstructionAccount, ...] = Field(strict=False)
    data: Bytes64


def _byte_list(value: object) -> bytes:
    if not isinstance(value, list) or len(value) != 32 or any(type(item) is not int for item in value):
        message = "not a list of 32 bytes"
        raise ValueError(message)
    return bytes(value)


class BlockhashWithMetadata(_Answer):
    """The blockhash that `/build` suggests, as bytes."""

    blockhash: Annotated[bytes, BeforeValidator(_byte_list)]
    last_valid_block_height: RawAmount


class BuildAnswer(_Answer):
    """`GET /swap/v2/build`. `priceImpactPct` is a ratio here, positive when it costs ("0.001" is 0.1 %)."""

    input_mint: Base58
    output_mint: Base58
    in_amount: RawAmount
    out_amount: RawAmount
    other_amount_threshold: RawAmount
    slippage_bps: RoundedUp
    price_impact_pct: ExactText | None = None
    route_plan: tuple[RoutePlanStep, ...] = Field(strict=False)
    compute_budget_instructions: tuple[Instruction, ...] = Field(strict=False)
    setup_instructions: tuple[Instruction, ...] = Field(strict=False)
    swap_instruction: Instruction
    cleanup_instruction: Instruction | None = None
    other_instructions: tuple[Instruction, ...] = Field(default=(), strict=False)
    tip_instruction: Instruction | None = None
    addresses_by_lookup_table_address: Mapping[Base58, list[Base58]] | None
    blockhash_with_metadata: BlockhashWithMetadata


class PriceAnswer(_Answer):
    """One mint of `GET /price/v3`. Null, like a mint left out, means "no price"; `Price` refuses zero and below."""

    usd_price: Exact | None
    block_id: OptionalRawAmount


class Audit(_Answer):
    """Flags of a token. Jupiter writes `isSus` only when it is so: present means flagged, absent means "not said"."""

    is_sus: bool | None = None


class TokenAnswer(_Answer):
    """One token of `GET /tokens/v2/search`."""

    id: Base58
    name: str
    symbol: str
    decimals: Whole
    token_program: Base58
    mint_authority: OptionalBase58 = None
    freeze_authority: OptionalBase58 = None
    liquidity: Exact | None = None
    audit: Audit | None = None
    organic_score: Exact | None = None
    is_verified: bool | None = None
    tags: Annotated[tuple[str, ...], BeforeValidator(lambda value: tuple(value or ()))] = ()


class ErrorBody(_Answer):
    """Whatever an error answer says; nothing in it can be relied on."""

    error: Any = None
    message: Any = None
    error_code: Any = None
    code: Any = None

    @property
    def text(self) -> str:
        """The provider's words, as one string."""
        parts = (self.error, self.message, self.error_code)
        return "; ".join(dict.fromkeys(str(part) for part in parts if part not in (None, "")))


ORDER = TypeAdapter(OrderAnswer)
EXECUTE = TypeAdapter(ExecuteAnswerBody)
BUILD = TypeAdapter(BuildAnswer)
PRICES = TypeAdapter(dict[str, PriceAnswer | None])
TOKENS = TypeAdapter(list[TokenAnswer])
LABELS = TypeAdapter(dict[Base58, str])
