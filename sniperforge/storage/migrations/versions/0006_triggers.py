"""Triggers, the subjects that they watch, and the groups of those that trail.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

DIRECTIONS = "direction IN ('up', 'down')"
STATES = "state IN ('armed', 'crossed', 'held', 'fired')"
ARMED = "state = 'armed'"
PARTIAL = (
    ("ix_trigger_subjects_watched", "trigger_subjects", ["name"], "watched > 0"),
    ("ix_triggers_armed", "triggers", ["subject", "direction", "reach"], ARMED),
    ("ix_triggers_crossed", "triggers", ["subject"], "state = 'crossed'"),
    ("ix_triggers_fired", "triggers", ["fired_at", "id"], "state = 'fired'"),
    ("ix_triggers_of_group", "triggers", ["group_id", "peak"], "group_id IS NOT NULL"),
    ("ix_triggers_trail_bps", "triggers", ["group_id", "trail_bps"], f"{ARMED} AND trail_bps IS NOT NULL"),
    ("ix_triggers_trail_amount", "triggers", ["group_id", "trail_amount"], f"{ARMED} AND trail_amount IS NOT NULL"),
)


def upgrade() -> None:
    op.create_table(
        "trigger_subjects",
        sa.Column("name", BYTEWISE, nullable=False),
        _whole("trigger_subjects", "watched"),
        sa.Column("value", WHOLE),
        _whole("trigger_subjects", "print_number", null=True),
        sa.Column("seen_at", MOMENT),
        sa.Column("problem", sa.Text()),
        sa.Column("problem_since", MOMENT),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_trigger_subjects")),
        sqlite_strict=True,
    )
    op.create_table(
        "trigger_groups",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("subject", BYTEWISE, nullable=False),
        sa.Column("direction", sa.Text(), _check("trigger_groups", "direction", DIRECTIONS), nullable=False),
        sa.Column("floor", WHOLE),
        sa.Column("nearest", WHOLE),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trigger_groups")),
        sa.ForeignKeyConstraint(["subject"], ["trigger_subjects.name"], name=op.f("fk_trigger_groups_subject")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_trigger_groups_subject_direction"), "trigger_groups", ["subject", "direction"])
    op.create_table(
        "triggers",
        sa.Column("id", BYTEWISE, nullable=False),
        sa.Column("subject", BYTEWISE, nullable=False),
        sa.Column("direction", sa.Text(), _check("triggers", "direction", DIRECTIONS), nullable=False),
        _whole("triggers", "confirmations"),
        sa.Column("level", WHOLE),
        _whole("triggers", "trail_bps", null=True),
        sa.Column("trail_amount", WHOLE),
        sa.Column("best", WHOLE),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("state", sa.Text(), _check("triggers", "state", STATES), nullable=False),
        _whole("triggers", "counted"),
        sa.Column("group_id", WHOLE),
        sa.Column("peak", WHOLE),
        sa.Column("reach", WHOLE),
        sa.Column("fired_at", MOMENT),
        sa.Column("fired_value", WHOLE),
        _check("triggers", "trail_has_best", "(level IS NULL) = (best IS NOT NULL)"),
        _check("triggers", "trail_has_peak", "(best IS NULL) = (peak IS NULL)"),
        _check(
            "triggers", "trail_has_group", "(group_id IS NOT NULL) = (best IS NOT NULL AND state <> 'fired')"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_triggers")),
        sa.ForeignKeyConstraint(["subject"], ["trigger_subjects.name"], name=op.f("fk_triggers_subject")),
        sa.ForeignKeyConstraint(["group_id"], ["trigger_groups.id"], name=op.f("fk_triggers_group_id")),
        sqlite_strict=True,
    )
    for name, table, columns, where in PARTIAL:
        op.create_index(
            op.f(name), table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _whole(table: str, name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, WHOLE, _check(table, name, f"{name} >= 0"), nullable=null)
