"""Finding trades that are not settled, and carrying them on: what a new process does after another has died."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import AttemptState, IntentState
from sniperforge.errors import OutcomeUnknownError, RetryableError
from sniperforge.ports.clock import Clock
from sniperforge.ports.store import Books, Store
from sniperforge.trading.executor import Executor
from sniperforge.trading.executor_policy import Standing

LIMIT = 1_000
"""How many trades of each kind are looked at in one sweep; the next one finds the others."""

LONGEST_PAUSE = timedelta(seconds=2)
"""A worker stays with a trade through pauses up to this; after a longer one the sweep rings for it."""

_AFTER_TROUBLE = timedelta(seconds=2)
_FIRST_BELL = timedelta(seconds=3)
"""A decision this young is left to the bell that was rung with it."""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What became of the trades of one sweep.

    Attributes:
        settled: Nothing will change any more.
        unsettled: There was not enough time.
    """

    settled: tuple[IntentId, ...]
    unsettled: tuple[IntentId, ...]


def unsettled(books: Books) -> tuple[IntentId, ...]:
    """Trades that somebody has to carry on, longest unchanged first; whether they are due does not matter."""
    waiting = [
        *books.intents.in_state(IntentState.EXECUTING, LIMIT),
        *books.intents.in_state(IntentState.PENDING, LIMIT),
    ]
    with_live_attempts = [attempt.intent_id for attempt in books.attempts.live(LIMIT)]
    return tuple(dict.fromkeys([*(intent.id for intent in waiting), *with_live_attempts]))


def due_trades(books: Books, now: datetime, *, final_after: timedelta) -> tuple[IntentId, ...]:
    """Trades that stand still: what the sweep rings for. A bell too many changes nothing, one too few only costs time.

    Args:
        books: The books.
        now: The time.
        final_after: How long after its confirmation a transaction is final, as a rule.
    """
    executing = books.intents.in_state(IntentState.EXECUTING, LIMIT)
    pending = books.intents.in_state(IntentState.PENDING, LIMIT)
    held = {one.id for one in executing if one.lease_until is not None and one.lease_until > now}
    due = [one.id for one in executing if one.id not in held]
    due += [one.id for one in pending if one.next_attempt_at <= now and one.updated_at + _FIRST_BELL <= now]
    for attempt in books.attempts.live(LIMIT):
        if attempt.state is not AttemptState.CONFIRMED:
            waits = attempt.intent_id in held
        else:
            waits = attempt.confirmed_at is not None and attempt.confirmed_at + final_after > now
        if not waits:
            due.append(attempt.intent_id)
    return tuple(dict.fromkeys(due))


def carry_on(
    executor: Executor,
    clock: Clock,
    intent: IntentId,
    *,
    within: timedelta,
    stop: Callable[[], bool],
) -> Standing:
    """Stay with one trade until it is confirmed or settled, a long pause begins, time is up, or `stop` says so.

    Whatever is left is in the books, and the sweep rings for it.

    Raises:
        InvalidInputError: There is no such trade.
        RetryableError: Books or chain cannot be reached; nothing is lost.
        CommitOutcomeUnknownError: The books may have committed; ring again.
    """
    end = clock.monotonic() + within.total_seconds()
    while True:
        standing = executor.advance(intent)
        landed = standing.settled or standing.intent.state is IntentState.FILLED
        pause = standing.wait.total_seconds()
        if landed or stop() or standing.wait > LONGEST_PAUSE or clock.monotonic() + pause > end:
            return standing
        clock.sleep(pause)


def settle(executor: Executor, clock: Clock, intents: Sequence[IntentId], *, within: timedelta) -> SweepResult:
    """Ring for each of these trades, as often as it is worth it, until all are settled or time is up.

    Books and nodes that are away for a moment are waited for.

    Raises:
        TerminalError: There is no such trade, or the books cannot be used as they are.
    """
    end = clock.monotonic() + within.total_seconds()
    wake = dict.fromkeys(intents, clock.monotonic())
    settled_ones: list[IntentId] = []
    while wake:
        intent = min(wake, key=lambda one: wake[one])
        if wake[intent] > end:
            break
        clock.sleep(max(0.0, wake[intent] - clock.monotonic()))
        try:
            standing = executor.advance(intent)
        except (RetryableError, OutcomeUnknownError):
            wake[intent] = clock.monotonic() + _AFTER_TROUBLE.total_seconds()
            continue
        if standing.settled:
            del wake[intent]
            settled_ones.append(intent)
        else:
            wake[intent] = clock.monotonic() + standing.wait.total_seconds()
    return SweepResult(tuple(settled_ones), tuple(wake))


def look_again_at_the_dead(executor: Executor, store: Store, clock: Clock) -> int:
    """Ask once more about every transaction that was proven dead and is still watched (rule *controls*).

    Returns:
        How many were asked about. What landed after all is booked, loudly.
    """
    with store.read() as books:
        watched = books.attempts.watched(clock.now(), LIMIT)
    for attempt in watched:
        executor.look_again(attempt)
    return len(watched)
