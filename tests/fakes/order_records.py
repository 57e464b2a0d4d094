"""Plausible orders, every field of which a test may say otherwise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sniperforge.domain.ids import OrderId
from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import WSOL_MINT
from sniperforge.domain.order import ALL, Crossing, Leg, LegName, LegState, Order, OrderKind, OrderState
from sniperforge.domain.trigger import Direction, Subject
from tests.fakes.clock import START
from tests.fakes.records import USDC, WALLET

BELOW_140 = Crossing(subject=Subject(WSOL_MINT), direction=Direction.DOWN, level=Decimal(140))


def an_order(name: str = "one", **changes: Any) -> Order:
    """An OPEN stop-loss on SOL."""
    given: dict[str, Any] = {
        "id": OrderId(f"o{name}"),
        "wallet": WALLET,
        "kind": OrderKind.STOP_LOSS,
        "base_mint": WSOL_MINT,
        "quote_mint": USDC,
        "state": OrderState.OPEN,
        "created_at": START,
        "updated_at": START,
    }
    return Order(**{**given, **changes})


def a_leg(order: str = "one", name: LegName = LegName.MAIN, **changes: Any) -> Leg:
    """An ARMED leg that sells all SOL below 140 dollars."""
    given: dict[str, Any] = {
        "order_id": OrderId(f"o{order}"),
        "name": name,
        "state": LegState.ARMED,
        "effect": ExposureEffect.EXIT,
        "input_mint": WSOL_MINT,
        "output_mint": USDC,
        "amount": ALL,
        "reduce_only": True,
        "rule": BELOW_140,
        "confirmations": 2,
        "max_slippage_bps": 300,
        "widen_to_bps": None,
        "deadline_s": None,
        "active_from": None,
        "updated_at": START,
    }
    return Leg(**{**given, **changes})
