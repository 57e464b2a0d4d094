"""What happens next after every answer of `/execute` and every failure on the way: the chain is asked, nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sniperforge.domain.intent import AttemptState, IntentState
from sniperforge.errors import (
    AuthenticationError,
    ExecuteOutcomeUnknownError,
    NodeUnavailableError,
    ProtocolError,
    RateLimitedError,
    SniperForgeError,
)
from sniperforge.shared.jupiter.execute_codes import EXECUTE_CODES, PROGRAM_ERRORS, code_meaning
from sniperforge.trading.executor_policy import Until
from sniperforge.trading.progress import Step
from tests.fakes.trading_world import TradingWorld

CODES = (*EXECUTE_CODES, *PROGRAM_ERRORS, 4_242, -4_242)
FAILURES: tuple[SniperForgeError, ...] = (
    ExecuteOutcomeUnknownError("timed out", status=None),
    ExecuteOutcomeUnknownError("the connection was dropped", status=None),
    ExecuteOutcomeUnknownError("server error", status=503),
    ExecuteOutcomeUnknownError("not JSON", status=200),
    ExecuteOutcomeUnknownError("too many requests", status=429),
    ExecuteOutcomeUnknownError("the key was refused", status=401),
    RateLimitedError("our own budget is used up"),
    AuthenticationError("no key"),
    ProtocolError("no code in the answer"),
)


@pytest.mark.parametrize("code", CODES)
def test_whatever_is_answered_a_transaction_that_landed_is_a_fill(code: int) -> None:
    world = TradingWorld()
    world.exchange.says = code
    intent = world.decide()

    assert world.finish(intent).state is IntentState.FILLED
    assert (len(world.attempts()), len(world.chain.ours())) == (1, 1)
    assert world.booked() == world.on_chain()


@pytest.mark.parametrize("code", CODES)
def test_whatever_is_answered_a_transaction_that_never_left_is_proven_dead_before_another_is_signed(code: int) -> None:
    world = TradingWorld()
    world.exchange.says, world.exchange.forwards, world.chain.holding = code, False, True
    intent = world.decide()
    executor = world.executor()
    while world.attempts(intent)[-1:] == () or world.attempts(intent)[-1].number == 1:
        standing = executor.advance(intent)
        world.clock.sleep(standing.wait.total_seconds())

    first, second = world.attempts(intent)
    assert (first.state, second.state) == (AttemptState.EXPIRED, AttemptState.SENT)
    assert first.death_proof is not None


@pytest.mark.parametrize("code", CODES)
def test_the_answer_is_kept_for_people(code: int) -> None:
    world = TradingWorld()
    world.exchange.says = code
    attempt = world.signed()

    assert attempt.execute_code == code
    assert code_meaning(code).meaning in (attempt.execute_message or "")


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.what)
@pytest.mark.parametrize("arrived", [True, False], ids=["it had arrived", "it had not"])
def test_every_failure_on_the_way_leaves_the_question_to_the_chain(
    failure: SniperForgeError,
    arrived: bool,  # noqa: FBT001
) -> None:
    world = TradingWorld()
    world.exchange.breaks, world.exchange.forwards = failure, arrived
    intent = world.decide()
    world.executor().advance(intent)
    assert world.attempts()[0].state in (AttemptState.SENT, AttemptState.CONFIRMED)
    assert failure.what in (world.attempts()[0].execute_message or "")
    world.exchange.breaks, world.exchange.forwards = None, True

    assert world.finish(intent).state is IntentState.FILLED
    assert (len(world.attempts()), len(world.chain.ours())) == (1, 1)


def test_a_later_failure_does_not_erase_an_earlier_code() -> None:
    world = TradingWorld()
    world.exchange.says = -1005
    attempt = world.signed()
    world.exchange.breaks = ExecuteOutcomeUnknownError("timed out")
    world.pass_time(seconds=3)
    world.executor().advance(attempt.intent_id)

    again = world.attempts()[0]
    assert (again.sent_count, again.execute_code, again.execute_message) == (2, -1005, "timed out")


def test_the_same_bytes_go_to_our_nodes_and_to_execute_again_after_a_pause() -> None:
    world = TradingWorld()
    attempt = world.signed()
    assert (world.exchange.posts(), world.chain.sent) == (1, [])

    world.executor().advance(attempt.intent_id)
    assert (world.exchange.posts(), world.chain.sent) == (1, [])

    world.pass_time(seconds=2)
    world.executor().advance(attempt.intent_id)
    assert (world.exchange.posts(), world.chain.sent) == (2, [attempt.signed_transaction])


def test_after_two_minutes_execute_is_not_asked_any_more_but_our_nodes_are() -> None:
    """Posting bytes again only asks how it went for two minutes; later it would be a new question."""
    world = TradingWorld()
    attempt = world.signed()
    world.clock.jump(world.clock.now() + timedelta(minutes=2))
    world.executor().advance(attempt.intent_id)

    assert (world.exchange.posts(), world.chain.sent) == (1, [attempt.signed_transaction])
    assert world.steps[-2].text == "handed to our nodes"


def test_what_our_nodes_forward_lands_though_jupiter_never_forwarded_it() -> None:
    world = TradingWorld()
    world.exchange.forwards = False
    world.exchange.breaks = ExecuteOutcomeUnknownError("timed out")
    intent = world.decide()

    assert world.finish(intent).state is IntentState.FILLED
    assert len(world.chain.ours()) == 1


def test_what_was_seen_by_a_node_is_not_sent_again() -> None:
    """Known at processed, not yet at confirmed, when its bound was passed long ago: somebody included it."""
    world = TradingWorld()
    attempt = world.signed()
    executor = world.executor()
    world.pass_bound()
    world.pass_time(seconds=3)
    executor.advance(attempt.intent_id)
    sent = len(world.chain.sent)
    world.chain.land(attempt.signed_transaction, world.chain.effect_of(attempt.signed_transaction))
    world.chain.confirm_slots = 20
    world.chain.advance(16)
    world.clock.jump(world.clock.now() + timedelta(seconds=3))
    executor.advance(attempt.intent_id)

    assert len(world.chain.sent) == sent
    assert world.attempts()[0].state is AttemptState.SENT


def test_an_answer_that_comes_after_the_landing_was_booked_changes_nothing() -> None:
    world = TradingWorld()
    intent = world.decide()

    def another_books_it() -> None:
        world.chain.advance(2)
        world.executor("two").advance(intent)

    world.points.once("execute answered", another_books_it)
    world.executor("one").advance(intent)

    attempt = world.attempts()[0]
    assert (attempt.state, attempt.sent_count, attempt.execute_code) == (AttemptState.CONFIRMED, 0, None)
    assert Step.SENT not in world.reached()


def test_run_can_stop_at_confirmed() -> None:
    world = TradingWorld()
    intent = world.decide()

    assert world.executor().run(intent, until=Until.CONFIRMED).state is IntentState.FILLED
    assert world.attempts()[0].state is AttemptState.CONFIRMED
    assert world.executor().run(intent).state is IntentState.FILLED
    assert world.attempts()[0].state is AttemptState.FINALIZED


def test_six_calls_and_six_commits_carry_a_trade_when_nothing_goes_wrong() -> None:
    world = TradingWorld()
    intent = world.decide()
    world.points.once("execute answered", lambda: world.chain.advance(2))
    world.executor().run(intent, until=Until.CONFIRMED)
    calls = [name for name in world.points.seen if name in {"prices", "order", "signing_view", "simulate", "execute"}]
    asked = [name for name in world.points.seen if name in {"transaction", "pinned", "send"}]
    assert (calls, asked) == (["prices", "order", "signing_view", "simulate", "execute"], ["transaction"])

    world.chain.finalize()
    world.executor().run(intent)
    assert world.store.commits == 6


def test_a_landing_that_a_lagging_node_still_shows_is_taken_back_when_finalized_history_lacks_it() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    world.chain.fork(5)
    world.pass_bound()
    node = world.chain.nodes[0]
    node.lag_slots = world.chain.head_slot - world.chain.confirm_slots - (world.attempts()[0].landed_slot or 0)

    def node_goes_down() -> None:
        node.failure = NodeUnavailableError("down")

    executor = world.executor()
    for _ in range(5):
        node.failure = None
        world.points.once("pinned", node_goes_down, nth=2)
        executor.advance(attempt.intent_id)
        world.chain.advance(8)
        node.lag_slots += 8
        if world.attempts()[0].state is not AttemptState.CONFIRMED:
            break

    assert world.attempts()[0].state is AttemptState.SENT
    assert world.booked(final_only=False) == world.on_chain()
