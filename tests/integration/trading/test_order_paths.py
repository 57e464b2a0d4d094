"""Any path of the market, whatever happens to the orders: what fires is what a scan by hand says, look by look.

The orders are made, changed and cancelled at the desk, and fired by the manager, on books of each kind; the scan has
them in a list. Groups of trails are made from the second trail on here, and compacted down to one, so that a few orders
go through all that a hundred thousand do. What fired goes no further: no trade is carried out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete

from sniperforge.domain.ids import order_of_key
from sniperforge.domain.money import Mint
from sniperforge.domain.order import Amount, AmountKind, LegName, OrderKind
from sniperforge.errors import InvalidInputError, RateLimitedError
from sniperforge.ports.records import Asset
from sniperforge.ports.store import Books, Store
from sniperforge.storage import tables
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.repositories.triggers import SqlTriggers
from sniperforge.storage.unit_of_work import SqlBooks, SqlStore
from sniperforge.trading.order_firing import Firing
from sniperforge.trading.order_manager import LookResult, OrderManager
from sniperforge.trading.order_terms import Side
from tests.fakes.desk_world import DeskWorld, opening
from tests.fakes.naive_orders import Fired, NaiveOrder, NaiveOrders
from tests.fakes.order_terms import JUP, SOL, terms
from tests.fakes.plan_world import CountedBells
from tests.fakes.store import FakeStore
from tests.fakes.stores import Database, migrated_engine
from tests.fakes.trading_market import Points

EXAMPLES = int(os.environ.get("SNIPERFORGE_TEST_EXAMPLES", "200")) // 5
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
GIVEN_BY = {
    Side.SELL: Amount(AmountKind.BASE, 1_000),
    Side.BUY: Amount(AmountKind.QUOTE, 1_000),
}
"""So little of what the wallet holds that no order is short of it."""

prices = st.one_of(
    st.integers(88, 112).map(Decimal),
    st.integers(88, 112).map(Decimal),
    st.sampled_from([Decimal("99.999999999999999"), Decimal("100.00000000000001"), Decimal("90.000000000000001")]),
)
missing_or_price = st.one_of(prices, prices, prices, st.none())
trails = st.one_of(
    st.sampled_from((1, 200, 500, 500, 1_000, 3_333)).map(lambda bps: {"trail_bps": bps}),
    st.sampled_from(("0.1", "3", "5", "10")).map(lambda amount: {"trail_amount": Decimal(amount)}),
)
counts = st.sampled_from((1, 2, 2, 3))
minutes = st.sampled_from((None, None, None, None, 1, 4, 12))
numbers = st.integers(0, 20)


@st.composite
def wanted(draw: st.DrawFn) -> dict[str, Any]:
    """Terms of an order, its times in minutes from now."""
    kinds = (
        OrderKind.STOP_LOSS,
        OrderKind.TAKE_PROFIT,
        OrderKind.TRAILING_STOP,
        OrderKind.TRAILING_STOP,
        OrderKind.OCO,
    )
    kind, side = draw(st.sampled_from(kinds)), draw(st.sampled_from(Side))
    given: dict[str, Any] = {
        "kind": kind,
        "side": side,
        "amount": GIVEN_BY[side],
        "base_mint": draw(st.sampled_from((SOL, SOL, JUP))),
        "confirmations": draw(counts),
        "expires_at": draw(minutes),
        "active_from": draw(minutes),
    }
    if given["expires_at"] is not None and given["active_from"] is not None:
        given["expires_at"] += given["active_from"]
    if kind is OrderKind.OCO:
        low, high = sorted(draw(st.lists(prices, min_size=2, max_size=2, unique=True)), reverse=side is Side.BUY)
        return given | {"stop_loss": low, "take_profit": high}
    if kind is OrderKind.TRAILING_STOP:
        return given | {"trail_bps": None, "activation": draw(st.one_of(st.none(), prices))} | draw(trails)
    return given | {"trigger": draw(prices)}


class SmallGroups:
    """Books in a database, the trails of which are grouped from the second on; `open_again` begins anew on them."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.open_again()

    def open_again(self) -> None:
        """As a new process does."""
        self._engine = create_engine_for(self._address)
        self._store = SqlStore(self._engine)

    def empty(self) -> None:
        """Take everything out."""
        with self._engine.begin() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                if table is not tables.system_state:
                    connection.execute(delete(table))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[SqlBooks]:
        """One transaction."""
        with self._store.write() as books:
            books.triggers = SqlTriggers(books.triggers._transaction, few=1, most_groups=1)
            yield books

    def read(self) -> AbstractContextManager[Books]:
        """One view."""
        return self._store.read()


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
        if given["base_mint"] not in self.prices:
            assert not self._is_done(lambda: self.world.place(kind, **changes))
            return
        order = self.world.place(kind, **changes)
        self.scan.create(order.id, terms(kind, **changes), self.prices, self.world.clock.now())

    @rule(number=numbers, field=st.sampled_from(("trigger", "stop_loss", "take_profit", "activation")), level=prices)
    def edit_level(self, number: int, field: str, level: Decimal) -> None:
        kinds = {"trigger": (OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT), "activation": (OrderKind.TRAILING_STOP,)}
        self._edit(number, {field: level}, *kinds.get(field, (OrderKind.OCO,)))

    @rule(number=numbers, trail=trails)
    def edit_trail(self, number: int, trail: dict[str, Any]) -> None:
        self._edit(number, trail, OrderKind.TRAILING_STOP)

    @rule(number=numbers)
    def follow_from_now_on(self, number: int) -> None:
        self._edit(number, {"activation": None}, OrderKind.TRAILING_STOP)

    @rule(number=numbers, confirmations=counts)
    def edit_count(self, number: int, confirmations: int) -> None:
        self._edit(number, {"confirmations": confirmations}, *(kind for kind in OrderKind if kind is not OrderKind.OCO))

    @rule(number=numbers, ends=minutes)
    def edit_end(self, number: int, ends: int | None) -> None:
        self._edit(number, {"expires_at": self._after(ends)}, *OrderKind)

    def _edit(self, number: int, given: dict[str, Any], *kinds: OrderKind) -> None:
        order = self._one(number, *kinds)
        if order is None:
            return
        expected = self.scan.edit(order, given, self.prices, self.world.clock.now())
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

    @rule(number=numbers, trail=trails, best=st.integers(1, 12), turn=st.integers(1, 6))
    def change_a_trail_behind_its_best(self, number: int, trail: dict[str, Any], best: int, turn: int) -> None:
        """The market goes its way and comes back, then the trail is changed, and the market comes back farther."""
        order = self._one(number, OrderKind.TRAILING_STOP)
        if order is None:
            return
        away = best if order.legs[0].down else -best
        back = turn if order.legs[0].down else -turn
        for value in map(Decimal, (100, 100 + away, 100 + away, 100 + away - 1)):
            self._look({SOL: value, JUP: value})
        self._edit(number, trail, OrderKind.TRAILING_STOP)
        for value in (Decimal(100 + away - part * back) for part in (1, 1, 1, 2, 2, 2)):
            self._look({SOL: value, JUP: value})

    @rule(number=numbers, price=prices)
    def look_when_its_time_is_over(self, number: int, price: Decimal) -> None:
        ends = [order.expires_at for order in self.scan.orders if order.expires_at is not None]
        if ends and (at := ends[-1 - number % len(ends)] - SECOND) > self.world.clock.now():
            self.world.clock.advance(at - self.world.clock.now())
            self._look({SOL: price, JUP: price})

    @rule(number=numbers, by=st.sampled_from((0, 11)))
    def know_no_price_for_a_while(self, number: int, by: int) -> None:
        """Its level is reached, then there is no price, and nothing can be changed; then it is reached still."""
        order = self._one(number, *OrderKind)
        if order is None:
            return
        leg = order.legs[0]
        level = leg.level or leg.activation or Decimal(100)
        self._look({SOL: level, JUP: level})
        self._look({SOL: None, JUP: None})
        self._edit(number, {"expires_at": self._after(30)}, *OrderKind)
        self.world.clock.advance(by * MINUTE)
        for _ in range(2):
            self._look({SOL: level, JUP: level})

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
        expected = self.scan.look(self.prices, self.world.exchange.slot, self.world.clock.now())
        assert self._fired(result) == expected
        assert not result.left

    def _fired(self, result: LookResult) -> list[Fired]:
        with self.world.store.read() as books:
            found = [books.intents.get(one) for one in result.decided]
        keys = [order_of_key(one.key) for one in found if one is not None]
        return [(key[0], LegName(key[1])) for key in keys if key is not None]

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


PATHS = settings(
    max_examples=EXAMPLES, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("kind", ["fake", "sqlite", "postgres"])
def test_whatever_happens_the_orders_fire_that_a_scan_by_hand_fires(
    kind: Literal["fake"] | Database, tmp_path: Path
) -> None:
    class Paths(OrderPaths):
        address: str | None = None

    if kind == "fake":
        run_state_machine_as_test(Paths, settings=PATHS)
        return
    with migrated_engine(kind, tmp_path) as engine:
        Paths.address = engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
        run_state_machine_as_test(Paths, settings=PATHS)
