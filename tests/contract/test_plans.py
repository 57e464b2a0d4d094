"""What every store promises about plans and their rounds: the one in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from sniperforge.domain.ids import intent_id, round_key
from sniperforge.domain.intent import FillState, TradeIntent
from sniperforge.domain.money import Address
from sniperforge.errors import ConflictError, InvalidInputError, InvalidTransitionError, StorageError
from sniperforge.ports.plans import PLAN_TRANSITIONS, CatchUp, Occurrence, OccurrenceState, Plan, PlanState
from sniperforge.ports.queue import PlanId
from sniperforge.ports.store import Store
from tests.fakes.clock import START
from tests.fakes.records import a_fill, a_plan, a_skipped_round, a_wallet, an_attempt, an_intent
from tests.fakes.stores import empty_store

LATER = START + timedelta(minutes=1)


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with empty_store(request.param, tmp_path) as made:
        with made.write() as books:
            books.wallets.add(a_wallet())
        yield made


def add(store: Store, *plans: Plan) -> None:
    with store.write() as books:
        for plan in plans:
            books.plans.add(plan)


def found(store: Store, plan_id: str = "weekly-sol") -> Plan:
    with store.read() as books:
        plan = books.plans.get(PlanId(plan_id))
    assert plan is not None
    return plan


def a_round_of(plan: Plan, occurrence: int) -> TradeIntent:
    key = round_key(plan.kind, plan.id, occurrence)
    return replace(an_intent(), id=intent_id(key), key=key, plan_id=plan.id, occurrence=occurrence)


def decided(intent: TradeIntent) -> Occurrence:
    assert intent.occurrence is not None
    return a_skipped_round(intent.occurrence, state=OccurrenceState.DECIDED, intent_id=intent.id, reason=None)


# --- plans


def test_a_plan_comes_back_exactly(store: Store) -> None:
    plan = a_plan(
        config={"max_price": Decimal("181.50"), "days": ["mon", "fri"], "schedule": {"interval_s": 60}, "wallet": None},
        state={"orders": 3, "ratio": Decimal("1E-9"), "done": False},
        next_due_at=None,
        catch_up=CatchUp.ONCE,
    )
    add(store, plan)
    assert found(store) == plan


def test_a_float_in_a_plan_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError):
        add(store, a_plan(config={"max_price": 181.5}))
    with pytest.raises(InvalidInputError):
        add(store, a_plan(state={"deep": [{"ratio": 0.5}]}))


def test_a_name_is_one_plans_for_ever(store: Store) -> None:
    add(store, a_plan(status=PlanState.ENDED))
    with pytest.raises(ConflictError):
        add(store, a_plan())


def test_a_plan_of_an_unknown_wallet_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError):
        add(store, a_plan(wallet=Address("unknown")))


def test_plans_are_listed_by_name(store: Store) -> None:
    add(store, a_plan("b"), a_plan("a", status=PlanState.ENDED), a_plan("c"))
    with store.read() as books:
        assert [plan.id for plan in books.plans.every()] == ["a", "b", "c"]


def test_due_are_active_plans_whose_time_has_come_longest_due_first(store: Store) -> None:
    add(
        store,
        a_plan("now", next_due_at=START),
        a_plan("before", next_due_at=START - timedelta(hours=1)),
        a_plan("also-now", next_due_at=START),
        a_plan("soon", next_due_at=START + timedelta(microseconds=1)),
        a_plan("never", next_due_at=None),
        a_plan("paused", status=PlanState.PAUSED),
        a_plan("ended", status=PlanState.ENDED),
    )
    with store.read() as books:
        assert [plan.id for plan in books.plans.due(START, 10)] == ["before", "also-now", "now"]
        assert [plan.id for plan in books.plans.due(START, 1)] == ["before"]


def test_a_change_moves_the_version_and_keeps_everything_else(store: Store) -> None:
    add(store, a_plan())
    with store.write() as books:
        changed = books.plans.change(a_plan(), at=LATER, state={"orders": 1}, next_occurrence=1, next_due_at=LATER)
    expected = a_plan(state={"orders": 1}, next_occurrence=1, next_due_at=LATER, updated_at=LATER, version=1)
    assert changed == expected
    assert found(store) == expected


def test_a_change_of_a_plan_that_somebody_changed_loses(store: Store) -> None:
    add(store, a_plan())
    with store.write() as books:
        books.plans.change(a_plan(), at=LATER, status=PlanState.PAUSED)
    with pytest.raises(ConflictError), store.write() as books:
        books.plans.change(a_plan(), at=LATER, next_occurrence=1)
    assert found(store).next_occurrence == 0


@pytest.mark.parametrize("field", ["id", "kind", "wallet", "created_at"])
def test_what_a_plan_is_never_changes(store: Store, field: str) -> None:
    add(store, a_plan())
    other: dict[str, Any] = {field: "other"}
    with pytest.raises(TypeError, match=field), store.write() as books:
        books.plans.change(a_plan(), at=LATER, **other)


def test_plans_change_status_along_their_table_only(store: Store) -> None:
    for before, after in product(PlanState, PlanState):
        plan = a_plan(f"{before}-{after}", status=before)
        add(store, plan)
        if (before, after) in PLAN_TRANSITIONS:
            with store.write() as books:
                assert books.plans.change(plan, at=LATER, status=after).status is after
        else:
            with pytest.raises(InvalidTransitionError), store.write() as books:
                books.plans.change(plan, at=LATER, status=after)


def test_a_locked_plan_is_read_anew(store: Store) -> None:
    add(store, a_plan())
    with store.write() as books:
        books.plans.change(a_plan(), at=LATER, status=PlanState.PAUSED)
    with store.write() as books:
        locked = books.plans.lock(a_plan().id)
        assert locked is not None
        assert locked.status is PlanState.PAUSED
        assert books.plans.lock(PlanId("nobody")) is None


@pytest.mark.parametrize(
    "act",
    [
        lambda books: books.plans.add(a_plan("other")),
        lambda books: books.plans.lock(PlanId("weekly-sol")),
        lambda books: books.plans.change(a_plan(), at=LATER, status=PlanState.PAUSED),
        lambda books: books.occurrences.add(a_skipped_round()),
    ],
)
def test_a_read_changes_no_plan(store: Store, act: Any) -> None:
    add(store, a_plan())
    with pytest.raises(StorageError, match="asked to write"), store.read() as books:
        act(books)


# --- rounds


def test_a_round_comes_back_exactly_and_newest_first(store: Store) -> None:
    plan = a_plan()
    intent = a_round_of(plan, 1)
    rounds = [a_skipped_round(0), decided(intent), a_skipped_round(2, reason="late: 4 rounds were missed")]
    add(store, plan, a_plan("other"))
    with store.write() as books:
        books.intents.add(intent)
        for one in rounds:
            books.occurrences.add(one)
        books.occurrences.add(a_skipped_round(7, "other"))
    with store.read() as books:
        assert books.occurrences.of_plan(plan.id, 10) == tuple(reversed(rounds))
        assert books.occurrences.of_plan(plan.id, 1) == (rounds[-1],)
        assert books.occurrences.of_intent(intent.id) == decided(intent)
        assert books.occurrences.of_intent(an_intent("typed").id) is None


def test_a_round_is_written_once_and_a_swallowed_conflict_keeps_nothing(store: Store) -> None:
    """Rule decide-once: never "insert or ignore, then advance"."""
    add(store, a_plan())
    with store.write() as books:
        books.occurrences.add(a_skipped_round())

    def insert_or_ignore_then_advance() -> None:
        with store.write() as books:
            books.plans.change(a_plan(), at=LATER, next_occurrence=1)
            with suppress(ConflictError):
                books.occurrences.add(a_skipped_round(reason="another"))

    with pytest.raises(ConflictError):
        insert_or_ignore_then_advance()
    assert found(store) == a_plan()


def test_a_round_of_no_plan_or_of_no_intent_is_refused(store: Store) -> None:
    add(store, a_plan())
    with pytest.raises(InvalidInputError), store.write() as books:
        books.occurrences.add(a_skipped_round(0, "nobody"))
    with pytest.raises(InvalidInputError), store.write() as books:
        books.occurrences.add(decided(a_round_of(a_plan(), 0)))


def test_a_decided_round_has_an_intent_and_a_skipped_one_has_none(store: Store) -> None:
    plan = a_plan()
    intent = a_round_of(plan, 0)
    add(store, plan)
    with store.write() as books:
        books.intents.add(intent)
    with pytest.raises(InvalidInputError), store.write() as books:
        books.occurrences.add(a_skipped_round(state=OccurrenceState.DECIDED))
    with pytest.raises(InvalidInputError), store.write() as books:
        books.occurrences.add(a_skipped_round(intent_id=intent.id))


def test_an_intent_keeps_its_plan_and_round(store: Store) -> None:
    intent = a_round_of(a_plan(), 3)
    add(store, a_plan())
    with store.write() as books:
        books.intents.add(intent)
    with store.read() as books:
        assert books.intents.get(intent.id) == intent


def test_one_round_has_one_intent_whatever_its_key(store: Store) -> None:
    add(store, a_plan())
    with store.write() as books:
        books.intents.add(a_round_of(a_plan(), 3))
    with pytest.raises(ConflictError), store.write() as books:
        books.intents.add(an_intent("another-key", plan_id="weekly-sol", occurrence=3))


def test_an_intent_of_an_unknown_plan_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError), store.write() as books:
        books.intents.add(an_intent(plan_id="nobody", occurrence=0))


def test_the_fills_of_a_plan_are_those_of_its_rounds_that_no_fork_took_back(store: Store) -> None:
    add(store, a_plan(), a_plan("other"))
    intents = [a_round_of(a_plan(), number) for number in range(3)]
    intents += [a_round_of(a_plan("other"), 0), an_intent("typed")]
    attempts = [an_attempt(intent) for intent in intents]
    slots = (9, 7, 8, 7, 7)
    fills = [a_fill(attempt, slot=slot) for attempt, slot in zip(attempts, slots, strict=True)]
    fills[2] = replace(fills[2], state=FillState.REVERSED)
    with store.write() as books:
        for intent, attempt, fill in zip(intents, attempts, fills, strict=True):
            books.intents.add(intent)
            books.attempts.add(attempt)
            books.fills.add(fill)
    with store.read() as books:
        assert books.occurrences.fills(a_plan().id) == (fills[1], fills[0])
        assert books.occurrences.fills(PlanId("nobody")) == ()
