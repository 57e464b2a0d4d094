"""Trades on paper: the same decisions, limits and books, filled by live quotes, and nothing that leaves the program."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from sniperforge.domain.intent import AttemptState, ExposureEffect, FillState, IntentState, SendPath
from sniperforge.domain.risk import RiskLimits
from sniperforge.errors import (
    CommitOutcomeUnknownError,
    InvalidInputError,
    NodeUnavailableError,
    RateLimitedError,
    RiskDeniedError,
    SniperForgeError,
    StorageBusyError,
    TokenError,
)
from sniperforge.ports.chain import PriorityFeeSample
from sniperforge.ports.exchange import Lane, OrderRequest
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerKind, TradingMode
from sniperforge.trading.paper_costs import LEAST_PRIORITY_LAMPORTS, TOKEN_ACCOUNT_BYTES
from sniperforge.trading.progress import Step
from sniperforge.trading.protections import Protections
from tests.fakes.paper_world import PaperWorld
from tests.fakes.records import an_attempt, an_intent
from tests.fakes.trading_orders import JUP, OWNER, SOL, USDC
from tests.fakes.trading_world import Killed, TradingWorld, raising

FEE = 5_000 + LEAST_PRIORITY_LAMPORTS
KEEP = (128 + 0) * 5_080
RENT = (128 + TOKEN_ACCOUNT_BYTES) * 5_080
IN = 25_000_000


def quoted(world: PaperWorld) -> int:
    (attempt,) = world.attempts()
    return attempt.quoted_out_raw


# ---- what a fill is


def test_a_trade_is_filled_by_the_quote_at_once_and_for_good() -> None:
    world = PaperWorld()
    intent = world.trade()

    (attempt,) = world.attempts()
    fill = world.fill(attempt)
    assert (intent.state, attempt.state, fill.state) == (IntentState.FILLED, AttemptState.FINALIZED, FillState.FINAL)
    assert (fill.input_raw, fill.output_raw) == (IN, attempt.quoted_out_raw)
    assert (fill.fee_lamports, fill.rent_paid_lamports, fill.tip_lamports) == (FEE, RENT, 0)
    assert fill.finalized_at == attempt.finalized_at == world.clock.now()


def test_everything_on_paper_is_marked_so_that_it_is_never_taken_for_real() -> None:
    world = PaperWorld()
    intent = world.trade()

    (attempt,) = world.attempts()
    assert intent.path is attempt.path is SendPath.PAPER
    assert attempt.signature == f"paper-{attempt.id}"
    assert (attempt.signed_transaction, attempt.sent_count, attempt.bound_block_height) == (b"", 0, None)


def test_the_ledger_of_a_buy_says_what_it_gave_got_and_cost() -> None:
    world = PaperWorld()
    world.trade()

    (attempt,) = world.attempts()
    assert world.lines(attempt.signature) == {
        (Asset(USDC), LedgerKind.TRADE_OUT): (-IN, FillState.FINAL),
        (Asset(JUP), LedgerKind.TRADE_IN): (quoted(world), FillState.FINAL),
        (NATIVE_SOL, LedgerKind.FEE): (-FEE, FillState.FINAL),
        (NATIVE_SOL, LedgerKind.RENT_PAID): (-RENT, FillState.FINAL),
    }


@pytest.mark.parametrize(("source", "target", "raw"), [(USDC, SOL, IN), (SOL, USDC, 10**9)])
def test_sol_on_paper_is_native_and_needs_no_account_of_its_own(source: str, target: str, raw: int) -> None:
    world = PaperWorld()
    before = world.balance(SOL)
    world.trade(input_mint=source, output_mint=target, input_raw=raw)

    (attempt,) = world.attempts()
    moved = quoted(world) if target == SOL else -raw
    assert world.balance(SOL) == before + moved - FEE
    assert (NATIVE_SOL, LedgerKind.RENT_PAID) not in world.lines(attempt.signature)


def test_positions_follow_the_fill_with_its_costs() -> None:
    world = PaperWorld()
    world.trade()

    with world.store.books.read() as books:
        position = books.positions.get(OWNER, JUP)
    assert position is not None
    assert position.raw == quoted(world)
    assert position.cost_usd == Decimal(25) + FEE * Decimal("180.25").scaleb(-9)


def test_an_account_is_paid_for_once() -> None:
    world = PaperWorld()
    world.trade("one")
    world.pass_time(seconds=1)
    world.trade("two")

    first, second = (world.fill(attempt) for attempt in world.attempts())
    assert (first.rent_paid_lamports, second.rent_paid_lamports) == (RENT, 0)


@pytest.mark.parametrize(("micro_lamports", "fee"), [(10_000, FEE), (100_000, 25_000), (10**9, 1_000_000)])
def test_the_priority_fee_is_what_our_node_calls_usual_within_bounds(micro_lamports: int, fee: int) -> None:
    world = PaperWorld()
    world.chain.priority_fees = [PriorityFeeSample(1, 0), PriorityFeeSample(2, micro_lamports)]
    world.trade()

    (attempt,) = world.attempts()
    assert world.fill(attempt).fee_lamports == fee


# ---- what is asked, and what is not


def test_nothing_is_built_signed_or_sent() -> None:
    world = PaperWorld()
    for number in range(5):
        world.trade(str(number))

    asked = {call.method for call in world.exchange.calls}
    orders = [call.what for call in world.exchange.calls if call.method == "order"]
    assert asked == {"together", "prices", "order"}
    assert all(isinstance(order, OrderRequest) and order.taker is None for order in orders)
    assert not world.chain.pool
    assert not world.signer.signed
    assert {"execute", "send", "simulate", "signing_view"}.isdisjoint(world.points.seen)


def test_a_decision_and_a_fill_are_one_commit_each() -> None:
    world = PaperWorld()
    world.store.commits = 0
    world.trade()

    assert world.store.commits == 2


def test_an_exit_goes_by_the_lane_of_exits() -> None:
    world = PaperWorld()
    world.trade(effect=ExposureEffect.EXIT)

    assert {call.lane for call in world.exchange.calls} == {Lane.EXIT}


def test_each_step_is_told() -> None:
    world = PaperWorld()
    world.trade()

    assert world.reached() == [Step.DECIDED, Step.PRICED, Step.QUOTED, Step.BOOKED, Step.FINALIZED]


# ---- the same limits


def test_a_quote_below_the_limit_is_not_taken() -> None:
    world = PaperWorld()
    intent = world.decide(min_out_per_input=Decimal(3))
    world.paper().advance(intent)

    assert not world.attempts()
    assert "the limit is" in (world.intent(intent).reason or "")
    ended = world.finish_as(world.paper(), intent)
    assert ended.state is IntentState.FAILED
    assert "deadline passed (last: quote" in (ended.reason or "")


def test_an_entry_whose_costs_are_beyond_their_cap_is_not_filled() -> None:
    world = PaperWorld()
    intent = world.decide(max_cost_bps=1)
    world.paper().advance(intent)

    assert not world.attempts()
    assert "all costs together" in (world.intent(intent).reason or "")


def test_what_may_be_spent_in_a_trade_and_in_a_day_holds_on_paper_too() -> None:
    world = PaperWorld()
    world.policy = replace(
        world.policy, protections=Protections(RiskLimits(spend_per_trade_usd=30, spend_per_day_usd=60))
    )

    assert world.trade("large", input_raw=31_000_000).state is IntentState.FAILED
    ends = [world.trade(name).state for name in ("one", "two", "three")]
    assert ends == [IntentState.FILLED, IntentState.FILLED, IntentState.FAILED]
    assert world.trade("way-out", effect=ExposureEffect.EXIT).state is IntentState.FILLED


def test_what_an_exit_on_paper_lost_denies_entries_when_they_are_decided_and_when_they_would_fill() -> None:
    world = PaperWorld()
    world.policy = replace(world.policy, protections=Protections(RiskLimits(loss_per_day_usd=2)))
    world.trade("one")
    undecided = world.decide("before-the-loss")
    world.usd[JUP] = world.exchange.usd[JUP] = Decimal("0.45")
    world.publish()
    sold = world.trade("out", effect=ExposureEffect.EXIT, input_mint=JUP, output_mint=USDC, input_raw=40_000_000)
    assert sold.state is IntentState.FILLED

    with pytest.raises(RiskDeniedError, match="max_loss_per_day_usd: 2"):
        world.decide("after-the-loss")
    refused = world.paper().run(undecided)
    assert (refused.state, refused.reason_code) == (IntentState.FAILED, "max_loss_per_day_usd")
    assert world.attempts(undecided) == ()


def test_without_a_price_nothing_is_filled() -> None:
    world = PaperWorld()
    intent = world.decide()
    price = world.exchange.usd.pop(JUP)
    world.paper().advance(intent)
    assert not world.attempts()

    world.exchange.usd[JUP] = price
    assert world.paper().run(intent).state is IntentState.FILLED


def test_a_price_that_contradicts_the_oracle_denies_an_entry_loudly() -> None:
    world = PaperWorld()
    intent = world.decide()
    world.oracle.publish(world.chain, JUP, Decimal("0.6"))
    world.paper().advance(intent)

    assert not world.attempts()
    assert [event.severity.value for event in world.events("price.diverged")] == ["warning"]


@pytest.mark.parametrize(
    ("mode", "effect", "fills"),
    [
        (TradingMode.HALTED, ExposureEffect.ENTRY, False),
        (TradingMode.HALTED, ExposureEffect.EXIT, False),
        (TradingMode.REDUCING, ExposureEffect.ENTRY, False),
        (TradingMode.REDUCING, ExposureEffect.EXIT, True),
    ],
)
def test_a_halt_holds_on_paper_too(mode: TradingMode, effect: ExposureEffect, *, fills: bool) -> None:
    world = PaperWorld()
    intent = world.decide(effect=effect)
    world.mode(mode)
    standing = world.paper().advance(intent)

    assert bool(world.attempts()) is fills
    if not fills:
        assert standing.wait > timedelta(0)
        assert "resume" in (standing.intent.reason or "")
        world.mode(TradingMode.ACTIVE)
        assert world.paper().run(intent).state is IntentState.FILLED


def test_a_halt_while_it_is_quoted_keeps_it_from_being_filled() -> None:
    world = PaperWorld()
    intent = world.decide()
    world.points.once("order answered", lambda: world.mode(TradingMode.HALTED))
    world.paper().advance(intent)

    assert not world.attempts()


def test_a_new_epoch_while_it_is_quoted_keeps_it_from_being_filled() -> None:
    world = PaperWorld()
    intent = world.decide()

    def restored() -> None:
        with world.store.books.write() as books:
            books.system.change(books.system.get(), epoch=2)

    world.points.once("order answered", restored)
    world.paper().advance(intent)

    assert not world.attempts()


def test_a_deadline_that_passes_while_it_is_quoted_keeps_it_from_being_filled() -> None:
    world = PaperWorld()
    intent = world.decide(deadline=timedelta(seconds=10))
    world.points.once("order answered", lambda: world.clock.advance(timedelta(seconds=11)))
    world.paper().advance(intent)
    assert not world.attempts()

    assert world.paper().run(intent).state is IntentState.FAILED


def test_a_cancelled_trade_is_never_filled() -> None:
    world = PaperWorld()
    intent = world.decide()
    world.paper().cancel(intent)
    world.paper().cancel(intent)

    assert world.paper().run(intent).state is IntentState.CANCELLED
    assert not world.attempts()
    assert len(world.events("intent.cancel_requested")) == 1


def test_a_cancellation_while_it_is_quoted_is_heeded() -> None:
    world = PaperWorld()
    intent = world.decide()
    world.points.once("order answered", lambda: world.paper().cancel(intent))
    world.paper().advance(intent)

    assert world.paper().run(intent).state is IntentState.CANCELLED
    assert not world.attempts()


def test_a_dangerous_token_is_refused_before_it_is_decided() -> None:
    world = PaperWorld()
    world.tokens.dangerous.add(JUP)
    with pytest.raises(TokenError):
        world.decide()


def test_what_cannot_be_a_trade_is_refused_before_it_is_decided() -> None:
    with pytest.raises(InvalidInputError):
        PaperWorld().decide(output_mint=USDC)


# ---- what there is to spend


def test_only_what_was_given_on_paper_can_be_spent_whatever_the_chain_holds() -> None:
    world = PaperWorld(usdc=IN - 1)
    assert world.chain.holdings().tokens[USDC] > IN
    ended = world.trade()

    assert ended.state is IntentState.FAILED
    assert f"{IN} base units are needed, the wallet has {IN - 1} on paper" in (ended.reason or "")
    assert world.balance(USDC) == IN - 1


def test_two_trades_cannot_spend_one_balance() -> None:
    world = PaperWorld(usdc=IN + 1)

    assert [world.trade(name).state for name in ("one", "two")] == [IntentState.FILLED, IntentState.FAILED]
    assert world.balance(USDC) == 1


@pytest.mark.parametrize(("lamports", "state"), [(KEEP + FEE + RENT, "filled"), (KEEP + FEE + RENT - 1, "failed")])
def test_fee_rent_and_what_must_stay_have_to_be_there_in_sol(lamports: int, state: str) -> None:
    world = PaperWorld(lamports=lamports)

    assert world.trade().state.value == state


def test_all_of_a_token_is_all_that_is_there_on_paper() -> None:
    world = PaperWorld()
    world.trade(input_raw=None)

    assert world.balance(USDC) == 0
    assert world.attempts()[0].input_amount_raw == 500_000_000


def test_all_of_the_sol_leaves_what_the_trade_itself_needs() -> None:
    world = PaperWorld()
    world.trade(input_mint=SOL, output_mint=USDC, input_raw=None)

    assert world.balance(SOL) == KEEP + RENT  # the passing wSOL account gives its rent back


def test_all_of_nothing_is_refused() -> None:
    world = PaperWorld(usdc=0)
    ended = world.trade(input_raw=None)

    assert ended.state is IntentState.FAILED
    assert "paper-fund" in (ended.reason or "")


# ---- twice, late, in the middle


def places() -> list[str]:
    world = PaperWorld()
    intent = world.decide()
    world.points.seen.clear()
    world.paper().run(intent)
    return list(world.points.seen)


PLACES = [pytest.param(nth, id=f"{nth} {place}") for nth, place in enumerate(places(), start=1)]


def assert_filled_once(world: PaperWorld) -> None:
    (attempt,) = world.attempts()
    assert world.intent(attempt.intent_id).state is IntentState.FILLED
    assert world.balance(USDC) == 500_000_000 - IN
    assert world.balance(JUP) == attempt.quoted_out_raw


@pytest.mark.parametrize("nth", PLACES)
def test_a_process_killed_at_any_place_is_carried_on_by_the_next_one(nth: int) -> None:
    world = PaperWorld()
    intent = world.decide()
    world.points.once("*", raising(Killed()), nth=nth)
    with pytest.raises(Killed):
        world.paper().run(intent)

    world.paper().run(intent)

    assert_filled_once(world)


@pytest.mark.parametrize("nth", PLACES)
def test_two_workers_at_any_place_fill_it_once(nth: int) -> None:
    world = PaperWorld()
    intent = world.decide()
    left, overtaken = nth, False

    def overtake(place: str) -> None:
        nonlocal left, overtaken
        left -= 1
        if left > 0 or overtaken or place == "committing":
            return
        overtaken = True
        world.paper().advance(intent)

    world.points.on = overtake
    world.paper().advance(intent)
    world.paper().run(intent)

    assert_filled_once(world)


@pytest.mark.parametrize("nth", PLACES)
@pytest.mark.parametrize(
    "error",
    [
        StorageBusyError("the disk is full", subject="the books"),
        NodeUnavailableError("the node is down"),
        CommitOutcomeUnknownError("the connection was lost while committing"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_fails_at_any_place_it_is_filled_once(nth: int, error: SniperForgeError) -> None:
    world = PaperWorld()
    intent = world.decide()
    world.points.once("*", raising(error), nth=nth)

    ended = world.paper().run(intent)

    assert ended.state is IntentState.FILLED
    assert_filled_once(world)


def test_the_same_key_is_the_same_trade() -> None:
    world = PaperWorld()
    assert world.trade().id == world.trade().id
    assert_filled_once(world)


def test_a_bell_after_the_end_changes_nothing() -> None:
    world = PaperWorld()
    intent = world.trade()
    before = world.store.commits

    assert world.paper().advance(intent.id).settled
    assert world.store.commits == before
    assert_filled_once(world)


def test_a_budget_that_is_used_up_is_waited_for_as_long_as_it_says() -> None:
    world = PaperWorld()
    intent = world.decide()
    world.exchange.fail(
        "order", RateLimitedError("used up", subject="jupiter", retry_at=world.clock.now() + timedelta(seconds=30))
    )
    standing = world.paper().advance(intent)

    assert standing.wait == timedelta(seconds=30)
    assert world.paper().run(intent).state is IntentState.FILLED


def test_a_failure_beside_a_change_of_somebody_else_leaves_that_change_alone() -> None:
    world = PaperWorld()
    intent = world.decide()

    def cancelled_and_down() -> None:
        world.paper().cancel(intent)
        raise NodeUnavailableError("the node is down")

    world.points.once("order answered", cancelled_and_down)
    standing = world.paper().advance(intent)

    assert standing.intent.reason is None
    assert world.paper().run(intent).state is IntentState.CANCELLED


def test_a_trade_that_nobody_decided_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no such trade"):
        PaperWorld().paper().advance(an_intent().id)


# ---- apart from the chain


def test_a_trade_decided_for_the_chain_is_not_filled_on_paper() -> None:
    world = PaperWorld()
    live = world.executor(path=SendPath.MANAGED).decide(world.request()).id
    with pytest.raises(InvalidInputError, match="decided for the chain"):
        world.paper().advance(live)

    assert world.intent(live).state is IntentState.PENDING


def test_a_trade_decided_on_paper_is_not_signed_by_the_executor_of_the_chain() -> None:
    world = TradingWorld()
    intent = world.executor(path=SendPath.PAPER).decide(world.request()).id
    ended = world.finish(intent)

    assert ended.state is IntentState.FAILED
    assert "path paper, which is never signed" in (ended.reason or "")
    assert not world.signer.signed
    assert not world.exchange.calls


def test_on_paper_there_are_no_dead_to_ask_about() -> None:
    world = PaperWorld()
    asked = list(world.points.seen)
    world.paper().look_again(an_attempt(an_intent()))

    assert world.points.seen == asked
