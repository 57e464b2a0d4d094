"""Changing an order that waits: the same checks as for a new one, and only what really changes is written.

The terms of the order are read from its legs, changed, checked as a whole, and made into legs again; where those differ
from the legs that the old terms make, the order's own legs are changed. A trail keeps the best price it has seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sniperforge.domain.ids import leg_of_trigger
from sniperforge.domain.order import Leg, LegName, LegState, Order, OrderState, Trail
from sniperforge.domain.trigger import Subject, is_crossed
from sniperforge.errors import ConflictError, InvalidInputError
from sniperforge.ports.store import Books
from sniperforge.ports.triggers import TriggerView
from sniperforge.trading.executor_policy import ExecutorPolicy
from sniperforge.trading.order_arming import Arming, arming_of
from sniperforge.trading.order_legs import legs_of, terms_of
from sniperforge.trading.order_life import drop_triggers, put_into_book, tell
from sniperforge.trading.order_market import Market, market_problems, unpriced
from sniperforge.trading.order_terms import OrderTerms, Problem, terms_problems

EDITABLE = frozenset(
    {
        "trigger",
        "stop_loss",
        "take_profit",
        "entry",
        "trail_bps",
        "trail_amount",
        "activation",
        "conditions",
        "needs_all",
        "amount",
        "slippage_bps",
        "widen_to_bps",
        "confirmations",
        "expires_at",
        "deadline_s",
        "force",
    }
)
"""Fields of `OrderTerms` that may change; for anything else an order is cancelled and another one made."""

_LEG_FIELDS = ("amount", "rule", "confirmations", "max_slippage_bps", "widen_to_bps", "deadline_s")
_WHAT_IT_TRADES = ("amount", "rule")
_WATCHED_ANEW = frozenset({"rule", "confirmations"})
_CHANGEABLE = frozenset({LegState.DORMANT, LegState.ARMED, LegState.WAITING})
_WHY_NOT: Mapping[LegState, str] = MappingProxyType(
    {
        LegState.FIRED: "its trade is under way",
        LegState.FILLED: "its trade has landed",
        LegState.SUSPENDED: "the trade of the other leg is under way",
        LegState.CANCELLED: "it has ended",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of an order that could be made.

    Attributes:
        order: As it was read.
        legs: As they were read.
        given: Fields of `OrderTerms` as they were asked for.
        terms: The order's terms after the change.
        changes: What is written into which leg.
        values: Everything that is watched, as it was when this was drafted.
        looked_at: When that was.
    """

    order: Order
    legs: tuple[Leg, ...]
    given: Mapping[str, Any]
    terms: OrderTerms
    changes: Mapping[LegName, Mapping[str, Any]]
    values: Mapping[Subject, Decimal]
    looked_at: datetime

    @property
    def changed_legs(self) -> tuple[Leg, ...]:
        """The legs as they will be."""
        return tuple(replace(leg, **self.changes.get(leg.name, {})) for leg in self.legs)


def changed_terms(order: Order, legs: tuple[Leg, ...], given: Mapping[str, Any]) -> OrderTerms:
    """The terms of an order with these fields changed; naming one kind of trail takes the place of the other."""
    changes = dict(given)
    for one, other in (("trail_bps", "trail_amount"), ("trail_amount", "trail_bps")):
        if changes.get(one) is not None and other not in changes:
            changes[other] = None
    return replace(terms_of(order, legs), **changes)


def draft_edit(
    order: Order,
    legs: tuple[Leg, ...],
    views: Sequence[TriggerView],
    given: Mapping[str, Any],
    *,
    market: Market,
    policy: ExecutorPolicy,
    now: datetime,
) -> tuple[Edit, list[Problem]]:
    """Work out a change, and everything that is wrong with it.

    Args:
        order: As the books have it.
        legs: The same.
        views: Its triggers.
        given: Fields of `OrderTerms` with their new values; a subset of `EDITABLE`.
        market: The world as it is; it was asked for everything that the changed terms watch.
        policy: Limits that no order may widen.
        now: The time.

    Raises:
        InvalidInputError: It ended, or nothing would change.
    """
    if order.state is not OrderState.OPEN:
        raise InvalidInputError(f"it is {order.state.value} already", subject=order.id, fix="Make another order")
    terms = changed_terms(order, legs, given)
    known = [one for one in terms_problems(terms_of(order, legs), policy, now) if one.field == "conditions"]
    problems = [
        # Of several windows that any is enough of, one may be over: what was no news before is none now.
        *(one for one in terms_problems(terms, policy, now) if terms.needs_all or one not in known),
        *_news(terms, given, market),
        *_ends_protection(legs, given),
    ]
    changes: dict[LegName, dict[str, Any]] = {}
    if not problems:
        price = market.values.get(Subject(order.base_mint))
        before, after = (legs_of(order.id, one, policy, price=price, now=now) for one in (terms_of(order, legs), terms))
        entered = _has_entered(legs)
        for old, new in zip(before, after, strict=True):
            # Caps and counts hold for every leg; those of an entry that has filled mean nothing any more.
            fields = _WHAT_IT_TRADES if entered and new.name is LegName.ENTRY else _LEG_FIELDS
            differs = {name: getattr(new, name) for name in fields if getattr(new, name) != getattr(old, name)}
            if differs:
                changes[new.name] = differs
        problems += [
            problem for leg in legs if leg.name in changes for problem in _unchangeable(leg, changes[leg.name])
        ]
        problems += list(_trails_past(terms, legs, views, changes, market))
    edit = Edit(
        order=order,
        legs=legs,
        given=given,
        terms=terms,
        changes=changes,
        values=market.values,
        looked_at=now,
    )
    if not problems and not changes and terms.ends_at == order.expires_at:
        raise InvalidInputError("nothing would change", subject=order.id, fix="Say what is to be different")
    return edit, problems


def write_edit(books: Books, edit: Edit, now: datetime) -> Order:
    """Write a change: legs, order, and triggers in the place of the old ones, in the caller's transaction.

    Raises:
        ConflictError: The order changed since it was read.
    """
    order = books.orders.lock(edit.order.id)
    if order is None or order.version != edit.order.version:
        raise ConflictError("it changed in this moment", subject=edit.order.id, fix="Look at it, and try again")
    for leg in edit.legs:
        fields = edit.changes.get(leg.name)
        if fields is None:
            continue
        changed = books.orders.change_leg(leg, at=now, **fields)
        if leg.state is LegState.ARMED and _WATCHED_ANEW & fields.keys():
            views = _of_leg(books.triggers.of_order(order.id), leg.name)
            drop_triggers(books, order.id, [leg.name])
            put_into_book(books, _armed_again(leg, changed, views, edit.values), now)
    order = books.orders.change(order, at=now, expires_at=edit.terms.ends_at)
    tell(books, order, "order.edited", f"changed: {', '.join(sorted(edit.given))}", now)
    return order


def _news(terms: OrderTerms, given: Mapping[str, Any], market: Market) -> Iterator[Problem]:
    """Problems that the change brings: an order that is about to fire can still be given another deadline."""
    without_price = unpriced(terms, market)
    for problem in market_problems(terms, market):
        if problem in without_price or problem.field in given:
            yield problem


def _ends_protection(legs: Sequence[Leg], given: Mapping[str, Any]) -> Iterator[Problem]:
    """What a bracket bought is never without its exits because a time is over."""
    if _has_entered(legs) and given.get("expires_at") is not None:
        yield Problem("expires_at", "its entry has filled: its exits stay until one of them fills, or you cancel it")


def _has_entered(legs: Sequence[Leg]) -> bool:
    return any(leg.name is LegName.ENTRY and leg.state is LegState.FILLED for leg in legs)


def _unchangeable(leg: Leg, fields: Mapping[str, Any]) -> Iterator[Problem]:
    if leg.state not in _CHANGEABLE:
        yield Problem(leg.name.value, f"{_WHY_NOT[leg.state]}: it cannot be changed now")
    elif leg.state is LegState.WAITING and "rule" in fields:
        yield Problem(leg.name.value, "it fired and fires again soon, whatever the price: cancel it instead")


def _trails_past(
    terms: OrderTerms,
    legs: Sequence[Leg],
    views: Sequence[TriggerView],
    changes: Mapping[LegName, Mapping[str, Any]],
    market: Market,
) -> Iterator[Problem]:
    """Trails that, behind the best price they have seen, would have been reached already."""
    for leg in legs:
        rule = changes.get(leg.name, {}).get("rule")
        if terms.force or not isinstance(rule, Trail) or leg.state is not LegState.ARMED:
            continue
        again = _armed_again(leg, replace(leg, rule=rule), _of_leg(views, leg.name), market.values)
        for trigger in again.armed:
            level, value = trigger.level_at(trigger.best), market.values[trigger.subject]
            if trigger.trails and is_crossed(trigger.direction, value, level):
                field = "trail_bps" if terms.trail_bps is not None else "trail_amount"
                told = f"behind the best price, {trigger.best:f}, it is {level:f}; the market ({value:f}) is past that"
                yield Problem(field, f"{told}: it would fire at once, unless forced")


def _armed_again(old: Leg, new: Leg, views: Sequence[TriggerView], values: Mapping[Subject, Decimal]) -> Arming:
    """What is watched from now on. A trail that has begun goes on from the best price it has seen."""
    best = next((view.best for view in views if view.trigger.trails), None)
    rule = new.rule
    goes_on = isinstance(old.rule, Trail) and isinstance(rule, Trail) and old.rule.activation == rule.activation
    if best is not None and goes_on and isinstance(rule, Trail):
        return arming_of(replace(new, rule=replace(rule, activation=None)), {rule.subject: best})
    return arming_of(new, values)


def _of_leg(views: Sequence[TriggerView], name: LegName) -> tuple[TriggerView, ...]:
    return tuple(view for view in views if leg_of_trigger(view.trigger.id)[1] == name)
