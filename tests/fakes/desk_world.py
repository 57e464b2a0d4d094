"""A desk for orders over books, a market, and what fires its orders."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sniperforge.domain.ids import IntentId, OrderId
from sniperforge.domain.intent import FillState, IntentState
from sniperforge.domain.money import Mint
from sniperforge.domain.order import Leg, LegName, Order, OrderKind
from sniperforge.domain.prices import Price
from sniperforge.domain.trigger import Subject
from sniperforge.errors import SniperForgeError, TokenError
from sniperforge.ports.exchange import Lane
from sniperforge.ports.records import NATIVE_SOL, Asset, Event, LedgerEntry, LedgerKind
from sniperforge.ports.store import Books, Store
from sniperforge.ports.triggers import TriggerView
from sniperforge.trading.order_desk import OrderDesk
from sniperforge.trading.order_firing import Firing
from sniperforge.trading.order_life import follow
from sniperforge.trading.price_watch import PriceWatch, note
from tests.fakes.chain import FakeChain
from tests.fakes.clock import START, FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.order_terms import DECIMALS, JUP, ORDERS, SOL, terms
from tests.fakes.records import USDC, WALLET, a_wallet
from tests.fakes.store import FakeStore
from tests.fakes.trading_world import PRICES

HELD = {NATIVE_SOL: 10_000_000_000, Asset(USDC): 1_000_000_000}


class NewPrices(FakeExchange):
    """Jupiter, every answer of which is a new print."""

    def prices(self, mints: Sequence[Mint], *, lane: Lane = Lane.MONITORING) -> Mapping[Mint, Price]:
        self.slot += 1
        return super().prices(mints, lane=lane)


class KnownTokens:
    """`ports.tokens.TokenFacts`, with a danger that a test sets."""

    def __init__(self) -> None:
        self.dangerous: set[Mint] = set()

    def decimals(self, mint: Mint) -> int:
        """Of a token that exists."""
        return DECIMALS[mint]

    def require_tradable(self, mints: Sequence[Mint]) -> None:
        """Fine, unless a test says otherwise."""
        for mint in mints:
            if mint in self.dangerous:
                raise TokenError("not traded because it is frozen", subject=mint)


class DeskWorld:
    """One wallet that holds 10 SOL and 1,000 USDC; SOL costs 180 dollars, JUP half of one."""

    def __init__(self, store: Store | None = None) -> None:
        self.clock = FakeClock()
        self.store: Store = FakeStore() if store is None else store
        self.chain = FakeChain()
        self.chain.confirm_slots = 0
        usd = {SOL: Decimal(180), USDC: Decimal(1), JUP: Decimal("0.5")}
        self.exchange = NewPrices(self.clock, listings=(), usd=usd)
        self.exchange.slot = self.chain.head_slot
        self.tokens = KnownTokens()
        self.every = timedelta(seconds=1)
        self.policy = ORDERS
        self._numbers = itertools.count(1)
        self.watch = PriceWatch(
            store=self.store,
            exchange=self.exchange,
            chain=self.chain,
            clock=self.clock,
            policy=replace(PRICES, jump_bps=10_000),
        )
        with self.store.write() as books:
            books.wallets.add(a_wallet())
            books.ledger.add([opening(asset, raw) for asset, raw in HELD.items()])

    @property
    def desk(self) -> OrderDesk:
        """A desk with nothing in its memory."""
        return OrderDesk(
            store=self.store,
            clock=self.clock,
            tokens=self.tokens,
            watch=self.watch,
            policy=self.policy,
            new_id=lambda: OrderId(f"o{next(self._numbers):011d}"),
            check_every=lambda _: self.every,
        )

    def place(self, kind: OrderKind = OrderKind.STOP_LOSS, /, **changes: Any) -> Order:
        """An order as a person places it."""
        desk = self.desk
        return desk.place(desk.draft(terms(kind, **changes)))

    def edit(self, order: Order, **given: Any) -> Order:
        """A change as a person makes it."""
        desk = self.desk
        return desk.edit(desk.draft_edit(order.id, given))

    def price(self, usd: str, mint: Mint = SOL) -> list[IntentId]:
        """It costs this from now on: one look, and what it fires is decided."""
        self.exchange.usd[mint] = Decimal(usd)
        return self.look_at_market()

    def look_at_market(self) -> list[IntentId]:
        """A second later: one look, and what it fires is decided."""
        self.clock.advance(timedelta(seconds=1))
        watched = self.look(lambda books: [one.subject for one in books.triggers.watched()])
        look = self.watch.look(watched)
        with self.store.write() as books:
            note(books, look, self.clock.now())
            for subject, seen in look.values.items():
                books.triggers.tick(subject, seen.value, print_number=seen.print_number, at=seen.at)
        values: Mapping[Subject, Decimal] = {subject: seen.value for subject, seen in look.values.items()}
        firing = Firing(store=self.store, tokens=self.tokens, policy=self.policy)
        fired: Sequence[TriggerView] = self.look(lambda books: books.triggers.fired(100))
        decided = [firing.fire(view, values, self.clock.now()) for view in fired]
        return [intent for intent in decided if intent is not None]

    def land(self, trade: IntentId) -> None:
        """It lands, and is not final yet."""
        self._end(trade, IntentState.FILLED)

    def fail(self, trade: IntentId, why: str) -> None:
        """It ends without a fill."""
        self._end(trade, IntentState.FAILED, reason=why)

    def _end(self, trade: IntentId, state: IntentState, **fields: str) -> None:
        now = self.clock.now()
        with self.store.write() as books:
            intent = books.intents.lock(trade)
            assert intent is not None
            intent = books.intents.change(intent, at=now, state=IntentState.EXECUTING)
            follow(books, books.intents.change(intent, at=now, state=state, **fields), now)

    def break_prices(self, error: SniperForgeError) -> None:
        """The next look fails."""
        self.exchange.fail("prices", error)

    def order(self, order: Order) -> Order:
        """As the books have it."""
        found: Order | None = self.look(lambda books: books.orders.get(order.id))
        assert found is not None
        return found

    def legs(self, order: Order) -> dict[LegName, Leg]:
        """Its legs by name."""
        return {leg.name: leg for leg in self.look(lambda books: books.orders.legs(order.id))}

    def triggers(self, order: Order) -> list[TriggerView]:
        """Its triggers, by id."""
        return list(self.look(lambda books: books.triggers.of_order(order.id)))

    def events(self, kind: str) -> list[Event]:
        """Of one kind, newest first."""
        return [event for event in self.look(lambda books: books.events.recent(1_000)) if event.kind == kind]

    def look(self, what: Callable[[Books], Any]) -> Any:
        """Read the books."""
        with self.store.read() as books:
            return what(books)


def opening(asset: Asset, raw: int) -> LedgerEntry:
    """What the wallet had from the start."""
    return LedgerEntry(
        source="opening",
        wallet=WALLET,
        asset=asset,
        kind=LedgerKind.OPENING,
        delta_raw=raw,
        slot=1,
        state=FillState.FINAL,
        booked_at=START,
    )
