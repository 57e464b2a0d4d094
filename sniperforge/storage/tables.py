"""Every table of the books.

Column names are the field names of the records in `domain.intent`, `domain.order`, `domain.portfolio` and
`ports.records`; those say what they mean. Constraint names follow one convention, so that migrations can name them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from sniperforge.domain.intent import (
    AttemptState,
    ExposureEffect,
    FillState,
    IntentKind,
    IntentState,
    MaintenancePurpose,
    SendPath,
)
from sniperforge.domain.order import LegName, LegState, OrderKind, OrderState
from sniperforge.domain.trigger import Direction, TriggerState
from sniperforge.ports.plans import CatchUp, OccurrenceState, PlanState
from sniperforge.ports.records import (
    Attribution,
    LedgerKind,
    NonceState,
    ReservationKind,
    Severity,
    TradingMode,
    WrapMode,
)
from sniperforge.ports.risk import PRICE_DIVERGED
from sniperforge.storage.order_types import AmountJson, RuleJson
from sniperforge.storage.types import (
    Bytes,
    Choice,
    ExactDecimal,
    Flag,
    Json,
    PriceKey,
    UtcDateTime,
    Whole,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LIVE = "state IN ('signed', 'sent', 'confirmed')"
"""`domain.intent.LIVE_ATTEMPT_STATES` as SQL; a test holds them together."""


OPEN_ORDER = f"state = '{OrderState.OPEN.value}'"
EXPIRING_ORDER = f"{OPEN_ORDER} AND expires_at IS NOT NULL"
LEG_OF_OPEN_ORDER = "order_is_open = 1"
LEG_TO_FIRE_AGAIN = f"{LEG_OF_OPEN_ORDER} AND state = '{LegState.WAITING.value}' AND refire_at IS NOT NULL"
LEG_TO_WAKE = f"{LEG_OF_OPEN_ORDER} AND state = '{LegState.DORMANT.value}' AND active_from IS NOT NULL"
"""What listings of orders look for, as SQL: of indexes and of queries, to the letter, so that they are used."""

ARMED = f"state = '{TriggerState.ARMED.value}'"
CROSSED = f"state = '{TriggerState.CROSSED.value}'"
FIRED = f"state = '{TriggerState.FIRED.value}'"
ARMED_BPS = f"{ARMED} AND trail_bps IS NOT NULL"
ARMED_AMOUNT = f"{ARMED} AND trail_amount IS NOT NULL"
"""What ticks look for, in the same way."""


# Not `IN ('filled', 'failed')`: SQLite would look for each in the index on states, and read the whole history.
ENDED_ENTRY = "effect = 'entry' AND kind = 'trade' AND state NOT IN ('pending', 'executing', 'cancelled', 'parked')"
REVERTED = f"state = '{AttemptState.REVERTED.value}'"
EXITED = "result_usd IS NOT NULL"
HELD = "raw > 0"
DIVERGED = f"kind = '{PRICE_DIVERGED}'"
"""What protections look for, in the same way."""


def _string(name: str, *more: Any, null: bool = False, **options: Any) -> Column[Any]:
    return Column(name, Text, *more, nullable=null, **options)


def _time(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=null)


def _whole(name: str, *, null: bool = False) -> Column[Any]:
    """A count, height, slot or base units: 0..2^63-1, the upper end by the column's type."""
    return Column(name, Whole, CheckConstraint(f"{name} >= 0", name=name), nullable=null)


def _flag(name: str) -> Column[Any]:
    return Column(name, Flag, CheckConstraint(f"{name} IN (0, 1)", name=name), nullable=False)


def _bytewise(name: str, *more: Any, **options: Any) -> Column[Any]:
    """In the order of its bytes on PostgreSQL too, so that ids which begin alike stand side by side in its index."""
    return Column(name, Text().with_variant(Text(collation="C"), "postgresql"), *more, nullable=False, **options)


def _one_of(name: str, choices: type[StrEnum], *, null: bool = False) -> Column[Any]:
    values = ", ".join(f"'{member.value}'" for member in choices)
    return Column(name, Choice(choices), CheckConstraint(f"{name} IN ({values})", name=name), nullable=null)


def _link(name: str, target: str, *, null: bool = False, **options: Any) -> Column[Any]:
    return Column(name, Text, ForeignKey(target), nullable=null, **options)


def _table(name: str, *columns: Any, **options: Any) -> Table:
    return Table(name, metadata, *columns, sqlite_strict=True, **options)


def _partial(name: str, *columns: Any, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


wallets = _table(
    "wallets",
    _string("address", primary_key=True),
    _string("name", unique=True),
    _string("network"),
    _time("created_at"),
    _one_of("mode", TradingMode),
    _string("mode_reason", null=True),
    _time("mode_changed_at", null=True),
    _one_of("wrap_mode", WrapMode),
    _string("cursor_signature", null=True),
    _whole("cursor_slot", null=True),
    _whole("epoch"),
    _whole("version"),
)

system_state = _table(
    "system_state",
    Column("id", Whole, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    _whole("epoch"),
    _whole("highest_finalized_height"),
    _one_of("mode", TradingMode),
    _string("reason", null=True),
    _string("changed_by", null=True),
    _time("changed_at", null=True),
    _whole("version"),
)

trade_intents = _table(
    "trade_intents",
    _string("id", primary_key=True),
    _string("key", unique=True),
    _one_of("kind", IntentKind),
    _one_of("purpose", MaintenancePurpose, null=True),
    _one_of("effect", ExposureEffect),
    _link("wallet", "wallets.address"),
    _string("input_mint"),
    _string("output_mint"),
    _whole("input_amount_raw", null=True),
    _one_of("path", SendPath),
    _one_of("state", IntentState),
    _whole("version"),
    _whole("epoch"),
    Column("min_out_per_input", ExactDecimal),
    _whole("max_slippage_bps"),
    _whole("max_cost_bps"),
    _whole("max_attempts"),
    _whole("attempts_made"),
    _time("deadline_at"),
    _time("next_attempt_at"),
    _time("created_at"),
    _time("updated_at"),
    _string("lease_owner", null=True),
    _time("lease_until", null=True),
    _time("cancel_requested_at", null=True),
    _string("reason_code", null=True),
    _string("reason", null=True),
    _link("plan_id", "strategy_plans.id", null=True),
    _whole("occurrence", null=True),
    CheckConstraint("(kind = 'maintenance') = (purpose IS NOT NULL)", name="purpose_of_maintenance"),
    UniqueConstraint("plan_id", "occurrence"),
    Index(None, "state", "next_attempt_at"),
    Index(None, "created_at"),
    _partial("ix_trade_intents_ended_entries", "created_at", where=ENDED_ENTRY),
)

attempts = _table(
    "attempts",
    _string("id", primary_key=True),
    _link("intent_id", "trade_intents.id"),
    _whole("number"),
    _string("wallet"),
    _one_of("path", SendPath),
    _one_of("state", AttemptState),
    _whole("version"),
    _whole("epoch"),
    _string("signature", unique=True),
    Column("signed_transaction", Bytes, nullable=False),
    Column("message_sha256", Bytes, nullable=False),
    _string("blockhash"),
    _whole("quoted_last_valid_block_height", null=True),
    _whole("checked_block_height", null=True),
    _whole("bound_block_height", null=True),
    _string("control_signature", null=True),
    _string("nonce_account", null=True),
    _string("nonce_value", null=True),
    _string("request_id", null=True),
    _string("router", null=True),
    _whole("input_amount_raw"),
    _whole("quoted_out_raw"),
    _whole("min_out_raw"),
    _whole("max_fee_lamports"),
    Column("usd_per_input_unit", ExactDecimal),
    Column("usd_per_output_unit", ExactDecimal),
    Column("usd_per_lamport", ExactDecimal),
    _time("created_at"),
    _time("updated_at"),
    _whole("sent_count"),
    _time("last_sent_at", null=True),
    Column("execute_code", Whole),
    _string("execute_message", null=True),
    _whole("landed_slot", null=True),
    _string("landed_error", null=True),
    _time("confirmed_at", null=True),
    _time("finalized_at", null=True),
    _string("death_proof", null=True),
    _time("watch_until", null=True),
    CheckConstraint("(nonce_account IS NULL) = (nonce_value IS NULL)", name="nonce_has_value"),
    CheckConstraint(
        "nonce_account IS NOT NULL OR bound_block_height IS NOT NULL OR path = 'paper'", name="bound_or_nonce"
    ),
    UniqueConstraint("intent_id", "number"),
    Index(None, "created_at"),
    _partial("uq_attempts_one_live", "intent_id", where=f"nonce_account IS NULL AND {LIVE}", unique=True),
    _partial("ix_attempts_live", "created_at", where=LIVE),
    _partial("ix_attempts_reverted", "created_at", where=REVERTED),
    _partial("ix_attempts_watched", "watch_until", where="state = 'expired' AND watch_until IS NOT NULL"),
)

reservations = _table(
    "reservations",
    _link("attempt_id", "attempts.id"),
    _string("wallet"),
    _string("mint"),
    _one_of("kind", ReservationKind),
    _whole("amount_raw"),
    _time("created_at"),
    _time("released_at", null=True),
    PrimaryKeyConstraint("attempt_id", "mint", "kind"),
    _partial("ix_reservations_held", "wallet", "mint", where="released_at IS NULL"),
)

fills = _table(
    "fills",
    _string("signature", primary_key=True),
    _link("attempt_id", "attempts.id", unique=True),
    _link("intent_id", "trade_intents.id", index=True),
    _string("wallet"),
    _one_of("state", FillState),
    _whole("version"),
    _whole("slot"),
    _string("input_mint"),
    _whole("input_raw"),
    _string("output_mint"),
    _whole("output_raw"),
    _whole("fee_lamports"),
    _whole("tip_lamports"),
    _whole("rent_paid_lamports"),
    _whole("rent_returned_lamports"),
    _time("booked_at"),
    _time("finalized_at", null=True),
    Column("result_usd", ExactDecimal),
    _partial("ix_fills_provisional", "booked_at", where="state = 'provisional'"),
    _partial("ix_fills_exits", "booked_at", "state", "result_usd", where=EXITED),
)

ledger_entries = _table(
    "ledger_entries",
    Column("id", Whole, primary_key=True),
    _string("source"),
    _link("wallet", "wallets.address"),
    _string("asset"),
    _one_of("kind", LedgerKind),
    Column("delta_raw", Whole, nullable=False),
    _whole("slot"),
    _one_of("state", FillState),
    _time("booked_at"),
    _link("intent_id", "trade_intents.id", null=True),
    _link("attempt_id", "attempts.id", null=True),
    UniqueConstraint("source", "wallet", "asset", "kind"),
    Index(None, "wallet", "asset", "slot"),
    Index(None, "wallet", "slot"),
)

positions = _table(
    "positions",
    _link("wallet", "wallets.address"),
    _string("mint"),
    _whole("raw"),
    Column("cost_usd", ExactDecimal, nullable=False),
    Column("realised_usd", ExactDecimal, nullable=False),
    _whole("version"),
    PrimaryKeyConstraint("wallet", "mint"),
    _partial("ix_positions_held", "mint", where=HELD),
)

nonce_accounts = _table(
    "nonce_accounts",
    _string("address", primary_key=True),
    _string("authority"),
    _link("wallet", "wallets.address", index=True),
    _one_of("state", NonceState),
    _string("value", null=True),
    _whole("value_slot", null=True),
    _link("leased_intent_id", "trade_intents.id", null=True),
    _whole("version"),
)

known_transactions = _table(
    "known_transactions",
    _string("signature"),
    _link("wallet", "wallets.address"),
    _whole("slot"),
    _string("err", null=True),
    _one_of("attribution", Attribution),
    _time("seen_at"),
    _link("attempt_id", "attempts.id", null=True),
    PrimaryKeyConstraint("signature", "wallet"),
    Index(None, "wallet", "attribution", "slot"),
)

price_observations = _table(
    "price_observations",
    _string("mint"),
    _string("source"),
    Column("usd", PriceKey, nullable=False),
    _time("observed_at"),
    _whole("slot", null=True),
    Column("confidence_usd", ExactDecimal),
    PrimaryKeyConstraint("mint", "source"),
)

events = _table(
    "events",
    Column("id", Whole, primary_key=True),
    _time("at"),
    _string("kind"),
    _one_of("severity", Severity),
    _string("message"),
    _string("wallet", null=True),
    _string("intent_id", null=True, index=True),
    _string("attempt_id", null=True),
    Column("facts", Json, nullable=False),
    _partial("ix_events_diverged", "at", where=DIVERGED),
)

strategy_plans = _table(
    "strategy_plans",
    _string("id", primary_key=True),
    _string("kind"),
    _link("wallet", "wallets.address"),
    _one_of("status", PlanState),
    Column("config", Json, nullable=False),
    Column("state", Json, nullable=False),
    _whole("next_occurrence"),
    _time("next_due_at", null=True),
    _one_of("catch_up", CatchUp),
    _whole("max_lateness_s"),
    _time("created_at"),
    _time("updated_at"),
    _whole("version"),
    Index(None, "status", "next_due_at"),
)

plan_occurrences = _table(
    "plan_occurrences",
    _link("plan_id", "strategy_plans.id"),
    _whole("occurrence"),
    _one_of("state", OccurrenceState),
    _link("intent_id", "trade_intents.id", null=True),
    _string("reason", null=True),
    _time("due_at"),
    _time("decided_at"),
    CheckConstraint("(state = 'decided') = (intent_id IS NOT NULL)", name="decided_has_intent"),
    PrimaryKeyConstraint("plan_id", "occurrence"),
)

orders = _table(
    "orders",
    _bytewise("id", primary_key=True),
    _link("wallet", "wallets.address"),
    _one_of("kind", OrderKind),
    _string("base_mint"),
    _string("quote_mint"),
    _one_of("state", OrderState),
    _time("created_at"),
    _time("updated_at"),
    _time("expires_at", null=True),
    _time("cancel_requested_at", null=True),
    _string("reason", null=True),
    _whole("version"),
    Index(None, "created_at", "id"),
    _partial("ix_orders_open", "id", where=OPEN_ORDER),
    _partial("ix_orders_open_of_wallet", "wallet", "id", where=OPEN_ORDER),
    _partial("ix_orders_expiring", "expires_at", "id", where=EXPIRING_ORDER),
)

order_legs = _table(
    "order_legs",
    _bytewise("order_id", ForeignKey("orders.id")),
    _one_of("name", LegName),
    _one_of("state", LegState),
    _flag("order_is_open"),  # of its order, repeated: listings never pass the legs of closed ones
    _one_of("effect", ExposureEffect),
    _string("input_mint"),
    _string("output_mint"),
    Column("amount", AmountJson, nullable=False),
    _flag("reduce_only"),
    Column("rule", RuleJson, nullable=False),
    _whole("confirmations"),
    _whole("max_slippage_bps"),
    _whole("widen_to_bps", null=True),
    _whole("deadline_s", null=True),
    _time("active_from", null=True),
    _time("updated_at"),
    _whole("version"),
    _whole("firings"),
    _link("intent_id", "trade_intents.id", null=True),
    _time("fired_at", null=True),
    Column("fired_value", ExactDecimal),
    _whole("gap_bps", null=True),
    _time("refire_at", null=True),
    _string("reason", null=True),
    PrimaryKeyConstraint("order_id", "name"),
    _partial("ix_order_legs_in_state", "state", "updated_at", "order_id", "name", where=LEG_OF_OPEN_ORDER),
    _partial("ix_order_legs_to_fire_again", "refire_at", "order_id", "name", where=LEG_TO_FIRE_AGAIN),
    _partial("ix_order_legs_to_wake", "active_from", "order_id", "name", where=LEG_TO_WAKE),
)

price_samples = _table(
    "price_samples",
    _string("mint"),
    _time("at"),
    Column("usd", PriceKey, nullable=False),
    PrimaryKeyConstraint("mint", "at"),
    Index(None, "at"),
)

trigger_subjects = _table(
    "trigger_subjects",
    _bytewise("name", primary_key=True),
    _whole("watched"),  # how many of its triggers are not FIRED
    Column("value", PriceKey),
    _whole("print_number", null=True),
    _time("seen_at", null=True),
    _string("problem", null=True),
    _time("problem_since", null=True),
    _partial("ix_trigger_subjects_watched", "name", where="watched > 0"),
)

trigger_groups = _table(  # what they are: repositories/triggers_trailing.py
    "trigger_groups",
    Column("id", Whole, primary_key=True),
    _bytewise("subject", ForeignKey("trigger_subjects.name")),
    _one_of("direction", Direction),
    Column("floor", Whole),
    Column("nearest", Whole),
    Index(None, "subject", "direction"),
)

triggers = _table(
    "triggers",
    _bytewise("id", primary_key=True),
    _bytewise("subject", ForeignKey("trigger_subjects.name")),
    _one_of("direction", Direction),
    _whole("confirmations"),
    Column("level", PriceKey),
    _whole("trail_bps", null=True),
    Column("trail_amount", PriceKey),
    Column("best", PriceKey),
    _time("added_at"),
    _one_of("state", TriggerState),
    _whole("counted"),
    Column("group_id", Whole, ForeignKey("trigger_groups.id")),
    Column("peak", Whole),
    Column("reach", Whole),
    _time("fired_at", null=True),
    Column("fired_value", PriceKey),
    CheckConstraint("(level IS NULL) = (best IS NOT NULL)", name="trail_has_best"),
    CheckConstraint("(best IS NULL) = (peak IS NULL)", name="trail_has_peak"),
    CheckConstraint("(group_id IS NOT NULL) = (best IS NOT NULL AND state <> 'fired')", name="trail_has_group"),
    _partial("ix_triggers_armed", "subject", "direction", "reach", where=ARMED),
    _partial("ix_triggers_crossed", "subject", where=CROSSED),
    _partial("ix_triggers_fired", "fired_at", "id", where=FIRED),
    _partial("ix_triggers_of_group", "group_id", "peak", where="group_id IS NOT NULL"),
    _partial("ix_triggers_trail_bps", "group_id", "trail_bps", where=ARMED_BPS),
    _partial("ix_triggers_trail_amount", "group_id", "trail_amount", where=ARMED_AMOUNT),
)
