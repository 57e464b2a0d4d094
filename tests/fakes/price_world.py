"""A Jupiter, a chain and books for whoever looks at what orders watch; a test moves prices, slots and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from sniperforge.domain.ids import OrderId, trigger_id
from sniperforge.domain.money import Mint
from sniperforge.domain.prices import Price
from sniperforge.domain.trigger import Direction, Subject, Trigger
from sniperforge.domain.watching import Watching
from sniperforge.errors import RateLimitedError
from sniperforge.ports.exchange import Lane
from sniperforge.ports.records import Event
from sniperforge.ports.store import Store
from sniperforge.trading.price_watch import Look, PriceWatch, note
from tests.fakes.chain import FakeChain
from tests.fakes.clock import START, FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.trading_orders import JUP, SOL
from tests.fakes.trading_world import PRICES

SOL_USD, JUP_USD = Subject(SOL), Subject(JUP)
SOL_IN_JUP = Watching(SOL, per=JUP).subject
SOL_IN_AN_HOUR = Watching(SOL, lookback_s=3_600).subject
HOUR = timedelta(hours=1)


class SlottedExchange(FakeExchange):
    """Jupiter with a slot for each price, which can be asked together only when there is room."""

    def __init__(self, clock: FakeClock, slot: int) -> None:
        super().__init__(clock, listings=(), usd={SOL: Decimal("180.25"), JUP: Decimal("0.5")})
        self.slot = slot
        self.slots: dict[Mint, int | None] = {}
        self.is_full = False
        self.held = timedelta(0)

    def prices(self, mints: Sequence[Mint], *, lane: Lane = Lane.MONITORING) -> Mapping[Mint, Price]:
        found = super().prices(mints, lane=lane)
        return {
            mint: replace(price, slot=self.slots.get(mint, self.slot), observed_at=price.observed_at - self.held)
            for mint, price in found.items()
        }

    @contextmanager
    def together(self, calls: int, *, lane: Lane) -> Iterator[None]:
        with super().together(calls, lane=lane):
            if self.is_full:
                raise RateLimitedError("used up", subject="jupiter", retry_at=START)
            yield


class PriceWorld:
    """A watch, and the book of triggers that it looks for."""

    def __init__(self, store: Store) -> None:
        self.clock = FakeClock()
        self.store = store
        self.chain = FakeChain()
        self.chain.confirm_slots = 0
        self.market = SlottedExchange(self.clock, self.chain.head_slot)
        self.watch = PriceWatch(
            store=self.store, exchange=self.market, chain=self.chain, clock=self.clock, policy=PRICES
        )

    def look(self, *subjects: Subject) -> Look:
        """Look, and write it down as the manager of orders does."""
        look = self.watch.look(subjects)
        with self.store.write() as books:
            note(books, look, self.clock.now())
            for subject, seen in look.values.items():
                books.triggers.tick(subject, seen.value, print_number=seen.print_number, at=seen.at)
        return look

    def value(self, subject: Subject) -> Decimal | None:
        """What it is now, if anything."""
        seen = self.look(subject).values.get(subject)
        return None if seen is None else seen.value

    def problem(self, subject: Subject) -> str:
        """Why it has no value now."""
        look = self.look(subject)
        assert look.values == {}
        return look.problems[subject]

    def wait_for(self, *subjects: Subject) -> None:
        """A trigger on each, far away."""
        with self.store.write() as books:
            books.triggers.add(
                [
                    Trigger(
                        id=trigger_id(OrderId("o1"), "main", number),
                        subject=subject,
                        direction=Direction.DOWN,
                        confirmations=1,
                        level=Decimal("0.000001"),
                    )
                    for number, subject in enumerate(subjects)
                ],
                at=START,
            )

    def events(self) -> list[Event]:
        """Of prices, oldest first."""
        with self.store.read() as books:
            return [event for event in reversed(books.events.recent(100)) if event.kind.startswith("price.")]

    def passes(self, time: timedelta) -> None:
        """Time, in which the chain goes on and Jupiter with it."""
        self.clock.advance(time)
        self.chain.advance(int(time / timedelta(milliseconds=400)))
        self.market.slot = self.chain.head_slot
