"""Plausible records, every field of which a test may say otherwise."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sniperforge.domain.ids import attempt_id, cli_key, intent_id
from sniperforge.domain.intent import (
    Attempt,
    AttemptState,
    ExposureEffect,
    Fill,
    FillState,
    IntentKind,
    IntentState,
    SendPath,
    TradeIntent,
)
from sniperforge.domain.money import WSOL_MINT, Address, Mint, Signature
from sniperforge.ports.plans import CatchUp, Occurrence, OccurrenceState, Plan, PlanState
from sniperforge.ports.queue import PlanId
from sniperforge.ports.records import WalletRecord
from tests.fakes.clock import START

WALLET = Address("9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin")
USDC = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")


def a_wallet(**changes: Any) -> WalletRecord:
    """A wallet."""
    given: dict[str, Any] = {"address": WALLET, "name": "main", "network": "sandbox", "created_at": START}
    return WalletRecord(**{**given, **changes})


def an_intent(name: str = "one", **changes: Any) -> TradeIntent:
    """A PENDING buy of SOL for 25 USDC, decided under `cli:<name>`."""
    key = cli_key(name)
    given: dict[str, Any] = {
        "id": intent_id(key),
        "key": key,
        "kind": IntentKind.TRADE,
        "purpose": None,
        "effect": ExposureEffect.ENTRY,
        "wallet": WALLET,
        "input_mint": USDC,
        "output_mint": WSOL_MINT,
        "input_amount_raw": 25_000_000,
        "path": SendPath.MANAGED,
        "state": IntentState.PENDING,
        "version": 0,
        "epoch": 1,
        "min_out_per_input": Decimal("5.4321987654321987654321"),
        "max_slippage_bps": 50,
        "max_cost_bps": 100,
        "max_attempts": 5,
        "attempts_made": 0,
        "deadline_at": START + timedelta(minutes=10),
        "next_attempt_at": START,
        "created_at": START,
        "updated_at": START,
    }
    return TradeIntent(**{**given, **changes})


def an_attempt(intent: TradeIntent, number: int = 1, **changes: Any) -> Attempt:
    """A SIGNED attempt of `intent`, its signature a function of intent and number."""
    seed = f"{intent.id}-{number}".encode()
    given: dict[str, Any] = {
        "id": attempt_id(intent.id, number),
        "intent_id": intent.id,
        "number": number,
        "wallet": intent.wallet,
        "path": intent.path,
        "state": AttemptState.SIGNED,
        "version": 0,
        "epoch": 1,
        "signature": Signature(hashlib.sha256(seed).hexdigest()),
        "signed_transaction": b"\x00\xff" + seed,
        "message_sha256": hashlib.sha256(seed).digest(),
        "blockhash": "EkSnNWid2cvwEVnVx9aBqawnmiCNiDgp3gUdkDPTKN1N",
        "quoted_last_valid_block_height": 1_000,
        "checked_block_height": 900,
        "bound_block_height": 1_050,
        "control_signature": None,
        "nonce_account": None,
        "nonce_value": None,
        "request_id": "request",
        "router": "iris",
        "input_amount_raw": 25_000_000,
        "quoted_out_raw": 138_000_000,
        "min_out_raw": 137_000_000,
        "max_fee_lamports": 100_000,
        "usd_per_input_unit": Decimal("0.000001"),
        "usd_per_output_unit": Decimal("1.8025E-7"),
        "usd_per_lamport": Decimal("1.8025E-7"),
        "created_at": START,
        "updated_at": START,
    }
    return Attempt(**{**given, **changes})


def a_fill(attempt: Attempt, **changes: Any) -> Fill:
    """A provisional fill of `attempt`."""
    given: dict[str, Any] = {
        "signature": attempt.signature,
        "attempt_id": attempt.id,
        "intent_id": attempt.intent_id,
        "wallet": attempt.wallet,
        "state": FillState.PROVISIONAL,
        "version": 0,
        "slot": 2_000,
        "input_mint": USDC,
        "input_raw": 25_000_000,
        "output_mint": WSOL_MINT,
        "output_raw": 137_900_000,
        "fee_lamports": 5_000,
        "tip_lamports": 0,
        "rent_paid_lamports": 0,
        "rent_returned_lamports": 0,
        "booked_at": START,
    }
    return Fill(**{**given, **changes})


def a_plan(name: str = "weekly-sol", **changes: Any) -> Plan:
    """An ACTIVE plan whose first round is due at the start."""
    given: dict[str, Any] = {
        "id": PlanId(name),
        "kind": "dca",
        "wallet": WALLET,
        "status": PlanState.ACTIVE,
        "config": {"name": name, "amount_per_order": Decimal("25.5"), "schedule": {"interval_s": 60}},
        "state": {"orders": 0},
        "next_occurrence": 0,
        "next_due_at": START,
        "catch_up": CatchUp.SKIP,
        "max_lateness_s": 30,
        "created_at": START,
        "updated_at": START,
    }
    return Plan(**{**given, **changes})


def a_skipped_round(occurrence: int = 0, plan: str = "weekly-sol", **changes: Any) -> Occurrence:
    """A round that was not decided, with why."""
    given: dict[str, Any] = {
        "plan_id": PlanId(plan),
        "occurrence": occurrence,
        "state": OccurrenceState.SKIPPED,
        "due_at": START,
        "decided_at": START,
        "reason": "the price is above max_price",
    }
    return Occurrence(**{**given, **changes})
