"""Positions: units add up exactly, cost leaves with what was sold."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.money import Address, Mint
from sniperforge.domain.portfolio import Position
from sniperforge.errors import InvalidInputError

EMPTY = Position(Address("w"), Mint("m"), 0, Decimal(0), Decimal(0))
units = st.integers(1, 10**15)
dollars = st.decimals(0, 10**9, places=6)


@given(st.lists(st.tuples(units, dollars), min_size=1, max_size=8), dollars)
def test_selling_everything_leaves_nothing_and_realises_the_difference(
    buys: list[tuple[int, Decimal]], proceeds: Decimal
) -> None:
    position = EMPTY
    for raw, cost in buys:
        position = position.bought(raw, cost)

    sold = position.sold(position.raw, proceeds)

    assert (sold.raw, sold.cost_usd) == (0, Decimal(0))
    assert sold.realised_usd == proceeds - sum(cost for _, cost in buys)


@given(units, dollars, st.data())
def test_a_part_sold_takes_its_share_of_the_cost(raw: int, cost: Decimal, data: st.DataObject) -> None:
    part = data.draw(st.integers(1, raw))

    sold = EMPTY.bought(raw, cost).sold(part, Decimal(0))

    assert sold.raw == raw - part
    assert sold.cost_usd - sold.realised_usd == cost
    assert abs(sold.cost_usd - cost * (raw - part) / raw) <= Decimal("1e-15")


def test_a_sale_above_cost_is_a_profit() -> None:
    sold = EMPTY.bought(10, Decimal(100)).sold(4, Decimal(50))

    assert (sold.raw, sold.cost_usd, sold.realised_usd) == (6, Decimal(60), Decimal(10))


@pytest.mark.parametrize("raw", [0, -1, 11])
def test_more_than_is_held_or_nothing_cannot_be_sold(raw: int) -> None:
    with pytest.raises(InvalidInputError):
        EMPTY.bought(10, Decimal(1)).sold(raw, Decimal(1))


@pytest.mark.parametrize(("raw", "cost"), [(0, "1"), (-1, "1"), (1, "-0.1")])
def test_nothing_or_a_negative_cost_cannot_be_bought(raw: int, cost: str) -> None:
    with pytest.raises(InvalidInputError):
        EMPTY.bought(raw, Decimal(cost))
