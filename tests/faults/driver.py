"""The seeded driver: many trades, everything going wrong at once, then quiet; books and chain must agree.

    python -m tests.faults.driver [--system | --orders] --seeds 100 --trades 50 [--first 1]

Without an option executors run in plain processes, which ends a seed sooner and kills at every step. With `--system`
the whole of the running system is there: Celery workers, beat and its standby, a real Redis, and plans. With `--orders`
the trades are those of orders that people make and cancel, in a market that moves.
Ends with 1 if any seed left a violation; its line says how to replay it, and its home is kept.
"""

from __future__ import annotations

import argparse
import faulthandler
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from sniperforge.domain.ids import intent_id
from sniperforge.domain.intent import IntentState
from sniperforge.errors import RetryableError
from tests.fakes.postgres import new_books
from tests.fakes.redis_server import running_redis
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.faults.check import problems_of, product_says
from tests.faults.crew import Worker, dismiss_all
from tests.faults.orders_run import run_orders_seed
from tests.faults.outcome import Outcome
from tests.faults.plan import LONGER_AT_MOST, Misfortune, Plan, plan_of
from tests.faults.scenes import NODES, calm, outlive_a_blockhash, sandbox_options
from tests.faults.system_run import Stack, run_system_seed
from tests.faults.trouble import Trouble
from tests.faults.worker import WorkOrder
from tests.faults.world import World, close, new_world

SETTLE_WITHIN_S = 90.0
HUNG_AFTER_S = 200.0
HEIRS = 3
_STOPPED_FOR_S = 1.0


def run_seed(seed: int, trades: int, sandbox: RunningSandbox, home: Path) -> Outcome:
    """Live through one plan and check what is left."""
    began = time.monotonic()
    plan = plan_of(seed, trades)
    calm(sandbox)
    world = new_world(sandbox, home, database_url=new_books() if plan.postgres else None)
    settings = {"jupiter_execute_timeout_s": 0.5, "large_trade_usd": plan.large_trade_usd, "trade_deadline_s": 3_000}
    nodes = [sandbox.endpoints.node_urls[name] for name in NODES] if plan.two_nodes else []
    run = _Run(plan, world.using(*nodes, **settings), sandbox)
    problems = run.live()
    calm(sandbox)
    problems += run.quiesce()
    dismiss_all()
    outlive_a_blockhash(sandbox)  # what was wrongly called dead may land yet
    problems += [*problems_of(world), *product_says(world)]
    return Outcome(seed, problems, run.happened, time.monotonic() - began)


class _Run:
    """One seed while it lasts."""

    def __init__(self, plan: Plan, world: World, sandbox: RunningSandbox) -> None:
        self.happened: Counter[str] = Counter()
        self._plan = plan
        self._world = world
        self._sandbox = sandbox
        self._requests = plan.requests(world)
        self._shifts = [list(desk) for desk in plan.desks]
        self._desks: list[Worker | None] = [None] * len(plan.desks)
        self._stopped: dict[str, float] = {}
        self._services = world.services(ahead_s=plan.farthest_ahead_s)
        self._trouble = Trouble(self._world, self._services, sandbox, self._requests)
        self._crashed: list[str] = []

    def live(self) -> list[str]:
        """Everything that the plan has, in its time. Returns the workers that ended by an error of their own."""
        began = time.monotonic()
        coming = list(self._plan.misfortunes)
        while (now := time.monotonic() - began) < self._plan.trouble_s or (
            now < LONGER_AT_MOST * self._plan.trouble_s and not self._mostly_settled()
        ):
            self._staff_desks()
            while coming and coming[0].at_s <= now:
                self._befall(coming.pop(0))
            time.sleep(0.02)
        for desk in range(len(self._desks)):
            self._dismiss(desk)
        return self._crashed + self._trouble.end()

    def quiesce(self) -> list[str]:
        """Let sound processes finish everything, each its share."""
        heirs = [
            Worker(
                WorkOrder(
                    world=self._world,
                    name=f"heir-{share}",
                    requests=self._requests[share::HEIRS],
                    ahead_s=self._plan.farthest_ahead_s,
                    patience_s=SETTLE_WITHIN_S,
                )
            )
            for share in range(HEIRS)
        ]
        codes = [heir.wait(SETTLE_WITHIN_S + 10) for heir in heirs]
        close(self._services)
        settled = {}
        for heir in heirs:
            self._count(heir)
            settled.update({line["intent"]: line["settled"] for line in heir.lines() if "settled" in line})
        self.happened.update(settled.values())
        lost = [request.key for request in self._requests if intent_id(request.key) not in settled]
        return [f"an heir ended with {code}" for code in codes if code] + [f"{key} did not settle" for key in lost]

    def _mostly_settled(self) -> bool:
        try:
            with self._services.store.read() as books:
                recent = books.intents.recent(self._plan.trades)
        except RetryableError:
            return False
        over = sum(intent.state not in (IntentState.PENDING, IntentState.EXECUTING) for intent in recent)
        return over >= 0.8 * self._plan.trades

    def _staff_desks(self) -> None:
        for desk, worker in enumerate(self._desks):
            if worker is None or not worker.alive:
                self._dismiss(desk)
                self._desks[desk] = self._next_worker(desk)
            elif any(line.get("mishap") == "stop" for line in worker.lines()[-1:]):
                since = self._stopped.setdefault(worker.order.name, time.monotonic())
                if time.monotonic() - since > _STOPPED_FOR_S:
                    self.happened["stops"] += 1
                    del self._stopped[worker.order.name]
                    worker.wake()

    def _next_worker(self, desk: int) -> Worker | None:
        if not self._shifts[desk]:
            return None
        number, shift = len(self._shifts[desk]), self._shifts[desk].pop(0)
        return Worker(
            WorkOrder(
                world=self._world,
                name=f"worker-{desk}-{number:02}",
                requests=[self._requests[trade] for trade in shift.trades],
                mishaps=shift.mishaps,
                threads=shift.threads,
                ahead_s=shift.ahead_s,
                pace_s=self._plan.trouble_s / self._plan.trades / 2,
                patience_s=LONGER_AT_MOST * self._plan.trouble_s,
            )
        )

    def _dismiss(self, desk: int) -> None:
        worker = self._desks[desk]
        if worker is None:
            return
        if worker.alive:
            worker.wake()
            worker.kill()
            self.happened["kills"] += 1
        elif worker.exit_code == -9:
            self.happened["kills"] += 1
        elif worker.exit_code != 0:
            self._crashed.append(f"{worker.order.name} ended with {worker.exit_code}: {worker.lines()[-1:]}")
        self._count(worker)
        self._desks[desk] = None

    def _count(self, worker: Worker) -> None:
        for line in worker.lines():
            if line.get("step") in ("expired", "reverted", "reversed"):
                self.happened[line["step"]] += 1
            if line.get("step") == "persisted":
                self.happened["attempts"] += 1
            if "error" in line:
                self.happened[line["error"]] += 1

    def _befall(self, misfortune: Misfortune) -> None:
        self.happened[f"{misfortune.kind}s"] += 1
        if misfortune.kind == "kill":
            self._dismiss(misfortune.what["desk"] % len(self._desks))
        else:
            self._trouble.befall(misfortune)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run seeds; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--trades", type=int, default=50, help="per seed; with --orders, how many orders")
    crews = parser.add_mutually_exclusive_group()
    crews.add_argument("--system", action="store_true", help="the running system: Celery, beat, Redis and plans")
    crews.add_argument("--orders", action="store_true", help="trades of orders, and the market they wait for")
    options = parser.parse_args(arguments)
    violated = []
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    with (
        running_sandbox(folder / "sandbox", **sandbox_options()) as sandbox,
        running_redis(folder / "redis") if options.system else nullcontext() as redis,
    ):
        for seed in range(options.first, options.first + options.seeds):
            home = folder / f"seed-{seed}"
            faulthandler.dump_traceback_later(HUNG_AFTER_S)  # whoever finds it hanging sees where
            if options.orders:
                outcome = run_orders_seed(seed, options.trades, sandbox, home)
            elif redis is None:
                outcome = run_seed(seed, options.trades, sandbox, home)
            else:
                outcome = run_system_seed(seed, options.trades, Stack(sandbox, redis, folder / "redis"), home)
            faulthandler.cancel_dump_traceback_later()
            print(outcome, flush=True)
            for problem in outcome.problems:
                print(f"  {problem}", flush=True)
            if not outcome.problems:
                shutil.rmtree(home)
            else:
                violated.append(seed)
                crew = " --system" if options.system else " --orders" if options.orders else ""
                print(f"  home: {home}")
                print(
                    f"  replay: python -m tests.faults.driver{crew} --first {seed} --trades {options.trades}",
                    flush=True,
                )
    what = "orders" if options.orders else "trades"
    print(f"{options.seeds} seeds of {options.trades} {what}: {len(violated)} violated {violated or ''}")
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
