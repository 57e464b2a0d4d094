"""Trades on paper: a path of their own, on which no blockhash bounds anything.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PATH_BEFORE = "path IN ('managed', 'router')"
PATH = "path IN ('managed', 'router', 'paper')"
BOUND_BEFORE = "nonce_account IS NOT NULL OR bound_block_height IS NOT NULL"
BOUND = "nonce_account IS NOT NULL OR bound_block_height IS NOT NULL OR path = 'paper'"

CHANGES = (
    ("trade_intents", "path", PATH_BEFORE, PATH),
    ("attempts", "path", PATH_BEFORE, PATH),
    ("attempts", "bound_or_nonce", BOUND_BEFORE, BOUND),
)
LINKS_WITHOUT_INDEX = (
    ("ledger_entries", "intent_id"),
    ("ledger_entries", "attempt_id"),
    ("known_transactions", "attempt_id"),
    ("nonce_accounts", "leased_intent_id"),
    ("plan_occurrences", "intent_id"),
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _upgrade_sqlite()
        return
    for table, name, _, after in CHANGES:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, after)


def _upgrade_sqlite() -> None:
    """SQLite cannot change a constraint, so each table is made anew from its own text, with all its rows.

    Other tables point to these rows. Their foreign keys are held against the new rows at the end of the transaction;
    meanwhile every link is looked up once per row, which needs an index.
    """
    run = op.get_bind().exec_driver_sql
    run("PRAGMA defer_foreign_keys=ON")
    for table, column in LINKS_WITHOUT_INDEX:
        run(f"CREATE INDEX migrating_{table}_{column} ON {table} ({column})")
    for table in ("trade_intents", "attempts"):
        schema = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = ? AND sql IS NOT NULL"
        ((made,),) = run(schema, (table, "table")).all()
        indexes = run(schema, (table, "index")).all()
        for changed, name, before, after in CHANGES:
            if changed == table:
                clause = f"CONSTRAINT ck_{table}_{name} CHECK ({{}})"
                if made.count(clause.format(before)) != 1:
                    message = f"the table {table} has not the constraint that revision 0001 gave it: {name}"
                    raise sa.exc.InvalidRequestError(message)
                made = made.replace(clause.format(before), clause.format(after))
        run(f"CREATE TEMP TABLE migrating AS SELECT * FROM {table}")
        run(f"DROP TABLE {table}")
        run(made)
        run(f"INSERT INTO {table} SELECT * FROM temp.migrating")
        run("DROP TABLE temp.migrating")
        for (index,) in indexes:
            run(index)
    for table, column in LINKS_WITHOUT_INDEX:
        run(f"DROP INDEX migrating_{table}_{column}")
