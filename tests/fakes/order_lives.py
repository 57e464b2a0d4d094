"""What becomes of orders and their trades in any order of events, beside the same by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from sniperforge.domain.ids import IntentId
from sniperforge.domain.order import LegState, OrderKind
from tests.fakes.drawn_orders import counts, minutes, numbers, pairs, prices, wanted_now
from tests.fakes.naive_legs import NaiveLeg
from tests.fakes.naive_orders import NaiveOrder
from tests.fakes.naive_windows import MINUTE
from tests.fakes.order_terms import JUP, SOL
from tests.fakes.prices_where import prices_at
from tests.fakes.watched_orders import HOUR, SECOND, WatchedOrders

_KINDS_WITH = {
    "trigger": (OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT),
    "activation": (OrderKind.TRAILING_STOP,),
    "stop_loss": (OrderKind.OCO, OrderKind.BRACKET),
    "take_profit": (OrderKind.OCO, OrderKind.BRACKET),
    "entry": (OrderKind.BRACKET,),
}
"""By field of their terms."""


class OrderLives(WatchedOrders):
    """Trades are decided, fail, are cancelled, land and become final, and people change and cancel their orders."""

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        order = self.one_of(number, *OrderKind)
        if order is not None:
            self.end(order)

    @rule(number=numbers, field=st.sampled_from(tuple(_KINDS_WITH)), level=prices)
    def edit_level(self, number: int, field: str, level: Decimal) -> None:
        self.edit(number, {field: level}, *_KINDS_WITH[field])

    @rule(number=numbers)
    def enter_at_once(self, number: int) -> None:
        self.edit(number, {"entry": None}, OrderKind.BRACKET)

    @rule(number=numbers, confirmations=counts)
    def edit_count(self, number: int, confirmations: int) -> None:
        self.edit(number, {"confirmations": confirmations}, *OrderKind)

    @rule(number=numbers, ends=minutes)
    def edit_end(self, number: int, ends: int | None) -> None:
        self.edit(number, {"expires_at": self.after(ends)}, *OrderKind)

    # ---- what happens
    @rule(path=st.lists(pairs, min_size=2, max_size=6))
    def walk(self, path: list[tuple[Decimal | None, Decimal | None]]) -> None:
        for sol, jup in path:
            self.look({SOL: sol, JUP: jup})

    @rule(number=numbers, place=st.integers(0, 2), looks=st.integers(1, 3))
    def reach_what_it_waits_for(self, number: int, place: int, looks: int) -> None:
        order = self.one_of(number, *OrderKind)
        if order is not None:
            waits = order.legs[place % len(order.legs)].waits
            self.wait_for(waits)
            for _ in range(looks):
                self.look(prices_at(waits))

    @rule(
        number=numbers,
        confirmed=st.sampled_from((0, 1, 1, 2)),
        edge=st.sampled_from((0, 0, 1, 2)),
        late=st.sampled_from((0, 0, 0, -1, 1, -2)),
        at=st.sampled_from(("met", "met", "unchanged", "unknown")),
        looks=st.integers(1, 7),
    )
    def look_as_its_window_opens_or_shuts(
        self, *, number: int, confirmed: int, edge: int, late: int, at: str, looks: int
    ) -> None:
        """Perhaps after so many of its conditions were confirmed, at once or some edges on."""
        calendar = self.scan.calendar
        orders = [order for order in self.scan.open() if calendar.of(order.terms)]
        if not orders:
            return
        order = orders[-1 - number % len(orders)]
        if confirmed:
            self.wait_for(order.legs[0].waits)
        for _ in range(confirmed * order.legs[0].confirmations):
            self.look(prices_at(order.legs[0].waits))
        soon = self.world.clock.now() + 2 * SECOND
        edges = [one for one in calendar.edges(calendar.of(order.terms), soon) if one < soon + HOUR]
        if edges:
            self.look_next_at(edges[edge % len(edges)] + late * SECOND)
        for _ in range(looks if edges else 0):
            there = prices_at(order.legs[0].waits) if at == "met" else self.prices
            self.look({mint: None if at == "unknown" else there.get(mint) for mint in (SOL, JUP)})

    @rule(by=st.sampled_from((1, 3, 9, 10, 11)))
    def pass_time(self, by: int) -> None:
        self.world.clock.advance(by * MINUTE - SECOND)

    # ---- what becomes of trades
    @rule(
        number=numbers,
        is_made=st.booleans(),
        is_over=st.sampled_from((False, False, True)),
        later=st.sampled_from((0, 1, 3, 3, 5, 65)),
        path=st.lists(pairs, max_size=3),
    )
    def fail_a_trade(
        self,
        *,
        number: int,
        is_made: bool,
        is_over: bool,
        later: int,
        path: list[tuple[Decimal | None, Decimal | None]],
    ) -> None:
        """It fires again after a while, if what it waited for is so still, or it gets out."""
        found = self.with_a_trade(number, is_made=is_made)
        if found is None:
            return
        order, leg, _ = found
        if is_over:
            self.pass_its_time(order)
        self._fail(*found)
        self.world.clock.advance(later * SECOND)
        for sol, jup in path:
            self.look({SOL: sol, JUP: jup})
        self.look(prices_at(leg.waits))

    @rule(number=numbers, looks=st.integers(0, 4))
    def fail_one_exit_and_then_the_other(self, number: int, looks: int) -> None:
        """The first is due again by then, and fires again if its price is there, or waits for what the other does."""
        found = self.with_a_trade(number, is_made=True)
        if found is None or not (siblings := found[0].siblings(found[1])):
            return
        self._fail(*found)
        for _ in range(looks):
            self.look(prices_at(siblings[0].waits))
        for one in self.with_trades(LegState.FIRED):
            if one[1] is siblings[0]:
                self._fail(*one)
                self.look(prices_at(found[1].waits))

    def _fail(self, order: NaiveOrder, leg: NaiveLeg, trade: IntentId) -> None:
        self.trades.fail(trade)
        self.scan.fail(order, leg, self.world.clock.now())

    @rule(number=numbers)
    def cancel_a_trade(self, number: int) -> None:
        found = self.with_a_trade(number)
        if found is not None:
            order, leg, trade = found
            self.trades.cancel(trade)
            self.scan.cancel_trade(order, leg)

    @rule(
        number=numbers,
        is_made=st.booleans(),
        before=st.sampled_from((None, None, "cancelled", "over")),
        brought=st.integers(1, 3_000),
        follows=st.lists(prices, max_size=4),
        is_final=st.sampled_from((False, False, True)),
    )
    def land_a_trade(
        self,
        *,
        number: int,
        is_made: bool,
        before: str | None,
        brought: int,
        follows: list[Decimal],
        is_final: bool,
    ) -> None:
        """Perhaps after its order was cancelled, or was over; then the market goes on, before it is final."""
        found = self.with_a_trade(number, is_made=is_made)
        if found is None:
            return
        order, leg, trade = found
        if before == "cancelled":
            self.end(order)
        elif before == "over":
            self.pass_its_time(order)
        self.trades.land(trade, brought)
        self.scan.land(order, leg, brought)
        assert self.trades.intent(trade).input_amount_raw == leg.amount.value
        for price in follows:
            self.look({SOL: price, JUP: price})
        if is_final:
            self.trades.make_final(trade)
            self.scan.make_final(order, leg)

    @rule(number=numbers)
    def make_a_fill_final(self, number: int) -> None:
        found = self.with_trades(LegState.FILLED)
        if found:
            order, leg, trade = found[-1 - number % len(found)]
            self.trades.make_final(trade)
            self.scan.make_final(order, leg)


class FewOrders(OrderLives):
    """Few orders, that are watched from the start: what happens to one often happens to each of them."""

    @initialize(given=st.lists(wanted_now, min_size=1, max_size=3))
    def begin(self, given: list[dict[str, Any]]) -> None:
        self.open_books(given)

    @rule(given=wanted_now)
    def create_one(self, given: dict[str, Any]) -> None:
        self.place(given)
