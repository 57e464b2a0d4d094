"""Attempts by the time of their signature: what entries of 24 hours spent is asked before each one.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_attempts_created_at"), "attempts", ["created_at"])
