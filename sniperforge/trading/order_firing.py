"""A trigger fired: decide the trade of its leg, in one commit with everything that follows from it.

The intent, the leg's FIRED, its sibling's SUSPENDED and the end of its triggers commit together, under the key
`order:<id>:<leg>:<firing>`. So a crash leaves either a trigger that fired and is looked at again, or a decided trade,
whoever looks and however often; and no leg fires while its sibling has a trade that landed or may land.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sniperforge.domain.ids import IntentId, leg_of_trigger, order_key
from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.order import AmountKind, Condition, Leg, LegName, LegState, Order, OrderState
from sniperforge.domain.risk import ProposedTrade
from sniperforge.domain.time_window import is_window
from sniperforge.domain.trigger import WHOLE_BPS, Subject, TriggerState
from sniperforge.errors import InvalidInputError, PriceUnavailableError, RetryableError, TokenError
from sniperforge.ports.records import NATIVE_SOL, Asset, Severity
from sniperforge.ports.store import Books, Store
from sniperforge.ports.tokens import TokenFacts
from sniperforge.ports.triggers import TriggerView
from sniperforge.trading.decisions import check_request, write_decision
from sniperforge.trading.executor_policy import ExecutorPolicy, TradeRequest
from sniperforge.trading.order_arming import arming_anew, holds, verdict_on
from sniperforge.trading.order_legs import gets_out, waits_for_nothing
from sniperforge.trading.order_life import drop_triggers, end_idle_legs, put_into_book, suspend_siblings, tell
from sniperforge.trading.protections import refusal

GAP_BPS = 50
"""A value this far beyond the level is said to have gapped."""

POSTPONED_FOR = timedelta(seconds=10)
"""Between two tries of a leg that fired when nothing could be decided."""

LOOKED_AGAIN_FOR = timedelta(seconds=10)
"""So long every look tries a fired trigger whose trade needs a price that is missing. Then its leg is postponed as
well: a look deals with so many fired triggers at most, and those must not be the same for ever."""

KEPT_LAMPORTS = 10_000_000
"""Left for fee, tip and rent when a leg gives a share of the SOL: the executor says exactly how much only later."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What is needed to turn an amount of one token into one of the other: by mint, asked before the transaction."""

    usd: Mapping[Mint, Decimal]
    decimals: Mapping[Mint, int]


class Firing:
    """Decides the trades of legs.

    Args:
        store: The books.
        tokens: Decimals and dangers of tokens.
        policy: Limits of every trade.
    """

    def __init__(self, *, store: Store, tokens: TokenFacts, policy: ExecutorPolicy) -> None:
        self._store = store
        self._tokens = tokens
        self._policy = policy

    def fire(self, view: TriggerView, values: Mapping[Subject, Decimal], now: datetime) -> IntentId | None:
        """Do what follows from one fired trigger, once.

        Returns:
            The trade that was decided; None when none was: the leg goes on being watched, waits, or was out of reach.

        Raises:
            PriceUnavailableError: A value that is needed is missing since a moment ago; the trigger stays fired.
                When it has been missing for longer, the leg waits and makes room for others.
            RetryableError: The books, or what is asked about the tokens, cannot be reached; the same.
        """
        order_id, name, number = leg_of_trigger(view.trigger.id)
        with self._store.read() as books:
            order, leg = books.orders.get(order_id), books.orders.leg(order_id, LegName(name))
        is_new = view.fired_at is not None and now - view.fired_at < LOOKED_AGAIN_FOR
        amounts, denied = self._asked(order, leg, values, is_new=is_new)
        with self._store.write() as books:
            order = _locked(books, order)
            leg = books.orders.leg(order_id, LegName(name))
            known = books.triggers.get(view.trigger.id)
            if known is None or known.state is not TriggerState.FIRED:
                return None  # somebody else was faster
            if order is None or leg is None or leg.state is not LegState.ARMED:
                books.triggers.remove([view.trigger.id])
                return None
            try:
                verdict = verdict_on(leg, number, values)
            except PriceUnavailableError as error:
                if is_new or not isinstance(leg.rule, Condition):
                    raise
                _rest(books, order, leg, str(error), now)
                return None
            if verdict.next is not None:
                drop_triggers(books, order_id, [leg.name])
                put_into_book(books, verdict.next, now)
                return None
            return self._decide(books, order, leg, amounts, known, now, denied)

    def fire_again(self, leg: Leg, values: Mapping[Subject, Decimal], now: datetime) -> IntentId | None:
        """Decide the next trade of a WAITING leg: of a stop whatever the price is by now, else if it is still there.

        Returns:
            The trade that was decided, or None as `fire`: what waited for a price that has gone is armed again.

        Raises:
            RetryableError: As `fire`; it stays due.
        """
        with self._store.read() as books:
            order = books.orders.get(leg.order_id)
        amounts, denied = self._asked(order, leg, values, is_new=False)
        with self._store.write() as books:
            order = _locked(books, order)
            current = books.orders.leg(leg.order_id, leg.name)
            if order is None or current is None or order.state is not OrderState.OPEN or current.version != leg.version:
                return None
            if denied is None and not gets_out(order, current):
                try:
                    if not waits_for_nothing(current.rule) and not holds(current.rule, values):
                        _arm_again(books, order, current, values, now)
                        return None
                except PriceUnavailableError as error:
                    denied = str(error)
            return self._decide(books, order, current, amounts, None, now, denied)

    def _asked(
        self, order: Order | None, leg: Leg | None, values: Mapping[Subject, Decimal], *, is_new: bool
    ) -> tuple[Amounts, str | None]:
        """What the network has to say before a transaction of the books begins: amounts, and why it must not fire."""
        if order is None or leg is None:
            return Amounts({}, {}), None
        try:
            return self._amounts(order, leg, values), None
        except PriceUnavailableError as error:
            if is_new:
                raise
            return Amounts({}, {}), str(error)
        except TokenError as error:
            return Amounts({}, {}), str(error)

    def _decide(
        self,
        books: Books,
        order: Order,
        leg: Leg,
        amounts: Amounts,
        view: TriggerView | None,
        now: datetime,
        denied: str | None,
    ) -> IntentId | None:
        denied = denied or self._denied(books, leg, now)
        if denied is not None:
            _postpone(books, order, leg, view, denied, now)
            return None
        held = held_raw(books, order.wallet, leg.input_mint)
        if leg.reduce_only and held <= _kept_raw(leg.input_mint):
            _end_without(books, order, leg, now)
            return None
        input_raw = _input_raw(books, order, leg, amounts, held)
        if input_raw is not None and input_raw <= 0:
            _postpone(books, order, leg, view, "other trades use all there is of what it gives", now)
            return None
        request = TradeRequest(
            key=order_key(order.id, leg.name, leg.firings),
            wallet=order.wallet,
            input_mint=leg.input_mint,
            output_mint=leg.output_mint,
            input_raw=input_raw,
            effect=leg.effect,
            max_slippage_bps=cap_bps(leg),
            deadline=None if leg.deadline_s is None else timedelta(seconds=leg.deadline_s),
        )
        try:
            check_request(request)
        except InvalidInputError as error:
            _postpone(books, order, leg, view, str(error), now)
            return None
        suspend_siblings(books, leg, now)
        drop_triggers(books, order.id, [leg.name])
        intent, _ = write_decision(books, request, policy=self._policy, now=now)
        fired = books.orders.change_leg(
            leg,
            at=now,
            state=LegState.FIRED,
            firings=leg.firings + 1,
            intent_id=intent.id,
            refire_at=None,
            reason=None,
            **_seen(leg, view),
        )
        tell(books, order, "order.fired", _told(fired, is_again=view is None and leg.firings > 0), now, leg=fired)
        return intent.id

    def _denied(self, books: Books, leg: Leg, now: datetime) -> str | None:
        """Why the protections hold an entry back now. An exit is never held back."""
        found = self._policy.protections.denials(books, ProposedTrade(effect=leg.effect, token=leg.output_mint), now)
        return str(refusal(found)) if found else None

    def _amounts(self, order: Order, leg: Leg, values: Mapping[Subject, Decimal]) -> Amounts:
        try:
            self._tokens.require_tradable(trusted_mints(leg))
        except RetryableError:
            # What an exit gets was looked at when the order was made: nobody has to answer again before it gets out.
            if leg.effect is ExposureEffect.ENTRY:
                raise
        if not converts(order, leg):
            return Amounts({}, {})
        mints = (leg.input_mint, leg.output_mint)
        missing = [mint for mint in mints if Subject(mint) not in values]
        if missing:
            raise PriceUnavailableError("there is no price of it now", subject=missing[0], fix="It is looked at again")
        return Amounts(
            {mint: values[Subject(mint)] for mint in mints}, {mint: self._tokens.decimals(mint) for mint in mints}
        )


def _locked(books: Books, order: Order | None) -> Order | None:
    """The order as it is now, locked after its wallet: two orders must not promise one balance."""
    if order is None:
        return None
    books.wallets.lock(order.wallet)
    return books.orders.lock(order.id)


def converts(order: Order, leg: Leg) -> bool:
    """Whether its amount is told in the token that it gets, and so needs both prices to become one of what it gives."""
    sells = leg.input_mint == order.base_mint
    return leg.amount.kind is (AmountKind.QUOTE if sells else AmountKind.BASE)


def trusted_mints(leg: Leg) -> tuple[Mint, ...]:
    """Tokens that must not be dangerous when it fires (`decisions.mints_to_trust`)."""
    return (leg.input_mint, leg.output_mint) if leg.effect is ExposureEffect.ENTRY else (leg.output_mint,)


def cap_bps(leg: Leg) -> int:
    """The slippage cap of its next trade: half as much again for every trade that failed, where it may widen."""
    if leg.widen_to_bps is None:
        return leg.max_slippage_bps
    return min(leg.widen_to_bps, leg.max_slippage_bps * (2 + leg.firings) // 2)


def held_raw(books: Books, wallet: Address, mint: Mint) -> int:
    """Base units that the books know the wallet to hold, what is confirmed and not final included."""
    asset = NATIVE_SOL if mint == WSOL_MINT else Asset(mint)
    return books.ledger.balance_raw(wallet, asset, final_only=False)


def _kept_raw(mint: Mint) -> int:
    return KEPT_LAMPORTS if mint == WSOL_MINT else 0


def _arm_again(books: Books, order: Order, leg: Leg, values: Mapping[Subject, Decimal], now: datetime) -> None:
    """The price was there and nothing came of it, and now it is not: only a stop trades at any price."""
    arming = arming_anew(leg, values)
    armed = books.orders.change_leg(leg, at=now, state=LegState.ARMED, refire_at=None, reason=None)
    put_into_book(books, arming, now)
    told = f"leg {leg.name} is watched again: what it waits for is not so any more, and nothing was filled"
    tell(books, order, "order.armed_again", told, now, leg=armed)


def _rest(books: Books, order: Order, leg: Leg, why: str, now: datetime) -> None:
    """It cannot be said whether it fires: it is watched anew once its prices are known."""
    drop_triggers(books, order.id, [leg.name])
    resting = books.orders.change_leg(leg, at=now, state=LegState.DORMANT, active_from=now, reason=why)
    tell(books, order, "order.unwatched", f"leg {leg.name}: {why}", now, severity=Severity.WARNING, leg=resting)


def _input_raw(books: Books, order: Order, leg: Leg, amounts: Amounts, held: int) -> int | None:
    """How much the next trade gives: never more than is held and not promised elsewhere, where it only reduces.

    Returns:
        Base units, not above zero when nothing is free now; None for all there is when it is signed.
    """
    promised = books.intents.promised_raw(order.wallet, leg.input_mint)
    wants_all = leg.amount.kind is AmountKind.PERCENT and leg.amount.value == WHOLE_BPS
    if wants_all and promised == 0:
        return None
    # What an open trade for "all there is" will give is not known before it is signed.
    free = 0 if promised is None else held - promised
    free -= _kept_raw(leg.input_mint)
    if leg.amount.kind is AmountKind.PERCENT:
        return free * leg.amount.value // WHOLE_BPS
    wanted = leg.amount.value
    if converts(order, leg):
        gives, gets = leg.input_mint, leg.output_mint
        worth = Fraction(wanted, 10 ** amounts.decimals[gets]) * Fraction(amounts.usd[gets])
        wanted = math.ceil(worth / Fraction(amounts.usd[gives]) * 10 ** amounts.decimals[gives])
    return min(wanted, free) if leg.reduce_only else wanted


def _end_without(books: Books, order: Order, leg: Leg, now: datetime) -> None:
    told = f"leg {leg.name} fired and nothing is held of what it would give: there is nothing to protect any more"
    drop_triggers(books, order.id, [leg.name])
    end_idle_legs(books, order.id, now)
    ended = books.orders.change(order, at=now, state=OrderState.CANCELLED, reason=told)
    tell(books, ended, "order.cancelled", told, now, severity=Severity.WARNING, leg=leg)


def _postpone(books: Books, order: Order, leg: Leg, view: TriggerView | None, why: str, now: datetime) -> None:
    """It fired, but nothing can be decided now: it fires again a little later, and says why."""
    drop_triggers(books, order.id, [leg.name])
    waiting = None if leg.state is LegState.WAITING else LegState.WAITING
    later = books.orders.change_leg(
        leg, at=now, state=waiting, refire_at=now + POSTPONED_FOR, reason=why, **_seen(leg, view)
    )
    if leg.reason != why:
        tell(books, order, "order.postponed", f"leg {leg.name} waits: {why}", now, severity=Severity.WARNING, leg=later)


def _seen(leg: Leg, view: TriggerView | None) -> dict[str, Any]:
    """What its trigger saw; a leg that fires again keeps what it saw first."""
    if view is None:
        return {}
    if is_window(view.trigger.subject):
        return {"fired_at": view.fired_at, "fired_value": None, "gap_bps": None}
    gap_bps = None if waits_for_nothing(leg.rule) else _gap_bps(view)
    return {"fired_at": view.fired_at, "fired_value": view.fired_value, "gap_bps": gap_bps}


def _gap_bps(view: TriggerView) -> int | None:
    """How far beyond its level the value was that fired it, rounded down."""
    if view.level is None or view.fired_value is None:
        return None
    return int(abs(Fraction(view.fired_value) / Fraction(view.level) - 1) * WHOLE_BPS)


def _told(leg: Leg, *, is_again: bool) -> str:
    if is_again:
        return f"leg {leg.name} fires again, with a cap of {cap_bps(leg)} bps: trade {leg.intent_id}"
    gapped = f", gapped {leg.gap_bps} bps beyond its level" if (leg.gap_bps or 0) >= GAP_BPS else ""
    at = "" if leg.fired_value is None else f" at {leg.fired_value:f}"
    return f"leg {leg.name} fired{at}{gapped}: trade {leg.intent_id}"
