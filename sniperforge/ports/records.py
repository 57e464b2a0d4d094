"""What the books keep besides intents, attempts, fills and positions: frozen records, amounts in base units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NewType

from sniperforge.domain.ids import AttemptId, IntentId
from sniperforge.domain.intent import FillState
from sniperforge.domain.money import Address, Mint, Signature

Asset = NewType("Asset", str)
"""What a ledger line counts: a mint (wSOL under its own mint), or `NATIVE_SOL`."""

NATIVE_SOL = Asset("native")
"""Lamports held natively, apart from wSOL."""


class TradingMode(StrEnum):
    """What may be started: everything, exits only, or nothing. What is in flight is always settled."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class WrapMode(StrEnum):
    """How a wallet holds SOL for trades: native (wrapped for one transaction only), or in a lasting wSOL account."""

    NATIVE = "native"
    WRAPPED = "wrapped"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemState:
    """The one row that rules all wallets.

    Attributes:
        epoch: Grows by one when older books were restored; writers of an older epoch are fenced out.
        highest_finalized_height: Highest finalized block height ever seen; never falls.
        changed_at: When the mode last changed; None if it never did.
    """

    epoch: int
    highest_finalized_height: int
    mode: TradingMode
    reason: str | None
    changed_by: str | None
    changed_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletRecord:
    """A wallet as the books know it; keys are elsewhere.

    Attributes:
        mode: What may be started for this wallet; the stricter of this and the system's holds.
        mode_changed_at: Since when it is not ACTIVE; a second stop leaves the time of the first.
        cursor_signature: Newest finalized signature of its history that was looked at.
        cursor_slot: The slot of that signature.
        epoch: Epoch of the books that added it.
    """

    address: Address
    name: str
    network: str
    created_at: datetime
    mode: TradingMode = TradingMode.ACTIVE
    mode_reason: str | None = None
    mode_changed_at: datetime | None = None
    wrap_mode: WrapMode = WrapMode.NATIVE
    cursor_signature: Signature | None = None
    cursor_slot: int | None = None
    epoch: int = 1
    version: int = 0


class ReservationKind(StrEnum):
    """Why funds are held back for an attempt."""

    INPUT = "input"
    FEE = "fee"
    RENT = "rent"
    TIP = "tip"
    TEMPORARY_WSOL = "temporary_wsol"
    RISK_BUDGET = "risk_budget"


FUND_KINDS = frozenset(ReservationKind) - {ReservationKind.RISK_BUDGET}
"""Reservations that hold tokens or lamports back; a risk budget holds back permission only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Funds (or risk budget) that one attempt may use up; held until the attempt is settled.

    Attributes:
        mint: Whose base units `amount_raw` counts; lamports go under `WSOL_MINT`.
        released_at: None while it holds.
    """

    attempt_id: AttemptId
    wallet: Address
    mint: Mint
    kind: ReservationKind
    amount_raw: int
    created_at: datetime
    released_at: datetime | None = None


class LedgerKind(StrEnum):
    """Why a balance changed. `WRAP` moves between native SOL and our wSOL: its two lines add up to zero."""

    OPENING = "opening"
    TRADE_IN = "trade_in"
    TRADE_OUT = "trade_out"
    FEE = "fee"
    TIP = "tip"
    RENT_PAID = "rent_paid"
    RENT_RETURNED = "rent_returned"
    WRAP = "wrap"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line of the books: by how much one balance changed, and why.

    Attributes:
        source: The transaction's signature; `opening` for an opening balance, which has none.
        asset: A mint, or `NATIVE_SOL`.
        delta_raw: Signed change; what leaves is negative.
        state: Provisional until the transaction is finalized, reversed when a fork took it back.
    """

    source: str
    wallet: Address
    asset: Asset
    kind: LedgerKind
    delta_raw: int
    slot: int
    state: FillState
    booked_at: datetime
    intent_id: IntentId | None = None
    attempt_id: AttemptId | None = None


class NonceState(StrEnum):
    """Where a durable nonce account stands. UNKNOWN: found, restored or moved by somebody; not to be used."""

    FREE = "free"
    LEASED = "leased"
    BURNING = "burning"
    UNKNOWN = "unknown"


NONCE_TRANSITIONS: Mapping[tuple[NonceState, NonceState], str] = MappingProxyType(
    {
        (NonceState.FREE, NonceState.LEASED): "leased to an intent, with the value it is bound to",
        (NonceState.LEASED, NonceState.FREE): "its value was consumed by a finalized transaction that is known",
        (NonceState.LEASED, NonceState.BURNING): "given up: to be advanced by a transaction bound to the same value",
        (NonceState.BURNING, NonceState.FREE): "its value was consumed by a finalized transaction that is known",
        (NonceState.FREE, NonceState.UNKNOWN): "the chain holds another value than the books",
        (NonceState.LEASED, NonceState.UNKNOWN): "the chain holds another value than the books",
        (NonceState.BURNING, NonceState.UNKNOWN): "the chain holds another value than the books",
        (NonceState.UNKNOWN, NonceState.BURNING): "its old value is to be made useless before it is used again",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceAccount:
    """A durable nonce account of ours.

    Attributes:
        value: The nonce value last read finalized; None until it was read.
        value_slot: The slot of that reading.
        leased_intent_id: The intent whose transactions are bound to `value`.
    """

    address: Address
    authority: Address
    wallet: Address
    state: NonceState
    value: str | None = None
    value_slot: int | None = None
    leased_intent_id: IntentId | None = None
    version: int = 0


class Attribution(StrEnum):
    """Whose doing a transaction in a wallet's history is."""

    OURS = "ours"
    FOREIGN = "foreign"
    DEPOSIT = "deposit"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTransaction:
    """A transaction found in a wallet's history, and whose it is (rule *one owner*).

    One that names two of our wallets is known once for each.

    Attributes:
        err: Transaction error as canonical JSON, None for success.
    """

    signature: Signature
    wallet: Address
    slot: int
    err: str | None
    attribution: Attribution
    seen_at: datetime
    attempt_id: AttemptId | None = None


class Severity(StrEnum):
    """How much an event matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the timeline. Never changed, never removed, never a secret in it.

    Attributes:
        kind: What happened, as `area.verb`, e.g. `attempt.sent`.
        facts: JSON values; whole numbers are int, others `Decimal`, never float.
        id: Given by the store, growing; None before it is added.
    """

    at: datetime
    kind: str
    severity: Severity
    message: str
    wallet: Address | None = None
    intent_id: IntentId | None = None
    attempt_id: AttemptId | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None
