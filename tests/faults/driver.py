"""The seeded driver: many trades, everything going wrong at once, then quiet; books and chain must agree.

    python -m tests.faults.driver --seeds 100 --trades 50 [--first 1]

Ends with 1 if any seed left a violation; its line says how to replay it, and its home is kept.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from sniperforge.domain.ids import intent_id
from sniperforge.domain.intent import IntentState
from sniperforge.errors import InvalidInputError, ProtocolError, RetryableError, SniperForgeError
from sniperforge.ports.records import TradingMode
from tests.fakes.postgres import PostgresServer, migrated_database, shared_server
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.faults.check import problems_of, product_says
from tests.faults.crew import Worker, dismiss_all
from tests.faults.plan import LONGER_AT_MOST, Misfortune, Plan, plan_of
from tests.faults.scenes import EXECUTE, NODES, SEND, calm, outlive_a_blockhash, sandbox_options
from tests.faults.worker import WorkOrder
from tests.faults.world import World, close, new_world

SETTLE_WITHIN_S = 90.0
HEIRS = 3
_STOPPED_FOR_S = 1.0


@dataclass
class Outcome:
    """What came of one seed."""

    seed: int
    problems: list[str]
    happened: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def __str__(self) -> str:
        happened = ", ".join(f"{count} {what}" for what, count in sorted(self.happened.items()))
        verdict = "sound" if not self.problems else "VIOLATED"
        return f"seed {self.seed}: {verdict} in {self.seconds:.1f} s: {happened}"


def run_seed(seed: int, trades: int, sandbox: RunningSandbox, home: Path) -> Outcome:
    """Live through one plan and check what is left."""
    began = time.monotonic()
    plan = plan_of(seed, trades)
    calm(sandbox)
    database = shared_server().url(shared_server().database(migrated_database())) if plan.postgres else None
    world = new_world(sandbox, home, database_url=database)
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
        self._executor = self._services.executor(owner="bystander")
        self._others: list[threading.Thread] = []
        self._crashed: list[str] = []
        self._restarting = threading.Lock()

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
        for other in self._others:
            other.join()
        return self._crashed

    def quiesce(self) -> list[str]:
        """Let sound processes finish everything, each its share."""
        self._mode(TradingMode.ACTIVE)
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
        what = misfortune.what
        self.happened[f"{misfortune.kind}s"] += 1
        match misfortune.kind:
            case "fault":
                self._sandbox.fault(**what)
            case "relief":
                self._sandbox.clear_faults()
            case "fork":
                with suppress(AssertionError):  # deeper than finality allows at this moment
                    self._sandbox.ask("POST", "/fork", **what)
            case "price":
                self._sandbox.ask("POST", "/price", **what)
            case "node":
                self._sandbox.ask("POST", "/nodes", **what)
            case "kill":
                self._dismiss(what["desk"] % len(self._desks))
            case "cancel":
                with suppress(InvalidInputError, RetryableError):  # not decided yet, or the books are busy
                    self._executor.cancel(intent_id(self._requests[what["trade"]].key))
            case "blackout":
                self._in_background(self._black_out, what["seconds"])
            case "scan":
                self._in_background(self._scan)
            case "halt":
                self._in_background(self._halt, TradingMode(what["mode"]), what["seconds"])
            case _:
                self._in_background(self._trouble_books, what["seconds"])

    def _in_background(self, target: object, *args: object) -> None:
        assert callable(target)
        other = threading.Thread(target=target, args=args)
        other.start()
        self._others.append(other)

    def _black_out(self, seconds: float) -> None:
        """No transaction reaches the network for a while: those of that time may have to be proven dead."""
        with httpx.Client(base_url=self._sandbox.endpoints.admin_url, timeout=10.0) as admin:
            for target, kind in ((EXECUTE, "drop_request"), (SEND, "swallow")):
                admin.post("/faults", json={"target": target, "kind": kind, "probability": 1})
            time.sleep(seconds)
            for target in (EXECUTE, SEND):
                admin.request("DELETE", "/faults", params={"target": target})

    def _scan(self) -> None:
        """What a beat task does meanwhile; to it, none of these trades may look like a thief's."""
        with suppress(RetryableError, ProtocolError):
            self._services.reconciler.scan(self._world.wallet)

    def _halt(self, mode: TradingMode, seconds: float) -> None:
        with suppress(RetryableError):
            self._mode(mode)
            time.sleep(seconds)
        self._mode(TradingMode.ACTIVE)

    def _mode(self, mode: TradingMode) -> None:
        for _ in range(50):
            try:
                with self._services.store.write() as books:
                    books.system.change(
                        books.system.get(), mode=mode, reason="driver", changed_by="driver", changed_at=self._now()
                    )
            except SniperForgeError:
                time.sleep(0.1)
            else:
                return

    def _now(self) -> object:
        return self._services.clock.now()

    def _trouble_books(self, seconds: float) -> None:
        """Hold SQLite's write lock, or restart PostgreSQL."""
        if self._plan.postgres:
            with self._restarting:
                server: PostgresServer = shared_server()
                server.stop()
                time.sleep(seconds)
                server.start()
            return
        with sqlite3.connect(self._world.home / "books.db", timeout=5.0, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            other.execute("ROLLBACK")
        other.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run seeds; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--trades", type=int, default=50, help="per seed")
    options = parser.parse_args(arguments)
    violated = []
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    with running_sandbox(folder / "sandbox", **sandbox_options()) as sandbox:
        for seed in range(options.first, options.first + options.seeds):
            outcome = run_seed(seed, options.trades, sandbox, folder / f"seed-{seed}")
            print(outcome, flush=True)
            for problem in outcome.problems:
                print(f"  {problem}", flush=True)
            if outcome.problems:
                violated.append(seed)
                print(f"  home: {folder / f'seed-{seed}'}")
                print(f"  replay: python -m tests.faults.driver --first {seed} --trades {options.trades}", flush=True)
    print(f"{options.seeds} seeds of {options.trades} trades: {len(violated)} violated {violated or ''}")
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
