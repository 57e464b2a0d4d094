"""What a stack is doing: plans, orders, trades, queues, budget, and what stops trades. Read from books and Redis.

Either may be away: what cannot be read is missing, with the reason, and the rest is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sniperforge.domain.intent import IntentKind, TradeIntent
from sniperforge.domain.money import SOL_DECIMALS, WSOL_MINT, Mint, format_units
from sniperforge.domain.order import LegState
from sniperforge.errors import SniperForgeError
from sniperforge.ports.plans import Plan, PlanState
from sniperforge.ports.queue import Queue
from sniperforge.ports.records import TradingMode

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.ports.store import Books

_TRADES_SHOWN = 6
_ORDERS_COUNTED = 200
"""A board is read every second, so it does not read a large book to its end."""

_ASK_NAMES_AGAIN_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A plan that is not at its end. `next_run` is None when it has none, or is paused."""

    name: str
    kind: str
    status: PlanState
    next_run: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersLine:
    """All orders that wait for the market.

    Attributes:
        open: How many are open.
        is_all: There are no more than that.
        fire_again: How many of their legs fired in vain and wait to fire again.
        reason: Why the one that has waited for longest does; empty when none does.
    """

    open: int
    is_all: bool
    fire_again: int
    reason: str


@dataclass(frozen=True, slots=True)
class TradeLine:
    """One of the newest trades, in words."""

    id: str
    decided_at: datetime
    what: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """Requests to Jupiter that may still be made in this window of `window_s` seconds."""

    bucket: str
    left: int
    limit: int
    window_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Everything at one moment; empty where it could not be read, and then `problems` says why.

    Attributes:
        read_at: When.
        stops: What keeps trades from being signed, one line each.
    """

    read_at: datetime
    network: str
    mode: str
    stops: tuple[str, ...] = ()
    plans: tuple[PlanLine, ...] = ()
    orders: OrdersLine | None = None
    trades: tuple[TradeLine, ...] = ()
    depths: Mapping[Queue, int] | None = None
    budget: tuple[BudgetLine, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Name:
    symbol: str
    decimals: int


class BoardReader:
    """Reads boards, one after the other.

    Args:
        services: Of the running stack.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._names: dict[Mint, _Name] = {WSOL_MINT: _Name("SOL", SOL_DECIMALS)}
        self._ask_names_at: datetime | None = None

    def read(self) -> Board:
        """How things are now."""
        problems: list[str] = []
        stops: tuple[str, ...] = ()
        plans: tuple[PlanLine, ...] = ()
        orders: OrdersLine | None = None
        intents: tuple[TradeIntent, ...] = ()
        depths: Mapping[Queue, int] | None = None
        budget: tuple[BudgetLine, ...] = ()
        with _told(problems), self._services.store.read() as books:
            stops = tuple(_stops(books))
            plans = tuple(_plan_line(plan) for plan in books.plans.every() if plan.status is not PlanState.ENDED)
            orders = _orders_line(books)
            intents = books.intents.recent(_TRADES_SHOWN)
        with _told(problems):
            self._learn_names(mint for one in intents for mint in (one.input_mint, one.output_mint))
        with _told(problems):
            depths = self._services.queue.depths()
            budget = self._budget()  # shared through Redis: without it there is nothing to tell
        return Board(
            read_at=self._services.clock.now(),
            network=self._services.settings.network,
            mode=self._services.settings.mode,
            stops=stops,
            plans=plans,
            orders=orders,
            trades=tuple(self._line(intent) for intent in intents),
            depths=depths,
            budget=budget,
            problems=tuple(problems),
        )

    def _budget(self) -> tuple[BudgetLine, ...]:
        from sniperforge.shared.jupiter.rate_limit import PLANS, Bucket

        settings = self._services.settings
        if settings.effective_jupiter_url is None:
            return ()
        window_s = PLANS[settings.jupiter_plan].window_s
        return tuple(BudgetLine(bucket.value, *self._services.budget.left(bucket), window_s) for bucket in Bucket)

    def _learn_names(self, mints: Iterable[Mint]) -> None:
        """Names are asked for once; a token that has none is shown by its mint, and an outage is not insisted on."""
        now = self._services.clock.now()
        unknown = [mint for mint in dict.fromkeys(mints) if mint not in self._names]
        if not unknown or self._services.settings.effective_jupiter_url is None:
            return
        if self._ask_names_at is not None and now < self._ask_names_at:
            return
        self._ask_names_at = now + _ASK_NAMES_AGAIN_AFTER
        for token in self._services.tokens.resolve_all(unknown):
            self._names[token.mint] = _Name(token.symbol, token.decimals)
        self._ask_names_at = None

    def _line(self, intent: TradeIntent) -> TradeLine:
        given = "all" if intent.input_amount_raw is None else self._amount(intent.input_amount_raw, intent.input_mint)
        what = f"{given} {self._symbol(intent.input_mint)} to {self._symbol(intent.output_mint)}"
        if intent.kind is IntentKind.MAINTENANCE:
            what = str(intent.purpose)
        return TradeLine(intent.id[:8], intent.created_at, what, intent.state.value, intent.reason or "")

    def _amount(self, raw: int, mint: Mint) -> str:
        name = self._names.get(mint)
        return f"{raw} base units of" if name is None else format_units(raw, name.decimals)

    def _symbol(self, mint: Mint) -> str:
        name = self._names.get(mint)
        return f"{mint[:4]}..." if name is None else name.symbol


@contextmanager
def _told(problems: list[str]) -> Iterator[None]:
    """Go on without what cannot be read, and tell why."""
    try:
        yield
    except SniperForgeError as error:
        problems.append(str(error))


def _plan_line(plan: Plan) -> PlanLine:
    return PlanLine(plan.id, plan.kind, plan.status, plan.next_due_at if plan.status is PlanState.ACTIVE else None)


def _orders_line(books: Books) -> OrdersLine:
    found = books.orders.open(_ORDERS_COUNTED + 1)
    waiting = books.orders.in_leg_state(LegState.WAITING, _ORDERS_COUNTED)
    reason = waiting[0].reason if waiting else None
    return OrdersLine(
        open=min(len(found), _ORDERS_COUNTED),
        is_all=len(found) <= _ORDERS_COUNTED,
        fire_again=len(waiting),
        reason=reason or "",
    )


def _stops(books: Books) -> Iterable[str]:
    system = books.system.get()
    if system.mode is not TradingMode.ACTIVE:
        yield f"trading is {system.mode.value}: {system.reason}"
    for wallet in books.wallets.all():
        if wallet.mode is not TradingMode.ACTIVE:
            yield f"wallet {wallet.name} is {wallet.mode.value}: {wallet.mode_reason}"
