"""What the sandbox's chain tells: its constants, blocks, transactions, statuses and simulations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from solders.account import Account

CommitmentName = Literal["processed", "confirmed", "finalized"]
TransactionErrorJson = dict[str, Any] | str
"""A transaction error as the RPC prints it: `"BlockhashNotFound"` or `{"InstructionError": [2, {"Custom": 6001}]}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConfig:
    """Protocol constants and speed. Everything that mainnet changed this year is a field here.

    Attributes:
        seed: Decides blockhashes, which slots are skipped, and what a fork includes again.
        slot_ms: Length of a slot; only the server's clock uses it.
        confirm_slots: A block is confirmed when this many slots follow it.
        finalize_slots: A block is finalized when this many slots follow it.
        skip_probability: Chance that a slot has no block.
        blockhash_life: Blocks for which a blockhash is accepted.
        lamports_per_byte: Rent; an account of n bytes needs (128 + n) times this.
        lamports_per_signature: Base fee.
        status_cache_slots: Signatures older than this are found only by searching history.

    Raises:
        ValueError: A block would be confirmed while it is still being filled, finalized before it is confirmed,
            or every slot would be skipped.
    """

    seed: int = 1
    slot_ms: int = 200
    confirm_slots: int = 2
    finalize_slots: int = 32
    skip_probability: float = 0.02
    blockhash_life: int = 150
    lamports_per_byte: int = 5_080
    lamports_per_signature: int = 5_000
    status_cache_slots: int = 300

    def __post_init__(self) -> None:
        if not 1 <= self.confirm_slots <= self.finalize_slots:
            raise ValueError("1 <= confirm_slots <= finalize_slots must hold: an open block cannot be confirmed")
        if not 0 <= self.skip_probability < 1:
            raise ValueError("0 <= skip_probability < 1 must hold")


@dataclass(frozen=True, slots=True)
class Block:
    """One block. Skipped slots have none; `height` counts blocks."""

    slot: int
    height: int
    parent_slot: int
    blockhash: str
    unix_time: int
    signatures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenBalanceRecord:
    """One entry of pre/postTokenBalances."""

    account_index: int
    mint: str
    owner: str
    program: str
    raw: int
    decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedRecord:
    """A transaction in a block, with everything `getTransaction` tells.

    `account_keys` are all keys in the order that indexes count: static, loaded writable, loaded readonly.
    `inner_instructions` is JSON-ready in the RPC's own form (compiled, base58 data), `memo` too ("[5] hello").
    """

    signature: str
    slot: int
    index: int
    unix_time: int
    raw: bytes
    version: Literal["legacy", 0, 1]
    err: TransactionErrorJson | None
    fee: int
    account_keys: tuple[str, ...]
    loaded_writable: tuple[str, ...]
    loaded_readonly: tuple[str, ...]
    pre_lamports: tuple[int, ...]
    post_lamports: tuple[int, ...]
    pre_tokens: tuple[TokenBalanceRecord, ...]
    post_tokens: tuple[TokenBalanceRecord, ...]
    logs: tuple[str, ...]
    inner_instructions: list[dict[str, Any]] = field(default_factory=list)
    compute_units: int = 0
    return_data: dict[str, Any] | None = None
    memo: str | None = None


@dataclass(frozen=True, slots=True)
class SignatureRecord:
    """One entry of an address's history: the part of a `LandedRecord` that getSignaturesForAddress tells."""

    signature: str
    slot: int
    index: int
    unix_time: int
    err: TransactionErrorJson | None
    memo: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A transaction that did not enter a block: the error preflight reports, with logs and units if it ran."""

    err: TransactionErrorJson
    logs: tuple[str, ...] = ()
    compute_units: int = 0


@dataclass(frozen=True, slots=True)
class StatusRecord:
    """What getSignatureStatuses tells. `confirmations` counts the blocks on top, None once finalized."""

    slot: int
    err: TransactionErrorJson | None
    commitment: CommitmentName
    confirmations: int | None


@dataclass(frozen=True, slots=True)
class SimulationRecord:
    """What simulateTransaction tells. Balances and tokens as in `LandedRecord`; `fee` as it would be charged.

    `post_accounts` holds every account of the transaction as it would be afterwards, a closed one with 0 lamports;
    it is empty when `err` is set.
    """

    err: TransactionErrorJson | None
    logs: tuple[str, ...]
    compute_units: int
    fee: int
    account_keys: tuple[str, ...]
    loaded_writable: tuple[str, ...]
    loaded_readonly: tuple[str, ...]
    pre_lamports: tuple[int, ...]
    post_lamports: tuple[int, ...]
    pre_tokens: tuple[TokenBalanceRecord, ...]
    post_tokens: tuple[TokenBalanceRecord, ...]
    post_accounts: dict[str, Account]
    inner_instructions: list[dict[str, Any]]
    return_data: dict[str, Any] | None
