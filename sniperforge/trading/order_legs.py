"""Terms as the legs of an order, and back. Every default of an order is here.

A leg that sells is an exit. A stop sells when the price falls and buys when it rises; a take-profit is its mirror.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sniperforge.domain.ids import OrderId
from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.order import (
    ALL,
    Amount,
    AmountKind,
    Condition,
    Crossing,
    Leg,
    LegName,
    LegState,
    Order,
    OrderKind,
    OrderState,
    Rule,
    Trail,
)
from sniperforge.domain.prices import MAX_PRICE
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.errors import InvalidInputError, PriceUnavailableError
from sniperforge.trading.executor_policy import ExecutorPolicy
from sniperforge.trading.order_terms import OrderTerms, Side

AT_ONCE = MAX_PRICE
"""The level of an entry that waits for nothing: whatever the price is, it is not above this."""

CONFIRMATIONS = 2
"""Of every leg that waits for a price: one bad print must neither sell a position nor buy one."""

STOPS = frozenset({OrderKind.STOP_LOSS, OrderKind.TRAILING_STOP})
_FILLED = Amount(AmountKind.FILLED, 0)


def order_of(order_id: OrderId, terms: OrderTerms, now: datetime) -> Order:
    """The order with these terms, new."""
    return Order(
        id=order_id,
        wallet=terms.wallet,
        kind=terms.kind,
        base_mint=terms.base_mint,
        quote_mint=terms.quote_mint,
        state=OrderState.OPEN,
        created_at=now,
        updated_at=now,
        expires_at=terms.ends_at,
    )


def legs_of(
    order_id: OrderId, terms: OrderTerms, policy: ExecutorPolicy, *, price: Decimal | None, now: datetime
) -> tuple[Leg, ...]:
    """The legs of an order with these terms, which `terms_problems` found nothing wrong with.

    Args:
        order_id: Of the order.
        terms: What is wanted.
        policy: Has the default caps.
        price: Of the token now, from which side a bracket's entry is reached; nothing else needs it.
        now: The time.

    Raises:
        PriceUnavailableError: It needs that price.
    """
    build = _Builder(order_id, terms, policy, now)
    subject = Subject(terms.base_mint)
    if terms.kind is OrderKind.CONDITIONAL:
        rule: Rule = Condition(needs_all=terms.needs_all, crossings=terms.conditions)
        return (build.leg(LegName.MAIN, terms.side, rule),)
    if terms.kind is OrderKind.TRAILING_STOP:
        rule = Trail(
            subject=subject,
            direction=direction_of(terms.side, is_stop=True),
            bps=terms.trail_bps,
            amount=terms.trail_amount,
            activation=terms.activation,
        )
        return (build.leg(LegName.MAIN, terms.side, rule, is_stop=True),)
    if terms.kind in (OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT):
        is_stop = terms.kind is OrderKind.STOP_LOSS
        return (build.at(LegName.MAIN, terms.side, _given(terms, "trigger"), is_stop=is_stop),)
    exits = exit_side(terms)
    pair = (
        build.at(LegName.STOP, exits, _given(terms, "stop_loss"), is_stop=True),
        build.at(LegName.TAKE, exits, _given(terms, "take_profit"), is_stop=False),
    )
    if terms.kind is OrderKind.OCO:
        return pair
    return (build.leg(LegName.ENTRY, Side.BUY, _entry(subject, terms.entry, price)), *pair)


class _Builder:
    """Makes the legs of one order."""

    def __init__(self, order_id: OrderId, terms: OrderTerms, policy: ExecutorPolicy, now: datetime) -> None:
        self._order_id = order_id
        self._terms = terms
        self._policy = policy
        self._now = now

    def at(self, name: LegName, side: Side, level: Decimal, *, is_stop: bool) -> Leg:
        """A leg that waits for one price."""
        direction = direction_of(side, is_stop=is_stop)
        rule = Crossing(subject=Subject(self._terms.base_mint), direction=direction, level=level)
        return self.leg(name, side, rule, is_stop=is_stop)

    def leg(self, name: LegName, side: Side, rule: Rule, *, is_stop: bool = False) -> Leg:
        """A leg with everything that does not depend on its rule."""
        terms = self._terms
        given, got = terms.base_mint, terms.quote_mint
        if side is Side.BUY:
            given, got = got, given
        follows_entry = terms.kind is OrderKind.BRACKET and name is not LegName.ENTRY
        begins = terms.active_from if terms.active_from is not None and terms.active_from > self._now else None
        cap = self._cap(side)
        return Leg(
            order_id=self._order_id,
            name=name,
            state=LegState.DORMANT if follows_entry or begins is not None else LegState.ARMED,
            effect=side.effect,
            input_mint=given,
            output_mint=got,
            amount=_FILLED if follows_entry else terms.amount or ALL,
            reduce_only=side is Side.SELL and (follows_entry or terms.only_reduces),
            rule=rule,
            confirmations=1 if waits_for_nothing(rule) else terms.confirmations or CONFIRMATIONS,
            max_slippage_bps=cap,
            widen_to_bps=self._widest(side, cap, is_stop=is_stop),
            deadline_s=terms.deadline_s,
            active_from=None if follows_entry else begins,
            updated_at=self._now,
        )

    def _cap(self, side: Side) -> int:
        usual = self._policy.slippage_cap_bps(side.effect)
        if side.effect is ExposureEffect.ENTRY:
            return min(usual, self._terms.slippage_bps or usual)
        return self._terms.slippage_bps or usual

    def _widest(self, side: Side, cap: int, *, is_stop: bool) -> int | None:
        """A stop gets out wider and wider; what waits for a better price can go on waiting."""
        if side is Side.BUY:
            return None
        widest = self._terms.widen_to_bps
        if widest is None and is_stop:
            widest = self._policy.widest_slippage_bps(side.effect)
        return widest if widest is not None and widest > cap else None


def terms_of(order: Order, legs: tuple[Leg, ...]) -> OrderTerms:
    """The terms of an order as it stands, every default said; a pair's caps and confirmations are those of its stop.

    An end that is that of its windows of time is theirs: it goes with them when they change.
    """
    by_name = {leg.name: leg for leg in legs}
    main = by_name.get(LegName.MAIN) or by_name[LegName.STOP]
    first = by_name.get(LegName.ENTRY, main)
    rule = main.rule
    terms = OrderTerms(
        kind=order.kind,
        wallet=order.wallet,
        base_mint=order.base_mint,
        quote_mint=order.quote_mint,
        side=Side.SELL if first.input_mint == order.base_mint else Side.BUY,
        trigger=_level(by_name.get(LegName.MAIN)),
        stop_loss=_level(by_name.get(LegName.STOP)),
        take_profit=_level(by_name.get(LegName.TAKE)),
        entry=None if waits_for_nothing(first.rule) else _level(by_name.get(LegName.ENTRY)),
        trail_bps=rule.bps if isinstance(rule, Trail) else None,
        trail_amount=rule.amount if isinstance(rule, Trail) else None,
        activation=rule.activation if isinstance(rule, Trail) else None,
        conditions=rule.crossings if isinstance(rule, Condition) else (),
        needs_all=rule.needs_all if isinstance(rule, Condition) else True,
        amount=first.amount,
        reduce_only=first.reduce_only if first is main else None,
        slippage_bps=main.max_slippage_bps,
        widen_to_bps=main.widen_to_bps,
        confirmations=main.confirmations,
        active_from=first.active_from,
        deadline_s=first.deadline_s,
    )
    return terms if terms.ends_at == order.expires_at else replace(terms, expires_at=order.expires_at)


def gets_out(order: Order, leg: Leg) -> bool:
    """Whether it is a stop that sells: once reached it fires until it is filled. What buys does so at its price."""
    return leg.effect is ExposureEffect.EXIT and (order.kind in STOPS or leg.name is LegName.STOP)


def waits_for_nothing(rule: Rule) -> bool:
    """Whether it is the rule of an entry at once."""
    return isinstance(rule, Crossing) and rule.level == AT_ONCE and rule.direction is Direction.DOWN


def exit_side(terms: OrderTerms) -> Side:
    """What the pair of an OCO or a bracket does."""
    return Side.SELL if terms.kind is OrderKind.BRACKET else terms.side


def direction_of(side: Side, *, is_stop: bool) -> Direction:
    """From where the price reaches a stop, or a take-profit, that sells or buys."""
    return Direction.DOWN if is_stop == (side is Side.SELL) else Direction.UP


def _entry(subject: Subject, entry: Decimal | None, price: Decimal | None) -> Crossing:
    """An entry below the market waits for a fall, one above it for a rise."""
    if entry is None:
        return Crossing(subject=subject, direction=Direction.DOWN, level=AT_ONCE)
    if price is None:
        raise PriceUnavailableError("there is no price of it now", subject=subject)
    return Crossing(subject=subject, direction=Direction.DOWN if entry <= price else Direction.UP, level=entry)


def _given(terms: OrderTerms, field: str) -> Decimal:
    price: Decimal | None = getattr(terms, field)
    if price is None:
        raise InvalidInputError(f"a {terms.kind} order needs it", subject=field)
    return price


def _level(leg: Leg | None) -> Decimal | None:
    return leg.rule.level if leg is not None and isinstance(leg.rule, Crossing) else None
