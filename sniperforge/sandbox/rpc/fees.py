"""Recent prioritization fees: what a block's cheapest transactions paid per compute unit.

Stock nodes report, per slot, the minimum over the block, raised to the minimum among transactions that wrote each
asked account (Agave, `runtime/src/prioritization_fee_cache.rs`). Blocks do not change once closed, so each is
looked at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from solders.message import MessageV1

from sniperforge.sandbox.chain import Block, Chain, LandedRecord
from sniperforge.sandbox.wire import parse

RECENT_SLOTS = 150
_COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111"
_SET_PRICE = 3
_REMEMBERED_BLOCKS = 2 * RECENT_SLOTS


class FeeWatch:
    """Minimum fees of recent blocks."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._minimums: OrderedDict[str, tuple[int, dict[str, int]]] = OrderedDict()

    def recent(self, newest_slot: int, accounts: Sequence[str]) -> list[dict[str, int]]:
        """`slot` and `prioritizationFee` (micro-lamports per compute unit) of the last 150 slots with a block."""
        found = []
        for slot in range(newest_slot - RECENT_SLOTS + 1, newest_slot + 1):
            block = self._chain.block(slot)
            if block is not None:
                fee, by_account = self._of(block)
                found.append(
                    {"slot": slot, "prioritizationFee": max([fee, *(by_account.get(key, 0) for key in accounts)])}
                )
        return found

    def _of(self, block: Block) -> tuple[int, dict[str, int]]:
        known = self._minimums.get(block.blockhash)
        if known is not None:
            return known
        lowest: int | None = None
        by_account: dict[str, int] = {}
        for signature in block.signatures:
            record = self._chain.transaction(signature, "processed")
            if record is None:
                continue
            price, writable = price_and_writable(record)
            lowest = price if lowest is None else min(lowest, price)
            for key in writable:
                by_account[key] = min(by_account.get(key, price), price)
        self._minimums[block.blockhash] = result = (lowest or 0, by_account)
        if len(self._minimums) > _REMEMBERED_BLOCKS:
            self._minimums.popitem(last=False)
        return result


def price_and_writable(record: LandedRecord) -> tuple[int, list[str]]:
    """Micro-lamports per compute unit that a transaction offered, and the accounts it wrote."""
    parsed = parse(record.raw)
    message = parsed.message
    keys = [str(key) for key in message.account_keys]
    writable = [key for index, key in enumerate(keys) if parsed.is_writable(index)]
    writable.extend(record.loaded_writable)
    if isinstance(message, MessageV1):
        return message.config.priority_fee or 0, writable
    price = 0
    for instruction in message.instructions:
        if keys[instruction.program_id_index] == _COMPUTE_BUDGET and instruction.data[:1] == bytes([_SET_PRICE]):
            price = int.from_bytes(instruction.data[1:9], "little")
    return price, writable
