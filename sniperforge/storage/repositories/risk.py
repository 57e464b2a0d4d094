"""What protections ask of the books."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, bindparam, not_, or_, select, text

from sniperforge.domain.intent import AttemptState, ExposureEffect, FillState, IntentKind, IntentState
from sniperforge.domain.money import Mint
from sniperforge.domain.risk import Dated
from sniperforge.ports.records import LedgerKind
from sniperforge.ports.risk import EndedEntry, ExitFill
from sniperforge.storage import tables
from sniperforge.storage.prepared import one_of, values_of
from sniperforge.storage.repositories.base import Transaction

_INTENT, _ATTEMPT, _FILL = tables.trade_intents.c, tables.attempts.c, tables.fills.c
_LEDGER, _POSITION, _EVENT = tables.ledger_entries.c, tables.positions.c, tables.events.c
_SINCE = bindparam("since", type_=_ATTEMPT.created_at.type)

_IS_ENTRY = (_INTENT.effect == ExposureEffect.ENTRY, _INTENT.kind == IntentKind.TRADE)
_OF_ATTEMPTS = tables.attempts.join(tables.trade_intents, _INTENT.id == _ATTEMPT.intent_id)

_SPENT = (
    select(_ATTEMPT.created_at, _ATTEMPT.input_amount_raw, _ATTEMPT.usd_per_input_unit)
    .select_from(_OF_ATTEMPTS)
    .where(
        _ATTEMPT.created_at >= _SINCE,
        *(_ATTEMPT.state != state for state in (AttemptState.EXPIRED, AttemptState.REVERTED)),
        _ATTEMPT.usd_per_input_unit.is_not(None),
        *_IS_ENTRY,
    )
    .order_by(_ATTEMPT.created_at, _ATTEMPT.id)
)
_UNDER_WAY = (
    select(_INTENT.output_mint, _ATTEMPT.input_amount_raw, _ATTEMPT.usd_per_input_unit)
    .select_from(_OF_ATTEMPTS)
    .where(
        # The very text of the partial index, so that it is used; a CONFIRMED one is in a position.
        text(f"attempts.{tables.LIVE}"),
        _ATTEMPT.state != AttemptState.CONFIRMED,
        _ATTEMPT.usd_per_input_unit.is_not(None),
        *_IS_ENTRY,
    )
)
_HELD = select(_POSITION.mint, _POSITION.cost_usd).where(text(tables.HELD))
_RESULTS = (
    # Nothing but what is in the index: it is read from there, for however many days.
    select(_FILL.booked_at, _FILL.result_usd)
    .where(_FILL.booked_at >= _SINCE, text(tables.EXITED), _FILL.state != FillState.REVERSED)
    .order_by(_FILL.booked_at)
)
_EXITS = (
    select(_FILL.booked_at, _INTENT.key, _FILL.input_mint)
    .join(tables.trade_intents, _INTENT.id == _FILL.intent_id)
    .where(_FILL.booked_at >= _SINCE, text(tables.EXITED), _FILL.state != FillState.REVERSED)
    .order_by(_FILL.booked_at, _FILL.signature)
)
_FEES = (
    select(
        _ATTEMPT.usd_per_lamport,
        _FILL.fee_lamports + _FILL.tip_lamports + _FILL.rent_paid_lamports - _FILL.rent_returned_lamports,
    )
    .join(tables.fills, _FILL.attempt_id == _ATTEMPT.id)
    .where(_ATTEMPT.created_at >= _SINCE, _FILL.state != FillState.REVERSED, _ATTEMPT.usd_per_lamport.is_not(None))
)
_WASTED = (
    select(_ATTEMPT.created_at, _ATTEMPT.usd_per_lamport, -_LEDGER.delta_raw)
    .join(tables.ledger_entries, _LEDGER.source == _ATTEMPT.signature)
    .where(
        text(f"attempts.{tables.REVERTED}"),
        _ATTEMPT.created_at >= _SINCE,
        _ATTEMPT.usd_per_lamport.is_not(None),
        _LEDGER.wallet == _ATTEMPT.wallet,
        _LEDGER.kind == LedgerKind.FEE,
        _LEDGER.state != FillState.REVERSED,
    )
    .order_by(_ATTEMPT.created_at, _ATTEMPT.id)
)
_DIVERGED = (
    select(_EVENT.intent_id, _EVENT.at).where(text(tables.DIVERGED), _EVENT.at >= _SINCE).order_by(_EVENT.at, _EVENT.id)
)


class SqlRiskRecords:
    """`ports.risk.RiskRecords`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def spent(self, *, since: datetime) -> tuple[Dated, ...]:
        """Oldest first."""
        found = self._transaction.ask(_SPENT, {"since": since})
        return tuple(Dated(at, raw * usd) for at, raw, usd in found)

    def under_way(self) -> Mapping[Mint, Decimal]:
        """By the token they get."""
        return _added((mint, raw * usd) for mint, raw, usd in self._transaction.ask(_UNDER_WAY, {}))

    def held(self) -> Mapping[Mint, Decimal]:
        """By token."""
        return _added((mint, usd) for mint, usd in self._transaction.ask(_HELD, {}))

    def exits(self, *, since: datetime) -> tuple[ExitFill, ...]:
        """Oldest first."""
        return tuple(
            ExitFill(at=at, key=key, token=token) for at, key, token in self._transaction.ask(_EXITS, {"since": since})
        )

    def results(self, *, since: datetime) -> tuple[Dated, ...]:
        """Oldest first."""
        brought = [Dated(at, usd) for at, usd in self._transaction.ask(_RESULTS, {"since": since})]
        wasted = self._wasted(since)
        return tuple(sorted(brought + wasted, key=attrgetter("at")) if wasted else brought)

    def fees(self, *, since: datetime) -> Decimal:
        """Of fills, and of what landed with an error."""
        filled = self._transaction.ask(_FEES, {"since": since})
        wasted = sum((one.usd for one in self._wasted(since)), Decimal(0))
        return sum((usd * lamports for usd, lamports in filled), -wasted)

    def _wasted(self, since: datetime) -> list[Dated]:
        """Fees of what landed with an error, as losses."""
        return [Dated(at, usd * -lamports) for at, usd, lamports in self._transaction.ask(_WASTED, {"since": since})]

    def ended_entries(self, limit: int, *, without: Collection[str]) -> tuple[EndedEntry, ...]:
        """Newest decision first."""
        codes = sorted(without)
        values = {"most": limit, **values_of("code", codes)}
        return tuple(
            EndedEntry(at, state is IntentState.FAILED)
            for at, state in self._transaction.ask(_ended(len(codes)), values)
        )

    def diverged(self, *, since: datetime) -> tuple[datetime, ...]:
        """Each trade once, oldest first."""
        last = dict(map(tuple, self._transaction.ask(_DIVERGED, {"since": since})))
        return tuple(sorted(last.values()))


@cache
def _ended(codes: int) -> Select[Any]:
    """The newest entries that ended, but those with one of so many codes."""
    return (
        select(_INTENT.updated_at, _INTENT.state)
        .where(
            text(tables.ENDED_ENTRY),
            or_(_INTENT.reason_code.is_(None), not_(one_of(_INTENT.reason_code, "code", codes))),
        )
        .order_by(_INTENT.created_at.desc(), _INTENT.id)
        .limit(bindparam("most", type_=tables.trade_intents.c.version.type))
    )


def _added(parts: Iterable[tuple[Mint, Decimal]]) -> Mapping[Mint, Decimal]:
    sums: dict[Mint, Decimal] = defaultdict(Decimal)
    for mint, usd in parts:
        sums[mint] += usd
    return dict(sums)
