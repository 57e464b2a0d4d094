"""What an order becomes: which legs, reached from where, with which defaults; and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.ids import OrderId
from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.order import (
    ALL,
    Amount,
    AmountKind,
    Condition,
    Crossing,
    Leg,
    LegName,
    LegState,
    OrderKind,
    Trail,
)
from sniperforge.domain.trigger import Direction, Subject, is_crossed
from sniperforge.errors import InvalidInputError, PriceUnavailableError
from sniperforge.trading.order_legs import legs_of, order_of, terms_of, waits_for_nothing
from sniperforge.trading.order_market import level_now, market_problems
from sniperforge.trading.order_terms import OrderTerms, Side, terms_problems
from tests.fakes.clock import START
from tests.fakes.order_terms import ORDERS, SOL, SOLD, SPENT, a_market, above, below, terms
from tests.fakes.records import USDC

ORDER = OrderId("o1")
HOUR = timedelta(hours=1)
EXIT, ENTRY = ExposureEffect.EXIT, ExposureEffect.ENTRY
UP, DOWN = Direction.UP, Direction.DOWN


def legs(wanted: OrderTerms, price: str = "180") -> dict[LegName, Leg]:
    made = legs_of(ORDER, wanted, ORDERS, price=Decimal(price), now=START)
    return {leg.name: leg for leg in made}


def only_leg(wanted: OrderTerms, price: str = "180") -> Leg:
    (leg,) = legs(wanted, price).values()
    return leg


def crossing(direction: Direction, level: str) -> Crossing:
    return Crossing(subject=Subject(SOL), direction=direction, level=Decimal(level))


def test_a_stop_loss_sells_the_whole_position_for_the_quote_token_on_a_fall() -> None:
    assert only_leg(terms()) == Leg(
        order_id=ORDER,
        name=LegName.MAIN,
        state=LegState.ARMED,
        effect=EXIT,
        input_mint=SOL,
        output_mint=USDC,
        amount=ALL,
        reduce_only=True,
        rule=crossing(DOWN, "140"),
        confirmations=2,
        max_slippage_bps=300,
        widen_to_bps=1_000,
        deadline_s=None,
        active_from=None,
        updated_at=START,
    )


@pytest.mark.parametrize(
    ("kind", "side", "direction"),
    [
        (OrderKind.STOP_LOSS, Side.SELL, DOWN),
        (OrderKind.STOP_LOSS, Side.BUY, UP),
        (OrderKind.TAKE_PROFIT, Side.SELL, UP),
        (OrderKind.TAKE_PROFIT, Side.BUY, DOWN),
    ],
)
def test_stops_and_take_profits_mirror_each_other(kind: OrderKind, side: Side, direction: Direction) -> None:
    leg = only_leg(terms(kind, side=side, amount=SOLD, trigger=Decimal(200)))
    assert leg.rule == crossing(direction, "200")
    tokens = (SOL, USDC) if side is Side.SELL else (USDC, SOL)
    assert (leg.input_mint, leg.output_mint) == tokens
    assert (leg.effect, leg.reduce_only) == ((EXIT, True) if side is Side.SELL else (ENTRY, False))


@pytest.mark.parametrize(("side", "direction"), [(Side.SELL, DOWN), (Side.BUY, UP)])
def test_a_trailing_stop_follows_the_best_price_of_its_side(side: Side, direction: Direction) -> None:
    leg = only_leg(terms(OrderKind.TRAILING_STOP, side=side, amount=SOLD, activation=Decimal(200)))
    assert leg.rule == Trail(subject=Subject(SOL), direction=direction, bps=500, activation=Decimal(200))


def test_a_conditional_waits_for_its_conditions() -> None:
    conditions = (above("150"), below("0.9", over=3_600))
    leg = only_leg(terms(OrderKind.CONDITIONAL, conditions=conditions, needs_all=False))
    assert leg.rule == Condition(needs_all=False, crossings=conditions)


def test_both_legs_of_an_oco_are_armed() -> None:
    made = legs(terms(OrderKind.OCO))
    assert {name: (leg.state, leg.rule) for name, leg in made.items()} == {
        LegName.STOP: (LegState.ARMED, crossing(DOWN, "140")),
        LegName.TAKE: (LegState.ARMED, crossing(UP, "220")),
    }


def test_a_bracket_buys_and_its_exits_wait_for_what_that_brings() -> None:
    made = legs(terms(OrderKind.BRACKET, entry=Decimal(170), active_from=START + HOUR, slippage_bps=250))
    entry, stop, take = made[LegName.ENTRY], made[LegName.STOP], made[LegName.TAKE]
    assert (entry.input_mint, entry.output_mint, entry.effect, entry.amount) == (USDC, SOL, ENTRY, SPENT)
    assert (entry.state, entry.active_from, entry.reduce_only) == (LegState.DORMANT, START + HOUR, False)
    for leg in (stop, take):
        assert (leg.input_mint, leg.output_mint, leg.effect, leg.reduce_only) == (SOL, USDC, EXIT, True)
        assert (leg.state, leg.active_from, leg.amount) == (LegState.DORMANT, None, Amount(AmountKind.FILLED, 0))
    assert [leg.max_slippage_bps for leg in (entry, stop, take)] == [100, 250, 250]


@pytest.mark.parametrize(("entry", "direction"), [("170", DOWN), ("180", DOWN), ("190", UP)])
def test_an_entry_is_reached_from_where_the_market_is(entry: str, direction: Direction) -> None:
    assert legs(terms(OrderKind.BRACKET, entry=Decimal(entry)))[LegName.ENTRY].rule == crossing(direction, entry)


def test_an_entry_cannot_be_reached_from_an_unknown_price() -> None:
    wanted = terms(OrderKind.BRACKET, entry=Decimal(170))
    with pytest.raises(PriceUnavailableError):
        legs_of(ORDER, wanted, ORDERS, price=None, now=START)


def test_legs_are_not_made_of_terms_that_lack_a_price() -> None:
    with pytest.raises(InvalidInputError, match="trigger"):
        legs(terms(trigger=None))


@pytest.mark.parametrize("price", ["0.000000000001", "180", "1000000000"])
def test_an_entry_at_once_is_reached_at_every_price_there_is(price: str) -> None:
    rule = legs(terms(OrderKind.BRACKET))[LegName.ENTRY].rule
    assert isinstance(rule, Crossing)
    assert waits_for_nothing(rule)
    assert is_crossed(rule.direction, Decimal(price), rule.level)


@pytest.mark.parametrize(
    ("kind", "confirmations"),
    [
        (OrderKind.STOP_LOSS, {LegName.MAIN: 2}),
        (OrderKind.TAKE_PROFIT, {LegName.MAIN: 2}),
        (OrderKind.TRAILING_STOP, {LegName.MAIN: 2}),
        (OrderKind.CONDITIONAL, {LegName.MAIN: 2}),
        (OrderKind.OCO, {LegName.STOP: 2, LegName.TAKE: 2}),
        (OrderKind.BRACKET, {LegName.ENTRY: 2, LegName.STOP: 2, LegName.TAKE: 2}),
    ],
)
def test_one_bad_price_trades_nothing_by_default(kind: OrderKind, confirmations: dict[LegName, int]) -> None:
    entry = {"entry": Decimal(170)} if kind is OrderKind.BRACKET else {}
    assert {name: leg.confirmations for name, leg in legs(terms(kind, **entry)).items()} == confirmations
    said = legs(terms(kind, confirmations=7, **entry))
    assert {leg.confirmations for leg in said.values()} == {7}


def test_an_entry_at_once_waits_for_no_second_price() -> None:
    assert legs(terms(OrderKind.BRACKET, confirmations=7))[LegName.ENTRY].confirmations == 1


@pytest.mark.parametrize(
    ("kind", "widened"),
    [
        (OrderKind.STOP_LOSS, {LegName.MAIN: 1_000}),
        (OrderKind.TAKE_PROFIT, {LegName.MAIN: None}),
        (OrderKind.TRAILING_STOP, {LegName.MAIN: 1_000}),
        (OrderKind.CONDITIONAL, {LegName.MAIN: None}),
        (OrderKind.OCO, {LegName.STOP: 1_000, LegName.TAKE: None}),
        (OrderKind.BRACKET, {LegName.ENTRY: None, LegName.STOP: 1_000, LegName.TAKE: None}),
    ],
)
def test_only_stops_get_out_wider_and_wider_by_default(kind: OrderKind, widened: dict[LegName, int | None]) -> None:
    assert {name: leg.widen_to_bps for name, leg in legs(terms(kind)).items()} == widened


def test_a_cap_that_is_the_widest_already_does_not_widen() -> None:
    assert only_leg(terms(slippage_bps=1_000)).widen_to_bps is None
    assert only_leg(terms(slippage_bps=200, widen_to_bps=200)).widen_to_bps is None
    assert only_leg(terms(slippage_bps=200, widen_to_bps=400)).widen_to_bps == 400


def test_a_buy_has_the_cap_of_entries_and_keeps_it() -> None:
    leg = only_leg(terms(side=Side.BUY, trigger=Decimal(220), amount=SPENT))
    assert (leg.max_slippage_bps, leg.widen_to_bps) == (100, None)


def test_an_entry_keeps_its_cap_where_its_exits_may_widen() -> None:
    made = legs(terms(OrderKind.BRACKET, widen_to_bps=700))
    assert {name: leg.widen_to_bps for name, leg in made.items()} == {
        LegName.ENTRY: None,
        LegName.STOP: 700,
        LegName.TAKE: 700,
    }


def test_an_order_that_begins_later_sleeps_until_then() -> None:
    made = legs(terms(OrderKind.OCO, active_from=START + HOUR))
    assert {(leg.state, leg.active_from) for leg in made.values()} == {(LegState.DORMANT, START + HOUR)}
    began = legs(terms(OrderKind.OCO, active_from=START))
    assert {(leg.state, leg.active_from) for leg in began.values()} == {(LegState.ARMED, None)}


@pytest.mark.parametrize(
    "wanted",
    [
        terms(),
        terms(OrderKind.TAKE_PROFIT, amount=SOLD, reduce_only=False, slippage_bps=50),
        terms(side=Side.BUY, trigger=Decimal(220), amount=SPENT, deadline_s=60),
        terms(OrderKind.TRAILING_STOP, activation=Decimal(200), confirmations=5),
        terms(OrderKind.TRAILING_STOP, trail_bps=None, trail_amount=Decimal(9)),
        terms(OrderKind.CONDITIONAL, conditions=(above("150"), below("170")), needs_all=False),
        terms(OrderKind.OCO, expires_at=START + HOUR),
        terms(OrderKind.BRACKET),
        terms(OrderKind.BRACKET, entry=Decimal(170), active_from=START + HOUR),
    ],
)
def test_the_terms_of_legs_make_the_same_legs(wanted: OrderTerms) -> None:
    made = legs_of(ORDER, wanted, ORDERS, price=Decimal(180), now=START)
    again = terms_of(order_of(ORDER, wanted, START), made)
    assert terms_problems(again, ORDERS, START) == []
    remade = legs_of(ORDER, again, ORDERS, price=Decimal(180), now=START)
    told = [
        [replace(leg, confirmations=0, max_slippage_bps=0, widen_to_bps=None) for leg in both]
        for both in (made, remade)
    ]
    assert told[0] == told[1]
    first = {leg.name: leg for leg in remade}
    main = LegName.MAIN if LegName.MAIN in first else LegName.STOP
    assert first[main] == next(leg for leg in made if leg.name is main)


PRICES = st.decimals(min_value="0.01", max_value="1000", places=2, allow_nan=False, allow_infinity=False)


@given(
    kind=st.sampled_from([OrderKind.OCO, OrderKind.BRACKET]),
    side=st.sampled_from(list(Side)),
    stop=PRICES,
    take=PRICES,
    entry=st.none() | PRICES,
    price=PRICES,
)
def test_the_legs_of_what_can_be_placed_never_contradict_each_other(
    kind: OrderKind, side: Side, stop: Decimal, take: Decimal, entry: Decimal | None, price: Decimal
) -> None:
    side = Side.BUY if kind is OrderKind.BRACKET else side
    entry = entry if kind is OrderKind.BRACKET else None
    wanted = terms(kind, side=side, amount=SPENT, stop_loss=stop, take_profit=take, entry=entry)
    market = a_market(str(price), free=10**15)
    found = [*terms_problems(wanted, ORDERS, START), *market_problems(wanted, market)]
    if found:
        sells = side is Side.SELL or kind is OrderKind.BRACKET
        start = price if entry is None else entry
        low, high = (stop, take) if sells else (take, stop)
        assert not low < start < high
        return
    made = legs(wanted, str(price))
    start = price if entry is None else entry
    exits = [made[LegName.STOP], made[LegName.TAKE]]
    for leg in exits:
        (level,) = level_now(leg, market.values)
        assert not is_crossed(level.direction, start, level.level), "it would fire as soon as it is armed"
    assert {leg.rule.direction for leg in exits if isinstance(leg.rule, Crossing)} == {UP, DOWN}
