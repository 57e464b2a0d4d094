"""The rules by which a signed transaction is settled, each by its name: take one out and its tests fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sniperforge.domain.intent import Attempt, AttemptState, IntentState
from sniperforge.errors import (
    ExchangeRejectedError,
    NodeUnavailableError,
    NoRouteError,
    SniperForgeError,
)
from sniperforge.ports.chain import Commitment
from sniperforge.shared.jupiter.execute_codes import EXECUTE_CODES, PROGRAM_ERRORS
from sniperforge.trading.progress import Step
from sniperforge.trading.settlement import Settlement
from tests.fakes.records import an_attempt
from tests.fakes.trading_market import CONTROL_EVERY
from tests.fakes.trading_orders import USDC
from tests.fakes.trading_world import Killed, TradingWorld, raising

LIVE = (AttemptState.SIGNED, AttemptState.SENT, AttemptState.CONFIRMED)


def settlement(world: TradingWorld) -> Settlement:
    return Settlement(store=world.store, clock=world.clock, tip_accounts=())


# ---- fence-end


def test_fence_end_a_cancelled_trade_ends_only_when_its_transaction_is_proven_dead() -> None:
    world = TradingWorld()
    attempt = world.signed()
    executor = world.executor()
    executor.cancel(attempt.intent_id)
    for _ in range(3):
        executor.advance(attempt.intent_id)
        world.pass_time(seconds=5)
        assert world.intent(attempt.intent_id).state is IntentState.EXECUTING

    world.exchange.forwards = False
    assert world.finish(attempt.intent_id).state is IntentState.CANCELLED
    assert world.attempts()[0].state is AttemptState.EXPIRED


def test_fence_end_a_cancelled_trade_that_lands_is_filled() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.executor().cancel(attempt.intent_id)
    world.chain.include(attempt.signature)

    assert world.finish(attempt.intent_id).state is IntentState.FILLED


def test_fence_end_a_trade_whose_transaction_is_dead_waits_for_its_next_try_and_belongs_to_nobody() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.exchange.forwards = False
    world.pass_bound()
    assert ring_until(world, attempt) is AttemptState.EXPIRED

    intent = world.intent(attempt.intent_id)
    assert (intent.state, intent.lease_owner, intent.lease_until) == (IntentState.PENDING, None, None)
    assert intent.next_attempt_at > world.clock.now()


def test_fence_end_a_deadline_that_passes_while_a_transaction_lives_does_not_end_the_trade() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.clock.jump(world.clock.now() + timedelta(days=2))

    world.executor().advance(attempt.intent_id)

    assert world.intent(attempt.intent_id).state is IntentState.EXECUTING


@pytest.mark.parametrize("other", ["two", "one"], ids=["another worker", "one that wrongly goes by the same name"])
def test_fence_end_a_failed_preparation_ends_nothing_while_another_workers_attempt_lives(other: str) -> None:
    world = TradingWorld()
    world.chain.holding = True
    intent = world.decide()

    def another_signs() -> None:
        world.clock.jump(world.clock.now() + timedelta(minutes=1))
        world.publish()
        world.executor(other).advance(intent)
        world.exchange.fail("order", ExchangeRejectedError("Jupiter refuses the request"))

    world.points.once("order", another_signs)
    world.executor("one").advance(intent)

    assert world.intent(intent).state is IntentState.EXECUTING
    assert [attempt.state for attempt in world.attempts()] == [AttemptState.SENT]


@pytest.mark.parametrize("error", [ExchangeRejectedError("refused"), NoRouteError("no route")])
def test_fence_end_a_failed_preparation_leaves_the_trade_to_the_worker_that_has_it_now(error: SniperForgeError) -> None:
    world = TradingWorld()
    intent = world.decide()
    world.exchange.fail("order", error)

    def lease_goes_to_another() -> None:
        now = world.clock.now()
        with world.store.books.write() as books:
            books.intents.change(world.intent(intent), at=now, lease_owner="two", lease_until=now + timedelta(days=1))

    world.points.once("order", lease_goes_to_another)
    world.executor("one").advance(intent)

    assert (world.intent(intent).state, world.intent(intent).lease_owner) == (IntentState.EXECUTING, "two")


def test_fence_end_a_failed_preparation_sets_nothing_back_that_landed_after_all_meanwhile() -> None:
    world = TradingWorld()
    attempt = world.signed()
    settlement(world).expired(attempt, "{}", watch_for=timedelta(days=1))
    world.chain.include(attempt.signature)
    world.chain.finalize()
    world.clock.jump(world.clock.now() + timedelta(minutes=1))
    world.publish()

    def seen_to_have_landed() -> None:
        world.executor("two").look_again(world.attempts()[0])
        world.exchange.fail("order", ExchangeRejectedError("Jupiter refuses the request"))

    world.points.once("order", seen_to_have_landed)
    standing = world.executor().advance(attempt.intent_id)

    assert standing.intent.state is IntentState.FILLED
    assert world.intent(attempt.intent_id).state is IntentState.FILLED


def test_fence_end_the_state_follows_from_all_attempts_and_not_from_the_last_one_written() -> None:
    """A second attempt dies after the first, called dead wrongly, has landed."""
    world = TradingWorld()
    first = world.signed()
    settlement(world).expired(first, "{}", watch_for=timedelta(days=1))
    world.clock.jump(world.clock.now() + timedelta(minutes=1))
    world.publish()
    world.executor().advance(first.intent_id)
    second = world.attempts()[-1]
    world.chain.include(first.signature)
    world.chain.finalize()
    world.executor().look_again(world.attempts()[0])
    assert (second.number, world.intent(first.intent_id).state) == (2, IntentState.FILLED)

    settlement(world).expired(second, "{}", watch_for=timedelta(days=1))

    assert world.intent(first.intent_id).state is IntentState.FILLED


def test_fence_end_a_trade_with_a_live_attempt_is_not_ended_whatever_its_version_says() -> None:
    world = TradingWorld()
    intent = world.intent(world.decide(deadline=timedelta(seconds=1)))
    world.pass_time(seconds=2)
    attempt = an_attempt(intent)

    def inserted_past_the_fence() -> None:
        with world.store.books.write() as books:
            books.attempts.add(attempt)

    world.points.once("writing", inserted_past_the_fence)
    standing = world.executor().advance(intent.id)

    assert (standing.intent.state, standing.settled) == (IntentState.PENDING, False)


# ---- signed-is-sent


def test_signed_is_sent_a_signed_attempt_is_settled_like_a_sent_one() -> None:
    """The process died between sending and writing it down."""
    world = TradingWorld()
    intent = world.decide()
    world.points.once("execute answered", raising(Killed()))
    with pytest.raises(Killed):
        world.executor("one").advance(intent)
    assert [attempt.state for attempt in world.attempts()] == [AttemptState.SIGNED]

    assert world.finish(intent, owner="two").state is IntentState.FILLED
    assert (len(world.attempts()), len(world.chain.ours())) == (1, 1)


def test_signed_is_sent_a_signed_attempt_lives_until_it_is_proven_dead() -> None:
    world = TradingWorld()
    intent = world.decide()
    world.at[Step.PERSISTED] = raising(Killed())
    with pytest.raises(Killed):
        world.executor("one").advance(intent)
    world.exchange.forwards = False
    world.chain.holding = True
    for _ in range(5):
        world.pass_time(seconds=10)
        world.executor("two").advance(intent)

    assert [attempt.state in LIVE for attempt in world.attempts()] == [True]
    assert world.held(USDC) == 25_000_000


# ---- height-then-status


def test_height_then_status_nothing_is_dead_before_the_finalized_height_is_past_the_bound() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.exchange.forwards = False
    assert attempt.bound_block_height is not None
    while world.chain.block_height(Commitment.FINALIZED) < attempt.bound_block_height:
        world.chain.advance(1)
        world.executor().advance(attempt.intent_id)

    assert world.chain.block_height(Commitment.FINALIZED) == attempt.bound_block_height
    assert world.attempts()[0].state is AttemptState.SENT


def test_height_then_status_it_is_the_height_that_counts_and_not_the_slot() -> None:
    """Slots run ahead of heights; with many skipped, the slot is past the bound long before the height is."""
    world = TradingWorld()
    attempt = world.signed()
    world.chain.skip(400)
    world.chain.advance(40)
    executor = world.executor()
    for _ in range(3):
        world.chain.advance(8)
        executor.advance(attempt.intent_id)

    assert attempt.bound_block_height is not None
    assert world.chain.slot(Commitment.FINALIZED) > attempt.bound_block_height + 150
    assert world.attempts()[0].state is AttemptState.SENT


def test_height_then_status_what_lands_between_the_two_questions_is_seen() -> None:
    world = TradingWorld()
    attempt = world.signed()
    assert attempt.bound_block_height is not None
    last = attempt.bound_block_height - 2 - world.chain.height_of(world.chain.head_slot)
    world.chain.advance(last)
    world.points.once("block_height", lambda: world.chain.include(attempt.signature))

    world.executor().advance(attempt.intent_id)
    world.pass_bound()

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert len(world.attempts()) == 1


def test_height_then_status_what_lands_after_an_early_question_and_is_long_final_is_seen() -> None:
    """Had the status been asked first, its absence would be older than the height that makes it final."""
    world = TradingWorld()
    attempt = world.signed()
    executor = world.executor()

    def lands_and_is_long_past() -> None:
        assert world.chain.include(attempt.signature)
        world.pass_bound()
        while world.chain.slot(Commitment.FINALIZED) % CONTROL_EVERY:
            world.chain.advance()

    world.points.once("block_height", lands_and_is_long_past)
    executor.advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.SENT
    assert world.finish(attempt.intent_id).state is IntentState.FILLED


# ---- controls


def ring_until(world: TradingWorld, attempt: Attempt, *, rings: int = 6) -> AttemptState:
    executor = world.executor()
    for _ in range(rings):
        executor.advance(attempt.intent_id)
        world.chain.advance(8)
    return world.attempts()[0].state


def test_controls_a_node_that_knows_both_proves_it() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.exchange.forwards = False
    world.pass_bound()

    assert ring_until(world, attempt) is AttemptState.EXPIRED


@pytest.mark.parametrize("node", [0, 1], ids=["the first node", "the second node"])
def test_controls_a_node_that_forgot_proves_nothing(node: int) -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.policy = replace(world.policy, large_trade_usd=1)
    world.pass_bound()
    world.chain.nodes[node].remembers_slots = 100

    assert ring_until(world, attempt) is AttemptState.SENT


def test_controls_a_node_that_forgot_a_landing_does_not_make_it_dead() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.pass_bound()
    for node in world.chain.nodes:
        node.remembers_slots = 100
    assert ring_until(world, attempt) is AttemptState.SENT

    for node in world.chain.nodes:
        node.remembers_slots = None
    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert len(world.chain.ours()) == 1


def test_controls_a_node_that_lags_proves_nothing() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.pass_bound()
    for node in world.chain.nodes:
        node.lag_slots = 150

    assert ring_until(world, attempt, rings=3) is AttemptState.SENT


def test_controls_without_a_newer_control_nothing_is_proven() -> None:
    world = TradingWorld()
    attempt = world.signed()
    newest = world.chain.head_slot
    world.pass_bound()
    for name in [name for name, one in world.chain.landed.items() if one.slot > newest]:
        del world.chain.landed[name]

    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.SENT


def test_controls_an_error_is_no_answer() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.pass_bound()
    world.points.always("pinned", raising(NodeUnavailableError("down")))

    for _ in range(3):
        with pytest.raises(NodeUnavailableError):
            world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.SENT


def test_controls_without_one_nothing_is_signed() -> None:
    world = TradingWorld()
    world.chain.landed.clear()
    intent = world.decide()

    world.executor().advance(intent)

    assert world.signer.signed == []
    assert "no finalized transaction is known that could serve as a control" in (world.intent(intent).reason or "")


def test_controls_a_second_node_must_agree_when_the_value_is_large() -> None:
    world = TradingWorld()
    world.policy = replace(world.policy, large_trade_usd=25)
    attempt = world.signed()
    world.exchange.forwards = False
    world.pass_bound()
    world.chain.nodes[1].lag_slots = 300
    assert ring_until(world, attempt) is AttemptState.SENT

    world.chain.nodes[1].lag_slots = 0
    assert ring_until(world, attempt) is AttemptState.EXPIRED
    proof = world.attempts()[0].death_proof or ""
    assert '"node-a"' in proof
    assert '"node-b"' in proof


def test_controls_one_node_is_enough_when_the_value_is_small() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.exchange.forwards = False
    world.pass_bound()
    world.chain.nodes[1].lag_slots = 300

    assert ring_until(world, attempt) is AttemptState.EXPIRED


def test_controls_one_node_is_enough_where_there_is_only_one() -> None:
    world = TradingWorld()
    world.policy = replace(world.policy, has_second_node=False)
    attempt = world.signed()
    world.exchange.forwards = False
    world.pass_bound()
    world.chain.nodes[1].lag_slots = 300

    assert ring_until(world, attempt) is AttemptState.EXPIRED


def test_controls_expired_attempts_are_watched_for_a_day_more() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.exchange.forwards = False
    world.pass_bound()
    ring_until(world, attempt)
    now = world.clock.now()
    with world.store.books.read() as books:
        assert [one.id for one in books.attempts.watched(now + timedelta(hours=23), 10)] == [attempt.id]
        assert books.attempts.watched(now + timedelta(hours=25), 10) == ()


# ---- no-timeout


@pytest.mark.parametrize("code", [*EXECUTE_CODES, *PROGRAM_ERRORS, 9_999, -9_999])
def test_no_timeout_no_answer_of_execute_and_no_time_that_passes_here_kills(code: int) -> None:
    world = TradingWorld()
    world.exchange.says = code
    attempt = world.signed()
    for _ in range(5):
        world.clock.jump(world.clock.now() + timedelta(hours=7))
        world.executor().advance(attempt.intent_id)

    assert [one.state for one in world.attempts()] == [AttemptState.SENT]
    assert world.intent(attempt.intent_id).state is IntentState.EXECUTING
    assert world.held(USDC) == 25_000_000

    world.chain.include(attempt.signature)
    assert world.finish(attempt.intent_id).state is IntentState.FILLED
