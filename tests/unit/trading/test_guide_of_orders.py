"""The table of the guide on orders: what it says of looks in a row, and of trades that failed, is what orders do."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from sniperforge.domain.ids import OrderId
from sniperforge.domain.order import Leg, LegName, OrderKind, Trail
from sniperforge.trading.order_legs import gets_out, legs_of, order_of
from sniperforge.trading.order_terms import Side
from tests.fakes.order_terms import ORDERS, SPENT, terms

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "orders.md").read_text(encoding="utf-8")
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def told(kind: str, side: Side) -> tuple[str, str]:
    """Looks in a row, and what happens after a trade that failed, by the guide's row."""
    (table,) = re.findall(r"^\| Kind \|.*\n\|[-|]+\n((?:\|.*\n)+)", GUIDE, re.MULTILINE)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    for above, row in pairwise(rows):
        row[0] = row[0] or above[0]
    (found,) = [row for row in rows if row[:2] == [kind, side.value]]
    return found[4], found[6]


def legs(kind: OrderKind, side: Side = Side.SELL, **changes: object) -> list[tuple[Leg, bool]]:
    """The legs of such an order, and whether each fires again whatever the price is."""
    amount = {"amount": SPENT} if side is Side.BUY else {}
    given = terms(kind, **{"side": side, **amount, **changes})
    order = order_of(OrderId("o1"), given, NOW)
    made = legs_of(order.id, given, ORDERS, price=Decimal(180), now=NOW)
    return [(leg, gets_out(order, leg)) for leg in made]


SINGLE = [kind for kind in OrderKind if kind not in (OrderKind.OCO, OrderKind.BRACKET)]


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("kind", SINGLE)
def test_a_row_of_the_guide_is_what_a_single_leg_does(kind: OrderKind, side: Side) -> None:
    ((leg, at_any_price),) = legs(kind, side)
    after = "fires again" if at_any_price else "fires again if it is still so"
    if isinstance(leg.rule, Trail) and not at_any_price:
        after = "begins anew"
    assert told(kind.value, side) == (str(leg.confirmations), after)


@pytest.mark.parametrize("side", list(Side))
def test_the_guide_tells_how_a_pair_is_looked_at(side: Side) -> None:
    pair = {leg.name: (str(leg.confirmations), at_any_price) for leg, at_any_price in legs(OrderKind.OCO, side)}
    looks, after = told("oco", side)
    sells = side is Side.SELL
    assert pair == {LegName.STOP: (looks, sells), LegName.TAKE: (looks, False)}
    again = "a stop fires again, a take-profit if it is still so" if sells else "fires again if it is still so"
    assert after == f"the other leg is watched again; {again}"


def test_the_guide_tells_how_the_legs_of_a_bracket_are_looked_at() -> None:
    (entry, at_any_price), *pair = legs(OrderKind.BRACKET, Side.BUY, entry=Decimal(170))
    (at_once, _), *_ = legs(OrderKind.BRACKET, Side.BUY)
    assert told("bracket: entry", Side.BUY)[0] == f"{entry.confirmations}; at once, {at_once.confirmations}"
    assert (told("bracket: entry", Side.BUY)[1], at_any_price) == ("fires again if it is still so", False)
    assert {str(leg.confirmations) for leg, _ in pair} == {told("bracket: exits", Side.SELL)[0]}
