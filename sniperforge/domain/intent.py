"""The life of a trade in three records: what was decided, each signed transaction, what the chain did.

The transition tables below are the only place that says which state may follow which; anything unlisted
raises. The awkward truths (a proof of death that was wrong, a fork that takes a fill back) are legal and labelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from sniperforge.domain.ids import AttemptId, IntentId, IntentKey
from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.errors import InvalidTransitionError


class IntentState(StrEnum):
    """Where a decided trade stands."""

    PENDING = "pending"
    EXECUTING = "executing"
    FILLED = "filled"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARKED = "parked"


class AttemptState(StrEnum):
    """Where one signed transaction stands. SIGNED may have been sent; SENT is for people to read."""

    SIGNED = "signed"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"
    REVERTED = "reverted"
    EXPIRED = "expired"


class FillState(StrEnum):
    """Whether a fill can still be taken back."""

    PROVISIONAL = "provisional"
    FINAL = "final"
    REVERSED = "reversed"


INTENT_TRANSITIONS: Mapping[tuple[IntentState, IntentState], str] = MappingProxyType(
    {
        (IntentState.PENDING, IntentState.EXECUTING): "claimed",
        (IntentState.PENDING, IntentState.CANCELLED): "cancelled before any attempt",
        (
            IntentState.PENDING,
            IntentState.FAILED,
        ): "limits broken, deadline passed or refused before any attempt",
        (IntentState.PENDING, IntentState.PARKED): "found after a restore; a person decides",
        (IntentState.EXECUTING, IntentState.PENDING): "every attempt is dead; limits still hold",
        (
            IntentState.EXECUTING,
            IntentState.FILLED,
        ): "an attempt landed (provisional until its fill is final)",
        (IntentState.EXECUTING, IntentState.FAILED): "every attempt is dead and a limit is broken",
        (IntentState.EXECUTING, IntentState.CANCELLED): "asked for, and every attempt is dead",
        (IntentState.EXECUTING, IntentState.PARKED): "found after a restore; a person decides",
        (IntentState.FILLED, IntentState.EXECUTING): "a fork took the fill back",
        (IntentState.FILLED, IntentState.PENDING): "a fork took the fill back and the attempt is proven dead",
        (IntentState.FAILED, IntentState.FILLED): "LOUD: an attempt proven dead landed after all",
        (IntentState.CANCELLED, IntentState.FILLED): "LOUD: an attempt proven dead landed after all",
        (IntentState.PARKED, IntentState.CANCELLED): "a person ended it, knowing now whether it had happened",
        (IntentState.PARKED, IntentState.FILLED): "LOUD: an attempt proven dead landed after all",
    }
)

ATTEMPT_TRANSITIONS: Mapping[tuple[AttemptState, AttemptState], str] = MappingProxyType(
    {
        (AttemptState.SIGNED, AttemptState.SENT): "first byte left",
        (
            AttemptState.SIGNED,
            AttemptState.CONFIRMED,
        ): "landed; we died after sending, before writing it down",
        (AttemptState.SENT, AttemptState.CONFIRMED): "landed at confirmed",
        (AttemptState.SIGNED, AttemptState.FINALIZED): "landed, and already final when first seen",
        (AttemptState.SENT, AttemptState.FINALIZED): "landed, and already final when first seen",
        (AttemptState.CONFIRMED, AttemptState.FINALIZED): "final",
        (AttemptState.CONFIRMED, AttemptState.SENT): "a fork took it back",
        (AttemptState.SIGNED, AttemptState.REVERTED): "landed with an error, finalized; the fee is booked",
        (AttemptState.SENT, AttemptState.REVERTED): "landed with an error, finalized; the fee is booked",
        (
            AttemptState.CONFIRMED,
            AttemptState.REVERTED,
        ): "a fork replaced the landing by a failed one, finalized",
        (AttemptState.SIGNED, AttemptState.EXPIRED): "proven that it can never land",
        (AttemptState.SENT, AttemptState.EXPIRED): "proven that it can never land",
        (AttemptState.CONFIRMED, AttemptState.EXPIRED): "a fork took it back and it can never land again",
        (AttemptState.EXPIRED, AttemptState.FINALIZED): "LOUD: the proof was wrong; finalized evidence only",
    }
)

FILL_TRANSITIONS: Mapping[tuple[FillState, FillState], str] = MappingProxyType(
    {
        (FillState.PROVISIONAL, FillState.FINAL): "finalized, read again",
        (FillState.PROVISIONAL, FillState.REVERSED): "a fork took it back",
        (FillState.REVERSED, FillState.PROVISIONAL): "included again",
        (FillState.REVERSED, FillState.FINAL): "included again and finalized",
    }
)

TERMINAL_INTENT_STATES = frozenset({IntentState.FAILED, IntentState.CANCELLED})
"""States in which nobody works on the intent. FILLED is watched until its fill is final, PARKED waits for a person."""

LIVE_ATTEMPT_STATES = frozenset({AttemptState.SIGNED, AttemptState.SENT, AttemptState.CONFIRMED})
"""States in which the transaction may still change what the chain says."""

DEAD_ATTEMPT_STATES = frozenset({AttemptState.REVERTED, AttemptState.EXPIRED})
"""States in which the attempt swapped nothing, by proof."""

StateT = TypeVar("StateT", bound=StrEnum)


def checked_transition(
    table: Mapping[tuple[StateT, StateT], str], before: StateT, after: StateT, *, subject: str
) -> str:
    """The meaning of a state change.

    Raises:
        InvalidTransitionError: The table does not list it.
    """
    meaning = table.get((before, after))
    if meaning is None:
        raise InvalidTransitionError(f"{before} -> {after} is not a legal change", subject=subject)
    return meaning


class IntentKind(StrEnum):
    """A trade, or a transaction of ours that is none but lives the same life."""

    TRADE = "trade"
    MAINTENANCE = "maintenance"


class MaintenancePurpose(StrEnum):
    """Why a maintenance transaction exists."""

    NONCE_CREATE = "nonce_create"
    NONCE_BURN = "nonce_burn"
    WRAP = "wrap"
    UNWRAP = "unwrap"
    DEVNET_CHECK = "devnet_check"


class ExposureEffect(StrEnum):
    """Whether a trade opens or reduces exposure; protections that stop entries never stop exits."""

    ENTRY = "entry"
    EXIT = "exit"


class SendPath(StrEnum):
    """How a transaction is made and sent: Jupiter's /order and /execute, or /build and our own senders, or not at all.

    `PAPER`: nothing is made, signed or sent; a live quote counts as what the chain did.
    """

    MANAGED = "managed"
    ROUTER = "router"
    PAPER = "paper"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeIntent:
    """One decision to trade, with every limit that holds for its whole life. Amounts in base units.

    Attributes:
        input_amount_raw: Exact input, or None for "all that is free when it is claimed".
        min_out_per_input: Worst acceptable price as output base units per input base unit, or None.
        max_slippage_bps: Cap against the independent price.
        max_cost_bps: Cap on all costs together against the independent price.
        next_attempt_at: Not claimed before (backoff).
        version: Compare-and-set counter; every change adds one.
        epoch: Epoch of the books that wrote it; an older epoch is fenced out after a restore.
        reason: Why it ended, in words, with the next action for a person.
        plan_id: The plan that decided it, with `occurrence`, the number of its round.
    """

    id: IntentId
    key: IntentKey
    kind: IntentKind
    purpose: MaintenancePurpose | None
    effect: ExposureEffect
    wallet: Address
    input_mint: Mint
    output_mint: Mint
    input_amount_raw: int | None
    path: SendPath
    state: IntentState
    version: int
    epoch: int
    min_out_per_input: Decimal | None
    max_slippage_bps: int
    max_cost_bps: int
    max_attempts: int
    attempts_made: int
    deadline_at: datetime
    next_attempt_at: datetime
    created_at: datetime
    updated_at: datetime
    lease_owner: str | None = None
    lease_until: datetime | None = None
    cancel_requested_at: datetime | None = None
    reason_code: str | None = None
    reason: str | None = None
    plan_id: str | None = None
    occurrence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One signed transaction. Its row exists before its first byte leaves the machine.

    Attributes:
        signed_transaction: The exact bytes; sending again always means these.
        quoted_last_valid_block_height: What the API said; alone it may be empty or too low.
        bound_block_height: Our own bound on its life: max(quoted, h + 150), h being the height at which our node
            called the blockhash valid. None only for a nonce-bound transaction, which never expires, and on paper.
        checked_block_height: That h.
        control_signature: A finalized signature from before the attempt; absence of ours counts only in an answer
            that knows this one.
        nonce_account: Durable nonce account, if bound to one.
        nonce_value: The value it is bound to, stored and never read anew.
        usd_per_input_unit: Independent price in dollars per *base unit* when it was signed; None for maintenance. With
            the next two it values the fill: one snapshot, stored.
        usd_per_output_unit: The same for the output.
        usd_per_lamport: The same for fees and rent.
        landed_error: The transaction error as JSON, when it landed with one.
        death_proof: The evidence for EXPIRED as JSON: heights, nodes, controls, times.
        watch_until: EXPIRED attempts are asked about until then.
    """

    id: AttemptId
    intent_id: IntentId
    number: int
    wallet: Address
    path: SendPath
    state: AttemptState
    version: int
    epoch: int
    signature: Signature
    signed_transaction: bytes
    message_sha256: bytes
    blockhash: str
    quoted_last_valid_block_height: int | None
    checked_block_height: int | None
    bound_block_height: int | None
    control_signature: Signature | None
    nonce_account: Address | None
    nonce_value: str | None
    request_id: str | None
    router: str | None
    input_amount_raw: int
    quoted_out_raw: int
    min_out_raw: int
    max_fee_lamports: int
    usd_per_input_unit: Decimal | None
    usd_per_output_unit: Decimal | None
    usd_per_lamport: Decimal | None
    created_at: datetime
    updated_at: datetime
    sent_count: int = 0
    last_sent_at: datetime | None = None
    execute_code: int | None = None
    execute_message: str | None = None
    landed_slot: int | None = None
    landed_error: str | None = None
    confirmed_at: datetime | None = None
    finalized_at: datetime | None = None
    death_proof: str | None = None
    watch_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What one landed transaction did to our accounts, read from its own pre and post balances.

    SOL and wSOL are one asset under `WSOL_MINT`. Fee, tip and rent are lines of their own.

    Attributes:
        result_usd: Of an exit: what it brought, by the positions as they were when it was booked (`domain.risk`).
    """

    signature: Signature
    attempt_id: AttemptId
    intent_id: IntentId
    wallet: Address
    state: FillState
    version: int
    slot: int
    input_mint: Mint
    input_raw: int
    output_mint: Mint
    output_raw: int
    fee_lamports: int
    tip_lamports: int
    rent_paid_lamports: int
    rent_returned_lamports: int
    booked_at: datetime
    finalized_at: datetime | None = None
    result_usd: Decimal | None = None
