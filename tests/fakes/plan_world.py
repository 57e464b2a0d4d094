"""Everything that rounds of plans touch, in memory: books, a clock, prices, tokens, and bells that are counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import TradeIntent
from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.errors import QueueUnavailableError, SniperForgeError, TokenError
from sniperforge.ports.plans import Occurrence, Plan
from sniperforge.ports.queue import PlanId, Queue
from sniperforge.ports.records import Event, TradingMode
from sniperforge.ports.store import Books, Store
from sniperforge.strategies.base import Pair
from sniperforge.strategies.registry import StrategyRegistry
from sniperforge.trading.plan_desk import PlanDesk
from sniperforge.trading.strategy_executor import RoundResult, StrategyExecutor
from tests.fakes.clock import FakeClock
from tests.fakes.records import USDC, WALLET, a_wallet
from tests.fakes.trading_market import Points
from tests.fakes.trading_world import POLICY, WatchedStore

DECIMALS = {USDC: 6, WSOL_MINT: 9}


class CountedBells:
    """`ports.queue.TaskQueue` that keeps what was rung, and can be away."""

    def __init__(self, points: Points) -> None:
        self.trades: list[IntentId] = []
        self.plans: list[PlanId] = []
        self.away = False
        self._points = points

    def ring_trade(self, intent: IntentId) -> None:
        """Heard, unless nobody is there."""
        self._points.reach("ringing")
        self._must_be_there()
        self.trades.append(intent)

    def ring_plan(self, plan: PlanId) -> None:
        """The same."""
        self._must_be_there()
        self.plans.append(plan)

    def depths(self) -> Mapping[Queue, int]:
        """Nothing waits."""
        self._must_be_there()
        return dict.fromkeys(Queue, 0)

    def _must_be_there(self) -> None:
        if self.away:
            raise QueueUnavailableError("nobody is there", subject="redis")


class SetPrices:
    """`PairPrices` as a test sets them."""

    def __init__(self, points: Points) -> None:
        self.now: Decimal | SniperForgeError = Decimal(180)
        self.asked = 0
        self._points = points

    def price(self, pair: Pair) -> Decimal:  # noqa: ARG002 (there is one)
        """The price that was set, or the error."""
        self._points.reach("pricing")
        self.asked += 1
        if isinstance(self.now, SniperForgeError):
            raise self.now
        return self.now


class SetTokens:
    """`ports.tokens.TokenFacts` of USDC and SOL, with dangers and failures that a test sets."""

    def __init__(self) -> None:
        self.error: SniperForgeError | None = None

    def decimals(self, mint: Mint) -> int:
        """Of a token that exists."""
        return DECIMALS[mint]

    def require_tradable(self, mints: Any) -> None:
        """Fine, unless a test says otherwise."""
        if self.error is not None:
            raise self.error
        unknown = [mint for mint in mints if mint not in DECIMALS]
        if unknown:
            raise TokenError("there is no such token", subject=unknown[0])


class PlanWorld:
    """Plans of one wallet. Executors share everything but their memory."""

    def __init__(self, store: Store | None = None) -> None:
        self.points = Points()
        self.clock = FakeClock()
        self.store: Store = WatchedStore(self.points) if store is None else store
        self.tokens = SetTokens()
        self.prices = SetPrices(self.points)
        self.bells = CountedBells(self.points)
        self.registry = StrategyRegistry()
        self.policy = POLICY
        with self.store.write() as books:
            books.wallets.add(a_wallet())

    @property
    def desk(self) -> PlanDesk:
        """A desk with nothing in its memory."""
        return PlanDesk(
            store=self.store, clock=self.clock, tokens=self.tokens, policy=self.policy, registry=self.registry
        )

    @property
    def executor(self) -> StrategyExecutor:
        """An executor with nothing in its memory."""
        return StrategyExecutor(
            store=self.store,
            clock=self.clock,
            tokens=self.tokens,
            prices=self.prices,
            policy=self.policy,
            queue=self.bells,
            registry=self.registry,
        )

    def values(self, **changes: Any) -> dict[str, Any]:
        """5 USDC for SOL every hour; a change to None leaves a setting out."""
        given: dict[str, Any] = {
            "name": "hourly",
            "input_token": USDC,
            "output_token": WSOL_MINT,
            "amount_per_order": "5",
            "schedule": {"interval_s": 3_600},
            **changes,
        }
        return {name: value for name, value in given.items() if value is not None}

    def make(self, **changes: Any) -> Plan:
        """A plan whose first round is due now."""
        return self.desk.create(self.desk.draft("dca", self.values(**changes), WALLET))

    def run(self, name: str = "hourly") -> RoundResult:
        """One look."""
        return self.executor.execute(PlanId(name))

    def later(self, **time: float) -> RoundResult:
        """One look after some time."""
        self.clock.advance(timedelta(**time))
        return self.run()

    def plan(self, name: str = "hourly") -> Plan:
        """As the books have it."""
        found: Plan | None = self.look(lambda books: books.plans.get(PlanId(name)))
        assert found is not None
        return found

    def rounds(self, name: str = "hourly") -> list[Occurrence]:
        """What became of its rounds, oldest first."""
        return list(reversed(self.look(lambda books: books.occurrences.of_plan(PlanId(name), 1_000))))

    def trades(self) -> list[TradeIntent]:
        """Every trade, oldest round first."""
        return sorted(self.look(lambda books: books.intents.recent(1_000)), key=lambda one: one.occurrence or 0)

    def events(self, kind: str) -> list[Event]:
        """Of one kind, newest first."""
        return [event for event in self.look(lambda books: books.events.recent(1_000)) if event.kind == kind]

    def mode(self, mode: TradingMode, reason: str) -> None:
        """Halt or resume."""
        with self.store.write() as books:
            books.system.change(books.system.get(), mode=mode, reason=reason)

    def look(self, what: Callable[[Books], Any]) -> Any:
        """Read the books past every point at which a test could break them."""
        store = self.store.books if isinstance(self.store, WatchedStore) else self.store
        with store.read() as books:
            return what(books)
