"""The first schema.

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "severity",
            sa.Text(),
            sa.CheckConstraint(
                "severity IN ('debug', 'info', 'warning', 'error', 'critical')", name=op.f("ck_events_severity")
            ),
            nullable=False,
        ),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text()),
        sa.Column("intent_id", sa.Text()),
        sa.Column("attempt_id", sa.Text()),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_events_intent_id"), "events", ["intent_id"], unique=False)
    op.create_table(
        "price_observations",
        sa.Column("mint", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("usd", WHOLE, nullable=False),
        sa.Column("observed_at", MOMENT, nullable=False),
        sa.Column("slot", WHOLE, sa.CheckConstraint("slot >= 0", name=op.f("ck_price_observations_slot"))),
        sa.Column("confidence_usd", sa.Text()),
        sa.PrimaryKeyConstraint("mint", "source", name=op.f("pk_price_observations")),
        sqlite_strict=True,
    )
    op.create_table(
        "system_state",
        sa.Column(
            "id",
            WHOLE,
            sa.CheckConstraint("id = 1", name=op.f("ck_system_state_single")),
            nullable=False,
            autoincrement=False,
        ),
        sa.Column("epoch", WHOLE, sa.CheckConstraint("epoch >= 0", name=op.f("ck_system_state_epoch")), nullable=False),
        sa.Column(
            "highest_finalized_height",
            WHOLE,
            sa.CheckConstraint("highest_finalized_height >= 0", name=op.f("ck_system_state_highest_finalized_height")),
            nullable=False,
        ),
        sa.Column(
            "mode",
            sa.Text(),
            sa.CheckConstraint("mode IN ('active', 'reducing', 'halted')", name=op.f("ck_system_state_mode")),
            nullable=False,
        ),
        sa.Column("reason", sa.Text()),
        sa.Column("changed_by", sa.Text()),
        sa.Column("changed_at", MOMENT),
        sa.Column(
            "version", WHOLE, sa.CheckConstraint("version >= 0", name=op.f("ck_system_state_version")), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_system_state")),
        sqlite_strict=True,
    )
    op.create_table(
        "wallets",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column(
            "mode",
            sa.Text(),
            sa.CheckConstraint("mode IN ('active', 'reducing', 'halted')", name=op.f("ck_wallets_mode")),
            nullable=False,
        ),
        sa.Column("mode_reason", sa.Text()),
        sa.Column("mode_changed_at", MOMENT),
        sa.Column(
            "wrap_mode",
            sa.Text(),
            sa.CheckConstraint("wrap_mode IN ('native', 'wrapped')", name=op.f("ck_wallets_wrap_mode")),
            nullable=False,
        ),
        sa.Column("cursor_signature", sa.Text()),
        sa.Column("cursor_slot", WHOLE, sa.CheckConstraint("cursor_slot >= 0", name=op.f("ck_wallets_cursor_slot"))),
        sa.Column("epoch", WHOLE, sa.CheckConstraint("epoch >= 0", name=op.f("ck_wallets_epoch")), nullable=False),
        sa.Column(
            "version", WHOLE, sa.CheckConstraint("version >= 0", name=op.f("ck_wallets_version")), nullable=False
        ),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_wallets")),
        sa.UniqueConstraint("name", name=op.f("uq_wallets_name")),
        sqlite_strict=True,
    )
    op.create_table(
        "positions",
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("mint", sa.Text(), nullable=False),
        sa.Column("raw", WHOLE, sa.CheckConstraint("raw >= 0", name=op.f("ck_positions_raw")), nullable=False),
        sa.Column("cost_usd", sa.Text(), nullable=False),
        sa.Column("realised_usd", sa.Text(), nullable=False),
        sa.Column(
            "version", WHOLE, sa.CheckConstraint("version >= 0", name=op.f("ck_positions_version")), nullable=False
        ),
        sa.PrimaryKeyConstraint("wallet", "mint", name=op.f("pk_positions")),
        sa.ForeignKeyConstraint(["wallet"], ["wallets.address"], name=op.f("fk_positions_wallet")),
        sqlite_strict=True,
    )
    op.create_table(
        "strategy_plans",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Text(),
            sa.CheckConstraint("status IN ('active', 'paused', 'ended')", name=op.f("ck_strategy_plans_status")),
            nullable=False,
        ),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "next_occurrence",
            WHOLE,
            sa.CheckConstraint("next_occurrence >= 0", name=op.f("ck_strategy_plans_next_occurrence")),
            nullable=False,
        ),
        sa.Column("next_due_at", MOMENT),
        sa.Column(
            "catch_up",
            sa.Text(),
            sa.CheckConstraint("catch_up IN ('skip', 'once')", name=op.f("ck_strategy_plans_catch_up")),
            nullable=False,
        ),
        sa.Column(
            "max_lateness_s",
            WHOLE,
            sa.CheckConstraint("max_lateness_s >= 0", name=op.f("ck_strategy_plans_max_lateness_s")),
            nullable=False,
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column(
            "version", WHOLE, sa.CheckConstraint("version >= 0", name=op.f("ck_strategy_plans_version")), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_plans")),
        sa.ForeignKeyConstraint(["wallet"], ["wallets.address"], name=op.f("fk_strategy_plans_wallet")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_strategy_plans_status_next_due_at"), "strategy_plans", ["status", "next_due_at"], unique=False
    )
    op.create_table(
        "trade_intents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            sa.CheckConstraint("kind IN ('trade', 'maintenance')", name=op.f("ck_trade_intents_kind")),
            nullable=False,
        ),
        sa.Column(
            "purpose",
            sa.Text(),
            sa.CheckConstraint(
                "purpose IN ('nonce_create', 'nonce_burn', 'wrap', 'unwrap', 'devnet_check')",
                name=op.f("ck_trade_intents_purpose"),
            ),
        ),
        sa.Column(
            "effect",
            sa.Text(),
            sa.CheckConstraint("effect IN ('entry', 'exit')", name=op.f("ck_trade_intents_effect")),
            nullable=False,
        ),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("input_mint", sa.Text(), nullable=False),
        sa.Column("output_mint", sa.Text(), nullable=False),
        sa.Column(
            "input_amount_raw",
            WHOLE,
            sa.CheckConstraint("input_amount_raw >= 0", name=op.f("ck_trade_intents_input_amount_raw")),
        ),
        sa.Column(
            "path",
            sa.Text(),
            sa.CheckConstraint("path IN ('managed', 'router')", name=op.f("ck_trade_intents_path")),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Text(),
            sa.CheckConstraint(
                "state IN ('pending', 'executing', 'filled', 'failed', 'cancelled', 'parked')",
                name=op.f("ck_trade_intents_state"),
            ),
            nullable=False,
        ),
        sa.Column(
            "version", WHOLE, sa.CheckConstraint("version >= 0", name=op.f("ck_trade_intents_version")), nullable=False
        ),
        sa.Column(
            "epoch", WHOLE, sa.CheckConstraint("epoch >= 0", name=op.f("ck_trade_intents_epoch")), nullable=False
        ),
        sa.Column("min_out_per_input", sa.Text()),
        sa.Column(
            "max_slippage_bps",
            WHOLE,
            sa.CheckConstraint("max_slippage_bps >= 0", name=op.f("ck_trade_intents_max_slippage_bps")),
            nullable=False,
        ),
        sa.Column(
            "max_cost_bps",
            WHOLE,
            sa.CheckConstraint("max_cost_bps >= 0", name=op.f("ck_trade_intents_max_cost_bps")),
            nullable=False,
        ),
        sa.Column(
            "max_attempts",
            WHOLE,
            sa.CheckConstraint("max_attempts >= 0", name=op.f("ck_trade_intents_max_attempts")),
            nullable=False,
        ),
        sa.Column(
            "attempts_made",
            WHOLE,
            sa.CheckConstraint("attempts_made >= 0", name=op.f("ck_trade_intents_attempts_made")),
            nullable=False,
        ),
        sa.Column("deadline_at", MOMENT, nullable=False),
        sa.Column("next_attempt_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", MOMENT),
        sa.Column("cancel_requested_at", MOMENT),
        sa.Column("reason_code", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("plan_id", sa.Text()),
        sa.Column("occurrence", WHOLE, sa.CheckConstraint("occurrence >= 0", name=op.f("ck_trade_intents_occurrence"))),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_intents")),
        sa.CheckConstraint(
            "(kind = 'maintenance') = (purpose IS NOT NULL)",
            name=op.f("ck_trade_intents_purpose_of_maintenance"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["strategy_plans.id"], name=op.f("fk_trade_intents_plan_id")),
        sa.ForeignKeyConstraint(["wallet"], ["wallets.address"], name=op.f("fk_trade_intents_wallet")),
        sa.UniqueConstraint("key", name=op.f("uq_trade_intents_key")),
        sa.UniqueConstraint("plan_id", "occurrence", name=op.f("uq_trade_intents_plan_id_occurrence")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_trade_intents_created_at"), "trade_intents", ["created_at"], unique=False)
    op.create_index(
        op.f("ix_trade_intents_state_next_attempt_at"), "trade_intents", ["state", "next_attempt_at"], unique=False
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("intent_id", sa.Text(), nullable=False),
        sa.Column("number", WHOLE, sa.CheckConstraint("number >= 0", name=op.f("ck_attempts_number")), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column(
            "path",
            sa.Text(),
            sa.CheckConstraint("path IN ('managed', 'router')", name=op.f("ck_attempts_path")),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Text(),
            sa.CheckConstraint(
                "state IN ('signed', 'sent', 'confirmed', 'finalized', 'reverted', 'expired')",
                name=op.f("ck_attempts_state"),
            ),
            nullable=False,
        ),
        sa.Column(
            "version", WHOLE, sa.CheckConstraint("version >= 0", name=op.f("ck_attempts_version")), nullable=False
        ),
        sa.Column("epoch", WHOLE, sa.CheckConstraint("epoch >= 0", name=op.f("ck_attempts_epoch")), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("signed_transaction", sa.LargeBinary(), nullable=False),
        sa.Column("message_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("blockhash", sa.Text(), nullable=False),
        sa.Column(
            "quoted_last_valid_block_height",
            WHOLE,
            sa.CheckConstraint(
                "quoted_last_valid_block_height >= 0", name=op.f("ck_attempts_quoted_last_valid_block_height")
            ),
        ),
        sa.Column(
            "checked_block_height",
            WHOLE,
            sa.CheckConstraint("checked_block_height >= 0", name=op.f("ck_attempts_checked_block_height")),
        ),
        sa.Column(
            "bound_block_height",
            WHOLE,
            sa.CheckConstraint("bound_block_height >= 0", name=op.f("ck_attempts_bound_block_height")),
        ),
        sa.Column("control_signature", sa.Text()),
        sa.Column("nonce_account", sa.Text()),
        sa.Column("nonce_value", sa.Text()),
        sa.Column("request_id", sa.Text()),
        sa.Column("router", sa.Text()),
        sa.Column(
            "input_amount_raw",
            WHOLE,
            sa.CheckConstraint("input_amount_raw >= 0", name=op.f("ck_attempts_input_amount_raw")),
            nullable=False,
        ),
        sa.Column(
            "quoted_out_raw",
            WHOLE,
            sa.CheckConstraint("quoted_out_raw >= 0", name=op.f("ck_attempts_quoted_out_raw")),
            nullable=False,
        ),
        sa.Column(
            "min_out_raw",
            WHOLE,
            sa.CheckConstraint("min_out_raw >= 0", name=op.f("ck_attempts_min_out_raw")),
            nullable=False,
        ),
        sa.Column(
            "max_fee_lamports",
            WHOLE,
            sa.CheckConstraint("max_fee_lamports >= 0", name=op.f("ck_attempts_max_fee_lamports")),
            nullable=False,
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column(
            "sent_count",
            WHOLE,
            sa.CheckConstraint("sent_count >= 0", name=op.f("ck_attempts_sent_count")),
            nullable=False,
        ),
        sa.Column("last_sent_at", MOMENT),
        sa.Column("execute_code", WHOLE),
        sa.Column("execute_message", sa.Text()),
        sa.Column("landed_slot", WHOLE, sa.CheckConstraint("landed_slot >= 0", name=op.f("ck_attempts_landed_slot"))),
        sa.Column("landed_error", sa.Text()),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("finalized_at", MOMENT),
        sa.Column("death_proof", sa.Text()),
        sa.Column("watch_until", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.CheckConstraint(
            "nonce_account IS NOT NULL OR bound_block_height IS NOT NULL",
            name=op.f("ck_attempts_bound_or_nonce"),
        ),
        sa.CheckConstraint(
            "(nonce_account IS NULL) = (nonce_value IS NULL)", name=op.f("ck_attempts_nonce_has_value")
        ),
        sa.ForeignKeyConstraint(["intent_id"], ["trade_intents.id"], name=op.f("fk_attempts_intent_id")),
        sa.UniqueConstraint("intent_id", "number", name=op.f("uq_attempts_intent_id_number")),
        sa.UniqueConstraint("signature", name=op.f("uq_attempts_signature")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_attempts_live"),
        "attempts",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('signed', 'sent', 'confirmed')"),
        postgresql_where=sa.text("state IN ('signed', 'sent', 'confirmed')"),
    )
    op.create_index(
        op.f("ix_attempts_watched"),
        "attempts",
        ["watch_until"],
        unique=False,
        sqlite_where=sa.text("state = 'expired' AND watch_until IS NOT NULL"),
        postgresql_where=sa.text("state = 'expired' AND watch_until IS NOT NULL"),
    )
    op.create_index(
        op.f("uq_attempts_one_live"),
        "attempts",
        ["intent_id"],
        unique=True,
        sqlite_where=sa.text("nonce_account IS NULL AND state IN ('signed', 'sent', 'confirmed')"),
        postgresql_where=sa.text("nonce_account IS NULL AND state IN ('signed', 'sent', 'confirmed')"),
    )
    op.create_table(
        "nonce_accounts",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            sa.CheckConstraint(
                "state IN ('free', 'leased', 'burning', 'unknown')", name=op.f("ck_nonce_accounts_state")
            ),
            nullable=False,
        ),
        sa.Column("value", sa.Text()),
        sa.Column(
            "value_slot", WHOLE, sa.CheckConstraint("value_slot >= 0", name=op.f("ck_nonce_accounts_value_slot"))
        ),
        sa.Column("leased_intent_id", sa.Text()),
        sa.Column(
            "version", WHOLE, sa.CheckConstraint("version >= 0", name=op.f("ck_nonce_accounts_version")), nullable=False
        ),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_nonce_accounts")),
        sa.ForeignKeyConstraint(
            ["leased_intent_id"], ["trade_intents.id"], name=op.f("fk_nonce_accounts_leased_intent_id")
        ),
        sa.ForeignKeyConstraint(["wallet"], ["wallets.address"], name=op.f("fk_nonce_accounts_wallet")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_nonce_accounts_wallet"), "nonce_accounts", ["wallet"], unique=False)
    op.create_table(
        "plan_occurrences",
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column(
            "occurrence",
            WHOLE,
            sa.CheckConstraint("occurrence >= 0", name=op.f("ck_plan_occurrences_occurrence")),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Text(),
            sa.CheckConstraint("state IN ('decided', 'skipped')", name=op.f("ck_plan_occurrences_state")),
            nullable=False,
        ),
        sa.Column("intent_id", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "occurrence", name=op.f("pk_plan_occurrences")),
        sa.CheckConstraint(
            "(state = 'decided') = (intent_id IS NOT NULL)",
            name=op.f("ck_plan_occurrences_decided_has_intent"),
        ),
        sa.ForeignKeyConstraint(["intent_id"], ["trade_intents.id"], name=op.f("fk_plan_occurrences_intent_id")),
        sa.ForeignKeyConstraint(["plan_id"], ["strategy_plans.id"], name=op.f("fk_plan_occurrences_plan_id")),
        sqlite_strict=True,
    )
    op.create_table(
        "fills",
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("intent_id", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            sa.CheckConstraint("state IN ('provisional', 'final', 'reversed')", name=op.f("ck_fills_state")),
            nullable=False,
        ),
        sa.Column("version", WHOLE, sa.CheckConstraint("version >= 0", name=op.f("ck_fills_version")), nullable=False),
        sa.Column("slot", WHOLE, sa.CheckConstraint("slot >= 0", name=op.f("ck_fills_slot")), nullable=False),
        sa.Column("input_mint", sa.Text(), nullable=False),
        sa.Column(
            "input_raw", WHOLE, sa.CheckConstraint("input_raw >= 0", name=op.f("ck_fills_input_raw")), nullable=False
        ),
        sa.Column("output_mint", sa.Text(), nullable=False),
        sa.Column(
            "output_raw", WHOLE, sa.CheckConstraint("output_raw >= 0", name=op.f("ck_fills_output_raw")), nullable=False
        ),
        sa.Column(
            "fee_lamports",
            WHOLE,
            sa.CheckConstraint("fee_lamports >= 0", name=op.f("ck_fills_fee_lamports")),
            nullable=False,
        ),
        sa.Column(
            "tip_lamports",
            WHOLE,
            sa.CheckConstraint("tip_lamports >= 0", name=op.f("ck_fills_tip_lamports")),
            nullable=False,
        ),
        sa.Column(
            "rent_paid_lamports",
            WHOLE,
            sa.CheckConstraint("rent_paid_lamports >= 0", name=op.f("ck_fills_rent_paid_lamports")),
            nullable=False,
        ),
        sa.Column(
            "rent_returned_lamports",
            WHOLE,
            sa.CheckConstraint("rent_returned_lamports >= 0", name=op.f("ck_fills_rent_returned_lamports")),
            nullable=False,
        ),
        sa.Column("booked_at", MOMENT, nullable=False),
        sa.Column("finalized_at", MOMENT),
        sa.PrimaryKeyConstraint("signature", name=op.f("pk_fills")),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_fills_attempt_id")),
        sa.ForeignKeyConstraint(["intent_id"], ["trade_intents.id"], name=op.f("fk_fills_intent_id")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_fills_attempt_id")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_fills_intent_id"), "fills", ["intent_id"], unique=False)
    op.create_index(
        op.f("ix_fills_provisional"),
        "fills",
        ["booked_at"],
        unique=False,
        sqlite_where=sa.text("state = 'provisional'"),
        postgresql_where=sa.text("state = 'provisional'"),
    )
    op.create_table(
        "known_transactions",
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column(
            "slot", WHOLE, sa.CheckConstraint("slot >= 0", name=op.f("ck_known_transactions_slot")), nullable=False
        ),
        sa.Column("err", sa.Text()),
        sa.Column(
            "attribution",
            sa.Text(),
            sa.CheckConstraint(
                "attribution IN ('ours', 'foreign', 'deposit', 'unknown')",
                name=op.f("ck_known_transactions_attribution"),
            ),
            nullable=False,
        ),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("attempt_id", sa.Text()),
        sa.PrimaryKeyConstraint("signature", "wallet", name=op.f("pk_known_transactions")),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_known_transactions_attempt_id")),
        sa.ForeignKeyConstraint(["wallet"], ["wallets.address"], name=op.f("fk_known_transactions_wallet")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_known_transactions_wallet_attribution_slot"),
        "known_transactions",
        ["wallet", "attribution", "slot"],
        unique=False,
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            sa.CheckConstraint(
                "kind IN ('opening', 'trade_in', 'trade_out', 'fee', 'tip', 'rent_paid', 'rent_returned', 'wrap', 'transfer_in', 'transfer_out')",
                name=op.f("ck_ledger_entries_kind"),
            ),
            nullable=False,
        ),
        sa.Column("delta_raw", WHOLE, nullable=False),
        sa.Column("slot", WHOLE, sa.CheckConstraint("slot >= 0", name=op.f("ck_ledger_entries_slot")), nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            sa.CheckConstraint("state IN ('provisional', 'final', 'reversed')", name=op.f("ck_ledger_entries_state")),
            nullable=False,
        ),
        sa.Column("booked_at", MOMENT, nullable=False),
        sa.Column("intent_id", sa.Text()),
        sa.Column("attempt_id", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_ledger_entries_attempt_id")),
        sa.ForeignKeyConstraint(["intent_id"], ["trade_intents.id"], name=op.f("fk_ledger_entries_intent_id")),
        sa.ForeignKeyConstraint(["wallet"], ["wallets.address"], name=op.f("fk_ledger_entries_wallet")),
        sa.UniqueConstraint(
            "source", "wallet", "asset", "kind", name=op.f("uq_ledger_entries_source_wallet_asset_kind")
        ),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_ledger_entries_wallet_asset_slot"), "ledger_entries", ["wallet", "asset", "slot"], unique=False
    )
    op.create_index(op.f("ix_ledger_entries_wallet_slot"), "ledger_entries", ["wallet", "slot"], unique=False)
    op.create_table(
        "reservations",
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("mint", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            sa.CheckConstraint(
                "kind IN ('input', 'fee', 'rent', 'tip', 'temporary_wsol', 'risk_budget')",
                name=op.f("ck_reservations_kind"),
            ),
            nullable=False,
        ),
        sa.Column(
            "amount_raw",
            WHOLE,
            sa.CheckConstraint("amount_raw >= 0", name=op.f("ck_reservations_amount_raw")),
            nullable=False,
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("released_at", MOMENT),
        sa.PrimaryKeyConstraint("attempt_id", "mint", "kind", name=op.f("pk_reservations")),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_reservations_attempt_id")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_reservations_held"),
        "reservations",
        ["wallet", "mint"],
        unique=False,
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )
    op.execute(
        "INSERT INTO system_state (id, epoch, highest_finalized_height, mode, version) VALUES (1, 1, 0, 'active', 0)"
    )
