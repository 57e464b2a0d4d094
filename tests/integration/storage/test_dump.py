"""Books as plain bytes: every row of every table, whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sniperforge.storage.dump import rows_as_bytes
from sniperforge.storage.engine import for_writing
from tests.fakes.stores import Database, migrated_engine


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    kind: Database = request.param
    with migrated_engine(kind, tmp_path) as made:
        yield made


def write(engine: Engine, *statements: str) -> None:
    with engine.connect() as connection, for_writing(connection).begin():
        for statement in statements:
            connection.execute(text(statement))


def test_a_row_longer_than_a_page_comes_whole(engine: Engine) -> None:
    long = "".join(f"{number:08}" for number in range(4_000))
    write(
        engine,
        "INSERT INTO events (at, kind, severity, message, facts) "  # noqa: S608 (ours)
        f"VALUES ('2026-01-01T00:00:00.000000+00:00', 'test.planted', 'info', '{long}', '{{}}')",
    )
    (row,) = [row for table, row in rows_as_bytes(engine) if table == "events"]
    assert long.encode() in row


def test_a_table_that_nobody_knows_is_read_and_bytes_come_as_they_are(engine: Engine) -> None:
    kind, value = ("BYTEA", "'\\x00ff41'") if engine.dialect.name == "postgresql" else ("BLOB", "x'00ff41'")
    write(engine, f"CREATE TABLE left_over (kept {kind})", f"INSERT INTO left_over VALUES ({value})")  # noqa: S608 (same)
    assert [row for table, row in rows_as_bytes(engine) if table == "left_over"] == [b"\x00\xff\x41"]
