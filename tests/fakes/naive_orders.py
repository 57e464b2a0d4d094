"""Orders by hand: a list of legs that is gone through at every look, with nothing but decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sniperforge.domain.ids import OrderId
from sniperforge.domain.money import Mint
from sniperforge.domain.order import LegName, LegState, OrderKind, OrderState
from sniperforge.trading.order_terms import OrderTerms, Side

STANDSTILL = timedelta(minutes=10)
"""Values further apart were not seen in a row."""

WOKEN_AGAIN_AFTER = timedelta(seconds=10)
WATCHED = frozenset({LegState.ARMED, LegState.SUSPENDED})
IDLE = WATCHED | {LegState.DORMANT}

Fired = tuple[OrderId, LegName]


@dataclass
class NaiveLeg:
    """A level, or a trail: `best` is where it follows from, None until it was activated."""

    name: LegName
    down: bool
    confirmations: int
    state: LegState
    active_from: datetime | None
    level: Decimal | None = None
    bps: int | None = None
    amount: Decimal | None = None
    activation: Decimal | None = None
    best: Decimal | None = None
    counted: int = 0

    def terms(self) -> tuple[Any, ...]:
        """What an edit may change."""
        return self.level, self.bps, self.amount, self.activation, self.confirmations

    def begin(self, value: Decimal | None) -> None:
        """It is watched from now on."""
        self.state, self.counted = LegState.ARMED, 0
        self.best = value if self.level is None and self.activation is None else None

    def see(self, value: Decimal, before: Decimal | None) -> bool:
        """Whether it fires at this value, which follows `before` in a row."""
        if self.best is not None and before is not None:
            self.best = max(self.best, min(value, before)) if self.down else min(self.best, max(value, before))
        if self.state is not LegState.ARMED:
            return False
        if not self._is_reached(value):
            self.counted = 0
            return False
        self.counted = self.counted + 1 if before is not None else 1
        if self.counted < self.confirmations:
            return False
        if self.level is None and self.best is None:
            self.best, self.counted = value, 0
            return False
        return True

    def _is_reached(self, value: Decimal) -> bool:
        if self.level is not None:
            return value <= self.level if self.down else value >= self.level
        if self.best is None:
            assert self.activation is not None
            return value >= self.activation if self.down else value <= self.activation
        away = self.best * self.bps / 10_000 if self.bps is not None else self.amount
        assert away is not None
        return value <= self.best - away if self.down else value >= self.best + away


@dataclass
class NaiveOrder:
    """An order and its legs, the stop of a pair first."""

    id: OrderId
    kind: OrderKind
    mint: Mint
    legs: list[NaiveLeg]
    expires_at: datetime | None
    state: OrderState = OrderState.OPEN

    @property
    def has_fired(self) -> bool:
        """Whether a trade of it is decided."""
        return any(leg.state is LegState.FIRED for leg in self.legs)

    def end(self, state: OrderState) -> None:
        """Nothing of it is watched any more; a trade that is decided goes on, and the order with it."""
        for leg in self.legs:
            if leg.state in IDLE:
                leg.state = LegState.CANCELLED
        if not self.has_fired:
            self.state = state


@dataclass
class Seen:
    """The last value of a token that was looked at for an order."""

    value: Decimal
    number: int
    at: datetime


@dataclass
class NaiveOrders:
    """Every order there ever was."""

    orders: list[NaiveOrder] = field(default_factory=list)
    seen: dict[Mint, Seen] = field(default_factory=dict)

    def create(self, order: OrderId, terms: OrderTerms, values: Mapping[Mint, Decimal], now: datetime) -> None:
        """A new order, with levels of its own or the prices of now."""
        begins = terms.active_from
        legs = [
            NaiveLeg(
                name=name,
                down=is_stop == (terms.side is Side.SELL),
                confirmations=terms.confirmations or 2,
                state=LegState.DORMANT,
                active_from=begins,
                **rule,
            )
            for name, is_stop, rule in _rules(terms)
        ]
        for leg in legs:
            if begins is None or begins <= now:
                leg.begin(values[terms.base_mint])
        self.orders.append(NaiveOrder(order, terms.kind, terms.base_mint, legs, terms.expires_at))

    def edit(self, order: NaiveOrder, given: Mapping[str, Any], values: Mapping[Mint, Decimal], now: datetime) -> bool:
        """Change it; False, and nothing changed, where that is refused."""
        ends, begins = given.get("expires_at", order.expires_at), order.legs[0].active_from
        late = ends is not None and (ends <= now or (begins is not None and begins >= ends))
        if order.state is not OrderState.OPEN or order.mint not in values or late:
            return False
        new = {leg.name: _changed(leg, given) for leg in order.legs}
        changed = [leg for leg in order.legs if new[leg.name] != leg.terms()]
        if any(leg.state not in (LegState.DORMANT, LegState.ARMED) for leg in changed):
            return False
        if order.kind is OrderKind.OCO:
            stop, take = new[LegName.STOP][0], new[LegName.TAKE][0]
            if take <= stop if order.legs[0].down else take >= stop:
                return False
        if not changed and ends == order.expires_at:
            return False
        for leg in changed:
            follows, activation = leg.best, leg.activation
            leg.level, leg.bps, leg.amount, leg.activation, leg.confirmations = new[leg.name]
            if leg.state is LegState.ARMED:
                leg.begin(values[order.mint])
                if follows is not None and leg.activation == activation:
                    leg.best = follows
        order.expires_at = ends
        return True

    def cancel(self, order: NaiveOrder) -> bool:
        """End it; False where it has ended."""
        if order.state is not OrderState.OPEN:
            return False
        order.end(OrderState.CANCELLED)
        return True

    def expire(self, now: datetime) -> None:
        """End what is over and has no trade."""
        for order in self._open():
            if order.expires_at is not None and order.expires_at <= now and not order.has_fired:
                order.end(OrderState.EXPIRED)

    def is_asked(self, now: datetime) -> bool:
        """Whether a look at this time needs any price."""
        return bool(self._watched() or self._waking(now))

    def look(self, values: Mapping[Mint, Decimal], number: int, now: datetime) -> list[Fired]:
        """What fires at these prices, all of one print; a token that is not there has none."""
        self.expire(now)
        waking = self._waking(now)
        fired: list[tuple[NaiveOrder, NaiveLeg]] = []
        for mint in self._watched() & values.keys():
            fired += self._tick(mint, Seen(values[mint], number, now))
        for mint, leg in waking:
            if mint in values or leg.level is not None or leg.activation is not None:
                leg.begin(values.get(mint))
            else:
                leg.active_from = now + WOKEN_AGAIN_AFTER
        for order, leg in fired:
            for other in order.legs:
                other.state = LegState.FIRED if other is leg else LegState.SUSPENDED
        return sorted((order.id, leg.name) for order, leg in fired)

    def _tick(self, mint: Mint, new: Seen) -> Iterator[tuple[NaiveOrder, NaiveLeg]]:
        last = self.seen.get(mint)
        if last is not None and new.number <= last.number:
            return
        self.seen[mint] = new
        before = last.value if last is not None and new.at - last.at <= STANDSTILL else None
        for order in self._open():
            for leg in order.legs:
                if order.mint == mint and leg.state in WATCHED and leg.see(new.value, before):
                    yield order, leg

    def _open(self) -> list[NaiveOrder]:
        return [order for order in self.orders if order.state is OrderState.OPEN]

    def _watched(self) -> set[Mint]:
        return {order.mint for order in self._open() if any(leg.state in WATCHED for leg in order.legs)}

    def _waking(self, now: datetime) -> list[tuple[Mint, NaiveLeg]]:
        return [
            (order.mint, leg)
            for order in self._open()
            for leg in order.legs
            if leg.state is LegState.DORMANT and leg.active_from is not None and leg.active_from <= now
        ]


def _rules(terms: OrderTerms) -> list[tuple[LegName, bool, dict[str, Any]]]:
    """Name, whether it is a stop, and what it waits for."""
    if terms.kind is OrderKind.OCO:
        return [
            (LegName.STOP, True, {"level": terms.stop_loss}),
            (LegName.TAKE, False, {"level": terms.take_profit}),
        ]
    if terms.kind is OrderKind.TRAILING_STOP:
        rule = {"bps": terms.trail_bps, "amount": terms.trail_amount, "activation": terms.activation}
        return [(LegName.MAIN, True, rule)]
    return [(LegName.MAIN, terms.kind is OrderKind.STOP_LOSS, {"level": terms.trigger})]


def _changed(leg: NaiveLeg, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Its terms with these changes."""
    level_of = {LegName.MAIN: "trigger", LegName.STOP: "stop_loss", LegName.TAKE: "take_profit"}
    bps, amount = leg.bps, leg.amount
    if "trail_bps" in given:
        bps, amount = given["trail_bps"], None
    if "trail_amount" in given:
        bps, amount = None, given["trail_amount"]
    return (
        given.get(level_of[leg.name], leg.level),
        bps,
        amount,
        given.get("activation", leg.activation),
        given.get("confirmations", leg.confirmations),
    )
