"""One seed of orders: clerks, watchers and carriers on one set of books, everything hurt, then quiet until all end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sniperforge.domain.ids import order_of_key
from sniperforge.domain.intent import IntentState
from sniperforge.errors import InvalidInputError, OutcomeUnknownError, RetryableError
from tests.fakes.postgres import new_books
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.check import problems_of, product_says
from tests.faults.crew import Worker, dismiss_all
from tests.faults.orders_audit import Audit
from tests.faults.orders_check import order_problems_of
from tests.faults.orders_crew import MOST, CrewOrder, LostBells, Role, serve, unsettled
from tests.faults.orders_plan import LONGER_AT_MOST, SEATS, USD, OrdersPlan, Shift, orders_plan_of
from tests.faults.outcome import Outcome
from tests.faults.plan import Misfortune
from tests.faults.scenes import NODES, calm, outlive_a_blockhash
from tests.faults.trouble import Trouble
from tests.faults.world import World, close, new_world

SETTLE_WITHIN_S = 90.0
PRICES = "jupiter:/price/v3"
_LAST_TOUR = (1.05, 1.1, 1.0, 0.95, 0.9)
"""When all is quiet the market comes by whatever still waits, in steps that are believed, and not as far as mirages."""

_READY_WITHIN_S = 20.0
_LOOKS_WITHIN_S = 6.0
_SHARE_BEFORE = 0.4
_STOPPED_FOR_S = 0.6
_LOOK_S = 0.02
_ASK_BOOKS_S = 0.25
_NO_SHIFT = Shift((), (), 0.0)


def run_orders_seed(seed: int, orders: int, sandbox: RunningSandbox, home: Path) -> Outcome:
    """Live through one plan and check what is left."""
    began = time.monotonic()
    plan = orders_plan_of(seed, orders)
    _calm(sandbox)
    world = new_world(sandbox, home, database_url=new_books() if plan.postgres else None)
    settings = {"jupiter_execute_timeout_s": 0.5, "large_trade_usd": plan.large_trade_usd, "trade_deadline_s": 3_000}
    nodes = [sandbox.endpoints.node_urls[name] for name in NODES] if plan.two_nodes else []
    run = _Run(plan, world.using(*nodes, **settings), sandbox)
    try:
        problems = run.live()
        _calm(sandbox)
        if not run.contradicted:
            problems += run.quiesce()
    finally:
        dismiss_all()
    if run.contradicted:
        return Outcome(seed, problems + run.end(), run.happened, time.monotonic() - began)
    outlive_a_blockhash(sandbox)  # what was wrongly called dead may land yet
    problems += run.end()
    clocks_agree = plan.farthest_ahead_s == 0
    problems += [*problems_of(world), *product_says(world), *order_problems_of(world, clocks_agree=clocks_agree)]
    return Outcome(seed, problems, run.happened, time.monotonic() - began)


def _calm(sandbox: RunningSandbox) -> None:
    calm(sandbox)
    for token, usd in USD.items():
        sandbox.ask("POST", "/price", token=token, usd=usd)


class _Run:
    """One seed while it lasts."""

    def __init__(self, plan: OrdersPlan, world: World, sandbox: RunningSandbox) -> None:
        self.happened: Counter[str] = Counter()
        self._plan = plan
        self._world = world
        self._sandbox = sandbox
        self._shifts = [list(shifts) for shifts in plan.seats]
        self._seats: list[Worker | None] = [None] * len(SEATS)
        self._begun = [0] * len(SEATS)
        self._next_act = [0] * len(SEATS)
        self._stopped: dict[str, float] = {}
        self._services = world.services(ahead_s=plan.farthest_ahead_s)
        vars(self._services)["queue"] = LostBells()
        self._trouble = Trouble(world, self._services, sandbox, ())
        self._prices_lie = threading.Lock()
        self._audit = Audit(world, self._services.store)
        self._problems: list[str] = []

    @property
    def contradicted(self) -> bool:
        """The audit has seen what must never be: the seed ends there, its books as they are."""
        return bool(self._audit.found)

    def live(self) -> list[str]:
        """Everything that the plan has, in its time. Returns the processes that ended by an error of their own."""
        self._audit.start()
        for seat in range(len(SEATS)):
            self._staff(seat)
        with suppress(_LateError):  # a book of orders, before everything goes wrong
            self._wait_for(self._enough_orders, _READY_WITHIN_S)
        began = time.monotonic()
        coming = list(self._plan.misfortunes)
        while (now := time.monotonic() - began) < self._plan.trouble_s or (
            now < LONGER_AT_MOST * self._plan.trouble_s and not self._clerks_are_done()
        ):
            if self.contradicted:
                break
            for seat in range(len(SEATS)):
                self._staff(seat)
            while coming and coming[0].at_s <= now:
                self._befall(coming.pop(0))
            time.sleep(_LOOK_S)
        for seat in range(len(SEATS)):
            self._dismiss(seat)
        return self._problems + self._trouble.end()

    def quiesce(self) -> list[str]:
        """Sound processes finish everything: the market passes what waits, and then a person ends what still does."""
        crew = [self._sound("watcher", 0), self._sound("carrier", 0), self._sound("carrier", 1)]
        problems: list[str] = []
        for factor in _LAST_TOUR:
            for token, usd in USD.items():
                self._sandbox.ask("POST", "/price", token=token, usd=float(f"{usd * factor:.5g}"))
            if self.contradicted:
                return problems
            with suppress(_LateError):
                self._wait_for(self._seen_by(crew[0]), _LOOKS_WITHIN_S)
        with suppress(_LateError):
            self._wait_for(self._nothing_fires, _LOOKS_WITHIN_S)
        try:
            self._wait_for(self._all_ended, SETTLE_WITHIN_S)
        except _LateError:
            problems.append(f"did not settle within {SETTLE_WITHIN_S:.0f} s: {self._open_ends()}")
        problems += [f"{one.order.name} ended with {one.exit_code}" for one in crew if not one.alive]
        for one in crew:
            one.kill()
            self._count(one)
        return problems

    def end(self) -> list[str]:
        """One last look, and what was seen all the time."""
        self._audit.look()
        problems = self._audit.end()
        with self._services.store.read() as books:
            orders = books.orders.recent(MOST)
            legs = [leg for order in orders for leg in books.orders.legs(order.id)]
            self.happened.update(f"{order.kind.value} orders" for order in orders)
            self.happened.update(f"orders {order.state.value}" for order in orders)
            self.happened.update(intent.state.value for intent in books.intents.recent(MOST))
        self.happened["firings"] = sum(leg.firings for leg in legs)
        self.happened["firings again"] = sum(max(0, leg.firings - 1) for leg in legs)
        self.happened["looks"] = self._audit.looks
        close(self._services)
        return problems

    # ---- processes

    def _staff(self, seat: int) -> None:
        worker = self._seats[seat]
        if worker is None or not worker.alive:
            self._dismiss(seat)
            if not self._is_done(seat):
                self._seats[seat] = self._next(seat)
        elif any(line.get("mishap") == "stop" for line in worker.lines()[-1:]):
            since = self._stopped.setdefault(worker.order.name, time.monotonic())
            if time.monotonic() - since > _STOPPED_FOR_S:
                self.happened["stops"] += 1
                del self._stopped[worker.order.name]
                worker.wake()

    def _next(self, seat: int) -> Worker:
        role, shift = SEATS[seat], self._shifts[seat].pop(0) if self._shifts[seat] else _NO_SHIFT
        self._begun[seat] += 1
        acts = self._plan.acts[SEATS[:seat].count("clerk")] if role == "clerk" else ()
        return Worker(
            CrewOrder(
                world=self._world,
                name=f"{role}-{seat}-{self._begun[seat]:02}",
                role=role,
                blows=shift.blows,
                mishaps=shift.mishaps,
                ahead_s=0.0 if role == "clerk" else shift.ahead_s,
                acts=acts,
                first_act=self._next_act[seat],
                pace_s=self._plan.trouble_s / max(1, len(acts)) / 3,
            ),
            serve,
        )

    def _enough_orders(self) -> bool:
        for seat in range(len(SEATS)):
            self._staff(seat)
        with self._services.store.read() as books:
            return len(books.orders.recent(MOST)) >= self._plan.orders * _SHARE_BEFORE

    def _sound(self, role: Role, number: int) -> Worker:
        name = f"heir-{role}-{number}"
        return Worker(CrewOrder(world=self._world, name=name, role=role, ahead_s=self._plan.farthest_ahead_s), serve)

    def _is_done(self, seat: int) -> bool:
        clerk = SEATS[:seat].count("clerk")
        return SEATS[seat] == "clerk" and self._next_act[seat] >= len(self._plan.acts[clerk])

    def _clerks_are_done(self) -> bool:
        return all(self._is_done(seat) for seat, role in enumerate(SEATS) if role == "clerk")

    def _dismiss(self, seat: int) -> None:
        worker = self._seats[seat]
        if worker is None:
            return
        if worker.alive:
            worker.wake()
            worker.kill()
            self.happened["kills"] += 1
        elif worker.exit_code == -9:
            self.happened["kills"] += 1
        elif worker.exit_code != 0:
            self._problems.append(f"{worker.order.name} ended with {worker.exit_code}: {worker.lines()[-1:]}")
        self._count(worker)
        self._next_act[seat] = max(
            [self._next_act[seat], *(line["done"] + 1 for line in worker.lines() if "done" in line)]
        )
        self._seats[seat] = None

    def _count(self, worker: Worker) -> None:
        for line in worker.lines():
            if line.get("step") in ("expired", "reverted", "reversed"):
                self.happened[line["step"]] += 1
            if "point" in line:
                self.happened["struck in the books"] += 1
            if "error" in line:
                self.happened[line["error"]] += 1
            if line.get("came_to") in ("edited", "cancelled"):
                self.happened[f"acts {line['came_to']}"] += 1

    # ---- misfortunes

    def _befall(self, misfortune: Misfortune) -> None:
        what = misfortune.what
        self.happened[f"{misfortune.kind}s"] += 1
        match misfortune.kind:
            case "kill":
                self._dismiss(what["seat"])
            case "cancel":
                self._trouble.meanwhile(self._cancel_trade, what["trade"])
            case "mirage":
                self._trouble.meanwhile(self._lie, what)
            case "price" | "relief" if self._prices_lie.locked():
                return  # the lie would be believed
            case _:
                self._trouble.befall(misfortune)

    def _lie(self, what: Mapping[str, Any]) -> None:
        """For a while the price is far away, and so old that nobody may believe it."""
        if not self._prices_lie.acquire(blocking=False):
            return
        try:
            self._sandbox.fault(PRICES, "stale_price", probability=1)
            self._sandbox.ask("POST", "/price", token=what["token"], usd=what["usd"])
            time.sleep(what["seconds"])
            self._sandbox.ask("POST", "/price", token=what["token"], usd=USD[what["token"]])
            self._sandbox.admin.request("DELETE", "/faults", params={"target": PRICES})
        finally:
            self._prices_lie.release()

    def _cancel_trade(self, share: float) -> None:
        """A person cancels a trade that an order decided."""
        with suppress(InvalidInputError, RetryableError, OutcomeUnknownError):
            with self._services.store.read() as books:
                found = [
                    one.id
                    for state in (IntentState.PENDING, IntentState.EXECUTING)
                    for one in books.intents.in_state(state, MOST)
                    if order_of_key(one.key) is not None
                ]
            if found:
                self._services.executor(owner="bystander").cancel(found[int(share * len(found))])

    # ---- the end

    def _wait_for(self, holds: Callable[[], bool], within_s: float) -> None:
        until = time.monotonic() + within_s
        while True:
            with suppress(RetryableError):
                if holds():
                    return
            if time.monotonic() > until:
                raise _LateError
            time.sleep(_ASK_BOOKS_S)

    def _seen_by(self, watcher: Worker) -> Callable[[], bool]:
        def looks() -> int:
            return sum("looked" in line for line in watcher.lines())

        before = looks()
        return lambda: looks() > before + 2  # the first may have begun before

    def _nothing_fires(self) -> bool:
        with self._services.store.read() as books:
            fired = books.triggers.fired(1)
        return not fired and not unsettled(self._services.store)

    def _all_ended(self) -> bool:
        with self._services.store.read() as books:
            waiting = [order for order in books.orders.open(MOST) if order.cancel_requested_at is None]
        for order in waiting:
            with suppress(RetryableError, OutcomeUnknownError, InvalidInputError):
                self._services.order_desk.cancel(order.id, by="the driver")
        with self._services.store.read() as books:
            return not books.orders.open(1) and not unsettled(self._services.store)

    def _open_ends(self) -> str:
        with self._services.store.read() as books:
            orders = [order.id for order in books.orders.open(MOST)]
        return f"orders {orders}, trades {sorted(unsettled(self._services.store))}"


class _LateError(Exception):
    """It took too long."""
