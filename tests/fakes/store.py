"""Books in memory that keep every promise of `ports.store` except surviving the process."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sniperforge.domain.ids import AttemptId, IntentId, IntentKey
from sniperforge.domain.intent import (
    ATTEMPT_TRANSITIONS,
    FILL_TRANSITIONS,
    INTENT_TRANSITIONS,
    LIVE_ATTEMPT_STATES,
    Attempt,
    AttemptState,
    Fill,
    FillState,
    IntentKind,
    IntentState,
    SendPath,
    TradeIntent,
)
from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.domain.portfolio import Position
from sniperforge.domain.prices import Price
from sniperforge.errors import (
    ConflictError,
    InvalidInputError,
    StorageBusyError,
)
from sniperforge.ports.records import (
    FUND_KINDS,
    NONCE_TRANSITIONS,
    Asset,
    Attribution,
    Event,
    KnownTransaction,
    LedgerEntry,
    LedgerKind,
    NonceAccount,
    NonceState,
    Reservation,
    ReservationKind,
    Severity,
    SystemState,
    TradingMode,
    WalletRecord,
)
from sniperforge.ports.store import (
    ATTEMPT_CHANGES,
    FILL_CHANGES,
    INTENT_CHANGES,
    NONCE_CHANGES,
    SYSTEM_CHANGES,
    WALLET_CHANGES,
)
from tests.fakes.store_orders import FakeOrders, FakePriceSamples
from tests.fakes.store_plans import FakeOccurrences, FakePlans
from tests.fakes.store_risk import FakeRiskRecords
from tests.fakes.store_tables import Data, Part, Table, Transaction
from tests.fakes.store_triggers import FakeTriggers


class FakeIntents(Part):
    def add(self, intent: TradeIntent) -> None:
        self._transaction.refer(self._data.wallets, intent.wallet)
        if (intent.kind is IntentKind.MAINTENANCE) != (intent.purpose is not None):
            self._transaction.fail(InvalidInputError("only maintenance has a purpose", subject=intent.id))
        self._transaction.refer(self._data.plans, intent.plan_id)
        round_of_plan = (intent.plan_id, intent.occurrence)
        if None not in round_of_plan and any(
            (other.plan_id, other.occurrence) == round_of_plan for other in self._data.intents.values()
        ):
            self._transaction.fail(ConflictError("this round was decided", subject=intent.id))
        self._transaction.insert(self._data.intents, intent.id, intent, "key")

    def get(self, intent_id: IntentId) -> TradeIntent | None:
        found: TradeIntent | None = self._get(self._data.intents, intent_id)
        return found

    def get_by_key(self, key: IntentKey) -> TradeIntent | None:
        found: TradeIntent | None = self._only(self._data.intents, lambda intent: intent.key == key)
        return found

    def starting_with(self, prefix: str, limit: int) -> tuple[TradeIntent, ...]:
        return self._rows(
            self._data.intents, lambda intent: intent.id.startswith(prefix), lambda intent: intent.id, limit=limit
        )

    def lock(self, intent_id: IntentId) -> TradeIntent | None:
        found: TradeIntent | None = self._lock(self._data.intents, intent_id)
        return found

    def change(
        self, intent: TradeIntent, *, at: datetime, state: IntentState | None = None, **fields: Any
    ) -> TradeIntent:
        changes = {**fields, "updated_at": at}
        allowed = INTENT_CHANGES | {"updated_at"}
        return self._transaction.change(
            self._data.intents, intent.id, intent, state, changes, allowed, INTENT_TRANSITIONS
        )

    def due(self, now: datetime, limit: int) -> tuple[TradeIntent, ...]:
        unsettled = {one.intent_id for one in self._data.attempts.values() if one.state in LIVE_ATTEMPT_STATES}

        def waits(intent: TradeIntent) -> bool:
            unfinished = intent.state in {IntentState.PENDING, IntentState.EXECUTING} or intent.id in unsettled
            free = intent.lease_until is None or intent.lease_until <= now
            return unfinished and free and intent.next_attempt_at <= now

        return self._rows(self._data.intents, waits, lambda intent: (intent.next_attempt_at, intent.id), limit=limit)

    def in_state(self, state: IntentState, limit: int) -> tuple[TradeIntent, ...]:
        return self._rows(
            self._data.intents,
            lambda intent: intent.state is state,
            lambda intent: (intent.updated_at, intent.id),
            limit=limit,
        )

    def recent(self, limit: int) -> tuple[TradeIntent, ...]:
        by_id = self._rows(self._data.intents, lambda _: True, lambda intent: intent.id)
        return tuple(sorted(by_id, key=lambda intent: intent.created_at, reverse=True)[:limit])

    def promised_raw(self, wallet: Address, mint: Mint) -> int | None:
        amounts = [
            one.input_amount_raw
            for one in self._data.intents.values()
            if one.state in {IntentState.PENDING, IntentState.EXECUTING}
            and (one.wallet, one.input_mint) == (wallet, mint)
        ]
        return None if None in amounts else sum(amount for amount in amounts if amount is not None)


class FakeAttempts(Part):
    def add(self, attempt: Attempt) -> None:
        self._transaction.refer(self._data.intents, attempt.intent_id)
        bound_to = (attempt.nonce_account, attempt.nonce_value)
        for other in self.of_intent(attempt.intent_id):
            same_nonce = attempt.nonce_account is not None and bound_to == (other.nonce_account, other.nonce_value)
            if other.number == attempt.number or (other.state in LIVE_ATTEMPT_STATES and not same_nonce):
                self._transaction.fail(ConflictError("another attempt stands in the way", subject=attempt.id))
        on_paper = attempt.path is SendPath.PAPER
        if attempt.nonce_account is None and attempt.bound_block_height is None and not on_paper:
            self._transaction.fail(InvalidInputError("neither a bound nor a nonce", subject=attempt.id))
        self._transaction.insert(self._data.attempts, attempt.id, attempt, "signature")

    def get(self, attempt_id: AttemptId) -> Attempt | None:
        found: Attempt | None = self._get(self._data.attempts, attempt_id)
        return found

    def by_signature(self, signature: Signature) -> Attempt | None:
        found: Attempt | None = self._only(self._data.attempts, lambda attempt: attempt.signature == signature)
        return found

    def of_intent(self, intent_id: IntentId) -> tuple[Attempt, ...]:
        return self._rows(
            self._data.attempts, lambda attempt: attempt.intent_id == intent_id, lambda attempt: attempt.number
        )

    def change(self, attempt: Attempt, *, at: datetime, state: AttemptState | None = None, **fields: Any) -> Attempt:
        changes = {**fields, "updated_at": at}
        allowed = ATTEMPT_CHANGES | {"updated_at"}
        return self._transaction.change(
            self._data.attempts, attempt.id, attempt, state, changes, allowed, ATTEMPT_TRANSITIONS
        )

    def live(self, limit: int) -> tuple[Attempt, ...]:
        return self._rows(
            self._data.attempts,
            lambda attempt: attempt.state in LIVE_ATTEMPT_STATES,
            lambda attempt: (attempt.created_at, attempt.id),
            limit=limit,
        )

    def watched(self, now: datetime, limit: int) -> tuple[Attempt, ...]:
        def asked(attempt: Attempt) -> bool:
            until = attempt.watch_until
            return attempt.state is AttemptState.EXPIRED and until is not None and until > now

        return self._rows(self._data.attempts, asked, lambda attempt: (attempt.watch_until, attempt.id), limit=limit)


class FakeReservations(Part):
    def add(self, reservations: Sequence[Reservation]) -> None:
        for reservation in reservations:
            self._transaction.refer(self._data.attempts, reservation.attempt_id)
            key = (reservation.attempt_id, reservation.mint, reservation.kind)
            self._transaction.insert(self._data.reservations, key, reservation)

    def of_attempt(self, attempt_id: AttemptId) -> tuple[Reservation, ...]:
        return self._rows(
            self._data.reservations, lambda one: one.attempt_id == attempt_id, lambda one: (one.mint, one.kind)
        )

    def held_raw(self, wallet: Address, mint: Mint, kinds: Iterable[ReservationKind] = FUND_KINDS) -> int:
        self._transaction.must_be_sound()
        wanted = set(kinds)
        return sum(
            one.amount_raw
            for one in self._data.reservations.values()
            if (one.wallet, one.mint) == (wallet, mint) and one.kind in wanted and one.released_at is None
        )

    def release(self, attempt_id: AttemptId, at: datetime) -> int:
        self._transaction.must_write()
        held = [
            key
            for key, one in self._data.reservations.items()
            if one.attempt_id == attempt_id and one.released_at is None
        ]
        for key in held:
            self._data.reservations[key] = replace(self._data.reservations[key], released_at=at)
        return len(held)


class FakeFills(Part):
    def add(self, fill: Fill) -> None:
        self._transaction.refer(self._data.attempts, fill.attempt_id)
        self._transaction.insert(self._data.fills, fill.signature, fill, "attempt_id")

    def get(self, signature: Signature) -> Fill | None:
        found: Fill | None = self._get(self._data.fills, signature)
        return found

    def of_intent(self, intent_id: IntentId) -> tuple[Fill, ...]:
        return self._rows(
            self._data.fills, lambda fill: fill.intent_id == intent_id, lambda fill: (fill.booked_at, fill.signature)
        )

    def change(self, fill: Fill, *, state: FillState | None = None, **fields: Any) -> Fill:
        return self._transaction.change(
            self._data.fills, fill.signature, fill, state, fields, FILL_CHANGES, FILL_TRANSITIONS
        )

    def of_asset(self, wallet: Address, mint: Mint) -> tuple[Fill, ...]:
        return self._rows(
            self._data.fills,
            lambda fill: (
                fill.wallet == wallet
                and fill.state is not FillState.REVERSED
                and mint in (fill.input_mint, fill.output_mint)
            ),
            lambda fill: (fill.slot, fill.booked_at, fill.signature),
        )

    def provisional(self, limit: int) -> tuple[Fill, ...]:
        return self._rows(
            self._data.fills,
            lambda fill: fill.state is FillState.PROVISIONAL,
            lambda fill: (fill.booked_at, fill.signature),
            limit=limit,
        )


class FakeLedger(Part):
    def add(self, entries: Sequence[LedgerEntry]) -> None:
        self._transaction.must_write()
        for entry in entries:
            self._transaction.refer(self._data.wallets, entry.wallet)
            key = (entry.source, entry.wallet, entry.asset, entry.kind)
            self._transaction.insert(self._data.ledger, key, entry)

    def _of(self, source: str) -> dict[Any, LedgerEntry]:
        return {key: entry for key, entry in self._data.ledger.items() if entry.source == source}

    def of_source(self, source: str) -> tuple[LedgerEntry, ...]:
        self._transaction.must_be_sound()
        return tuple(self._of(source).values())

    def settle(self, source: str, state: FillState) -> int:
        self._transaction.must_write()
        moving = {key: entry for key, entry in self._of(source).items() if entry.state is not state}
        for key, entry in moving.items():
            self._transaction.check_transition(FILL_TRANSITIONS, entry.state, state, source)
            self._data.ledger[key] = replace(entry, state=state)
        return len(moving)

    def correct(self, source: str, entries: Sequence[LedgerEntry]) -> None:
        self._transaction.must_write()
        if any(entry.source != source for entry in entries):
            self._transaction.fail(InvalidInputError("a line belongs to another transaction", subject=source))
        if any(entry.state is FillState.FINAL for entry in self._of(source).values()):
            self._transaction.fail(ConflictError("its lines are final", subject=source))
        for key in self._of(source):
            del self._data.ledger[key]
        self.add(entries)

    def balance_raw(self, wallet: Address, asset: Asset, *, up_to_slot: int | None = None, final_only: bool) -> int:
        self._transaction.must_be_sound()
        left_out = {FillState.REVERSED, FillState.PROVISIONAL} if final_only else {FillState.REVERSED}
        return sum(
            entry.delta_raw
            for entry in self._data.ledger.values()
            if (entry.wallet, entry.asset) == (wallet, asset)
            and entry.state not in left_out
            and (up_to_slot is None or entry.slot <= up_to_slot)
        )

    def change_after(self, wallet: Address, asset: Asset, slot: int) -> int:
        self._transaction.must_be_sound()
        return sum(
            entry.delta_raw
            for entry in self._data.ledger.values()
            if (entry.wallet, entry.asset) == (wallet, asset)
            and entry.slot > slot
            and entry.state is not FillState.REVERSED
        )

    def assets(self, wallet: Address) -> tuple[Asset, ...]:
        self._transaction.must_be_sound()
        return tuple(sorted({entry.asset for entry in self._data.ledger.values() if entry.wallet == wallet}))

    def of_wallet(self, wallet: Address, limit: int) -> tuple[LedgerEntry, ...]:
        order = {key: place for place, key in enumerate(self._data.ledger)}
        return self._rows(
            self._data.ledger,
            lambda entry: entry.wallet == wallet,
            lambda entry: (entry.slot, order[(entry.source, entry.wallet, entry.asset, entry.kind)]),
            limit=limit,
            reverse=True,
        )

    def sum_of(self, wallet: Address, asset: Asset, kinds: Collection[LedgerKind]) -> int:
        self._transaction.must_be_sound()
        return sum(entry.delta_raw for entry in self._standing(wallet) if entry.asset == asset and entry.kind in kinds)

    def fees_without_swap(self, wallet: Address) -> int:
        self._transaction.must_be_sound()
        standing = self._standing(wallet)
        swapped = {entry.source for entry in standing if entry.kind in (LedgerKind.TRADE_IN, LedgerKind.TRADE_OUT)}
        return sum(
            entry.delta_raw
            for entry in standing
            if entry.kind is LedgerKind.FEE and entry.attempt_id is not None and entry.source not in swapped
        )

    def _standing(self, wallet: Address) -> list[LedgerEntry]:
        return [
            entry
            for entry in self._data.ledger.values()
            if entry.wallet == wallet and entry.state is not FillState.REVERSED
        ]


class FakePositions(Part):
    def get(self, wallet: Address, mint: Mint) -> Position | None:
        found: Position | None = self._get(self._data.positions, (wallet, mint))
        return found

    def of_wallet(self, wallet: Address) -> tuple[Position, ...]:
        return self._rows(self._data.positions, lambda one: one.wallet == wallet, lambda one: one.mint)

    def save(self, position: Position) -> Position:
        self._transaction.refer(self._data.wallets, position.wallet)
        key = (position.wallet, position.mint)
        saved = replace(position, version=position.version + 1)
        current = self._data.positions.get(key)
        if position.version == 0:
            self._transaction.insert(self._data.positions, key, saved)
        elif current is None or current.version != position.version:
            self._transaction.fail(ConflictError("somebody else changed it first", subject=position.mint))
        else:
            self._data.positions[key] = saved
        return saved


class FakeNonces(Part):
    def add(self, nonce: NonceAccount) -> None:
        self._transaction.refer(self._data.wallets, nonce.wallet)
        self._transaction.insert(self._data.nonces, nonce.address, nonce)

    def get(self, address: Address) -> NonceAccount | None:
        found: NonceAccount | None = self._get(self._data.nonces, address)
        return found

    def of_wallet(self, wallet: Address) -> tuple[NonceAccount, ...]:
        return self._rows(self._data.nonces, lambda one: one.wallet == wallet, lambda one: one.address)

    def change(self, nonce: NonceAccount, *, state: NonceState | None = None, **fields: Any) -> NonceAccount:
        return self._transaction.change(
            self._data.nonces, nonce.address, nonce, state, fields, NONCE_CHANGES, NONCE_TRANSITIONS
        )


class FakeKnownTransactions(Part):
    def add(self, transaction: KnownTransaction) -> None:
        self._transaction.refer(self._data.wallets, transaction.wallet)
        self._transaction.insert(self._data.known, (transaction.wallet, transaction.signature), transaction)

    def get(self, wallet: Address, signature: Signature) -> KnownTransaction | None:
        found: KnownTransaction | None = self._get(self._data.known, (wallet, signature))
        return found

    def missing(self, wallet: Address, signatures: Sequence[Signature]) -> tuple[Signature, ...]:
        return tuple(one for one in signatures if self.get(wallet, one) is None)

    def attribute(
        self, wallet: Address, signature: Signature, attribution: Attribution, attempt_id: AttemptId | None = None
    ) -> KnownTransaction:
        self._transaction.refer(self._data.attempts, attempt_id)
        known = self.get(wallet, signature)
        if known is None or known.attribution is not Attribution.UNKNOWN:
            self._transaction.fail(ConflictError("not an unknown transaction of this wallet", subject=signature))
        answer = replace(known, attribution=attribution, attempt_id=attempt_id)
        self._data.known[(wallet, signature)] = answer
        return answer

    def in_attribution(self, wallet: Address, attribution: Attribution) -> tuple[KnownTransaction, ...]:
        return self._rows(
            self._data.known,
            lambda one: (one.wallet, one.attribution) == (wallet, attribution),
            lambda one: (one.slot, one.signature),
        )


class FakePrices(Part):
    def observe(self, prices: Sequence[Price]) -> None:
        self._transaction.must_write()
        for price in prices:
            kept = self._data.prices.get((price.mint, price.source))
            if kept is None or kept.observed_at <= price.observed_at:
                self._data.prices[(price.mint, price.source)] = price

    def newest(self, mints: Collection[Mint]) -> Mapping[tuple[Mint, str], Price]:
        self._transaction.must_be_sound()
        return {key: price for key, price in self._data.prices.items() if price.mint in mints}


class FakeEvents(Part):
    def add(self, event: Event) -> Event:
        added = replace(event, id=len(self._data.events) + 1)
        self._transaction.insert(self._data.events, added.id, added)
        return added

    def of_intent(self, intent_id: IntentId) -> tuple[Event, ...]:
        return self._rows(self._data.events, lambda event: event.intent_id == intent_id, lambda event: event.id)

    def recent(
        self, limit: int, *, kinds: Collection[str] | None = None, severities: Collection[Severity] | None = None
    ) -> tuple[Event, ...]:
        def wanted(event: Event) -> bool:
            return (kinds is None or event.kind in kinds) and (severities is None or event.severity in severities)

        return self._rows(self._data.events, wanted, lambda event: event.id, limit=limit, reverse=True)


class FakeSystem(Part):
    def get(self) -> SystemState:
        self._transaction.must_be_sound()
        return self._data.system

    def hold(self, *, alone: bool = False) -> SystemState:  # noqa: ARG002 (its writers are alone anyway)
        self._transaction.must_write()
        return self._data.system

    def change(self, state: SystemState, **fields: Any) -> SystemState:
        table: Table = {1: self._data.system}
        after = self._transaction.change(table, 1, state, None, fields, SYSTEM_CHANGES, {})
        self._data.system = table[1]
        return after

    def saw_finalized_height(self, height: int) -> None:
        self._transaction.must_write()
        highest = max(height, self._data.system.highest_finalized_height)
        self._data.system = replace(self._data.system, highest_finalized_height=highest)


class FakeWallets(Part):
    def add(self, wallet: WalletRecord) -> None:
        self._transaction.insert(self._data.wallets, wallet.address, wallet, "name")

    def get(self, address: Address) -> WalletRecord | None:
        found: WalletRecord | None = self._get(self._data.wallets, address)
        return found

    def by_name(self, name: str) -> WalletRecord | None:
        found: WalletRecord | None = self._only(self._data.wallets, lambda wallet: wallet.name == name)
        return found

    def all(self) -> tuple[WalletRecord, ...]:
        return self._rows(self._data.wallets, lambda _: True, lambda wallet: wallet.name)

    def lock(self, address: Address) -> WalletRecord | None:
        found: WalletRecord | None = self._lock(self._data.wallets, address)
        return found

    def change(self, wallet: WalletRecord, **fields: Any) -> WalletRecord:
        return self._transaction.change(self._data.wallets, wallet.address, wallet, None, fields, WALLET_CHANGES, {})


class FakeBooks:
    """`ports.store.Books` on a copy of the data."""

    def __init__(self, transaction: Transaction) -> None:
        self.intents = FakeIntents(transaction)
        self.attempts = FakeAttempts(transaction)
        self.reservations = FakeReservations(transaction)
        self.fills = FakeFills(transaction)
        self.ledger = FakeLedger(transaction)
        self.positions = FakePositions(transaction)
        self.nonces = FakeNonces(transaction)
        self.known_transactions = FakeKnownTransactions(transaction)
        self.prices = FakePrices(transaction)
        self.events = FakeEvents(transaction)
        self.system = FakeSystem(transaction)
        self.wallets = FakeWallets(transaction)
        self.plans = FakePlans(transaction)
        self.occurrences = FakeOccurrences(transaction)
        self.orders = FakeOrders(transaction)
        self.price_samples = FakePriceSamples(transaction)
        self.risk = FakeRiskRecords(transaction)
        self.triggers = FakeTriggers(transaction)


class FakeStore:
    """`ports.store.Store` in memory: one writer at a time, on a copy that takes the books' place at the end."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._data = Data(
            system=SystemState(
                epoch=1,
                highest_finalized_height=0,
                mode=TradingMode.ACTIVE,
                reason=None,
                changed_by=None,
                changed_at=None,
                version=0,
            )
        )

    @contextmanager
    def write(self) -> Iterator[FakeBooks]:
        """One transaction."""
        if not self._alone.acquire(timeout=5):
            raise StorageBusyError("the database is locked by another connection", subject="the books")
        try:
            transaction = Transaction(self._data.copy(), writes=True)
            yield FakeBooks(transaction)
            transaction.must_be_sound()
            self._data = transaction.data
        finally:
            self._alone.release()

    @contextmanager
    def read(self) -> Iterator[FakeBooks]:
        """One consistent view."""
        yield FakeBooks(Transaction(self._data, writes=False))
