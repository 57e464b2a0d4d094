"""Where orders are made, changed and cancelled. Order, legs and triggers are written together, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sniperforge.domain.ids import OrderId
from sniperforge.domain.order import Condition, Leg, LegState, Order, Trail
from sniperforge.domain.trigger import Subject
from sniperforge.errors import ConflictError, InvalidInputError
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Lane
from sniperforge.ports.store import Books, Store
from sniperforge.ports.tokens import TokenFacts
from sniperforge.ports.triggers import TriggerView
from sniperforge.trading.controls import stop_reason
from sniperforge.trading.executor_policy import ExecutorPolicy
from sniperforge.trading.order_arming import arming_of, needs_values, subjects_of
from sniperforge.trading.order_changes import EDITABLE, Edit, changed_terms, draft_edit, write_edit
from sniperforge.trading.order_firing import held_raw, trusted_mints
from sniperforge.trading.order_legs import legs_of, order_of
from sniperforge.trading.order_life import cancel_order, put_into_book, tell
from sniperforge.trading.order_market import (
    Distance,
    Market,
    distances,
    holds_already,
    market_problems,
    watched_subjects,
)
from sniperforge.trading.order_terms import OrderTerms, Problem, terms_problems
from sniperforge.trading.price_watch import PriceWatch

LOOK_HOLDS = timedelta(seconds=10)
"""An order is placed on prices this fresh; a person who thinks longer is told what has changed."""

SLOW = timedelta(seconds=2)
"""Triggers that are looked at less often than this are said to be."""

_OTHERS_LOOKED_AT = 200
_CANCEL_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An order that could be placed.

    Attributes:
        terms: What was asked for.
        order: As it would be written.
        legs: The same, every default said.
        values: Everything that is watched, as it was when this was drafted.
        looked_at: When that was.
        distances: How far the market is from everything that the legs wait for.
        free_raw: What the wallet holds of the token and has not promised elsewhere, in base units.
        check_every: How often prices are looked at.
        warnings: What is allowed but perhaps not meant.
    """

    terms: OrderTerms
    order: Order
    legs: tuple[Leg, ...]
    values: Mapping[Subject, Decimal]
    looked_at: datetime
    distances: tuple[Distance, ...]
    free_raw: int
    check_every: timedelta
    warnings: tuple[str, ...]


class OrderDesk:
    """Where people and programs make, change and cancel orders.

    Args:
        store: The books.
        clock: Dates the changes.
        tokens: Decimals and dangers of tokens.
        watch: What the watched things cost.
        policy: Limits that no order may widen.
        new_id: Makes the id of an order, never the same twice.
        check_every: How often so many subjects are looked at.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        tokens: TokenFacts,
        watch: PriceWatch,
        policy: ExecutorPolicy,
        new_id: Callable[[], OrderId],
        check_every: Callable[[Sequence[Subject]], timedelta],
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens = tokens
        self._watch = watch
        self._policy = policy
        self._new_id = new_id
        self._check_every = check_every

    def draft(self, terms: OrderTerms) -> Draft:
        """Check an order and work out what it would do; nothing is written.

        Raises:
            InvalidInputError: `problems` lists everything that is wrong, each with its field of `OrderTerms`.
            TokenError: A token is dangerous, or there is none at this mint.
            RetryableError: Prices, chain or books cannot be asked.
        """
        now = self._clock.now()
        market = self._look(terms)
        problems = [*terms_problems(terms, self._policy, now), *market_problems(terms, market)]
        if problems:
            raise refused(problems)
        price = market.values.get(Subject(terms.base_mint))
        legs = tuple(
            _from_when_it_can(leg, market.values, now)
            for leg in legs_of(self._new_id(), terms, self._policy, price=price, now=now)
        )
        mints = {mint for leg in legs for mint in trusted_mints(leg)}
        self._tokens.require_tradable(sorted(mints))
        order = order_of(legs[0].order_id, terms, now)
        every = self._check_every(market.watched)
        return Draft(
            terms=terms,
            order=order,
            legs=legs,
            values=market.values,
            looked_at=now,
            distances=distances(legs, market.values),
            free_raw=market.free_raw,
            check_every=every,
            warnings=tuple(self._warnings(order, legs, market, every)),
        )

    def place(self, draft: Draft) -> Order:
        """Write an order, its legs and their triggers, in one commit. It is watched from then on.

        Prices that are older than `LOOK_HOLDS` are looked at again first.

        Raises:
            InvalidInputError: Its wallet is not in the books; or, by now, something is wrong with it.
            RetryableError: As `draft`.
        """
        if self._clock.now() - draft.looked_at > LOOK_HOLDS:
            draft = self.draft(draft.terms)
        now = self._clock.now()
        order = replace(draft.order, created_at=now, updated_at=now)
        with self._store.write() as books:
            books.orders.add(order, [replace(leg, updated_at=now) for leg in draft.legs])
            for leg in draft.legs:
                if leg.state is LegState.ARMED:
                    put_into_book(books, arming_of(leg, draft.values), now)
            tell(books, order, "order.created", f"a {order.kind} order for {order.base_mint} was made", now)
        return order

    def draft_edit(self, order_id: OrderId, given: Mapping[str, Any]) -> Edit:
        """Check a change of an order; nothing is written.

        Args:
            order_id: The order.
            given: Fields of `OrderTerms` with their new values; only those in `order_changes.EDITABLE`.

        Raises:
            InvalidInputError: `problems` lists everything that is wrong; or there is no such order, it ended, its trade
                is under way, or nothing would change.
            RetryableError: Prices, chain or books cannot be asked.
        """
        fixed = sorted(given.keys() - EDITABLE)
        if fixed:
            raise refused([Problem(name, "it cannot change: cancel the order and make another one") for name in fixed])
        order, legs, views = self._read(order_id)
        market = self._look(changed_terms(order, legs, given))
        now = self._clock.now()
        edit, problems = draft_edit(order, legs, views, given, market=market, policy=self._policy, now=now)
        if problems:
            raise refused(problems)
        return edit

    def edit(self, edit: Edit) -> Order:
        """Write a change: what is watched from then on is what was drafted, and nothing of what was before.

        Raises:
            ConflictError: The order changed since it was read; nothing was written.
            InvalidInputError: As `draft_edit`, when the prices it was drafted on are older than `LOOK_HOLDS`.
        """
        if self._clock.now() - edit.looked_at > LOOK_HOLDS:
            edit = self.draft_edit(edit.order.id, edit.given)
        with self._store.write() as books:
            return write_edit(books, edit, self._clock.now())

    def cancel(self, order_id: OrderId, *, by: str) -> Order:
        """Take an order out of reach of its triggers, then ask for the end of its trade; see `order_life.cancel_order`.

        Raises:
            InvalidInputError: There is no such order, or it ended before.
            ConflictError: It keeps changing.
        """
        reason = f"{by} cancelled it"
        for _ in range(_CANCEL_TRIES - 1):
            with suppress(ConflictError), self._store.write() as books:
                return cancel_order(books, order_id, now=self._clock.now(), reason=reason)
        with self._store.write() as books:
            return cancel_order(books, order_id, now=self._clock.now(), reason=reason)

    def _read(self, order_id: OrderId) -> tuple[Order, tuple[Leg, ...], tuple[TriggerView, ...]]:
        with self._store.read() as books:
            order = books.orders.get(order_id)
            if order is None:
                raise InvalidInputError(
                    "there is no such order", subject=order_id, fix="`sniperforge order-list` lists them"
                )
            return order, books.orders.legs(order_id), books.triggers.of_order(order_id)

    def _look(self, terms: OrderTerms) -> Market:
        subjects = watched_subjects(terms)
        look = self._watch.look(subjects, lane=Lane.ENTRY)
        decimals = {mint: self._tokens.decimals(mint) for mint in (terms.base_mint, terms.quote_mint)}
        with self._store.read() as books:
            free = free_raw(books, terms)
            watched = [one.subject for one in books.triggers.watched()]
        return Market(
            values={subject: seen.value for subject, seen in look.values.items()},
            missing=look.problems,
            watched=tuple(dict.fromkeys([*watched, *subjects])),
            free_raw=free,
            decimals=decimals,
        )

    def _warnings(self, order: Order, legs: Sequence[Leg], market: Market, every: timedelta) -> Iterator[str]:
        if every > SLOW:
            seconds = f"{every.total_seconds():.0f} s"
            yield f"prices are looked at every {seconds}: what the market does in between is seen that late, or never"
        for leg in legs:
            yield from _already(leg, market.values)
        for subject, why in market.missing.items():
            yield f"{subject} cannot be told yet, and until then it fires nothing ({why})"
        with self._store.read() as books:
            stopped = {reason for leg in legs if (reason := stop_reason(books, order.wallet, leg.effect)) is not None}
            others = _others(books, order)
        for reason in sorted(stopped):
            yield f"it would fire, but nothing would be signed for now: {reason}"
        if others and any(leg.reduce_only for leg in legs):
            yield (f"other orders sell the same token ({', '.join(others)}): whichever fires first takes what there is")


def refused(problems: Sequence[Problem]) -> InvalidInputError:
    """The error that lists these problems of an order."""
    listed = "".join(f"\n  {problem}" for problem in problems)
    told = tuple(str(problem) for problem in problems)
    return InvalidInputError(f"this order cannot be placed:{listed}", subject="order", problems=told)


def free_raw(books: Books, terms: OrderTerms) -> int:
    """Base units of the token that are held, and that no open trade will give."""
    held = held_raw(books, terms.wallet, terms.base_mint)
    return held - (books.intents.promised_raw(terms.wallet, terms.base_mint) or 0)


def _from_when_it_can(leg: Leg, values: Mapping[Subject, Decimal], now: datetime) -> Leg:
    """A leg that cannot be armed without a value that there is none of yet is armed by the first look that has it."""
    lacks = needs_values(leg.rule) and any(subject not in values for subject in subjects_of(leg.rule))
    return replace(leg, state=LegState.DORMANT, active_from=now) if lacks and leg.state is LegState.ARMED else leg


def _already(leg: Leg, values: Mapping[Subject, Decimal]) -> Iterator[str]:
    """What is so from the start, where no error says so."""
    if isinstance(leg.rule, Condition) and holds_already(leg, values):
        yield "its conditions hold already: it fires at once"
    if isinstance(leg.rule, Trail) and leg.rule.activation is not None and holds_already(leg, values):
        yield "the price is beyond the activation already: it follows from now on"


def _others(books: Books, order: Order) -> tuple[OrderId, ...]:
    """Open orders that sell the same token of the same wallet."""
    found = books.orders.open(_OTHERS_LOOKED_AT, wallet=order.wallet)
    return tuple(
        one.id for one in found if one.base_mint == order.base_mint and one.id != order.id and _sells(books, one)
    )


def _sells(books: Books, order: Order) -> bool:
    return any(leg.input_mint == order.base_mint for leg in books.orders.legs(order.id))
