"""What is wrong with an order before anybody looks at a price, and against the market: all of it at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sniperforge.domain.order import ALL, Amount, AmountKind, Crossing, OrderKind
from sniperforge.domain.time_window import Daily, Once
from sniperforge.trading.order_market import market_problems
from sniperforge.trading.order_terms import OrderTerms, Side, terms_problems
from tests.fakes.clock import START
from tests.fakes.order_terms import JUP, ORDERS, SOL, SOLD, SPENT, a_market, above, below, terms
from tests.fakes.records import USDC

KINDS = tuple(OrderKind)
HOUR = timedelta(hours=1)
BASE = AmountKind.BASE


def problems(wanted: OrderTerms, price: str = "180", **market: Any) -> list[str]:
    world = a_market(price, **market)
    found = [*terms_problems(wanted, ORDERS, START), *market_problems(wanted, world)]
    return [f"{one.field}: {one.text}" for one in found]


def only_problem(wanted: OrderTerms, price: str = "180", **market: Any) -> str:
    found = problems(wanted, price, **market)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wrong_with_usual_terms(kind: OrderKind) -> None:
    assert problems(terms(kind)) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not OrderKind.BRACKET])
def test_nothing_is_wrong_with_usual_terms_that_buy(kind: OrderKind) -> None:
    mirrored: dict[OrderKind, dict[str, Any]] = {
        OrderKind.STOP_LOSS: {"trigger": Decimal(220)},
        OrderKind.TAKE_PROFIT: {"trigger": Decimal(140)},
        OrderKind.OCO: {"stop_loss": Decimal(220), "take_profit": Decimal(140)},
    }
    assert problems(terms(kind, side=Side.BUY, amount=SPENT, **mirrored.get(kind, {}))) == []


def test_every_problem_is_told_at_once() -> None:
    wanted = terms(
        OrderKind.OCO,
        stop_loss=Decimal(200),
        take_profit=Decimal(190),
        amount=Amount(BASE, 0),
        slippage_bps=2_000,
        confirmations=0,
        deadline_s=100_000,
        expires_at=START - HOUR,
        trail_bps=5,
    )
    fields = [problem.partition(":")[0] for problem in problems(wanted)]
    assert fields == [
        "trail_bps",
        "take_profit",
        "amount",
        "slippage_bps",
        "expires_at",
        "deadline_s",
        "confirmations",
        "stop_loss",
    ]


# --- fields of the kind


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (OrderKind.STOP_LOSS, "trigger"),
        (OrderKind.TAKE_PROFIT, "trigger"),
        (OrderKind.OCO, "stop_loss"),
        (OrderKind.OCO, "take_profit"),
        (OrderKind.BRACKET, "stop_loss"),
        (OrderKind.BRACKET, "take_profit"),
    ],
)
def test_a_price_that_its_kind_needs_is_missed(kind: OrderKind, field: str) -> None:
    assert only_problem(terms(kind, **{field: None})) == f"{field}: orders of kind {kind} need it"


def test_a_conditional_needs_conditions() -> None:
    assert only_problem(terms(OrderKind.CONDITIONAL, conditions=())).startswith("conditions: ")


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (OrderKind.STOP_LOSS, "take_profit", Decimal(220)),
        (OrderKind.OCO, "trigger", Decimal(100)),
        (OrderKind.OCO, "entry", Decimal(180)),
        (OrderKind.TAKE_PROFIT, "trail_bps", 100),
        (OrderKind.TRAILING_STOP, "trigger", Decimal(100)),
        (OrderKind.STOP_LOSS, "activation", Decimal(200)),
        (OrderKind.STOP_LOSS, "conditions", (above("220"),)),
    ],
)
def test_a_price_that_its_kind_does_not_have_is_refused(kind: OrderKind, field: str, value: object) -> None:
    assert only_problem(terms(kind, **{field: value})).startswith(f"{field}: orders of kind {kind} do not have it")


def test_a_token_is_not_traded_for_itself() -> None:
    assert only_problem(terms(quote_mint=SOL)).startswith("quote_mint: ")


def test_a_bracket_buys_first() -> None:
    assert only_problem(terms(OrderKind.BRACKET, side=Side.SELL)).startswith("side: ")


# --- prices


@pytest.mark.parametrize("price", ["0", "-1", "1e10", "1e-13", "NaN", "Infinity", "123456789.1234567890"])
def test_what_is_no_price_is_refused(price: str) -> None:
    assert only_problem(terms(trigger=Decimal(price))).startswith(f"trigger: {Decimal(price)} is no price")


@pytest.mark.parametrize("kind", [OrderKind.OCO, OrderKind.BRACKET])
@pytest.mark.parametrize("take", ["140", "139.99"])
def test_a_take_profit_lies_above_the_stop_of_what_is_sold(kind: OrderKind, take: str) -> None:
    found = problems(terms(kind, take_profit=Decimal(take), force=True))
    assert found == [
        f"take_profit: {take} is not above the stop-loss 140: what is sold takes its profit above its stop"
    ]


def test_a_take_profit_lies_below_the_stop_of_what_is_bought() -> None:
    wanted = terms(
        OrderKind.OCO, side=Side.BUY, amount=SPENT, stop_loss=Decimal(200), take_profit=Decimal(210), force=True
    )
    assert only_problem(wanted).startswith("take_profit: 210 is not below the stop-loss 200")


@pytest.mark.parametrize(
    ("entry", "other"), [("140", "stop-loss 140"), ("220", "take-profit 220"), ("90", "stop-loss")]
)
def test_an_entry_lies_between_the_exits_of_its_bracket(entry: str, other: str) -> None:
    found = only_problem(terms(OrderKind.BRACKET, entry=Decimal(entry)))
    assert found.startswith("entry: ")
    assert other in found


@pytest.mark.parametrize(
    ("kind", "side", "changes", "field"),
    [
        (OrderKind.STOP_LOSS, Side.SELL, {"trigger": Decimal(180)}, "trigger"),
        (OrderKind.STOP_LOSS, Side.BUY, {"trigger": Decimal(180)}, "trigger"),
        (OrderKind.TAKE_PROFIT, Side.SELL, {"trigger": Decimal(180)}, "trigger"),
        (OrderKind.TAKE_PROFIT, Side.BUY, {"trigger": Decimal(180)}, "trigger"),
        (OrderKind.OCO, Side.SELL, {"stop_loss": Decimal(181)}, "stop_loss"),
        (OrderKind.OCO, Side.SELL, {"take_profit": Decimal(179)}, "take_profit"),
        (OrderKind.BRACKET, Side.BUY, {"stop_loss": Decimal(181)}, "stop_loss"),
        (OrderKind.BRACKET, Side.BUY, {"take_profit": Decimal(179)}, "take_profit"),
    ],
)
def test_a_price_that_the_market_has_reached_is_refused_unless_it_is_forced(
    kind: OrderKind, side: Side, changes: dict[str, Any], field: str
) -> None:
    amount = SPENT if side is Side.BUY else None
    wanted: dict[str, Any] = {"side": side, "amount": amount, **changes}
    assert only_problem(terms(kind, **wanted)).startswith(f"{field}: {changes[field]} is not ")
    assert problems(terms(kind, force=True, **wanted)) == []


def test_the_exits_of_a_bracket_that_waits_for_its_entry_are_not_held_against_the_market() -> None:
    assert problems(terms(OrderKind.BRACKET, entry=Decimal(150)), price="230") == []


# --- trails


@pytest.mark.parametrize(("bps", "fine"), [(0, False), (1, True), (9_000, True), (9_001, False), (-5, False)])
def test_a_trail_is_within_a_hundredth_and_90_percent(bps: int, fine: bool) -> None:  # noqa: FBT001
    assert [one.partition(":")[0] for one in problems(terms(OrderKind.TRAILING_STOP, trail_bps=bps))] == (
        [] if fine else ["trail_bps"]
    )


@pytest.mark.parametrize(("amount", "fine"), [("0.017", False), ("0.018", True), ("162", True), ("162.1", False)])
def test_a_trail_in_dollars_is_held_against_the_price(amount: str, fine: bool) -> None:  # noqa: FBT001
    wanted = terms(OrderKind.TRAILING_STOP, trail_bps=None, trail_amount=Decimal(amount))
    assert [one.partition(":")[0] for one in problems(wanted)] == ([] if fine else ["trail_amount"])


def test_a_trail_in_dollars_with_an_activation_is_held_against_that() -> None:
    wanted = terms(OrderKind.TRAILING_STOP, trail_bps=None, trail_amount=Decimal(170), activation=Decimal(300))
    assert problems(wanted) == []


def test_a_trail_is_told_in_one_way() -> None:
    neither, both = {"trail_bps": None}, {"trail_amount": Decimal(9)}
    assert only_problem(terms(OrderKind.TRAILING_STOP, **neither)).startswith("trail_bps: say how far")
    assert only_problem(terms(OrderKind.TRAILING_STOP, **both)).startswith("trail_amount: ")


# --- amounts


def test_what_is_bought_has_an_amount() -> None:
    wanted = terms(side=Side.BUY, trigger=Decimal(220))
    assert only_problem(wanted).startswith("amount: say how much to buy")


@pytest.mark.parametrize("kind", [AmountKind.BASE, AmountKind.QUOTE, AmountKind.PERCENT])
def test_nothing_is_traded_of_zero(kind: AmountKind) -> None:
    assert only_problem(terms(amount=Amount(kind, 0))) == "amount: it is zero: give an amount above zero"


def test_more_than_all_of_a_position_cannot_be_sold() -> None:
    assert (
        only_problem(terms(amount=Amount(AmountKind.PERCENT, 10_001))) == "amount: 100.01 % is more than the position"
    )
    assert problems(terms(amount=ALL)) == []


def test_a_share_of_a_position_cannot_be_bought() -> None:
    wanted = terms(side=Side.BUY, trigger=Decimal(220), amount=Amount(AmountKind.PERCENT, 5_000))
    assert only_problem(wanted).startswith("amount: a share of a position can only be sold")


def test_more_than_the_position_is_refused_where_it_only_reduces() -> None:
    held, more = Amount(BASE, 10_000_000_000), Amount(BASE, 10_000_000_001)
    assert problems(terms(amount=held)) == []
    assert only_problem(terms(amount=more)) == (
        "amount: 10.000000001 is more than the position: 10 are held and not promised to other trades"
    )
    assert problems(terms(amount=more, reduce_only=False)) == []


def test_an_amount_in_the_other_token_is_held_against_the_position_by_price() -> None:
    held, more = Amount(AmountKind.QUOTE, 1_800_000_000), Amount(AmountKind.QUOTE, 1_800_000_001)
    assert problems(terms(amount=held)) == []
    assert only_problem(terms(amount=more)).startswith("amount: 10.00000000")


def test_an_empty_position_needs_no_protection_unless_it_is_forced() -> None:
    assert only_problem(terms(), free=0).startswith("amount: the wallet holds none of it")
    assert problems(terms(force=True), free=0) == []
    assert problems(terms(side=Side.BUY, trigger=Decimal(220), amount=SPENT), free=0) == []


def test_only_what_sells_can_be_reduce_only_and_the_exits_of_a_bracket_are() -> None:
    buys = terms(side=Side.BUY, trigger=Decimal(220), amount=SPENT, reduce_only=True)
    assert only_problem(buys).startswith("reduce_only: ")
    assert only_problem(terms(OrderKind.BRACKET, reduce_only=False)).startswith("reduce_only: ")


# --- caps and times


@pytest.mark.parametrize(("field", "bps"), [("slippage_bps", 1_001), ("widen_to_bps", 1_001), ("slippage_bps", 0)])
def test_no_cap_of_an_exit_is_wider_than_the_widest(field: str, bps: int) -> None:
    assert only_problem(terms(OrderKind.STOP_LOSS, **{field: bps})).startswith(f"{field}: {bps} ")
    assert problems(terms(**{field: 1_000})) == []


def test_no_cap_of_an_entry_is_wider_than_that_of_entries_and_it_does_not_widen() -> None:
    buy: dict[str, Any] = {"side": Side.BUY, "trigger": Decimal(220), "amount": SPENT}
    assert problems(terms(slippage_bps=100, **buy)) == []
    assert only_problem(terms(slippage_bps=101, **buy)) == (
        "slippage_bps: 101 is wider than the settings allow (entry_slippage_bps: 100)"
    )
    assert only_problem(terms(widen_to_bps=100, **buy)).startswith("widen_to_bps: only the cap of an exit may widen")


def test_a_cap_does_not_widen_to_a_tighter_one() -> None:
    assert only_problem(terms(widen_to_bps=299)).startswith("widen_to_bps: 299 is tighter than")
    assert only_problem(terms(slippage_bps=500, widen_to_bps=499)).startswith("widen_to_bps: 499 is tighter than")
    assert problems(terms(slippage_bps=200, widen_to_bps=200)) == []


def test_an_order_ends_after_now_and_after_it_begins() -> None:
    assert only_problem(terms(expires_at=START)).startswith("expires_at: ")
    assert only_problem(terms(expires_at=START + HOUR, active_from=START + HOUR)).startswith(
        "expires_at: it ends before"
    )
    assert problems(terms(expires_at=START + 2 * HOUR, active_from=START + HOUR)) == []


def test_a_time_without_a_zone_is_refused() -> None:
    naive = START.replace(tzinfo=None)
    assert problems(terms(expires_at=naive, active_from=naive)) == [
        "expires_at: it needs a time zone",
        "active_from: it needs a time zone",
    ]


@pytest.mark.parametrize(("field", "low", "high"), [("deadline_s", 1, 1_200), ("confirmations", 1, 100)])
def test_numbers_have_their_bounds(field: str, low: int, high: int) -> None:
    assert [problems(terms(OrderKind.STOP_LOSS, **{field: value})) for value in (low, high)] == [[], []]
    for value in (low - 1, high + 1):
        assert only_problem(terms(OrderKind.STOP_LOSS, **{field: value})).startswith(f"{field}: {value} is not within ")


# --- prices that are missing


def test_a_token_without_a_price_cannot_be_watched() -> None:
    found = only_problem(terms(), **{SOL: "missing: Jupiter has no price for it"})
    assert found == (
        f"base_mint: {SOL} has no price now, so nobody could tell when to act (missing: Jupiter has no price for it)"
    )


def test_a_token_of_a_condition_without_a_price_is_told_as_the_conditions_problem() -> None:
    wanted = terms(OrderKind.CONDITIONAL, conditions=(below("0.4", JUP),))
    assert only_problem(wanted, **{JUP: "stale: 700 slots old"}).startswith(f"conditions: {JUP} has no price now")


def test_a_quote_token_without_a_price_is_told_where_the_amount_is_in_it() -> None:
    wanted = terms(amount=SPENT)
    assert only_problem(wanted, **{USDC: "missing: no price"}).startswith("quote_mint: ")


def test_a_change_for_which_no_price_was_kept_yet_can_be_waited_for() -> None:
    change = below("0.95", over=3_600)
    wanted = terms(OrderKind.CONDITIONAL, conditions=(change,))
    assert problems(wanted, **{change.subject: "too early: no price is known from 3600 s ago yet"}) == []


# --- conditions


@pytest.mark.parametrize(
    "conditions",
    [
        (above("150"), below("140")),
        (above("2", per=JUP), above("0.6", JUP, per=SOL)),
        (above("100"), below("50", JUP), below("1", per=JUP)),
        (above("1.1", over=3_600), below("1.05", over=3_600)),
        (above("150"), below("1", JUP), below("100", per=JUP)),
    ],
)
def test_conditions_that_can_never_hold_at_once_are_refused_where_all_must(conditions: Any) -> None:
    wanted = terms(OrderKind.CONDITIONAL, conditions=conditions)
    assert only_problem(wanted).startswith("conditions: these can never hold at once: ")
    assert problems(terms(OrderKind.CONDITIONAL, conditions=conditions, needs_all=False)) == []


@pytest.mark.parametrize(
    "conditions",
    [
        (above("140"), below("150")),
        (above("140"), below("140")),
        (above("2", per=JUP), above("0.4", JUP, per=SOL)),
        (above("100"), below("50", JUP), below("2", per=JUP)),
        (above("1.1", over=3_600), below("1.05", over=7_200)),
        (above("150"), below("0.9", over=3_600)),
    ],
)
def test_conditions_that_can_hold_at_once_are_taken(conditions: Any) -> None:
    assert problems(terms(OrderKind.CONDITIONAL, conditions=conditions)) == []


OFFICE = Crossing.into(Daily(time(9), time(17, 30), "UTC"))
NIGHT = Crossing.into(Daily(time(22), time(2), "UTC"))


def test_windows_of_time_go_with_prices_that_they_do_not_contradict() -> None:
    assert problems(terms(OrderKind.CONDITIONAL, conditions=(below("140"), OFFICE))) == []
    assert problems(terms(OrderKind.CONDITIONAL, conditions=(OFFICE, NIGHT), needs_all=False)) == []
    found = only_problem(terms(OrderKind.CONDITIONAL, conditions=(below("140"), above("150"), OFFICE)))
    assert found.startswith("conditions: these can never hold at once: ")


def test_windows_that_never_come_together_are_refused_where_all_must() -> None:
    found = only_problem(terms(OrderKind.CONDITIONAL, conditions=(OFFICE, below("140"), NIGHT)))
    told = "time 09:00-17:30 UTC, time 22:00-02:00 UTC"
    assert found == f"conditions: these never come together while the order is open: {told}"


def test_a_window_that_is_over_or_opens_when_the_order_has_ended_is_refused_however_many_are_needed() -> None:
    over = Crossing.into(Once(None, START))
    for needs_all in (True, False):
        found = only_problem(terms(OrderKind.CONDITIONAL, conditions=(below("140"), over), needs_all=needs_all))
        assert (
            found == f"conditions: time until {START.isoformat()}: it is over, or does not come before the order ends"
        )
    assert problems(terms(OrderKind.CONDITIONAL, conditions=(NIGHT,), expires_at=START + 11 * HOUR)) == []
    assert "does not come before" in only_problem(
        terms(OrderKind.CONDITIONAL, conditions=(NIGHT,), expires_at=START + 10 * HOUR)
    )
    begins = START + 15 * HOUR
    assert "does not come before" in only_problem(
        terms(OrderKind.CONDITIONAL, conditions=(NIGHT,), active_from=begins, expires_at=begins + HOUR)
    )


def test_an_order_ends_with_the_first_window_that_has_to_be_open() -> None:
    until = [Crossing.into(Once(None, START + hours * HOUR)) for hours in (3, 2)]
    wanted = terms(OrderKind.CONDITIONAL, conditions=(*until, below("140"), OFFICE))
    assert wanted.ends_at == START + 2 * HOUR
    assert replace(wanted, expires_at=START + HOUR).ends_at == START + HOUR
    assert replace(wanted, expires_at=START + 5 * HOUR).ends_at == START + 2 * HOUR
    assert replace(wanted, needs_all=False).ends_at is None
    assert terms(OrderKind.CONDITIONAL, conditions=(OFFICE,)).ends_at is None


def test_only_conditions_that_contradict_each_other_are_named() -> None:
    conditions = (above("150"), above("0.4", JUP), below("140"))
    found = only_problem(terms(OrderKind.CONDITIONAL, conditions=conditions))
    assert found == f"conditions: these can never hold at once: {SOL} at or above 150, {SOL} at or below 140"


@pytest.mark.parametrize("needs_all", [True, False])
@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (below("0", over=3_600), "that is never so"),
        (below("-0.2", over=3_600), "that is never so"),
        (above("0", over=3_600), "that is always so"),
        (above("NaN", over=3_600), "that is no number"),
        (above("1.5", per=SOL), "the ratio of a token to itself is always 1"),
        (above("0"), "is not a price"),
        (below("0.9", over=59), "give a time from 60 s to 7 days"),
        (below("0.9", over=604_801), "give a time from 60 s to 7 days"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(condition: Any, why: str, needs_all: bool) -> None:  # noqa: FBT001
    wanted = terms(OrderKind.CONDITIONAL, conditions=(above("100", JUP), condition), needs_all=needs_all)
    assert why in only_problem(wanted)


def test_there_are_no_more_conditions_than_one_order_can_watch() -> None:
    conditions = tuple(above(str(level), JUP) for level in range(1, 10))
    assert only_problem(terms(OrderKind.CONDITIONAL, conditions=conditions)).startswith("conditions: 9 are too many")
    assert problems(terms(OrderKind.CONDITIONAL, conditions=conditions[:8])) == []


def test_an_amount_of_what_a_bracket_filled_cannot_be_asked_for() -> None:
    assert only_problem(terms(amount=Amount(AmountKind.FILLED, 0))).startswith("amount: only the exits of a bracket")
    assert problems(terms(amount=SOLD)) == []


def test_a_change_with_more_digits_than_a_price_can_have_is_refused_and_not_placed_for_ever() -> None:
    told = only_problem(terms(OrderKind.CONDITIONAL, conditions=(below("0.66666666666666666667", over=3_600),)))
    assert "as a share of the earlier price" in told
