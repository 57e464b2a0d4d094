"""Solana in memory, told what to do: `ports.chain.Chain` for tests that need slots, heights and landings, not HTTP.

Nothing happens by itself. `advance` makes blocks, `land` puts a transaction into the current one, `fork` takes some
back; nodes lag, forget, swallow and break as their `FakeNode` says. What is sent only lands if `on_send` says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0, from_bytes_versioned
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.errors import NodeBehindError, NodeUnavailableError, RpcRejectedError, SniperForgeError
from sniperforge.ports.chain import (
    AccountInfo,
    BlockhashValidity,
    Commitment,
    LandedTransaction,
    LatestBlockhash,
    MintInfo,
    NodeHealth,
    PinnedNode,
    PriorityFeeSample,
    SendResult,
    SignatureRecord,
    SignatureStatus,
    SigningView,
    Simulation,
    StatusAnswer,
    TokenAccount,
    TokenBalance,
)

FIRST_SLOT = 1_000
FIRST_HEIGHT = 900
"""Heights run behind slots, as on the real chain, so that mixing them up shows."""

GENESIS_TIME = datetime(2026, 1, 1, tzinfo=UTC)
SYSTEM_PROGRAM = Address("11111111111111111111111111111111")
CLOCK_SYSVAR = Address("SysvarC1ock11111111111111111111111111111111")
"""Every cluster has this account."""


@dataclass(slots=True, kw_only=True)
class FakeNode:
    """How one node behaves.

    Attributes:
        lag_slots: Its newest slot is this far behind the chain's.
        remembers_slots: It answers "unknown" about anything older than this; None remembers everything.
        swallows: It accepts what is sent and forwards nothing.
        failure: Raised instead of any answer; a send tells it in its result.
    """

    name: str
    lag_slots: int = 0
    remembers_slots: int | None = None
    swallows: bool = False
    failure: SniperForgeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """What a transaction does when it lands. Accounts not named in `lamports` keep nothing, before and after."""

    err: str | None = None
    fee_lamports: int = 5_000
    lamports: Mapping[Address, tuple[int, int]] = field(default_factory=dict)
    loaded: tuple[Address, ...] = ()
    pre_tokens: tuple[TokenBalance, ...] = ()
    post_tokens: tuple[TokenBalance, ...] = ()
    logs: tuple[str, ...] = ()
    memo: str | None = None


class FakeReader:
    """`ports.chain.PinnedNode`: the chain as one node sees it."""

    def __init__(self, chain: FakeChain, node: FakeNode) -> None:
        self._chain = chain
        self._node = node

    @property
    def node(self) -> str:
        """Its name."""
        return self._node.name

    def slot(self, commitment: Commitment) -> int:
        self._answer()
        return self._slot(commitment)

    def block_height(self, commitment: Commitment) -> int:
        self._answer()
        return self._chain.height_of(self._slot(commitment))

    def latest_blockhash(self, commitment: Commitment = Commitment.CONFIRMED) -> LatestBlockhash:
        height = self.block_height(commitment)
        return LatestBlockhash(
            blockhash_of(height), height + self._chain.blockhash_life, self._slot(Commitment.PROCESSED)
        )

    def is_blockhash_valid(self, blockhash: str, commitment: Commitment = Commitment.CONFIRMED) -> BlockhashValidity:
        height = self.block_height(commitment)
        known = {blockhash_of(number) for number in range(height - self._chain.blockhash_life, height + 1)}
        return BlockhashValidity(blockhash in known, self._slot(commitment))

    def signature_statuses(self, signatures: Sequence[Signature], *, search_history: bool) -> StatusAnswer:
        self._answer()
        _refuse_more_than(256, signatures)
        found = tuple(self._status(signature, search_history=search_history) for signature in signatures)
        return StatusAnswer(self.node, self._slot(Commitment.PROCESSED), found)

    def transaction(self, signature: Signature, commitment: Commitment) -> LandedTransaction | None:
        self._answer()
        landed = self._known(signature)
        return landed if landed is not None and landed.slot <= self._slot(commitment) else None

    def signatures_for_address(
        self,
        address: Address,
        *,
        before: Signature | None = None,
        until: Signature | None = None,
        limit: int = 1000,
        commitment: Commitment = Commitment.FINALIZED,
    ) -> tuple[SignatureRecord, ...]:
        self._answer()
        edge = self._slot(commitment)
        newest_first: Iterator[LandedTransaction] = (
            landed
            for landed in reversed(self._chain.landed.values())
            if address in landed.accounts and landed.slot <= edge and self._known(landed.signature)
        )
        if before is None and until is None:
            newest_first = itertools.islice(newest_first, limit)
        found = list(newest_first)
        names = [landed.signature for landed in found]
        start = names.index(before) + 1 if before in names else 0
        end = names.index(until) if until in names else len(names)
        return tuple(
            SignatureRecord(item.signature, item.slot, item.err, self._chain.memos.get(item.signature), item.block_time)
            for item in found[start:end][:limit]
        )

    def simulate(
        self,
        transaction: bytes,
        *,
        commitment: Commitment = Commitment.CONFIRMED,
        min_context_slot: int | None = None,
    ) -> Simulation:
        self._answer()
        if min_context_slot is not None and min_context_slot > self._slot(commitment):
            raise NodeBehindError("the node has not reached the slot asked for", subject=self.node, code=-32016)
        self._chain.simulated.append(transaction)
        return replace(self._chain.on_simulate(transaction), node=self.node, slot=self._slot(commitment))

    def accounts(
        self, addresses: Sequence[Address], commitment: Commitment = Commitment.CONFIRMED
    ) -> tuple[AccountInfo | None, ...]:
        self._answer()
        _refuse_more_than(100, addresses)
        slot = self._slot(commitment)
        stored = [self._chain.stored.get(address) for address in addresses]
        return tuple(None if account is None else replace(account, slot=slot) for account in stored)

    def token_accounts(
        self,
        owner: Address,
        commitment: Commitment = Commitment.CONFIRMED,  # noqa: ARG002 (accounts have no history here)
    ) -> tuple[TokenAccount, ...]:
        self._answer()
        return tuple(account for account in self._chain.tokens.values() if account.owner == owner)

    def mint(
        self,
        mint: Mint,
        commitment: Commitment = Commitment.CONFIRMED,  # noqa: ARG002 (accounts have no history here)
    ) -> MintInfo | None:
        self._answer()
        return self._chain.mints.get(mint)

    def lookup_tables(self, tables: Sequence[Address]) -> dict[Address, tuple[Address, ...]]:
        self._answer()
        missing = [table for table in tables if table not in self._chain.tables]
        if missing:
            raise RpcRejectedError("there is no such lookup table", subject=missing[0], code=None)
        return {table: self._chain.tables[table] for table in tables}

    def signing_view(
        self,
        *,
        blockhash: str,
        wallet: Address,
        lookup_tables: Sequence[Address],
        accounts: Sequence[Address],
        beacon: Address,
    ) -> SigningView:
        control = self.signatures_for_address(beacon, limit=1)
        return SigningView(
            node=self.node,
            blockhash_valid=self.is_blockhash_valid(blockhash).valid,
            block_height=self.block_height(Commitment.CONFIRMED),
            slot=self.slot(Commitment.CONFIRMED),
            balances_slot=self.slot(Commitment.CONFIRMED),
            accounts=self.accounts(accounts),
            lookup_tables=self.lookup_tables(lookup_tables),
            token_accounts=self.token_accounts(wallet),
            control=control[0] if control else None,
        )

    def minimum_rent(self, data_bytes: int) -> int:
        self._answer()
        return (128 + data_bytes) * self._chain.lamports_per_byte

    def fee_for_message(self, message: bytes) -> int | None:
        parsed = from_bytes_versioned(message)
        if not self.is_blockhash_valid(str(parsed.recent_blockhash)).valid:
            return None
        return parsed.header.num_required_signatures * self._chain.lamports_per_signature

    def recent_priority_fees(
        self,
        writable_accounts: Sequence[Address],  # noqa: ARG002 (the same for every account here)
    ) -> tuple[PriorityFeeSample, ...]:
        self._answer()
        return tuple(self._chain.priority_fees)

    def genesis_hash(self) -> str:
        self._answer()
        return self._chain.genesis

    def _answer(self) -> None:
        if self._node.failure is not None:
            raise self._node.failure

    def _slot(self, commitment: Commitment) -> int:
        behind = {Commitment.PROCESSED: 0, Commitment.CONFIRMED: self._chain.confirm_slots}
        back = behind.get(commitment, self._chain.finalize_slots)
        return max(FIRST_SLOT, self._chain.head_slot - self._node.lag_slots - back)

    def _known(self, signature: Signature) -> LandedTransaction | None:
        landed = self._chain.landed.get(signature)
        head = self._slot(Commitment.PROCESSED)
        if landed is None or landed.slot > head:
            return None
        memory = self._node.remembers_slots
        return None if memory is not None and landed.slot < head - memory else landed

    def _status(self, signature: Signature, *, search_history: bool) -> SignatureStatus | None:
        landed = self._known(signature)
        if landed is None:
            return None
        if not search_history and landed.slot < self._slot(Commitment.PROCESSED) - self._chain.status_cache_slots:
            return None
        reached = [level for level in Commitment if landed.slot <= self._slot(level)]
        return SignatureStatus(signature, landed.slot, landed.err, reached[-1])


class FakeChain(FakeReader):
    """`ports.chain.Chain` over its `nodes`; questions that are not pinned go to the first one that does not fail.

    Attributes:
        sent: Every transaction handed to `send`, in order.
        simulated: Every transaction handed to `simulate`, in order.
        on_send: Decides what becomes of bytes that a node forwards: a `Landing`, or None if they stay out.
        on_simulate: Answers simulations; node and slot are filled in.
        landed: What is in blocks now, by signature, oldest first.
        stored, tokens, mints, tables: Accounts, as the questions tell them.
    """

    def __init__(self, *names: str) -> None:
        self.nodes = [FakeNode(name=name) for name in names or ("node-a",)]
        self.head_slot = FIRST_SLOT + 400
        self.blockhash_life = 150
        self.confirm_slots = 2
        self.finalize_slots = 32
        self.status_cache_slots = 300
        self.lamports_per_byte = 5_080
        self.lamports_per_signature = 5_000
        self.genesis = str(Hash.hash(b"genesis"))
        self.sent: list[bytes] = []
        self.simulated: list[bytes] = []
        self.on_send: Callable[[bytes], Landing | None] = lambda _: None
        self.on_simulate: Callable[[bytes], Simulation] = _not_scripted
        self.landed: dict[Signature, LandedTransaction] = {}
        self.memos: dict[Signature, str] = {}
        self.stored: dict[Address, AccountInfo] = {}
        self.tokens: dict[Address, TokenAccount] = {}
        self.mints: dict[Mint, MintInfo] = {}
        self.tables: dict[Address, tuple[Address, ...]] = {}
        self.priority_fees: list[PriorityFeeSample] = []
        self.set_account(CLOCK_SYSVAR)
        self._skipped: set[int] = set()
        self._strangers = itertools.count(1)
        super().__init__(self, self.nodes[0])

    # ---- what tests tell it
    def advance(self, blocks: int = 1) -> None:
        """This many more blocks."""
        self.head_slot += blocks

    def skip(self, slots: int = 1) -> None:
        """This many slots without a block: slots go on, heights do not."""
        self._skipped.update(range(self.head_slot + 1, self.head_slot + slots + 1))
        self.head_slot += slots

    def finalize(self) -> None:
        """Enough blocks that everything up to now is final."""
        self.advance(self.finalize_slots)

    def land(self, transaction: bytes, landing: Landing | None = None) -> Signature:
        """Put a transaction into the current block, whatever its blockhash.

        Raises:
            ValueError: It is in a block already.
        """
        parsed = VersionedTransaction.from_bytes(transaction)
        signature = Signature(str(parsed.signatures[0]))
        if signature in self.landed:
            message = f"{signature} has already been processed"
            raise ValueError(message)
        effect = landing or Landing()
        keys = tuple(Address(str(key)) for key in parsed.message.account_keys) + effect.loaded
        balances = [effect.lamports.get(key, (0, 0)) for key in keys]
        version = parsed.version()
        self.landed[signature] = LandedTransaction(
            signature=signature,
            slot=self.head_slot,
            block_time=GENESIS_TIME + timedelta(milliseconds=200 * self.head_slot),
            version=_version(version if isinstance(version, int) else "legacy"),
            transaction=transaction,
            err=effect.err,
            fee_lamports=effect.fee_lamports,
            accounts=keys,
            pre_lamports=tuple(pre for pre, _ in balances),
            post_lamports=tuple(post for _, post in balances),
            pre_tokens=effect.pre_tokens,
            post_tokens=effect.post_tokens,
            logs=effect.logs,
            compute_units=150,
        )
        if effect.memo is not None:
            self.memos[signature] = effect.memo
        return signature

    def land_somebody_elses(self) -> Signature:
        """A transaction of nobody we know (a control signature), in the current block."""
        payer = Keypair.from_seed(next(self._strangers).to_bytes(32, "big"))
        return self.land(transaction_of(payer, blockhash_of(self.height_of(self.head_slot))))

    def fork(self, slots: int) -> list[Signature]:
        """Take the transactions of the newest slots back; they may land again. What is final stays."""
        after = max(self.head_slot - slots, self.head_slot - self.finalize_slots)
        gone = [signature for signature, landed in self.landed.items() if landed.slot > after]
        for signature in gone:
            del self.landed[signature]
        return gone

    def break_node(self, failure: SniperForgeError | None, name: str | None = None) -> None:
        """Make a node (the first one, if not named) raise this, or mend it with None."""
        self._named(name or self.nodes[0].name).failure = failure

    def set_account(
        self, address: Address, *, lamports: int = 1, owner: Address = SYSTEM_PROGRAM, data: bytes = b""
    ) -> None:
        """Store an account."""
        self.stored[address] = AccountInfo(address, lamports, owner, data, executable=False, slot=0)

    def set_token_account(self, account: TokenAccount) -> None:
        """Store a token account."""
        self.tokens[account.address] = account

    def height_of(self, slot: int) -> int:
        """Block height of a slot."""
        return FIRST_HEIGHT + slot - FIRST_SLOT - sum(FIRST_SLOT < skipped <= slot for skipped in self._skipped)

    # ---- ports.chain.Chain, beyond the questions
    @contextmanager
    def pinned(self, node: str | None = None, *, other_than: str | None = None) -> Iterator[PinnedNode]:
        """One node, as the port says."""
        if node is not None:
            yield FakeReader(self, self._named(node))
            return
        healthy = [item for item in self.nodes if item.failure is None and item.name != other_than]
        if not healthy:
            raise NodeUnavailableError("no node is healthy", subject="fake chain")
        yield FakeReader(self, healthy[0])

    def send(
        self,
        transaction: bytes,
        *,
        skip_preflight: bool = True,  # noqa: ARG002 (there is no preflight here)
    ) -> tuple[SendResult, ...]:
        """Hand these bytes to every node; they land as `on_send` says, once, while their blockhash lives."""
        self.sent.append(transaction)
        return tuple(self._send(node, transaction) for node in self.nodes)

    def health(self) -> tuple[NodeHealth, ...]:
        """Every node, as it is set."""
        return tuple(
            NodeHealth(
                node=node.name,
                healthy=node.failure is None,
                slot=None if node.failure else self.head_slot - node.lag_slots,
                slots_behind=None if node.failure else node.lag_slots,
                latency_ms=0.0,
                version="3.1.0",
                problem=None if node.failure is None else str(node.failure),
            )
            for node in self.nodes
        )

    def _send(self, node: FakeNode, transaction: bytes) -> SendResult:
        if node.failure is not None:
            return SendResult(node.name, accepted=False, already_processed=False, error=str(node.failure))
        parsed = VersionedTransaction.from_bytes(transaction)
        if Signature(str(parsed.signatures[0])) not in self.landed and not node.swallows:
            alive = self.is_alive(str(parsed.message.recent_blockhash))
            landing = self.on_send(transaction) if alive else None
            if landing is not None:
                self.land(transaction, landing)
        return SendResult(node.name, accepted=True, already_processed=False, error=None)

    def is_alive(self, blockhash: str) -> bool:
        """Whether the chain itself would still take a transaction with this blockhash."""
        height = self.height_of(self.head_slot)
        return any(blockhash_of(number) == blockhash for number in range(height - self.blockhash_life, height + 1))

    def _answer(self) -> None:
        first = self.nodes[0]
        self._node = next((node for node in self.nodes if node.failure is None), first)
        super()._answer()

    def _named(self, name: str) -> FakeNode:
        for node in self.nodes:
            if node.name == name:
                return node
        raise NodeUnavailableError("no such node", subject=name)


def blockhash_of(height: int) -> str:
    """The blockhash of a height; the same in every fake chain."""
    return str(Hash.hash(height.to_bytes(8, "big")))


def transaction_of(payer: Keypair, blockhash: str) -> bytes:
    """A signed transaction that does nothing."""
    return bytes(
        VersionedTransaction(MessageV0.try_compile(payer.pubkey(), [], [], Hash.from_string(blockhash)), [payer])
    )


def _version(version: object) -> Literal["legacy", 0, 1]:
    return "legacy" if version == "legacy" else 1 if version == 1 else 0


def _refuse_more_than(most: int, items: Sequence[str]) -> None:
    if len(items) > most:
        raise RpcRejectedError(f"{len(items)} items, and one question takes {most}", code=-32602)


def _not_scripted(_: bytes) -> Simulation:
    message = "set FakeChain.on_simulate: this test simulates, and nothing says with what result"
    raise AssertionError(message)
