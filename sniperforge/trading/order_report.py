"""One order as the books tell it: what it waits for and how far that is, whether it can fire, what came of its firings.

Everything is read in one transaction of the books and nothing is asked of the network, so it can be told at any time:
values and distances are those of the last look that checked the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sniperforge.domain.ids import OrderId, leg_of_trigger, order_key
from sniperforge.domain.intent import TradeIntent
from sniperforge.domain.order import Leg, LegName, LegState, Order, OrderState
from sniperforge.domain.time_window import is_window
from sniperforge.domain.trigger import Subject, TriggerState
from sniperforge.ports.records import WalletRecord
from sniperforge.ports.store import Books, Store
from sniperforge.ports.triggers import TriggerView, WatchedSubject
from sniperforge.trading.controls import stop_reason
from sniperforge.trading.short_ids import find_only

TRADES_SHOWN = 10
"""Of each leg, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerReport:
    """Something that a leg waits for.

    Attributes:
        view: The trigger as it stands.
        value: What is watched, as it was at the last look; None before the first.
        seen_at: When that was.
        problem: Why there has been no value since then; None while there is.
        problem_since: Since when the order is not checked.
    """

    view: TriggerView
    value: Decimal | None
    seen_at: datetime | None
    problem: str | None
    problem_since: datetime | None

    @property
    def percent(self) -> Decimal | None:
        """From the value to the level, as a share of the value: negative when the level is below; not of a window."""
        if self.value is None or self.view.level is None or is_window(self.view.trigger.subject):
            return None
        return (self.view.level - self.value) / self.value * 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LegReport:
    """A leg and everything that belongs to it.

    Attributes:
        triggers: What it waits for now, in their order; none while it waits for nothing.
        trades: What its firings decided, oldest first, the newest `TRADES_SHOWN`.
        stopped: Why nothing would be signed for it now, None if something may.
    """

    leg: Leg
    triggers: tuple[TriggerReport, ...]
    trades: tuple[TradeIntent, ...]
    stopped: str | None

    @property
    def is_armed(self) -> bool:
        """Whether it can fire at the next look."""
        return self.leg.state is LegState.ARMED and any(
            one.view.state is not TriggerState.HELD for one in self.triggers
        )

    @property
    def standing(self) -> str:
        """Whether it can fire, and why not, in words."""
        told = f"{self._told()}: {self.leg.reason}" if self.leg.reason else self._told()
        return told if self.stopped is None else f"{told}; nothing would be signed: {self.stopped}"

    def _told(self) -> str:
        leg = self.leg
        match leg.state:
            case LegState.ARMED:
                return self._armed()
            case LegState.DORMANT if leg.active_from is not None:
                return (
                    f"not armed yet: watched from {leg.active_from:%Y-%m-%d %H:%M:%S} UTC on, once its prices are known"
                )
            case LegState.DORMANT:
                return "not armed: its entry has not filled"
            case LegState.SUSPENDED:
                return "not armed: the trade of the other leg is under way"
            case LegState.FIRED:
                return f"fired: trade {leg.intent_id} is under way"
            case LegState.WAITING:
                when = "soon" if leg.refire_at is None else f"at {leg.refire_at:%H:%M:%S} UTC"
                return f"fires again {when}"
            case LegState.FILLED:
                return f"filled by trade {leg.intent_id}"
            case LegState.CANCELLED:
                return "ended"

    def _armed(self) -> str:
        fired = [one.view for one in self.triggers if one.view.state is TriggerState.FIRED]
        crossed = [one.view for one in self.triggers if one.view.state is TriggerState.CROSSED]
        if fired:
            return "armed: its trigger fired, and its trade is about to be decided"
        if crossed:
            counted = max(crossed, key=lambda view: view.counted)
            return f"armed: beyond its level for {counted.counted} of {counted.trigger.confirmations} prices in a row"
        return "armed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """An order and its legs."""

    order: Order
    wallet: WalletRecord | None
    legs: tuple[LegReport, ...]

    @property
    def under_way(self) -> tuple[TradeIntent, ...]:
        """Trades that may still decide how the order ends: not ended, or landed and not final."""
        if self.order.state is not OrderState.OPEN:
            return ()
        # An entry that filled decides nothing any more: its exits do.
        live = [
            one
            for one in self.legs
            if one.leg.state is LegState.FIRED
            or (one.leg.state is LegState.FILLED and one.leg.name is not LegName.ENTRY)
        ]
        return tuple(trade for one in live for trade in one.trades if trade.id == one.leg.intent_id)

    @property
    def unchecked(self) -> TriggerReport | None:
        """The trigger that has not been checked for longest, if there is any: a price that is missing is no price."""
        silent = [one for leg in self.legs for one in leg.triggers if one.problem_since is not None]
        return min(silent, key=lambda one: (one.problem_since, one.view.trigger.id), default=None)


def find_order(books: Books, id_or_prefix: str) -> Order:
    """The order with this id, or with the only id that begins so.

    Raises:
        InvalidInputError: There is none, there are several, or the prefix is too short to mean one.
    """
    return find_only(id_or_prefix, books.orders.starting_with, noun="order", listed_by="sniperforge order-list --all")


def read_order(store: Store, id_or_prefix: str) -> OrderReport:
    """The report of one order.

    Raises:
        InvalidInputError: As `find_order`.
    """
    with store.read() as books:
        order = find_order(books, id_or_prefix)
        return _report(books, order, {one.subject: one for one in books.triggers.watched()})


def read_orders(store: Store, limit: int, *, ended: bool = False) -> tuple[OrderReport, ...]:
    """Reports of orders, newest first.

    Args:
        store: The books.
        limit: How many.
        ended: Those that have ended as well.
    """
    with store.read() as books:
        orders = books.orders.recent(limit) if ended else books.orders.open(limit)
        newest = sorted(orders, key=lambda one: (one.created_at, one.id), reverse=True)
        watched = {one.subject: one for one in books.triggers.watched()}
        return tuple(_report(books, order, watched) for order in newest)


def _report(books: Books, order: Order, watched: Mapping[Subject, WatchedSubject]) -> OrderReport:
    views = books.triggers.of_order(order.id)
    return OrderReport(
        order=order,
        wallet=books.wallets.get(order.wallet),
        legs=tuple(
            LegReport(
                leg=leg,
                triggers=tuple(
                    _trigger(view, watched.get(view.trigger.subject))
                    for view in views
                    if leg_of_trigger(view.trigger.id)[1] == leg.name
                ),
                trades=_trades(books, order.id, leg),
                stopped=stop_reason(books, order.wallet, leg.effect) if order.state is OrderState.OPEN else None,
            )
            for leg in books.orders.legs(order.id)
        ),
    )


def _trigger(view: TriggerView, watched: WatchedSubject | None) -> TriggerReport:
    return TriggerReport(
        view=view,
        value=watched.value if watched else None,
        seen_at=watched.seen_at if watched else None,
        problem=watched.problem if watched else None,
        problem_since=watched.problem_since if watched else None,
    )


def _trades(books: Books, order: OrderId, leg: Leg) -> tuple[TradeIntent, ...]:
    firings = range(max(0, leg.firings - TRADES_SHOWN), leg.firings)
    found = [books.intents.get_by_key(order_key(order, leg.name, firing)) for firing in firings]
    return tuple(trade for trade in found if trade is not None)
