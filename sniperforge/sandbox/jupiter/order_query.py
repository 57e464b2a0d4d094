"""What `/order` was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from solders.pubkey import Pubkey

from sniperforge.sandbox.jupiter.answers import RefusedError
from sniperforge.sandbox.jupiter.parameters import MAX_U64, QueryReader

MIN_JITO_TIP_LAMPORTS = 1_000
MAX_PRIORITY_FEE_LAMPORTS = 10**12
"""A thousand SOL: a price per compute unit that still fits 64 bits."""

_OPTIONAL_PARAMETERS = (
    "receiver",
    "slippageBps",
    "referralAccount",
    "referralFee",
    "payer",
    "priorityFeeLamports",
    "jitoTipLamports",
    "broadcastFeeType",
    "excludeRouters",
    "excludeDexes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """A checked `/order` request.

    Attributes:
        payer: Who pays gas if it is not the taker; equal to the taker means nobody else, as there.
        referral_account: Where a referral fee would go. None of the sandbox's referral accounts is initialised,
            and then Jupiter makes the order without the fee.
        is_manual: Whether any optional parameter was sent (`mode`).
    """

    input_mint: Pubkey
    output_mint: Pubkey
    amount_raw: int
    taker: Pubkey | None
    receiver: Pubkey | None
    payer: Pubkey | None
    slippage_bps: int | None
    referral_account: str | None
    priority_fee_lamports: int | None
    jito_tip_lamports: int | None
    fee_type: str | None
    exclude_routers: frozenset[str]
    exclude_dexes: frozenset[str]
    is_manual: bool


def read_order_query(query: Mapping[str, str], request_id: str) -> OrderQuery:
    """Check a request.

    Raises:
        RefusedError: 400 with `requestId` and every problem found.
    """
    reader = QueryReader(query)
    input_mint = reader.pubkey("inputMint", required=True)
    output_mint = reader.pubkey("outputMint", required=True)
    amount = reader.integer("amount", 1, MAX_U64, required=True)
    taker = reader.pubkey("taker")
    receiver = reader.pubkey("receiver")
    payer = reader.pubkey("payer")
    slippage_bps = reader.integer("slippageBps", 0, 10_000)
    priority_fee = reader.integer("priorityFeeLamports", 0, MAX_PRIORITY_FEE_LAMPORTS)
    jito_tip = reader.integer("jitoTipLamports", MIN_JITO_TIP_LAMPORTS, MAX_U64)
    fee_type = reader.choice("broadcastFeeType", ("maxCap", "exactFee"))
    reader.choice("swapMode", ("ExactIn",))
    reader.choice("maxSupportedTransactionVersion", ("0", "1"))
    referral_account = reader.pubkey("referralAccount")
    reader.integer("referralFee", 50, 255)
    if reader.has("referralAccount") != reader.has("referralFee"):
        reader.problem("referralFee", "referralAccount and referralFee must be used together")
    if input_mint is not None and input_mint == output_mint:
        reader.problem("outputMint", "inputMint and outputMint must be different")
    if receiver is not None and receiver == taker:
        reader.problem("receiver", "receiver must be different from taker")
    for name, key in (("receiver", receiver), ("payer", payer)):
        if key is not None and taker is None:
            reader.problem(name, f"{name} needs a taker")
    if reader.issues or input_mint is None or output_mint is None or amount is None:
        raise RefusedError(400, {"requestId": request_id, "error": reader.error_text(), "issues": reader.issues})
    # Jupiter ignores fee wishes that come without broadcastFeeType.
    return OrderQuery(
        input_mint=input_mint,
        output_mint=output_mint,
        amount_raw=amount,
        taker=taker,
        receiver=receiver,
        payer=None if payer == taker else payer,
        slippage_bps=slippage_bps,
        referral_account=None if referral_account is None else str(referral_account),
        priority_fee_lamports=priority_fee if fee_type else None,
        jito_tip_lamports=jito_tip if fee_type else None,
        fee_type=fee_type,
        exclude_routers=reader.names("excludeRouters"),
        exclude_dexes=reader.names("excludeDexes"),
        is_manual=any(reader.has(name) for name in _OPTIONAL_PARAMETERS),
    )
