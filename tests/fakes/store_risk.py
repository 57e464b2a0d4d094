"""What protections ask of the books, answered from books in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from sniperforge.domain.intent import Attempt, AttemptState, ExposureEffect, FillState, IntentKind, IntentState
from sniperforge.domain.money import Mint
from sniperforge.domain.risk import Dated
from sniperforge.ports.records import LedgerKind
from sniperforge.ports.risk import PRICE_DIVERGED, EndedEntry, ExitFill
from tests.fakes.store_tables import Part


class FakeRiskRecords(Part):
    def spent(self, *, since: datetime) -> tuple[Dated, ...]:
        gave_nothing = (AttemptState.EXPIRED, AttemptState.REVERTED)
        return _dated(
            (attempt.created_at, usd * attempt.input_amount_raw)
            for attempt, _, usd in self._entries()
            if attempt.created_at >= since and attempt.state not in gave_nothing
        )

    def under_way(self) -> Mapping[Mint, Decimal]:
        sums: dict[Mint, Decimal] = defaultdict(Decimal)
        for attempt, token, usd in self._entries():
            if attempt.state in (AttemptState.SIGNED, AttemptState.SENT):
                sums[token] += usd * attempt.input_amount_raw
        return dict(sums)

    def held(self) -> Mapping[Mint, Decimal]:
        self._transaction.must_be_sound()
        sums: dict[Mint, Decimal] = defaultdict(Decimal)
        for position in self._data.positions.values():
            if position.raw:
                sums[position.mint] += position.cost_usd
        return dict(sums)

    def exits(self, *, since: datetime) -> tuple[ExitFill, ...]:
        found = self._rows(
            self._data.fills,
            lambda fill: (
                fill.booked_at >= since and fill.result_usd is not None and fill.state is not FillState.REVERSED
            ),
            lambda fill: (fill.booked_at, fill.signature),
        )
        return tuple(
            ExitFill(
                at=fill.booked_at,
                key=self._data.intents[fill.intent_id].key,
                token=fill.input_mint,
            )
            for fill in found
        )

    def results(self, *, since: datetime) -> tuple[Dated, ...]:
        brought = [
            (fill.booked_at, fill.result_usd)
            for fill in self._data.fills.values()
            if fill.booked_at >= since and fill.result_usd is not None and fill.state is not FillState.REVERSED
        ]
        return _dated([*brought, *((one.at, -one.usd) for one in self._wasted(since))])

    def _wasted(self, since: datetime) -> tuple[Dated, ...]:
        return _dated(
            (attempt.created_at, -line.delta_raw * attempt.usd_per_lamport)
            for attempt in self._signed(since)
            for line in self._data.ledger.values()
            if attempt.state is AttemptState.REVERTED
            and (line.source, line.wallet, line.kind) == (attempt.signature, attempt.wallet, LedgerKind.FEE)
            and line.state is not FillState.REVERSED
        )

    def fees(self, *, since: datetime) -> Decimal:
        paid = sum((one.usd for one in self._wasted(since)), Decimal(0))
        attempts = {attempt.id: attempt for attempt in self._signed(since)}
        for fill in self._data.fills.values():
            if fill.state is not FillState.REVERSED and fill.attempt_id in attempts:
                rent = fill.rent_paid_lamports - fill.rent_returned_lamports
                paid += (fill.fee_lamports + fill.tip_lamports + rent) * attempts[fill.attempt_id].usd_per_lamport
        return paid

    def ended_entries(self, limit: int, *, without: Collection[str]) -> tuple[EndedEntry, ...]:
        by_id = self._rows(
            self._data.intents,
            lambda intent: (
                intent.effect is ExposureEffect.ENTRY
                and intent.kind is IntentKind.TRADE
                and intent.state in (IntentState.FILLED, IntentState.FAILED)
                and intent.reason_code not in without
            ),
            lambda intent: intent.id,
        )
        newest = sorted(by_id, key=lambda intent: intent.created_at, reverse=True)[:limit]
        return tuple(EndedEntry(intent.updated_at, intent.state is IntentState.FAILED) for intent in newest)

    def diverged(self, *, since: datetime) -> tuple[datetime, ...]:
        self._transaction.must_be_sound()
        last: dict[str | None, datetime] = {}
        for event in self._data.events.values():
            if event.kind == PRICE_DIVERGED and event.at >= since:
                last[event.intent_id] = max(event.at, last.get(event.intent_id, event.at))
        return tuple(sorted(last.values()))

    def _entries(self) -> Iterator[tuple[Attempt, Mint, Decimal]]:
        """Attempts of entries with the token they get, and the worth of one unit of what they give."""
        self._transaction.must_be_sound()
        for attempt in self._data.attempts.values():
            intent = self._data.intents[attempt.intent_id]
            is_entry = intent.effect is ExposureEffect.ENTRY and intent.kind is IntentKind.TRADE
            if is_entry and attempt.usd_per_input_unit is not None:
                yield attempt, intent.output_mint, attempt.usd_per_input_unit

    def _signed(self, since: datetime) -> Iterator[Attempt]:
        """Attempts since then whose fees have a value."""
        self._transaction.must_be_sound()
        for attempt in self._data.attempts.values():
            if attempt.created_at >= since and attempt.usd_per_lamport is not None:
                yield attempt


def _dated(parts: Iterable[tuple[datetime, Decimal]]) -> tuple[Dated, ...]:
    return tuple(Dated(at, usd) for at, usd in sorted(parts))
