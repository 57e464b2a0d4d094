"""Orders follow trades on paper as they follow those on chain."""

from __future__ import annotations

from typing import Any

import pytest

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.order import Amount, AmountKind
from tests.fakes.order_world import OrderWorld
from tests.fakes.paper_world import PaperWorld
from tests.fakes.trading_orders import JUP, USDC

BUYS: dict[str, Any] = {
    "effect": ExposureEffect.ENTRY,
    "input_mint": USDC,
    "output_mint": JUP,
    "reduce_only": False,
    "amount": Amount(AmountKind.QUOTE, 50_000_000),
}


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
