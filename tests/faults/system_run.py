"""One seed on the running system: Celery workers, beat and its standby, Redis, chain and exchange, all of it hurt."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from solders.keypair import Keypair

from sniperforge.domain.ids import intent_id
from sniperforge.domain.intent import IntentState
from sniperforge.embedded.signs_of_life import Consumption
from sniperforge.errors import (
    InvalidInputError,
    OutcomeUnknownError,
    QueueUnavailableError,
    RetryableError,
    SniperForgeError,
)
from sniperforge.ports.plans import PlanState
from sniperforge.ports.queue import PlanId
from sniperforge.shared.canary import Canary
from sniperforge.shared.queue import connect_redis
from tests.fakes.postgres import new_books
from tests.fakes.redis_server import RedisServer
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.bells import Bells
from tests.faults.check import problems_of, product_says
from tests.faults.crew import dismiss_all
from tests.faults.outcome import Outcome
from tests.faults.plan import LONGER_AT_MOST, Misfortune
from tests.faults.scenes import NODES, calm, outlive_a_blockhash
from tests.faults.system_check import plan_problems_of
from tests.faults.system_crew import SystemCrew
from tests.faults.system_plan import QUEUES, SEATS, SystemPlan, system_plan_of
from tests.faults.system_stall import explained
from tests.faults.trouble import Trouble
from tests.faults.wiretap import Wiretap, spellings
from tests.faults.world import PASSPHRASE, World, close, new_world

SETTLE_WITHIN_S = 90.0
_LOOK_S = 0.05
_ASK_BOOKS_S = 0.3
_AFTER_ERROR_S = 0.05
_HEIRS_WITHIN_S = 20.0
_MOST = 1_000
_OPEN = (IntentState.PENDING, IntentState.EXECUTING)


@dataclass(frozen=True)
class Stack:
    """What is started once and used for many seeds."""

    sandbox: RunningSandbox
    redis: RedisServer
    redis_folder: Path


def run_system_seed(seed: int, trades: int, stack: Stack, home: Path) -> Outcome:
    """Live through one plan and check what is left."""
    began = time.monotonic()
    plan = system_plan_of(seed, trades)
    calm(stack.sandbox)
    stack.redis.flushall()
    key = Keypair()
    world = new_world(stack.sandbox, home, database_url=new_books() if plan.postgres else None, key=key)
    nodes = [stack.sandbox.endpoints.node_urls[name] for name in NODES] if plan.two_nodes else []
    run = _Run(
        plan,
        world.using(
            *nodes,
            jupiter_execute_timeout_s=0.5,
            large_trade_usd=plan.large_trade_usd,
            trade_deadline_s=3_000,
            redis_url=SecretStr(stack.redis.url),
        ),
        stack,
        Wiretap(stack.redis, spellings(key, PASSPHRASE)),
    )
    try:
        problems = run.live()
    finally:
        dismiss_all()
    outlive_a_blockhash(stack.sandbox)  # what was wrongly called dead may land yet
    problems += [*problems_of(world), *product_says(world), *plan_problems_of(world, run.keys, run.ids)]
    return Outcome(seed, problems, run.happened, time.monotonic() - began)


class _Run:
    """One seed while it lasts."""

    def __init__(self, plan: SystemPlan, world: World, stack: Stack, wiretap: Wiretap) -> None:
        self.happened: Counter[str] = Counter()
        self._plan = plan
        self._world = world
        self._stack = stack
        self._wiretap = wiretap
        self._requests = plan.requests(world)
        self._services = world.services()
        self._trouble = Trouble(world, self._services, stack.sandbox, self._requests)
        self._bells = Bells(stack.redis, stack.redis_folder, wiretap)
        self._signs = connect_redis(self._services.settings)
        self._crew = SystemCrew(
            world,
            plan.mishaps,
            plan.seed,
            {
                seat: Consumption(Canary(self._signs), self._services.queue, queues, self._services.clock).stuck
                for seat, queues in QUEUES.items()
            },
        )
        self._redis_is_hurt = threading.Lock()
        self._dice = random.Random(f"{plan.seed}:forger")  # noqa: S311 (replayable, not unguessable)
        self._people: list[threading.Thread] = []

    @property
    def keys(self) -> set[str]:
        """Of every trade that people decided."""
        return {request.key for request in self._requests}

    @property
    def ids(self) -> set[str]:
        """Everything that was rung for."""
        return self._wiretap.ids

    def live(self) -> list[str]:
        """The troubles, then quiet until everything is settled. Returns what was wrong meanwhile."""
        self._wiretap.start()
        for values in self._plan.strategies:
            desk = self._services.plan_desk
            desk.create(desk.draft("dca", values, self._world.wallet))
        begin_late = self._plan.one_offs - self._plan.late
        self._decide_meanwhile(range(begin_late))
        self._decide_meanwhile(self._plan.again)
        self._suffer()
        problems = self._trouble.end(self._crew.tend)
        calm(self._stack.sandbox)
        self._crew.no_more_mishaps()
        self._decide_meanwhile(range(begin_late, self._plan.one_offs))
        problems += self._settle()
        for person in self._people:
            person.join()
        self._crew.end()
        problems += [*self._crew.problems, *self._wiretap.stop()]
        self.happened += self._crew.happened
        self.happened["messages"] = self._wiretap.counted
        self._count_trades()
        self._signs.close()
        close(self._services)
        return problems

    def _suffer(self) -> None:
        began, asked, mostly = time.monotonic(), 0.0, False
        coming = list(self._plan.misfortunes)
        while (now := time.monotonic() - began) < self._plan.trouble_s or (
            now < LONGER_AT_MOST * self._plan.trouble_s and not mostly
        ):
            self._crew.tend()
            while coming and coming[0].at_s <= now:
                self._befall(coming.pop(0))
            if now - asked > _ASK_BOOKS_S:
                asked, mostly = now, self._open_ends() <= 0.2 * self._plan.trades + self._plan.late
            time.sleep(_LOOK_S)
        self._befall(self._plan.farewell)

    def _settle(self) -> list[str]:
        """Workers and sweep finish everything; nobody helps them."""
        began = time.monotonic()
        while self._open_ends():
            self._crew.tend()
            if time.monotonic() - began > SETTLE_WITHIN_S:
                return [
                    f"{self._open_ends()} trades or rounds did not settle within {SETTLE_WITHIN_S:.0f} s",
                    *explained(self._crew.programs, self._stack.redis, self._services),
                ]
            time.sleep(_ASK_BOOKS_S)
        self.happened["seconds to settle"] = round(time.monotonic() - began)
        return []

    def _open_ends(self) -> int:
        """How many trades and rounds somebody must still carry on."""
        try:
            with self._services.store.read() as books:
                undecided = sum(books.intents.get(intent_id(one.key)) is None for one in self._requests)
                trades = {intent.id for state in _OPEN for intent in books.intents.in_state(state, _MOST)}
                trades |= {attempt.intent_id for attempt in books.attempts.live(_MOST)}
                plans = [plan for plan in books.plans.every() if plan.status is not PlanState.ENDED]
        except RetryableError:
            return self._plan.trades
        rounds = sum(int(plan.config["orders"]) - int(plan.state["orders"]) for plan in plans)
        return undecided + len(trades) + rounds

    # ---- people who decide

    def _decide_meanwhile(self, numbers: Sequence[int]) -> None:
        person = threading.Thread(target=self._decide, args=(numbers,))
        person.start()
        self._people.append(person)

    def _decide(self, numbers: Sequence[int]) -> None:
        """What `sniperforge trade` does: decide, commit, ring; or die before ringing."""
        executor = self._services.executor(owner=f"person-{len(self._people)}")
        until = time.monotonic() + SETTLE_WITHIN_S
        for number in numbers:
            while time.monotonic() < until:
                try:
                    intent = executor.decide(self._requests[number])
                except SniperForgeError as error:
                    self.happened[type(error).__name__] += 1
                    time.sleep(_AFTER_ERROR_S)
                    continue
                if self._plan.rung[number]:
                    with suppress(QueueUnavailableError):
                        self._services.queue.ring_trade(intent.id)
                break
            time.sleep(self._plan.trouble_s / self._plan.one_offs / 2)

    # ---- misfortunes

    def _befall(self, misfortune: Misfortune) -> None:
        what, kind = misfortune.what, misfortune.kind
        match kind:
            case "kill":
                self._crew.kill(what["seat"])
                return  # counted when it has ended
            case "stop":
                self._crew.stop(what["seat"], beside=what["beside"])
                return  # counted when it is woken
            case "drain":
                self._crew.drain(what["seat"])
            case "redis":
                self._trouble.meanwhile(self._lose_redis, what)
            case "heirs":
                self._wipe_under_heirs()
            case "flush" | "second_beat" | "repeat" | "late" | "forgery":
                self._hurt_bells(kind, what)
            case "theft":
                self._trouble.meanwhile(self._steal, what)
            case "pause":
                self._trouble.meanwhile(self._pause, what)
            case _:
                self._trouble.befall(misfortune)
        self.happened[_PLURALS.get(kind, f"{kind}s")] += 1

    def _hurt_bells(self, kind: str, what: Mapping[str, Any]) -> None:
        match kind:
            case "flush":
                self._bells.flush()
            case "second_beat":
                self._bells.unlock_beat()
            case "repeat":
                self._bells.repeat(what["count"])
            case "late":
                self._bells.repeat_late(what["count"])
            case "forgery":
                victim = self._requests[what["trade"] % len(self._requests)]
                self._bells.forge(what["kind"], intent_id(victim.key), self._dice)

    def _wipe_under_heirs(self) -> None:
        """No beat has the lock and all wait for it when Redis is wiped: whoever gets it must know what is due."""
        self._bells.hold_beat_lock(2 * _HEIRS_WITHIN_S)
        beats = [seat for seat, arguments in SEATS.items() if arguments == ("beat",)]
        for seat in beats:
            self._crew.kill(seat)
        known = set(self._wiretap.asked_for_beat_lock)
        until = time.monotonic() + _HEIRS_WITHIN_S
        while len(self._wiretap.asked_for_beat_lock - known) < len(beats) and time.monotonic() < until:
            self._crew.tend()
            time.sleep(_LOOK_S)
        self._bells.flush()

    def _lose_redis(self, what: Mapping[str, Any]) -> None:
        with self._redis_is_hurt:
            self._bells.restart(what["seconds"], keep=what["keep"])

    def _steal(self, what: Mapping[str, Any]) -> None:
        self.happened["stolen"] += self._bells.steal(what["seconds"], what["queues"])

    def _pause(self, what: Mapping[str, Any]) -> None:
        """A person pauses a plan, and resumes it a little later."""
        plan = PlanId(str(self._plan.strategies[what["plan"] % len(self._plan.strategies)]["name"]))
        desk = self._services.plan_desk
        try:
            desk.pause(plan, by="driver")
        except OutcomeUnknownError:
            pass  # the books were away at the commit: if it is paused, nobody else resumes it
        except (InvalidInputError, RetryableError):
            return  # it has ended, another one has paused it, or the books are busy
        time.sleep(what["seconds"])
        until = time.monotonic() + SETTLE_WITHIN_S
        while time.monotonic() < until:
            try:
                desk.resume(plan, by="driver")
            except (RetryableError, OutcomeUnknownError):
                time.sleep(_AFTER_ERROR_S)
            except InvalidInputError:
                return  # it was not paused, or is not any more
            else:
                return

    def _count_trades(self) -> None:
        with self._services.store.read() as books:
            intents = books.intents.recent(_MOST)
        self.happened.update(intent.state.value for intent in intents)
        self.happened["rounds"] = sum(intent.plan_id is not None for intent in intents)


_PLURALS = {
    "heirs": "wipes under heirs",
    "flush": "flushes",
    "forgery": "forgeries",
    "redis": "Redis restarts",
    "late": "late repeats",
}
