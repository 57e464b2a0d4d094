"""Protections at work: what the books say is held against the limits when an entry is decided and when it is signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from sniperforge.domain.ids import IntentId, order_key
from sniperforge.domain.intent import ExposureEffect, FillState, IntentState, TradeIntent
from sniperforge.domain.order import LegName, LegState, OrderKind
from sniperforge.domain.risk import ProposedTrade, RiskFacts, RiskLimits, Rule
from sniperforge.errors import RiskDeniedError
from sniperforge.ports.store import Books
from sniperforge.trading.positions import rebuild_positions
from sniperforge.trading.progress import Step
from sniperforge.trading.protections import NO_PROTECTIONS, Protections
from tests.fakes.order_records import a_leg, an_order
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_orders import JUP, OWNER, SOL, USDC
from tests.fakes.trading_world import TradingWorld

ENTRY, EXIT = ExposureEffect.ENTRY, ExposureEffect.EXIT
CASH = frozenset({USDC})
HOUR = timedelta(hours=1)


def a_world(**limits: Any) -> TradingWorld:
    """Each entry of it gives 25 USDC, worth 25 USD."""
    world = TradingWorld()
    limit(world, **limits)
    return world


def limit(world: TradingWorld, **limits: Any) -> None:
    """These limits, and no others, from now on."""
    world.policy = replace(world.policy, protections=Protections(RiskLimits(cash=CASH, **limits)))


def ended(world: TradingWorld, name: str, **changes: Any) -> TradeIntent:
    return world.finish(world.decide(name, **changes))


def sell(world: TradingWorld, name: str = "out", raw: int = 40_000_000, **changes: Any) -> TradeIntent:
    """An exit from what was bought."""
    pair = {"input_mint": JUP, "output_mint": USDC, "input_raw": raw}
    sold = ended(world, name, effect=EXIT, **{**pair, **changes})
    assert sold.state is IntentState.FILLED
    return sold


def costs(world: TradingWorld, usd: str) -> None:
    """One JUP costs so much from now on."""
    world.usd[JUP] = world.exchange.usd[JUP] = Decimal(usd)
    world.publish()


def pass_time(world: TradingWorld, span: timedelta) -> None:
    world.clock.jump(world.clock.now() + span)
    world.publish()


def facts(world: TradingWorld) -> RiskFacts:
    with world.store.books.read() as books:
        return world.policy.protections.facts(books, world.clock.now())


def is_refused(intent: TradeIntent, rule: Rule) -> bool:
    """Whether it ended because of this rule, which is named."""
    named = (intent.reason or "").startswith(f"{rule.value}: ")
    return intent.state is IntentState.FAILED and intent.reason_code == rule.value and named


def denied_at_once(world: TradingWorld) -> tuple[str, ...]:
    """Rules that deny an entry when it is decided; then nothing is in the books. One that is allowed stays there."""
    request = world.request(f"another-{len(world.steps)}")
    try:
        world.executor().decide(request)
    except RiskDeniedError as error:
        with world.store.books.read() as books:
            assert books.intents.get_by_key(request.key) is None
        return error.rules
    return ()


# ---- the two moments


def test_an_entry_is_denied_when_it_is_decided_and_nothing_is_written() -> None:
    world = a_world(spend_per_day_usd=50)
    ended(world, "one")
    ended(world, "two")
    assert denied_at_once(world) == (Rule.SPEND_PER_DAY.value,)


def test_what_was_allowed_when_it_was_decided_is_denied_before_a_byte_of_it_leaves() -> None:
    world = a_world(spend_per_day_usd=50)
    third = world.decide("three")
    ended(world, "one")
    ended(world, "two")
    posts = world.exchange.posts()

    assert is_refused(world.finish(third), Rule.SPEND_PER_DAY)
    assert (world.attempts(third), world.exchange.posts()) == ((), posts)


def test_the_room_that_counts_is_the_room_in_the_transaction_that_inserts_the_attempt() -> None:
    world = a_world(spend_per_day_usd=30)
    late = world.decide("late")
    world.at[Step.SIGNED] = lambda: ended(world, "first")

    assert is_refused(world.finish(late), Rule.SPEND_PER_DAY)
    assert world.attempts(late) == ()


def test_the_same_decision_again_is_the_same_trade_even_when_entries_are_denied() -> None:
    world = a_world(spend_per_day_usd=25)
    ended(world, "one")
    assert world.executor().decide(world.request("one")).state is IntentState.FILLED


def test_a_denial_names_every_rule_and_from_when_it_would_be_allowed() -> None:
    world = a_world(spend_per_day_usd=25, exposure_usd=25, token_cooldown=HOUR)
    ended(world, "one")
    with pytest.raises(RiskDeniedError) as caught:
        world.decide("two")
    assert caught.value.rules == ("max_spend_per_day_usd", "max_exposure_usd")
    assert caught.value.until is None
    assert "; max_exposure_usd: 25.0" in str(caught.value)

    limit(world, spend_per_day_usd=25, token_cooldown=2 * HOUR)
    sell(world)
    with pytest.raises(RiskDeniedError) as caught:
        world.decide("three")
    signed = world.attempts()[0].created_at
    assert caught.value.until == signed + timedelta(hours=24, microseconds=1)
    assert f"Entries are allowed again from {signed + timedelta(hours=24):%Y-%m-%d %H:%M}" in str(caught.value)


def test_no_exit_is_denied_by_any_rule_at_any_moment() -> None:
    world = a_world()
    ended(world, "one")
    costs(world, "0.45")
    way_out = world.decide("undecided", effect=EXIT, input_mint=JUP, output_mint=USDC, input_raw=1_000_000)
    limit(world, **everything_used_up())
    sell_by_order(world, "one", OrderKind.STOP_LOSS, "main", raw=40_000_000)

    assert world.finish(way_out).state is IntentState.FILLED
    again = {"output_mint": JUP, "effect": EXIT, "input_mint": USDC, "input_raw": 25_000_000}
    assert ended(world, "back", **again).state is IntentState.FILLED
    assert len(denied_at_once(world)) == len(everything_used_up()) - 3


def everything_used_up() -> dict[str, Any]:
    """Limits, all of which but three (worth of one, failures, divergences) one exit with a loss uses up."""
    dollar = {"spend_per_trade_usd", "spend_per_day_usd", "loss_per_day_usd", "drawdown_usd", "exposure_usd"}
    limits: dict[str, Any] = dict.fromkeys(dollar | {"exposure_per_token_usd"}, 1)
    limits |= dict.fromkeys(("pause_after_stops", "pause_after_failures", "pause_after_divergences"), 1)
    return {**limits, "fees_per_day_usd": Decimal("0.0001"), "token_cooldown": HOUR}


class NoQuestions:
    """Books that must not be asked anything."""

    def __getattr__(self, name: str) -> Any:
        message = f"asked for {name}"
        raise AssertionError(message)


@pytest.mark.parametrize("protections", [NO_PROTECTIONS, Protections(RiskLimits(spend_per_trade_usd=30))])
def test_without_limits_that_need_to_know_something_the_books_are_not_asked(protections: Protections) -> None:
    world = TradingWorld()

    class Unasked:
        risk = orders = NoQuestions()

    trade = ProposedTrade(effect=ENTRY, token=JUP, worth_usd=Decimal(25))
    assert protections.denials(cast("Books", Unasked()), trade, world.clock.now()) == ()


def test_an_exit_costs_no_question() -> None:
    all_on = Protections(RiskLimits(**everything_used_up()))
    assert all_on.denials(cast("Books", NoQuestions()), ProposedTrade(effect=EXIT), TradingWorld().clock.now()) == ()


def test_it_is_told_how_every_limit_stands_of_one_token_for_each_that_there_is_something_to_tell_of() -> None:
    world = a_world(exposure_usd=60, exposure_per_token_usd=60, token_cooldown=HOUR, spend_per_day_usd=25)
    assert told(world) == {
        (Rule.SPEND_PER_DAY, None): (0, False),
        (Rule.EXPOSURE_PER_TOKEN, None): (0, False),
        (Rule.EXPOSURE, None): (0, False),
        (Rule.COOLDOWN, None): (0, False),
    }
    ended(world, "one")
    sell(world, raw=20_000_000)
    assert told(world) == {
        (Rule.SPEND_PER_DAY, None): (25, True),
        (Rule.EXPOSURE_PER_TOKEN, JUP): (15, False),
        (Rule.EXPOSURE, None): (15, False),
        (Rule.COOLDOWN, JUP): (13, True),  # seconds, until the sale was final
    }


def told(world: TradingWorld) -> dict[tuple[Rule, Any], tuple[int, bool]]:
    """What is used of each limit, rounded, and whether it denies an entry now."""
    with world.store.books.read() as books:
        found = world.policy.protections.uses(books, world.clock.now())
    return {(use.rule, use.token): (round(use.used), use.denial is not None) for use in found}


# ---- what is spent


def test_an_entry_beyond_the_limit_of_a_trade_is_never_signed() -> None:
    world = a_world(spend_per_trade_usd=24)
    intent = ended(world, "one")
    assert is_refused(intent, Rule.SPEND_PER_TRADE)
    assert "max_spend_per_trade_usd: it is worth 25.00 USD, and a trade may spend 24" in (intent.reason or "")
    assert world.attempts() == ()
    assert world.chain.ours() == []


def test_entries_of_a_day_share_one_limit_and_the_next_day_has_its_own() -> None:
    world = a_world(spend_per_day_usd=60)
    assert ended(world, "one").state is IntentState.FILLED
    assert ended(world, "two").state is IntentState.FILLED
    third = ended(world, "three")
    assert is_refused(third, Rule.SPEND_PER_DAY)
    assert "it is worth 25.00 USD, and of 60 for 24 hours 50.00 are spent" in (third.reason or "")
    pass_time(world, timedelta(hours=25))
    assert ended(world, "four").state is IntentState.FILLED


def test_what_may_still_land_counts_in_full() -> None:
    world = a_world(spend_per_day_usd=30)
    world.signed("in-flight")
    assert is_refused(ended(world, "two"), Rule.SPEND_PER_DAY)


def test_what_landed_with_an_error_gave_nothing_and_does_not_count() -> None:
    world = a_world(spend_per_day_usd=30)
    failed = world.signed("fails-on-chain")
    world.chain.include(failed.signature, err=TOO_LITTLE)
    world.chain.holding = False
    assert world.finish(failed.intent_id).state is IntentState.FILLED
    assert len(world.attempts(failed.intent_id)) == 2


@pytest.mark.parametrize("limits", [{}, {"spend_per_trade_usd": 25, "spend_per_day_usd": 25}])
def test_without_limits_and_at_the_limit_nothing_is_refused(limits: dict[str, int]) -> None:
    assert ended(a_world(**limits), "one").state is IntentState.FILLED


# ---- what is lost


def with_a_loss(world: TradingWorld) -> Decimal:
    """50 JUP were bought for 25 USD, 40 of them are sold for about 18. What that lost, by hand."""
    ended(world, "one")
    costs(world, "0.45")
    sell(world)
    (bought, sold) = (world.fill(attempt) for attempt in world.attempts())
    lamport = Decimal("180.25") / 10**9
    cost = Decimal(25) + bought.fee_lamports * lamport
    got = Decimal(sold.output_raw) / 10**6
    lost = cost * sold.input_raw / bought.output_raw - got + sold.fee_lamports * lamport
    assert 2 < lost < 3
    return lost


def test_a_loss_is_what_exits_brought_less_their_cost_with_all_fees() -> None:
    world = a_world(loss_per_day_usd=3)
    lost = with_a_loss(world)
    (result,) = facts(world).results
    assert abs(result.usd + lost) < Decimal("1e-11")


def test_entries_stop_at_the_loss_of_a_day_and_go_on_at_its_reset() -> None:
    world = a_world()
    with_a_loss(world)
    limit(world, loss_per_day_usd=3)
    assert denied_at_once(world) == ()
    limit(world, loss_per_day_usd=2)
    assert denied_at_once(world) == ("max_loss_per_day_usd",)
    assert is_refused_when_signed(world, loss_per_day_usd=2) is Rule.LOSS_PER_DAY
    pass_time(world, timedelta(hours=12))
    assert ended(world, "tomorrow").state is IntentState.FILLED


def is_refused_when_signed(world: TradingWorld, **limits: Any) -> Rule:
    """The rule by which a trade that was decided without limits is denied under these."""
    limit(world)
    intent = world.decide(f"decided-before-{len(world.steps)}")
    limit(world, **limits)
    refused = world.finish(intent)
    assert world.attempts(intent) == ()
    rule = Rule(refused.reason_code or "")
    assert is_refused(refused, rule)
    return rule


def test_entries_stop_at_a_drawdown_that_the_loss_of_a_day_does_not_show() -> None:
    world = a_world()
    with_a_loss(world)
    pass_time(world, timedelta(days=2))
    limit(world, drawdown_usd=2, loss_per_day_usd=2)
    assert denied_at_once(world) == ("max_drawdown_usd",)
    assert is_refused_when_signed(world, drawdown_usd=2) is Rule.DRAWDOWN
    limit(world, drawdown_usd=3)
    assert denied_at_once(world) == ()
    limit(world, drawdown_usd=2, drawdown_over=timedelta(days=1))
    assert denied_at_once(world) == ()


def test_what_was_wasted_on_transactions_that_swapped_nothing_is_lost() -> None:
    world = a_world(loss_per_day_usd=1)
    failed = world.signed("fails-on-chain")
    world.chain.include(failed.signature, err=TOO_LITTLE)
    world.chain.holding = False
    world.finish(failed.intent_id)
    fee = world.chain.landed[failed.signature].fee_lamports
    assert [one.usd for one in facts(world).results] == [-fee * Decimal("180.25") / 10**9]


def test_an_exit_that_a_fork_took_back_lost_nothing() -> None:
    world = a_world(loss_per_day_usd=2)
    ended(world, "one")
    out = world.signed("out", effect=EXIT, input_mint=JUP, output_mint=USDC, input_raw=40_000_000)
    world.chain.include(out.signature)
    world.chain.advance(2)
    world.executor().advance(out.intent_id)
    assert len(facts(world).results) == 1

    world.chain.fork(5)
    world.chain.advance(6)
    world.executor().advance(out.intent_id)
    assert facts(world).results == ()


def test_a_purchase_that_a_fork_took_back_changes_what_later_exits_brought() -> None:
    world = a_world(loss_per_day_usd=2)
    ended(world, "cheap", input_raw=20_000_000)
    costs(world, "0.55")
    dear = world.signed("dear", input_raw=30_000_000)
    world.chain.include(dear.signature)
    world.chain.holding = False
    world.chain.advance(2)
    world.executor().advance(dear.intent_id)
    sell(world, raw=10_000_000)
    (before,) = facts(world).results

    with world.store.books.write() as books:
        fill = books.fills.get(dear.signature)
        assert fill is not None
        books.fills.change(fill, state=FillState.REVERSED)
        rebuild_positions(books, world.intent(dear.intent_id))
    (after,) = facts(world).results
    assert after.at == before.at
    assert after.usd - before.usd > Decimal("0.2")


# ---- what is paid


def test_entries_stop_when_the_fees_of_a_day_are_paid_and_go_on_at_the_reset() -> None:
    world = a_world(fees_per_day_usd=Decimal(100))
    ended(world, "one")
    lamport = Decimal("180.25") / 10**9
    paid = world.fill(world.attempts()[0]).fee_lamports * lamport
    assert facts(world).fees_usd == paid
    limit(world, fees_per_day_usd=paid + Decimal("0.000001"))
    assert denied_at_once(world) == ()
    limit(world, fees_per_day_usd=paid)
    assert denied_at_once(world) == ("max_fees_per_day_usd",)
    assert is_refused_when_signed(world, fees_per_day_usd=paid) is Rule.FEES_PER_DAY
    pass_time(world, timedelta(hours=12))
    assert ended(world, "tomorrow").state is IntentState.FILLED


# ---- what is held


def test_what_is_held_of_a_token_at_cost_leaves_room_for_so_much_more() -> None:
    world = a_world(exposure_per_token_usd=51)
    ended(world, "one")
    assert ended(world, "two").state is IntentState.FILLED
    limit(world, exposure_per_token_usd=75)
    refused = ended(world, "three")  # what is held cost its fees, too
    assert is_refused(refused, Rule.EXPOSURE_PER_TOKEN)
    assert ended(world, "other-token", output_mint=SOL).state is IntentState.FILLED


def test_what_is_held_of_all_tokens_leaves_room_for_so_much_more() -> None:
    world = a_world(exposure_usd=51)
    ended(world, "one", output_mint=SOL)
    assert ended(world, "two").state is IntentState.FILLED
    limit(world, exposure_usd=50)
    assert denied_at_once(world) == ("max_exposure_usd",)
    assert is_refused_when_signed(world, exposure_usd=75) is Rule.EXPOSURE


@pytest.mark.parametrize("rule", [Rule.EXPOSURE_PER_TOKEN, Rule.EXPOSURE])
def test_what_is_signed_and_not_landed_is_exposure_already(rule: Rule) -> None:
    world = a_world(**{"exposure_usd" if rule is Rule.EXPOSURE else "exposure_per_token_usd": 49})
    world.signed("in-flight")
    assert is_refused(ended(world, "two"), rule)


def test_an_exit_makes_room_and_the_money_it_brings_takes_none() -> None:
    world = a_world(exposure_usd=26, exposure_per_token_usd=26)
    ended(world, "one")
    assert is_refused(ended(world, "two"), Rule.EXPOSURE_PER_TOKEN)
    sell(world, raw=49_000_000)
    assert ended(world, "three", input_raw=20_000_000).state is IntentState.FILLED


# ---- what went wrong


def sell_by_order(world: TradingWorld, name: str, kind: OrderKind, leg: str, *, raw: int = 10_000_000) -> None:
    """A leg of an order fired, and its trade fills."""
    key = order_key(an_order(name).id, leg, 0)
    intent = world.decide("out", key=key, effect=EXIT, input_mint=JUP, output_mint=USDC, input_raw=raw)
    with world.store.books.write() as books:
        fired = a_leg(name, LegName(leg), state=LegState.FIRED, firings=1, intent_id=intent)
        books.orders.add(an_order(name, kind=kind, wallet=OWNER), [fired])
    assert world.finish(intent).state is IntentState.FILLED


def test_so_many_stops_pause_entries_and_the_pause_ends() -> None:
    world = a_world()
    ended(world, "one")
    limit(world, pause_after_stops=2, pause=HOUR)
    sell_by_order(world, "first", OrderKind.OCO, "stop")
    assert denied_at_once(world) == ()
    sell_by_order(world, "second", OrderKind.OCO, "stop")
    assert denied_at_once(world) == ("risk_pause_after_stops",)
    assert is_refused_when_signed(world, pause_after_stops=2) is Rule.STOPS
    pass_time(world, HOUR)
    assert ended(world, "after").state is IntentState.FILLED


@pytest.mark.parametrize(
    ("kind", "leg", "counts"),
    [
        (OrderKind.STOP_LOSS, "main", True),
        (OrderKind.TRAILING_STOP, "main", True),
        (OrderKind.TAKE_PROFIT, "main", False),
        (OrderKind.CONDITIONAL, "main", False),
        (OrderKind.OCO, "stop", True),
        (OrderKind.BRACKET, "take", False),
    ],
)
def test_a_stop_is_the_stop_of_a_pair_or_an_order_that_is_one(kind: OrderKind, leg: str, counts: bool) -> None:  # noqa: FBT001
    world = a_world()
    ended(world, "one")
    limit(world, pause_after_stops=1)
    sell_by_order(world, "one", kind, leg)
    assert (denied_at_once(world) != ()) is counts


def test_an_exit_that_no_order_decided_is_no_stop() -> None:
    world = a_world(pause_after_stops=1)
    ended(world, "one")
    sell(world)
    assert denied_at_once(world) == ()


def fails(world: TradingWorld, name: str, **changes: Any) -> TradeIntent:
    """An entry that ends without a fill: nobody sells at that price."""
    intent = ended(world, name, min_out_per_input=Decimal(10), deadline=timedelta(seconds=30), **changes)
    assert intent.state is IntentState.FAILED
    return intent


def test_so_many_failures_in_a_row_pause_entries_and_the_pause_ends() -> None:
    world = a_world(pause_after_failures=2, pause=HOUR)
    fails(world, "one")
    assert denied_at_once(world) == ()
    fails(world, "two")
    assert denied_at_once(world) == ("risk_pause_after_failures",)
    assert is_refused_when_signed(world, pause_after_failures=2) is Rule.FAILURES
    pass_time(world, HOUR)
    assert ended(world, "after").state is IntentState.FILLED


def test_the_pause_counts_from_an_older_entry_that_failed_after_the_newer_ones() -> None:
    world = a_world(pause_after_failures=2, pause=HOUR)
    nobody_sells: dict[str, Any] = {"min_out_per_input": Decimal(10)}
    patient = world.decide("a", deadline=timedelta(minutes=5), **nobody_sells)
    world.executor().advance(patient)
    for name in ("b", "c"):
        pass_time(world, timedelta(seconds=1))
        fails(world, name)
    assert denied_at_once(world) == ("risk_pause_after_failures",)

    pass_time(world, timedelta(minutes=5))
    assert world.finish(patient).state is IntentState.FAILED
    pass_time(world, HOUR - timedelta(minutes=3))
    assert denied_at_once(world) == ("risk_pause_after_failures",)
    pass_time(world, timedelta(minutes=3))
    assert denied_at_once(world) == ()


def test_a_fill_between_them_begins_the_row_anew() -> None:
    world = a_world(pause_after_failures=2)
    fails(world, "one")
    pass_time(world, timedelta(seconds=1))
    assert told(world) == {(Rule.FAILURES, None): (1, False)}
    ended(world, "filled")
    assert told(world) == {(Rule.FAILURES, None): (0, False)}
    pass_time(world, timedelta(seconds=1))
    fails(world, "two")
    assert denied_at_once(world) == ()


def test_an_entry_that_was_denied_and_an_exit_that_failed_are_no_failures() -> None:
    world = a_world(pause_after_failures=2, spend_per_trade_usd=30)
    fails(world, "one")
    assert is_refused(ended(world, "large", input_raw=31_000_000), Rule.SPEND_PER_TRADE)
    fails(world, "way-out", effect=EXIT)
    assert denied_at_once(world) == ()


def diverged(world: TradingWorld, name: str) -> IntentId:
    """A trade that is set back, several times, because the sources contradict each other."""
    intent = world.decide(name)
    world.exchange.usd[JUP] = Decimal("0.52")
    for _ in range(3):
        standing = world.executor().advance(intent)
        world.clock.sleep(standing.wait.total_seconds())
    world.exchange.usd[JUP] = Decimal("0.5")
    world.executor().cancel(intent)
    assert world.finish(intent).state is IntentState.CANCELLED
    return intent


def test_prices_that_contradict_each_other_in_so_many_trades_pause_entries_and_the_pause_ends() -> None:
    world = a_world(pause_after_divergences=2, pause=HOUR)
    diverged(world, "one")
    assert denied_at_once(world) == ()
    diverged(world, "two")
    assert denied_at_once(world) == ("risk_pause_after_divergences",)
    assert is_refused_when_signed(world, pause_after_divergences=2) is Rule.DIVERGENCES
    pass_time(world, HOUR)
    assert ended(world, "after").state is IntentState.FILLED


# ---- cool-down


def test_a_token_that_was_sold_is_not_bought_again_before_its_cooldown_is_over() -> None:
    world = a_world(token_cooldown=HOUR)
    ended(world, "one")
    sell(world)
    assert denied_at_once(world) == ("risk_token_cooldown_s",)
    assert is_refused_when_signed(world, token_cooldown=HOUR) is Rule.COOLDOWN
    assert ended(world, "other-token", output_mint=SOL).state is IntentState.FILLED
    pass_time(world, HOUR)
    assert ended(world, "after").state is IntentState.FILLED
