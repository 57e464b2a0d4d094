"""Orders with their legs, and prices of a while ago for what is watched over a time.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG = sa.SmallInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

KINDS = "kind IN ('stop-loss', 'take-profit', 'trailing-stop', 'conditional', 'oco', 'bracket')"
ORDER_STATES = "state IN ('open', 'filled', 'cancelled', 'expired')"
LEG_NAMES = "name IN ('main', 'entry', 'stop', 'take')"
LEG_STATES = "state IN ('dormant', 'armed', 'suspended', 'fired', 'waiting', 'filled', 'cancelled')"
EFFECTS = "effect IN ('entry', 'exit')"

OPEN_ORDER = "state = 'open'"
LEG_OF_OPEN_ORDER = "order_is_open = 1"
PARTIAL = (
    ("ix_orders_open", "orders", ["id"], OPEN_ORDER),
    ("ix_orders_open_of_wallet", "orders", ["wallet", "id"], OPEN_ORDER),
    ("ix_orders_expiring", "orders", ["expires_at", "id"], f"{OPEN_ORDER} AND expires_at IS NOT NULL"),
    ("ix_order_legs_in_state", "order_legs", ["state", "updated_at", "order_id", "name"], LEG_OF_OPEN_ORDER),
    (
        "ix_order_legs_to_fire_again",
        "order_legs",
        ["refire_at", "order_id", "name"],
        f"{LEG_OF_OPEN_ORDER} AND state = 'waiting' AND refire_at IS NOT NULL",
    ),
    (
        "ix_order_legs_to_wake",
        "order_legs",
        ["active_from", "order_id", "name"],
        f"{LEG_OF_OPEN_ORDER} AND state = 'dormant' AND active_from IS NOT NULL",
    ),
)


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", BYTEWISE, nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), _check("orders", "kind", KINDS), nullable=False),
        sa.Column("base_mint", sa.Text(), nullable=False),
        sa.Column("quote_mint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), _check("orders", "state", ORDER_STATES), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("cancel_requested_at", MOMENT),
        sa.Column("reason", sa.Text()),
        _whole("orders", "version"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.ForeignKeyConstraint(["wallet"], ["wallets.address"], name=op.f("fk_orders_wallet")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_orders_created_at_id"), "orders", ["created_at", "id"])
    op.create_table(
        "order_legs",
        sa.Column("order_id", BYTEWISE, nullable=False),
        sa.Column("name", sa.Text(), _check("order_legs", "name", LEG_NAMES), nullable=False),
        sa.Column("state", sa.Text(), _check("order_legs", "state", LEG_STATES), nullable=False),
        _flag("order_legs", "order_is_open"),
        sa.Column("effect", sa.Text(), _check("order_legs", "effect", EFFECTS), nullable=False),
        sa.Column("input_mint", sa.Text(), nullable=False),
        sa.Column("output_mint", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        _flag("order_legs", "reduce_only"),
        sa.Column("rule", sa.Text(), nullable=False),
        _whole("order_legs", "confirmations"),
        _whole("order_legs", "max_slippage_bps"),
        _whole("order_legs", "widen_to_bps", null=True),
        _whole("order_legs", "deadline_s", null=True),
        sa.Column("active_from", MOMENT),
        sa.Column("updated_at", MOMENT, nullable=False),
        _whole("order_legs", "version"),
        _whole("order_legs", "firings"),
        sa.Column("intent_id", sa.Text()),
        sa.Column("fired_at", MOMENT),
        sa.Column("fired_value", sa.Text()),
        _whole("order_legs", "gap_bps", null=True),
        sa.Column("refire_at", MOMENT),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("order_id", "name", name=op.f("pk_order_legs")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_legs_order_id")),
        sa.ForeignKeyConstraint(["intent_id"], ["trade_intents.id"], name=op.f("fk_order_legs_intent_id")),
        sqlite_strict=True,
    )
    op.create_table(
        "price_samples",
        sa.Column("mint", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("usd", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("mint", "at", name=op.f("pk_price_samples")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_price_samples_at"), "price_samples", ["at"])
    for name, table, columns, where in PARTIAL:
        op.create_index(
            op.f(name), table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _whole(table: str, name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, WHOLE, _check(table, name, f"{name} >= 0"), nullable=null)


def _flag(table: str, name: str) -> sa.Column[int]:
    return sa.Column(name, FLAG, _check(table, name, f"{name} IN (0, 1)"), nullable=False)
