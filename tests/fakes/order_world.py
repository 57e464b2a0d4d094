"""A trading world with orders: legs are placed as the desk would, prices tick, real executors carry what fires."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from sniperforge.domain.ids import IntentId, OrderId
from sniperforge.domain.intent import ExposureEffect, IntentState
from sniperforge.domain.order import (
    ALL,
    Amount,
    AmountKind,
    Crossing,
    Leg,
    LegName,
    LegState,
    Order,
    OrderKind,
    OrderState,
)
from sniperforge.domain.trigger import Direction, Subject, TriggerState
from sniperforge.trading.order_arming import arming_of
from sniperforge.trading.order_firing import Firing
from sniperforge.trading.order_life import arm, cancel_order, put_into_book
from tests.fakes.trading_orders import JUP, OWNER, USDC
from tests.fakes.trading_world import TradingWorld

PRICE = Subject(JUP)
BELOW = Crossing(subject=PRICE, direction=Direction.DOWN, level=Decimal("0.4"))
ABOVE = Crossing(subject=PRICE, direction=Direction.UP, level=Decimal("0.7"))
BUYS: dict[str, Any] = {
    "effect": ExposureEffect.ENTRY,
    "input_mint": USDC,
    "output_mint": JUP,
    "reduce_only": False,
    "amount": Amount(AmountKind.QUOTE, 50_000_000),
}
"""What makes a leg buy for 50 USDC."""


class OrderWorld(TradingWorld):
    """One wallet that holds 1,000 JUP and 1,000 USDC."""

    def __init__(self, *, jup: int = 1_000_000_000, lamports: int = 5 * 10**9) -> None:
        super().__init__(jup=jup, lamports=lamports)
        self.prints = 0
        self.values: dict[Subject, Decimal] = {PRICE: Decimal("0.5"), Subject(USDC): Decimal(1)}

    @property
    def firing(self) -> Firing:
        """Another worker."""
        return Firing(store=self.store, tokens=self.tokens, policy=self.policy)

    # ---- placing

    def leg(self, name: LegName = LegName.MAIN, **changes: Any) -> Leg:
        """A stop that sells all."""
        given: dict[str, Any] = {
            "order_id": OrderId("o1"),
            "name": name,
            "state": LegState.ARMED,
            "effect": ExposureEffect.EXIT,
            "input_mint": JUP,
            "output_mint": USDC,
            "amount": ALL,
            "reduce_only": True,
            "rule": ABOVE if name is LegName.TAKE else BELOW,
            "confirmations": 1,
            "max_slippage_bps": 300,
            "widen_to_bps": None,
            "deadline_s": None,
            "active_from": None,
            "updated_at": self.clock.now(),
        }
        return Leg(**{**given, **changes})

    def place(self, *legs: Leg, order: str = "o1", **changes: Any) -> OrderId:
        """An order, whole, with its triggers."""
        now = self.clock.now()
        given: dict[str, Any] = {
            "id": OrderId(order),
            "wallet": OWNER,
            "kind": OrderKind.STOP_LOSS,
            "base_mint": JUP,
            "quote_mint": USDC,
            "state": OrderState.OPEN,
            "created_at": now,
            "updated_at": now,
        }
        with self.store.books.write() as books:
            books.orders.add(Order(**{**given, **changes}), legs)
            for leg in legs:
                if leg.state is LegState.ARMED:
                    put_into_book(books, arming_of(leg, self.values), now)
        return OrderId(order)

    def stop(self, order: str = "o1", **changes: Any) -> OrderId:
        """A stop-loss of one leg."""
        return self.place(self.leg(order_id=OrderId(order), **changes), order=order)

    def pair(self, order: str = "o1", **changes: Any) -> OrderId:
        """A stop and a take-profit that exclude each other."""
        legs = [self.leg(name, order_id=OrderId(order), **changes) for name in (LegName.STOP, LegName.TAKE)]
        return self.place(*legs, order=order, kind=OrderKind.OCO)

    def bracket(self, **changes: Any) -> OrderId:
        """Buys JUP for 100 USDC at 0.45 or less, then the pair."""
        later = {"state": LegState.DORMANT, "amount": Amount(AmountKind.FILLED, 0)}
        entry = self.leg(
            LegName.ENTRY,
            effect=ExposureEffect.ENTRY,
            input_mint=USDC,
            output_mint=JUP,
            amount=Amount(AmountKind.QUOTE, 100_000_000),
            reduce_only=False,
            max_slippage_bps=100,
            rule=Crossing(subject=PRICE, direction=Direction.DOWN, level=Decimal("0.45")),
        )
        legs = [entry, self.leg(LegName.STOP, **later), self.leg(LegName.TAKE, **later)]
        return self.place(*legs, kind=OrderKind.BRACKET, **changes)

    # ---- what happens

    def price(self, usd: str, *, subject: Subject = PRICE) -> list[IntentId]:
        """One print, and what it fires is decided."""
        self.values[subject] = Decimal(usd)
        self.prints += 1
        with self.store.books.write() as books:
            books.triggers.tick(subject, Decimal(usd), print_number=self.prints, at=self.clock.now())
        return self.fire()

    def fire(self) -> list[IntentId]:
        """Decide whatever fired."""
        with self.store.books.read() as books:
            fired = books.triggers.fired(100)
        found = [self.firing.fire(view, self.values, self.clock.now()) for view in fired]
        return [intent for intent in found if intent is not None]

    def fire_again(self) -> list[IntentId]:
        """Decide whatever is due again."""
        now = self.clock.now()
        with self.store.books.read() as books:
            due = books.orders.to_fire_again(now, 100)
        found = [self.firing.fire_again(leg, self.values, now) for leg in due]
        return [intent for intent in found if intent is not None]

    def wake(self) -> None:
        """Arm what is due."""
        now: datetime = self.clock.now()
        with self.store.books.write() as books:
            for leg in books.orders.to_wake(now, 100):
                arm(books, leg, self.values, now)

    def cancel_order(self, order: OrderId) -> Order:
        """As a person does."""
        with self.store.books.write() as books:
            return cancel_order(books, order, now=self.clock.now(), reason="a person said so")

    def confirm(self, intent: IntentId) -> None:
        """Carry a trade on until it is booked, provisionally."""
        self._carry(intent, lambda state: state is IntentState.FILLED)

    def lose_to_a_fork(self, intent: IntentId) -> None:
        """A fork takes the landing back, and that is noticed."""
        self.chain.holding = True
        self.chain.fork(31)
        self._carry(intent, lambda state: state is not IntentState.FILLED)
        self.chain.holding = False

    def entry_lost_while_its_stop_is_under_way(self) -> tuple[IntentId, IntentId]:
        """A bracket whose entry a fork takes back after its stop has fired; the two trades."""
        self.bracket()
        (entry,) = self.price("0.45")
        self.confirm(entry)
        (stop,) = self.price("0.3")
        self.lose_to_a_fork(entry)
        assert self.states() == {"order": "open", "entry": "fired", "stop": "fired", "take": "suspended"}
        assert self.intent(entry).cancel_requested_at is not None
        return entry, stop

    def _carry(self, intent: IntentId, until: Callable[[IntentState], bool]) -> None:
        executor = self.executor()
        for _ in range(200):
            if until(self.intent(intent).state):
                return
            self.clock.sleep(executor.advance(intent).wait.total_seconds())
        message = "nothing came of 200 rings"
        raise AssertionError(message)

    # ---- looking

    def order(self, order: str = "o1") -> Order:
        """As the books have it."""
        with self.store.books.read() as books:
            found = books.orders.get(OrderId(order))
        assert found is not None
        return found

    def legs(self, order: str = "o1") -> dict[LegName, Leg]:
        """As the books have them."""
        with self.store.books.read() as books:
            return {leg.name: leg for leg in books.orders.legs(OrderId(order))}

    def states(self, order: str = "o1") -> dict[str, str]:
        """Of the order and each leg."""
        return {"order": self.order(order).state.value} | {
            name.value: leg.state.value for name, leg in self.legs(order).items()
        }

    def armed(self, order: str = "o1") -> list[str]:
        """Triggers that can fire."""
        with self.store.books.read() as books:
            views = books.triggers.of_order(OrderId(order))
        return [view.trigger.id for view in views if view.state in (TriggerState.ARMED, TriggerState.CROSSED)]
