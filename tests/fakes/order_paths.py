"""Any path of the market, whatever happens to orders and their trades, beside the same by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from sniperforge.domain.order import Crossing, LegState, OrderKind
from sniperforge.errors import RateLimitedError
from tests.fakes.drawn_orders import conditions, counts, minutes, numbers, pairs, prices, trails, wanted
from tests.fakes.naive_legs import Behind, Several
from tests.fakes.order_terms import JUP, SOL
from tests.fakes.prices_where import prices_at, prices_of
from tests.fakes.watched_orders import MINUTE, SECOND, WatchedOrders

_KINDS_WITH = {
    "trigger": (OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT),
    "activation": (OrderKind.TRAILING_STOP,),
    "stop_loss": (OrderKind.OCO, OrderKind.BRACKET),
    "take_profit": (OrderKind.OCO, OrderKind.BRACKET),
    "entry": (OrderKind.BRACKET,),
}
"""By field of their terms."""


class OrderPaths(WatchedOrders):
    """What may happen, in any order."""

    # ---- what people do
    @rule(given=st.lists(wanted(), min_size=2, max_size=5))
    def create(self, given: list[dict[str, Any]]) -> None:
        for one in given:
            self.place(one)

    @rule(number=numbers, field=st.sampled_from(tuple(_KINDS_WITH)), level=prices)
    def edit_level(self, number: int, field: str, level: Decimal) -> None:
        self.edit(number, {field: level}, *_KINDS_WITH[field])

    @rule(number=numbers)
    def enter_at_once(self, number: int) -> None:
        self.edit(number, {"entry": None}, OrderKind.BRACKET)

    @rule(number=numbers, trail=trails)
    def edit_trail(self, number: int, trail: dict[str, Any]) -> None:
        self.edit(number, trail, OrderKind.TRAILING_STOP)

    @rule(number=numbers, conditions=conditions, needs_all=st.booleans())
    def edit_conditions(self, *, number: int, conditions: tuple[Crossing, ...], needs_all: bool) -> None:
        self.edit(number, {"conditions": conditions, "needs_all": needs_all}, OrderKind.CONDITIONAL)

    @rule(number=numbers, needs_all=st.booleans())
    def edit_how_many_conditions(self, *, number: int, needs_all: bool) -> None:
        self.edit(number, {"needs_all": needs_all}, OrderKind.CONDITIONAL)

    @rule(number=numbers)
    def follow_from_now_on(self, number: int) -> None:
        self.edit(number, {"activation": None}, OrderKind.TRAILING_STOP)

    @rule(number=numbers, confirmations=counts)
    def edit_count(self, number: int, confirmations: int) -> None:
        self.edit(number, {"confirmations": confirmations}, *OrderKind)

    @rule(number=numbers, ends=minutes)
    def edit_end(self, number: int, ends: int | None) -> None:
        self.edit(number, {"expires_at": self.after(ends)}, *OrderKind)

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        order = self.one_of(number, *OrderKind)
        if order is not None:
            self.end(order)

    # ---- what happens
    @rule(path=st.lists(pairs, min_size=2, max_size=6))
    def walk(self, path: list[tuple[Decimal | None, Decimal | None]]) -> None:
        for sol, jup in path:
            self.look({SOL: sol, JUP: jup})

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
            self.look({SOL: value, JUP: self.prices.get(JUP)})

    @rule(price=st.integers(95, 105).map(Decimal), away=st.sampled_from((-8, -4, 4, 8)), looks=st.integers(1, 4))
    def see_one_bad_print(self, price: Decimal, away: int, looks: int) -> None:
        """It fires nothing that wants two in a row, and no trail follows it."""
        for value in (price, price, price + away, *[price] * looks):
            self.look({SOL: value, JUP: value})

    @rule(number=numbers, looks=st.integers(1, 9), lapse=st.integers(0, 9), otherwise=st.tuples(prices, prices))
    def meet_conditions(self, number: int, looks: int, lapse: int, otherwise: tuple[Decimal, Decimal]) -> None:
        """All of them hold for a while, but perhaps at one look."""
        order = self.one_of(number, OrderKind.CONDITIONAL)
        met = None if order is None else prices_of(order.legs[0].waits)
        for look in range(looks if met is not None else 0):
            sol, jup = met if met is not None and look != lapse else otherwise
            self.look({SOL: sol, JUP: jup})

    @rule(number=numbers, first=st.integers(0, 2), looks=st.integers(1, 3))
    def meet_conditions_one_by_one(self, number: int, first: int, looks: int) -> None:
        """Each of them holds for a while, and no other does where prices can tell them apart."""
        order = self.one_of(number, OrderKind.CONDITIONAL)
        if order is None:
            return
        assert isinstance(order.legs[0].waits, Several)
        levels = order.legs[0].waits.levels
        for place in range(first, first + len(levels)):
            one = levels[place % len(levels)]
            sol, jup = prices_of(one, among=levels) or (Decimal(100), Decimal(100))
            for _ in range(looks):
                self.look({SOL: sol, JUP: jup})

    @rule(number=numbers, trail=trails, best=st.integers(1, 12), turn=st.integers(1, 6))
    def change_a_trail_behind_its_best(self, number: int, trail: dict[str, Any], best: int, turn: int) -> None:
        """The market goes its way and comes back, then the trail is changed, and the market comes back farther."""
        order = self.one_of(number, OrderKind.TRAILING_STOP)
        if order is None:
            return
        trails = order.legs[0].waits
        assert isinstance(trails, Behind)
        away, back = (best, turn) if trails.down else (-best, -turn)
        for value in map(Decimal, (100, 100 + away, 100 + away, 100 + away - 1)):
            self.look({SOL: value, JUP: value})
        self.edit(number, trail, OrderKind.TRAILING_STOP)
        for value in (Decimal(100 + away - part * back) for part in (1, 1, 1, 2, 2, 2)):
            self.look({SOL: value, JUP: value})

    @rule(number=numbers, price=prices)
    def look_when_its_time_is_over(self, number: int, price: Decimal) -> None:
        ends = [order.terms.expires_at for order in self.scan.orders if order.terms.expires_at is not None]
        if ends and (at := ends[-1 - number % len(ends)] - SECOND) > self.world.clock.now():
            self.world.clock.advance(at - self.world.clock.now())
            self.look({SOL: price, JUP: price})

    @rule(number=numbers, by=st.sampled_from((0, 11)))
    def know_no_price_for_a_while(self, number: int, by: int) -> None:
        """Its level is reached, then there is no price, and nothing can be changed; then it is reached still."""
        order = self.one_of(number, *OrderKind)
        if order is None:
            return
        at = prices_at(order.legs[0].waits)
        self.look(at)
        self.look({SOL: None, JUP: None})
        self.edit(number, {"expires_at": self.after(30)}, *OrderKind)
        self.world.clock.advance(by * MINUTE)
        for _ in range(2):
            self.look(at)

    @rule(number=numbers, place=st.integers(0, 2), looks=st.integers(1, 3))
    def reach_what_it_waits_for(self, number: int, place: int, looks: int) -> None:
        order = self.one_of(number, *OrderKind)
        if order is not None:
            at = prices_at(order.legs[place % len(order.legs)].waits)
            for _ in range(looks):
                self.look(at)

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
        order, leg, trade = found
        if is_over:
            self.pass_its_time(order)
        self.trades.fail(trade)
        self.scan.fail(order, leg, self.world.clock.now())
        self.world.clock.advance(later * SECOND)
        for sol, jup in path:
            self.look({SOL: sol, JUP: jup})
        self.look(prices_at(leg.waits))

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
        follows=st.lists(prices, max_size=3),
    )
    def land_a_trade(
        self, *, number: int, is_made: bool, before: str | None, brought: int, follows: list[Decimal]
    ) -> None:
        """Perhaps after its order was cancelled, or was over; then the market goes on."""
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

    @rule(number=numbers)
    def make_a_fill_final(self, number: int) -> None:
        found = self.with_trades(LegState.FILLED)
        if found:
            order, leg, trade = found[-1 - number % len(found)]
            self.trades.make_final(trade)
            self.scan.make_final(order, leg)

    @rule()
    def look_at_the_same_print(self) -> None:
        self.world.exchange.slot -= 1
        self.look({SOL: self.prices.get(SOL), JUP: self.prices.get(JUP)})

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
        self.open_again()

    @rule(limit=st.integers(1, 50))
    def compact(self, limit: int) -> None:
        self.manager.compact(limit)
