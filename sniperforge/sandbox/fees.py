"""What a transaction costs: signatures and priority, as the cluster computes them from the message alone."""

from __future__ import annotations

from solders.instruction import CompiledInstruction
from solders.message import MessageV1
from solders.pubkey import Pubkey

from sniperforge.sandbox.wire import AnyMessage

_COMPUTE_BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
_BUILTINS = frozenset(
    map(
        Pubkey.from_string,
        (
            "11111111111111111111111111111111",
            "ComputeBudget111111111111111111111111111111",
            "Vote111111111111111111111111111111111111111",
            "BPFLoader1111111111111111111111111111111111",
            "BPFLoader2111111111111111111111111111111111",
            "BPFLoaderUpgradeab1e11111111111111111111111",
            "LoaderV411111111111111111111111111111111111",
            "KeccakSecp256k11111111111111111111111111111",
            "Ed25519SigVerify111111111111111111111111111",
        ),
    )
)
_PRECOMPILES = frozenset(
    map(
        Pubkey.from_string,
        (
            "KeccakSecp256k11111111111111111111111111111",
            "Ed25519SigVerify111111111111111111111111111",
            "Secp256r1SigVerify1111111111111111111111111",
        ),
    )
)
_MAX_COMPUTE_UNITS = 1_400_000
_UNITS_PER_INSTRUCTION = 200_000
_UNITS_PER_BUILTIN = 3_000
_SET_LIMIT = 2
_SET_PRICE = 3


def signature_count(message: AnyMessage) -> int:
    """Signatures that are paid for: the transaction's own, and those its precompile instructions check."""
    keys = message.account_keys
    inside = sum(
        instruction.data[0]
        for instruction in message.instructions
        if instruction.data and keys[instruction.program_id_index] in _PRECOMPILES
    )
    return message.header.num_required_signatures + inside


def priority_fee_lamports(message: AnyMessage) -> int:
    """Priority fee: price x limit / 1e6, rounded up; a version 1 message states it in lamports (SIMD-0385)."""
    if isinstance(message, MessageV1):
        return message.config.priority_fee or 0
    keys = message.account_keys
    limit: int | None = None
    price_micro_lamports = 0
    default_limit = 0
    for instruction in message.instructions:
        program = keys[instruction.program_id_index]
        default_limit += _UNITS_PER_BUILTIN if program in _BUILTINS else _UNITS_PER_INSTRUCTION
        if program == _COMPUTE_BUDGET:
            kind, value = _budget_instruction(instruction)
            if kind == _SET_LIMIT:
                limit = value
            elif kind == _SET_PRICE:
                price_micro_lamports = value
    units = min(_MAX_COMPUTE_UNITS, default_limit if limit is None else limit)
    return -(-price_micro_lamports * units // 1_000_000)


def fee_lamports(message: AnyMessage, lamports_per_signature: int) -> int:
    """The whole fee of a message, charged when it lands, whether it succeeds or fails."""
    return signature_count(message) * lamports_per_signature + priority_fee_lamports(message)


def _budget_instruction(instruction: CompiledInstruction) -> tuple[int, int]:
    data = instruction.data
    return (data[0], int.from_bytes(data[1:], "little")) if data else (-1, 0)
