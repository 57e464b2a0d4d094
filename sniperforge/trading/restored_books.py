"""What is open in restored books, and may have happened already (rule *older books*).

Trades are sorted by `Recovery`. An order that fired, or a plan whose round was decided, after the backup was taken is
armed or due again in these books, and nobody but a person can tell: plans are paused when recovery begins, and trading
goes on only when a person knows of everything that is named here.

The timeline says how far a recovery is: one event began it, one tells that the trades were sorted, and the one that
ends it is committed with the mode that lets trading go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sniperforge.domain.intent import IntentState, TradeIntent
from sniperforge.domain.order import Order
from sniperforge.errors import InvalidInputError
from sniperforge.ports.plans import Plan, PlanState
from sniperforge.ports.records import Event, Severity
from sniperforge.ports.store import Books

BEGAN, SORTED, ENDED = "recovery.began", "recovery.finished", "recovery.ended"

OLDER_BOOKS = "older_books"
"""Reason code of trades that may have happened already: parked ones, and those that a person ended."""

MOST = 100_000
"""How many trades, and how many orders, are looked at."""

RUNBOOK = "docs/runbooks/books-restored.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredBooks:
    """Books that were restored, in which nobody has let trading go on since.

    Attributes:
        is_sorted: Every open trade was decided about.
        parked: Trades that may have happened already.
        orders: Open orders: they may have fired already, and would fire again.
        plans: Plans that are paused: rounds of them may have been decided already, and were forgotten.
    """

    is_sorted: bool
    parked: tuple[TradeIntent, ...]
    orders: tuple[Order, ...]
    plans: tuple[Plan, ...]

    @property
    def open_ends(self) -> str | None:
        """Everything a person has to look at before trading goes on, in words; None if there is nothing."""
        named = (
            ("parked trades", [intent.id for intent in self.parked]),
            ("open orders", [f"{order.id} ({order.kind.value})" for order in self.orders]),
            ("paused plans", [plan.id for plan in self.plans]),
        )
        told = "; ".join(f"{what}: {', '.join(ids)}" for what, ids in named if ids)
        return f"these books were restored, and this may have happened already: {told}" if told else None

    def require_known(self, *, is_known: bool) -> None:
        """Refuse to let trading go on before the trades are sorted, or before a person knows what is open.

        Raises:
            InvalidInputError: One of these.
        """
        if not self.is_sorted:
            raise InvalidInputError(
                "these books were restored, and their open trades are not sorted yet",
                subject="trading",
                fix="`sniperforge books-restored --finish` does it",
            )
        if self.open_ends is not None and not is_known:
            raise InvalidInputError(
                f"{self.open_ends}. It stays halted",
                subject="trading",
                fix=f"Look at each ({RUNBOOK}), then `sniperforge resume --yes`",
            )


def restored(books: Books) -> RestoredBooks | None:
    """What is open if these books were restored and trading was not let go on since, else None."""
    newest = next(iter(books.events.recent(1, kinds=(BEGAN, SORTED, ENDED))), None)
    if newest is None or newest.kind == ENDED:
        return None
    return RestoredBooks(
        is_sorted=newest.kind == SORTED,
        parked=books.intents.in_state(IntentState.PARKED, MOST),
        orders=books.orders.open(MOST),
        plans=tuple(plan for plan in books.plans.every() if plan.status is PlanState.PAUSED),
    )


def tell_ended(books: Books, found: RestoredBooks, *, by: str, now: datetime) -> None:
    """Write that a person knows, and what of."""
    message = f"{by} lets trading go on with restored books; open: {found.open_ends or 'nothing'}"
    books.events.add(Event(at=now, kind=ENDED, severity=Severity.WARNING, message=message))
