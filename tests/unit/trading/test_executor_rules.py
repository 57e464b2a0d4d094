"""The rules of a trade's life, each by its name (docs/guides/life-of-a-trade.md): take one out and its tests fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import AdvanceNonceAccountParams, advance_nonce_account

from sniperforge.domain.intent import Attempt, AttemptState, ExposureEffect, FillState, IntentState
from sniperforge.errors import (
    CommitOutcomeUnknownError,
    ConflictError,
    ExchangeRejectedError,
    NodeUnavailableError,
    RetryableError,
    StorageBusyError,
)
from sniperforge.ports.chain import Commitment, LandedTransaction
from sniperforge.ports.exchange import Order
from sniperforge.ports.records import Severity, TradingMode
from sniperforge.shared.jupiter.execute_codes import EXECUTE_CODES, PROGRAM_ERRORS
from sniperforge.trading.progress import Step
from sniperforge.trading.settlement import Settlement
from tests.fakes.chain import Landing
from tests.fakes.records import an_attempt
from tests.fakes.trading_market import (
    JUP,
    KEY,
    OWNER,
    TOO_LITTLE,
    USDC,
    is_unsigned,
    old_blockhash,
    order_bytes,
    seconds,
)
from tests.fakes.trading_world import Killed, TradingWorld, raising

LIVE = (AttemptState.SIGNED, AttemptState.SENT, AttemptState.CONFIRMED)


def settlement(world: TradingWorld) -> Settlement:
    return Settlement(store=world.store, clock=world.clock, tip_accounts=())


def landed(world: TradingWorld, attempt: Attempt, commitment: Commitment = Commitment.PROCESSED) -> LandedTransaction:
    found = world.chain.transaction(attempt.signature, commitment)
    assert found is not None
    return found


# ---- persist-first


def test_persist_first_the_attempt_is_in_the_books_before_a_byte_leaves() -> None:
    world = TradingWorld()
    seen_before: list[int] = []
    world.points.on = lambda name: seen_before.append(len(world.attempts())) if name == "execute" else None

    world.executor().advance(world.decide())

    assert seen_before == [1]


def test_persist_first_a_process_that_dies_before_the_commit_has_sent_nothing() -> None:
    world = TradingWorld()
    intent = world.decide()
    world.at[Step.SIGNED] = raising(Killed())

    with pytest.raises(Killed):
        world.executor().advance(intent)

    assert (world.attempts(), world.chain.pool) == ((), {})


def test_persist_first_what_is_simulated_is_unsigned() -> None:
    world = TradingWorld()
    world.executor().advance(world.decide())

    assert world.chain.simulated
    assert all(is_unsigned(raw) for raw in world.chain.simulated)


@pytest.mark.parametrize("committed", [True, False], ids=["and it was", "and it was not"])
def test_persist_first_after_a_commit_whose_outcome_is_unknown_nothing_is_sent(committed: bool) -> None:  # noqa: FBT001
    world = TradingWorld()
    intent = world.decide()
    lost = CommitOutcomeUnknownError("the connection was lost while committing", subject="the books")
    world.at[Step.SIGNED] = lambda: world.points.once("committed" if committed else "committing", raising(lost))

    standing = world.executor().advance(intent)

    assert (world.chain.pool, world.exchange.posts(), len(world.attempts())) == ({}, 0, int(committed))
    assert not standing.settled


def test_persist_first_an_attempt_committed_without_an_answer_is_found_and_settled_by_the_next_ring() -> None:
    world = TradingWorld()
    intent = world.decide()
    lost = CommitOutcomeUnknownError("the connection was lost while committing", subject="the books")
    world.at[Step.SIGNED] = lambda: world.points.once("committed", raising(lost))
    world.executor().advance(intent)

    assert world.finish(intent).state is IntentState.FILLED
    assert [attempt.state for attempt in world.attempts()] == [AttemptState.FINALIZED]


def test_persist_first_a_refused_commit_sends_nothing() -> None:
    world = TradingWorld()
    intent = world.decide()
    world.at[Step.SIGNED] = lambda: world.points.once("committing", raising(StorageBusyError("disk full")))

    world.executor().advance(intent)

    assert (world.attempts(), world.chain.pool, world.exchange.posts()) == ((), {}, 0)
    assert "disk full" in (world.intent(intent).reason or "")


# ---- fence-insert


def halt(world: TradingWorld) -> None:
    world.mode(TradingMode.HALTED)


def halt_the_wallet(world: TradingWorld) -> None:
    with world.store.books.write() as books:
        wallet = books.wallets.get(OWNER)
        assert wallet is not None
        books.wallets.change(wallet, mode=TradingMode.HALTED)


def reduce_only(world: TradingWorld) -> None:
    world.mode(TradingMode.REDUCING)


def cancel(world: TradingWorld) -> None:
    world.executor().cancel(world.steps[0].intent_id)


def new_epoch(world: TradingWorld) -> None:
    with world.store.books.write() as books:
        books.system.change(books.system.get(), epoch=2)


def another_claims(world: TradingWorld) -> None:
    """The lease runs out, and somebody else takes the trade."""
    world.clock.jump(world.clock.now() + timedelta(minutes=1))
    with world.store.books.write() as books:
        intent = books.intents.lock(world.steps[0].intent_id)
        assert intent is not None
        books.intents.change(
            intent, at=world.clock.now(), lease_owner="two", lease_until=world.clock.now() + seconds(30)
        )


def deadline_passes(world: TradingWorld) -> None:
    world.clock.jump(world.clock.now() + timedelta(hours=1))


@pytest.mark.parametrize(
    "meanwhile", [halt, halt_the_wallet, reduce_only, cancel, new_epoch, another_claims, deadline_passes]
)
@pytest.mark.parametrize("step", [Step.CLAIMED, Step.VIEWED, Step.SIGNED])
def test_fence_insert_nothing_is_inserted_after_the_trade_was_stopped_or_taken(meanwhile: object, step: Step) -> None:
    world = TradingWorld()
    intent = world.decide()
    world.at[step] = lambda: meanwhile(world)  # type: ignore[operator]

    world.executor().advance(intent)

    assert (world.attempts(), world.chain.pool, world.held(USDC)) == ((), {}, 0)
    assert world.intent(intent).state in (IntentState.PENDING, IntentState.EXECUTING)


def test_fence_insert_an_intent_that_ended_meanwhile_gets_no_attempt() -> None:
    world = TradingWorld()
    intent = world.decide()

    def ended_by_another() -> None:
        cancel(world)
        world.clock.jump(world.clock.now() + timedelta(minutes=1))
        world.executor("two").advance(intent)

    world.at[Step.SIGNED] = ended_by_another
    standing = world.executor("one").advance(intent)

    assert (world.attempts(), world.chain.pool) == ((), {})
    assert (standing.intent.state, standing.settled) == (IntentState.CANCELLED, True)


def test_fence_insert_exits_go_on_while_only_reducing() -> None:
    world = TradingWorld()
    reduce_only(world)

    assert world.finish(world.decide(effect=ExposureEffect.EXIT)).state is IntentState.FILLED


def test_fence_insert_two_trades_cannot_reserve_one_balance() -> None:
    world = TradingWorld(usdc=30_000_000)
    world.signed("one")
    second = world.decide("two")

    world.executor().advance(second)

    assert world.attempts(second) == ()
    assert "other trades hold all but 5000000" in (world.intent(second).reason or "")
    assert world.intent(second).state is IntentState.PENDING


def test_fence_insert_a_halted_trade_waits_and_goes_on_when_resumed() -> None:
    world = TradingWorld()
    intent = world.decide()
    halt(world)
    standing = world.executor().advance(intent)
    assert (standing.intent.reason_code, standing.settled) == ("halted", False)
    assert "sniperforge resume" in (standing.intent.reason or "")

    world.mode(TradingMode.ACTIVE)

    assert world.finish(intent).state is IntentState.FILLED


# ---- one live


def test_one_live_attempt_however_many_workers_ring() -> None:
    world = TradingWorld()
    world.chain.holding = True
    intent = world.decide()
    for owner in ("one", "two", "three"):
        for _ in range(3):
            world.executor(owner).advance(intent)
            world.clock.jump(world.clock.now() + timedelta(minutes=1))

    assert sum(attempt.state in LIVE for attempt in world.attempts()) == 1
    assert len(world.chain.pool) == 1


def test_one_live_a_worker_woken_past_its_lease_inserts_nothing_beside_the_attempt_of_another() -> None:
    world = TradingWorld()
    world.chain.holding = True
    intent = world.decide()

    def another_finishes() -> None:
        world.clock.jump(world.clock.now() + timedelta(minutes=1))
        world.publish()
        world.executor("two").advance(intent)

    world.at[Step.SIMULATED] = another_finishes
    world.executor("one").advance(intent)

    assert len(world.attempts()) == 1
    assert len(world.chain.pool) == 1


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


def test_fence_end_a_deadline_that_passes_while_a_transaction_lives_does_not_end_the_trade() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.clock.jump(world.clock.now() + timedelta(days=2))

    world.executor().advance(attempt.intent_id)

    assert world.intent(attempt.intent_id).state is IntentState.EXECUTING


def test_fence_end_a_failed_preparation_ends_nothing_while_another_workers_attempt_lives() -> None:
    world = TradingWorld()
    world.chain.holding = True
    intent = world.decide()

    def another_signs() -> None:
        world.clock.jump(world.clock.now() + timedelta(minutes=1))
        world.publish()
        world.executor("two").advance(intent)
        world.exchange.fail("order", ExchangeRejectedError("Jupiter refuses the request"))

    world.points.once("order", another_signs)
    world.executor("one").advance(intent)

    assert world.intent(intent).state is IntentState.EXECUTING
    assert [attempt.state for attempt in world.attempts()] == [AttemptState.SENT]


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
    intent = world.intent(world.decide(deadline=seconds(1)))
    world.pass_time(seconds=2)
    attempt = an_attempt(intent)

    def inserted_past_the_fence() -> None:
        with world.store.books.write() as books:
            books.attempts.add(attempt)

    world.points.once("writing", inserted_past_the_fence)
    standing = world.executor().advance(intent.id)

    assert (standing.intent.state, standing.settled) == (IntentState.PENDING, False)


# ---- decide-once


def test_decide_once_the_same_key_is_the_same_trade() -> None:
    world = TradingWorld()
    first = world.executor().decide(world.request())

    assert world.executor("two").decide(world.request()) == first
    assert len(world.events("intent.decided")) == 1


def test_decide_once_the_same_key_with_other_terms_is_refused() -> None:
    world = TradingWorld()
    world.decide()

    with pytest.raises(ConflictError, match="decided with other terms"):
        world.decide(input_raw=26_000_000)


def test_decide_once_a_decision_whose_commit_is_unknown_is_decided_again_without_harm() -> None:
    world = TradingWorld()
    world.points.once("committed", raising(CommitOutcomeUnknownError("the connection was lost")))
    with pytest.raises(CommitOutcomeUnknownError):
        world.decide()

    assert world.finish(world.decide()).state is IntentState.FILLED
    assert len(world.chain.ours()) == 1


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


# ---- own-bound


@pytest.mark.parametrize(
    ("quoted", "above"),
    [(None, 0), (1, 0), (0, 0), (10_000_000, None)],
    ids=["the API says nothing", "the API says too little", "zero", "the API says more"],
)
def test_own_bound_is_the_larger_of_the_quoted_one_and_ours(quoted: int | None, above: int | None) -> None:
    world = TradingWorld()
    world.exchange.reshape = lambda order: replace(order, last_valid_block_height=quoted)
    attempt = world.signed()

    assert attempt.checked_block_height is not None
    assert attempt.bound_block_height == (quoted if above is None else attempt.checked_block_height + 150)


@pytest.mark.parametrize("quoted", [None, 1])
def test_own_bound_a_low_or_missing_number_of_the_api_kills_nothing(quoted: int | None) -> None:
    world = TradingWorld()
    world.exchange.reshape = lambda order: replace(order, last_valid_block_height=quoted)
    attempt = world.signed()
    world.chain.advance(120)

    world.executor().advance(attempt.intent_id)
    assert world.attempts()[0].state is AttemptState.SENT
    world.chain.include(attempt.signature)

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert len(world.attempts()) == 1


def with_blockhash(order: Order, blockhash: str) -> Order:
    return replace(order, transaction=order_bytes(order, blockhash, unit=1))


@pytest.mark.parametrize("age", ["too old", "too new"])
def test_own_bound_a_blockhash_that_our_node_does_not_call_valid_is_not_signed(age: str) -> None:
    world = TradingWorld()
    blockhash = old_blockhash(world.chain) if age == "too old" else str(Hash.hash(b"not known here yet"))
    world.exchange.reshape = lambda order: with_blockhash(order, blockhash)
    intent = world.decide()

    world.executor().advance(intent)

    assert (world.signer.signed, world.attempts()) == ([], ())
    assert "does not call the transaction's blockhash valid" in (world.intent(intent).reason or "")
    assert world.intent(intent).state is IntentState.PENDING


def test_own_bound_is_taken_at_the_height_where_the_blockhash_was_called_valid() -> None:
    world = TradingWorld()
    heights: list[int] = []
    world.points.once("signing_view", lambda: heights.append(world.chain.block_height(Commitment.CONFIRMED)))
    attempt = world.signed()

    assert attempt.checked_block_height == heights[0]


# ---- no-undying


def test_no_undying_an_order_that_begins_with_advance_nonce_is_not_signed() -> None:
    world = TradingWorld()
    params = AdvanceNonceAccountParams(nonce_pubkey=Pubkey.new_unique(), authorized_pubkey=KEY.pubkey())
    first: Instruction = advance_nonce_account(params)

    def undying(order: Order) -> Order:
        latest = world.chain.latest_blockhash().blockhash
        return replace(order, transaction=order_bytes(order, latest, unit=1, first=[first]))

    world.exchange.reshape = undying
    intent = world.decide()

    world.executor().advance(intent)

    assert (world.signer.signed, world.attempts()) == ([], ())
    assert "no-undying" in (world.intent(intent).reason or "")
    assert world.events("intent.set_back")[0].severity is Severity.WARNING


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
    world.points.once("pinned", lambda: world.chain.include(attempt.signature))

    world.executor().advance(attempt.intent_id)
    world.pass_bound()

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert len(world.attempts()) == 1


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


# ---- final-evidence


def test_final_evidence_a_fill_at_confirmed_is_provisional() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.CONFIRMED
    assert world.fill(attempt).state is FillState.PROVISIONAL
    assert {state for _, state in world.lines(attempt.signature).values()} == {FillState.PROVISIONAL}
    assert world.held(USDC) == 25_000_000


def test_final_evidence_an_error_at_confirmed_is_not_final() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.SENT
    assert (world.lines(attempt.signature), world.held(USDC)) == ({}, 25_000_000)


def test_final_evidence_an_error_that_a_fork_turns_into_a_swap_is_a_fill() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    world.chain.fork(5)
    world.chain.include(attempt.signature)

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert len(world.chain.ours()) == len(world.attempts()) == 1


def test_final_evidence_a_finalized_error_books_the_fee_and_lets_the_trade_go_on() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.holding = False

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert [one.state for one in world.attempts()] == [AttemptState.REVERTED, AttemptState.FINALIZED]
    assert list(world.lines(attempt.signature).values()) == [(-landed(world, attempt).fee_lamports, FillState.FINAL)]
    assert world.booked() == world.on_chain()


def test_final_evidence_the_fill_is_read_again_when_it_is_finalized() -> None:
    """Included again after a fork, at a later slot and beside other balances: what is final is what counts."""
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    before = world.fill(attempt)
    world.chain.fork(5)
    world.chain.advance(3)
    world.chain.land(
        world.chain.pool[attempt.signature],
        replace_out(world, attempt, 12_345),
    )
    world.finish(attempt.intent_id)
    after = world.fill(attempt)

    assert (after.slot, after.output_raw, after.state) == (before.slot + 5, before.output_raw - 12_345, FillState.FINAL)
    assert world.booked() == world.on_chain()
    assert position(world) == after.output_raw


def replace_out(world: TradingWorld, attempt: Attempt, less: int) -> Landing:
    landing = world.chain.effect_of(world.chain.pool[attempt.signature], None)
    tokens = tuple(replace(one, raw=one.raw - less) if one.mint == JUP else one for one in landing.post_tokens)
    return replace(landing, post_tokens=tokens)


def position(world: TradingWorld) -> int:
    with world.store.books.read() as books:
        held = books.positions.get(OWNER, JUP)
    return held.raw if held else 0


def test_final_evidence_a_fork_takes_back_fill_ledger_positions_and_intent() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    assert (world.intent(attempt.intent_id).state, position(world) > 0) == (IntentState.FILLED, True)

    world.chain.fork(5)
    world.chain.advance(6)
    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.SENT
    assert world.fill(attempt).state is FillState.REVERSED
    assert {state for _, state in world.lines(attempt.signature).values()} == {FillState.REVERSED}
    assert (world.intent(attempt.intent_id).state, position(world)) == (IntentState.EXECUTING, 0)
    assert world.booked(final_only=False) == world.on_chain()
    assert world.held(USDC) == 25_000_000


def test_final_evidence_what_a_fork_took_back_for_good_is_proven_dead_and_tried_again() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    world.chain.fork(5)
    world.chain.advance(6)
    world.executor().advance(attempt.intent_id)
    world.pass_bound()
    world.chain.holding = False

    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert [one.state for one in world.attempts()] == [AttemptState.EXPIRED, AttemptState.FINALIZED]
    assert world.booked() == world.on_chain()


def test_final_evidence_a_swap_that_a_fork_turned_into_an_error_keeps_its_fee_only() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.executor().advance(attempt.intent_id)
    world.chain.fork(5)
    world.chain.advance(6)
    world.executor().advance(attempt.intent_id)
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.finalize()
    world.executor().advance(attempt.intent_id)

    assert world.attempts()[0].state is AttemptState.REVERTED
    assert world.fill(attempt).state is FillState.REVERSED
    assert world.booked() == world.on_chain()


def test_final_evidence_an_expired_attempt_is_reopened_only_by_what_is_finalized() -> None:
    world = TradingWorld()
    attempt = world.signed()
    settlement(world).expired(attempt, "{}", watch_for=timedelta(days=1))
    world.chain.include(attempt.signature)
    world.chain.advance(2)

    world.executor().look_again(world.attempts()[0])
    assert not settlement(world).confirmed(attempt, landed(world, attempt))
    assert world.attempts()[0].state is AttemptState.EXPIRED

    world.chain.finalize()
    world.executor().look_again(world.attempts()[0])
    assert world.attempts()[0].state is AttemptState.FINALIZED


@pytest.mark.parametrize("ended", [None, IntentState.CANCELLED], ids=["waiting to be tried again", "cancelled"])
def test_final_evidence_a_landing_after_its_death_is_booked_loudly_and_halts(ended: IntentState | None) -> None:
    world = TradingWorld()
    attempt = world.signed()
    settlement(world).expired(attempt, "{}", watch_for=timedelta(days=1))
    if ended:
        world.executor().cancel(attempt.intent_id)
        world.clock.jump(world.clock.now() + timedelta(minutes=5))
        assert world.executor().advance(attempt.intent_id).intent.state is ended
    world.chain.include(attempt.signature)
    world.chain.finalize()

    world.executor().look_again(world.attempts()[0])

    assert world.intent(attempt.intent_id).state is IntentState.FILLED
    assert world.fill(attempt).state is FillState.FINAL
    assert world.events("attempt.undead")[0].severity is Severity.CRITICAL
    with world.store.books.read() as books:
        assert books.system.get().mode is TradingMode.HALTED
    assert world.booked() == world.on_chain()


def test_final_evidence_a_failed_landing_after_its_death_has_its_fee_booked_and_halts_too() -> None:
    world = TradingWorld()
    attempt = world.signed()
    settlement(world).expired(attempt, "{}", watch_for=timedelta(days=1))
    world.chain.include(attempt.signature, err=TOO_LITTLE)
    world.chain.finalize()
    for _ in range(2):
        world.executor().look_again(world.attempts()[0])

    assert world.booked() == world.on_chain()
    assert len(world.events("attempt.undead")) == 1
    with world.store.books.read() as books:
        assert books.system.get().mode is TradingMode.HALTED


# ---- book-once


def test_book_once_every_booking_is_done_by_the_first_who_sees_it() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.finalize()
    seen, books = landed(world, attempt), settlement(world)

    assert [books.confirmed(attempt, seen), books.confirmed(attempt, seen)] == [True, False]
    assert [books.finalized(attempt, seen), books.finalized(attempt, seen)] == [True, False]
    assert not books.reverted(attempt, seen)
    assert not books.taken_back(attempt)
    assert not books.expired(attempt, "{}", watch_for=timedelta(days=1))
    assert len(world.events("attempt.finalized")) == 1
    assert world.booked() == world.on_chain()


def test_book_once_two_workers_that_see_one_landing_book_it_once() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.chain.advance(2)
    world.at[Step.SEEN] = lambda: world.executor("two").advance(attempt.intent_id)

    world.executor("one").advance(attempt.intent_id)

    assert len(world.events("attempt.confirmed")) == 1
    assert world.finish(attempt.intent_id).state is IntentState.FILLED
    assert world.booked() == world.on_chain()


# ---- older books


def test_older_books_an_intent_of_an_older_epoch_gets_no_new_transaction() -> None:
    world = TradingWorld()
    intent = world.decide()
    new_epoch(world)

    for _ in range(3):
        world.executor().advance(intent)
        world.pass_time(seconds=1)

    assert world.attempts() == ()
    assert world.chain.pool == {}


def test_same_bytes_are_all_that_is_ever_sent_again() -> None:
    world = TradingWorld()
    attempt = world.signed()
    for _ in range(6):
        world.pass_time(seconds=3)
        world.executor().advance(attempt.intent_id)

    posted = {call.what[0] for call in world.exchange.calls if call.method == "execute"}  # type: ignore[index]
    assert posted | set(world.chain.sent) == {attempt.signed_transaction}
    assert len(world.chain.sent) == 6


def test_a_reservation_ends_by_settlement_and_not_by_sending() -> None:
    world = TradingWorld()
    attempt = world.signed()
    assert (attempt.state, world.held(USDC)) == (AttemptState.SENT, 25_000_000)
    world.chain.include(attempt.signature)
    world.finish(attempt.intent_id)

    assert world.held(USDC) == 0


def test_the_fill_is_what_the_chain_did_and_not_what_was_quoted() -> None:
    world = TradingWorld()
    attempt = world.signed()
    world.chain.include(attempt.signature)
    world.finish(attempt.intent_id)
    fill, held = world.fill(attempt), world.chain.holdings()

    assert (fill.input_raw, fill.output_raw) == (25_000_000, held.tokens[JUP])
    assert fill.output_raw != attempt.quoted_out_raw
    assert fill.fee_lamports == world.chain.opening.lamports - held.lamports


def test_a_database_that_cannot_be_written_stops_a_trade_and_loses_nothing() -> None:
    world = TradingWorld()
    intent = world.decide()
    busy = StorageBusyError("the disk is full", subject="the books")
    world.points.always("writing", raising(busy))

    with pytest.raises(RetryableError):
        world.executor().advance(intent)
    world.points.on = lambda _: None

    assert world.finish(intent).state is IntentState.FILLED
    assert len(world.chain.ours()) == 1
