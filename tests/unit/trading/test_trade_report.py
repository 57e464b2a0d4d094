"""What the books tell of a trade, and which trade a person means."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from sniperforge.domain.ids import cli_key
from sniperforge.domain.intent import Attempt, AttemptState, ExposureEffect, FillState, IntentState, TradeIntent
from sniperforge.domain.money import WSOL_MINT
from sniperforge.errors import InvalidInputError
from sniperforge.ports.records import TradingMode
from sniperforge.ports.store import Store
from sniperforge.trading.duplicates import twin_of
from sniperforge.trading.executor_policy import TradeRequest
from sniperforge.trading.trade_report import death_in_words, price, read_report
from tests.fakes.clock import START
from tests.fakes.records import USDC, WALLET, a_fill, a_wallet, an_attempt, an_intent
from tests.fakes.store import FakeStore

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store() -> Store:
    store = FakeStore()
    with store.write() as books:
        books.wallets.add(a_wallet())
    return store


def keep(store: Store, intent: TradeIntent, *attempts: Attempt) -> None:
    with store.write() as books:
        books.intents.add(intent)
        for attempt in attempts:
            books.attempts.add(attempt)


def request(name: str = "another", **changes: object) -> TradeRequest:
    given: dict[str, object] = {
        "key": cli_key(name),
        "wallet": WALLET,
        "input_mint": USDC,
        "output_mint": WSOL_MINT,
        "input_raw": 25_000_000,
        "effect": ExposureEffect.ENTRY,
    }
    return TradeRequest(**{**given, **changes})  # type: ignore[arg-type]


def test_a_trade_is_meant_by_the_beginning_of_its_id(store: Store) -> None:
    intent = an_intent()
    keep(store, intent)
    assert read_report(store, intent.id).intent == intent
    assert read_report(store, f" {intent.id[:5].upper()} ").intent == intent


def test_a_beginning_that_several_share_is_refused_with_the_candidates(store: Store) -> None:
    by_beginning: dict[str, TradeIntent] = {}
    number = 0
    while True:
        intent = an_intent(str(number))
        other = by_beginning.setdefault(intent.id[:3], intent)
        if other is not intent:
            break
        number += 1
    keep(store, intent)
    keep(store, other)
    with pytest.raises(InvalidInputError, match="several") as caught:
        read_report(store, intent.id[:3])
    assert intent.id in str(caught.value)
    assert other.id in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"), [("zzzz", "no such trade"), ("zz", "no id"), ("%%%", "no id"), ("", "no id")]
)
def test_what_is_no_id_is_refused(store: Store, text: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        read_report(store, text)


def test_a_final_fill_is_told_against_its_quote(store: Store) -> None:
    intent = an_intent(state=IntentState.FILLED)
    attempt = an_attempt(intent, state=AttemptState.FINALIZED, quoted_out_raw=138_000_000)
    keep(store, intent, attempt)
    with store.write() as books:
        books.fills.add(a_fill(attempt, state=FillState.FINAL, output_raw=137_862_000))
    report = read_report(store, intent.id)
    assert report.filled_by == attempt
    assert report.realised_bps == Decimal(-10)
    assert report.settled
    assert report.next_action == "nothing: it is final"


def test_a_fill_that_a_fork_took_back_is_none(store: Store) -> None:
    intent = an_intent(state=IntentState.EXECUTING)
    attempt = an_attempt(intent, state=AttemptState.SENT)
    keep(store, intent, attempt)
    with store.write() as books:
        books.fills.add(a_fill(attempt, state=FillState.REVERSED))
    report = read_report(store, intent.id)
    assert (report.fill, report.realised_bps, report.settled) == (None, None, False)
    assert "until its transaction has landed or is proven dead" in report.next_action


@pytest.mark.parametrize(
    ("intent", "states", "says"),
    [
        (an_intent(), [], "sniperforge cancel"),
        (an_intent(cancel_requested_at=START), [], "to its cancellation"),
        (an_intent(state=IntentState.FILLED), [AttemptState.CONFIRMED], "until its fill is final"),
        (an_intent(state=IntentState.PARKED), [], "sniperforge cancel"),
        (an_intent(state=IntentState.FAILED), [AttemptState.EXPIRED], "decide it again"),
        (an_intent(state=IntentState.CANCELLED), [], "decide it again"),
    ],
)
def test_every_state_has_its_next_action(
    store: Store, intent: TradeIntent, states: list[AttemptState], says: str
) -> None:
    keep(store, intent, *(an_attempt(intent, number, state=state) for number, state in enumerate(states, 1)))
    assert says in read_report(store, intent.id).next_action


def test_a_trade_that_waits_for_a_resume_says_so(store: Store) -> None:
    keep(store, an_intent())
    with store.write() as books:
        books.system.change(books.system.get(), mode=TradingMode.HALTED, reason="tea time")
    assert "tea time" in read_report(store, an_intent().id).next_action


def test_a_price_is_told_both_ways_in_whole_tokens() -> None:
    fill = a_fill(an_attempt(an_intent()), input_raw=25_000_000, output_raw=125_000_000)
    assert price(fill, 6, 9) == (Decimal(200), Decimal("0.005"))
    assert price(a_fill(an_attempt(an_intent()), output_raw=0), 6, 9) is None


def test_a_proof_of_death_is_told_in_words() -> None:
    witness = {
        "node": "one.example",
        "finalized_block_height": 1_051,
        "answer_slot": 2_000,
        "control_before": "before-it",
        "control_after": "after-it",
        "control_after_slot": 1_999,
    }
    proof = json.dumps({"proven_at": "noon", "bound_block_height": 1_050, "witnesses": [witness]})
    dead = an_attempt(an_intent(), state=AttemptState.EXPIRED, death_proof=proof, watch_until=START)
    told = "\n".join(death_in_words(dead))
    for part in ("noon", "1050", "one.example", "1051", "2000", "before-it", "after-it", "1999", START.isoformat()):
        assert part in told
    assert death_in_words(an_attempt(an_intent())) == []


def test_the_same_wallet_pair_and_amount_within_the_time_is_a_twin(store: Store) -> None:
    keep(store, an_intent())
    with store.read() as books:
        assert twin_of(books, request(), since=START - MINUTE) == an_intent()
        assert twin_of(books, request(), since=START) == an_intent()
        assert twin_of(books, request(), since=START + MINUTE) is None
        assert twin_of(books, request("one"), since=START - MINUTE) is None, "the same decision is no second one"
        assert twin_of(books, request(input_raw=1), since=START - MINUTE) is None
        assert twin_of(books, request(input_mint=WSOL_MINT, output_mint=USDC), since=START - MINUTE) is None


@pytest.mark.parametrize("state", [IntentState.FAILED, IntentState.CANCELLED])
def test_a_trade_that_swapped_nothing_has_no_twin(store: Store, state: IntentState) -> None:
    keep(store, an_intent(state=state))
    with store.read() as books:
        assert twin_of(books, request(), since=START - MINUTE) is None
