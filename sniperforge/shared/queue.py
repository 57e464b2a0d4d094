"""The queue on Redis, by Celery: its settings, and the producer that rings bells. It knows no worker.

Everything lies under keys that begin with `sniperforge:`. Celery is imported when a bell is rung first: it takes a
quarter of a second, and most commands ring none.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sniperforge.config import Settings
from sniperforge.domain.ids import IntentId
from sniperforge.errors import ConfigError, QueueUnavailableError
from sniperforge.ports.queue import PlanId, Queue, TaskName

if TYPE_CHECKING:
    from redis import Redis

KEY_PREFIX = "sniperforge:"
"""Every key of ours in Redis begins with this."""

QUEUE_OF: Mapping[TaskName, Queue] = MappingProxyType(
    {
        TaskName.ADVANCE_TRADE: Queue.TRADES,
        TaskName.RING_DUE_TRADES: Queue.HEALTH,
        TaskName.LOOK_AGAIN: Queue.HEALTH,
        TaskName.RING_DUE_PLANS: Queue.STRATEGIES,
        TaskName.RUN_PLAN: Queue.STRATEGIES,
        TaskName.CHECK_TRIGGERS: Queue.ORDERS,
        TaskName.COMPACT_TRIGGERS: Queue.ORDERS,
        TaskName.RECONCILE_WALLETS: Queue.HEALTH,
        TaskName.CHECK_INVARIANTS: Queue.HEALTH,
        TaskName.SING_CANARY: Queue.HEALTH,
    }
)
"""Where each task waits, unless whoever rings says otherwise (canaries are sung on every queue)."""

VISIBILITY_TIMEOUT_S = 600
"""A message taken and not acknowledged for this long is delivered again. No task runs nearly as long."""

SOCKET_TIMEOUT_S = 5.0
"""A broker that holds a connection open and says nothing for this long is away."""

RING_TIMEOUT_S = 1.0
"""The same for who rings: the trade is in the books already, and a person may be waiting."""

RINGERS = 10
"""Most bells that one process rings at once."""

BELL_LIFE_S = 300
"""A bell that nobody heard for this long is dropped: meanwhile the sweep has rung again, and again."""

BEAT_LOCK_S = 10
"""A beat that has not said for this long that it lives is replaced by a standby."""


def redis_address(settings: Settings) -> str:
    """The address of Redis, password included.

    Raises:
        ConfigError: None is set, or it is not one of a Redis.
    """
    if settings.redis_url is None:
        raise ConfigError(
            "there is no queue: no Redis is set and no stack is running on this home",
            subject="redis_url",
            fix="Start one with `sniperforge up`, or set SNIPERFORGE_REDIS_URL",
        )
    address = settings.redis_url.get_secret_value()
    if not _is_redis(address):
        # The address itself is not repeated: it may hold the password.
        raise ConfigError(
            "this is no address of a Redis", subject="redis_url", fix="Write it as redis://:PASSWORD@HOST:PORT/0"
        )
    return address


def _is_redis(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        return False


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Celery's configuration, for workers, beat, Flower and producers alike.

    What beat's lock needs besides (`beat_settings`) is kept apart, because workers show their configuration in Flower,
    and Celery hides the password of `broker_url` only.

    Raises:
        ConfigError: No Redis is set.
    """
    from kombu.entity import Exchange
    from kombu.entity import Queue as KombuQueue

    exchange = Exchange("sniperforge", type="direct")  # type: ignore[no-untyped-call]
    queues = [
        KombuQueue(queue.value, exchange, routing_key=queue.value)  # type: ignore[no-untyped-call]
        for queue in Queue
    ]
    return {
        "broker_url": redis_address(settings),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": {
            "global_keyprefix": KEY_PREFIX,
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "accept_content": ["json"],
        "task_serializer": "json",
        "event_serializer": "json",
        "timezone": "UTC",
        "enable_utc": True,
        "task_queues": queues,
        "task_default_queue": Queue.HEALTH.value,
        "task_default_exchange": "sniperforge",
        "task_create_missing_queues": False,
        "task_routes": {name.value: {"queue": queue.value} for name, queue in QUEUE_OF.items()},
        "task_acks_late": True,
        "task_ignore_result": True,
        "result_backend": None,
        "result_expires": None,  # else beat sends a daily clean-up of results that nobody keeps
        "task_store_errors_even_if_ignored": False,
        "task_publish_retry": False,
        "task_send_sent_event": True,
        "worker_send_task_events": True,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        # A task whose connection broke works on; its message comes again, and finds nothing left to do.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }


def beat_settings(settings: Settings) -> dict[str, Any]:
    """What redbeat needs besides: its own connection, its keys, and a lock that a standby takes over."""
    return {
        "redbeat_redis_url": redis_address(settings),
        "redbeat_redis_options": {
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
            "socket_keepalive": True,
        },
        "redbeat_key_prefix": f"{KEY_PREFIX}beat:",
        "redbeat_lock_timeout": BEAT_LOCK_S,
        # Also how often a standby asks for the lock.
        "beat_max_loop_interval": 2,
    }


def connect_redis(settings: Settings, *, timeout_s: float = RING_TIMEOUT_S) -> Redis:
    """A client of its own, which fails rather than waits. The caller closes it.

    Raises:
        ConfigError: No Redis is set, or its address is none.
    """
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        redis_address(settings),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def unavailable(error: Exception) -> QueueUnavailableError:
    """What a failure of the broker means for a person. It never repeats the address: that may hold the password."""
    from redis import AuthenticationError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AuthenticationError):
            return QueueUnavailableError(
                "Redis refuses the password", subject="redis_url", fix="Set the password that Redis was started with"
            )
        cause = cause.__cause__ or cause.__context__
    return QueueUnavailableError(
        f"Redis does not answer ({type(error.__cause__ or error).__name__})",
        subject="redis_url",
        fix="What is due stays in the books and is rung for when it is back: see `sniperforge status`",
    )


class CeleryQueue:
    """Implements `ports.queue.TaskQueue`. Safe to use from many threads.

    Args:
        settings: The settings in force.

    Raises:
        ConfigError: No Redis is set, or its address is none.
    """

    def __init__(self, settings: Settings) -> None:
        redis_address(settings)
        self._settings = settings

    def __repr__(self) -> str:
        return "CeleryQueue()"

    def ring_trade(self, intent: IntentId) -> None:
        """See `TaskQueue.ring_trade`."""
        self._ring(TaskName.ADVANCE_TRADE, intent)

    def ring_plan(self, plan: PlanId) -> None:
        """See `TaskQueue.ring_plan`."""
        self._ring(TaskName.RUN_PLAN, plan)

    def depths(self) -> Mapping[Queue, int]:
        """See `TaskQueue.depths`. What a worker has taken and not yet begun is not counted."""
        from redis import RedisError

        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for queue in Queue:
                    pipeline.llen(f"{KEY_PREFIX}{queue.value}")
                return dict(zip(Queue, pipeline.execute(), strict=True))
        except (RedisError, OSError) as error:
            raise unavailable(error) from None

    def close(self) -> None:
        """Give back the connections."""
        if "_redis" in self.__dict__:
            self._redis.close()
        if "_producers" in self.__dict__:
            self._producers.force_close_all()
            self._producers.connections.force_close_all()

    def _ring(self, task: TaskName, argument: str) -> None:
        from kombu.exceptions import KombuError
        from redis import RedisError

        try:
            with self._producers.acquire(block=True, timeout=RING_TIMEOUT_S) as producer:
                self._celery.send_task(
                    task.value, args=[argument], expires=BELL_LIFE_S, retry=False, ignore_result=True, producer=producer
                )
        except (KombuError, RedisError, OSError) as error:
            raise unavailable(error) from None

    @cached_property
    def _redis(self) -> Redis:
        return connect_redis(self._settings)

    @cached_property
    def _celery(self) -> Any:
        from celery import Celery

        config = celery_settings(self._settings)
        # One connection may have broken while nobody rang, so it is tried once more, at once.
        config["broker_transport_options"] |= {
            "socket_timeout": RING_TIMEOUT_S,
            "socket_connect_timeout": RING_TIMEOUT_S,
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0,
        }
        app = Celery("sniperforge", set_as_current=False)
        app.conf.update(config)
        return app

    @cached_property
    def _producers(self) -> Any:
        from kombu.pools import ProducerPool

        # By name: left to itself, Celery prefers another program's CELERY_BROKER_URL.
        connections = self._celery.connection_for_write(redis_address(self._settings)).Pool(limit=RINGERS)
        return ProducerPool(connections, limit=RINGERS)  # type: ignore[no-untyped-call]
