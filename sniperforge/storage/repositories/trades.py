"""The life of a trade: intents, attempts, fills, and what is reserved for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select, text, update

from sniperforge.domain.ids import AttemptId, IntentId, IntentKey
from sniperforge.domain.intent import (
    ATTEMPT_TRANSITIONS,
    FILL_TRANSITIONS,
    INTENT_TRANSITIONS,
    Attempt,
    AttemptState,
    Fill,
    FillState,
    IntentState,
    TradeIntent,
)
from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.errors import ConflictError
from sniperforge.ports.records import FUND_KINDS, Reservation, ReservationKind
from sniperforge.ports.store import ATTEMPT_CHANGES, FILL_CHANGES, INTENT_CHANGES
from sniperforge.storage import tables
from sniperforge.storage.prepared import one_of, values_of
from sniperforge.storage.repositories.base import Rows, VersionedRows

_IS_LIVE = text(tables.LIVE)  # the very text of the partial indexes, so that they are used


class SqlIntents(VersionedRows[TradeIntent]):
    """`ports.store.Intents`."""

    table = tables.trade_intents
    record = TradeIntent
    changeable = INTENT_CHANGES | {"updated_at"}
    transitions = INTENT_TRANSITIONS

    def add(self, intent: TradeIntent) -> None:
        """Write a decision."""
        self._insert([intent])

    def get(self, intent_id: IntentId) -> TradeIntent | None:
        """The intent, or None."""
        return self._one(id=intent_id)

    def get_by_key(self, key: IntentKey) -> TradeIntent | None:
        """The intent decided under this key, or None."""
        return self._one(key=key)

    def starting_with(self, prefix: str, limit: int) -> tuple[TradeIntent, ...]:
        """By the beginning of the id."""
        column = self.table.c
        return self._select(column.id.startswith(prefix, autoescape=True), order=(column.id,), limit=limit)

    def lock(self, intent_id: IntentId) -> TradeIntent | None:
        """The intent, unchanged by others until this transaction ends."""
        return self._locked(id=intent_id)

    def change(
        self, intent: TradeIntent, *, at: datetime, state: IntentState | None = None, **fields: Any
    ) -> TradeIntent:
        """Compare-and-set."""
        return self._change(intent, state, {**fields, "updated_at": at})

    def due(self, now: datetime, limit: int) -> tuple[TradeIntent, ...]:
        """Unfinished intents whose time has come and whom nobody leases, most overdue first."""
        column = self.table.c
        waiting = (column.next_attempt_at <= now, or_(column.lease_until.is_(None), column.lease_until <= now))
        order = (column.next_attempt_at, column.id)
        open_states = (IntentState.PENDING, IntentState.EXECUTING)
        unsettled = select(tables.attempts.c.intent_id).where(_IS_LIVE)
        found = self._select(column.state.in_(open_states), *waiting, order=order, limit=limit) + self._select(
            column.state.not_in(open_states), column.id.in_(unsettled), *waiting, order=order, limit=limit
        )
        return tuple(sorted(found, key=lambda intent: (intent.next_attempt_at, intent.id))[:limit])

    def in_state(self, state: IntentState, limit: int) -> tuple[TradeIntent, ...]:
        """Longest unchanged first."""
        column = self.table.c
        return self._select(column.state == state, order=(column.updated_at, column.id), limit=limit)

    def recent(self, limit: int) -> tuple[TradeIntent, ...]:
        """Newest first."""
        column = self.table.c
        return self._select(order=(column.created_at.desc(), column.id), limit=limit)

    def promised_raw(self, wallet: Address, mint: Mint) -> int | None:
        """What trades that have not landed give; the database sums whole numbers exactly."""
        column = self.table.c
        statement = select(
            func.count().label("trades"),
            func.count(column.input_amount_raw).label("told"),
            func.sum(column.input_amount_raw).label("promised"),
        ).where(
            column.state.in_((IntentState.PENDING, IntentState.EXECUTING)),
            column.wallet == wallet,
            column.input_mint == mint,
        )
        (found,) = self._transaction.rows(statement)
        return int(found.promised or 0) if found.told == found.trades else None


class SqlAttempts(VersionedRows[Attempt]):
    """`ports.store.Attempts`."""

    table = tables.attempts
    record = Attempt
    changeable = ATTEMPT_CHANGES | {"updated_at"}
    transitions = ATTEMPT_TRANSITIONS
    _lock_intent = (
        select(tables.trade_intents.c.id)
        .where(tables.trade_intents.c.id == bindparam("intent_id"))
        .with_for_update(key_share=True)
    )

    def add(self, attempt: Attempt) -> None:
        """Write an attempt, if the intent has no live one but on the same nonce value.

        The intent's row is locked first, so that two workers cannot both find none; behind it stands the partial
        unique index, which no code path can forget.
        """
        self._transaction.must_write()
        self._transaction.ask(self._lock_intent, {"intent_id": attempt.intent_id})
        bound_to = (attempt.nonce_account, attempt.nonce_value)
        for other in self._asked(_LIVE_OF_INTENT, {"intent_id": attempt.intent_id}):
            if attempt.nonce_account is None or (other.nonce_account, other.nonce_value) != bound_to:
                self._transaction.fail(
                    ConflictError(
                        f"attempt {other.number} is still live",
                        subject=attempt.intent_id,
                        fix="Settle it, or prove it dead, first",
                    )
                )
        self._insert([attempt])

    def get(self, attempt_id: AttemptId) -> Attempt | None:
        """The attempt, or None."""
        return self._one(id=attempt_id)

    def by_signature(self, signature: Signature) -> Attempt | None:
        """The attempt whose transaction has this id, or None."""
        return self._one(signature=signature)

    def of_intent(self, intent_id: IntentId) -> tuple[Attempt, ...]:
        """By number."""
        return self._with("number", intent_id=intent_id)

    def change(self, attempt: Attempt, *, at: datetime, state: AttemptState | None = None, **fields: Any) -> Attempt:
        """Compare-and-set."""
        return self._change(attempt, state, {**fields, "updated_at": at})

    def live(self, limit: int) -> tuple[Attempt, ...]:
        """Oldest first."""
        return self._select(_IS_LIVE, order=(self.table.c.created_at, self.table.c.id), limit=limit)

    def watched(self, now: datetime, limit: int) -> tuple[Attempt, ...]:
        """EXPIRED and still asked about, nearest end of the watch first."""
        column = self.table.c
        return self._select(
            column.state == AttemptState.EXPIRED,
            column.watch_until > now,
            order=(column.watch_until, column.id),
            limit=limit,
        )


_LIVE_OF_INTENT = SqlAttempts.query.where(tables.attempts.c.intent_id == bindparam("intent_id"), _IS_LIVE)


class SqlReservations(Rows[Reservation]):
    """`ports.store.Reservations`."""

    table = tables.reservations
    record = Reservation
    _release = update(table).where(table.c.attempt_id == bindparam("holder"), table.c.released_at.is_(None))

    def add(self, reservations: Sequence[Reservation]) -> None:
        """Hold funds back."""
        self._insert(reservations)

    def of_attempt(self, attempt_id: AttemptId) -> tuple[Reservation, ...]:
        """Everything held, or once held, for an attempt."""
        return self._with("mint", "kind", attempt_id=attempt_id)

    def held_raw(self, wallet: Address, mint: Mint, kinds: Iterable[ReservationKind] = FUND_KINDS) -> int:
        """Base units held back now."""
        wanted = sorted(kinds)
        values = {"wallet": wallet, "mint": mint, **values_of("kind", wanted)}
        ((held,),) = self._transaction.ask(_held(len(wanted)), values)
        return int(held)

    def release(self, attempt_id: AttemptId, at: datetime) -> int:
        """Let go of what an attempt still holds."""
        self._transaction.must_write()
        return self._transaction.write(self._release, [{"holder": attempt_id, "released_at": at}])


@cache
def _held(kinds: int) -> Select[Any]:
    """What is held back of a mint for any of so many kinds."""
    column = tables.reservations.c
    return select(func.coalesce(func.sum(column.amount_raw), 0)).where(
        column.wallet == bindparam("wallet"),
        column.mint == bindparam("mint"),
        one_of(column.kind, "kind", kinds),
        column.released_at.is_(None),
    )


class SqlFills(VersionedRows[Fill]):
    """`ports.store.Fills`."""

    table = tables.fills
    record = Fill
    changeable = FILL_CHANGES
    transitions = FILL_TRANSITIONS

    def add(self, fill: Fill) -> None:
        """Book a fill."""
        self._insert([fill])

    def get(self, signature: Signature) -> Fill | None:
        """The fill of a transaction, or None."""
        return self._one(signature=signature)

    def of_intent(self, intent_id: IntentId) -> tuple[Fill, ...]:
        """In booking order."""
        return self._with("booked_at", "signature", intent_id=intent_id)

    def change(self, fill: Fill, *, state: FillState | None = None, **fields: Any) -> Fill:
        """Compare-and-set."""
        return self._change(fill, state, fields)

    def of_asset(self, wallet: Address, mint: Mint) -> tuple[Fill, ...]:
        """By slot and booking order."""
        column = self.table.c
        return self._select(
            (column.wallet == wallet)
            & (column.state != FillState.REVERSED)
            & ((column.input_mint == mint) | (column.output_mint == mint)),
            order=(column.slot, column.booked_at, column.signature),
        )

    def provisional(self, limit: int) -> tuple[Fill, ...]:
        """Oldest first."""
        column = self.table.c
        return self._select(
            column.state == FillState.PROVISIONAL, order=(column.booked_at, column.signature), limit=limit
        )
