"""What the tasks of one worker process work with: services, an executor per thread, signs of life, and the way out."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from sniperforge.bootstrap import Services
from sniperforge.domain.ids import IntentId
from sniperforge.errors import QueueUnavailableError
from sniperforge.ports.queue import Queue
from sniperforge.shared.canary import Canary
from sniperforge.shared.queue import KEY_PREFIX, connect_redis, unavailable

if TYPE_CHECKING:
    from redis import Redis

    from sniperforge.trading.executor import Executor
    from sniperforge.trading.progress import Progress

RING_AGAIN_AFTER = timedelta(seconds=10)
"""How long the sweep leaves a trade alone that it rang for. A wiped Redis only makes it ring more."""

_SIGN_EVERY_S = 2.0

_log = structlog.get_logger("workers.trade")


class WorkerContext:
    """One per process.

    Args:
        services: Adapters and use cases.
        node: Name of this worker, as Flower shows it; unique per process.
    """

    def __init__(self, services: Services, node: str) -> None:
        self.services = services
        self.node = node
        self.draining = threading.Event()
        self.looking = threading.Lock()
        self._mine = threading.local()
        self._signed: dict[Queue, float] = {}

    @property
    def executor(self) -> Executor:
        """This thread's executor: its name in leases is its own."""
        found: Executor | None = getattr(self._mine, "executor", None)
        if found is None:
            owner = f"{self.node}-{threading.get_ident()}"
            found = self._mine.executor = self.services.executor(owner=owner, watch=_log_step)
        return found

    @cached_property
    def redis(self) -> Redis:
        """For what is small and may be lost."""
        return connect_redis(self.services.settings)

    @cached_property
    def canary(self) -> Canary:
        """Signs of life."""
        return Canary(self.redis)

    def consumed(self, queue: Queue | None) -> None:
        """A task of this queue ended: leave a sign of life, now and then."""
        if queue is None:
            return
        now = self.services.clock.monotonic()
        if now - self._signed.get(queue, -_SIGN_EVERY_S) < _SIGN_EVERY_S:
            return
        self._signed[queue] = now
        try:
            self.canary.sing(self.node, [queue], self.services.clock.now())
        except QueueUnavailableError as error:
            _log.warning("no sign of life could be left", error=str(error))

    def may_ring(self, intent: IntentId) -> bool:
        """Whether nobody rang for this trade just now.

        Raises:
            QueueUnavailableError: Redis does not answer.
        """
        from redis import RedisError

        try:
            return bool(self.redis.set(f"{KEY_PREFIX}rung:{intent}", "1", nx=True, ex=RING_AGAIN_AFTER))
        except (RedisError, OSError) as error:
            raise unavailable(error) from None

    def close(self) -> None:
        """Give back every connection."""
        if "redis" in self.__dict__:
            self.redis.close()
        self.services.close()


def _log_step(progress: Progress) -> None:
    _log.info(progress.text, intent_id=progress.intent_id, step=progress.step.value)
