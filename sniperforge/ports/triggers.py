"""The book of triggers: what a new value fires, at the cost of what it fires and not of what is open.

One value of one subject is one tick. For every trigger of that subject, in this order:

1. one that trails follows the best value that two ticks in a row have seen (`domain.trigger.steady`), whether it is
   armed, crossed or held;
2. armed or crossed and the value at or beyond its level: counted; counted as often in a row as it wants, it is FIRED;
3. crossed and the value not beyond its level: armed again, counted from the start.

Two ticks further apart than `domain.trigger.IN_A_ROW_WITHIN` are not in a row.

That is what a scan over all of them would do, trigger for trigger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from sniperforge.domain.ids import OrderId, TriggerId
from sniperforge.domain.trigger import Subject, Trigger, TriggerState


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerView:
    """A trigger as it stands.

    Attributes:
        trigger: As it was added.
        state: Whether it can fire.
        counted: Values in a row that were beyond its level.
        best: The best value that two ticks in a row have seen, for a trail.
        level: Where it fires now; None for a trail that no value can reach.
        fired_at: When it fired, with `fired_value`.
    """

    trigger: Trigger
    state: TriggerState
    counted: int
    best: Decimal | None
    level: Decimal | None
    fired_at: datetime | None = None
    fired_value: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedSubject:
    """A subject with triggers that can still fire, or are held.

    Attributes:
        value: Its last value, None before the first.
        print_number: Of that value; only a greater one is news.
        seen_at: When that value was seen.
        problem: Why it has no value since then, in words; None while it has.
        problem_since: Since when it has none.
    """

    subject: Subject
    value: Decimal | None
    print_number: int | None
    seen_at: datetime | None
    problem: str | None = None
    problem_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class TickResult:
    """What a tick did.

    Attributes:
        is_news: False when its print was no newer than the last one: nothing was counted.
        fired: How many triggers it fired; `Triggers.fired` lists them.
    """

    is_news: bool
    fired: int


def kind_of_problem(problem: str) -> str:
    """What is the same in `stale: 31 s old` and `stale: 32 s old`: the words before the colon."""
    return problem.partition(":")[0]


class Triggers(Protocol):
    """Every trigger of every open order. Part of `Books`: what fires commits with what follows from it, or not at all.

    A write locks the subjects it touches, in the order of their names, before anything else of this book.
    """

    def add(self, triggers: Sequence[Trigger], *, at: datetime) -> None:
        """Arm new triggers.

        Raises:
            ConflictError: One of these ids is there already.
        """
        ...

    def get(self, trigger: TriggerId) -> TriggerView | None:
        """The trigger as it stands, or None."""
        ...

    def of_order(self, order: OrderId) -> tuple[TriggerView, ...]:
        """Every trigger of every leg of one order, by id."""
        ...

    def remove(self, triggers: Sequence[TriggerId]) -> int:
        """Take triggers out of the book, whatever their state; those that are not there are passed over."""
        ...

    def hold(self, triggers: Sequence[TriggerId]) -> int:
        """ARMED, CROSSED or FIRED -> HELD: out of reach, but followed. Returns how many were."""
        ...

    def arm(self, triggers: Sequence[TriggerId]) -> int:
        """HELD -> ARMED, counted from the start. Returns how many were. The next tick counts, not the last value."""
        ...

    def watched(self) -> tuple[WatchedSubject, ...]:
        """Every subject with a trigger that is not FIRED, by name. Costs what it lists, not what is open."""
        ...

    def tick(self, subject: Subject, value: Decimal, *, print_number: int, at: datetime) -> TickResult:
        """Apply one value.

        Args:
            subject: What it is the value of; nothing happens when nobody watches it.
            value: Positive, at most 17 significant digits.
            print_number: Grows with every print of the source (its slot); one that was applied before, or is older,
                is not counted again.
            at: When it was seen.
        """
        ...

    def missed(self, subject: Subject, problem: str, *, at: datetime) -> bool:
        """Note that a subject has no value now.

        Returns:
            Whether that is news. The same kind of problem (`kind_of_problem`) is noted once, until a value comes.
        """
        ...

    def fired(self, limit: int) -> tuple[TriggerView, ...]:
        """FIRED triggers that nobody has removed or held yet, longest fired first, then by id."""
        ...

    def compact(self, limit: int) -> int:
        """Do up to about `limit` rows of work that ticks left for later; returns how many rows, 0 when all is done."""
        ...
