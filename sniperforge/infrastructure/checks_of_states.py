"""I3, I6, I7: what the books must not say whatever the chain did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from sniperforge.domain.ids import IntentKey, attempt_id, intent_id
from sniperforge.domain.intent import LIVE_ATTEMPT_STATES, Attempt, AttemptState, IntentState
from sniperforge.infrastructure.books_view import Case
from sniperforge.infrastructure.evidence import Evidence
from sniperforge.infrastructure.invariant_report import Alert, Violation


def one_live_attempt(evidence: Evidence) -> Iterator[Violation]:
    """I3: at most one live attempt of an intent, or several on one nonce value; none beside a final landing."""
    for case in evidence.books.cases:
        live = _in(case, LIVE_ATTEMPT_STATES)
        numbers = ", ".join(str(attempt.number) for attempt in live)
        if len(live) > 1 and _may_both_land(live):
            what = f"attempts {numbers} are live at once"
        elif live and _may_both_land([*live, *_in(case, {AttemptState.FINALIZED})]):
            what = f"attempt {numbers} is live although another one is finalized"
        elif live and case.intent.state is IntentState.PENDING:
            what = f"attempt {numbers} is live, yet the intent is pending and may be claimed"
        else:
            continue
        yield Violation(
            invariant="I3",
            subject=f"intent {case.intent.id}",
            what=what,
            fix='Halt the wallet (`sniperforge halt WALLET --reason "..."`): both may land. Prove all but one dead '
            "before it goes on",
            evidence={attempt.signature: attempt.state.value for attempt in case.attempts},
        )


def _in(case: Case, states: frozenset[AttemptState] | set[AttemptState]) -> list[Attempt]:
    return [attempt for attempt in case.attempts if attempt.state in states]


def _may_both_land(attempts: list[Attempt]) -> bool:
    """More than one, and not all bound to one nonce value, of which the chain lets only one pass."""
    values = {(attempt.nonce_account, attempt.nonce_value) for attempt in attempts}
    return len(attempts) > 1 and (len(values) > 1 or (None, None) in values)


def decided_once(evidence: Evidence) -> Iterator[Violation]:
    """I6: one occurrence has at most one intent; ids are functions of what was decided."""
    occurrences: defaultdict[str, list[str]] = defaultdict(list)
    for intent in evidence.books.decided:
        occurrences[_occurrence(intent.key)].append(intent.id)
        if intent.id != intent_id(intent.key):
            yield _id_violation(f"intent {intent.id}", f"its key {intent.key} has the id {intent_id(intent.key)}")
    for occurrence, ids in occurrences.items():
        if len(ids) > 1:
            yield Violation(
                invariant="I6",
                subject=occurrence,
                what=f"it was decided {len(ids)} times: {', '.join(ids)}",
                fix='Cancel all but one that has not landed (`sniperforge halt --reason "..."` first)',
                evidence=dict.fromkeys(ids, occurrence),
            )
    for case in evidence.books.cases:
        for attempt in case.attempts:
            if attempt.number < 1 or attempt.id != attempt_id(case.intent.id, attempt.number):
                yield _id_violation(f"attempt {attempt.id}", f"it is number {attempt.number} of {case.intent.id}")


def _occurrence(key: IntentKey) -> str:
    """The key with the occurrence as a number: 42 and 042 are the same one. A token of a person is no number."""
    *what, last = key.split(":")
    return key if what[:1] == ["cli"] or not last.isdecimal() else ":".join([*what, str(int(last))])


def _id_violation(subject: str, what: str) -> Violation:
    return Violation(
        invariant="I6",
        subject=subject,
        what=what,
        fix="These rows were not written by this program: find out by what, and restore the books",
        evidence={},
    )


def slow_intents(evidence: Evidence, now: datetime, settle_allowance: timedelta) -> Iterator[Alert]:
    """I7: what executes longer than a blockhash lives and settling takes.

    Blocks count, not seconds: an attempt is slow when the finalized height is past its bound (a nonce-bound one has
    none) *and* the allowance is over.
    """
    for case in evidence.books.cases:
        live = _in(case, LIVE_ATTEMPT_STATES)
        for attempt in live:
            past = attempt.bound_block_height is None or evidence.truth.block_height > attempt.bound_block_height
            if past and now - attempt.created_at > settle_allowance:
                yield Alert(
                    subject=f"attempt {attempt.id} ({attempt.signature})",
                    what=f"it is {attempt.state.value}, not settled, since {attempt.created_at:%Y-%m-%d %H:%M:%S} UTC",
                    fix="See that a worker runs and that nodes answer; nothing is lost, it settles when they do",
                )
        if case.intent.state is IntentState.EXECUTING and not live and now - case.intent.updated_at > settle_allowance:
            yield Alert(
                subject=f"intent {case.intent.id}",
                what=f"nothing happened to it since {case.intent.updated_at:%Y-%m-%d %H:%M:%S} UTC",
                fix="See that a worker runs; ring it again with `sniperforge reconcile`",
            )
