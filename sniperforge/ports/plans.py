"""Plans in the books: what runs unattended, which of its rounds were decided, and which were skipped and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import Fill
from sniperforge.domain.money import Address
from sniperforge.ports.queue import PlanId


class PlanState(StrEnum):
    """Whether a plan decides anything."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


PLAN_TRANSITIONS: Mapping[tuple[PlanState, PlanState], str] = MappingProxyType(
    {
        (PlanState.ACTIVE, PlanState.PAUSED): "a person paused it",
        (PlanState.PAUSED, PlanState.ACTIVE): "a person resumed it",
        (PlanState.ACTIVE, PlanState.ENDED): "its last round was decided, its end came, or a person stopped it",
        (PlanState.PAUSED, PlanState.ENDED): "a person stopped it",
    }
)
"""Every legal change of a plan's state, and what it means. ENDED is final."""


class CatchUp(StrEnum):
    """What becomes of rounds that were missed while nothing ran."""

    SKIP = "skip"
    ONCE = "once"


class OccurrenceState(StrEnum):
    """What became of one round."""

    DECIDED = "decided"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A strategy at work.

    Attributes:
        kind: Name of the strategy, as in the registry, e.g. `dca`.
        config: The strategy's settings, as JSON values (fractions are Decimal).
        state: What the strategy remembers between rounds, as JSON values.
        next_occurrence: Number of the next round, from 0; never decided or skipped before.
        next_due_at: When it is due; None when there is no next round.
        max_lateness_s: A round later than this was missed.
        version: Compare-and-set counter (rule *decide-once*: it moves in the commit that writes the intent).
    """

    id: PlanId
    kind: str
    wallet: Address
    status: PlanState
    config: Mapping[str, Any]
    state: Mapping[str, Any]
    next_occurrence: int
    next_due_at: datetime | None
    catch_up: CatchUp
    max_lateness_s: int
    created_at: datetime
    updated_at: datetime
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """What became of one round of a plan (I6: one round, at most one intent).

    Attributes:
        reason: Why it was skipped, for a person; when several rounds in a row were missed, one record tells of all.
    """

    plan_id: PlanId
    occurrence: int
    state: OccurrenceState
    due_at: datetime
    decided_at: datetime
    intent_id: IntentId | None = None
    reason: str | None = None


PLAN_CHANGES = frozenset({"state", "next_occurrence", "next_due_at", "config", "catch_up", "max_lateness_s"})
"""Fields of a plan that may change besides its status."""


class Plans(Protocol):
    """Plans, by id."""

    def add(self, plan: Plan) -> None:
        """Write a new plan.

        Raises:
            ConflictError: There is one with this id.
            InvalidInputError: Its wallet is not in the books.
        """
        ...

    def get(self, plan_id: PlanId) -> Plan | None:
        """The plan, or None."""
        ...

    def lock(self, plan_id: PlanId) -> Plan | None:
        """The plan as it is now, and as it stays until this transaction ends. Locked before any intent."""
        ...

    def every(self) -> tuple[Plan, ...]:
        """All plans, by id."""
        ...

    def due(self, now: datetime, limit: int) -> tuple[Plan, ...]:
        """Active plans whose next round is due, longest due first."""
        ...

    def change(self, plan: Plan, *, at: datetime, status: PlanState | None = None, **fields: Any) -> Plan:
        """Compare-and-set; returns the new record.

        Raises:
            ConflictError: Somebody changed it since it was read.
            InvalidTransitionError: `PLAN_TRANSITIONS` does not list this change.
        """
        ...


class Occurrences(Protocol):
    """Rounds of plans. One row per round, for ever."""

    def add(self, occurrence: Occurrence) -> None:
        """Write what became of a round.

        Raises:
            ConflictError: That was written before; nothing of this transaction is kept.
        """
        ...

    def of_plan(self, plan_id: PlanId, limit: int) -> tuple[Occurrence, ...]:
        """Newest first."""
        ...

    def of_intent(self, intent_id: IntentId) -> Occurrence | None:
        """The round that decided this intent, or None."""
        ...

    def fills(self, plan_id: PlanId) -> tuple[Fill, ...]:
        """What all rounds of a plan swapped, by slot and booking order; what a fork took back is left out."""
        ...
