"""Plans and their rounds in memory."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import Fill, FillState
from sniperforge.errors import InvalidInputError
from sniperforge.ports.plans import (
    PLAN_CHANGES,
    PLAN_TRANSITIONS,
    Occurrence,
    OccurrenceState,
    Plan,
    PlanState,
)
from sniperforge.ports.queue import PlanId
from tests.fakes.store_tables import Part


class FakePlans(Part):
    def add(self, plan: Plan) -> None:
        self._transaction.refer(self._data.wallets, plan.wallet)
        self._transaction.insert(self._data.plans, plan.id, plan)

    def get(self, plan_id: PlanId) -> Plan | None:
        found: Plan | None = self._get(self._data.plans, plan_id)
        return found

    def lock(self, plan_id: PlanId) -> Plan | None:
        found: Plan | None = self._lock(self._data.plans, plan_id)
        return found

    def every(self) -> tuple[Plan, ...]:
        return self._rows(self._data.plans, lambda _: True, lambda plan: plan.id)

    def due(self, now: datetime, limit: int) -> tuple[Plan, ...]:
        return self._rows(
            self._data.plans,
            lambda plan: plan.status is PlanState.ACTIVE and plan.next_due_at is not None and plan.next_due_at <= now,
            lambda plan: (plan.next_due_at, plan.id),
            limit=limit,
        )

    def change(self, plan: Plan, *, at: datetime, status: PlanState | None = None, **fields: Any) -> Plan:
        changes = {**fields, "updated_at": at}
        if status is not None:
            self._transaction.must_write()
            self._transaction.check_transition(PLAN_TRANSITIONS, plan.status, status, plan.id)
            changes["status"] = status
        allowed = PLAN_CHANGES | {"status", "updated_at"}
        return self._transaction.change(self._data.plans, plan.id, plan, None, changes, allowed, {})


class FakeOccurrences(Part):
    def add(self, occurrence: Occurrence) -> None:
        self._transaction.refer(self._data.plans, occurrence.plan_id)
        self._transaction.refer(self._data.intents, occurrence.intent_id)
        if (occurrence.state is OccurrenceState.DECIDED) != (occurrence.intent_id is not None):
            self._transaction.fail(InvalidInputError("a decided round has an intent", subject=occurrence.plan_id))
        key = (occurrence.plan_id, occurrence.occurrence)
        self._transaction.insert(self._data.occurrences, key, occurrence)

    def of_plan(self, plan_id: PlanId, limit: int) -> tuple[Occurrence, ...]:
        return self._rows(
            self._data.occurrences,
            lambda one: one.plan_id == plan_id,
            lambda one: one.occurrence,
            limit=limit,
            reverse=True,
        )

    def of_intent(self, intent_id: IntentId) -> Occurrence | None:
        found: Occurrence | None = self._only(self._data.occurrences, lambda one: one.intent_id == intent_id)
        return found

    def fills(self, plan_id: PlanId) -> tuple[Fill, ...]:
        of_plan = {one.id for one in self._data.intents.values() if one.plan_id == plan_id}
        return self._rows(
            self._data.fills,
            lambda fill: fill.intent_id in of_plan and fill.state is not FillState.REVERSED,
            lambda fill: (fill.slot, fill.booked_at, fill.signature),
        )
