"""A worker process that drives trades to their end and can be killed or stopped at any named step.

It runs as a fork of a warm process (`crew`), so that a recovery takes milliseconds and not seconds of imports. What it
does is appended to its report as JSON lines, which survive SIGKILL.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, event

from sniperforge.bootstrap import Services
from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import IntentState, TradeIntent
from sniperforge.errors import SniperForgeError, StorageBusyError
from sniperforge.trading.executor import Executor
from sniperforge.trading.executor_policy import TradeRequest
from sniperforge.trading.progress import Progress, Step
from tests.faults.world import TIMES_FASTER, World

_LOOK_S = 0.005
AFTER_ERROR_S = 0.02
_LONGEST_WAIT_S = 0.25
_IN_FLIGHT = 8


@dataclass(frozen=True)
class Mishap:
    """What befalls the process when it reaches a step for the n-th time: SIGKILL, or SIGSTOP until it is woken."""

    step: Step
    how: Literal["kill", "stop"] = "kill"
    nth: int = 1


@dataclass(frozen=True, kw_only=True)
class WorkOrder:
    """What one worker does.

    Attributes:
        requests: Decided by it, which is nothing new when they were decided before, and driven until settled.
        threads: So many of them ring for every trade.
        ahead_s: How wrong its clock is, in seconds of the world.
        pragma: Set on every connection to books in SQLite, to make them fail.
        pace_s: Real seconds from one decision to the next.
        patience_s: Real seconds after which it ends, settled or not.
    """

    world: World
    name: str
    requests: Sequence[TradeRequest]
    mishaps: Sequence[Mishap] = ()
    threads: int = 1
    ahead_s: float = 0.0
    pragma: str | None = None
    pace_s: float = 0.0
    patience_s: float = 30.0

    @property
    def report(self) -> Path:
        """Where it writes what it does."""
        return self.world.reports / f"{self.name}.jsonl"


def work(order: WorkOrder) -> None:
    """Entry of the process."""
    report = Report(order.report)
    services = open_services(order.world, order.ahead_s)
    if order.pragma is not None:
        _set_on_every_connection(services.engine, order.pragma)
    watch = Saboteur(order.mishaps, report)
    until = time.monotonic() + order.patience_s

    def drive(name: str) -> None:
        _drive(services.executor(owner=name, watch=watch), order, report, until)

    others = [threading.Thread(target=drive, args=(f"{order.name}-{n}",)) for n in range(1, order.threads)]
    for other in others:
        other.start()
    drive(order.name)
    for other in others:
        other.join()
    report.write(over=True)


def open_services(world: World, ahead_s: float) -> Services:
    """The services, as soon as the books can be opened."""
    services = world.services(ahead_s=ahead_s)
    while True:
        try:
            services.store  # noqa: B018 (opened by asking for it)
        except StorageBusyError:
            time.sleep(AFTER_ERROR_S)
        else:
            return services


def _set_on_every_connection(engine: Engine, pragma: str) -> None:
    def opened(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA {pragma}")

    engine.dispose()
    event.listen(engine, "connect", opened)


class Report:
    """Appends JSON lines with one system call each."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._began = time.monotonic()

    def write(self, **line: Any) -> None:
        """One line, with the seconds since this worker began."""
        os.write(self._file, (json.dumps({"s": round(time.monotonic() - self._began, 3), **line}) + "\n").encode())


def strike(how: Literal["kill", "stop"]) -> None:
    """End or halt this process, here and now."""
    os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGSTOP)


class Saboteur:
    """Watches the steps of all trades, and strikes."""

    def __init__(self, mishaps: Sequence[Mishap], report: Report) -> None:
        self._mishaps = mishaps
        self._report = report
        self._lock = threading.Lock()
        self._reached: Counter[Step] = Counter()

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            self._reached[progress.step] += 1
            nth = self._reached[progress.step]
        self._report.write(step=progress.step.value, intent=progress.intent_id, text=progress.text)
        for mishap in self._mishaps:
            if (mishap.step, mishap.nth) == (progress.step, nth):
                self._report.write(mishap=mishap.how, step=progress.step.value)
                strike(mishap.how)


def _drive(executor: Executor, order: WorkOrder, report: Report, until: float) -> None:
    undecided = list(order.requests)
    next_decision = 0.0
    due: dict[IntentId, float] = {}
    while (undecided or due) and time.monotonic() < until:
        if undecided and len(due) < _IN_FLIGHT and next_decision <= time.monotonic():
            next_decision = time.monotonic() + order.pace_s
            decided = _decide(executor, undecided[0], report)
            if decided is not None:
                undecided.pop(0)
                due[decided.id] = 0.0
        for intent, at in list(due.items()):
            if at <= time.monotonic():
                ring(executor, intent, due, report)
        if due or undecided:
            time.sleep(max(0.0, min(_LOOK_S, min(due.values(), default=next_decision) - time.monotonic())))


def _decide(executor: Executor, request: TradeRequest, report: Report) -> TradeIntent | None:
    try:
        return executor.decide(request)
    except SniperForgeError as error:
        report.write(error=type(error).__name__, at="decide", text=str(error))
        time.sleep(AFTER_ERROR_S)
        return None


def ring(executor: Executor, intent: IntentId, due: dict[IntentId, float], report: Report) -> None:
    """Carry a trade one step on, and set when it is due again; a settled one is never."""
    try:
        standing = executor.advance(intent)
    except SniperForgeError as error:
        report.write(error=type(error).__name__, at="advance", intent=intent, text=str(error))
        due[intent] = time.monotonic() + AFTER_ERROR_S
        return
    if standing.settled:
        del due[intent]
        report.write(settled=standing.intent.state.value, intent=intent)
        return
    wait = standing.wait.total_seconds() / TIMES_FASTER
    # A confirmed trade is only waiting for finality; looking every few milliseconds would slow the others down.
    least = 0.08 if standing.intent.state is IntentState.FILLED else 0.0
    due[intent] = time.monotonic() + min(max(wait, least), _LONGEST_WAIT_S)
