"""One look at the market for every open order: real desk, watch, firing and executors, a market in memory."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal

import pytest

from sniperforge.domain.intent import IntentState
from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.domain.order import Amount, AmountKind, Crossing, LegName, Order, OrderKind, OrderState
from sniperforge.domain.time_window import Daily, Once
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.errors import ExchangeUnavailableError, InvalidInputError, RateLimitedError
from sniperforge.ports.exchange import Lane
from sniperforge.ports.records import Severity
from sniperforge.trading.order_manager import LookResult
from sniperforge.trading.order_terms import Side
from tests.fakes.look_world import Market
from tests.fakes.trading_orders import JUP, USDC

SOL_CONDITION = Crossing(subject=Subject(WSOL_MINT), direction=Direction.UP, level=Decimal(200))


@pytest.fixture
def market() -> Market:
    return Market()


def test_a_stop_loss_fires_at_the_second_price_in_a_row_beyond_it_and_rings_for_its_trade(market: Market) -> None:
    order = market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45")))
    assert order.kind is OrderKind.STOP_LOSS
    assert market.decided("0.44", "0.46", "0.45") == []
    (intent,) = market.decided("0.45")
    assert market.bell.rung == [intent]
    assert market.states(order.id) == {"order": "open", "main": "fired"}


def test_a_take_profit_fires_at_the_second_as_well(market: Market) -> None:
    market.manager.create_take_profit(**market.terms(trigger=Decimal("0.55")))
    assert market.decided("0.54", "0.55", "0.54", "0.55") == []
    assert len(market.decided("0.55")) == 1


def test_a_trailing_stop_follows_the_price_up_and_sells_when_it_turns(market: Market) -> None:
    market.manager.create_trailing_stop(**market.terms(trail_bps=1_000))
    assert market.decided("0.46", "0.55", "0.6", "0.6", "0.541") == []
    assert len(market.decided("0.54", "0.54")) == 1


def test_one_bad_price_moves_no_trail(market: Market) -> None:
    order = market.manager.create_trailing_stop(**market.terms(trail_bps=1_000))
    assert market.decided("0.5", "0.58", "0.5", "0.5", "0.5", "0.5") == []
    assert market.states(order.id) == {"order": "open", "main": "armed"}


def test_one_bad_price_activates_no_trail(market: Market) -> None:
    market.manager.create_trailing_stop(**market.terms(trail_bps=500, activation=Decimal("0.58")))
    assert market.decided("0.5", "0.59", "0.5", "0.5", "0.5", "0.5") == []


def test_a_count_from_before_a_standstill_confirms_nothing_after_it(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.43")))
    assert market.decided("0.44", "0.42") == []
    market.pass_time(hours=1)
    assert market.decided("0.42") == []
    assert len(market.decided("0.42")) == 1


def test_a_trailing_stop_with_an_activation_begins_there(market: Market) -> None:
    market.manager.create_trailing_stop(**market.terms(trail_bps=1_000, activation=Decimal("0.6")))
    assert market.decided("0.44", "0.44", "0.52", "0.61", "0.61", "0.55") == []
    assert len(market.decided("0.549", "0.549")) == 1


def test_all_conditions_must_hold_at_one_look_and_each_be_confirmed(market: Market) -> None:
    below = Crossing(subject=Subject(JUP), direction=Direction.DOWN, level=Decimal("0.45"))
    sol = Mint(SOL_CONDITION.subject)
    market.manager.create_conditional(**market.terms(conditions=(below, SOL_CONDITION), needs_all=True))
    assert market.decided("0.44", "0.44", "0.44") == []
    market.exchange.usd[sol] = Decimal(205)
    fired = market.decided(*["0.44"] * 5)
    assert len(fired) == 1


def test_a_condition_that_does_not_hold_any_more_counts_for_nothing(market: Market) -> None:
    below = Crossing(subject=Subject(JUP), direction=Direction.DOWN, level=Decimal("0.45"))
    sol = Mint(SOL_CONDITION.subject)
    market.manager.create_conditional(**market.terms(conditions=(below, SOL_CONDITION), needs_all=True))
    assert market.decided("0.44", "0.44") == []
    market.exchange.usd[sol] = Decimal(205)
    assert market.decided("0.5", "0.5", "0.5", "0.5", "0.5") == []
    market.exchange.usd[sol] = Decimal(180)
    assert market.decided(*["0.44"] * 5) == []


def test_one_bad_price_fulfils_no_condition(market: Market) -> None:
    below = Crossing(subject=Subject(JUP), direction=Direction.DOWN, level=Decimal("0.45"))
    sol = Mint(SOL_CONDITION.subject)
    market.manager.create_conditional(**market.terms(conditions=(below, SOL_CONDITION), needs_all=True))
    assert market.decided("0.44") == []
    market.exchange.usd[sol] = Decimal(205)
    assert market.decided("0.44") == []
    market.exchange.usd[sol] = Decimal(180)
    assert market.decided(*["0.44"] * 4) == []


def test_any_condition_is_enough(market: Market) -> None:
    below = Crossing(subject=Subject(JUP), direction=Direction.DOWN, level=Decimal("0.45"))
    market.manager.create_conditional(**market.terms(conditions=(below, SOL_CONDITION), needs_all=False))
    assert market.decided("0.5", "0.5") == []
    market.exchange.usd[Mint(SOL_CONDITION.subject)] = Decimal(205)
    assert len(market.decided("0.5", "0.5")) == 1


def test_a_price_or_a_time_whichever_comes_first(market: Market) -> None:
    below = Crossing(subject=Subject(JUP), direction=Direction.DOWN, level=Decimal("0.45"))
    opens = Crossing.into(Once(market.clock.now() + timedelta(seconds=4), None))
    market.manager.create_conditional(**market.terms(conditions=(below, opens), needs_all=False))
    assert market.decided("0.5", "0.5", "0.5", "0.5") == []
    assert len(market.decided("0.5")) == 1, "at the second look at which it is open"

    earlier = Market()
    earlier.manager.create_conditional(**earlier.terms(conditions=(below, opens), needs_all=False))
    assert len(earlier.decided("0.45", "0.45")) == 1


def test_a_price_counts_only_while_the_window_is_open(market: Market) -> None:
    """Shut, open from the tenth second on, and shut again at the twentieth."""
    now = market.clock.now()
    below = Crossing(subject=Subject(JUP), direction=Direction.DOWN, level=Decimal("0.45"))
    window = Crossing.into(Once(now + timedelta(seconds=10), now + timedelta(seconds=20)))
    order = market.manager.create_conditional(**market.terms(conditions=(below, window)))
    assert order.expires_at == now + timedelta(seconds=20)
    assert market.decided(*["0.44"] * 9) == []
    assert market.decided(*["0.5"] * 3) == []
    assert len(market.decided(*["0.44"] * 4)) == 1, "two looks for the price, then two for the time"

    late = market.manager.create_conditional(**market.terms(conditions=(below, window), force=True))
    assert market.decided(*["0.5"] * 7, *["0.44"] * 3) == []
    assert market.states(late.id) == {"order": "expired", "main": "cancelled"}


def test_a_stop_that_was_reached_in_vain_does_not_expire_silently(market: Market) -> None:
    ends = market.clock.now() + timedelta(minutes=31)
    order = market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), expires_at=ends))
    (trade,) = market.decided("0.44", "0.44")
    market.pass_time(minutes=30)
    why = market.finish(trade).reason
    assert why is not None
    assert market.states(order.id) == {"order": "open", "main": "waiting"}
    market.pass_time(minutes=1)
    market.look("0.44")
    assert market.states(order.id) == {"order": "expired", "main": "cancelled"}
    (event,) = market.events("order.expired")
    assert event.message.endswith(f"its time is over; leg main fired in vain: {why}")
    assert event.severity is Severity.WARNING


def test_a_time_alone_needs_no_price(market: Market) -> None:
    daily = Daily(time(13), time(14), "UTC")
    market.manager.create_conditional(**market.terms(conditions=(Crossing.into(daily),)))
    before = len(market.exchange.calls)
    assert market.look().decided == ()
    market.pass_time(hours=1)
    assert [len(market.look().decided) for _ in range(3)] == [0, 1, 0]
    assert [call.method for call in market.exchange.calls[before:]] == []


def test_a_price_that_is_missing_stale_or_jumped_fires_nothing_and_is_told_once(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), confirmations=1))
    market.look("0.5")
    del market.exchange.usd[JUP]
    results = [market.look() for _ in range(3)]
    assert [result.without_price for result in results] == [1, 1, 1]
    assert len(market.events("price.missing")) == 1

    assert market.decided("0.3") == [], "a jump of 40 % is no price when it is seen first"
    assert len(market.decided("0.3")) == 1
    assert market.events("price.back")


def test_nothing_is_asked_while_nothing_is_open(market: Market) -> None:
    assert market.look() == LookResult()
    assert market.exchange.calls == []


def test_one_request_brings_the_prices_of_every_order(market: Market) -> None:
    for _ in range(3):
        market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45")))
    before = len(market.exchange.calls)
    market.look()
    assert [call.method for call in market.exchange.calls[before:]] == ["prices"]


def test_a_budget_without_room_is_said_and_nothing_is_lost(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), confirmations=1))
    market.exchange.fail("prices", RateLimitedError("no room", subject="main"))
    with pytest.raises(RateLimitedError):
        market.look("0.4")
    assert len(market.decided("0.4")) == 1


def test_a_bell_that_nobody_hears_keeps_no_trade_from_being_decided(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), confirmations=1))
    market.bell.is_away = True
    (intent,) = market.decided("0.44")
    assert market.intent(intent).state is IntentState.PENDING


def test_an_order_ends_when_its_time_is_over(market: Market) -> None:
    expires_at = market.clock.now() + timedelta(minutes=5)
    order = market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), expires_at=expires_at))
    market.look()
    assert market.order(order.id).state is OrderState.OPEN
    market.pass_time(minutes=5)
    assert market.decided("0.4", "0.4", "0.4") == []
    assert market.states(order.id) == {"order": "expired", "main": "cancelled"}
    assert market.events("order.expired")


def test_an_order_whose_trade_is_under_way_is_not_ended_by_time(market: Market) -> None:
    expires_at = market.clock.now() + timedelta(minutes=5)
    order = market.manager.create_stop_loss(
        **market.terms(trigger=Decimal("0.45"), expires_at=expires_at, confirmations=1)
    )
    (intent,) = market.decided("0.44")
    market.pass_time(minutes=6)
    market.look()
    assert market.states(order.id) == {"order": "open", "main": "fired"}
    market.finish(intent)
    assert market.order(order.id).state is OrderState.FILLED


def test_an_order_whose_fill_is_not_final_is_not_ended_by_time(market: Market) -> None:
    expires_at = market.clock.now() + timedelta(minutes=1)
    order = market.manager.create_stop_loss(
        **market.terms(trigger=Decimal("0.45"), expires_at=expires_at, confirmations=1)
    )
    (intent,) = market.decided("0.44")
    market.confirm(intent)
    market.clock.jump(expires_at)
    market.look()
    assert market.states(order.id) == {"order": "open", "main": "filled"}
    market.finish(intent)
    assert not market.events("order.expired")


def test_an_order_begins_when_its_time_comes(market: Market) -> None:
    active_from = market.clock.now() + timedelta(minutes=5)
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), active_from=active_from, confirmations=1))
    assert market.decided("0.44", "0.44") == []
    market.pass_time(minutes=5)
    assert len(market.decided("0.44", "0.44")) == 1


def test_after_downtime_a_stop_that_was_crossed_fires_on_fresh_prices_and_says_that_it_gapped(market: Market) -> None:
    order = market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45")))
    market.look()
    market.pass_time(hours=5)
    assert len(market.decided("0.41", "0.41")) == 1
    assert market.legs(order.id)[LegName.MAIN].gap_bps == 888
    assert "gapped 888 bps" in market.events("order.fired")[0].message


def test_a_leg_that_waits_fires_again_when_it_is_due(market: Market) -> None:
    order = market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), confirmations=1))
    (first,) = market.decided("0.44")
    market.pass_time(minutes=30)
    market.finish(first)
    market.pass_time(minutes=1)
    (second,) = market.look("0.6").decided
    assert market.finish(second).state is IntentState.FILLED
    assert market.states(order.id) == {"order": "filled", "main": "filled"}


def test_an_amount_in_the_other_token_is_priced_at_the_next_look(market: Market) -> None:
    market.manager.create_stop_loss(
        **market.terms(trigger=Decimal("0.45"), amount=Amount(AmountKind.QUOTE, 44_000_000), confirmations=1)
    )
    first = market.look("0.44")
    decided = [*first.decided, *market.look("0.44").decided]
    assert [market.intent(one).input_amount_raw for one in decided] == [100_000_000]


def test_one_leg_that_cannot_fire_now_keeps_no_other_from_firing(market: Market) -> None:
    market.manager.create_stop_loss(
        **market.terms(trigger=Decimal("0.45"), amount=Amount(AmountKind.QUOTE, 44_000_000), confirmations=1)
    )
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), confirmations=1))
    del market.exchange.usd[USDC]
    result = market.look("0.44")
    assert len(result.decided) == 1
    assert len(result.left) == 1


def test_one_leg_whose_trade_can_never_be_decided_keeps_no_other_from_firing(market: Market) -> None:
    beyond = Amount(AmountKind.QUOTE, 2**62)  # of USDC, which is more base units of JUP than there are numbers for
    market.manager.create_stop_loss(
        **market.terms(trigger=Decimal("0.45"), amount=beyond, reduce_only=False, confirmations=1)
    )
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), confirmations=1))
    assert len(market.decided("0.44", "0.44", "0.44")) == 1
    assert "amount" in market.events("order.postponed")[0].message


def test_what_cannot_fire_for_long_makes_room_for_what_fired_later(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sniperforge.trading.order_manager.AT_ONCE", 1)
    market.manager.create_stop_loss(
        **market.terms(trigger=Decimal("0.45"), amount=Amount(AmountKind.QUOTE, 44_000_000), confirmations=1)
    )
    del market.exchange.usd[USDC]
    assert market.decided("0.44") == []
    later = Amount(AmountKind.BASE, 1_000_000)
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), amount=later, confirmations=1, force=True))
    assert len(market.decided(*["0.44"] * 14)) == 1
    assert "no price" in market.events("order.postponed")[0].message
    market.exchange.usd[USDC] = Decimal(1)
    assert len(market.decided(*["0.44"] * 12)) == 1


def test_a_jupiter_that_is_away_leaves_everything_for_the_next_look(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), confirmations=1))
    market.exchange.fail("prices", ExchangeUnavailableError("nobody answers", subject="/price/v3"))
    with pytest.raises(ExchangeUnavailableError):
        market.look("0.44")
    assert len(market.decided("0.44")) == 1


def test_a_pair_is_placed_whole_or_not_at_all(market: Market) -> None:
    with pytest.raises(InvalidInputError) as caught:
        market.manager.create_oco(**market.terms(stop_loss=Decimal("0.6"), take_profit=Decimal("0.55")))
    assert len(caught.value.details["problems"]) >= 2
    with market.store.books.read() as books:
        assert books.orders.recent(10) == ()


def test_a_bracket_that_enters_at_once_ends_with_the_exit_that_fires(market: Market) -> None:
    order = market.manager.create_bracket(
        **market.terms(
            side=Side.BUY,
            stop_loss=Decimal("0.45"),
            take_profit=Decimal("0.7"),
            amount=Amount(AmountKind.QUOTE, 100_000_000),
            confirmations=1,
        )
    )
    (entry,) = market.decided("0.5")
    assert "gapped" not in market.events("order.fired")[0].message
    market.finish(entry)
    assert market.states(order.id) == {"order": "open", "entry": "filled", "stop": "armed", "take": "armed"}
    (stop,) = market.decided("0.44")
    market.finish(stop)
    assert market.states(order.id) == {"order": "filled", "entry": "filled", "stop": "filled", "take": "cancelled"}


def test_cancelling_goes_by_the_desk(market: Market) -> None:
    order: Order = market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45")))
    assert market.manager.cancel(order.id, by="operator").reason == "operator cancelled it"
    assert market.decided("0.4", "0.4") == []


def test_looks_go_before_entries(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45")))
    market.look()
    assert market.exchange.calls[-1].lane is Lane.CONFIRMATION


def test_looks_keep_to_what_the_budget_bears(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45")))
    market.every = timedelta(seconds=5)
    manager, asked = market.manager, len(market.exchange.calls)
    for _ in range(11):
        market.pass_time(seconds=1)
        manager.monitor_orders()
    assert len(market.exchange.calls) - asked == 3


def test_looks_that_fail_for_long_are_told_in_the_books_once(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45")))
    market.look()
    for second in range(60):
        error = (
            RateLimitedError("no room", subject="main") if second % 2 else ExchangeUnavailableError("nobody answers")
        )
        market.exchange.fail("prices", error)
        with pytest.raises(type(error)):
            market.look()
        assert len(market.events("price.missing")) == (second >= 30)
    market.look()
    assert len(market.events("price.back")) == 1


def test_what_waited_for_a_price_that_has_gone_is_watched_again(market: Market) -> None:
    order = market.manager.create_take_profit(**market.terms(trigger=Decimal("0.55"), confirmations=1))
    (first,) = market.decided("0.56")
    market.pass_time(minutes=30)
    market.finish(first)
    market.pass_time(minutes=1)
    assert market.decided("0.5", "0.5", "0.5") == []
    assert market.states(order.id) == {"order": "open", "main": "armed"}
    (second,) = market.decided("0.56")
    assert market.finish(second).state is IntentState.FILLED


def test_what_waited_for_a_price_that_is_still_there_fires_again(market: Market) -> None:
    order = market.manager.create_take_profit(**market.terms(trigger=Decimal("0.55"), confirmations=1))
    (first,) = market.decided("0.56")
    market.pass_time(minutes=30)
    market.finish(first)
    market.pass_time(minutes=1)
    (second,) = market.decided("0.57")
    assert market.intent(second).key.endswith(":1")
    assert market.states(order.id) == {"order": "open", "main": "fired"}


def test_an_entry_that_was_denied_buys_at_no_other_price(market: Market) -> None:
    order = market.manager.create_bracket(
        **market.terms(
            entry=Decimal("0.4"),
            side=Side.BUY,
            amount=Amount(AmountKind.QUOTE, 50_000_000),
            stop_loss=Decimal("0.3"),
            take_profit=Decimal("0.6"),
            confirmations=1,
        )
    )
    market.tokens.dangerous.add(JUP)
    assert market.decided("0.42", "0.39") == []
    assert market.states(order.id)["entry"] == "waiting"
    market.tokens.dangerous.clear()
    market.pass_time(seconds=10)
    assert market.decided("0.45", "0.45") == []
    assert market.states(order.id)["entry"] == "armed"


def test_a_trail_that_buys_and_failed_begins_anew(market: Market) -> None:
    order = market.manager.create_trailing_stop(
        **market.terms(side=Side.BUY, trail_bps=1_000, amount=Amount(AmountKind.QUOTE, 50_000_000), confirmations=1)
    )
    (first,) = market.decided("0.5", "0.56")
    market.pass_time(minutes=30)
    market.finish(first)
    market.pass_time(minutes=1)
    assert market.decided("0.56", "0.6", "0.6") == []
    assert market.states(order.id)["main"] == "armed"
    assert len(market.decided("0.62")) == 1


def test_an_exit_asks_nobody_about_its_tokens_when_nobody_answers(market: Market) -> None:
    market.manager.create_stop_loss(**market.terms(trigger=Decimal("0.45"), confirmations=1))
    market.tokens.is_away = True
    assert len(market.decided("0.44")) == 1


def test_a_condition_whose_price_stays_away_makes_room_and_begins_anew(market: Market) -> None:
    sol = Crossing(subject=Subject(WSOL_MINT), direction=Direction.DOWN, level=Decimal(10_000))
    jup = Crossing(subject=Subject(JUP), direction=Direction.DOWN, level=Decimal("0.45"))
    order = market.manager.create_conditional(
        **market.terms(conditions=(sol, jup), needs_all=True, confirmations=1, active_from=None)
    )
    usd = market.exchange.usd.pop(WSOL_MINT)
    assert market.decided(*["0.44"] * 13) == []
    assert market.states(order.id)["main"] == "dormant"
    market.exchange.usd[WSOL_MINT] = usd
    market.pass_time(seconds=10)
    assert len(market.decided(*["0.44"] * 4)) == 1
