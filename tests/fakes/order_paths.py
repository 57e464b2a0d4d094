"""Any path of the market, whatever happens to orders and their trades, beside the same by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sniperforge.domain.ids import IntentId, order_of_key
from sniperforge.domain.money import Mint
from sniperforge.domain.order import Crossing, LegName, LegState, OrderKind
from sniperforge.domain.trigger import Subject, TriggerState
from sniperforge.errors import InvalidInputError, RateLimitedError
from sniperforge.ports.records import Asset
from sniperforge.ports.store import Store
from sniperforge.trading.order_firing import Firing
from sniperforge.trading.order_manager import LookResult, OrderManager
from tests.fakes.desk_world import DeskWorld, opening
from tests.fakes.drawn_orders import conditions, counts, minutes, missing_or_price, numbers, prices, trails, wanted
from tests.fakes.naive_legs import RATIO, AtOnce, Behind, Level, Several, Waits
from tests.fakes.naive_orders import Fired, NaiveOrder, NaiveOrders, can_be_placed
from tests.fakes.order_terms import JUP, SOL, terms
from tests.fakes.plan_world import CountedBells
from tests.fakes.small_groups import SmallGroups
from tests.fakes.store import FakeStore
from tests.fakes.trading_market import Points

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_AS_RATIOS_ARE_TOLD = Context(prec=17)


class OrderPaths(RuleBasedStateMachine):
    """One wallet, a desk, a manager, and the scan beside them."""

    address: str | None
    """Of books in a database; None for books in memory."""

    @initialize(given=st.lists(wanted(), min_size=4, max_size=8))
    def begin(self, given: list[dict[str, Any]]) -> None:
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
        self.start_again()
        self.create(given)

    def teardown(self) -> None:
        if hasattr(self, "world") and self.books is not None:
            self.books.close()

    # ---- what people do
    @rule(given=st.lists(wanted(), min_size=2, max_size=5))
    def create(self, given: list[dict[str, Any]]) -> None:
        for one in given:
            self._create(one)

    def _create(self, given: dict[str, Any]) -> None:
        times = {name: self._after(given[name]) for name in ("expires_at", "active_from")}
        changes = {**given, **times, "force": True}
        kind = changes.pop("kind")
        wanted = terms(kind, **changes)
        if not can_be_placed(wanted, self.values):
            assert not self._is_done(lambda: self.world.place(kind, **changes))
            return
        order = self.world.place(kind, **changes)
        self.scan.create(order.id, wanted, self.values, self.world.clock.now())

    @rule(number=numbers, field=st.sampled_from(("trigger", "stop_loss", "take_profit", "activation")), level=prices)
    def edit_level(self, number: int, field: str, level: Decimal) -> None:
        kinds = {"trigger": (OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT), "activation": (OrderKind.TRAILING_STOP,)}
        self._edit(number, {field: level}, *kinds.get(field, (OrderKind.OCO,)))

    @rule(number=numbers, trail=trails)
    def edit_trail(self, number: int, trail: dict[str, Any]) -> None:
        self._edit(number, trail, OrderKind.TRAILING_STOP)

    @rule(number=numbers, conditions=conditions, needs_all=st.booleans())
    def edit_conditions(self, number: int, conditions: tuple[Crossing, ...], needs_all: bool) -> None:  # noqa: FBT001
        self._edit(number, {"conditions": conditions, "needs_all": needs_all}, OrderKind.CONDITIONAL)

    @rule(number=numbers, needs_all=st.booleans())
    def edit_how_many_conditions(self, number: int, needs_all: bool) -> None:  # noqa: FBT001
        self._edit(number, {"needs_all": needs_all}, OrderKind.CONDITIONAL)

    @rule(number=numbers)
    def follow_from_now_on(self, number: int) -> None:
        self._edit(number, {"activation": None}, OrderKind.TRAILING_STOP)

    @rule(number=numbers, confirmations=counts)
    def edit_count(self, number: int, confirmations: int) -> None:
        self._edit(number, {"confirmations": confirmations}, *OrderKind)

    @rule(number=numbers, ends=minutes)
    def edit_end(self, number: int, ends: int | None) -> None:
        self._edit(number, {"expires_at": self._after(ends)}, *OrderKind)

    def _edit(self, number: int, given: dict[str, Any], *kinds: OrderKind) -> None:
        order = self._one(number, *kinds)
        if order is None:
            return
        expected = self.scan.edit(order, given, self.values, self.world.clock.now())
        desk = self.world.desk
        assert self._is_done(lambda: desk.edit(desk.draft_edit(order.id, {**given, "force": True}))) == expected

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        order = self._one(number, *OrderKind)
        if order is not None:
            expected = self.scan.cancel(order)
            assert self._is_done(lambda: self.manager.cancel(order.id, by="a test")) == expected

    # ---- what happens
    @rule(path=st.lists(st.tuples(missing_or_price, missing_or_price), min_size=2, max_size=6))
    def walk(self, path: list[tuple[Decimal | None, Decimal | None]]) -> None:
        for sol, jup in path:
            self._look({SOL: sol, JUP: jup})

    @rule(
        start=st.integers(88, 112).map(Decimal),
        step=st.integers(-4, 4),
        turn=st.integers(-4, 4),
        looks=st.integers(2, 4),
    )
    def run_and_turn(self, start: Decimal, step: int, turn: int, looks: int) -> None:
        path = [start + step * number for number in range(looks)]
        path += [path[-1] + turn * number for number in range(1, looks + 1)]
        for value in path:
            self._look({SOL: value, JUP: self.prices.get(JUP)})

    @rule(price=st.integers(95, 105).map(Decimal), away=st.sampled_from((-8, -4, 4, 8)), looks=st.integers(1, 4))
    def see_one_bad_print(self, price: Decimal, away: int, looks: int) -> None:
        """It fires nothing that wants two in a row, and no trail follows it."""
        for value in (price, price, price + away, *[price] * looks):
            self._look({SOL: value, JUP: value})

    @rule(number=numbers, looks=st.integers(1, 9), lapse=st.integers(0, 9), otherwise=st.tuples(prices, prices))
    def meet_conditions(self, number: int, looks: int, lapse: int, otherwise: tuple[Decimal, Decimal]) -> None:
        """All of them hold for a while, but perhaps at one look."""
        order = self._one(number, OrderKind.CONDITIONAL)
        met = None if order is None else _prices_of(order.legs[0].waits)
        for look in range(looks if met is not None else 0):
            sol, jup = met if met is not None and look != lapse else otherwise
            self._look({SOL: sol, JUP: jup})

    @rule(number=numbers, first=st.integers(0, 2), looks=st.integers(1, 3))
    def meet_conditions_one_by_one(self, number: int, first: int, looks: int) -> None:
        """Each of them holds for a while, and no other does where prices can tell them apart."""
        order = self._one(number, OrderKind.CONDITIONAL)
        if order is None:
            return
        assert isinstance(order.legs[0].waits, Several)
        levels = order.legs[0].waits.levels
        for place in range(first, first + len(levels)):
            one = levels[place % len(levels)]
            sol, jup = _prices_of(one, among=levels) or (Decimal(100), Decimal(100))
            for _ in range(looks):
                self._look({SOL: sol, JUP: jup})

    @rule(number=numbers, trail=trails, best=st.integers(1, 12), turn=st.integers(1, 6))
    def change_a_trail_behind_its_best(self, number: int, trail: dict[str, Any], best: int, turn: int) -> None:
        """The market goes its way and comes back, then the trail is changed, and the market comes back farther."""
        order = self._one(number, OrderKind.TRAILING_STOP)
        if order is None:
            return
        trails = order.legs[0].waits
        assert isinstance(trails, Behind)
        away, back = (best, turn) if trails.down else (-best, -turn)
        for value in map(Decimal, (100, 100 + away, 100 + away, 100 + away - 1)):
            self._look({SOL: value, JUP: value})
        self._edit(number, trail, OrderKind.TRAILING_STOP)
        for value in (Decimal(100 + away - part * back) for part in (1, 1, 1, 2, 2, 2)):
            self._look({SOL: value, JUP: value})

    @rule(number=numbers, price=prices)
    def look_when_its_time_is_over(self, number: int, price: Decimal) -> None:
        ends = [order.terms.expires_at for order in self.scan.orders if order.terms.expires_at is not None]
        if ends and (at := ends[-1 - number % len(ends)] - SECOND) > self.world.clock.now():
            self.world.clock.advance(at - self.world.clock.now())
            self._look({SOL: price, JUP: price})

    @rule(number=numbers, by=st.sampled_from((0, 11)))
    def know_no_price_for_a_while(self, number: int, by: int) -> None:
        """Its level is reached, then there is no price, and nothing can be changed; then it is reached still."""
        order = self._one(number, *OrderKind)
        if order is None:
            return
        at = _prices_at(order.legs[0].waits)
        self._look(at)
        self._look({SOL: None, JUP: None})
        self._edit(number, {"expires_at": self._after(30)}, *OrderKind)
        self.world.clock.advance(by * MINUTE)
        for _ in range(2):
            self._look(at)

    @rule()
    def look_at_the_same_print(self) -> None:
        self.world.exchange.slot -= 1
        self._look({SOL: self.prices.get(SOL), JUP: self.prices.get(JUP)})

    @rule()
    def find_no_room_in_the_budget(self) -> None:
        self.world.clock.advance(SECOND)
        now = self.world.clock.now()
        self.scan.expire(now)
        if self.scan.is_asked(now):
            self.world.exchange.fail("prices", RateLimitedError("no room", subject="main"))
            with pytest.raises(RateLimitedError):
                self.manager.monitor_orders()

    @rule(by=st.sampled_from((1, 3, 9, 10, 11)))
    def pass_time(self, by: int) -> None:
        self.world.clock.advance(by * MINUTE - SECOND)

    @rule()
    def start_again(self) -> None:
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

    @rule(limit=st.integers(1, 50))
    def compact(self, limit: int) -> None:
        self.manager.compact(limit)

    def _look(self, prices: dict[Mint, Decimal | None]) -> None:
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
        return values_of(self.prices.get(SOL), self.prices.get(JUP))

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

    def _one(self, number: int, *kinds: OrderKind) -> NaiveOrder | None:
        """One of the newest of these kinds."""
        orders = [order for order in self.scan.orders if order.kind in kinds]
        return orders[-1 - number % len(orders)] if orders else None

    def _after(self, minutes: int | None) -> Any:
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
        if not hasattr(self, "manager"):
            return
        expected = {one.id: (one.state, {leg.name: leg.state for leg in one.legs}) for one in self.scan.orders}
        with self.world.store.read() as books:
            orders = [books.orders.get(one.id) for one in self.scan.orders]
            found = {
                one.id: (one.state, {leg.name: leg.state for leg in books.orders.legs(one.id)})
                for one in orders
                if one is not None
            }
        assert found == expected


def _prices_at(waits: Waits) -> dict[Mint, Decimal | None]:
    """Prices at which what a leg waits for is so, where there are any."""
    met = _prices_of(waits)
    sol, jup = met if met is not None else (Decimal(100), Decimal(100))
    return {SOL: sol, JUP: jup}


def _prices_of(waits: Waits, among: Sequence[Level] = ()) -> tuple[Decimal, Decimal] | None:
    """A price of SOL and one of JUP at which this is so, and as few of the others as can be."""
    if isinstance(waits, Behind):
        level = waits.activation or Decimal(100)
        return level, level
    levels = among or (waits.levels if isinstance(waits, Several) else () if isinstance(waits, AtOnce) else (waits,))
    told = [Decimal(price) for price in (100, 88, 112)] + [one.level for one in levels if one.subject != RATIO]
    ratios = [Decimal(1)] + [one.level for one in levels if one.subject == RATIO]
    tried = [(sol, jup) for sol in told for jup in told]
    tried += [(sol, _AS_RATIOS_ARE_TOLD.divide(sol, ratio)) for sol in told for ratio in ratios]
    met = [pair for pair in tried if waits.holds(values_of(*pair))]
    return min(met, key=lambda pair: sum(one.holds(values_of(*pair)) for one in among), default=None)


def values_of(sol: Decimal | None, jup: Decimal | None) -> dict[Subject, Decimal]:
    """Of everything that has one at these prices."""
    found = {Subject(mint): price for mint, price in ((SOL, sol), (JUP, jup)) if price is not None}
    if sol is not None and jup is not None:
        found[RATIO] = _AS_RATIOS_ARE_TOLD.divide(sol, jup)
    return found
