"""Legs follow their trades, in the transaction that changes the trade (rule *exits: one slot*).

`follow` is called wherever an intent changes its state. So an order and its trades never contradict each other,
whatever dies: both legs of a pair can never be live at once, a fill cancels the other leg with it, and a bracket's
exits are there from the commit in which its entry filled.

Lock order: the intent, then its order, then the book of triggers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sniperforge.domain.ids import OrderId, TriggerId, leg_of_trigger, order_of_key
from sniperforge.domain.intent import AttemptState, FillState, IntentState, TradeIntent
from sniperforge.domain.order import (
    LIVE_LEG_STATES,
    Amount,
    AmountKind,
    Leg,
    LegName,
    LegState,
    Order,
    OrderState,
)
from sniperforge.domain.trigger import Subject
from sniperforge.errors import ConflictError, InvalidInputError
from sniperforge.ports.records import Event, Severity
from sniperforge.ports.store import Books
from sniperforge.trading.order_arming import Arming, arming_of, needs_values

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=2), timedelta(seconds=60)
"""Between a trade that failed and the next firing of its leg; it doubles."""

_UNDER_WAY = frozenset({IntentState.PENDING, IntentState.EXECUTING})
_IDLE = frozenset({LegState.DORMANT, LegState.ARMED, LegState.SUSPENDED, LegState.WAITING})
"""States in which nothing is signed for a leg."""


def follow(books: Books, intent: TradeIntent, now: datetime, *, is_final: bool = False) -> None:
    """Move the leg that decided this trade to where the trade stands now.

    Args:
        books: The transaction that changed the intent, which it holds locked.
        intent: As it is now.
        now: The time.
        is_final: Its fill can never be taken back.
    """
    of = order_of_key(intent.key)
    if of is None:
        return
    order, name = books.orders.lock(of[0]), LegName(of[1])
    leg = books.orders.leg(of[0], name)
    if order is None or leg is None:
        message = f"order {of[0]} vanished from the books"
        raise LookupError(message)
    _Followed(books, order, leg, now).go(intent, firing=of[2], is_final=is_final)


class _Followed:
    """One order in one transaction."""

    def __init__(self, books: Books, order: Order, leg: Leg, now: datetime) -> None:
        self._books = books
        self._order = order
        self._leg = leg
        self._now = now

    def go(self, intent: TradeIntent, *, firing: int, is_final: bool) -> None:
        if intent.state is IntentState.FILLED:
            self._filled(intent, firing, is_final=is_final)
        elif firing != self._leg.firings - 1:
            return  # an earlier trade of this leg, which ended before the next was decided
        elif intent.state in _UNDER_WAY and self._leg.state is LegState.FILLED:
            self._change(LegState.FIRED, reason="a fork took its fill back")
            if self._leg.name is LegName.ENTRY:
                self._take_exits_back()
            self._sign_no_more_for_what_is_over(intent)
        elif intent.state is IntentState.FAILED and self._leg.state is LegState.FIRED:
            self._failed(intent)
        elif intent.state is IntentState.CANCELLED and self._leg.state is LegState.FIRED:
            self._cancelled("its trade was cancelled", f"its trade {intent.id} was cancelled")

    def _filled(self, intent: TradeIntent, firing: int, *, is_final: bool) -> None:
        is_known = firing == self._leg.firings - 1
        if self._leg.state not in LIVE_LEG_STATES or not is_known:
            told = f"trade {intent.id} of leg {self._leg.name} was called dead and landed after all"
            self._tell("order.undead", told, Severity.CRITICAL)
        if self._leg.state is not LegState.FILLED:
            self._drop_triggers([self._leg.name])
            self._change(LegState.FILLED, reason=None, refire_at=None)
            if self._leg.name is LegName.ENTRY:
                self._begin_exits(intent)
                if self._order.state is not OrderState.OPEN:
                    told = f"trade {intent.id} of its entry landed when the order had ended: nothing protects it"
                    self._tell("order.unprotected", told, Severity.WARNING)
        if not is_final:
            return
        if self._leg.name is LegName.ENTRY:
            self._begin_exits(intent)
            if any(self._is_final(leg) for leg in self._live_exits()):
                self._end(OrderState.FILLED, None)
            return
        end_idle_legs(self._books, self._order.id, self._now)
        entry = self._entry()
        # An entry that a fork took back may land again: what becomes of it ends the order.
        if entry is None or entry.state is not LegState.FIRED:
            self._end(OrderState.FILLED, None)

    def _sign_no_more_for_what_is_over(self, intent: TradeIntent) -> None:
        """A fork took back what had landed when a person cancelled, or when an exit had fired: it is not signed again.

        (Bought again, it would have no exit any more.)
        """
        cancelled = self._order.cancel_requested_at is not None or self._order.state is not OrderState.OPEN
        if (cancelled or self._live_exits()) and intent.cancel_requested_at is None:
            self._books.intents.change(intent, at=self._now, cancel_requested_at=self._now)

    def _end_without_fill(self, state: OrderState, reason: str) -> None:
        """Its trade ended without a fill. After a fork, an exit of an entry may be under way or filled all the same."""
        live = self._live_exits()
        if not live:
            self._end(state, reason)
        elif any(self._is_final(leg) for leg in live):
            self._end(
                OrderState.FILLED, f"a fork took its entry back, and its exit sold what was held besides: {reason}"
            )

    def _cancelled(self, because: str, reason: str) -> None:
        """Nothing more is wanted of the order. Whether there is anything to protect is not known without its entry."""
        reason = self._order.reason or reason
        if not self._lacks_its_entry():
            self._change(LegState.CANCELLED, reason=because)
            self._end_without_fill(OrderState.CANCELLED, reason)
            return
        self._change(LegState.WAITING, reason=because, refire_at=self._now)
        self._release_siblings()
        self._take_exits_back()
        if self._order.cancel_requested_at is None:
            self._order = self._books.orders.change(
                self._order, at=self._now, cancel_requested_at=self._now, reason=reason
            )
        self._tell("order.cancel_requested", f"{reason}; what becomes of its entry is waited for", Severity.WARNING)

    def _lacks_its_entry(self) -> bool:
        """Whether it is an exit whose entry a fork has taken back."""
        entry = None if self._leg.name is LegName.ENTRY else self._entry()
        return entry is not None and entry.state is LegState.FIRED

    def _failed(self, intent: TradeIntent) -> None:
        because = intent.reason or "its trade failed"
        entry = self._entry()
        if self._live_exits():
            self._change(LegState.CANCELLED, reason=because)
            self._end_without_fill(OrderState.CANCELLED, because)
            return
        if entry is not None and entry.state is LegState.CANCELLED:
            self._change(LegState.CANCELLED, reason=because)
            self._end(OrderState.CANCELLED, "a fork took its entry back, which never landed again")
            return
        if self._order.cancel_requested_at is not None:
            self._cancelled(because, "cancelled on request")
            return
        if self._order.expires_at is not None and self._order.expires_at <= self._now:
            self._change(LegState.CANCELLED, reason=because)
            self._end(OrderState.EXPIRED, f"its time is over, and its last trade failed: {because}")
            return
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._leg.firings - 1, 6))
        self._change(LegState.WAITING, reason=because, refire_at=self._now + pause)
        self._release_siblings()
        if self._lacks_its_entry():
            self._take_exits_back()
        told = f"leg {self._leg.name} fires again in {pause.total_seconds():.0f} s: trade {intent.id} failed: {because}"
        self._tell("order.fires_again", told, Severity.WARNING)

    # ---- the other legs

    def _siblings(self) -> tuple[Leg, ...]:
        """The other exit of a pair; the entry of a bracket is nobody's sibling."""
        if self._leg.name is LegName.ENTRY:
            return ()
        others = self._books.orders.legs(self._order.id)
        return tuple(leg for leg in others if leg.name not in (self._leg.name, LegName.ENTRY))

    def _release_siblings(self) -> None:
        for leg in self._siblings():
            if leg.state is LegState.SUSPENDED:
                again = LegState.ARMED if leg.refire_at is None else LegState.WAITING
                self._books.orders.change_leg(leg, at=self._now, state=again)
                self._books.triggers.arm(_triggers_of(self._books, leg.order_id, [leg.name]))

    def _entry(self) -> Leg | None:
        return self._books.orders.leg(self._order.id, LegName.ENTRY)

    def _exits(self) -> tuple[Leg, ...]:
        return tuple(leg for leg in self._books.orders.legs(self._order.id) if leg.name is not LegName.ENTRY)

    def _live_exits(self) -> tuple[Leg, ...]:
        """Exits of this entry whose trades landed or may land; none of any other leg."""
        if self._leg.name is not LegName.ENTRY:
            return ()
        return tuple(leg for leg in self._exits() if leg.state in LIVE_LEG_STATES)

    def _is_final(self, leg: Leg) -> bool:
        if leg.state is not LegState.FILLED or leg.intent_id is None:
            return False
        attempts = self._books.attempts.of_intent(leg.intent_id)
        return any(attempt.state is AttemptState.FINALIZED for attempt in attempts)

    def _begin_exits(self, intent: TradeIntent) -> None:
        """The entry filled: its exits are live from this commit, for the amount that really came."""
        if self._order.state is not OrderState.OPEN:
            return  # a person ended it when the fill was known already, and what it brought with it
        begun = []
        brought = sum(
            fill.output_raw for fill in self._books.fills.of_intent(intent.id) if fill.state is not FillState.REVERSED
        )
        for leg in self._exits():
            if leg.state is LegState.DORMANT and leg.amount.kind is AmountKind.FILLED:
                begin(self._books, leg, Amount(AmountKind.BASE, brought), self._now)
                begun.append(leg.name)
            elif leg.state in _IDLE and leg.amount.kind is AmountKind.BASE and leg.amount.value != brought:
                self._books.orders.change_leg(leg, at=self._now, amount=Amount(AmountKind.BASE, brought))
        if self._order.expires_at is not None:
            # It was the entry's time: what was bought stays protected, however long that takes.
            self._order = self._books.orders.change(self._order, at=self._now, expires_at=None)
        if begun and self._order.cancel_requested_at is not None:
            # Perhaps one alone: when the person asked, the other was no longer needed, and it ended for good.
            told = (
                "it was cancelled too late: its entry filled, so these exits are live: "
                f"{', '.join(begun)}. Cancel it again to end them"
            )
            self._order = self._books.orders.change(self._order, at=self._now, cancel_requested_at=None, reason=None)
            self._tell("order.cancelled_too_late", told, Severity.WARNING)

    def _take_exits_back(self) -> None:
        """A fork took the entry back: exits without a trade wait for it again."""
        for leg in self._exits():
            if leg.state in (LegState.ARMED, LegState.WAITING):
                self._drop_triggers([leg.name])
                self._books.orders.change_leg(
                    leg,
                    at=self._now,
                    state=LegState.DORMANT,
                    amount=Amount(AmountKind.FILLED, 0),
                    active_from=None,
                    refire_at=None,
                )

    # ---- the end

    def _end(self, state: OrderState, reason: str | None) -> None:
        end_idle_legs(self._books, self._order.id, self._now)
        if self._order.state is not state:
            self._order = self._books.orders.change(self._order, at=self._now, state=state, reason=reason)
        self._tell(f"order.{state.value}", reason or "the fill of its trade is final", _severity(state))

    # ---- writing

    def _change(self, state: LegState, *, reason: str | None, **fields: datetime | None) -> None:
        self._leg = self._books.orders.change_leg(self._leg, at=self._now, state=state, reason=reason, **fields)

    def _drop_triggers(self, names: Sequence[LegName]) -> None:
        drop_triggers(self._books, self._order.id, names)

    def _tell(self, kind: str, message: str, severity: Severity) -> None:
        tell(self._books, self._order, kind, message, self._now, severity=severity, leg=self._leg)


def begin(books: Books, leg: Leg, amount: Amount, now: datetime) -> Leg:
    """Let a DORMANT exit be watched, for this amount; at the next look, where its rule needs the values of then."""
    if needs_values(leg.rule):
        return books.orders.change_leg(leg, at=now, amount=amount, active_from=now)
    armed = books.orders.change_leg(leg, at=now, state=LegState.ARMED, amount=amount)
    put_into_book(books, arming_of(armed, {}), now)
    return armed


def arm(books: Books, leg: Leg, values: Mapping[Subject, Decimal], now: datetime) -> Leg:
    """Let a DORMANT leg whose time has come be watched.

    Raises:
        PriceUnavailableError: A value that its rule needs is missing.
    """
    arming = arming_of(leg, values)
    armed = books.orders.change_leg(leg, at=now, state=LegState.ARMED, reason=None)
    put_into_book(books, arming, now)
    return armed


def put_into_book(books: Books, arming: Arming, now: datetime) -> None:
    """Add triggers, some of them held."""
    books.triggers.add((*arming.armed, *arming.held), at=now)
    books.triggers.hold([trigger.id for trigger in arming.held])


def drop_triggers(books: Books, order: OrderId, names: Sequence[LegName]) -> None:
    """Take everything out of the book that could fire these legs."""
    books.triggers.remove(_triggers_of(books, order, names))


def _triggers_of(books: Books, order: OrderId, names: Sequence[LegName]) -> list[TriggerId]:
    ids = [one.trigger.id for one in books.triggers.of_order(order)]
    return [one for one in ids if leg_of_trigger(one)[1] in names]


def end_idle_legs(books: Books, order: OrderId, now: datetime) -> None:
    """Take every leg for which nothing is signed out of reach, for good."""
    idle = [leg for leg in books.orders.legs(order) if leg.state in _IDLE]
    drop_triggers(books, order, [leg.name for leg in idle])
    for leg in idle:
        books.orders.change_leg(leg, at=now, state=LegState.CANCELLED)


def suspend_siblings(books: Books, leg: Leg, now: datetime) -> None:
    """A leg fires: the other exit of its pair cannot, in the same commit.

    Raises:
        ConflictError: The other one has a trade that landed or may land.
    """
    if leg.name is LegName.ENTRY:
        return
    for other in books.orders.legs(leg.order_id):
        if other.name in (leg.name, LegName.ENTRY):
            continue
        if other.state in LIVE_LEG_STATES:
            raise ConflictError(f"leg {other.name} of this order has a live trade", subject=leg.order_id)
        if other.state in (LegState.ARMED, LegState.WAITING):
            books.orders.change_leg(other, at=now, state=LegState.SUSPENDED)
            books.triggers.hold(_triggers_of(books, other.order_id, [other.name]))


def cancel_order(books: Books, order_id: OrderId, *, now: datetime, reason: str) -> Order:
    """Take an order out of reach of its triggers first, then ask for the end of its trade, if one is under way.

    What is signed already may still land and is waited for: the order then ends with its trade. A bracket whose entry
    is under way keeps its exits until it is known that the entry did not fill.

    Returns:
        The order: ended, or OPEN with `cancel_requested_at` while a trade is waited for.

    Raises:
        InvalidInputError: There is no such order, it ended before, or its trade is parked.
        ConflictError: It changed in this moment: ask again.
    """
    live = [leg for leg in books.orders.legs(order_id) if leg.state in LIVE_LEG_STATES]
    intents = [books.intents.lock(leg.intent_id) for leg in live if leg.intent_id is not None]
    order = books.orders.lock(order_id)
    if order is None:
        raise InvalidInputError("there is no such order", subject=order_id, fix="`sniperforge order-list` lists them")
    if order.state is not OrderState.OPEN:
        raise InvalidInputError(f"it is {order.state} already", subject=order_id, fix="Nothing is left to cancel")
    legs = books.orders.legs(order_id)
    if {(leg.name, leg.state) for leg in legs if leg.state in LIVE_LEG_STATES} != {
        (one.name, one.state) for one in live
    }:
        raise ConflictError("it fired or its trade ended in this moment", subject=order_id, fix="Ask again")
    parked = next((one for one in intents if one is not None and one.state is IntentState.PARKED), None)
    if parked is not None:
        told = f"its trade {parked.id} is parked: it may have happened before the books were restored"
        fix = f"`sniperforge cancel {parked.id}` ends the trade, and this order with it"
        raise InvalidInputError(told, subject=order_id, fix=fix)
    order = books.orders.change(order, at=now, cancel_requested_at=order.cancel_requested_at or now, reason=reason)
    tell(books, order, "order.cancel_requested", reason, now)
    under_way = [one for one in intents if one is not None and one.state in _UNDER_WAY]
    for intent in under_way:
        if intent.cancel_requested_at is None:
            books.intents.change(intent, at=now, cancel_requested_at=now)
    waits_for_entry = any(leg.name is LegName.ENTRY and leg.state is LegState.FIRED for leg in live)
    if not waits_for_entry:
        end_idle_legs(books, order_id, now)
    if under_way or any(leg.name is not LegName.ENTRY for leg in live):
        return order  # `follow` ends it with its trade
    order = books.orders.change(order, at=now, state=OrderState.CANCELLED)
    tell(books, order, "order.cancelled", reason, now)
    return order


def tell(
    books: Books,
    order: Order,
    kind: str,
    message: str,
    now: datetime,
    *,
    severity: Severity = Severity.INFO,
    leg: Leg | None = None,
) -> None:
    """Write what happened to an order, for people."""
    facts = {"order": order.id} | ({"leg": leg.name.value} if leg is not None else {})
    books.events.add(
        Event(
            at=now,
            kind=kind,
            severity=severity,
            message=f"order {order.id}: {message}",
            wallet=order.wallet,
            intent_id=leg.intent_id if leg is not None else None,
            facts=facts,
        )
    )


def _severity(state: OrderState) -> Severity:
    return Severity.INFO if state is OrderState.FILLED else Severity.WARNING
