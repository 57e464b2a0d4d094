"""What clerks ask for: orders of every kind around the market of the moment, and changes of them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sniperforge.domain.money import Address, Mint
from sniperforge.domain.order import Amount, AmountKind, Condition, Crossing, Leg, Order, OrderKind, Trail
from sniperforge.domain.prices import rounded_price
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.domain.watching import Watching
from sniperforge.shared.tokens import USDC_MINT
from sniperforge.trading.order_terms import OrderTerms, Side
from tests.faults.world import JUP_MINT, SOL_MINT

_PAIRS = ((SOL_MINT, USDC_MINT), (SOL_MINT, USDC_MINT), (JUP_MINT, USDC_MINT), (JUP_MINT, SOL_MINT))
_RAW: Mapping[Mint, tuple[int, int]] = {
    SOL_MINT: (20_000_000, 200_000_000),
    JUP_MINT: (20_000_000, 200_000_000),
    USDC_MINT: (4_000_000, 40_000_000),
}
_LOOKBACK_S = 60


def terms_of(dice: random.Random, wallet: Address, values: Mapping[Subject, Decimal], now: datetime) -> OrderTerms:
    """An order of any kind, somewhere near these prices."""
    base, quote = dice.choice(_PAIRS)
    kind = dice.choice(tuple(OrderKind))
    side = Side.BUY if kind is OrderKind.BRACKET or dice.random() < 0.35 else Side.SELL
    price = values[Subject(base)]
    sells = side is Side.SELL or kind is OrderKind.BRACKET
    below, above = _near(dice, price, 0.94, 0.997), _near(dice, price, 1.003, 1.06)
    stop, take = (below, above) if sells else (above, below)
    given: dict[str, Any] = {}
    match kind:
        case OrderKind.STOP_LOSS:
            given["trigger"] = stop
        case OrderKind.TAKE_PROFIT:
            given["trigger"] = take
        case OrderKind.TRAILING_STOP:
            given |= _trail(dice, price, sells=sells)
        case OrderKind.CONDITIONAL:
            given |= {"conditions": _conditions(dice, base, values), "needs_all": dice.random() < 0.6}
        case OrderKind.OCO:
            given |= {"stop_loss": stop, "take_profit": take}
        case OrderKind.BRACKET:
            entry = _near(dice, price, 0.98, 1.02)
            given |= {"stop_loss": _near(dice, price, 0.93, 0.975), "take_profit": _near(dice, price, 1.025, 1.07)}
            if dice.random() < 0.5:
                given["entry"] = entry
    given |= {
        "amount": _amount(dice, side, base, quote),
        "slippage_bps": dice.choice((None, None, 250)) if side is Side.SELL else None,
        "confirmations": dice.choice((None, None, 1, 2, 3)),
        "expires_at": now + timedelta(seconds=dice.uniform(60, 800)) if dice.random() < 0.25 else None,
        "active_from": now + timedelta(seconds=dice.uniform(10, 50)) if dice.random() < 0.15 else None,
        "deadline_s": dice.randint(20, 200) if dice.random() < 0.3 else None,
        "force": dice.random() < 0.15,
    }
    if side is Side.SELL and dice.random() < 0.1:
        given["reduce_only"] = False
    return OrderTerms(kind=kind, wallet=wallet, base_mint=base, quote_mint=quote, side=side, **given)


def change_of(dice: random.Random, order: Order, legs: Sequence[Leg], now: datetime) -> dict[str, Any]:
    """Something else about an order."""
    given: dict[str, Any] = {"force": dice.random() < 0.5}
    kinds = ["expires_at", "confirmations", "amount", "level", "level"]
    match dice.choice(kinds):
        case "expires_at":
            given["expires_at"] = now + timedelta(seconds=dice.uniform(60, 800))
        case "confirmations":
            given["confirmations"] = dice.randint(1, 3)
        case "amount":
            side = Side.SELL if any(leg.input_mint == order.base_mint for leg in legs) else Side.BUY
            given["amount"] = _amount(dice, side, order.base_mint, order.quote_mint)
        case _:
            given |= _other_level(dice, order, legs)
    return given


def _other_level(dice: random.Random, order: Order, legs: Sequence[Leg]) -> dict[str, Any]:
    names = {"main": "trigger", "stop": "stop_loss", "take": "take_profit", "entry": "entry"}
    leg = dice.choice(list(legs))
    rule = leg.rule
    if isinstance(rule, Condition):
        return {"needs_all": not rule.needs_all}
    if isinstance(rule, Trail):
        return {"trail_bps": dice.randint(30, 400)}
    return {names[leg.name.value]: _near(dice, rule.level, 0.98, 1.02)}


def _trail(dice: random.Random, price: Decimal, *, sells: bool) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if dice.random() < 0.6:
        given["trail_bps"] = dice.randint(30, 500)
    else:
        given["trail_amount"] = _near(dice, price, 0.004, 0.04)
    if dice.random() < 0.4:
        given["activation"] = _near(dice, price, 1.002, 1.03) if sells else _near(dice, price, 0.97, 0.998)
    return given


def _conditions(dice: random.Random, base: Mint, values: Mapping[Subject, Decimal]) -> tuple[Crossing, ...]:
    sol, jup = values[Subject(SOL_MINT)], values[Subject(JUP_MINT)]
    known = {
        Watching(SOL_MINT).subject: sol,
        Watching(JUP_MINT).subject: jup,
        Watching(SOL_MINT, per=JUP_MINT).subject: sol / jup,
        Watching(base, lookback_s=_LOOKBACK_S).subject: Decimal(1),
    }
    found = []
    for subject in dice.sample(sorted(known), dice.choice((1, 2, 2, 3))):
        direction = dice.choice(tuple(Direction))
        least, most = (0.95, 1.005) if direction is Direction.DOWN else (0.995, 1.05)
        found.append(Crossing(subject=subject, direction=direction, level=_near(dice, known[subject], least, most)))
    return tuple(found)


def _amount(dice: random.Random, side: Side, base: Mint, quote: Mint) -> Amount | None:
    fate = dice.random()
    if side is Side.SELL and fate < 0.04:
        return None  # all of it
    if side is Side.SELL and fate < 0.4:
        return Amount(AmountKind.PERCENT, dice.randint(50, 800))
    kind, mint = dice.choice(((AmountKind.BASE, base), (AmountKind.QUOTE, quote)))
    return Amount(kind, dice.randint(*_RAW[mint]))


def _near(dice: random.Random, value: Decimal, least: float, most: float) -> Decimal:
    """This value, times something; six digits are enough for anybody."""
    return rounded_price(Decimal(f"{value * Decimal(str(round(dice.uniform(least, most), 5))):.6g}"))
