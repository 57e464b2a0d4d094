"""Orders that the desk places, and looks at a market in memory for them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from sniperforge.domain.ids import IntentId, OrderId
from sniperforge.domain.money import Mint
from sniperforge.errors import QueueUnavailableError
from sniperforge.ports.queue import PlanId, Queue
from sniperforge.trading.order_desk import OrderDesk
from sniperforge.trading.order_manager import LookResult, OrderManager
from sniperforge.trading.order_terms import Side
from sniperforge.trading.price_watch import PriceWatch
from tests.fakes.order_world import OrderWorld
from tests.fakes.trading_orders import JUP, OWNER, USDC
from tests.fakes.trading_world import PRICES


class Bell:
    """`ports.queue.TaskQueue` that remembers who was rung for."""

    def __init__(self) -> None:
        self.rung: list[IntentId] = []
        self.is_away = False

    def ring_trade(self, intent: IntentId) -> None:
        """Heard, unless it is away."""
        if self.is_away:
            raise QueueUnavailableError("Redis does not answer", subject="redis_url")
        self.rung.append(intent)

    def ring_plan(self, plan: PlanId) -> None:
        """Nobody rings for plans here."""
        raise AssertionError(plan)

    def depths(self) -> dict[Queue, int]:
        """Nothing waits."""
        return {}


class Market(OrderWorld):
    """Orders placed by the desk; Jupiter's prices are what the manager sees."""

    def __init__(self, *, jup: int = 1_000_000_000) -> None:
        super().__init__(jup=jup)
        self.bell = Bell()
        self.every = timedelta(seconds=1)
        self._ids = count(1)

    @property
    def manager(self) -> OrderManager:
        """Another worker."""
        watch = PriceWatch(store=self.store, exchange=self.exchange, chain=self.chain, clock=self.clock, policy=PRICES)
        desk = OrderDesk(
            store=self.store,
            clock=self.clock,
            tokens=self.tokens,
            watch=watch,
            policy=self.policy,
            new_id=lambda: OrderId(f"o{next(self._ids)}"),
            check_every=lambda _: timedelta(seconds=1),
        )
        return OrderManager(
            store=self.store,
            clock=self.clock,
            desk=desk,
            watch=watch,
            firing=self.firing,
            queue=self.bell,
            check_every=lambda _: self.every,
        )

    def terms(self, **changes: Any) -> dict[str, Any]:
        """Of an order that sells all JUP."""
        given = {"wallet": OWNER, "base_mint": JUP, "quote_mint": USDC, "side": Side.SELL}
        return {**given, **changes}

    def look(self, usd: str | None = None, *, mint: Mint = JUP) -> LookResult:
        """A second passes, the market may move, and somebody looks."""
        self.pass_time(seconds=1)
        if usd is not None:
            self.exchange.usd[mint] = self.usd[mint] = Decimal(usd)
            self.publish()
        return self.manager.monitor_orders()

    def decided(self, *prices: str) -> list[IntentId]:
        """A look at each of these prices, and the trades that were decided."""
        return [intent for usd in prices for intent in self.look(usd).decided]
