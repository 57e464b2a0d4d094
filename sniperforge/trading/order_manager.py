"""Orders that wait for the market: making them, and looking at it for them.

One look asks for the prices that open orders watch, once; hands each to the book of triggers in one commit; then
decides the trade of every leg whose trigger fired, one commit each. Any number of looks may go on at once: a print
counts once, a trigger fires once, a leg's firing has one key for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

from sniperforge.domain.ids import IntentId, OrderId, leg_of_trigger
from sniperforge.domain.order import LIVE_LEG_STATES, Leg, LegName, LegState, Order, OrderKind, OrderState
from sniperforge.domain.trigger import Subject
from sniperforge.errors import PriceUnavailableError, QueueUnavailableError, RetryableError, SniperForgeError
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Lane
from sniperforge.ports.queue import TaskQueue
from sniperforge.ports.records import Severity
from sniperforge.ports.store import Books, Store
from sniperforge.ports.triggers import TriggerView
from sniperforge.trading.order_arming import subjects_of
from sniperforge.trading.order_desk import OrderDesk
from sniperforge.trading.order_firing import Firing, converts
from sniperforge.trading.order_life import arm, end_idle_legs, tell
from sniperforge.trading.order_terms import OrderTerms
from sniperforge.trading.price_watch import SHORTEST_INTERVAL, Look, PriceWatch, note

AT_ONCE = 200
"""How many legs of each kind one look deals with; the next look finds the others."""

SILENT_AFTER = timedelta(seconds=30)
"""When looks have failed for so long, the books say that nothing is checked. One that fails says nothing by itself."""

WOKEN_AGAIN_AFTER = timedelta(seconds=10)
"""Between two tries to watch a leg whose prices are not known."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookResult:
    """What one look came to, for logs.

    Attributes:
        watched: Subjects that open orders watch.
        without_price: Those of them that had none.
        fired: Triggers that this look's prices fired.
        decided: Trades that were decided.
        left: Why some leg that is due could not be dealt with; the next look tries again.
    """

    watched: int = 0
    without_price: int = 0
    fired: int = 0
    decided: tuple[IntentId, ...] = ()
    left: tuple[str, ...] = ()


class OrderManager:
    """Makes orders, and fires them.

    Args:
        store: The books.
        clock: Time.
        desk: Checks and places orders.
        watch: What the watched things cost.
        firing: Decides trades.
        queue: Where bells ring.
        check_every: How often so many subjects can be looked at within the request budget.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        desk: OrderDesk,
        watch: PriceWatch,
        firing: Firing,
        queue: TaskQueue,
        check_every: Callable[[Sequence[Subject]], timedelta],
    ) -> None:
        self._store = store
        self._clock = clock
        self._desk = desk
        self._watch = watch
        self._firing = firing
        self._queue = queue
        self._check_every = check_every
        self._looked_at: float | None = None

    # ---- making orders

    def create_stop_loss(self, **terms: Any) -> Order:
        """Sell when the price falls to `trigger` (or buy when it rises to it). Terms: `order_terms.OrderTerms`.

        Raises:
            InvalidInputError: `problems` lists everything that is wrong.
        """
        return self.create(OrderTerms(kind=OrderKind.STOP_LOSS, **terms))

    def create_take_profit(self, **terms: Any) -> Order:
        """Sell when the price rises to `trigger` (or buy when it falls to it); as `create_stop_loss`."""
        return self.create(OrderTerms(kind=OrderKind.TAKE_PROFIT, **terms))

    def create_trailing_stop(self, **terms: Any) -> Order:
        """Sell when the price has fallen by so much from its best (or buy when it has risen); as `create_stop_loss`."""
        return self.create(OrderTerms(kind=OrderKind.TRAILING_STOP, **terms))

    def create_conditional(self, **terms: Any) -> Order:
        """Trade when all or any of several things are so; as `create_stop_loss`."""
        return self.create(OrderTerms(kind=OrderKind.CONDITIONAL, **terms))

    def create_oco(self, **terms: Any) -> Order:
        """A stop and a take-profit of which one ends the other; as `create_stop_loss`."""
        return self.create(OrderTerms(kind=OrderKind.OCO, **terms))

    def create_bracket(self, **terms: Any) -> Order:
        """Buy, then a stop and a take-profit for what that brought; as `create_stop_loss`."""
        return self.create(OrderTerms(kind=OrderKind.BRACKET, **terms))

    def create(self, terms: OrderTerms) -> Order:
        """Check and place an order, whole or not at all.

        Raises:
            InvalidInputError: `problems` lists everything that is wrong.
        """
        return self._desk.place(self._desk.draft(terms))

    def cancel(self, order: OrderId, *, by: str) -> Order:
        """Take it out of reach of its triggers, then end its trade; see `OrderDesk.cancel`.

        Raises:
            InvalidInputError: There is no such order, or it ended before.
            ConflictError: It keeps changing.
        """
        return self._desk.cancel(order, by=by)

    # ---- looking at the market

    def monitor_orders(self) -> LookResult:
        """One look: everything that is due by time or by price is dealt with, or tried again at the next look.

        Raises:
            RateLimitedError: There is no room for it in the request budget; nothing was asked.
            RetryableError: Prices or books cannot be reached; nothing is lost.
            CommitOutcomeUnknownError: The books may have committed; the next look finds out.
        """
        self._end_expired()
        with self._store.read() as books:
            watched = [one.subject for one in books.triggers.watched()]
            waking = books.orders.to_wake(self._clock.now(), AT_ONCE)
            again = books.orders.to_fire_again(self._clock.now(), AT_ONCE)
            before = books.triggers.fired(AT_ONCE)
            extra = self._extra_subjects(books, before, again)
        subjects = tuple(dict.fromkeys([*watched, *_subjects(waking), *extra]))
        if subjects and self._is_too_early(subjects):
            return LookResult()
        look = self._look(subjects) if subjects else None
        fired = self._tick(look) if look is not None else 0
        values = {} if look is None else {subject: seen.value for subject, seen in look.values.items()}
        with self._store.read() as books:
            views = books.triggers.fired(AT_ONCE)
        work = _Work()
        for leg in waking:
            work.do(self._wake, leg, values)
        for view in views:
            work.do(self._fire, view, values)
        for leg in again:
            work.do(self._fire_again, leg, values)
        return LookResult(
            watched=len(subjects),
            without_price=0 if look is None else len(look.problems),
            fired=fired,
            decided=tuple(work.decided),
            left=tuple(work.left),
        )

    def compact(self, limit: int) -> int:
        """Do some of what ticks left for later; returns how many rows, 0 when all is done."""
        with self._store.write() as books:
            return books.triggers.compact(limit)

    def _is_too_early(self, subjects: Sequence[Subject]) -> bool:
        """Whether the budget bears no look yet. Looks go before entries, so they have to keep to their share."""
        now, before = self._clock.monotonic(), self._looked_at
        # Beat's seconds are a little longer and shorter: half of one must not cost a whole one.
        every = self._check_every(subjects) - SHORTEST_INTERVAL / 2
        if before is not None and now - before < every.total_seconds():
            return True
        self._looked_at = now
        return False

    def _look(self, subjects: Sequence[Subject]) -> Look:
        try:
            return self._watch.look(subjects, lane=Lane.CONFIRMATION)
        except RetryableError as error:
            self._note_silence(error)
            raise

    def _note_silence(self, error: RetryableError) -> None:
        """Nobody answers, or the budget has no room: once that lasts, nothing is checked and the books say so."""
        now = self._clock.now()
        with self._store.read() as books:
            silent = {
                one.subject: f"unknown: {error}"
                for one in books.triggers.watched()
                if one.problem is None and (one.seen_at is None or now - one.seen_at > SILENT_AFTER)
            }
        if silent:
            with self._store.write() as books:
                note(books, Look(values={}, problems=silent, observed=()), now)

    def _tick(self, look: Look) -> int:
        now = self._clock.now()
        if look.problems:
            # By itself: each of the two locks its subjects in the order of their names, both together would not.
            with self._store.write() as books:
                note(books, look, now)
        with self._store.write() as books:
            if not look.problems:
                note(books, look, now)
            results = [
                books.triggers.tick(subject, seen.value, print_number=seen.print_number, at=seen.at)
                for subject, seen in sorted(look.values.items())
            ]
        return sum(result.fired for result in results)

    def _fire(self, view: TriggerView, values: Mapping[Subject, Decimal]) -> IntentId | None:
        return self._rung(self._firing.fire(view, values, self._clock.now()))

    def _fire_again(self, leg: Leg, values: Mapping[Subject, Decimal]) -> IntentId | None:
        return self._rung(self._firing.fire_again(leg, values, self._clock.now()))

    def _rung(self, intent: IntentId | None) -> IntentId | None:
        if intent is not None:
            with suppress(QueueUnavailableError):  # the trade is in the books, and the sweep rings for it
                self._queue.ring_trade(intent)
        return intent

    def _wake(self, leg: Leg, values: Mapping[Subject, Decimal]) -> None:
        now = self._clock.now()
        with self._store.write() as books:
            order = books.orders.lock(leg.order_id)
            current = books.orders.leg(leg.order_id, leg.name)
            if order is None or current is None or current.version != leg.version or order.state is not OrderState.OPEN:
                return
            try:
                armed = arm(books, current, values, now)
            except PriceUnavailableError as error:
                books.orders.change_leg(current, at=now, active_from=now + WOKEN_AGAIN_AFTER, reason=str(error))
                return
            tell(books, order, "order.armed", f"leg {leg.name} is watched from now on", now, leg=armed)

    def _end_expired(self) -> None:
        now = self._clock.now()
        with self._store.read() as books:
            late = books.orders.expiring(now, AT_ONCE)
        for order in late:
            with self._store.write() as books:
                current = books.orders.lock(order.id)
                if current is None or current.version != order.version:
                    continue
                legs = books.orders.legs(order.id)
                if any(leg.state in LIVE_LEG_STATES for leg in legs):
                    continue  # `follow` ends it with its trade; a bracket whose entry filled has no such time any more
                unfilled = [leg for leg in legs if leg.state is LegState.WAITING]
                told = "; ".join(
                    ["its time is over", *(f"leg {one.name} fired in vain: {one.reason}" for one in unfilled)]
                )
                end_idle_legs(books, order.id, now)
                ended = books.orders.change(current, at=now, state=OrderState.EXPIRED, reason=told)
                severity = Severity.WARNING if unfilled else Severity.INFO
                tell(books, ended, "order.expired", told, now, severity=severity)

    def _extra_subjects(self, books: Books, views: Sequence[TriggerView], again: Sequence[Leg]) -> list[Subject]:
        """What legs that fire now need besides: prices that turn an amount of one token into one of the other."""
        found = list[Subject]()
        for view in views:
            order_id, name, _ = leg_of_trigger(view.trigger.id)
            leg = books.orders.leg(order_id, LegName(name))
            if leg is not None:
                found += self._needed(books, leg)
        for leg in again:
            found += self._needed(books, leg)
        return found

    def _needed(self, books: Books, leg: Leg) -> Iterable[Subject]:
        order = books.orders.get(leg.order_id)
        if order is None or not converts(order, leg):
            return subjects_of(leg.rule)
        return (*subjects_of(leg.rule), Subject(leg.input_mint), Subject(leg.output_mint))


class _Work:
    """What one look decided, and what it left for the next."""

    def __init__(self) -> None:
        self.decided: list[IntentId] = []
        self.left: list[str] = []

    def do(self, what: Callable[[_T, Mapping[Subject, Decimal]], IntentId | None], one: _T, values: Any) -> None:
        """One leg. What goes wrong with it keeps no other from firing."""
        try:
            intent = what(one, values)
        except SniperForgeError as error:
            self.left.append(str(error))
            return
        if intent is not None:
            self.decided.append(intent)


def _subjects(legs: Sequence[Leg]) -> list[Subject]:
    return [subject for leg in legs for subject in subjects_of(leg.rule)]
