"""Orders by hand: a list that is gone through at every look, and whatever becomes of the trades of what fired."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sniperforge.domain.ids import IntentId, OrderId
from sniperforge.domain.order import Amount, AmountKind, LegName, LegState, OrderKind, OrderState
from sniperforge.domain.trigger import Subject
from sniperforge.trading.order_terms import OrderTerms, Side
from tests.fakes.naive_legs import AtOnce, NaiveLeg, Several, Values, can_all_hold, legs_by_hand
from tests.fakes.naive_windows import Calendar, is_time

STANDSTILL = timedelta(minutes=10)
"""Values further apart were not seen in a row."""

TRIED_AGAIN_AFTER = timedelta(seconds=10)
"""Where a price is missing."""

IDLE = frozenset({LegState.ARMED, LegState.SUSPENDED, LegState.DORMANT, LegState.WAITING})
LIVE = frozenset({LegState.FIRED, LegState.FILLED})

Fired = tuple[OrderId, LegName]


@dataclass
class NaiveOrder:
    """An order and its legs: of a bracket the entry first, of a pair the stop."""

    id: OrderId
    terms: OrderTerms
    legs: list[NaiveLeg]
    state: OrderState = OrderState.OPEN
    cancel_wanted: bool = False

    @property
    def kind(self) -> OrderKind:
        """What a person calls it."""
        return self.terms.kind

    @property
    def entry(self) -> NaiveLeg | None:
        """Of a bracket."""
        return next((leg for leg in self.legs if leg.name is LegName.ENTRY), None)

    def leg(self, name: LegName) -> NaiveLeg:
        """One that it has."""
        return next(leg for leg in self.legs if leg.name is name)

    def siblings(self, leg: NaiveLeg) -> list[NaiveLeg]:
        """What must not trade while this one does: the other exit of a pair."""
        pair = () if leg is self.entry else self.legs
        return [other for other in pair if other is not leg and other is not self.entry]

    def fire(self, leg: NaiveLeg) -> None:
        """Its trade is decided: the other leg of a pair waits for what becomes of it."""
        leg.state, leg.firings, leg.refire_at = LegState.FIRED, leg.firings + 1, None
        for other in self.siblings(leg):
            if other.state in (LegState.ARMED, LegState.WAITING):
                other.state = LegState.SUSPENDED

    def end(self, state: OrderState) -> None:
        """Nothing of it is watched any more."""
        self.stop_watching()
        self.state = state

    def stop_watching(self) -> None:
        """What has no trade under way never has one."""
        for leg in self.legs:
            if leg.state in IDLE:
                leg.state = LegState.CANCELLED


@dataclass
class Seen:
    """The last value of a subject that was looked at for an order."""

    value: Decimal
    number: int
    at: datetime


@dataclass(frozen=True)
class Looked:
    """What fires at a look, and what may besides: the moment at which all of several conditions fire is not told."""

    must: tuple[Fired, ...]
    may: tuple[Fired, ...]

    def allows(self, fired: Collection[Fired]) -> bool:
        """Whether this is what had to fire."""
        return set(self.must) <= set(fired) <= {*self.must, *self.may} and len(fired) == len(set(fired))


@dataclass
class NaiveOrders:
    """Every order there ever was."""

    orders: list[NaiveOrder] = field(default_factory=list)
    seen: dict[Subject, Seen] = field(default_factory=dict)
    calendar: Calendar = field(default_factory=Calendar)

    # ---- what people do
    def create(self, order: OrderId, terms: OrderTerms, values: Values, now: datetime) -> None:
        """A new order, with levels of its own or the values of now."""
        legs = legs_by_hand(terms, values)
        begins = terms.active_from if terms.active_from is not None and terms.active_from > now else None
        for leg in legs:
            if leg.name is LegName.ENTRY or terms.kind is not OrderKind.BRACKET:
                assert terms.amount is not None
                leg.amount = terms.amount
                leg.active_from = begins
                if begins is None:
                    leg.begin(values)
        self.orders.append(NaiveOrder(order, self._with_its_end(terms), legs))

    def edit(self, order: NaiveOrder, given: Mapping[str, Any], values: Values, now: datetime) -> bool:
        """Change it; False, and nothing changed, where that is refused."""
        before = replace(order.terms, active_from=order.legs[0].active_from)
        if before.expires_at == self.calendar.ends_of(replace(before, expires_at=None)):
            before = replace(before, expires_at=None)
        after = changed_terms(before, given)
        begins, ends = after.active_from, after.expires_at
        entered = order.entry is not None and order.entry.state is LegState.FILLED
        if order.state is not OrderState.OPEN or not prices_allow(after, values):
            return False
        if not self.calendar.lets_fire_still(before, after, now):
            return False
        if ends is not None and (entered or ends <= now or (begins is not None and begins >= ends)):
            return False
        changes = list[tuple[NaiveLeg, NaiveLeg, bool]]()
        olds, news = (legs_by_hand(terms, values) for terms in (order.terms, after))
        for leg, old, new in zip(order.legs, olds, news, strict=True):
            waits_for_other = new.waits != old.waits
            if waits_for_other or (new.confirmations != old.confirmations and not (entered and leg is order.entry)):
                changes.append((leg, new, waits_for_other))
        if any(
            leg.state not in (LegState.DORMANT, LegState.ARMED, LegState.WAITING)
            or (leg.state is LegState.WAITING and waits_for_other)
            for leg, _, waits_for_other in changes
        ):
            return False
        after = self._with_its_end(after)
        if not changes and after.expires_at == order.terms.expires_at:
            return False
        for leg, new, waits_for_other in changes:
            leg.change(new.waits if waits_for_other else replace(leg.waits), new.confirmations, values)
        order.terms = after
        return True

    def can_be_placed(self, terms: OrderTerms, values: Values, now: datetime) -> bool:
        """Whether prices and times allow it."""
        return prices_allow(terms, values) and self.calendar.lets_fire(terms, now)

    def _with_its_end(self, terms: OrderTerms) -> OrderTerms:
        """An order that cannot do without a window ends with it."""
        return replace(terms, expires_at=self.calendar.ends_of(terms))

    def cancel(self, order: NaiveOrder) -> bool:
        """End it; False where it has ended. A trade that is under way is waited for, and an entry's exits with it."""
        if order.state is not OrderState.OPEN:
            return False
        order.cancel_wanted = True
        if order.entry is not None and order.entry.state is LegState.FIRED:
            return True
        order.stop_watching()
        if not any(leg.state in LIVE and leg is not order.entry for leg in order.legs):
            order.state = OrderState.CANCELLED
        return True

    # ---- what becomes of trades
    def fail(self, order: NaiveOrder, leg: NaiveLeg, now: datetime) -> None:
        """It ended without a fill: the order is still wanted, unless it was cancelled or its time is over."""
        if order.cancel_wanted:
            self.cancel_trade(order, leg)
        elif order.terms.expires_at is not None and order.terms.expires_at <= now:
            leg.state = LegState.CANCELLED
            order.end(OrderState.EXPIRED)
        else:
            leg.state = LegState.WAITING
            leg.refire_at = now + timedelta(seconds=min(60, 2**leg.firings))
            for other in order.siblings(leg):
                if other.refire_at is None:
                    other.begin({})
                else:
                    other.state = LegState.WAITING

    def cancel_trade(self, order: NaiveOrder, leg: NaiveLeg) -> None:
        """A person ended the trade, and so the order."""
        leg.state = LegState.CANCELLED
        order.end(OrderState.CANCELLED)

    def land(self, order: NaiveOrder, leg: NaiveLeg, brought: int) -> None:
        """It filled, which a fork may take back still. What an entry brought is protected from here on."""
        leg.state = LegState.FILLED
        if leg is not order.entry:
            return
        order.cancel_wanted = False
        order.terms = replace(order.terms, expires_at=None)
        for other in order.legs:
            if other.state is LegState.DORMANT:
                other.begin({})
                other.amount = Amount(AmountKind.BASE, brought)

    def make_final(self, order: NaiveOrder, leg: NaiveLeg) -> None:
        """Its fill can never be taken back: that of an exit ends the order."""
        leg.is_final = True
        if leg is not order.entry:
            order.end(OrderState.FILLED)

    # ---- looking at the market
    def expire(self, now: datetime) -> None:
        """End what is over and has no trade."""
        for order in self.open():
            ends = order.terms.expires_at
            if ends is not None and ends <= now and not any(leg.state in LIVE for leg in order.legs):
                order.end(OrderState.EXPIRED)

    def is_asked(self, now: datetime) -> bool:
        """Whether a look at this time needs any price."""
        due = [*self._waking(now), *(leg for _, leg in self._again(now))]
        asked = self._watched().union(*(leg.waits.subjects for leg in due))
        return not all(map(is_time, asked))

    def look(self, values: Values, number: int, now: datetime) -> Looked:
        """What fires at these values, those of prices all of one print; a subject that is not there has none."""
        self.expire(now)
        waking, again = self._waking(now), self._again(now)
        news: dict[Subject, bool] = {}
        fired: list[tuple[NaiveOrder, NaiveLeg]] = []
        for subject in sorted(self._watched() & values.keys()):
            is_print = number if not is_time(subject) else int(now.timestamp())
            fired += self._tick(subject, Seen(values[subject], is_print, now), news)
        must, may = [*fired], list[tuple[NaiveOrder, NaiveLeg]]()
        for order, leg in self.taking_turns():
            assert isinstance(leg.waits, Several)
            leg.waits.looked(values, news)
            if leg.waits.must_fire(leg.confirmations):
                must.append((order, leg))
            elif leg.waits.may_fire(values, leg.confirmations):
                may.append((order, leg))
        for leg in waking:
            if leg.needs_values and any(subject not in values for subject in leg.waits.subjects):
                leg.active_from = now + TRIED_AGAIN_AFTER
            else:
                leg.begin(values)
        for order, leg in fired:
            if leg.state is LegState.ARMED:
                order.fire(leg)
        for order, leg in again:
            if leg.state is LegState.WAITING and self._fires_again(order, leg, values, now):
                must.append((order, leg))
        return Looked(*(tuple(dict.fromkeys((order.id, leg.name) for order, leg in found)) for found in (must, may)))

    def decide(self, fired: Mapping[Fired, IntentId]) -> None:
        """These trades were decided by the last look."""
        for order in self.open():
            for leg in order.legs:
                trade = fired.get((order.id, leg.name))
                if trade is None:
                    continue
                if leg.state is LegState.ARMED:
                    order.fire(leg)
                leg.trade, leg.is_final = trade, False

    def _fires_again(self, order: NaiveOrder, leg: NaiveLeg, values: Values, now: datetime) -> bool:
        """A stop gets out whatever the price is; everything else waited for a price, and trades at that or waits."""
        if not leg.gets_out and not isinstance(leg.waits, AtOnce) and not leg.waits.holds(values):
            if all(subject in values for subject in leg.waits.subjects):
                leg.begin_anew(values)
            else:
                leg.refire_at = now + TRIED_AGAIN_AFTER
            return False
        order.fire(leg)
        return True

    def _tick(self, subject: Subject, new: Seen, news: dict[Subject, bool]) -> Iterator[tuple[NaiveOrder, NaiveLeg]]:
        last = self.seen.get(subject)
        if last is not None and new.number <= last.number:
            return
        self.seen[subject] = new
        before = last.value if last is not None and new.at - last.at <= STANDSTILL else None
        news[subject] = before is not None
        for order in self.open():
            for leg in order.legs:
                if leg.is_watched and leg.see(subject, new.value, before):
                    yield order, leg

    def open(self) -> list[NaiveOrder]:
        """Those that have not ended."""
        return [order for order in self.orders if order.state is OrderState.OPEN]

    def _watched(self) -> set[Subject]:
        legs = [leg for order in self.open() for leg in order.legs if leg.is_watched]
        return {subject for leg in legs for subject in leg.waits.subjects if subject not in leg.unasked}

    def taking_turns(self) -> list[tuple[NaiveOrder, NaiveLeg]]:
        """Those that wait for all of several."""
        return [
            (order, leg)
            for order in self.open()
            for leg in order.legs
            if leg.state is LegState.ARMED and isinstance(leg.waits, Several) and leg.waits.takes_its_turns
        ]

    def _waking(self, now: datetime) -> list[NaiveLeg]:
        return [
            leg
            for order in self.open()
            for leg in order.legs
            if leg.state is LegState.DORMANT and leg.active_from is not None and leg.active_from <= now
        ]

    def _again(self, now: datetime) -> list[tuple[NaiveOrder, NaiveLeg]]:
        """Longest due first."""
        due = [
            (leg.refire_at, order.id, leg.name, order, leg)
            for order in self.open()
            for leg in order.legs
            if leg.state is LegState.WAITING and leg.refire_at is not None and leg.refire_at <= now
        ]
        return [(order, leg) for *_, order, leg in sorted(due, key=lambda one: one[:3])]


def prices_allow(terms: OrderTerms, values: Values) -> bool:
    """Whether everything that it watches has a value, and its prices do not contradict each other."""
    subjects = {one.subject for one in terms.conditions} or {Subject(terms.base_mint)}
    if not subjects <= values.keys() or (terms.needs_all and not can_all_hold(terms.conditions)):
        return False
    if terms.kind is OrderKind.BRACKET:
        prices = [terms.stop_loss, terms.entry, terms.take_profit]
    elif terms.kind is OrderKind.OCO:
        prices = [terms.stop_loss, terms.take_profit]
    else:
        return True
    given = [price for price in prices if price is not None]
    rising = terms.kind is OrderKind.BRACKET or terms.side is Side.SELL
    return all(low < high if rising else low > high for low, high in itertools.pairwise(given))


def changed_terms(terms: OrderTerms, given: Mapping[str, Any]) -> OrderTerms:
    """Terms with these changes: naming one kind of trail takes the place of the other."""
    changes = dict(given)
    if "trail_bps" in given:
        changes["trail_amount"] = None
    if "trail_amount" in given:
        changes["trail_bps"] = None
    return replace(terms, **changes)
