"""What protections ask is found by an index: the history that it passes over costs nothing.

Asked of SQLite, which plans by the shape of a question. PostgreSQL plans by what it knows of the rows, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from sniperforge.storage.prepared import prepared
from sniperforge.storage.repositories import risk
from tests.fakes.clock import START
from tests.fakes.stores import migrated_engine

QUESTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ix_attempts_created_at": (risk._SPENT, {"since": START}),
    "ix_attempts_live": (risk._UNDER_WAY, {}),
    "ix_positions_held": (risk._HELD, {}),
    "ix_fills_exits": (risk._EXITS, {"since": START}),
    "ix_attempts_reverted": (risk._WASTED, {"since": START}),
    "ix_trade_intents_ended_entries": (risk._ended(1), {"most": 3, "code_0": "x"}),
    "ix_events_diverged": (risk._DIVERGED, {"since": START}),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with migrated_engine("sqlite", tmp_path) as made:
        yield made


def plan(engine: Engine, statement: Any, values: dict[str, Any]) -> str:
    """How the database would find the answer."""
    asked = prepared(statement, engine.dialect, tuple(values))
    raw = engine.raw_connection()
    with closing(raw), closing(raw.cursor()) as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {asked._sql}", asked._given(values))
        return "\n".join(str(row) for row in cursor.fetchall())


@pytest.mark.parametrize("index", QUESTIONS)
def test_each_question_is_answered_by_its_index(engine: Engine, index: str) -> None:
    assert index in plan(engine, *QUESTIONS[index])


def test_results_of_a_month_are_read_from_the_index_alone(engine: Engine) -> None:
    assert "USING COVERING INDEX ix_fills_exits" in plan(engine, risk._RESULTS, {"since": START})


def test_fees_of_a_time_are_found_by_the_time_of_the_signature(engine: Engine) -> None:
    assert "ix_attempts_created_at" in plan(engine, risk._FEES, {"since": START})
