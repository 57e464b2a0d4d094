"""The prices an attempt was signed at, so that its fill is valued by one stored snapshot.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("usd_per_input_unit", "usd_per_output_unit", "usd_per_lamport"):
        op.add_column("attempts", sa.Column(name, sa.Text()))
