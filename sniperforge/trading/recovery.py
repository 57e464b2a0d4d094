"""Going on with books that are older than what happened (rule *older books*).

After a restore, or a fail-over that lost acknowledged commits, the chain may hold transactions that these books never
heard of, and others may still land. So: a new epoch fences out whoever still writes by the old one; nothing is signed
until every transaction that could have been sent before is dead or final; every transaction of our keys since then is
looked at; intents that one of them may belong to are PARKED; plans are paused. A person decides about these, and about
the orders that are open (`restored_books`), and lets trading go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import LIVE_ATTEMPT_STATES, IntentState
from sniperforge.errors import InvalidInputError, NodeBehindError, RetryableError
from sniperforge.ports.chain import Chain, Commitment
from sniperforge.ports.clock import Clock
from sniperforge.ports.plans import PlanState
from sniperforge.ports.records import Attribution, Event, Severity, SystemState, TradingMode
from sniperforge.ports.store import Books, Store
from sniperforge.trading.executor_policy import BLOCKHASH_LIFE_BLOCKS
from sniperforge.trading.plan_desk import tell
from sniperforge.trading.reconciler import Reconciler
from sniperforge.trading.restored_books import BEGAN, MOST, OLDER_BOOKS, SORTED, restored

_OPEN = (IntentState.PENDING, IntentState.EXECUTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What was made of the open intents of older books.

    Attributes:
        parked: A transaction of their wallet that nobody can attribute may be theirs; a person decides.
        carried_on: Nothing speaks against them; they belong to the new epoch.
        in_flight: They have a transaction of their own that is not settled; it is settled as always.
    """

    parked: tuple[IntentId, ...]
    carried_on: tuple[IntentId, ...]
    in_flight: tuple[IntentId, ...]


class Recovery:
    """Brings older books back to work.

    Args:
        store: The books.
        chain: Solana.
        clock: Dates what is written.
        reconciler: Looks at every transaction of our wallets.
    """

    def __init__(self, *, store: Store, chain: Chain, clock: Clock, reconciler: Reconciler) -> None:
        self._store = store
        self._chain = chain
        self._clock = clock
        self._reconciler = reconciler

    def begin(self, *, reason: str, by: str) -> SystemState:
        """Start a new epoch, halt, and pause every plan. What was prepared under the old epoch cannot be inserted now.

        The height seen now is kept: whatever the lost books had sent was alive at most `BLOCKHASH_LIFE_BLOCKS` longer.
        """
        height = self._chain.block_height(Commitment.PROCESSED)
        now = self._clock.now()
        with self._store.write() as books:
            _pause_plans(books, now)
            books.system.saw_finalized_height(height)
            before = books.system.get()
            after = books.system.change(
                before,
                epoch=before.epoch + 1,
                mode=TradingMode.HALTED,
                reason=f"recovering older books: {reason}",
                changed_by=by,
                changed_at=now,
            )
            books.events.add(
                Event(
                    at=now,
                    kind=BEGAN,
                    severity=Severity.CRITICAL,
                    message=f"epoch {after.epoch} began at height {height}: {reason}",
                )
            )
            return after

    def finish(self) -> RecoveryReport:
        """Decide about every open intent. Trading stays halted: a person lets it go on.

        Raises:
            InvalidInputError: No recovery is under way.
            NodeBehindError: Something sent before may still land; come back later.
            RetryableError: A wallet's history could not be read whole.
        """
        with self._store.read() as books:
            system, wallets, found = books.system.get(), books.wallets.all(), restored(books)
        if found is None:
            raise InvalidInputError(
                "no recovery is under way",
                subject="recovery",
                fix='Begin with `sniperforge books-restored --reason "..."`',
            )
        bound = system.highest_finalized_height + BLOCKHASH_LIFE_BLOCKS
        height = self._chain.block_height(Commitment.FINALIZED)
        if height <= bound:
            raise NodeBehindError(
                f"the finalized height is {height}; what was sent before may land up to {bound}",
                subject="recovery",
                fix="Come back in a minute",
            )
        for wallet in wallets:
            if self._reconciler.scan(wallet.address, whole=True).unread:
                raise RetryableError("its history could not be read whole", subject=wallet.name, fix="Come back later")
        with self._store.write() as books:
            return self._sort(books, system.epoch)

    def _sort(self, books: Books, epoch: int) -> RecoveryReport:
        parked, carried_on, in_flight = [], [], []
        now = self._clock.now()
        for state in _OPEN:
            for intent in books.intents.in_state(state, MOST):
                if intent.epoch >= epoch:
                    continue
                attempts = books.attempts.of_intent(intent.id)
                if any(attempt.state in LIVE_ATTEMPT_STATES for attempt in attempts):
                    books.intents.change(intent, at=now, epoch=epoch)
                    in_flight.append(intent.id)
                elif books.known_transactions.in_attribution(intent.wallet, Attribution.FOREIGN):
                    told = (
                        "these books are older than what happened, and a transaction of its wallet that they do not "
                        "know may be this trade. Look at `sniperforge reconcile`, then cancel it: that only "
                        "keeps it from being decided again"
                    )
                    books.intents.change(
                        intent, at=now, state=IntentState.PARKED, epoch=epoch, reason_code=OLDER_BOOKS, reason=told
                    )
                    parked.append(intent.id)
                else:
                    books.intents.change(intent, at=now, epoch=epoch)
                    carried_on.append(intent.id)
        report = RecoveryReport(parked=tuple(parked), carried_on=tuple(carried_on), in_flight=tuple(in_flight))
        books.events.add(
            Event(
                at=now,
                kind=SORTED,
                severity=Severity.WARNING,
                message=f"{len(parked)} trades parked, {len(carried_on)} carried on, {len(in_flight)} being settled",
            )
        )
        return report


def _pause_plans(books: Books, now: datetime) -> None:
    """A round may have been decided after the backup was taken: it must not be decided again when trading goes on."""
    for plan in books.plans.every():
        locked = books.plans.lock(plan.id)
        if locked is not None and locked.status is PlanState.ACTIVE:
            books.plans.change(locked, at=now, status=PlanState.PAUSED)
            told = f"plan {plan.id} was paused: the books were restored, and rounds of it may have happened already"
            tell(books, locked, "plan.paused", told, now, severity=Severity.WARNING)
