"""The book of triggers in memory: every tick looks at every trigger, which is what the real book must amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from sniperforge.domain.ids import OrderId, TriggerId
from sniperforge.domain.prices import price_key
from sniperforge.domain.trigger import Direction, Subject, Trigger, TriggerState, in_a_row, is_crossed
from sniperforge.errors import SniperForgeError
from sniperforge.ports.triggers import TickResult, TriggerView, WatchedSubject, kind_of_problem
from tests.fakes.store_tables import Part

CAN_FIRE = frozenset({TriggerState.ARMED, TriggerState.CROSSED})


class FakeTriggers(Part):
    """`ports.triggers.Triggers` by a naive scan."""

    def add(self, triggers: Sequence[Trigger], *, at: datetime) -> None:  # noqa: ARG002 (kept for people to read)
        self._transaction.must_write()
        for trigger in triggers:
            subject = WatchedSubject(subject=trigger.subject, value=None, print_number=None, seen_at=None)
            self._data.subjects.setdefault(trigger.subject, subject)
            view = TriggerView(
                trigger=trigger,
                state=TriggerState.ARMED,
                counted=0,
                best=trigger.best,
                level=trigger.level_at(trigger.best),
            )
            self._transaction.insert(self._data.triggers, trigger.id, view)

    def get(self, trigger: TriggerId) -> TriggerView | None:
        found: TriggerView | None = self._get(self._data.triggers, trigger)
        return found

    def of_order(self, order: OrderId) -> tuple[TriggerView, ...]:
        return self._rows(
            self._data.triggers,
            lambda view: view.trigger.id.startswith(f"{order}:"),
            lambda view: view.trigger.id,
        )

    def remove(self, triggers: Sequence[TriggerId]) -> int:
        self._transaction.must_write()
        return sum(self._data.triggers.pop(one, None) is not None for one in triggers)

    def hold(self, triggers: Sequence[TriggerId]) -> int:
        return self._move(triggers, CAN_FIRE | {TriggerState.FIRED}, TriggerState.HELD)

    def arm(self, triggers: Sequence[TriggerId]) -> int:
        return self._move(triggers, frozenset({TriggerState.HELD}), TriggerState.ARMED)

    def _move(self, triggers: Sequence[TriggerId], before: frozenset[TriggerState], after: TriggerState) -> int:
        self._transaction.must_write()
        moving = [view for one in set(triggers) if (view := self.get(one)) is not None and view.state in before]
        for view in moving:
            moved = replace(view, state=after, counted=0, fired_at=None, fired_value=None)
            self._data.triggers[view.trigger.id] = moved
        return len(moving)

    def watched(self) -> tuple[WatchedSubject, ...]:
        self._transaction.must_be_sound()
        names = {view.trigger.subject for view in self._data.triggers.values() if view.state is not TriggerState.FIRED}
        return tuple(self._data.subjects[name] for name in sorted(names))

    def tick(self, subject: Subject, value: Decimal, *, print_number: int, at: datetime) -> TickResult:
        self._transaction.must_write()
        try:
            price_key(value)
        except SniperForgeError as error:
            self._transaction.fail(error)
        known = self._watched(subject)
        if known is None:
            return TickResult(is_news=False, fired=0)
        if known.print_number is not None and print_number <= known.print_number:
            self._data.subjects[subject] = replace(known, problem=None, problem_since=None)
            return TickResult(is_news=False, fired=0)
        moment = at.astimezone(UTC)
        self._data.subjects[subject] = WatchedSubject(
            subject=subject, value=value, print_number=print_number, seen_at=moment
        )
        fired = 0
        before = known.value if in_a_row(known.seen_at, moment) else None
        for name, view in self._data.triggers.items():
            if view.trigger.subject == subject and view.state is not TriggerState.FIRED:
                after = _after(view, value, before, moment)
                fired += after.state is TriggerState.FIRED
                self._data.triggers[name] = after
        return TickResult(is_news=True, fired=fired)

    def missed(self, subject: Subject, problem: str, *, at: datetime) -> bool:
        self._transaction.must_write()
        known = self._watched(subject)
        if known is None or (known.problem is not None and kind_of_problem(known.problem) == kind_of_problem(problem)):
            return False
        since = known.problem_since or at.astimezone(UTC)
        self._data.subjects[subject] = replace(known, problem=problem, problem_since=since)
        return True

    def fired(self, limit: int) -> tuple[TriggerView, ...]:
        return self._rows(
            self._data.triggers,
            lambda view: view.state is TriggerState.FIRED,
            lambda view: (view.fired_at, view.trigger.id),
            limit=limit,
        )

    def compact(self, limit: int) -> int:  # noqa: ARG002 (a scan leaves nothing for later)
        self._transaction.must_write()
        return 0

    def _watched(self, subject: Subject) -> WatchedSubject | None:
        return next((one for one in self.watched() if one.subject == subject), None)


def _after(view: TriggerView, value: Decimal, before: Decimal | None, at: datetime) -> TriggerView:
    """A trigger after a value, word for word as `ports.triggers` says it."""
    trigger = view.trigger
    if trigger.trails and view.best is not None and before is not None:
        down = trigger.direction is Direction.DOWN
        best = max(view.best, min(value, before)) if down else min(view.best, max(value, before))
        view = replace(view, best=best, level=trigger.level_at(best))
    if view.state is TriggerState.HELD:
        return view
    if not is_crossed(trigger.direction, value, view.level):
        return replace(view, state=TriggerState.ARMED, counted=0)
    counted = view.counted + 1 if before is not None else 1
    if counted < trigger.confirmations:
        return replace(view, state=TriggerState.CROSSED, counted=counted)
    return replace(view, state=TriggerState.FIRED, counted=counted, fired_at=at, fired_value=value)
