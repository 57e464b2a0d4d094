"""Plans and their rounds: what runs unattended, and what became of each time it was due."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import Fill, FillState, checked_transition
from sniperforge.errors import InvalidTransitionError
from sniperforge.ports.plans import PLAN_CHANGES, PLAN_TRANSITIONS, Occurrence, Plan, PlanState
from sniperforge.ports.queue import PlanId
from sniperforge.storage import tables
from sniperforge.storage.repositories.base import Rows, VersionedRows
from sniperforge.storage.repositories.trades import SqlFills


class SqlPlans(VersionedRows[Plan]):
    """`ports.plans.Plans`."""

    table = tables.strategy_plans
    record = Plan
    changeable = PLAN_CHANGES | {"status", "updated_at"}

    def add(self, plan: Plan) -> None:
        """Write a new plan."""
        self._insert([plan])

    def get(self, plan_id: PlanId) -> Plan | None:
        """The plan, or None."""
        return self._one(id=plan_id)

    def lock(self, plan_id: PlanId) -> Plan | None:
        """The plan, unchanged by others until this transaction ends."""
        return self._locked(id=plan_id)

    def every(self) -> tuple[Plan, ...]:
        """By id."""
        return self._with("id")

    def due(self, now: datetime, limit: int) -> tuple[Plan, ...]:
        """Active and due, longest due first."""
        column = self.table.c
        return self._select(
            column.status == PlanState.ACTIVE,
            column.next_due_at <= now,
            order=(column.next_due_at, column.id),
            limit=limit,
        )

    def change(self, plan: Plan, *, at: datetime, status: PlanState | None = None, **fields: Any) -> Plan:
        """Compare-and-set, along the table of its status; `state` is what its strategy remembers."""
        self._transaction.must_write()
        changes = {**fields, "updated_at": at}
        if status is not None:
            try:
                checked_transition(PLAN_TRANSITIONS, plan.status, status, subject=plan.id)
            except InvalidTransitionError as error:
                self._transaction.fail(error)
            changes["status"] = status
        return self._change(plan, None, changes)


class SqlOccurrences(Rows[Occurrence]):
    """`ports.plans.Occurrences`."""

    table = tables.plan_occurrences
    record = Occurrence

    def add(self, occurrence: Occurrence) -> None:
        """Write what became of a round."""
        self._insert([occurrence])

    def of_plan(self, plan_id: PlanId, limit: int) -> tuple[Occurrence, ...]:
        """Newest first."""
        column = self.table.c
        return self._select(column.plan_id == plan_id, order=(column.occurrence.desc(),), limit=limit)

    def of_intent(self, intent_id: IntentId) -> Occurrence | None:
        """The round that decided it, found by the intent's own plan and number, which is a key here."""
        intents, column = tables.trade_intents.c, self.table.c
        decided = select(intents.plan_id).where(intents.id == intent_id)
        number = select(intents.occurrence).where(intents.id == intent_id)
        found = self._select(
            column.plan_id == decided.scalar_subquery(),
            column.occurrence == number.scalar_subquery(),
            column.intent_id == intent_id,
        )
        return next(iter(found), None)

    def fills(self, plan_id: PlanId) -> tuple[Fill, ...]:
        """By slot and booking order."""
        return _FillsOfPlans(self._transaction).of_plan(plan_id)


class _FillsOfPlans(SqlFills):
    def of_plan(self, plan_id: PlanId) -> tuple[Fill, ...]:
        intents, column = tables.trade_intents.c, self.table.c
        return self._select(
            column.intent_id.in_(select(intents.id).where(intents.plan_id == plan_id)),
            column.state != FillState.REVERSED,
            order=(column.slot, column.booked_at, column.signature),
        )
