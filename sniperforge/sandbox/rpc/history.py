"""Methods that ask what happened: statuses, transactions, histories, blocks.

A node with `history_down` answers as one whose long-term storage fails: null or nothing, never an error
(Agave maps those errors to null). A node with a short memory does the same for what is too old.
"""

from __future__ import annotations

from typing import Any

from sniperforge.sandbox.chain import Block, CommitmentName, LandedRecord
from sniperforge.sandbox.rpc.call import Entry, RpcCall, with_context
from sniperforge.sandbox.rpc.errors import block_cleaned_up, block_not_available, invalid_params, slot_skipped
from sniperforge.sandbox.rpc.params import Config, Params, signature, u64
from sniperforge.sandbox.rpc.transaction_view import TRANSACTION_ENCODINGS, landed_json, status_json
from sniperforge.sandbox.timeline import GENESIS_SLOT

MAX_STATUSES = 256
MAX_SIGNATURES = 1000
MAX_BLOCK_RANGE = 500_000


def _settled(config: Config) -> CommitmentName:
    """The commitment of a history question: confirmed or finalized."""
    commitment = config.commitment()
    if commitment == "processed":
        raise invalid_params("Method does not support commitment below `confirmed`")
    return commitment


def _encoding(params: Params, index: int) -> tuple[Config, str]:
    """The configuration, which may also be just the name of an encoding."""
    value = params.get(index)
    config = Config({"encoding": value}) if isinstance(value, str) else params.config(index)
    return config, config.choice("encoding", TRANSACTION_ENCODINGS) or "json"


def get_signature_statuses(call: RpcCall, params: Params) -> Any:
    """Statuses of up to 256 signatures; null for what the node does not know."""
    signatures = [signature(value) for value in params.strings(0, MAX_STATUSES)]
    search = params.config(1).flag("searchTransactionHistory")
    return with_context(call.slot("processed"), [_status(call, one, search=search) for one in signatures])


def _status(call: RpcCall, wanted: str, *, search: bool) -> dict[str, Any] | None:
    if "history_down" in call.faults:
        return None
    status = call.chain.status(wanted, search_history=search, at_slot=call.at_slot)
    if status is None or call.forgets(status.slot):
        return None
    return {
        "slot": status.slot,
        "confirmations": status.confirmations,
        "err": status.err,
        "status": status_json(status.err),
        "confirmationStatus": status.commitment,
    }


def get_transaction(call: RpcCall, params: Params) -> Any:
    """A landed transaction, null when this node does not know it at this commitment."""
    wanted = params.signature(0)
    config, encoding = _encoding(params, 1)
    commitment = _settled(config)
    maximum = config.u64("maxSupportedTransactionVersion")
    if "history_down" in call.faults:
        return None
    record = call.chain.transaction(wanted, commitment, at_slot=call.at_slot)
    if record is None or call.forgets(record.slot):
        return None
    return {"slot": record.slot, "blockTime": record.unix_time, **landed_json(record, encoding, maximum)}


def get_signatures_for_address(call: RpcCall, params: Params) -> Any:
    """History of an address, newest first."""
    key, config = params.address(0), params.config(1)
    commitment = _settled(config)
    limit = config.u64("limit")
    limit = MAX_SIGNATURES if limit is None else limit
    if not 1 <= limit <= MAX_SIGNATURES:
        raise invalid_params(f"Invalid limit; max {MAX_SIGNATURES}")
    before, until = config.signature("before"), config.signature("until")
    call.checked_slot(config, commitment)
    if "history_down" in call.faults:
        return []
    records = call.chain.signatures_for(
        key, commitment=commitment, before=before, until=until, limit=limit, at_slot=call.at_slot
    )
    finalized = call.slot("finalized")
    return [
        {
            "signature": record.signature,
            "slot": record.slot,
            "err": record.err,
            "memo": record.memo,
            "blockTime": record.unix_time,
            "confirmationStatus": "finalized" if record.slot <= finalized else "confirmed",
        }
        for record in records
        if not call.forgets(record.slot)
    ]


def first_available_slot(call: RpcCall) -> int:
    """The oldest slot this node remembers."""
    remembers = call.node.remembers_slots
    return GENESIS_SLOT if remembers is None else max(GENESIS_SLOT, call.at_slot - remembers)


def _block(call: RpcCall, slot: int, commitment: CommitmentName) -> Block:
    first = first_available_slot(call)
    if slot < first:
        raise block_cleaned_up(slot, first)
    if slot > call.slot(commitment):
        raise block_not_available(slot)
    block = call.chain.block(slot)
    if block is None:
        raise slot_skipped(slot)
    return block


def get_block(call: RpcCall, params: Params) -> Any:
    """A block with its transactions, in as much detail as asked."""
    slot = params.u64(0)
    config, encoding = _encoding(params, 1)
    commitment = _settled(config)
    details = config.choice("transactionDetails", ("full", "accounts", "signatures", "none")) or "full"
    maximum = config.u64("maxSupportedTransactionVersion")
    rewards = config.flag("rewards", default=True)
    if "history_down" in call.faults:
        return None
    block = _block(call, slot, commitment)
    parent = call.chain.block(block.parent_slot)
    shown: dict[str, Any] = {
        "blockhash": block.blockhash,
        "previousBlockhash": block.blockhash if parent is None else parent.blockhash,
        "parentSlot": block.parent_slot,
        "blockTime": block.unix_time,
        "blockHeight": block.height,
    }
    if rewards:
        shown["rewards"] = []
    if details == "signatures":
        shown["signatures"] = block.signatures
    elif details != "none":
        records = [call.chain.transaction(one, commitment, at_slot=call.at_slot) for one in block.signatures]
        known = [record for record in records if record is not None]
        if details == "full":
            shown["transactions"] = [landed_json(record, encoding, maximum) for record in known]
        else:
            shown["transactions"] = [_accounts_only(record, maximum) for record in known]
    return shown


def _accounts_only(record: LandedRecord, maximum: int | None) -> dict[str, Any]:
    full = landed_json(record, "jsonParsed", maximum)
    meta = {
        name: full["meta"][name]
        for name in ("err", "status", "fee", "preBalances", "postBalances", "preTokenBalances", "postTokenBalances")
    }
    transaction = {
        "signatures": full["transaction"]["signatures"],
        "accountKeys": full["transaction"]["message"]["accountKeys"],
    }
    return {**full, "transaction": transaction, "meta": meta}


def get_blocks(call: RpcCall, params: Params) -> Any:
    """Slots with a block between two slots, both included."""
    start = params.u64(0)
    end_value, config_index = params.get(1), 2
    if isinstance(end_value, dict):
        end_value, config_index = None, 1
    commitment = _settled(params.config(config_index))
    newest = call.slot(commitment)
    end = newest if end_value is None else min(u64(end_value), newest)
    if end < start:
        return []
    if end - start > MAX_BLOCK_RANGE:
        raise invalid_params(f"Slot range too large; max {MAX_BLOCK_RANGE}")
    first = max(start, first_available_slot(call))
    return [slot for slot in range(first, end + 1) if call.chain.block(slot) is not None]


def get_block_time(call: RpcCall, params: Params) -> Any:
    """Unix time of a block."""
    return _block(call, params.u64(0), "confirmed").unix_time


def get_first_available_block(call: RpcCall, _params: Params) -> Any:
    """The oldest slot this node remembers."""
    return first_available_slot(call)


METHODS = {
    "getSignatureStatuses": Entry(get_signature_statuses, 1, 2),
    "getTransaction": Entry(get_transaction, 1, 2),
    "getSignaturesForAddress": Entry(get_signatures_for_address, 1, 2),
    "getBlock": Entry(get_block, 1, 2),
    "getBlocks": Entry(get_blocks, 1, 3),
    "getBlockTime": Entry(get_block_time, 1, 1),
    "getFirstAvailableBlock": Entry(get_first_available_block, 0, 0),
    "minimumLedgerSlot": Entry(get_first_available_block, 0, 0),
}
