"""Orders follow trades on paper as they follow those on chain."""

from __future__ import annotations

import pytest

from tests.fakes.order_world import BUYS, OrderWorld
from tests.fakes.paper_world import PaperWorld


class PaperOrders(PaperWorld, OrderWorld):
    """Orders of a wallet on paper."""


@pytest.fixture
def world() -> PaperOrders:
    return PaperOrders()


def test_an_order_is_filled_with_its_trade_on_paper(world: PaperOrders) -> None:
    world.stop(**BUYS)
    (intent,) = world.price("0.4")
    world.paper().run(intent)
    assert world.states() == {"order": "filled", "main": "filled"}


def test_an_order_fires_again_when_its_trade_on_paper_failed(world: PaperOrders) -> None:
    world.stop(**BUYS)
    (intent,) = world.price("0.4")
    world.pass_time(minutes=30)  # past its deadline
    world.paper().run(intent)
    assert world.states() == {"order": "open", "main": "waiting"}
