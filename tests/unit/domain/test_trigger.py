"""Triggers: what may be asked for, and where the level of a trail is."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.ids import TriggerId
from sniperforge.domain.prices import MAX_PRICE, MIN_PRICE, price_from_key, price_key
from sniperforge.domain.trigger import (
    TRAIL_BPS_MOST,
    Direction,
    Subject,
    Trigger,
    is_crossed,
    trail_level,
    widest_crossed,
)
from sniperforge.errors import InvalidInputError

anywhere = st.integers(0, price_key(MAX_PRICE)).map(price_from_key)
directions = st.sampled_from(Direction)
widths = st.integers(1, TRAIL_BPS_MOST)


@st.composite
def near_by(draw: st.DrawFn) -> tuple[Decimal, Decimal]:
    """Two prices, often so near to each other that the last digits decide."""
    first = draw(anywhere)
    key = price_key(first) + draw(st.integers(-50, 50))
    near = price_from_key(min(max(key, 0), price_key(MAX_PRICE)))
    return first, draw(st.sampled_from((near, draw(anywhere))))


def a_trigger(**fields: Any) -> Trigger:
    usual = {"id": TriggerId("o1:main:0"), "subject": Subject("SOL"), "direction": Direction.DOWN, "confirmations": 1}
    return Trigger(**{**usual, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"level": Decimal(1), "trail_bps": 100, "best": Decimal(1)},
        {"level": Decimal(1), "best": Decimal(1)},
        {"trail_bps": 100},
        {"trail_amount": Decimal(1), "trail_bps": 100, "best": Decimal(1)},
        {"trail_bps": 0, "best": Decimal(1)},
        {"trail_bps": 9_001, "best": Decimal(1)},
        {"trail_amount": Decimal(0), "best": Decimal(1)},
        {"trail_bps": 100, "best": Decimal(-1)},
        {"level": Decimal("1.23456789012345678")},
        {"level": Decimal(1), "confirmations": 0},
    ],
)
def test_what_is_no_trigger_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        a_trigger(**fields)


def test_the_level_of_a_trail_is_behind_the_best_value() -> None:
    best = Decimal(200)
    assert trail_level(Direction.DOWN, best, bps=1_000, amount=None) == 180
    assert trail_level(Direction.UP, best, bps=1_000, amount=None) == 220
    assert trail_level(Direction.DOWN, best, bps=None, amount=Decimal(3)) == 197
    assert trail_level(Direction.UP, best, bps=None, amount=Decimal(3)) == 203


def test_a_level_that_no_price_can_reach_is_none() -> None:
    assert trail_level(Direction.DOWN, Decimal(1), bps=None, amount=Decimal(1)) is None
    assert trail_level(Direction.DOWN, MIN_PRICE, bps=1, amount=None) is None
    assert trail_level(Direction.UP, MAX_PRICE, bps=1, amount=None) is None
    assert not is_crossed(Direction.UP, MAX_PRICE, None)


def test_a_level_is_exact_beyond_the_digits_that_python_calculates_with_by_default() -> None:
    down, up = Decimal("1.0000000000000001E-7"), Decimal("1.0000000000000001E-9")
    assert trail_level(Direction.DOWN, Decimal("1E+9"), bps=None, amount=down) == Decimal("999999999.99999989")
    assert trail_level(Direction.UP, Decimal(99999999), bps=None, amount=up) == Decimal("99999999.000000002")


@given(direction=directions, best=anywhere, bps=widths)
def test_a_level_is_never_nearer_than_was_asked_for(direction: Direction, best: Decimal, bps: int) -> None:
    level = trail_level(direction, best, bps=bps, amount=None)
    if level is not None:
        with localcontext() as context:
            context.prec = 80
            away = best - level if direction is Direction.DOWN else level - best
            assert away * 10_000 >= best * bps


@given(direction=directions, pair=near_by(), bps=widths)
def test_exactly_the_trails_up_to_the_widest_share_are_crossed(
    direction: Direction, pair: tuple[Decimal, Decimal], bps: int
) -> None:
    best, value = pair
    widest, _ = widest_crossed(direction, best, value)
    for width in {bps, widest, widest + 1, widest - 1}:
        if 1 <= width <= TRAIL_BPS_MOST:
            level = trail_level(direction, best, bps=width, amount=None)
            assert is_crossed(direction, value, level) == (width <= widest)


@given(direction=directions, pair=near_by(), amount=anywhere)
def test_exactly_the_trails_up_to_the_widest_amount_are_crossed(
    direction: Direction, pair: tuple[Decimal, Decimal], amount: Decimal
) -> None:
    best, value = pair
    _, widest = widest_crossed(direction, best, value)
    edge = [] if widest is None else [price_key(widest) + step for step in (-1, 0, 1)]
    for width in (amount, *(price_from_key(key) for key in edge if 0 <= key <= price_key(MAX_PRICE))):
        level = trail_level(direction, best, bps=None, amount=width)
        assert is_crossed(direction, value, level) == (widest is not None and width <= widest)
