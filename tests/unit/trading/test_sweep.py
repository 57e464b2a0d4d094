"""Which trades somebody has to carry on."""

from __future__ import annotations

from datetime import timedelta

from sniperforge.domain.intent import AttemptState, IntentState
from sniperforge.trading.sweep import unsettled
from tests.fakes.clock import START
from tests.fakes.records import a_wallet, an_attempt, an_intent
from tests.fakes.store import FakeStore

LATER = START + timedelta(hours=1)


def test_unsettled_is_what_is_open_or_has_a_live_attempt_whether_it_is_due_or_not() -> None:
    store = FakeStore()
    pending = an_intent("pending", next_attempt_at=LATER, lease_owner="dead", lease_until=LATER)
    executing = an_intent("executing", state=IntentState.EXECUTING)
    provisional = an_intent("provisional", state=IntentState.FILLED)
    final = an_intent("final", state=IntentState.FILLED)
    others = [an_intent(state.value, state=state) for state in (IntentState.FAILED, IntentState.CANCELLED)]
    parked = an_intent("parked", state=IntentState.PARKED)
    with store.write() as books:
        books.wallets.add(a_wallet())
        for intent in (pending, executing, provisional, final, parked, *others):
            books.intents.add(intent)
        books.attempts.add(an_attempt(executing, state=AttemptState.SENT))
        books.attempts.add(an_attempt(provisional, state=AttemptState.CONFIRMED))
        books.attempts.add(an_attempt(final, state=AttemptState.FINALIZED))
    with store.read() as books:
        assert unsettled(books) == (executing.id, pending.id, provisional.id)
