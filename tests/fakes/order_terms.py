"""Terms of orders with nothing wrong, every field of which a test may say otherwise, and the market that they meet."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.domain.order import Amount, AmountKind, Crossing, OrderKind
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.domain.watching import Watching
from sniperforge.trading.executor_policy import ExecutorPolicy
from sniperforge.trading.order_market import Market
from sniperforge.trading.order_terms import OrderTerms, Side
from tests.fakes.records import USDC, WALLET
from tests.fakes.trading_world import POLICY

SOL = WSOL_MINT
JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
DECIMALS = {SOL: 9, USDC: 6, JUP: 6}
SOLD = Amount(AmountKind.BASE, 1_000_000_000)
SPENT = Amount(AmountKind.QUOTE, 100_000_000)

ORDERS: ExecutorPolicy = POLICY
"""Entries within 100 bps, exits within 300, widened to 1000; trades wait 20 minutes."""

_LEVELS: Mapping[OrderKind, dict[str, Any]] = {
    OrderKind.STOP_LOSS: {"trigger": Decimal(140)},
    OrderKind.TAKE_PROFIT: {"trigger": Decimal(220)},
    OrderKind.TRAILING_STOP: {"trail_bps": 500},
    OrderKind.CONDITIONAL: {"conditions": ()},
    OrderKind.OCO: {"stop_loss": Decimal(140), "take_profit": Decimal(220)},
    OrderKind.BRACKET: {"stop_loss": Decimal(140), "take_profit": Decimal(220), "side": Side.BUY, "amount": SPENT},
}


def above(level: str, mint: Mint = SOL, *, per: Mint | None = None, over: int | None = None) -> Crossing:
    """At or above a level."""
    return Crossing(subject=_subject(mint, per, over), direction=Direction.UP, level=Decimal(level))


def below(level: str, mint: Mint = SOL, *, per: Mint | None = None, over: int | None = None) -> Crossing:
    """At or below a level."""
    return Crossing(subject=_subject(mint, per, over), direction=Direction.DOWN, level=Decimal(level))


def terms(kind: OrderKind = OrderKind.STOP_LOSS, /, **changes: Any) -> OrderTerms:
    """An order for SOL that a market at 180 does not fire."""
    given: dict[str, Any] = {
        "kind": kind,
        "wallet": WALLET,
        "base_mint": SOL,
        "quote_mint": USDC,
        "side": Side.SELL,
        **_LEVELS[kind],
        **changes,
    }
    if kind is OrderKind.CONDITIONAL and not given["conditions"] and "conditions" not in changes:
        given["conditions"] = (above("220"),)
    return OrderTerms(**given)


def a_market(price: str = "180", *, free: int = 10_000_000_000, **missing: str) -> Market:
    """SOL at a price, JUP at half a dollar, 10 SOL held; subjects by name that have no value."""
    values = {Subject(SOL): Decimal(price), Subject(USDC): Decimal(1), Subject(JUP): Decimal("0.5")}
    return Market(
        values={subject: value for subject, value in values.items() if subject not in missing},
        missing={Subject(subject): why for subject, why in missing.items()},
        watched=tuple(values),
        free_raw=free,
        decimals=DECIMALS,
    )


def _subject(mint: Mint, per: Mint | None, over: int | None) -> Subject:
    return Watching(mint, per=per, lookback_s=over).subject
