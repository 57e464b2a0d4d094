"""Orders in the books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sniperforge.domain.ids import OrderId
from sniperforge.domain.money import Address
from sniperforge.domain.order import Leg, LegName, LegState, Order, OrderState

ORDER_CHANGES = frozenset({"expires_at", "cancel_requested_at", "reason"})
"""Fields of an order that may change besides its state."""

LEG_CHANGES = frozenset(
    {
        "amount",
        "rule",
        "confirmations",
        "max_slippage_bps",
        "widen_to_bps",
        "deadline_s",
        "active_from",
        "firings",
        "intent_id",
        "fired_at",
        "fired_value",
        "gap_bps",
        "refire_at",
        "reason",
    }
)
"""Fields of a leg that may change besides its state."""


class Orders(Protocol):
    """Orders and their legs. An intent is locked before its order, never after; a new intent may be added under one."""

    def add(self, order: Order, legs: Sequence[Leg]) -> None:
        """Write a new order, whole.

        Raises:
            ConflictError: There is one with this id.
            InvalidInputError: Its wallet is not in the books.
        """
        ...

    def get(self, order: OrderId) -> Order | None:
        """The order, or None."""
        ...

    def legs(self, order: OrderId) -> tuple[Leg, ...]:
        """Its legs, by name."""
        ...

    def leg(self, order: OrderId, name: LegName) -> Leg | None:
        """One leg, or None."""
        ...

    def lock(self, order: OrderId) -> Order | None:
        """The order as it is now; it and its legs stay so until this transaction ends."""
        ...

    def change(self, order: Order, *, at: datetime, state: OrderState | None = None, **fields: Any) -> Order:
        """Compare-and-set; returns the new record.

        Raises:
            ConflictError: Somebody changed it since it was read.
            InvalidTransitionError: `ORDER_TRANSITIONS` does not list this change.
        """
        ...

    def change_leg(self, leg: Leg, *, at: datetime, state: LegState | None = None, **fields: Any) -> Leg:
        """Compare-and-set; returns the new record.

        Raises:
            ConflictError: Somebody changed it since it was read.
            InvalidTransitionError: `LEG_TRANSITIONS` does not list this change.
        """
        ...

    def open(self, limit: int, *, wallet: Address | None = None, after: OrderId | None = None) -> tuple[Order, ...]:
        """OPEN orders by id, those after `after`."""
        ...

    def recent(self, limit: int) -> tuple[Order, ...]:
        """Newest first, whatever their state."""
        ...

    def starting_with(self, prefix: str, limit: int) -> tuple[Order, ...]:
        """Orders whose id begins so, by id: people type the first letters."""
        ...

    def in_leg_state(self, state: LegState, limit: int) -> tuple[Leg, ...]:
        """Legs of OPEN orders in this state, longest unchanged first."""
        ...

    def to_fire_again(self, now: datetime, limit: int) -> tuple[Leg, ...]:
        """WAITING legs of open orders whose `refire_at` has come, longest due first."""
        ...

    def to_wake(self, now: datetime, limit: int) -> tuple[Leg, ...]:
        """DORMANT legs of open orders whose `active_from` has come, longest due first."""
        ...

    def expiring(self, now: datetime, limit: int) -> tuple[Order, ...]:
        """OPEN orders whose `expires_at` has come and that have no live leg, longest due first."""
        ...
