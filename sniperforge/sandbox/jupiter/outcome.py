"""What `/execute` answers about a landed transaction, read from its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sniperforge.sandbox.chain import LandedRecord, TokenBalanceRecord
from sniperforge.sandbox.jupiter.order_cache import CachedOrder
from sniperforge.sandbox.tokens import SOL

UNKNOWN_ERROR = {"metis": -1001, "jupiterz": -2001}


def failed(code: int, error: str, *, signature: str = "", slot: int = 0) -> dict[str, Any]:
    """A `Failed` body. Slot 0 means that nothing landed, as far as is known."""
    return {"status": "Failed", "signature": signature, "slot": str(slot), "error": error, "code": code}


def landed_answer(order: CachedOrder, record: LandedRecord) -> dict[str, Any]:
    """The body for a confirmed record: code 0, or the program's own error code."""
    if record.err is not None:
        code, error = _program_error(order, record)
        return failed(code, error, signature=record.signature, slot=record.slot)
    received = _received(order, record)
    event = {
        "inputMint": str(order.input_mint),
        "inputAmount": str(order.in_raw),
        "outputMint": str(order.output_mint),
        "outputAmount": str(received),
    }
    return {
        "status": "Success",
        "signature": record.signature,
        "slot": str(record.slot),
        "code": 0,
        "totalInputAmount": str(order.in_raw),
        "totalOutputAmount": str(received),
        "inputAmountResult": str(order.in_raw),
        "outputAmountResult": str(received),
        "swapEvents": [event],
    }


def _program_error(order: CachedOrder, record: LandedRecord) -> tuple[int, str]:
    err = record.err
    detail = err.get("InstructionError") if isinstance(err, dict) else None
    reason = detail[1] if isinstance(detail, list) else None
    if isinstance(reason, dict) and "Custom" in reason:
        custom = int(reason["Custom"])
        return custom, f"custom program error: {custom:#x}"
    return UNKNOWN_ERROR[order.router], f"Transaction failed: {err}"


def _received(order: CachedOrder, record: LandedRecord) -> int:
    """Output base units that left the pools, or that reached the taker.

    A firm quote pays what it says. SOL is read from the vaults, because the taker's wSOL account is opened and closed
    inside the transaction and his lamports also paid fees and rent. Any other token is read from the accounts that
    gained it and are no vault, so that a transfer fee shows.
    """
    if order.route is None:
        return order.out_raw
    keys = (*record.account_keys, *record.loaded_writable, *record.loaded_readonly)
    vaults = {
        str(vault) for leg in order.route.legs for vault in (leg.hops[-1].pool.vault_a, leg.hops[-1].pool.vault_b)
    }
    change = _change_by_account(record.pre_tokens, record.post_tokens, str(order.output_mint), keys)
    if order.output_mint == SOL:
        return -sum(raw for account, raw in change.items() if account in vaults)
    return sum(raw for account, raw in change.items() if account not in vaults)


def _change_by_account(
    pre: Sequence[TokenBalanceRecord], post: Sequence[TokenBalanceRecord], mint: str, keys: Sequence[str]
) -> dict[str, int]:
    """Change of a mint's balance by account; an account that one side does not know holds 0 there."""
    change: dict[str, int] = {}
    for sign, records in ((-1, pre), (1, post)):
        for record in records:
            if record.mint == mint:
                account = keys[record.account_index]
                change[account] = change.get(account, 0) + sign * record.raw
    return change
