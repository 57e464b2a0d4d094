"""Orders in plain words."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sniperforge.cli.order_preview import edit_lines
from sniperforge.cli.order_show import as_json, list_lines, show_lines
from sniperforge.cli.order_words import (
    action_words,
    distance_words,
    duration_words,
    leg_words,
    level_words,
    limit_words,
    opening_words,
    risk_words,
    rule_words,
    subject_words,
    value_words,
)
from sniperforge.cli.token_names import TokenName, TokenNames
from sniperforge.domain.ids import OrderId
from sniperforge.domain.order import Amount, AmountKind, Crossing, Leg, LegName, Order, OrderKind
from sniperforge.domain.time_window import OPEN, SHUT, Daily, Once, TimeWindow
from sniperforge.trading.order_legs import legs_of, order_of
from sniperforge.trading.order_market import Distance, distances
from sniperforge.trading.order_report import read_order
from sniperforge.trading.order_terms import OrderTerms, Side
from tests.fakes.clock import START
from tests.fakes.desk_world import DeskWorld
from tests.fakes.order_terms import JUP, ORDERS, SOL, SOLD, SPENT, a_market, above, below, terms
from tests.fakes.records import USDC

NAMES = TokenNames({SOL: TokenName("SOL", 9), USDC: TokenName("USDC", 6), JUP: TokenName("JUP", 6)})
HOUR = timedelta(hours=1)


def made(wanted: OrderTerms) -> tuple[Order, dict[LegName, Leg]]:
    order = order_of(OrderId("o1"), wanted, START)
    legs = legs_of(order.id, wanted, ORDERS, price=Decimal(180), now=START)
    return order, {leg.name: leg for leg in legs}


def words(wanted: OrderTerms, name: LegName = LegName.MAIN) -> str:
    order, legs = made(wanted)
    return leg_words(legs[name], order, NAMES)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (terms(), "when SOL costs 140 USD or less, at 2 looks in a row: sell all SOL held for USDC"),
        (
            terms(OrderKind.TAKE_PROFIT, amount=SOLD),
            "when SOL costs 220 USD or more, at 2 looks in a row: sell 1 SOL for USDC",
        ),
        (
            terms(side=Side.BUY, trigger=Decimal(220), amount=SPENT),
            "when SOL costs 220 USD or more, at 2 looks in a row: buy SOL for 100 USDC",
        ),
        (
            terms(OrderKind.TRAILING_STOP, amount=Amount(AmountKind.PERCENT, 2_500), confirmations=1),
            "when SOL falls by 5 % from its highest price from now on: sell 25 % of the SOL held for USDC",
        ),
        (
            terms(OrderKind.TRAILING_STOP, side=Side.BUY, amount=SOLD, activation=Decimal(150), confirmations=1),
            "when SOL rises by 5 % from its lowest price since it was at 150 USD or less: buy 1 SOL with USDC",
        ),
        (
            terms(OrderKind.TRAILING_STOP, trail_bps=None, trail_amount=Decimal("7.5"), confirmations=1, amount=SPENT),
            "when SOL falls by 7.5 USD from its highest price from now on: sell as much SOL as is worth 100 USDC",
        ),
        (
            terms(active_from=START + HOUR, confirmations=1),
            "from 2026-01-01 13:00:00 UTC, when SOL costs 140 USD or less: sell all SOL held for USDC",
        ),
    ],
)
def test_a_leg_says_when_it_fires_and_what_it_does(wanted: OrderTerms, said: str) -> None:
    assert words(wanted) == said


def test_the_legs_of_a_bracket_say_their_order() -> None:
    wanted = terms(OrderKind.BRACKET)
    assert words(wanted, LegName.ENTRY) == "buy SOL for 100 USDC at once"
    assert words(wanted, LegName.STOP) == (
        "once the entry has filled, when SOL costs 140 USD or less, at 2 looks in a row: "
        "sell the SOL that the entry brought for USDC"
    )
    below_market = terms(OrderKind.BRACKET, entry=Decimal(170))
    assert words(below_market, LegName.ENTRY) == (
        "when SOL costs 170 USD or less, at 2 looks in a row: buy SOL for 100 USDC"
    )


@pytest.mark.parametrize(
    ("crossing", "said"),
    [
        (above("150"), "SOL costs 150 USD or more"),
        (below("0.0000001", JUP), "JUP costs 0.0000001 USD or less"),
        (below("200", per=JUP), "1 SOL costs 200 JUP or less"),
        (below("0.95", over=3_600), "SOL has fallen by 5 % or more in 1h"),
        (above("1.1", over=900), "SOL has risen by 10 % or more in 15m"),
        (above("0.95", over=86_400), "SOL is at most 5 % below its price 1d ago"),
        (below("1.005", over=90), "SOL is at most 0.5 % above its price 90s ago"),
    ],
)
def test_a_condition_is_a_clause_of_a_sentence(crossing: Crossing, said: str) -> None:
    _, legs = made(terms(OrderKind.CONDITIONAL, conditions=(crossing,)))
    assert rule_words(legs[LegName.MAIN].rule, NAMES) == said


@pytest.mark.parametrize(("needs_all", "between"), [(True, " and "), (False, " or ")])
def test_conditions_are_joined_as_they_count(needs_all: bool, between: str) -> None:  # noqa: FBT001
    _, legs = made(terms(OrderKind.CONDITIONAL, conditions=(above("150"), below("2", JUP)), needs_all=needs_all))
    assert rule_words(legs[LegName.MAIN].rule, NAMES) == f"SOL costs 150 USD or more{between}JUP costs 2 USD or less"


def test_limits_name_every_default() -> None:
    _, legs = made(terms(OrderKind.OCO, deadline_s=60))
    assert limit_words(legs[LegName.STOP]) == (
        "300 bps from the independent price, up to 1000 bps after trades that failed; never more than is held; "
        "signed within 60 s"
    )
    _, buy = made(terms(side=Side.BUY, trigger=Decimal(220), amount=SPENT))
    assert limit_words(buy[LegName.MAIN]) == "100 bps from the independent price"


def test_a_buy_of_so_many_tokens_says_with_what() -> None:
    order, legs = made(terms(side=Side.BUY, trigger=Decimal(220), amount=SOLD))
    assert action_words(legs[LegName.MAIN], order, NAMES) == "buy 1 SOL with USDC"


def test_a_distance_is_a_share_of_the_market() -> None:
    _, legs = made(terms(OrderKind.OCO))
    said = [distance_words(one, NAMES) for one in distances(tuple(legs.values()), a_market().values)]
    assert said == ["140 USD is 22.22 % below the market (180 USD)", "220 USD is 22.22 % above the market (180 USD)"]


@pytest.mark.parametrize(
    ("crossing", "value", "said"),
    [
        (below("200", per=JUP), "360", "200 JUP is 44.44 % below the market (360 JUP)"),
        (below("0.95", over=3_600), "1.0123", "-5 % is the level, now it is +1.23 %"),
    ],
)
def test_a_distance_of_what_is_no_price_has_its_own_words(crossing: Crossing, value: str, said: str) -> None:
    assert distance_words(Distance(leg=LegName.MAIN, crossing=crossing, value=Decimal(value)), NAMES) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(60, "1m"), (90, "90s"), (3_600, "1h"), (5_400, "90m"), (86_400, "1d"), (90_000, "25h")]
)
def test_a_time_is_told_in_its_largest_unit(seconds: int, said: str) -> None:
    assert duration_words(seconds) == said


@pytest.mark.parametrize(
    ("kind", "warned"),
    [
        (OrderKind.STOP_LOSS, True),
        (OrderKind.TRAILING_STOP, True),
        (OrderKind.OCO, True),
        (OrderKind.BRACKET, True),
        (OrderKind.TAKE_PROFIT, False),
    ],
)
def test_a_stop_says_what_it_cannot_promise(kind: OrderKind, warned: bool) -> None:  # noqa: FBT001
    _, legs = made(terms(kind))
    assert bool(list(risk_words(tuple(legs.values())))) == warned


# --- orders as they stand


def shown(world: DeskWorld, order: Order) -> str:
    return "\n".join(show_lines(read_order(world.store, order.id), NAMES))


def test_an_order_is_shown_with_level_distance_and_firings() -> None:
    world = DeskWorld()
    order = world.place(OrderKind.OCO)
    world.price("175")
    world.price("139")
    (trade,) = world.price("139")
    lines = shown(world, order).split("\n")
    assert lines[0] == f"order {order.id} (oco): open"
    assert f"leg stop: fired: trade {trade} is under way" in lines
    assert "  fired         2026-01-01 12:00:03 UTC at 139 USD, 71 bps beyond its level" in lines
    assert f"  trade         {trade}  pending" in lines
    assert "leg take: not armed: the trade of the other leg is under way" in lines
    assert "  level (held)  220 USD is 58.27 % above the market (139 USD)" in lines


def test_a_trail_shows_its_best_price_and_a_price_that_is_missing_since_when() -> None:
    world = DeskWorld()
    order = world.place(OrderKind.TRAILING_STOP)
    world.price("200")
    world.price("200")
    del world.exchange.usd[SOL]
    world.look_at_market()
    text = shown(world, order)
    for line in (
        "  best price    200 USD",
        "  level         190 USD is 5.00 % below the market (200 USD)",
        "  unchecked     SOL is not checked since 2026-01-01 12:00:03 UTC: missing: Jupiter has no price for it",
    ):
        assert line in text.split("\n"), text


def test_a_list_has_the_nearest_level_and_says_what_is_not_checked() -> None:
    world = DeskWorld()
    conditions = (below("150"), below("100", per=JUP))
    order = world.place(OrderKind.CONDITIONAL, conditions=conditions, needs_all=False)
    world.price("160")
    lines = list(list_lines(read_order(world.store, order.id), NAMES))
    assert lines[0].split() == [order.id, "conditional", "open", "SOL"]
    assert lines[2] == "      armed; 150 USD is 6.25 % below the market (160 USD)"
    del world.exchange.usd[JUP]
    world.look_at_market()
    assert list(list_lines(read_order(world.store, order.id), NAMES))[3].startswith("    SOL/JUP is not checked since ")


def test_an_order_for_programs_has_exact_numbers_as_text() -> None:
    world = DeskWorld()
    order = world.place(OrderKind.TRAILING_STOP, expires_at=START + HOUR)
    world.price("200.5")
    world.price("200.5")
    told: dict[str, Any] = as_json(read_order(world.store, order.id))
    (leg,) = told["legs"]
    (trigger,) = leg["triggers"]
    assert (told["state"], told["expires_at"]) == ("open", "2026-01-01T13:00:00+00:00")
    assert (leg["armed"], leg["amount"], leg["widen_to_bps"]) == (True, {"kind": "percent", "value": 10_000}, 1_000)
    assert (trigger["best"], trigger["level"], trigger["value"]) == ("200.5", "190.475", "200.5")
    assert trigger["distance_percent"] == "-5.0000"


def test_a_change_is_shown_as_the_order_will_be() -> None:
    world = DeskWorld()
    order = world.place()
    edit = world.desk.draft_edit(order.id, {"trigger": Decimal(150), "expires_at": START + HOUR})
    text = "\n".join(edit_lines(edit, NAMES))
    assert "when SOL costs 150 USD or less" in text
    assert "ends          2026-01-01 13:00:00 UTC" in text


@pytest.mark.parametrize(
    ("window", "said", "called"),
    [
        (Daily(time(9), time(17, 30), "Europe/Berlin"), "from 09:00 to 17:30 Europe/Berlin", None),
        (Once(START, None), "2026-01-01 12:00:00 UTC or later", "time from 2026-01-01T12:00:00+00:00"),
        (Once(None, START + HOUR), "before 2026-01-01 13:00:00 UTC", "time until 2026-01-01T13:00:00+00:00"),
        (Once(START, START + HOUR), "from 2026-01-01 12:00:00 UTC to 2026-01-01 13:00:00 UTC", None),
    ],
)
def test_a_window_of_time_is_told_in_words_and_called_as_it_is_typed(
    window: TimeWindow, said: str, called: str | None
) -> None:
    wanted = terms(OrderKind.CONDITIONAL, conditions=(below("140"), Crossing.into(window)))
    assert words(wanted).startswith(f"when SOL costs 140 USD or less and it is {said}, at 2 looks in a row: sell")
    assert subject_words(window.subject, NAMES) == (called or str(window))
    assert [value_words(value, window.subject, NAMES) for value in (OPEN, SHUT)] == ["open", "shut"]
    assert level_words(OPEN, SHUT, window.subject, NAMES) == f"{window} is shut"


def test_of_each_window_it_is_told_whether_it_is_open_or_when_it_opens() -> None:
    windows = (Daily(time(9), time(17, 30), "Europe/Berlin"), Daily(time(22), time(2), "UTC"))
    _, legs = made(
        terms(OrderKind.CONDITIONAL, conditions=(below("140"), *map(Crossing.into, windows)), needs_all=False)
    )
    assert list(opening_words(legs[LegName.MAIN], START)) == [
        "time 09:00-17:30 Europe/Berlin is open now",
        "time 22:00-02:00 UTC opens at 2026-01-01 22:00:00 UTC",
    ]


def test_a_window_is_no_distance_and_what_it_fired_at_is_no_price() -> None:
    world = DeskWorld()
    opens = Once(START + timedelta(seconds=2), None)
    order = world.place(OrderKind.CONDITIONAL, conditions=(below("140"), Crossing.into(opens)), needs_all=False)
    assert world.look_at_market() == []
    report = read_order(world.store, order.id)
    assert [one.percent is None for one in report.legs[0].triggers] == [False, True]
    shown = "\n".join(show_lines(report, NAMES))
    assert f"  level         {opens} is shut" in shown
    assert "140 USD is 22.22 % below the market (180 USD)" in "\n".join(list_lines(report, NAMES))
    assert as_json(report)["legs"][0]["triggers"][1]["distance_percent"] is None

    decided = [world.look_at_market() for _ in range(3)]
    assert [len(trades) for trades in decided] == [0, 1, 0]
    shown = "\n".join(show_lines(read_order(world.store, order.id), NAMES))
    assert "  fired         2026-01-01 12:00:03 UTC\n" in shown
    assert ": leg main fired: trade " in world.events("order.fired")[0].message
