"""The schema: migrations lead to exactly the tables of the code, on both databases, or to nothing at all."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from sniperforge.domain.intent import LIVE_ATTEMPT_STATES
from sniperforge.errors import StorageError
from sniperforge.storage import tables
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.migrations import check_schema, current_revision, head_revision, upgrade
from tests.fakes import postgres
from tests.fakes.stores import migrated_engine


@pytest.fixture(params=["sqlite", "postgres"])
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with migrated_engine(request.param, tmp_path) as engine:
        yield engine


@pytest.fixture
def empty(request: pytest.FixtureRequest, migrated: Engine, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of the same kind as `migrated`."""
    if migrated.dialect.name == "sqlite":
        engine = create_engine_for(f"sqlite:///{tmp_path / 'empty.db'}")
    else:
        engine = create_engine_for(postgres.shared_server().url(postgres.shared_server().database()))
    yield engine
    engine.dispose()


CATALOGUE = (
    """SELECT table_name, column_name, data_type, is_nullable, column_default, NULL
    FROM information_schema.columns WHERE table_schema = 'public'""",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL, NULL, NULL
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "SELECT tablename, indexname, indexdef, NULL, NULL, NULL FROM pg_indexes WHERE schemaname = 'public'",
)

BETWEEN_CLAUSES = re.compile(r",(?![^(]*\))")
"""Commas outside parentheses: SQLite writes a column that a migration adds onto the line of the last one."""


def catalogue(engine: Engine) -> set[tuple[Any, ...]]:
    """Everything the database itself says about its schema, Alembic's own table apart."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
            return {
                (name, clause.strip())
                for name, sql in rows
                if not name.startswith("alembic")
                for line in sql.splitlines()
                for clause in BETWEEN_CLAUSES.split(line)
                if clause.strip()
            }
        found = {tuple(row) for query in CATALOGUE for row in connection.exec_driver_sql(query)}
        return {row for row in found if not row[0].startswith("alembic")}


def test_migrating_from_nothing_makes_exactly_the_tables_of_the_code(migrated: Engine, empty: Engine) -> None:
    tables.metadata.create_all(empty)

    assert catalogue(migrated) == catalogue(empty)
    assert len(catalogue(migrated)) > 200


def test_alembic_finds_nothing_to_do(migrated: Engine) -> None:
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_a_migrated_database_fits_and_migrating_again_changes_nothing(migrated: Engine) -> None:
    before = catalogue(migrated)

    upgrade(migrated)

    check_schema(migrated)
    assert current_revision(migrated) == head_revision()
    assert catalogue(migrated) == before


def test_an_empty_database_has_to_be_migrated_first(empty: Engine) -> None:
    assert current_revision(empty) is None
    with pytest.raises(StorageError, match="no tables yet"):
        check_schema(empty)


def test_a_newer_schema_is_refused_and_left_alone(migrated: Engine) -> None:
    with migrated.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    for use in (check_schema, upgrade):
        with pytest.raises(StorageError, match="a newer one made it"):
            use(migrated)
    assert current_revision(migrated) == "9999"


def test_a_migration_that_fails_halfway_leaves_nothing(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE attempts (somebody INTEGER)"))

    with pytest.raises(StorageError):
        upgrade(empty)

    assert inspect(empty).get_table_names() == ["attempts"]
    assert current_revision(empty) is None


def test_processes_that_migrate_at_once_make_one_schema(empty: Engine, migrated: Engine) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(empty)
        except BaseException as error:  # noqa: BLE001 (collected and asserted on)
            failures.append(error)

    racers = [threading.Thread(target=run) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert failures == []
    assert catalogue(empty) == catalogue(migrated)


def test_the_index_of_live_attempts_knows_every_live_state() -> None:
    assert set(re.findall(r"'(\w+)'", tables.LIVE)) == {state.value for state in LIVE_ATTEMPT_STATES}


def test_every_sqlite_table_is_strict() -> None:
    assert all(table.dialect_options["sqlite"]["strict"] for table in tables.metadata.tables.values())


def test_no_column_can_hold_a_float() -> None:
    kinds = {column.type.__class__.__name__ for table in tables.metadata.tables.values() for column in table.columns}

    whole_and_exact = {"Whole", "PriceKey", "ExactDecimal", "Flag", "UtcDateTime", "Bytes"}
    assert kinds == whole_and_exact | {"Text", "Choice", "Json", "RuleJson", "AmountJson"}
