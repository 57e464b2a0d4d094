"""The sandbox's chain: LiteSVM runs every transaction for real, this module adds time and memory.

What LiteSVM lacks and this adds: a slot clock with skipped slots (height is not slot), the 150-block window of
blockhashes, deduplication, nonce rules, commitment levels, forks, history, and persistence.

One thread owns it (the server's event loop); nothing here blocks for long or awaits.
Time is told to it: `tick(unix_time)` closes the current slot and opens the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from solders.account import Account
from solders.pubkey import Pubkey

CommitmentName = Literal["processed", "confirmed", "finalized"]
TransactionErrorJson = dict[str, Any] | str
"""A transaction error as the RPC prints it: `"BlockhashNotFound"` or `{"InstructionError": [2, {"Custom": 6001}]}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConfig:
    """Protocol constants and speed. Everything that mainnet changed this year is a field here.

    Attributes:
        slot_ms: Length of a slot; only the server's clock uses it.
        confirm_slots: A block is confirmed when this many slots follow it.
        finalize_slots: A block is finalized when this many slots follow it.
        skip_probability: Chance that a slot has no block.
        blockhash_life: Blocks for which a blockhash is accepted.
        lamports_per_byte: Rent; an account of n bytes needs (128 + n) times this.
        lamports_per_signature: Base fee.
        status_cache_slots: Signatures older than this are found only by searching history.
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

    `inner_instructions` is JSON-ready in the RPC's own form (compiled, base58 data).
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
class Refusal:
    """A transaction that did not enter a block: the error preflight reports, with logs and units if it ran."""

    err: TransactionErrorJson
    logs: tuple[str, ...] = ()
    compute_units: int = 0


@dataclass(frozen=True, slots=True)
class StatusRecord:
    """What getSignatureStatuses tells."""

    slot: int
    err: TransactionErrorJson | None
    commitment: CommitmentName
    confirmations: int | None


@dataclass(frozen=True, slots=True)
class SimulationRecord:
    """What simulateTransaction tells. Balances and tokens as in `LandedRecord`; `fee` as it would be charged."""

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


class Chain:
    """The one chain behind every node.

    `at_slot` arguments mean "as a node sees it whose newest slot is this one"; None means the head.
    """

    # ---- time
    def tick(self, unix_time: int) -> Block | None:
        """Close the current slot: persist it, advance, and open the next. None when the slot was skipped."""
        raise NotImplementedError

    def head_slot(self) -> int:
        """Slot now being filled."""
        raise NotImplementedError

    def slot_at(self, commitment: CommitmentName, *, at_slot: int | None = None) -> int:
        """Newest slot with a block at this commitment."""
        raise NotImplementedError

    def height_at(self, commitment: CommitmentName, *, at_slot: int | None = None) -> int:
        """Block height of that slot."""
        raise NotImplementedError

    def block(self, slot: int) -> Block | None:
        """The block of a slot; None if it was skipped or does not exist."""
        raise NotImplementedError

    # ---- blockhashes
    def latest_blockhash(self, commitment: CommitmentName, *, at_slot: int | None = None) -> tuple[str, int]:
        """Newest blockhash and its last valid block height."""
        raise NotImplementedError

    def is_blockhash_valid(self, blockhash: str, commitment: CommitmentName, *, at_slot: int | None = None) -> bool:
        """Whether the bank of this commitment would accept it. False if it is unknown or too new."""
        raise NotImplementedError

    # ---- transactions
    def submit(self, raw: bytes) -> LandedRecord | Refusal:
        """Run a transaction in the current slot, as a leader would.

        Landed (success, or failure with its fee charged) gives a record; not landed gives a refusal
        (`AlreadyProcessed`, `BlockhashNotFound`, `SignatureFailure`, `InsufficientFundsForFee`, `AccountNotFound`...).

        Raises:
            ValueError: The bytes are no transaction.
        """
        raise NotImplementedError

    def simulate(
        self, raw: bytes, *, sig_verify: bool, replace_blockhash: bool, at_slot: int | None = None
    ) -> SimulationRecord:
        """Run without leaving a trace, on the head's state (`at_slot` decides only which blockhashes are known)."""
        raise NotImplementedError

    def preflight(self, raw: bytes, commitment: CommitmentName, *, at_slot: int | None = None) -> Refusal | None:
        """What a node's preflight at this commitment says: None means it forwards."""
        raise NotImplementedError

    def fee_of(self, message: bytes) -> int:
        """Fee of a message in lamports, priority fee included."""
        raise NotImplementedError

    # ---- memory
    def status(self, signature: str, *, search_history: bool, at_slot: int | None = None) -> StatusRecord | None:
        """Status of a signature as a node at this slot sees it."""
        raise NotImplementedError

    def transaction(
        self, signature: str, commitment: CommitmentName, *, at_slot: int | None = None
    ) -> LandedRecord | None:
        """A landed transaction at or above this commitment."""
        raise NotImplementedError

    def signatures_for(
        self,
        address: str,
        *,
        commitment: CommitmentName,
        before: str | None,
        until: str | None,
        limit: int,
        at_slot: int | None = None,
    ) -> list[LandedRecord]:
        """History of an address, newest first."""
        raise NotImplementedError

    # ---- accounts
    def account(
        self, address: str | Pubkey, commitment: CommitmentName = "processed", *, at_slot: int | None = None
    ) -> Account | None:
        """An account as of this commitment."""
        raise NotImplementedError

    def token_accounts_of(
        self, owner: str, commitment: CommitmentName = "processed", *, at_slot: int | None = None
    ) -> list[tuple[str, Account]]:
        """Token accounts (both programs) of an owner, by index and not by scan."""
        raise NotImplementedError

    def program_accounts(
        self, program: str, commitment: CommitmentName = "processed", *, at_slot: int | None = None
    ) -> list[tuple[str, Account]]:
        """Accounts owned by a program."""
        raise NotImplementedError

    def set_account(self, address: str | Pubkey, account: Account) -> None:
        """Write an account by decree (genesis, market re-peg, oracle), as part of the current slot."""
        raise NotImplementedError

    def add_program(self, address: str | Pubkey, elf: bytes) -> None:
        """Deploy a program by decree (genesis)."""
        raise NotImplementedError

    def minimum_rent(self, data_bytes: int) -> int:
        """Lamports that make an account of this size rent exempt."""
        raise NotImplementedError

    # ---- misfortune
    def fork(self, depth: int, *, reinclude: float = 0.0) -> list[str]:
        """Drop the newest `depth` unfinalized slots: state, statuses and nonces go back.

        A dropped transaction is submitted again in the next slot with probability `reinclude` (if still valid).
        Returns the signatures that were dropped.
        """
        raise NotImplementedError

    # ---- listeners (WebSocket, Jupiter's landing watch); called synchronously, must not raise
    def on_slot(self, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call on every new slot; returns the way to stop."""
        raise NotImplementedError

    def on_landed(self, listener: Callable[[LandedRecord], None]) -> Callable[[], None]:
        """Call for every transaction that enters a block (processed); returns the way to stop."""
        raise NotImplementedError

    def on_account(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call with the address of every account written; returns the way to stop."""
        raise NotImplementedError


@dataclass(slots=True)
class NodeView:
    """One RPC node: a name, a lag in slots, and how far back it remembers.

    Attributes:
        lag_slots: How far its head is behind the chain's.
        remembers_slots: It answers null about anything older than this many slots; None remembers all.
        swallow: Probability that it accepts a transaction and never forwards it.
    """

    name: str
    chain: Chain
    lag_slots: int = 0
    remembers_slots: int | None = None
    swallow: float = 0.0

    @property
    def at_slot(self) -> int:
        """The newest slot this node knows."""
        return self.chain.head_slot() - self.lag_slots


def token_balances(accounts: Sequence[tuple[int, Account]]) -> tuple[TokenBalanceRecord, ...]:
    """Token balances of the token accounts among these (index, account) pairs."""
    raise NotImplementedError
