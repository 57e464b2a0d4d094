"""Health: books against chain, the invariants, and canaries."""

from __future__ import annotations

import structlog

from sniperforge.domain.money import Address
from sniperforge.errors import TerminalError
from sniperforge.ports.queue import Queue, TaskName
from workers.base import QUEUE_NAME, forge_task
from workers.context import WorkerContext

_log = structlog.get_logger(__name__)


@forge_task(TaskName.RECONCILE_WALLETS)
def reconcile_wallets(worker: WorkerContext) -> None:
    """Book what others did to each wallet, and what was called dead and landed; then compare."""
    found: list[str] = []
    for wallet in _wallets(worker):
        report = worker.services.reconciler.scan(wallet)
        found += [f"{wallet}: somebody else signed {one.signature}" for one in report.foreign]
        with worker.services.store.read() as books:
            undead = [books.attempts.get(attempt) for attempt in report.undead]
        for attempt in undead:
            if attempt is not None:
                worker.executor.look_again(attempt)
        found += [f"{wallet}: {one.text}" for one in worker.services.reconciler.compare(wallet)]
    _refuse(found, "books and chain differ", "Run `sniperforge reconcile`, and follow what it says")


@forge_task(TaskName.CHECK_INVARIANTS)
def check_invariants(worker: WorkerContext) -> None:
    """Hold I1 to I6 against each wallet; what is merely slow (I7) is a warning."""
    found: list[str] = []
    for wallet in _wallets(worker):
        report = worker.services.invariants.check(wallet)
        found += [str(violation) for violation in report.violations]
        for alert in report.alerts:
            _log.warning(str(alert))
    _refuse(found, "an invariant is broken", 'Run `sniperforge halt --reason "..."`, then `sniperforge invariants`')


@forge_task(TaskName.SING_CANARY, takes=QUEUE_NAME)
def sing_canary(worker: WorkerContext, queue: str) -> None:
    """Say that this worker consumes this queue."""
    worker.canary.sing(worker.node, [Queue(queue)], worker.services.clock.now())


def _wallets(worker: WorkerContext) -> list[Address]:
    network = worker.services.books_network
    with worker.services.store.read() as books:
        return [wallet.address for wallet in books.wallets.all() if wallet.network == network]


def _refuse(found: list[str], what: str, fix: str) -> None:
    for one in found:
        _log.error(one)
    if found:
        raise TerminalError(f"{what}: {found[0]}", fix=fix)
