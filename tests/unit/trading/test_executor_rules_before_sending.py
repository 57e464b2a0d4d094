"""The rules that hold until a transaction is sent, each by its name: take one out and its tests fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import AdvanceNonceAccountParams, advance_nonce_account

from sniperforge.domain.intent import AttemptState, ExposureEffect, IntentState
from sniperforge.errors import (
    CommitOutcomeUnknownError,
    ConflictError,
    StorageBusyError,
)
from sniperforge.ports.chain import Commitment
from sniperforge.ports.exchange import Order
from sniperforge.ports.records import Severity, TradingMode
from sniperforge.trading.progress import Step
from tests.fakes.trading_market import old_blockhash
from tests.fakes.trading_orders import KEY, OWNER, USDC, is_unsigned, order_bytes
from tests.fakes.trading_world import Killed, TradingWorld, raising

LIVE = (AttemptState.SIGNED, AttemptState.SENT, AttemptState.CONFIRMED)


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
            intent, at=world.clock.now(), lease_owner="two", lease_until=world.clock.now() + timedelta(seconds=30)
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


def test_fence_insert_a_trade_that_waits_for_a_resume_belongs_to_whoever_looks_next() -> None:
    world = TradingWorld()
    intent = world.decide()
    world.at[Step.CLAIMED] = lambda: halt(world)
    world.executor("one").advance(intent)
    world.executor("one").advance(intent)
    assert (world.intent(intent).state, world.intent(intent).lease_owner) == (IntentState.PENDING, None)

    world.mode(TradingMode.ACTIVE)
    world.clock.jump(world.clock.now() + world.policy.retry_after)
    world.executor("two").advance(intent)

    assert len(world.attempts()) == 1


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
