"""Any path of the market, whatever happens to orders and their trades, beside the same by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from sniperforge.domain.order import OrderKind
from sniperforge.errors import RateLimitedError
from tests.fakes.drawn_orders import Condition, conditions, numbers, prices, trails, wanted
from tests.fakes.naive_legs import Behind, Several
from tests.fakes.naive_windows import MINUTE
from tests.fakes.order_lives import OrderLives
from tests.fakes.order_terms import JUP, SOL
from tests.fakes.prices_where import prices_at, prices_of
from tests.fakes.watched_orders import SECOND


class OrderPaths(OrderLives):
    """What may happen, in any order."""

    @initialize(given=st.lists(wanted(), min_size=4, max_size=8))
    def begin(self, given: list[dict[str, Any]]) -> None:
        self.open_books(given)

    # ---- what people do
    @rule(given=st.lists(wanted(), min_size=2, max_size=5))
    def create(self, given: list[dict[str, Any]]) -> None:
        for one in given:
            self.place(one)

    @rule(number=numbers, trail=trails)
    def edit_trail(self, number: int, trail: dict[str, Any]) -> None:
        self.edit(number, trail, OrderKind.TRAILING_STOP)

    @rule(number=numbers, conditions=conditions, needs_all=st.booleans())
    def edit_conditions(self, *, number: int, conditions: tuple[Condition, ...], needs_all: bool) -> None:
        self.edit(number, {"conditions": conditions, "needs_all": needs_all}, OrderKind.CONDITIONAL)

    @rule(number=numbers, needs_all=st.booleans())
    def edit_how_many_conditions(self, *, number: int, needs_all: bool) -> None:
        self.edit(number, {"needs_all": needs_all}, OrderKind.CONDITIONAL)

    @rule(number=numbers)
    def follow_from_now_on(self, number: int) -> None:
        self.edit(number, {"activation": None}, OrderKind.TRAILING_STOP)

    # ---- what happens
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
        if order is not None:
            self.wait_for(order.legs[0].waits)
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
            self.wait_for(one)
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
        self.wait_for(order.legs[0].waits)
        self.look(at)
        self.look({SOL: None, JUP: None})
        self.edit(number, {"expires_at": self.after(30)}, *OrderKind)
        self.world.clock.advance(by * MINUTE)
        for _ in range(2):
            self.look(at)

    @rule()
    def look_at_the_same_print(self) -> None:
        self.world.exchange.slot -= 1
        self.look({SOL: self.prices.get(SOL), JUP: self.prices.get(JUP)})

    @rule()
    def find_no_room_in_the_budget(self) -> None:
        self.world.clock.advance(SECOND)
        now = self.world.clock.now()
        self.scan.expire(now)
        if not self.scan.is_asked(now):
            self.look({SOL: self.prices.get(SOL), JUP: self.prices.get(JUP)})
            return
        self.world.exchange.fail("prices", RateLimitedError("no room", subject="main"))
        with pytest.raises(RateLimitedError):
            self.manager.monitor_orders()

    @rule()
    def start_again(self) -> None:
        self.open_again()

    @rule(limit=st.integers(1, 50))
    def compact(self, limit: int) -> None:
        self.manager.compact(limit)
