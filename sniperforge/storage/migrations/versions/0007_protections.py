"""What exits brought, and what protections look for: exits, failed transactions, ended entries, divergences, holdings.

Exits from before have no result: nobody wrote down what they brought, so no limit counts them.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PARTIAL = (
    ("ix_fills_exits", "fills", ["booked_at", "state", "result_usd"], "result_usd IS NOT NULL"),
    ("ix_attempts_reverted", "attempts", ["created_at"], "state = 'reverted'"),
    (
        "ix_trade_intents_ended_entries",
        "trade_intents",
        ["created_at"],
        "effect = 'entry' AND kind = 'trade' AND state NOT IN ('pending', 'executing', 'cancelled', 'parked')",
    ),
    ("ix_events_diverged", "events", ["at"], "kind = 'price.diverged'"),
    ("ix_positions_held", "positions", ["mint"], "raw > 0"),
)


def upgrade() -> None:
    op.add_column("fills", sa.Column("result_usd", sa.Text()))
    for name, table, columns, where in PARTIAL:
        op.create_index(
            op.f(name), table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
