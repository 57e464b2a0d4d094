"""What cannot be traded is refused or patiently retried, with the reason in the books; nothing lost or twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import ExposureEffect, IntentState
from sniperforge.domain.money import MAX_RAW, Address
from sniperforge.errors import (
    AuthenticationError,
    ExchangeRejectedError,
    ExchangeUnavailableError,
    InvalidInputError,
    NoRouteError,
    ProtocolError,
    RateLimitedError,
    TokenError,
)
from sniperforge.ports.records import Event, Severity
from sniperforge.trading.progress import Step
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_orders import JUP, SOL, USDC
from tests.fakes.trading_world import TradingWorld


def nothing_was_signed(world: TradingWorld) -> bool:
    return not world.attempts() and not world.chain.pool and not world.held(USDC) and not world.held(SOL)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input_raw": 0}, "zero buys nothing"),
        ({"input_raw": -1}, "outside"),
        ({"input_raw": MAX_RAW + 1}, "outside"),
        ({"input_raw": 1.5}, "integer of base units"),
        ({"input_raw": True}, "integer of base units"),
        ({"output_mint": USDC}, "both are the same"),
        ({"max_slippage_bps": 0}, "max_slippage_bps: 0"),
        ({"max_slippage_bps": 10_001}, "max_slippage_bps: 10001"),
        ({"max_cost_bps": 0}, "max_cost_bps: 0 is not between"),
        ({"min_out_per_input": Decimal(0)}, "is not above zero"),
        ({"deadline": timedelta(0)}, "passed already"),
    ],
)
def test_what_can_be_no_trade_is_refused_before_it_is_written(changes: dict[str, Any], told: str) -> None:
    world = TradingWorld()

    with pytest.raises(InvalidInputError, match=told):
        world.decide(**changes)

    with world.store.books.read() as books:
        assert books.intents.recent(10) == ()


def test_every_problem_is_told_at_once() -> None:
    world = TradingWorld()
    with pytest.raises(InvalidInputError) as caught:
        world.decide(input_raw=0, output_mint=USDC, deadline=timedelta(seconds=-1))

    assert len(caught.value.problems) == 3


def test_a_dangerous_token_is_refused() -> None:
    world = TradingWorld()
    world.tokens.dangerous.add(JUP)

    with pytest.raises(TokenError, match="can be stopped"):
        world.decide()
    with pytest.raises(TokenError, match="can be stopped"):
        world.decide(effect=ExposureEffect.EXIT)


def test_a_token_that_turned_dangerous_can_be_got_rid_of() -> None:
    world = TradingWorld()
    world.tokens.dangerous.add(USDC)

    with pytest.raises(TokenError, match="can be stopped"):
        world.decide("in")
    assert world.finish(world.decide("out", effect=ExposureEffect.EXIT)).state is IntentState.FILLED


def test_a_wallet_that_the_books_do_not_know_cannot_trade() -> None:
    world = TradingWorld()

    with pytest.raises(InvalidInputError, match="the books do not know this wallet"):
        world.decide(wallet=Address("9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"))


@pytest.mark.parametrize("method", ["advance", "cancel"])
def test_a_trade_that_does_not_exist_is_told(method: str) -> None:
    executor = TradingWorld().executor()

    with pytest.raises(InvalidInputError, match="there is no such trade"):
        getattr(executor, method)(IntentId("nobody"))


def test_the_caps_of_a_request_can_only_tighten_those_of_the_settings() -> None:
    world = TradingWorld()
    executor = world.executor()
    plain = executor.decide(world.request("plain"))
    tight = executor.decide(world.request("tight", max_slippage_bps=20, deadline=timedelta(seconds=5)))
    wide = executor.decide(world.request("wide", max_slippage_bps=5_000, deadline=timedelta(days=9)))
    exits = executor.decide(world.request("exit", effect=ExposureEffect.EXIT))

    assert [one.max_slippage_bps for one in (plain, tight, wide, exits)] == [100, 20, 100, 300]
    assert tight.deadline_at - tight.created_at == timedelta(seconds=5)
    assert wide.deadline_at == plain.deadline_at


# ---- what ends a trade at once


def without_funds(world: TradingWorld) -> None:
    world.chain.opening = replace(world.chain.opening, tokens={USDC: 5, JUP: 0})


def without_sol(world: TradingWorld) -> None:
    world.chain.opening = replace(world.chain.opening, lamports=1_000_000)


def refused(world: TradingWorld) -> None:
    world.exchange.fail("order", ExchangeRejectedError("Jupiter refuses the request", fix="The token is not tradable"))


def bad_key(world: TradingWorld) -> None:
    world.exchange.fail("order", AuthenticationError("Jupiter refuses the key", fix="Set another one"))


def one_node_only(world: TradingWorld) -> None:
    world.policy = replace(world.policy, has_second_node=False, large_trade_usd=25)


@pytest.mark.parametrize(
    ("cause", "told", "fix"),
    [
        (without_funds, "Insufficient funds", "Fund the wallet"),
        (without_sol, "SOL are needed with fee, tip and rent, the wallet has", "Fund the wallet, or trade less"),
        (refused, "Jupiter refuses the request", "The token is not tradable"),
        (bad_key, "Jupiter refuses the key", "Set another one"),
        (one_node_only, "two nodes must agree", "Add a second node to rpc_urls"),
    ],
)
def test_what_waiting_does_not_mend_ends_the_trade_with_reason_and_next_action(
    cause: Callable[[TradingWorld], None], told: str, fix: str
) -> None:
    world = TradingWorld()
    cause(world)
    intent = world.decide()

    standing = world.executor().advance(intent)

    assert (standing.intent.state, standing.settled) == (IntentState.FAILED, True)
    assert told in (standing.intent.reason or "")
    assert fix in (standing.intent.reason or "")
    assert world.events("intent.failed")[0].message == standing.intent.reason
    assert world.reached()[-1] is Step.ENDED
    assert nothing_was_signed(world)
    assert world.executor().advance(intent).settled


def test_all_of_a_token_that_is_not_there_ends_the_trade() -> None:
    world = TradingWorld(usdc=0)

    standing = world.executor().advance(world.decide(input_raw=None))

    assert standing.intent.state is IntentState.FAILED
    assert "nothing of it is free to trade" in (standing.intent.reason or "")


# ---- what is waited for


def no_price(world: TradingWorld) -> None:
    del world.exchange.usd[JUP]


def no_oracle_price(world: TradingWorld) -> None:
    world.oracle.publish(world.chain, JUP, Decimal("0.5"), published=world.clock.now() - timedelta(hours=1))


def price_jumped(world: TradingWorld) -> None:
    """Both sources at once: nothing that differs between them tells it."""
    world.finish(world.decide("before"))
    world.usd[JUP] = world.exchange.usd[JUP] = Decimal("1.5")
    world.publish()


def prices_diverge(world: TradingWorld) -> None:
    world.exchange.usd[JUP] = Decimal("0.52")


def no_route(world: TradingWorld) -> None:
    world.exchange.fail("order", NoRouteError("Jupiter finds no route"))


def jupiter_away(world: TradingWorld) -> None:
    world.exchange.fail("order", ExchangeUnavailableError("Jupiter timed out"))


def unbuildable(world: TradingWorld) -> None:
    world.exchange.reshape = lambda order: replace(order, transaction=None, error_code=3, error_message="No maker")


def nameless(world: TradingWorld) -> None:
    world.exchange.reshape = lambda order: replace(order, transaction=None, error_code=3, error_message=None)


def bad_quote(world: TradingWorld) -> None:
    world.exchange.reshape = lambda order: replace(order, out_raw=order.out_raw * 9 // 10)


def no_sense(world: TradingWorld) -> None:
    world.exchange.fail("order", ProtocolError("the answer has no requestId"))


def no_transaction(world: TradingWorld) -> None:
    world.exchange.reshape = lambda order: replace(order, transaction=b"garbage")


def dear(world: TradingWorld) -> None:
    world.policy = replace(world.policy, max_fee_lamports=5_000)


def locked(world: TradingWorld) -> None:
    world.signer.locked = True


def set_backs(world: TradingWorld) -> list[Event]:
    """What is told of a trade that goes on later."""
    return [*world.events("intent.set_back"), *world.events("price.diverged")]


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (no_price, "Jupiter has no price for it"),
        (no_oracle_price, "it is not of now"),
        (price_jumped, "jumped from 0.5 to 1.5 USD"),
        (prices_diverge, "bps apart"),
        (no_route, "finds no route"),
        (jupiter_away, "timed out"),
        (unbuildable, "No maker"),
        (nameless, "code 3"),
        (bad_quote, "the limit is"),
        (no_sense, "no requestId"),
        (no_transaction, "no transaction"),
        (dear, "fee: it would cost"),
        (locked, "the wallet is locked"),
    ],
)
def test_what_may_mend_itself_is_waited_for_with_the_reason_in_the_books(
    cause: Callable[[TradingWorld], None], told: str
) -> None:
    world = TradingWorld()
    cause(world)
    signed = len(world.attempts())
    intent = world.decide()

    standing = world.executor().advance(intent)

    assert (standing.intent.state, standing.settled) == (IntentState.PENDING, False)
    assert standing.wait == world.policy.retry_after
    assert told in (standing.intent.reason or "")
    assert told in set_backs(world)[0].message
    assert world.reached()[-1] is Step.REQUEUED
    assert (world.attempts(intent), len(world.attempts())) == ((), signed)


@pytest.mark.parametrize("cause", [no_route, jupiter_away, no_sense], ids=lambda cause: cause.__name__)
def test_what_mended_itself_is_traded_once(cause: Callable[[TradingWorld], None]) -> None:
    world = TradingWorld()
    cause(world)
    intent = world.decide()

    assert world.finish(intent).state is IntentState.FILLED
    assert world.intent(intent).reason is None
    assert len(world.chain.ours()) == 1


def test_a_price_that_jumped_and_stays_is_believed_at_the_next_look() -> None:
    world = TradingWorld()
    price_jumped(world)

    assert world.finish(world.decide("after")).state is IntentState.FILLED


@pytest.mark.parametrize("cause", [prices_diverge, dear], ids=lambda cause: cause.__name__)
def test_diverging_prices_and_refusals_of_the_guard_are_told_as_warnings(cause: Callable[[TradingWorld], None]) -> None:
    world = TradingWorld()
    cause(world)
    world.executor().advance(world.decide())

    assert set_backs(world)[0].severity is Severity.WARNING


def test_a_used_up_request_budget_is_waited_for_as_long_as_it_says() -> None:
    world = TradingWorld()
    later = world.clock.now() + timedelta(seconds=47)
    world.exchange.fail("order", RateLimitedError("the budget is used up", retry_at=later))
    intent = world.decide()

    assert world.executor().advance(intent).wait == timedelta(seconds=47)
    assert world.intent(intent).next_attempt_at == later


def test_a_trade_is_not_looked_at_before_its_pause_is_over() -> None:
    world = TradingWorld()
    no_route(world)
    intent = world.decide()
    world.executor().advance(intent)
    asked = len(world.exchange.calls)

    assert world.executor().advance(intent).wait == world.policy.retry_after
    assert len(world.exchange.calls) == asked


def test_a_trade_that_another_worker_has_is_left_to_it_until_its_lease_ends() -> None:
    world = TradingWorld()
    intent = world.decide()
    waits = []
    world.at[Step.CLAIMED] = lambda: waits.append(world.executor("two").advance(intent).wait)
    world.executor("one").advance(intent)

    assert waits == [world.policy.lease]


def test_an_exit_goes_on_though_the_prices_diverge_and_the_timeline_says_so() -> None:
    world = TradingWorld()
    world.exchange.usd[JUP] = Decimal("0.49")
    intent = world.decide(effect=ExposureEffect.EXIT)

    assert world.finish(intent).state is IntentState.FILLED
    assert "bps apart" in world.events("price.noted")[0].message


# ---- how a trade that was waited for ends


def test_a_deadline_ends_it_with_the_last_reason() -> None:
    world = TradingWorld()
    no_price(world)
    intent = world.decide(deadline=timedelta(seconds=7))

    ended = world.finish(intent)

    assert (ended.state, ended.reason_code) == (IntentState.FAILED, "deadline")
    assert (ended.reason or "").startswith("its deadline passed (last: ")
    assert "Jupiter has no price for it" in (ended.reason or "")
    assert "Decide it again if it is still wanted" in (ended.reason or "")


def test_a_deadline_that_passed_before_anything_was_tried_ends_it() -> None:
    world = TradingWorld()
    intent = world.decide(deadline=timedelta(seconds=7))
    world.pass_time(seconds=8)

    assert world.finish(intent).reason == "its deadline passed. Decide it again if it is still wanted"
    assert world.exchange.calls == []


def test_so_many_failed_transactions_end_it_and_every_fee_is_booked() -> None:
    world = TradingWorld()
    world.chain.lands_with = TOO_LITTLE
    intent = world.decide()

    ended = world.finish(intent)

    assert (ended.state, ended.reason_code) == (IntentState.FAILED, "attempts")
    assert "3 transactions did not swap" in (ended.reason or "")
    assert len(world.attempts()) == len(world.chain.ours()) == 3
    assert world.booked() == world.on_chain()


def test_the_pause_between_attempts_grows() -> None:
    world = TradingWorld()
    world.chain.lands_with = TOO_LITTLE
    intent = world.decide()
    world.finish(intent)
    at = [event.at for event in reversed(world.events("attempt.signed"))]

    assert at[2] - at[1] > at[1] - at[0] > timedelta(seconds=2)


def test_a_cancelled_trade_that_waits_ends_without_a_transaction() -> None:
    world = TradingWorld()
    intent = world.decide()
    executor = world.executor()

    first = executor.cancel(intent)
    assert executor.cancel(intent) == first

    assert world.finish(intent).state is IntentState.CANCELLED
    assert executor.cancel(intent).state is IntentState.CANCELLED
    assert nothing_was_signed(world)


def test_two_of_all_share_one_balance_and_the_second_gets_what_is_left() -> None:
    world = TradingWorld()
    world.chain.holding = True
    executor = world.executor()
    first, second = (world.decide(name, input_raw=None) for name in ("first", "second"))
    executor.advance(first)
    standing = executor.advance(second)

    assert world.attempts(first)[0].input_amount_raw == 1_000_000_000
    assert standing.intent.state is IntentState.FAILED
    assert "nothing of it is free" in (standing.intent.reason or "")


def test_all_of_sol_leaves_what_fee_and_rent_may_cost() -> None:
    world = TradingWorld()
    intent = world.decide(input_mint=SOL, input_raw=None)

    assert world.finish(intent).state is IntentState.FILLED
    assert 0 < world.chain.holdings().lamports < 20_000_000
    assert world.booked() == world.on_chain()
