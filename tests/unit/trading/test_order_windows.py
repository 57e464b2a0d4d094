"""Orders whose windows of time are changed: an end that came with a window goes with it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sniperforge.domain.order import Crossing, Order, OrderKind
from sniperforge.domain.time_window import Once
from sniperforge.errors import InvalidInputError
from tests.fakes.desk_world import DeskWorld
from tests.fakes.order_terms import above

MINUTE = timedelta(minutes=1)


@pytest.fixture
def world() -> DeskWorld:
    return DeskWorld()


def into(world: DeskWorld, begins: int, ends: int) -> Crossing:
    """Into a window that begins and ends so many minutes from now."""
    now = world.clock.now()
    return Crossing.into(Once(now + begins * MINUTE, now + ends * MINUTE))


def in_a_window(world: DeskWorld) -> Order:
    """A sale at 220 or more within ten minutes."""
    order = world.place(OrderKind.CONDITIONAL, conditions=(above("220"), into(world, 0, 10)))
    assert world.order(order).expires_at == world.clock.now() + 10 * MINUTE
    return order


@pytest.mark.parametrize(("begins", "ends"), [(0, 60), (20, 30), (2, 5)])
def test_an_order_ends_with_the_window_that_it_is_given_instead(world: DeskWorld, begins: int, ends: int) -> None:
    order = in_a_window(world)
    world.edit(order, conditions=(above("220"), into(world, begins, ends)))
    assert world.order(order).expires_at == world.clock.now() + ends * MINUTE


def test_an_order_without_its_window_has_no_end(world: DeskWorld) -> None:
    order = in_a_window(world)
    world.edit(order, conditions=(above("220"),))
    assert world.order(order).expires_at is None


def test_a_window_that_is_not_needed_any_more_ends_no_order(world: DeskWorld) -> None:
    order = in_a_window(world)
    world.edit(order, needs_all=False)
    assert world.order(order).expires_at is None


def test_an_end_that_a_person_gave_stays_where_it_comes_before_that_of_the_window(world: DeskWorld) -> None:
    window, ends = into(world, 0, 10), world.clock.now() + 5 * MINUTE
    order = world.place(OrderKind.CONDITIONAL, conditions=(above("220"), window), expires_at=ends)
    world.edit(order, conditions=(above("230"), into(world, 0, 60)))
    assert world.order(order).expires_at == ends


def test_where_any_is_enough_a_window_that_is_over_hinders_no_change(world: DeskWorld) -> None:
    given = {"needs_all": False, "conditions": (above("220"), into(world, 5, 10))}
    order = world.place(OrderKind.CONDITIONAL, **given)
    world.clock.advance(11 * MINUTE)
    ends = world.clock.now() + 60 * MINUTE
    world.edit(order, expires_at=ends, confirmations=3)
    assert world.order(order).expires_at == ends


def test_no_window_that_is_over_is_given_to_an_order(world: DeskWorld) -> None:
    order = world.place(OrderKind.CONDITIONAL, needs_all=False, conditions=(above("220"), into(world, 5, 10)))
    over = into(world, 1, 2)
    world.clock.advance(11 * MINUTE)
    with pytest.raises(InvalidInputError, match="it is over"):
        world.edit(order, conditions=(above("220"), over))


def test_all_are_not_wanted_of_windows_of_which_one_is_over(world: DeskWorld) -> None:
    order = world.place(OrderKind.CONDITIONAL, needs_all=False, conditions=(above("220"), into(world, 5, 10)))
    world.clock.advance(11 * MINUTE)
    with pytest.raises(InvalidInputError, match="it is over"):
        world.edit(order, needs_all=True)
