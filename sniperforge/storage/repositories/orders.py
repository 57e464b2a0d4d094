"""Orders and their legs. Listings find open ones by indexes that hold no others, however many are closed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, or_, text, update

from sniperforge.domain.ids import OrderId
from sniperforge.domain.money import Address
from sniperforge.domain.order import (
    LEG_TRANSITIONS,
    LIVE_LEG_STATES,
    ORDER_TRANSITIONS,
    Leg,
    LegName,
    LegState,
    Order,
    OrderState,
)
from sniperforge.errors import InvalidInputError
from sniperforge.ports.orders import LEG_CHANGES, ORDER_CHANGES
from sniperforge.storage import tables
from sniperforge.storage.repositories.base import Transaction, VersionedRows

_AFTER_ALL = "\U0010ffff"
"""The last character there is: an id that begins like another text is before that text with this one added."""

_order, _leg = tables.orders.c, tables.order_legs.c


class SqlOrders:
    """`ports.orders.Orders`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._orders = _Orders(transaction)
        self._legs = _Legs(transaction)

    def add(self, order: Order, legs: Sequence[Leg]) -> None:
        """Write a new order, whole."""
        if not legs or any(leg.order_id != order.id for leg in legs):
            self._transaction.must_write()
            self._transaction.fail(InvalidInputError("an order comes with its own legs, all at once", subject=order.id))
        self._orders.add(order)
        self._legs.add(legs, order_is_open=order.state is OrderState.OPEN)

    def get(self, order: OrderId) -> Order | None:
        """The order, or None."""
        return self._orders.get(order)

    def legs(self, order: OrderId) -> tuple[Leg, ...]:
        """By name."""
        return self._legs.of_order(order)

    def leg(self, order: OrderId, name: LegName) -> Leg | None:
        """One leg, or None."""
        return self._legs.get(order, name)

    def lock(self, order: OrderId) -> Order | None:
        """The order, unchanged by others until the end; its legs too, for whoever changes one locks their order."""
        return self._orders.lock(order)

    def change(self, order: Order, *, at: datetime, state: OrderState | None = None, **fields: Any) -> Order:
        """Compare-and-set."""
        changed = self._orders.change(order, at=at, state=state, **fields)
        if state is not None:
            self._legs.close(order.id)  # no state leads back to OPEN
        return changed

    def change_leg(self, leg: Leg, *, at: datetime, state: LegState | None = None, **fields: Any) -> Leg:
        """Compare-and-set, with the order locked."""
        self._orders.lock(leg.order_id)
        return self._legs.change(leg, at=at, state=state, **fields)

    def open(self, limit: int, *, wallet: Address | None = None, after: OrderId | None = None) -> tuple[Order, ...]:
        """By id."""
        return self._orders.open(limit, wallet, after)

    def recent(self, limit: int) -> tuple[Order, ...]:
        """Newest first."""
        return self._orders.recent(limit)

    def starting_with(self, prefix: str, limit: int) -> tuple[Order, ...]:
        """By the beginning of the id."""
        return self._orders.starting_with(prefix, limit)

    def in_leg_state(self, state: LegState, limit: int) -> tuple[Leg, ...]:
        """Longest unchanged first."""
        return self._legs.in_state(state, limit)

    def to_fire_again(self, now: datetime, limit: int) -> tuple[Leg, ...]:
        """Longest due first."""
        return self._legs.to_fire_again(now, limit)

    def to_wake(self, now: datetime, limit: int) -> tuple[Leg, ...]:
        """Longest due first."""
        return self._legs.to_wake(now, limit)

    def expiring(self, now: datetime, limit: int) -> tuple[Order, ...]:
        """Longest due first."""
        return self._orders.expiring(now, limit)


class _Orders(VersionedRows[Order]):
    table = tables.orders
    record = Order
    changeable = ORDER_CHANGES | {"updated_at"}
    transitions = ORDER_TRANSITIONS

    def add(self, order: Order) -> None:
        self._insert([order])

    def get(self, order: OrderId) -> Order | None:
        return self._one(id=order)

    def lock(self, order: OrderId) -> Order | None:
        return self._locked(id=order)

    def change(self, order: Order, *, at: datetime, state: OrderState | None, **fields: Any) -> Order:
        return self._change(order, state, {**fields, "updated_at": at})

    def open(self, limit: int, wallet: Address | None, after: OrderId | None) -> tuple[Order, ...]:
        values = {"wallet": wallet, "after": after, "limit": limit}
        given = {name: value for name, value in values.items() if value is not None}
        return self._asked(_OPEN[wallet is not None, after is not None], given)

    def recent(self, limit: int) -> tuple[Order, ...]:
        return self._asked(_RECENT, {"limit": limit})

    def starting_with(self, prefix: str, limit: int) -> tuple[Order, ...]:
        return self._asked(_STARTING_WITH, {"first": prefix, "end": prefix + _AFTER_ALL, "limit": limit})

    def expiring(self, now: datetime, limit: int) -> tuple[Order, ...]:
        return self._asked(_EXPIRING, {"now": now, "limit": limit})


class _Legs(VersionedRows[Leg]):
    table = tables.order_legs
    record = Leg
    changeable = LEG_CHANGES | {"updated_at"}
    transitions = LEG_TRANSITIONS
    _close = update(table).where(table.c.order_id == bindparam("of_order"), text(tables.LEG_OF_OPEN_ORDER))

    def add(self, legs: Sequence[Leg], *, order_is_open: bool) -> None:
        self._transaction.must_write()
        rows = [{**self._values(leg), "order_is_open": order_is_open} for leg in legs]
        self._transaction.write(self.insertion, rows)

    def get(self, order: OrderId, name: LegName) -> Leg | None:
        return self._one(order_id=order, name=name)

    def of_order(self, order: OrderId) -> tuple[Leg, ...]:
        return self._with("name", order_id=order)

    def change(self, leg: Leg, *, at: datetime, state: LegState | None, **fields: Any) -> Leg:
        return self._change(leg, state, {**fields, "updated_at": at})

    def close(self, order: OrderId) -> None:
        self._transaction.write(self._close, [{"order_is_open": False, "of_order": order}])

    def in_state(self, state: LegState, limit: int) -> tuple[Leg, ...]:
        return self._asked(_IN_STATE, {"state": state, "limit": limit})

    def to_fire_again(self, now: datetime, limit: int) -> tuple[Leg, ...]:
        return self._asked(_TO_FIRE_AGAIN, {"now": now, "limit": limit})

    def to_wake(self, now: datetime, limit: int) -> tuple[Leg, ...]:
        return self._asked(_TO_WAKE, {"now": now, "limit": limit})


def _listing(query: Select[Any], where: str, *more: ColumnElement[bool], order: Sequence[Any]) -> Select[Any]:
    """The first rows of an index; `where` in its own words, or the database would not see that it holds them all."""
    return query.where(text(where), *more).order_by(*order).limit(bindparam("limit"))


def _open(*, of_wallet: bool, after: bool) -> Select[Any]:
    only = (_order.wallet == bindparam("wallet"),) if of_wallet else ()
    behind = (_order.id > bindparam("after"),) if after else ()
    return _listing(_Orders.query, tables.OPEN_ORDER, *only, *behind, order=(_order.id,))


_OPEN = {
    (of_wallet, after): _open(of_wallet=of_wallet, after=after)
    for of_wallet in (True, False)
    for after in (True, False)
}
_RECENT = _Orders.query.order_by(_order.created_at.desc(), _order.id.desc()).limit(bindparam("limit"))
_STARTING_WITH = (
    _Orders.query.where(_order.id >= bindparam("first"), _order.id < bindparam("end"))
    .order_by(_order.id)
    .limit(bindparam("limit"))
)
_EXPIRING = _listing(
    _Orders.query,
    tables.EXPIRING_ORDER,
    _order.expires_at <= bindparam("now"),
    ~exists().where(_leg.order_id == _order.id, or_(*(_leg.state == state for state in sorted(LIVE_LEG_STATES)))),
    order=(_order.expires_at, _order.id),
)
_IN_STATE = _listing(
    _Legs.query,
    tables.LEG_OF_OPEN_ORDER,
    _leg.state == bindparam("state"),
    order=(_leg.updated_at, _leg.order_id, _leg.name),
)
_TO_FIRE_AGAIN = _listing(
    _Legs.query,
    tables.LEG_TO_FIRE_AGAIN,
    _leg.refire_at <= bindparam("now"),
    order=(_leg.refire_at, _leg.order_id, _leg.name),
)
_TO_WAKE = _listing(
    _Legs.query,
    tables.LEG_TO_WAKE,
    _leg.active_from <= bindparam("now"),
    order=(_leg.active_from, _leg.order_id, _leg.name),
)
