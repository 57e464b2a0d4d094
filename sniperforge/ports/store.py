"""The books: what was decided, signed, landed and booked. One transaction at a time, no network call inside one.

    with store.write() as books:
        intent = books.intents.lock(intent_id)
        books.intents.change(intent, at=clock.now(), state=IntentState.EXECUTING, lease_owner=me, lease_until=later)

Everything a `write` block did is committed when it ends, and nothing of it when it raises. An error raised by the
books inside the block ends the transaction even when it is caught: the block's end raises it again (rule
*decide-once*: never "insert or ignore, then advance").

Every `change` is a compare-and-set on the record's `version` and checks its transition table. Whoever loses gets
`ConflictError`: reload and decide again. A field that never changes (`INTENT_CHANGES` and its like list the others)
is a programming error: `TypeError`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from sniperforge.domain.ids import AttemptId, IntentId, IntentKey
from sniperforge.domain.intent import Attempt, AttemptState, Fill, FillState, IntentState, TradeIntent
from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.domain.portfolio import Position
from sniperforge.domain.prices import Price
from sniperforge.ports.orders import Orders
from sniperforge.ports.plans import Occurrences, Plans
from sniperforge.ports.price_samples import PriceSamples
from sniperforge.ports.records import (
    FUND_KINDS,
    Asset,
    Attribution,
    Event,
    KnownTransaction,
    LedgerEntry,
    LedgerKind,
    NonceAccount,
    NonceState,
    Reservation,
    ReservationKind,
    Severity,
    SystemState,
    WalletRecord,
)
from sniperforge.ports.risk import RiskRecords
from sniperforge.ports.triggers import Triggers

INTENT_CHANGES = frozenset(
    {
        "attempts_made",
        "next_attempt_at",
        "lease_owner",
        "lease_until",
        "cancel_requested_at",
        "reason_code",
        "reason",
        "epoch",
    }
)
"""Fields of an intent that `Intents.change` may change besides its state; the decision itself never does."""

ATTEMPT_CHANGES = frozenset(
    {
        "sent_count",
        "last_sent_at",
        "execute_code",
        "execute_message",
        "landed_slot",
        "landed_error",
        "confirmed_at",
        "finalized_at",
        "death_proof",
        "watch_until",
    }
)
"""Fields of an attempt that may change besides its state; what was signed, and its bound, never does."""

FILL_CHANGES = frozenset(
    {
        "slot",
        "input_raw",
        "output_raw",
        "fee_lamports",
        "tip_lamports",
        "rent_paid_lamports",
        "rent_returned_lamports",
        "finalized_at",
        "result_usd",
    }
)
"""Fields of a fill that a later, finalized reading may correct, or another fill before it that did not stand."""

NONCE_CHANGES = frozenset({"value", "value_slot", "leased_intent_id"})
"""Fields of a nonce account that may change besides its state."""

WALLET_CHANGES = frozenset(
    {"name", "mode", "mode_reason", "mode_changed_at", "wrap_mode", "cursor_signature", "cursor_slot"}
)
"""Fields of a wallet that may change."""

SYSTEM_CHANGES = frozenset({"epoch", "mode", "reason", "changed_by", "changed_at"})
"""Fields of the system's row that `System.change` may change."""


class Intents(Protocol):
    """Decided trades and maintenance transactions."""

    def add(self, intent: TradeIntent) -> None:
        """Write a decision.

        Raises:
            ConflictError: Its key was decided before; nothing of this transaction is kept.
            InvalidInputError: Its wallet is not in the books.
        """
        ...

    def get(self, intent_id: IntentId) -> TradeIntent | None:
        """The intent, or None."""
        ...

    def get_by_key(self, key: IntentKey) -> TradeIntent | None:
        """The intent decided under this key, or None."""
        ...

    def starting_with(self, prefix: str, limit: int) -> tuple[TradeIntent, ...]:
        """Intents whose id begins with `prefix`, by id: people type the beginning only."""
        ...

    def lock(self, intent_id: IntentId) -> TradeIntent | None:
        """The intent as it is now, and as it stays until this transaction ends (rule *fence-insert*)."""
        ...

    def change(
        self, intent: TradeIntent, *, at: datetime, state: IntentState | None = None, **fields: Any
    ) -> TradeIntent:
        """Write a change and return the new record (version one higher, `updated_at` = `at`).

        Args:
            intent: The record as it was read.
            at: Time of the change.
            state: The next state; leave it out to stay.
            **fields: Progress, lease, backoff, cancellation and reason; the decision itself never changes.

        Raises:
            ConflictError: Somebody changed it since it was read.
            InvalidTransitionError: `INTENT_TRANSITIONS` does not list this change.
        """
        ...

    def due(self, now: datetime, limit: int) -> tuple[TradeIntent, ...]:
        """Intents that wait for a worker, most overdue first.

        That is PENDING, EXECUTING, and FILLED or ended with an attempt that is not settled, whose `next_attempt_at`
        has come and whose lease, if any, has run out.
        """
        ...

    def in_state(self, state: IntentState, limit: int) -> tuple[TradeIntent, ...]:
        """Intents in this state, longest unchanged first."""
        ...

    def promised_raw(self, wallet: Address, mint: Mint) -> int | None:
        """Base units of `mint` that trades which have not landed will give; None when one gives all there is."""
        ...

    def recent(self, limit: int) -> tuple[TradeIntent, ...]:
        """Newest first."""
        ...


class Attempts(Protocol):
    """Signed transactions."""

    def add(self, attempt: Attempt) -> None:
        """Write an attempt before its first byte leaves (rule *persist-first*).

        Raises:
            ConflictError: Its signature or number is taken, or the intent has another live attempt that is not bound
                to the same nonce value (rules *one live*, *nonce: same value*).
            InvalidInputError: Its intent is not in the books.
        """
        ...

    def get(self, attempt_id: AttemptId) -> Attempt | None:
        """The attempt, or None."""
        ...

    def by_signature(self, signature: Signature) -> Attempt | None:
        """The attempt whose transaction has this id, or None: then it is not ours, or from lost books."""
        ...

    def of_intent(self, intent_id: IntentId) -> tuple[Attempt, ...]:
        """All attempts of an intent, by number."""
        ...

    def change(self, attempt: Attempt, *, at: datetime, state: AttemptState | None = None, **fields: Any) -> Attempt:
        """Write a change and return the new record (version one higher, `updated_at` = `at`).

        Args:
            attempt: The record as it was read.
            at: Time of the change.
            state: The next state; leave it out to stay.
            **fields: What was sent, answered, seen and proven; the signed transaction and its bound never change.

        Raises:
            ConflictError: Somebody changed it since it was read.
            InvalidTransitionError: `ATTEMPT_TRANSITIONS` does not list this change.
        """
        ...

    def live(self, limit: int) -> tuple[Attempt, ...]:
        """Attempts that may still change what the chain says, oldest first."""
        ...

    def watched(self, now: datetime, limit: int) -> tuple[Attempt, ...]:
        """EXPIRED attempts that are still asked about (rule *controls*), nearest end of the watch first."""
        ...


class Reservations(Protocol):
    """Funds held back for attempts that are not settled. Lock the wallet first (`wallets.lock`), then read and add."""

    def add(self, reservations: Sequence[Reservation]) -> None:
        """Hold funds back.

        Raises:
            ConflictError: An attempt holds one of these kinds of a mint already.
            InvalidInputError: An attempt is not in the books.
        """
        ...

    def of_attempt(self, attempt_id: AttemptId) -> tuple[Reservation, ...]:
        """Everything held (or once held) for an attempt."""
        ...

    def held_raw(self, wallet: Address, mint: Mint, kinds: Iterable[ReservationKind] = FUND_KINDS) -> int:
        """Base units of `mint` held back now, all attempts together."""
        ...

    def release(self, attempt_id: AttemptId, at: datetime) -> int:
        """Let go of what an attempt still holds; only its settlement may do this. Returns how many lines."""
        ...


class Fills(Protocol):
    """What landed transactions did to our accounts. The key is the signature (rule *book-once*)."""

    def add(self, fill: Fill) -> None:
        """Book a fill.

        Raises:
            ConflictError: This transaction is booked.
            InvalidInputError: Its attempt is not in the books.
        """
        ...

    def get(self, signature: Signature) -> Fill | None:
        """The fill of a transaction, or None."""
        ...

    def of_intent(self, intent_id: IntentId) -> tuple[Fill, ...]:
        """Fills of an intent, in booking order."""
        ...

    def change(self, fill: Fill, *, state: FillState | None = None, **fields: Any) -> Fill:
        """Write a change (a finalized reading may correct amounts) and return the new record.

        Raises:
            ConflictError: Somebody changed it since it was read.
            InvalidTransitionError: `FILL_TRANSITIONS` does not list this change.
        """
        ...

    def of_asset(self, wallet: Address, mint: Mint) -> tuple[Fill, ...]:
        """Fills of a wallet that gave or got `mint` and were not reversed, by slot and booking order. All of them."""
        ...

    def provisional(self, limit: int) -> tuple[Fill, ...]:
        """Fills that a fork may still take back, oldest first."""
        ...


class Ledger(Protocol):
    """Every change of a balance, line by line (invariant I5)."""

    def add(self, entries: Sequence[LedgerEntry]) -> None:
        """Book lines.

        Raises:
            ConflictError: One of them (source, wallet, asset, kind) is booked.
        """
        ...

    def of_source(self, source: str) -> tuple[LedgerEntry, ...]:
        """Lines of one transaction (or of `opening`), in booking order."""
        ...

    def settle(self, source: str, state: FillState) -> int:
        """Move every line of a transaction to `state`; lines that are there already stay. Returns how many moved.

        Raises:
            InvalidTransitionError: `FILL_TRANSITIONS` does not list this change for one of them.
        """
        ...

    def correct(self, source: str, entries: Sequence[LedgerEntry]) -> None:
        """Put what a later reading of the chain says in the place of a transaction's lines that are not final.

        Raises:
            ConflictError: A line of it is final.
        """
        ...

    def balance_raw(self, wallet: Address, asset: Asset, *, up_to_slot: int | None = None, final_only: bool) -> int:
        """Sum of all lines that were not reversed.

        Args:
            wallet: Whose balance.
            asset: Of what.
            up_to_slot: Only lines of this slot or earlier.
            final_only: Leave provisional lines out.
        """
        ...

    def change_after(self, wallet: Address, asset: Asset, slot: int) -> int:
        """Sum of the lines of later slots than `slot` that were not reversed; negative when more left than came."""
        ...

    def assets(self, wallet: Address) -> tuple[Asset, ...]:
        """Every asset that a line of the wallet counts, in order of their names."""
        ...

    def of_wallet(self, wallet: Address, limit: int) -> tuple[LedgerEntry, ...]:
        """Newest lines first (by slot, then booking order)."""
        ...

    def sum_of(self, wallet: Address, asset: Asset, kinds: Collection[LedgerKind]) -> int:
        """Sum of the lines of these kinds that were not reversed."""
        ...

    def fees_without_swap(self, wallet: Address) -> int:
        """Sum of the fee lines of our own transactions that no trade line of the wallet stands beside; not above zero.

        Lines that were reversed count neither as one nor as the other.
        """
        ...


class Positions(Protocol):
    """What the books hold, per wallet and mint."""

    def get(self, wallet: Address, mint: Mint) -> Position | None:
        """The position, or None if this mint was never held."""
        ...

    def of_wallet(self, wallet: Address) -> tuple[Position, ...]:
        """All positions of a wallet, by mint."""
        ...

    def save(self, position: Position) -> Position:
        """Write a position and return it with its new version; version 0 means it is new.

        Raises:
            ConflictError: Somebody changed (or made) it since it was read.
        """
        ...


class Nonces(Protocol):
    """Durable nonce accounts of ours."""

    def add(self, nonce: NonceAccount) -> None:
        """Take a nonce account into the books.

        Raises:
            ConflictError: It is there.
        """
        ...

    def get(self, address: Address) -> NonceAccount | None:
        """The nonce account, or None."""
        ...

    def of_wallet(self, wallet: Address) -> tuple[NonceAccount, ...]:
        """All of a wallet, by address."""
        ...

    def change(self, nonce: NonceAccount, *, state: NonceState | None = None, **fields: Any) -> NonceAccount:
        """Write a change and return the new record.

        Raises:
            ConflictError: Somebody changed it since it was read.
            InvalidTransitionError: `NONCE_TRANSITIONS` does not list this change.
        """
        ...


class KnownTransactions(Protocol):
    """Transactions found in the history of our wallets (rule *one owner*)."""

    def add(self, transaction: KnownTransaction) -> None:
        """Write down a transaction that was looked at.

        Raises:
            ConflictError: It is there.
        """
        ...

    def get(self, wallet: Address, signature: Signature) -> KnownTransaction | None:
        """The transaction, or None."""
        ...

    def missing(self, wallet: Address, signatures: Sequence[Signature]) -> tuple[Signature, ...]:
        """Those of `signatures` that nobody looked at yet in this wallet's history, in the order given."""
        ...

    def attribute(
        self, wallet: Address, signature: Signature, attribution: Attribution, attempt_id: AttemptId | None = None
    ) -> KnownTransaction:
        """Say whose an UNKNOWN transaction is.

        Raises:
            ConflictError: It is not there, or was attributed before.
        """
        ...

    def in_attribution(self, wallet: Address, attribution: Attribution) -> tuple[KnownTransaction, ...]:
        """A wallet's transactions of this attribution, by slot."""
        ...


class Prices(Protocol):
    """The newest price of each mint from each source, to tell a jump by."""

    def observe(self, prices: Sequence[Price]) -> None:
        """Keep each of these prices, unless a newer one of its mint and source is kept."""
        ...

    def newest(self, mints: Collection[Mint]) -> Mapping[tuple[Mint, str], Price]:
        """The newest price seen of each of these mints, by mint and source.

        What was never seen is not in it, and how old a price is, is the caller's business: there is no default price.
        """
        ...


class Events(Protocol):
    """The timeline: appended to, never changed."""

    def add(self, event: Event) -> Event:
        """Append, and return the event with its id."""
        ...

    def of_intent(self, intent_id: IntentId) -> tuple[Event, ...]:
        """An intent's timeline, oldest first."""
        ...

    def recent(
        self, limit: int, *, kinds: Collection[str] | None = None, severities: Collection[Severity] | None = None
    ) -> tuple[Event, ...]:
        """Newest first: those of one of these kinds and severities, where they are given."""
        ...


class System(Protocol):
    """Mode, epoch and height of the whole system."""

    def get(self) -> SystemState:
        """The state as this transaction sees it."""
        ...

    def hold(self, *, alone: bool = False) -> SystemState:
        """The state as it is now, and as it stays until this transaction ends.

        Several transactions may hold it at once; `change` waits for all of them. So no attempt is inserted after
        `halt` was acknowledged (rule *fence-insert*).

        Args:
            alone: Nobody else may hold it meanwhile: for what is limited over all wallets together.
        """
        ...

    def change(self, state: SystemState, **fields: Any) -> SystemState:
        """Write a change and return the new record.

        Raises:
            ConflictError: Somebody changed it since it was read.
        """
        ...

    def saw_finalized_height(self, height: int) -> None:
        """Raise `highest_finalized_height` to `height`; a lower one changes nothing. Not after `hold`."""
        ...


class Wallets(Protocol):
    """Wallets by address and name."""

    def add(self, wallet: WalletRecord) -> None:
        """Take a wallet into the books.

        Raises:
            ConflictError: Its address or name is taken.
        """
        ...

    def get(self, address: Address) -> WalletRecord | None:
        """The wallet, or None."""
        ...

    def by_name(self, name: str) -> WalletRecord | None:
        """The wallet, or None."""
        ...

    def all(self) -> tuple[WalletRecord, ...]:
        """Every wallet, by name."""
        ...

    def lock(self, address: Address) -> WalletRecord | None:
        """The wallet as it is now, and as it stays until this transaction ends.

        Whoever reserves funds of a wallet locks it first: two transactions cannot spend one balance.
        """
        ...

    def change(self, wallet: WalletRecord, **fields: Any) -> WalletRecord:
        """Write a change and return the new record; address, network and epoch never change.

        Raises:
            ConflictError: Somebody changed it since it was read.
        """
        ...


class Books(Protocol):
    """Everything, as one transaction sees it."""

    @property
    def intents(self) -> Intents:
        """Decided trades."""
        ...

    @property
    def attempts(self) -> Attempts:
        """Signed transactions."""
        ...

    @property
    def reservations(self) -> Reservations:
        """Funds held back."""
        ...

    @property
    def fills(self) -> Fills:
        """What landed."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Every change of a balance."""
        ...

    @property
    def positions(self) -> Positions:
        """What is held."""
        ...

    @property
    def nonces(self) -> Nonces:
        """Durable nonce accounts."""
        ...

    @property
    def known_transactions(self) -> KnownTransactions:
        """History of our wallets."""
        ...

    @property
    def prices(self) -> Prices:
        """Newest prices seen."""
        ...

    @property
    def events(self) -> Events:
        """The timeline."""
        ...

    @property
    def system(self) -> System:
        """Mode, epoch, height."""
        ...

    @property
    def wallets(self) -> Wallets:
        """Wallets."""
        ...

    @property
    def plans(self) -> Plans:
        """What runs unattended."""
        ...

    @property
    def occurrences(self) -> Occurrences:
        """Rounds of plans."""
        ...

    @property
    def orders(self) -> Orders:
        """What waits for the market."""
        ...

    @property
    def price_samples(self) -> PriceSamples:
        """Prices of a while ago."""
        ...

    @property
    def risk(self) -> RiskRecords:
        """What protections ask for."""
        ...

    @property
    def triggers(self) -> Triggers:
        """What the market has to reach."""
        ...


class Store(Protocol):
    """Where the books are.

    Both methods raise `StorageBusyError` (locked, full, read-only, unreachable: nothing was written, try again) and
    `StorageError` (something must change first).
    """

    def write(self) -> AbstractContextManager[Books]:
        """One transaction, committed when the block ends and rolled back when it raises.

        Raises:
            CommitOutcomeUnknownError: The connection was lost while committing. Read again before acting: above all,
                send nothing (rule *persist-first*).
        """
        ...

    def read(self) -> AbstractContextManager[Books]:
        """One consistent view. Writing or locking in it raises `StorageError`."""
        ...
