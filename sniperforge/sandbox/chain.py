"""The sandbox's chain: LiteSVM runs every transaction for real, this module adds time and memory.

What LiteSVM lacks and this adds: a slot clock with skipped slots (height is not slot), the 150-block window of
blockhashes, deduplication, nonce rules, commitment levels, forks, history, and persistence.

One thread owns it (the server's event loop); nothing here blocks for long or awaits.
Time is told to it: `tick(unix_time)` closes the current slot and opens the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from solders.account import Account
from solders.hash import Hash
from solders.pubkey import Pubkey

from sniperforge.sandbox import nonces
from sniperforge.sandbox.account_store import AccountStore
from sniperforge.sandbox.execution_records import landed_record, simulation_record
from sniperforge.sandbox.fees import fee_lamports
from sniperforge.sandbox.history import History
from sniperforge.sandbox.ledger import Ledger
from sniperforge.sandbox.records import (
    Block,
    ChainConfig,
    CommitmentName,
    LandedRecord,
    Refusal,
    SignatureRecord,
    SimulationRecord,
    StatusRecord,
    TokenBalanceRecord,
    TransactionErrorJson,
)
from sniperforge.sandbox.runtime import Execution, Runtime
from sniperforge.sandbox.timeline import BLOCKS_REMEMBERED, FIRST_SLOT, BlockMark, Timeline, genesis_block
from sniperforge.sandbox.wire import ParsedTransaction, parse, parse_message

__all__ = [
    "Block",
    "Chain",
    "ChainConfig",
    "CommitmentName",
    "LandedRecord",
    "NodeView",
    "Refusal",
    "SignatureRecord",
    "SimulationRecord",
    "StatusRecord",
    "TokenBalanceRecord",
    "TransactionErrorJson",
]

LAGGING_SLOTS = 64
"""Accounts are remembered this many slots further back than finality needs, for nodes that lag."""

_Heard = TypeVar("_Heard")


class Chain:
    """The one chain behind every node.

    `at_slot` arguments mean "as a node sees it whose newest slot is this one"; None means the head.

    Args:
        config: Protocol constants and speed.
        path: The file that remembers the chain, created if it is missing; None keeps it in memory only.
        unix_time: Time of the first slot, or of the first after a restart (it never goes back).

    Raises:
        StorageError: The file is damaged, foreign, of another seed, or in use by another process.
            Any method may raise it when the disk fails; the chain must then be opened again.
    """

    def __init__(self, config: ChainConfig, path: Path | None, *, unix_time: int) -> None:
        self.config = config
        self._ledger = Ledger(path)
        self._runtime = Runtime(config)
        self._accounts = AccountStore(self._runtime, self._ledger, self._account_written)
        self._history = History(self._ledger)
        self._open_signatures: list[str] = []
        self._slot_listeners: list[Callable[[int], None]] = []
        self._landed_listeners: list[Callable[[LandedRecord], None]] = []
        self._account_listeners: list[Callable[[str], None]] = []
        meta = self._ledger.meta()
        self.is_new = not meta
        """Whether genesis has to be written: when it was opened, no slot had ever been closed."""
        self._forks = meta.get("forks", 0)
        self._slot_time = max(unix_time, meta.get("slot_time", unix_time))
        if self.is_new:
            first = genesis_block(config, unix_time)
            self._ledger.put_block(first)
            self._timeline = Timeline(
                config, [BlockMark.of(first.slot, first.height, first.blockhash)], first.slot + 1, 0
            )
        else:
            self._timeline = self._load(meta)
        self._enter_slot()

    def _load(self, meta: Mapping[str, int]) -> Timeline:
        if meta["seed"] != self.config.seed:
            self.close()
            raise self._ledger.unusable(
                f"this chain was started with seed {meta['seed']}, not {self.config.seed}",
                f"Use seed {meta['seed']}, or another home",
            )
        timeline = Timeline(self.config, self._ledger.marks(BLOCKS_REMEMBERED), meta["head_slot"], meta["pauses"])
        self._accounts.load()
        self._history.load(
            from_slot=timeline.head_slot - self.config.status_cache_slots,
            from_height=timeline.height_of(timeline.head_slot) - self.config.blockhash_life,
        )
        return timeline

    def close(self) -> None:
        """Close the file. What the open slot did is lost, as it would be in a crash."""
        self._ledger.close()

    # ---- time
    def tick(self, unix_time: int) -> Block | None:
        """Close the current slot: persist it, advance, and open the next.

        A slot without a block takes a tick too: then nothing is closed and the answer is None. What is submitted
        meanwhile goes to the next leader, whose slot is already open.
        """
        timeline = self._timeline
        if timeline.pauses:
            timeline.pauses -= 1
            return None
        block = timeline.closing(self._slot_time, tuple(self._open_signatures), salt=self._forks)
        timeline.close(block)
        self._slot_time = max(self._slot_time, unix_time)
        oldest = block.slot - self.config.finalize_slots - LAGGING_SLOTS
        self._accounts.save_slot(block.slot, forget_below=oldest)
        self._ledger.put_block(block)
        self._commit()
        self._history.forget(
            below_slot=timeline.head_slot - self.config.status_cache_slots,
            below_height=block.height + 1 - self.config.blockhash_life,
        )
        self._open_signatures.clear()
        self._enter_slot()
        return block

    def head_slot(self) -> int:
        """Slot now being filled."""
        return self._timeline.head_slot

    def slot_at(self, commitment: CommitmentName, *, at_slot: int | None = None) -> int:
        """Newest slot with a block at this commitment."""
        return self._timeline.slot_at(commitment, at_slot)

    def height_at(self, commitment: CommitmentName, *, at_slot: int | None = None) -> int:
        """Block height of that slot."""
        return self._timeline.height_of(self.slot_at(commitment, at_slot=at_slot))

    def block(self, slot: int) -> Block | None:
        """The block of a slot; None if it was skipped, does not exist, or is still open."""
        return self._ledger.block(slot)

    # ---- blockhashes
    def latest_blockhash(self, commitment: CommitmentName, *, at_slot: int | None = None) -> tuple[str, int]:
        """Newest blockhash and its last valid block height."""
        mark = self._timeline.newest(self.slot_at(commitment, at_slot=at_slot))
        return mark.blockhash, self._timeline.last_valid_height(mark)

    def is_blockhash_valid(self, blockhash: str, commitment: CommitmentName, *, at_slot: int | None = None) -> bool:
        """Whether the bank of this commitment would accept it. False if it is unknown or too new."""
        return self._timeline.accepts(blockhash, self.slot_at(commitment, at_slot=at_slot))

    # ---- transactions
    def submit(self, raw: bytes) -> LandedRecord | Refusal:
        """Run a transaction in the current slot, as a leader would.

        Landed (success, or failure with its fee charged) gives a record; not landed gives a refusal
        (`AlreadyProcessed`, `BlockhashNotFound`, `SignatureFailure`, `InsufficientFundsForFee`, `AccountNotFound`...).

        Raises:
            ValueError: The bytes are no transaction.
        """
        parsed = parse(raw)
        outcome = self._run(parsed)
        return outcome if isinstance(outcome, Refusal) else self._landed(parsed, outcome)

    def submit_together(self, raws: Sequence[bytes]) -> list[LandedRecord] | Refusal:
        """Run transactions in the current slot one after another, all or none, as a block engine's bundle runs.

        The first one that is refused or fails takes back those before it: nothing lands and no fee is charged.

        Raises:
            ValueError: Some bytes are no transaction.
        """
        ran: dict[bytes, tuple[ParsedTransaction, Execution]] = {}
        for parsed in [parse(raw) for raw in raws]:
            outcome = Refusal("AlreadyProcessed") if parsed.message_hash in ran else self._run(parsed)
            if isinstance(outcome, Execution):
                ran[parsed.message_hash] = parsed, outcome
                if outcome.err is None:
                    continue
                outcome = Refusal(outcome.err, outcome.logs, outcome.compute_units)
            for _, execution in reversed(ran.values()):
                self._runtime.take_back(execution)
            return outcome
        return [self._landed(parsed, execution) for parsed, execution in ran.values()]

    def simulate(
        self, raw: bytes, *, sig_verify: bool, replace_blockhash: bool, at_slot: int | None = None
    ) -> SimulationRecord:
        """Run without leaving a trace, on the head's state (`at_slot` decides only which blockhashes are known).

        Raises:
            ValueError: The bytes are no transaction.
        """
        parsed = parse(raw)
        slot = self.head_slot() if at_slot is None else at_slot
        refusal: Refusal | None = None
        if sig_verify and not parsed.signatures_verify():
            refusal = Refusal("SignatureFailure")
        elif not replace_blockhash:
            refusal = self._unacceptable(parsed, slot, self._nonce_used(parsed, slot))
        if refusal is None:
            execution = self._runtime.simulate(parsed, self._bank_blockhash)
        else:
            execution = self._runtime.refused(parsed, refusal)
        return simulation_record(execution, self._runtime.decimals_of)

    def preflight(self, raw: bytes, commitment: CommitmentName, *, at_slot: int | None = None) -> Refusal | None:
        """What a node's preflight at this commitment says: None means it forwards.

        A transaction that landed in a newer slot than the one it looks at is forwarded: that bank has not seen it.

        Raises:
            ValueError: The bytes are no transaction.
        """
        parsed = parse(raw)
        if not parsed.signatures_verify():
            return Refusal("SignatureFailure")
        slot = self.slot_at(commitment, at_slot=at_slot)
        landed_at = self._history.slot_of_message(parsed.message_hash)
        if landed_at is not None and landed_at > slot:
            return None
        simulated = self.simulate(raw, sig_verify=False, replace_blockhash=False, at_slot=slot)
        if simulated.err is None:
            return None
        return Refusal(simulated.err, simulated.logs, simulated.compute_units)

    def fee_of(self, message: bytes) -> int:
        """Fee of a message in lamports, priority fee included.

        Raises:
            ValueError: The bytes are no message.
        """
        return fee_lamports(parse_message(message), self.config.lamports_per_signature)

    # ---- memory
    def status(self, signature: str, *, search_history: bool, at_slot: int | None = None) -> StatusRecord | None:
        """Status of a signature as a node at this slot sees it."""
        head = self.head_slot() if at_slot is None else at_slot
        found = self._history.outcome(
            signature, cached_from_slot=head - self.config.status_cache_slots, search=search_history
        )
        if found is None or found[0] > head:
            return None
        slot, err = found
        commitment = self._timeline.commitment_of(slot, at_slot)
        if commitment == "finalized":
            return StatusRecord(slot, err, commitment, None)
        on_top = self._timeline.height_of(head) - self._timeline.height_of(slot)
        return StatusRecord(slot, err, commitment, on_top)

    def transaction(
        self, signature: str, commitment: CommitmentName, *, at_slot: int | None = None
    ) -> LandedRecord | None:
        """A landed transaction at or above this commitment."""
        record = self._history.record(signature)
        if record is None or record.slot > self.slot_at(commitment, at_slot=at_slot):
            return None
        return record

    def signatures_for(
        self,
        address: str,
        *,
        commitment: CommitmentName,
        before: str | None,
        until: str | None,
        limit: int,
        at_slot: int | None = None,
    ) -> list[SignatureRecord]:
        """History of an address, newest first, between two signatures (both excluded).

        An unknown `before` gives nothing and an unknown `until` no bound, as at Agave.
        """
        up_to_slot = self.slot_at(commitment, at_slot=at_slot)
        return self._ledger.signatures_for(address, before=before, until=until, up_to_slot=up_to_slot, limit=limit)

    # ---- accounts
    def account(
        self, address: str | Pubkey, commitment: CommitmentName = "processed", *, at_slot: int | None = None
    ) -> Account | None:
        """An account as of this commitment (the oldest value remembered, if that is older than memory goes)."""
        return self._accounts.at(_pubkey(address), self.slot_at(commitment, at_slot=at_slot))

    def token_accounts_of(
        self, owner: str, commitment: CommitmentName = "processed", *, at_slot: int | None = None
    ) -> list[tuple[str, Account]]:
        """Token accounts (both programs) of an owner, by index and not by scan."""
        return self._accounts.of_token_owner(_pubkey(owner), self.slot_at(commitment, at_slot=at_slot))

    def program_accounts(
        self, program: str, commitment: CommitmentName = "processed", *, at_slot: int | None = None
    ) -> list[tuple[str, Account]]:
        """Accounts owned by a program."""
        return self._accounts.of_program(_pubkey(program), self.slot_at(commitment, at_slot=at_slot))

    def set_account(self, address: str | Pubkey, account: Account) -> None:
        """Write an account by decree (genesis, market re-peg, oracle), as part of the current slot.

        Before the first tick of a new chain it becomes part of genesis: finalized at once.
        """
        if self.is_new and self.head_slot() == FIRST_SLOT:
            self._accounts.set_for_ever(_pubkey(address), account)
        else:
            self._accounts.set(_pubkey(address), account, self.head_slot())

    def add_program(self, address: str | Pubkey, elf: bytes) -> None:
        """Deploy a program by decree (genesis); no fork takes it back."""
        self._runtime.add_program(_pubkey(address), elf)
        self._ledger.add_program(_pubkey(address), elf)

    def minimum_rent(self, data_bytes: int) -> int:
        """Lamports that make an account of this size rent exempt."""
        return self._runtime.minimum_rent(data_bytes)

    # ---- misfortune
    def fork(self, depth: int, *, reinclude: float = 0.0) -> list[str]:
        """Drop the newest `depth` unfinalized slots: state, statuses and nonces go back.

        A dropped transaction is submitted again in the next slot with probability `reinclude` (if still valid).
        Returns the signatures that were dropped.

        Raises:
            ValueError: That would take back what is finalized.
        """
        last_kept = self.head_slot() - depth
        if depth < 1 or last_kept < self.slot_at("finalized"):
            most = self.head_slot() - self.slot_at("finalized")
            raise ValueError(f"a fork is 1 to {most} slots deep now, not {depth}: finalized blocks stay")
        self._forks += 1
        dropped = self._history.rewind(last_kept)
        restored = self._accounts.rewind(last_kept)
        self._open_signatures.clear()
        self._timeline.rewind(last_kept)
        self._accounts.save()
        self._commit()
        for address in restored:
            self._account_written(address)
        self._enter_slot()
        for record in dropped:
            if self._included_again(record.signature, reinclude):
                self.submit(record.raw)
        return [record.signature for record in dropped]

    # ---- listeners (WebSocket, Jupiter's landing watch); called synchronously, must not raise
    def on_slot(self, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call on every new slot; returns the way to stop."""
        return _listen(self._slot_listeners, listener)

    def on_landed(self, listener: Callable[[LandedRecord], None]) -> Callable[[], None]:
        """Call for every transaction that enters a block (processed); returns the way to stop."""
        return _listen(self._landed_listeners, listener)

    def on_account(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call with the address of every account written; returns the way to stop."""
        return _listen(self._account_listeners, listener)

    # ---- inside
    def _enter_slot(self) -> None:
        mark = self._timeline.newest()
        self._bank_blockhash = Hash.from_string(mark.blockhash)
        self._runtime.enter_slot(self.head_slot(), self._slot_time, self._timeline.slot_hashes())
        for listener in tuple(self._slot_listeners):
            listener(self.head_slot())

    def _run(self, parsed: ParsedTransaction) -> Execution | Refusal:
        """Run a transaction that the head's bank accepts; what it wrote is in the runtime only."""
        if not parsed.signatures_verify():
            return Refusal("SignatureFailure")
        nonce = self._nonce_used(parsed, self.head_slot())
        refusal = self._unacceptable(parsed, self.head_slot(), nonce)
        return refusal or self._runtime.run(parsed, self._bank_blockhash, nonce)

    def _landed(self, parsed: ParsedTransaction, execution: Execution) -> LandedRecord:
        """Write down a transaction that ran, and tell whoever listens."""
        slot = self.head_slot()
        record = landed_record(
            parsed,
            execution,
            slot=slot,
            index=len(self._open_signatures),
            unix_time=self._slot_time,
            decimals_of=self._runtime.decimals_of,
        )
        self._history.add(record, parsed.message_hash, self.height_at("processed"))
        self._open_signatures.append(record.signature)
        for address, before, after in zip(execution.keys.keys, execution.before, execution.after, strict=True):
            if before != after:
                self._accounts.written(address, before, after, slot)
        for listener in tuple(self._landed_listeners):
            listener(record)
        return record

    def _commit(self) -> None:
        self._ledger.commit(
            {
                "seed": self.config.seed,
                "head_slot": self.head_slot(),
                "pauses": self._timeline.pauses,
                "slot_time": self._slot_time,
                "forks": self._forks,
            }
        )

    def _nonce_used(self, parsed: ParsedTransaction, slot: int) -> Pubkey | None:
        """The nonce account that a transaction without a recent blockhash is rightly bound to."""
        if self._timeline.accepts(parsed.blockhash, slot):
            return None
        address = nonces.advancing_account(parsed)
        if address is None:
            return None
        nonce = nonces.read(self._runtime.account(address))
        if nonce is None or not nonces.may_use(parsed, nonce, bank_blockhash=self._bank_blockhash):
            return None
        return address

    def _unacceptable(self, parsed: ParsedTransaction, slot: int, nonce: Pubkey | None) -> Refusal | None:
        """Age first, duplicates second, as Agave's `check_transactions` does."""
        if nonce is None and not self._timeline.accepts(parsed.blockhash, slot):
            return Refusal("BlockhashNotFound")
        landed_at = self._history.slot_of_message(parsed.message_hash)
        return Refusal("AlreadyProcessed") if landed_at is not None and landed_at <= slot else None

    def _account_written(self, address: Pubkey) -> None:
        if self._account_listeners:
            text = str(address)
            for listener in tuple(self._account_listeners):
                listener(text)

    def _included_again(self, signature: str, probability: float) -> bool:
        digest = hashlib.sha256(f"{self.config.seed} {self._forks} {signature}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < probability * 2**64


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


def _pubkey(address: str | Pubkey) -> Pubkey:
    return Pubkey.from_string(address) if isinstance(address, str) else address


def _listen(listeners: list[Callable[[_Heard], None]], listener: Callable[[_Heard], None]) -> Callable[[], None]:
    listeners.append(listener)
    return lambda: listeners.remove(listener)
