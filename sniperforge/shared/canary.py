"""Signs of life in Redis: which worker consumed which queue, and when.

A worker that lives but no longer consumes looks like a working one from outside; only what came through its queue
tells. Every task that ends leaves a sign, and canaries, which do nothing else, see that there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from redis import RedisError

from sniperforge.ports.queue import Queue
from sniperforge.shared.queue import KEY_PREFIX, unavailable

if TYPE_CHECKING:
    from redis import Redis

SILENT_AFTER = timedelta(seconds=30)
"""A worker from whom nothing was heard for this long consumes no more. A canary is sent every few seconds, and no task
keeps a worker for longer than `workers.tasks.trades.STAY`."""

_FORGET_AFTER = timedelta(minutes=10)


class Canary:
    """Leaves signs of life, and reads them.

    Args:
        redis: A client that decodes its answers.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def sing(self, worker: str, queues: Sequence[Queue], now: datetime) -> None:
        """Say that this worker consumes these queues.

        Raises:
            QueueUnavailableError: Redis does not answer.
        """
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for queue in queues:
                    pipeline.hset(_key(queue), worker, f"{now.timestamp():.3f}")
                    pipeline.expire(_key(queue), _FORGET_AFTER)
                pipeline.execute()
        except (RedisError, OSError) as error:
            raise unavailable(error) from None

    def heard(self, queue: Queue) -> Mapping[str, datetime]:
        """When each worker was last heard on this queue.

        Raises:
            QueueUnavailableError: Redis does not answer.
        """
        try:
            signs = self._redis.hgetall(_key(queue))
        except (RedisError, OSError) as error:
            raise unavailable(error) from None
        assert isinstance(signs, dict)  # noqa: S101 (the synchronous client; its types speak of both)
        return {str(worker): datetime.fromtimestamp(float(at), UTC) for worker, at in signs.items()}

    def forget(self, before: datetime) -> None:
        """Drop the signs of workers that are gone.

        Raises:
            QueueUnavailableError: Redis does not answer.
        """
        for queue in Queue:
            gone = [worker for worker, at in self.heard(queue).items() if at < before]
            if gone:
                try:
                    self._redis.hdel(_key(queue), *gone)
                except (RedisError, OSError) as error:
                    raise unavailable(error) from None


def _key(queue: Queue) -> str:
    return f"{KEY_PREFIX}canary:{queue.value}"
