"""Methods about the cluster and the node: slots, heights, blockhashes, fees, health, versions."""

from __future__ import annotations

from typing import Any

from solders.keypair import Keypair
from solders.message import Message, MessageV0, MessageV1, from_bytes_versioned

from sniperforge.sandbox.rpc.call import API_VERSION, Entry, RpcCall, with_context
from sniperforge.sandbox.rpc.encoding import base64_decode
from sniperforge.sandbox.rpc.errors import invalid_params, node_behind
from sniperforge.sandbox.rpc.params import Params, address, blockhash
from sniperforge.sandbox.rpc.sending import HEALTHY_LAG_SLOTS

SLOTS_PER_EPOCH = 432_000
FEATURE_SET = 3_840_106_422
MAX_FEE_ACCOUNTS = 128


def get_slot(call: RpcCall, params: Params) -> Any:
    """The newest slot of a commitment."""
    config = params.config(0)
    return call.checked_slot(config, config.commitment())


def get_block_height(call: RpcCall, params: Params) -> Any:
    """The block height of a commitment, which is not its slot."""
    config = params.config(0)
    commitment = config.commitment()
    call.checked_slot(config, commitment)
    return call.chain.height_at(commitment, at_slot=call.at_slot)


def get_latest_blockhash(call: RpcCall, params: Params) -> Any:
    """A blockhash to sign with, and the last height at which it is accepted."""
    config = params.config(0)
    commitment = config.commitment()
    slot = call.checked_slot(config, commitment)
    blockhash, last_valid = call.chain.latest_blockhash(commitment, at_slot=call.at_slot)
    return with_context(slot, {"blockhash": blockhash, "lastValidBlockHeight": last_valid})


def is_blockhash_valid(call: RpcCall, params: Params) -> Any:
    """Whether the bank of this commitment accepts a blockhash: not if too old, not if too new."""
    text, config = blockhash(params.get(0)), params.config(1)
    commitment = config.commitment()
    slot = call.checked_slot(config, commitment)
    return with_context(slot, call.chain.is_blockhash_valid(text, commitment, at_slot=call.at_slot))


def get_fee_for_message(call: RpcCall, params: Params) -> Any:
    """The fee of a message, null when its blockhash is not known."""
    text, config = params.string(0), params.config(1)
    try:
        raw = base64_decode(text)
        message: Message | MessageV0 | MessageV1 = from_bytes_versioned(raw)
    except Exception as error:  # noqa: BLE001 (solders raises several kinds for bytes that are no message)
        raise invalid_params(f"invalid base64 encoding of a message: {error}") from None
    commitment = config.commitment()
    slot = call.checked_slot(config, commitment)
    known = call.chain.is_blockhash_valid(str(message.recent_blockhash), commitment, at_slot=call.at_slot)
    return with_context(slot, call.chain.fee_of(raw) if known else None)


def get_recent_prioritization_fees(call: RpcCall, params: Params) -> Any:
    """Per recent slot, the least that got in."""
    accounts = [address(value) for value in params.strings(0, MAX_FEE_ACCOUNTS)] if params.get(0) is not None else []
    return call.shared.fees.recent(call.slot("processed"), accounts)


def get_minimum_balance_for_rent_exemption(call: RpcCall, params: Params) -> Any:
    """Lamports that an account of this size must hold."""
    return call.chain.minimum_rent(params.u64(0))


def get_health(call: RpcCall, _params: Params) -> Any:
    """`ok`, or error -32005 when the node is far behind."""
    if call.node.lag_slots > HEALTHY_LAG_SLOTS:
        raise node_behind(call.node.lag_slots)
    return "ok"


def get_version(_call: RpcCall, _params: Params) -> Any:
    """Software version."""
    return {"solana-core": API_VERSION, "feature-set": FEATURE_SET}


def get_genesis_hash(call: RpcCall, _params: Params) -> Any:
    """The hash that names this chain: the same for one home for ever, another for another seed."""
    return call.shared.genesis_hash


def get_identity(call: RpcCall, _params: Params) -> Any:
    """The node's own key, made from its name."""
    seed = call.node.name.encode().ljust(32, b".")[:32]
    return {"identity": str(Keypair.from_seed(seed).pubkey())}


def get_epoch_info(call: RpcCall, params: Params) -> Any:
    """Where in its epoch the chain is."""
    config = params.config(0)
    commitment = config.commitment()
    slot = call.checked_slot(config, commitment)
    return {
        "absoluteSlot": slot,
        "blockHeight": call.chain.height_at(commitment, at_slot=call.at_slot),
        "epoch": slot // SLOTS_PER_EPOCH,
        "slotIndex": slot % SLOTS_PER_EPOCH,
        "slotsInEpoch": SLOTS_PER_EPOCH,
        "transactionCount": call.context.transactions_landed,
    }


def get_epoch_schedule(_call: RpcCall, _params: Params) -> Any:
    """Length of epochs."""
    return {
        "slotsPerEpoch": SLOTS_PER_EPOCH,
        "leaderScheduleSlotOffset": SLOTS_PER_EPOCH,
        "warmup": False,
        "firstNormalEpoch": 0,
        "firstNormalSlot": 0,
    }


def get_transaction_count(call: RpcCall, params: Params) -> Any:
    """Transactions that landed since this process started; a real node counts since genesis."""
    config = params.config(0)
    commitment = config.commitment()
    call.checked_slot(config, commitment)
    return call.context.transactions_landed


def get_ag_genesis_cert(_call: RpcCall, _params: Params) -> Any:
    """Null: this cluster has not moved to Alpenglow, so finalized stays behind confirmed."""
    return None


METHODS = {
    "getSlot": Entry(get_slot, 0, 1),
    "getBlockHeight": Entry(get_block_height, 0, 1),
    "getLatestBlockhash": Entry(get_latest_blockhash, 0, 1),
    "isBlockhashValid": Entry(is_blockhash_valid, 1, 2),
    "getFeeForMessage": Entry(get_fee_for_message, 1, 2),
    "getRecentPrioritizationFees": Entry(get_recent_prioritization_fees, 0, 1),
    "getMinimumBalanceForRentExemption": Entry(get_minimum_balance_for_rent_exemption, 1, 2),
    "getHealth": Entry(get_health, 0, 0),
    "getVersion": Entry(get_version, 0, 0),
    "getGenesisHash": Entry(get_genesis_hash, 0, 0),
    "getIdentity": Entry(get_identity, 0, 0),
    "getEpochInfo": Entry(get_epoch_info, 0, 1),
    "getEpochSchedule": Entry(get_epoch_schedule, 0, 0),
    "getTransactionCount": Entry(get_transaction_count, 0, 1),
    "getAgGenesisCert": Entry(get_ag_genesis_cert, 0, 0),
}
