"""Orders, their legs and prices of a while ago in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sniperforge.domain.ids import OrderId
from sniperforge.domain.money import Address, Mint
from sniperforge.domain.order import (
    LEG_TRANSITIONS,
    LIVE_LEG_STATES,
    ORDER_TRANSITIONS,
    Condition,
    Leg,
    LegName,
    LegState,
    Order,
    OrderState,
    Rule,
)
from sniperforge.domain.prices import price_key
from sniperforge.errors import InvalidInputError
from sniperforge.ports.orders import LEG_CHANGES, ORDER_CHANGES
from sniperforge.ports.price_samples import PriceSample
from tests.fakes.store_tables import Part


class FakeOrders(Part):
    def add(self, order: Order, legs: Sequence[Leg]) -> None:
        self._transaction.must_write()
        if not legs or any(leg.order_id != order.id for leg in legs):
            self._transaction.fail(InvalidInputError("an order comes with its own legs", subject=order.id))
        self._transaction.refer(self._data.wallets, order.wallet)
        self._transaction.insert(self._data.orders, order.id, order)
        for leg in legs:
            self._transaction.refer(self._data.intents, leg.intent_id)
            self._must_be_exact(leg.rule)
            self._transaction.insert(self._data.legs, (leg.order_id, leg.name), leg)

    def get(self, order: OrderId) -> Order | None:
        found: Order | None = self._get(self._data.orders, order)
        return found

    def legs(self, order: OrderId) -> tuple[Leg, ...]:
        return self._rows(self._data.legs, lambda leg: leg.order_id == order, lambda leg: leg.name)

    def leg(self, order: OrderId, name: LegName) -> Leg | None:
        found: Leg | None = self._get(self._data.legs, (order, name))
        return found

    def lock(self, order: OrderId) -> Order | None:
        found: Order | None = self._lock(self._data.orders, order)
        return found

    def change(self, order: Order, *, at: datetime, state: OrderState | None = None, **changes: Any) -> Order:
        return self._transaction.change(
            self._data.orders,
            order.id,
            order,
            state,
            {**changes, "updated_at": at},
            ORDER_CHANGES | {"updated_at"},
            ORDER_TRANSITIONS,
        )

    def change_leg(self, leg: Leg, *, at: datetime, state: LegState | None = None, **changes: Any) -> Leg:
        self._transaction.refer(self._data.intents, changes.get("intent_id"))
        self._must_be_exact(changes.get("rule", leg.rule))
        return self._transaction.change(
            self._data.legs,
            (leg.order_id, leg.name),
            leg,
            state,
            {**changes, "updated_at": at},
            LEG_CHANGES | {"updated_at"},
            LEG_TRANSITIONS,
        )

    def open(self, limit: int, *, wallet: Address | None = None, after: OrderId | None = None) -> tuple[Order, ...]:
        return self._rows(
            self._data.orders,
            lambda order: (
                order.state is OrderState.OPEN
                and wallet in (None, order.wallet)
                and (after is None or order.id > after)
            ),
            lambda order: order.id,
            limit=limit,
        )

    def recent(self, limit: int) -> tuple[Order, ...]:
        return self._rows(
            self._data.orders, lambda _: True, lambda order: (order.created_at, order.id), limit=limit, reverse=True
        )

    def starting_with(self, prefix: str, limit: int) -> tuple[Order, ...]:
        return self._rows(
            self._data.orders, lambda order: order.id.startswith(prefix), lambda order: order.id, limit=limit
        )

    def in_leg_state(self, state: LegState, limit: int) -> tuple[Leg, ...]:
        return self._legs_of_open(lambda leg: leg.state is state, lambda leg: leg.updated_at, limit)

    def to_fire_again(self, now: datetime, limit: int) -> tuple[Leg, ...]:
        return self._legs_of_open(
            lambda leg: leg.state is LegState.WAITING and leg.refire_at is not None and leg.refire_at <= now,
            lambda leg: leg.refire_at,
            limit,
        )

    def to_wake(self, now: datetime, limit: int) -> tuple[Leg, ...]:
        return self._legs_of_open(
            lambda leg: leg.state is LegState.DORMANT and leg.active_from is not None and leg.active_from <= now,
            lambda leg: leg.active_from,
            limit,
        )

    def expiring(self, now: datetime, limit: int) -> tuple[Order, ...]:
        return self._rows(
            self._data.orders,
            lambda order: (
                order.state is OrderState.OPEN
                and order.expires_at is not None
                and order.expires_at <= now
                and not any(leg.state in LIVE_LEG_STATES for leg in self.legs(order.id))
            ),
            lambda order: (order.expires_at, order.id),
            limit=limit,
        )

    def _must_be_exact(self, rule: Rule) -> None:
        parts = rule.crossings if isinstance(rule, Condition) else (rule,)
        for value in (getattr(part, item.name) for part in parts for item in fields(part)):
            if isinstance(value, float) or (isinstance(value, Decimal) and not value.is_finite()):
                self._transaction.fail(InvalidInputError(f"{value!r} is not exact", subject="rule"))

    def _legs_of_open(
        self, where: Callable[[Leg], bool], moment: Callable[[Leg], datetime | None], limit: int
    ) -> tuple[Leg, ...]:
        return self._rows(
            self._data.legs,
            lambda leg: where(leg) and self._data.orders[leg.order_id].state is OrderState.OPEN,
            lambda leg: (moment(leg), leg.order_id, leg.name),
            limit=limit,
        )


class FakePriceSamples(Part):
    def add(self, usd: Mapping[Mint, Decimal], *, at: datetime) -> None:
        self._transaction.must_write()
        for mint, price in usd.items():
            try:
                price_key(price)
            except InvalidInputError as error:
                self._transaction.fail(error)
            if (mint, at) not in self._data.price_samples:
                self._transaction.insert(self._data.price_samples, (mint, at), PriceSample(mint=mint, at=at, usd=price))

    def before(self, mint: Mint, at: datetime, *, not_before: datetime) -> PriceSample | None:
        found = self._rows(
            self._data.price_samples,
            lambda sample: sample.mint == mint and not_before <= sample.at <= at,
            lambda sample: sample.at,
            limit=1,
            reverse=True,
        )
        return next(iter(found), None)

    def forget(self, before: datetime, limit: int) -> int:
        self._transaction.must_write()
        old = self._rows(
            self._data.price_samples,
            lambda sample: sample.at < before,
            lambda sample: (sample.at, sample.mint),
            limit=limit,
        )
        for sample in old:
            del self._data.price_samples[(sample.mint, sample.at)]
        return len(old)
