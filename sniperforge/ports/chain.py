"""What SniperForge asks of Solana. Plain methods; whatever is asynchronous stays behind the adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from sniperforge.domain.money import Address, Mint, Signature


class Commitment(StrEnum):
    """How settled an answer must be. Only `FINALIZED` closes books."""

    PROCESSED = "processed"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class LatestBlockhash:
    """A blockhash and the block height after which the node stops accepting it."""

    blockhash: str
    last_valid_block_height: int
    slot: int


@dataclass(frozen=True, slots=True)
class BlockhashValidity:
    """Whether a node accepts this blockhash. False also means "too new for this node"."""

    valid: bool
    slot: int


@dataclass(frozen=True, slots=True)
class SignatureStatus:
    """What a node knows of a signature. `err` is the transaction error as canonical JSON, None for success."""

    signature: Signature
    slot: int
    err: str | None
    commitment: Commitment


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """One answer about several signatures, in the order asked; None means "not known to this node"."""

    node: str
    slot: int
    statuses: tuple[SignatureStatus | None, ...]


@dataclass(frozen=True, slots=True)
class TokenBalance:
    """One token account's amount before or after a transaction."""

    account: Address
    mint: Mint
    owner: Address | None
    program: Address | None
    raw: int
    decimals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedTransaction:
    """A transaction as the chain recorded it. An account missing from one side of the token balances counts 0 there.

    Attributes:
        transaction: Its exact bytes.
        accounts: Static keys, loaded writable, loaded readonly; `pre_lamports`/`post_lamports` follow this order.
        err: Transaction error as canonical JSON, None for success.
        block_time: The block's time, if the node has it.
    """

    signature: Signature
    slot: int
    block_time: datetime | None
    version: Literal["legacy", 0, 1]
    transaction: bytes
    err: str | None
    fee_lamports: int
    accounts: tuple[Address, ...]
    pre_lamports: tuple[int, ...]
    post_lamports: tuple[int, ...]
    pre_tokens: tuple[TokenBalance, ...]
    post_tokens: tuple[TokenBalance, ...]
    logs: tuple[str, ...]
    compute_units: int | None


@dataclass(frozen=True, slots=True)
class SignatureRecord:
    """One line of an address's history."""

    signature: Signature
    slot: int
    err: str | None
    memo: str | None
    block_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What a node says a message would do, pre and post taken from one answer."""

    node: str
    slot: int
    err: str | None
    logs: tuple[str, ...]
    compute_units: int | None
    fee_lamports: int | None
    accounts: tuple[Address, ...]
    pre_lamports: tuple[int, ...]
    post_lamports: tuple[int, ...]
    pre_tokens: tuple[TokenBalance, ...]
    post_tokens: tuple[TokenBalance, ...]


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """An account as stored on chain."""

    address: Address
    lamports: int
    owner: Address
    data: bytes
    executable: bool
    slot: int


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """A token account of a wallet (either token program)."""

    address: Address
    mint: Mint
    owner: Address
    program: Address
    raw: int
    decimals: int
    lamports: int
    frozen: bool
    delegate: Address | None


@dataclass(frozen=True, slots=True)
class MintInfo:
    """A mint account, decoded.

    Attributes:
        transfer_fee_bps: Token-2022 transfer fee in force, None without that extension.
        transfer_hook: Program called on every transfer, if any.
        default_frozen: New token accounts of this mint start frozen.
        extensions: Names of the Token-2022 extensions present.
    """

    mint: Mint
    program: Address
    decimals: int
    supply_raw: int
    mint_authority: Address | None
    freeze_authority: Address | None
    transfer_fee_bps: int | None = None
    transfer_fee_max_raw: int | None = None
    transfer_hook: Address | None = None
    permanent_delegate: Address | None = None
    default_frozen: bool = False
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """One RPC node as last seen. `problem` is a sentence when `healthy` is False."""

    node: str
    healthy: bool
    slot: int | None
    slots_behind: int | None
    latency_ms: float | None
    version: str | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningView:
    """What one node said, in one request, about everything a signature stands on, at `confirmed`.

    Attributes:
        blockhash_valid: The node would accept a transaction with the blockhash asked about.
        block_height: Of a slot no earlier than the one in which the blockhash was judged (rule *own-bound*).
        slot: The slot of that height.
        balances_slot: No balance here is from before this slot; a later transaction may already be counted in it.
        accounts: In the order asked; None where none exists.
        lookup_tables: Contents of the lookup tables asked about.
        token_accounts: All token accounts of the wallet asked about.
        control: The newest finalized transaction that names the beacon, if any (rule *controls*).
    """

    node: str
    blockhash_valid: bool
    block_height: int
    slot: int
    balances_slot: int
    accounts: tuple[AccountInfo | None, ...]
    lookup_tables: Mapping[Address, tuple[Address, ...]]
    token_accounts: tuple[TokenAccount, ...]
    control: SignatureRecord | None


@dataclass(frozen=True, slots=True)
class PriorityFeeSample:
    """Priority fee paid in one recent slot, micro-lamports per compute unit."""

    slot: int
    micro_lamports: int


class ChainReader(Protocol):
    """Questions to Solana.

    Every method raises `NodeUnavailableError`, `NodeBehindError` or `RateLimitedError` (try again),
    `RpcRejectedError` (the question itself is wrong) or `ProtocolError` (an answer that makes no sense).
    """

    def block_height(self, commitment: Commitment) -> int:
        """Number of blocks (not slots) up to this commitment."""
        ...

    def slot(self, commitment: Commitment) -> int:
        """Current slot."""
        ...

    def latest_blockhash(self, commitment: Commitment = Commitment.CONFIRMED) -> LatestBlockhash:
        """A fresh blockhash."""
        ...

    def is_blockhash_valid(self, blockhash: str, commitment: Commitment = Commitment.CONFIRMED) -> BlockhashValidity:
        """Whether the node would accept a transaction with this blockhash now."""
        ...

    def signature_statuses(self, signatures: Sequence[Signature], *, search_history: bool) -> StatusAnswer:
        """Up to 256 signatures in one answer of one node."""
        ...

    def transaction(self, signature: Signature, commitment: Commitment) -> LandedTransaction | None:
        """A landed transaction with its balances, or None if this node does not have it (which proves nothing)."""
        ...

    def signatures_for_address(
        self,
        address: Address,
        *,
        before: Signature | None = None,
        until: Signature | None = None,
        limit: int = 1000,
        commitment: Commitment = Commitment.FINALIZED,
    ) -> tuple[SignatureRecord, ...]:
        """History that names the address, newest first. Deposits into its token accounts do not appear here."""
        ...

    def simulate(
        self,
        transaction: bytes,
        *,
        commitment: Commitment = Commitment.CONFIRMED,
        min_context_slot: int | None = None,
    ) -> Simulation:
        """Run the message without checking signatures. Send it unsigned: signed bytes leave only by `send`."""
        ...

    def accounts(
        self, addresses: Sequence[Address], commitment: Commitment = Commitment.CONFIRMED
    ) -> tuple[AccountInfo | None, ...]:
        """Accounts in the order asked, all from one slot (up to 100); None where none exists."""
        ...

    def token_accounts(self, owner: Address, commitment: Commitment = Commitment.CONFIRMED) -> tuple[TokenAccount, ...]:
        """Token accounts of a wallet, of the Token and the Token-2022 program."""
        ...

    def mint(self, mint: Mint, commitment: Commitment = Commitment.CONFIRMED) -> MintInfo | None:
        """A mint account decoded, None if there is none at this address."""
        ...

    def lookup_tables(self, tables: Sequence[Address]) -> dict[Address, tuple[Address, ...]]:
        """Contents of address lookup tables.

        Raises:
            RpcRejectedError: One of them does not exist or is no lookup table.
        """
        ...

    def signing_view(
        self,
        *,
        blockhash: str,
        wallet: Address,
        lookup_tables: Sequence[Address],
        accounts: Sequence[Address],
        beacon: Address,
    ) -> SigningView:
        """Everything that must be known before signing, from one node in one request.

        Args:
            blockhash: The transaction's.
            wallet: Whose token accounts are listed.
            lookup_tables: Tables whose contents are needed.
            accounts: Further accounts (with the tables up to 100).
            beacon: A busy address, whose newest finalized transaction serves as a control.

        Raises:
            RpcRejectedError: A table does not exist or is no lookup table.
            NodeBehindError: The node answered about the height from an earlier slot than about the blockhash.
        """
        ...

    def minimum_rent(self, data_bytes: int) -> int:
        """Lamports that make an account of this size rent exempt, as of now."""
        ...

    def fee_for_message(self, message: bytes) -> int | None:
        """Fee of a message in lamports; None when the node does not know its blockhash."""
        ...

    def recent_priority_fees(self, writable_accounts: Sequence[Address]) -> tuple[PriorityFeeSample, ...]:
        """Priority fees of recent slots that locked these accounts (stock nodes report each slot's minimum)."""
        ...

    def genesis_hash(self) -> str:
        """Which cluster this is."""
        ...


class PinnedNode(ChainReader, Protocol):
    """One node: every answer comes from it, in the order asked. Fails rather than fail over."""

    @property
    def node(self) -> str:
        """Its name, as in the settings."""
        ...


@dataclass(frozen=True, slots=True)
class SendResult:
    """What one node answered to these bytes. No answer is a proof of anything about the transaction.

    Attributes:
        accepted: The node said it forwards.
        already_processed: The node says this transaction is known to it: look it up.
        error: Anything else it said.
    """

    node: str
    accepted: bool
    already_processed: bool
    error: str | None


class Chain(ChainReader, Protocol):
    """Solana through one or several nodes; reads go to a healthy one."""

    def pinned(self, node: str | None = None, *, other_than: str | None = None) -> AbstractContextManager[PinnedNode]:
        """One node for questions that must be answered by the same node in one order.

        Args:
            node: That one; otherwise the healthiest.
            other_than: Not this one (a second opinion).

        Raises:
            NodeUnavailableError: No such node, or none is healthy.
        """
        ...

    def send(self, transaction: bytes, *, skip_preflight: bool = True) -> tuple[SendResult, ...]:
        """Hand exactly these bytes to every configured node once: no retry, no change, `maxRetries` 0.

        Never raises for what a node answers or fails to answer; the results say it.
        """
        ...

    def health(self) -> tuple[NodeHealth, ...]:
        """Every configured node, asked now, by the methods that are used."""
        ...
