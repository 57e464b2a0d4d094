"""Statements that are handed straight to the driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, Engine, bindparam, select

from sniperforge.domain.intent import AttemptState
from sniperforge.storage import tables
from sniperforge.storage.prepared import one_of, prepared, values_of
from tests.fakes.stores import migrated_engine

STATE = tables.attempts.c.state
LISTS = {
    "written out": STATE.not_in([AttemptState.EXPIRED]),
    "to be given": STATE.in_(bindparam("states", expanding=True)),
}


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with migrated_engine(request.param, tmp_path) as made:
        yield made


@pytest.mark.parametrize("condition", LISTS.values(), ids=LISTS.keys())
def test_a_statement_with_a_list_in_it_is_refused_before_it_is_asked(
    engine: Engine, condition: ColumnElement[bool]
) -> None:
    with pytest.raises(TypeError, match="one_of"):
        prepared(select(STATE).where(condition), engine.dialect, ("states",))


def test_as_many_places_as_values_are_asked_for_each_of_them(engine: Engine) -> None:
    mode = tables.system_state.c.mode
    with engine.connect() as connection:
        for modes, found in ((["halted", "active"], [["active"]]), (["halted"], []), ([], [])):
            question = prepared(select(mode).where(one_of(mode, "mode", len(modes))), engine.dialect, ())
            assert question.rows(connection, values_of("mode", modes)) == found


def test_a_statement_is_prepared_once(engine: Engine) -> None:
    question = select(STATE).where(bindparam("id") == tables.attempts.c.id)
    assert prepared(question, engine.dialect, ("id",)) is prepared(question, engine.dialect, ("id",))
