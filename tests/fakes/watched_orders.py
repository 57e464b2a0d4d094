"""Orders in books of any kind and the same orders by hand: whatever is done, is done to both and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant

from sniperforge.domain.ids import IntentId, order_of_key
from sniperforge.domain.money import Mint
from sniperforge.domain.order import Crossing, Leg, LegName, LegState, OrderKind
from sniperforge.domain.trigger import Subject, TriggerState
from sniperforge.errors import InvalidInputError
from sniperforge.ports.records import Asset
from sniperforge.ports.store import Store
from sniperforge.trading.order_firing import Firing
from sniperforge.trading.order_manager import LookResult, OrderManager
from tests.fakes.desk_world import DeskWorld, opening
from tests.fakes.ended_trades import EndedTrades
from tests.fakes.naive_legs import NaiveLeg, Several, Waits
from tests.fakes.naive_orders import Fired, NaiveOrder, NaiveOrders
from tests.fakes.naive_windows import MINUTE
from tests.fakes.order_terms import JUP, SOL, terms
from tests.fakes.plan_world import CountedBells
from tests.fakes.prices_where import prices_at, values_of, windows_in
from tests.fakes.small_groups import SmallGroups
from tests.fakes.store import FakeStore
from tests.fakes.trading_market import Points

LOOKS_TO_FIRE = 4
"""As many as any order wants in a row, and one that a trail follows from."""

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


class WatchedOrders(RuleBasedStateMachine):
    """One wallet, a desk, a manager, and the scan beside them."""

    address: str | None = None
    """Of books in a database; None for books in memory."""

    def open_books(self, given: Iterable[dict[str, Any]]) -> None:
        """Everything anew."""
        self.books = None if self.address is None else SmallGroups(self.address)
        if self.books is not None:
            self.books.empty()
        store: Store = FakeStore() if self.books is None else self.books
        self.world = DeskWorld(store)
        self.prices = {SOL: Decimal(100), JUP: Decimal(100)}
        self.world.exchange.usd.update(self.prices)
        with store.write() as books:
            books.ledger.add([opening(Asset(JUP), 10**9)])
        self.scan = NaiveOrders()
        self.trades = EndedTrades(self.world)
        self.open_again()
        for one in given:
            self.place(one)

    def teardown(self) -> None:
        if hasattr(self, "world") and self.books is not None:
            self.books.close()

    def place(self, given: dict[str, Any]) -> None:
        """As a person does, here and there, its times in minutes from now."""
        times = {name: self.after(given[name]) for name in ("expires_at", "active_from")}
        changes = {**self._told_now(given), **times, "force": True}
        kind = changes.pop("kind")
        wanted = terms(kind, **changes)
        if not self.scan.can_be_placed(wanted, self.values, self.world.clock.now()):
            assert not self._is_done(lambda: self.world.place(kind, **changes))
            return
        order = self.world.place(kind, **changes)
        self.scan.create(order.id, wanted, self.values, self.world.clock.now())

    def edit(self, number: int, given: dict[str, Any], *kinds: OrderKind) -> None:
        """Change one of these kinds, here and there, if there is any."""
        order = self.one_of(number, *kinds)
        if order is None:
            return
        given = self._told_now(given)
        expected = self.scan.edit(order, given, self.values, self.world.clock.now())
        desk = self.world.desk
        assert self._is_done(lambda: desk.edit(desk.draft_edit(order.id, {**given, "force": True}))) == expected

    def _told_now(self, given: dict[str, Any]) -> dict[str, Any]:
        """What is asked for, its windows of time told from now."""
        if "conditions" not in given:
            return given
        now, asked = self.world.clock.now(), given["conditions"]
        told = [one if isinstance(one, Crossing) else self.scan.calendar.crossing(one, now) for one in asked]
        return {**given, "conditions": tuple(told)}

    def end(self, order: NaiveOrder) -> None:
        """As a person does, here and there."""
        expected = self.scan.cancel(order)
        assert self._is_done(lambda: self.manager.cancel(order.id, by="a test")) == expected

    def open_again(self) -> None:
        """As a new process does."""
        if self.books is not None:
            self.books.close()
            self.books.open_again()
        world = self.world
        self.manager = OrderManager(
            store=world.store,
            clock=world.clock,
            desk=world.desk,
            watch=world.watch,
            firing=Firing(store=world.store, tokens=world.tokens, policy=world.policy),
            queue=CountedBells(Points()),
            check_every=lambda _: SECOND,
        )

    def look(self, prices: dict[Mint, Decimal | None]) -> None:
        """A second later: what fires is what the scan says."""
        self.world.clock.advance(SECOND)
        self.prices = {mint: price for mint, price in prices.items() if price is not None}
        for mint in prices:
            self.world.exchange.usd.pop(mint, None)
        self.world.exchange.usd.update(self.prices)
        self.world.chain.head_slot = self.world.exchange.slot
        result = self.manager.monitor_orders()
        expected = self.scan.look(self.values, self.world.exchange.slot, self.world.clock.now())
        fired = self._fired(result)
        assert expected.allows(fired), (sorted(fired), expected)
        self.scan.decide(fired)
        self._follow_what_takes_turns()
        assert not result.left or len(self.prices) < len(prices)

    @property
    def values(self) -> dict[Subject, Decimal]:
        """Of everything that has one."""
        by_the_clock = self.scan.calendar.values(self.world.clock.now())
        return values_of(self.prices.get(SOL), self.prices.get(JUP)) | by_the_clock

    def _fired(self, result: LookResult) -> dict[Fired, IntentId]:
        with self.world.store.read() as books:
            found = [books.intents.get(one) for one in result.decided]
        keys = [(order_of_key(one.key), one.id) for one in found if one is not None]
        fired = {(key[0], LegName(key[1])): trade for key, trade in keys if key is not None}
        assert len(fired) == len(result.decided)
        return fired

    def _follow_what_takes_turns(self) -> None:
        """What waits for all of several and lacks a price: whether it is watched still is the product's own."""
        for order, leg in self.scan.taking_turns():
            with self.world.store.read() as books:
                found = books.orders.leg(order.id, leg.name)
                views = books.triggers.of_order(order.id)
            assert found is not None
            asked = {view.trigger.subject for view in views if view.state is not TriggerState.FIRED}
            leg.unasked = frozenset(set(leg.waits.subjects) - asked)
            assert not leg.unasked or not set(leg.waits.subjects) <= self.values.keys()
            if found.state is LegState.DORMANT:
                leg.state, leg.active_from = found.state, found.active_from

    def one_of(self, number: int, *kinds: OrderKind) -> NaiveOrder | None:
        """One of the newest of these kinds."""
        orders = [order for order in self.scan.orders if order.kind in kinds]
        return orders[-1 - number % len(orders)] if orders else None

    def with_a_trade(self, number: int, *, is_made: bool = False) -> tuple[NaiveOrder, NaiveLeg, IntentId] | None:
        """One that fired: of the newest, or one that fires when the market goes there."""
        if not is_made:
            found = self.with_trades(LegState.FIRED)
            return found[-1 - number % len(found)] if found else None
        idle = [leg for order in self.scan.open() for leg in order.legs if leg.state is LegState.ARMED]
        if not idle:
            return None
        leg = idle[-1 - number % len(idle)]
        self.wait_for(leg.waits)
        for _ in range(LOOKS_TO_FIRE):
            self.look(prices_at(leg.waits))
        return next((one for one in self.with_trades(LegState.FIRED) if one[1] is leg), None)

    def with_trades(self, state: LegState) -> list[tuple[NaiveOrder, NaiveLeg, IntentId]]:
        """Trades that are decided, or that landed and are not final."""
        return [
            (order, leg, leg.trade)
            for order in self.scan.orders
            for leg in order.legs
            if leg.state is state and not leg.is_final and leg.trade is not None
        ]

    def pass_its_time(self, order: NaiveOrder) -> None:
        """Until the order is over, if it ends by itself."""
        ends, now = order.terms.expires_at, self.world.clock.now()
        if ends is not None and ends > now:
            self.world.clock.advance(ends - now)

    def wait_for(self, waits: Waits) -> None:
        """Until the next look finds the windows open that it waits for: all of them, or the first of any."""
        names, next_look = windows_in(waits), self.world.clock.now() + SECOND
        together = [names] if isinstance(waits, Several) and waits.needs_all else [[name] for name in names]
        opens = [self.scan.calendar.opens(some, next_look) for some in together if some]
        self.look_next_at(min((moment for moment in opens if moment is not None), default=next_look))

    def look_next_at(self, moment: datetime) -> None:
        """Let time pass until the next look is at this moment, if it has not passed."""
        self.world.clock.advance(max(timedelta(), moment - SECOND - self.world.clock.now()))

    def after(self, minutes: int | None) -> Any:
        """A time, or none."""
        return None if minutes is None else self.world.clock.now() + minutes * MINUTE

    @staticmethod
    def _is_done(act: Callable[[], object]) -> bool:
        """False where it is refused."""
        try:
            act()
        except InvalidInputError:
            return False
        return True

    # ---- what has to be true
    @invariant()
    def the_books_are_the_scans(self) -> None:
        """Every order and leg stands where it stands by hand."""
        if not hasattr(self, "manager"):
            return
        expected = {
            one.id: (one.state, one.terms.expires_at, one.cancel_wanted, _as_told(one.legs)) for one in self.scan.orders
        }
        with self.world.store.read() as books:
            orders = [books.orders.get(one.id) for one in self.scan.orders]
            found = {
                one.id: (
                    one.state,
                    one.expires_at,
                    one.cancel_requested_at is not None,
                    _as_told(books.orders.legs(one.id)),
                )
                for one in orders
                if one is not None
            }
        assert found == expected


def _as_told(legs: Sequence[NaiveLeg | Leg]) -> dict[LegName, tuple[Any, ...]]:
    """What is said of legs."""
    return {leg.name: (leg.state, leg.firings, leg.refire_at, leg.amount) for leg in legs}
