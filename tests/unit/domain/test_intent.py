"""The life of a trade: what the tables list may happen, everything else raises."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import product
from typing import Any

import pytest

from sniperforge.domain.intent import (
    ATTEMPT_TRANSITIONS,
    DEAD_ATTEMPT_STATES,
    FILL_TRANSITIONS,
    INTENT_TRANSITIONS,
    LIVE_ATTEMPT_STATES,
    TERMINAL_INTENT_STATES,
    AttemptState,
    FillState,
    IntentState,
    checked_transition,
)
from sniperforge.errors import InvalidTransitionError

Table = Mapping[tuple[Any, Any], str]
TABLES: list[tuple[Table, type[StrEnum]]] = [
    (INTENT_TRANSITIONS, IntentState),
    (ATTEMPT_TRANSITIONS, AttemptState),
    (FILL_TRANSITIONS, FillState),
]

# Written down once more, by hand, from the design: a change of either side is noticed.
INTENT_CHANGES = """
pending->executing pending->cancelled pending->failed pending->parked
executing->pending executing->filled executing->failed executing->cancelled executing->parked
filled->executing filled->pending failed->filled cancelled->filled
parked->cancelled parked->filled
"""
ATTEMPT_CHANGES = """
signed->sent signed->confirmed signed->finalized signed->reverted signed->expired
sent->confirmed sent->finalized sent->reverted sent->expired
confirmed->finalized confirmed->sent confirmed->reverted confirmed->expired
expired->finalized
"""
FILL_CHANGES = "provisional->final provisional->reversed reversed->provisional reversed->final"


@pytest.mark.parametrize(("table", "states"), TABLES)
def test_listed_changes_are_allowed_and_all_others_raise(table: Table, states: type[StrEnum]) -> None:
    for before, after in product(states, states):
        if (before, after) in table:
            assert checked_transition(table, before, after, subject="x") == table[(before, after)]
        else:
            with pytest.raises(InvalidTransitionError, match=f"x: {before} -> {after} is not a legal change"):
                checked_transition(table, before, after, subject="x")


@pytest.mark.parametrize(
    ("table", "written"),
    [(INTENT_TRANSITIONS, INTENT_CHANGES), (ATTEMPT_TRANSITIONS, ATTEMPT_CHANGES), (FILL_TRANSITIONS, FILL_CHANGES)],
)
def test_the_tables_are_those_of_the_design(table: Table, written: str) -> None:
    assert {f"{before}->{after}" for before, after in table} == set(written.split())


@pytest.mark.parametrize(("table", "states"), TABLES)
def test_no_change_stays_where_it_is_and_each_has_a_meaning(table: Table, states: type[StrEnum]) -> None:
    assert all(before != after and meaning for (before, after), meaning in table.items())


@pytest.mark.parametrize(("table", "_states"), TABLES)
def test_nobody_edits_a_table_at_run_time(table: Any, _states: type[StrEnum]) -> None:
    with pytest.raises(TypeError):
        table[("a", "b")] = "allowed"


def test_an_attempt_is_live_dead_or_landed() -> None:
    assert set(AttemptState) == LIVE_ATTEMPT_STATES | DEAD_ATTEMPT_STATES | {AttemptState.FINALIZED}
    assert not LIVE_ATTEMPT_STATES & DEAD_ATTEMPT_STATES


def test_nothing_settled_comes_back_to_life() -> None:
    """REVERTED and FINALIZED are ends; EXPIRED has the one loud way out."""
    exits = {before: {b for a, b in ATTEMPT_TRANSITIONS if a is before} for before in AttemptState}

    assert exits[AttemptState.REVERTED] == exits[AttemptState.FINALIZED] == set()
    assert exits[AttemptState.EXPIRED] == {AttemptState.FINALIZED}


def test_awkward_truths_are_legal_and_labelled() -> None:
    for state in TERMINAL_INTENT_STATES:
        assert INTENT_TRANSITIONS[(state, IntentState.FILLED)].startswith("LOUD")
    assert ATTEMPT_TRANSITIONS[(AttemptState.EXPIRED, AttemptState.FINALIZED)].startswith("LOUD")


def test_a_final_fill_is_never_taken_back() -> None:
    assert not [after for before, after in FILL_TRANSITIONS if before is FillState.FINAL]
