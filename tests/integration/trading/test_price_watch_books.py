"""Looks written down in real databases, beside the real book of triggers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fakes.price_world import HOUR, JUP_USD, SOL_IN_AN_HOUR, SOL_IN_JUP, SOL_USD, PriceWorld
from tests.fakes.stores import empty_store
from tests.fakes.trading_orders import SOL


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PriceWorld]:
    with empty_store(request.param, tmp_path) as store:
        yield PriceWorld(store)


def test_what_is_missing_is_told_once_and_once_when_it_is_back(world: PriceWorld) -> None:
    world.wait_for(SOL_USD, JUP_USD, SOL_IN_JUP)
    usd = world.market.usd.pop(SOL)
    for _ in range(3):
        world.look(SOL_USD, JUP_USD, SOL_IN_JUP)
    world.market.usd[SOL] = usd
    for _ in range(3):
        world.look(SOL_USD, JUP_USD, SOL_IN_JUP)
    told = [(event.kind, event.facts["subject"]) for event in world.events()]
    assert told == [
        ("price.missing", SOL_USD),
        ("price.missing", SOL_IN_JUP),
        ("price.back", SOL_USD),
        ("price.back", SOL_IN_JUP),
    ]


def test_a_jump_is_believed_at_the_second_look_and_a_change_is_told_from_an_hour_ago(world: PriceWorld) -> None:
    world.wait_for(SOL_IN_AN_HOUR)
    world.look(SOL_IN_AN_HOUR)
    world.passes(HOUR - timedelta(seconds=1))
    world.market.usd[SOL] = Decimal("360.5")
    assert world.problem(SOL_IN_AN_HOUR).startswith("jumped: ")
    world.passes(timedelta(seconds=1))
    assert world.value(SOL_IN_AN_HOUR) == 2
