"""Processes around orders: watchers look at the market for them, carriers carry what fires, clerks make them.

Each can be killed anywhere, in the middle of a transaction or between two; whoever comes next goes on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from sniperforge.bootstrap import Services
from sniperforge.domain.ids import IntentId, OrderId
from sniperforge.domain.intent import IntentState
from sniperforge.domain.order import Order
from sniperforge.domain.trigger import Subject
from sniperforge.errors import (
    InvalidInputError,
    OutcomeUnknownError,
    PriceUnavailableError,
    QueueUnavailableError,
    RetryableError,
)
from sniperforge.ports.exchange import Lane
from sniperforge.ports.queue import PlanId, Queue
from sniperforge.ports.store import Store
from sniperforge.trading.order_desk import OrderDesk
from tests.faults.ambush import Ambush, AmbushedStore, Blow
from tests.faults.orders_terms import change_of, terms_of
from tests.faults.worker import AFTER_ERROR_S, Mishap, Report, Saboteur, open_services, ring
from tests.faults.world import JUP_MINT, SOL_MINT, World

Role = Literal["watcher", "carrier", "clerk"]
MOST = 1_000
ROWS_AT_ONCE = 5
"""Of compaction: so few that it takes several commits."""

_LOOK_EVERY_S = 0.1
_LIST_EVERY_S = 0.1
_TRIES = 60
"""Of one act of a clerk, when prices or books cannot be reached."""


@dataclass(frozen=True)
class Act:
    """What a clerk does; the dice of its number tell the rest."""

    kind: Literal["create", "edit", "cancel"]
    dice: str


@dataclass(frozen=True, kw_only=True)
class CrewOrder:
    """What one process does.

    Attributes:
        blows: What befalls it in the books, and
        mishaps: at the steps of trades.
        ahead_s: How wrong its clock is, in seconds of the world.
        acts: Of a clerk, from `first_act` on, and
        pace_s: real seconds from one to the next.
        patience_s: Real seconds after which it ends.
    """

    world: World
    name: str
    role: Role
    blows: Sequence[Blow] = ()
    mishaps: Sequence[Mishap] = ()
    ahead_s: float = 0.0
    acts: Sequence[Act] = ()
    first_act: int = 0
    pace_s: float = 0.0
    patience_s: float = 300.0

    @property
    def report(self) -> Path:
        """Where it writes what it does."""
        return self.world.reports / f"{self.name}.jsonl"


class LostBells:
    """A queue that loses every bell: whoever carries trades finds them in the books."""

    def ring_trade(self, intent: IntentId) -> None:
        """Lost."""
        raise QueueUnavailableError("nobody hears bells here", subject=intent)

    def ring_plan(self, plan: PlanId) -> None:
        """Lost."""
        raise QueueUnavailableError("nobody hears bells here", subject=plan)

    def depths(self) -> Mapping[Queue, int]:
        """Nothing waits."""
        return {}

    def close(self) -> None:
        """Nothing is open."""


def serve(order: CrewOrder) -> None:
    """Entry of the process."""
    report = Report(order.report)
    services = open_services(order.world, order.ahead_s)
    # Both are cached properties: what is put there is what the services are built on.
    vars(services)["store"] = AmbushedStore(services.store, Ambush(order.blows, report))
    vars(services)["queue"] = LostBells()
    _ROLES[order.role](order, services, report)
    report.write(over=True)


def _watch(order: CrewOrder, services: Services, report: Report) -> None:
    """What `orders.check_triggers` and `orders.compact_triggers` do, again and again."""
    until = time.monotonic() + order.patience_s
    while time.monotonic() < until:
        try:
            result = services.orders.monitor_orders()
            report.write(looked=result.watched, fired=result.fired, decided=result.decided, left=result.left)
            while services.orders.compact(ROWS_AT_ONCE):
                pass
        except (RetryableError, OutcomeUnknownError) as error:
            report.write(error=type(error).__name__, at="look", text=str(error))
        time.sleep(_LOOK_EVERY_S)


def _carry(order: CrewOrder, services: Services, report: Report) -> None:
    """What workers for trades do, rung by a sweep that never tires."""
    executor = services.executor(owner=order.name, watch=Saboteur(order.mishaps, report))
    until = time.monotonic() + order.patience_s
    due: dict[IntentId, float] = {}
    list_at = 0.0
    while (now := time.monotonic()) < until:
        if now >= list_at:
            list_at = now + _LIST_EVERY_S
            try:
                for intent in unsettled(services.store):
                    due.setdefault(intent, 0.0)
            except RetryableError as error:
                report.write(error=type(error).__name__, at="list", text=str(error))
        for intent in [one for one, at in due.items() if at <= now]:
            ring(executor, intent, due, report)
        time.sleep(0.01)


def unsettled(store: Store) -> set[IntentId]:
    """Trades that somebody must still carry on."""
    with store.read() as books:
        under_way = {
            one.id
            for state in (IntentState.PENDING, IntentState.EXECUTING)
            for one in books.intents.in_state(state, MOST)
        }
        return under_way | {attempt.intent_id for attempt in books.attempts.live(MOST)}


def _act(order: CrewOrder, services: Services, report: Report) -> None:
    """What people at the command line do, one act after the other."""
    for number in range(order.first_act, len(order.acts)):
        report.write(began=number)
        act = order.acts[number]
        clerk = _Clerk(services, order.world, random.Random(act.dice))  # noqa: S311 (replayable, not unguessable)
        done = clerk.do(act, report)
        report.write(done=number, act=act.kind, came_to=done)
        time.sleep(order.pace_s)


class _Clerk:
    """A person who acts once."""

    def __init__(self, services: Services, world: World, dice: random.Random) -> None:
        self._services = services
        self._world = world
        self._dice = dice

    @property
    def _desk(self) -> OrderDesk:
        return self._services.order_desk

    def do(self, act: Act, report: Report) -> str:
        """Returns what it came to."""
        for _ in range(_TRIES):
            try:
                match act.kind:
                    case "create":
                        return self._create()
                    case "edit":
                        return self._edit()
                    case "cancel":
                        return self._cancel()
            except InvalidInputError as error:
                report.write(refused=str(error), at=act.kind)
                if act.kind != "create":
                    return "refused"
            except (RetryableError, OutcomeUnknownError) as error:
                report.write(error=type(error).__name__, at=act.kind, text=str(error))
                time.sleep(AFTER_ERROR_S)
        return "given up"

    def _create(self) -> str:
        found = self._services.price_watch.look((Subject(SOL_MINT), Subject(JUP_MINT)), lane=Lane.ENTRY)
        values = {subject: seen.value for subject, seen in found.values.items()}
        if len(values) < len((SOL_MINT, JUP_MINT)):
            raise PriceUnavailableError("there are no prices to draw an order from", subject="clerk")
        terms = terms_of(self._dice, self._world.wallet, values, self._services.clock.now())
        self._services.orders.create(terms)
        return terms.kind.value

    def _edit(self) -> str:
        order = self._one_of(self._open())
        if order is None:
            return "nothing to edit"
        with self._services.store.read() as books:
            legs = books.orders.legs(order.id)
        self._desk.edit(self._desk.draft_edit(order.id, change_of(self._dice, order, legs, self._services.clock.now())))
        return "edited"

    def _cancel(self) -> str:
        order = self._one_of(self._open())
        if order is None:
            return "nothing to cancel"
        self._desk.cancel(OrderId(order.id), by="a clerk")
        return "cancelled"

    def _open(self) -> Sequence[Order]:
        with self._services.store.read() as books:
            return books.orders.open(MOST)

    def _one_of(self, orders: Sequence[Order]) -> Order | None:
        return self._dice.choice(orders) if orders else None


_ROLES: Mapping[Role, Callable[[CrewOrder, Services, Report], Any]] = MappingProxyType(
    {"watcher": _watch, "carrier": _carry, "clerk": _act}
)
