"""What happens between the start of a worker and its first message, and between its last one and its end.

A cold worker pays for imports, for scrypt and for connections while a trade waits: the first burst after a start took
twice as long as the second. So all of that happens first, once per process and once per thread of the pool.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import structlog
from celery import bootsteps, signals
from celery.worker.components import Pool
from redis import AuthenticationError, RedisError

from sniperforge.bootstrap import build
from sniperforge.config import load_settings
from sniperforge.errors import QueueUnavailableError, RetryableError, SniperForgeError
from sniperforge.ports.queue import Queue
from sniperforge.shared.canary import SILENT_AFTER
from sniperforge.shared.queue import unavailable
from workers.base import ForgeTask
from workers.context import WorkerContext
from workers.watchdog import MemoryWatchdog

_log = structlog.get_logger("workers.warm")
_THREADS_WITHIN_S = 30.0


class Warm(bootsteps.StartStopStep):  # type: ignore[misc] # Celery has no types
    """Celery's step between the pool and the consumer."""

    requires = (Pool,)

    def start(self, worker: Any) -> None:
        """Open everything; then, and only then, messages are taken.

        Raises:
            SystemExit: It cannot work as it is set up; the reason is on standard error and in the log.
        """
        queues = [Queue(name) for name in worker.app.amqp.queues.consume_from]
        settings = load_settings()
        try:
            context = WorkerContext(build(settings), str(worker.hostname))
            _warm_process(context, queues)
            _warm_threads(context, worker.pool.executor, worker.concurrency, trades=Queue.TRADES in queues)
        except SniperForgeError as error:
            _log.critical("this worker cannot start", error=str(error), kind=type(error).__name__)
            sys.stderr.write(f"sniperforge: this worker cannot start: {error}\n")
            raise SystemExit(1) from error
        ForgeTask.context = context
        _drain_on_shutdown(context)
        _sing_when_ready(context, queues)
        self._watchdog = MemoryWatchdog(settings.worker_memory_mb)
        self._watchdog.start()

    def stop(self, _worker: Any) -> None:
        """Nothing is watched while the worker drains."""
        self._watchdog.stop()


def _warm_process(context: WorkerContext, queues: list[Queue]) -> None:
    services = context.services
    try:
        context.redis.ping()
    except AuthenticationError as error:
        # Celery would go on asking with the same password, for ever.
        raise unavailable(error) from None
    except RedisError as error:
        _log.warning("waiting for Redis", error=str(unavailable(error)))
    with services.store.read() as books:
        books.system.get()
    services.chain.warm()
    if Queue.TRADES in queues:
        # Only trades are signed. A wrong passphrase is said now, and scrypt's time is spent now.
        wallets = services.wallets.addresses()
        for wallet in wallets:
            services.wallets.unlock(wallet)
        if not wallets:
            _log.warning("there is no wallet yet: make one with `sniperforge wallet-create`")


def _warm_threads(context: WorkerContext, pool: Any, threads: int, *, trades: bool) -> None:
    """Each thread of the pool gets its executor and its connections. All at once, so that each is met once."""
    together = threading.Barrier(threads)

    def warm() -> None:
        try:
            with context.services.store.read() as books:
                books.system.get()
            if trades:
                _warm_trading(context)
        finally:
            together.wait(_THREADS_WITHIN_S)

    for done in [pool.submit(warm) for _ in range(threads)]:
        done.result()


def _warm_trading(context: WorkerContext) -> None:
    context.executor  # noqa: B018 (made by asking for it)
    try:
        context.services.exchange.warm()
    except RetryableError as error:
        _log.warning("Jupiter does not answer yet", error=str(error))


def _drain_on_shutdown(context: WorkerContext) -> None:
    def draining(**_: Any) -> None:
        context.draining.set()

    def ended(**_: Any) -> None:
        ForgeTask.context = None
        context.close()

    signals.worker_shutting_down.connect(draining, weak=False)
    signals.worker_shutdown.connect(ended, weak=False)


def _sing_when_ready(context: WorkerContext, queues: list[Queue]) -> None:
    def ready(**_: Any) -> None:
        now = context.services.clock.now()
        try:
            context.canary.forget(now - 2 * SILENT_AFTER)
            context.canary.sing(context.node, queues, now)
        except QueueUnavailableError as error:
            _log.warning("no sign of life could be left", error=str(error))

    signals.worker_ready.connect(ready, weak=False)
