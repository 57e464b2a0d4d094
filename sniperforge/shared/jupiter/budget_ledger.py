"""Where the request budget is counted: in Redis for all processes, or in this one.

In Redis the windows are the moving windows of the `limits` library; the marks beside them ("closed until", "being
probed") are ours. In this process a window is a list of times: the library's own storage in memory starts a thread at
every call. Everything in Redis expires by itself and may be wiped at any time: a wipe costs at most one extra burst,
which Jupiter answers with 429 and which closes the budget again.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import Protocol

from limits.storage import RedisStorage
from pydantic import SecretStr
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sniperforge.errors import ConfigError
from sniperforge.ports.clock import Clock

_PREFIX = "sniperforge:budget"
_CONNECT_TIMEOUT_S = 0.25
_ANSWER_TIMEOUT_S = 0.5


class Ledger(Protocol):
    """Counts calls per key. Times are Unix seconds."""

    def take(self, key: str, limit: int, window_s: int, calls: int) -> bool:
        """Count `calls` calls unless more than `limit` would then lie in the window; all of them, or none."""
        ...

    def opens_at(self, key: str, limit: int, window_s: int) -> float:
        """Not before this time will `take` succeed, if nobody else takes."""
        ...

    def used(self, key: str, limit: int, window_s: int) -> int:
        """How many calls lie in the window; it counts up to `limit`."""
        ...

    def closed_until(self, key: str) -> float | None:
        """Until when nobody may call, None while the budget is open. A time that has passed waits for a probe."""
        ...

    def close(self, key: str, until: float, keep_s: float) -> None:
        """Nobody may call before `until`, then one probe; the mark is forgotten after `keep_s`."""
        ...

    def claim_probe(self, key: str, lease_s: float) -> bool:
        """True for the one caller that may try whether the budget is open again."""
        ...

    def release_probe(self, key: str) -> None:
        """The probe was not made after all."""
        ...

    def reopen(self, key: str) -> None:
        """The probe came through."""
        ...


class SharedLedger:
    """One ledger for every process that uses the same Redis. Its methods raise `redis.RedisError`."""

    def __init__(self, url: SecretStr) -> None:
        try:
            # No hidden retries: while Redis is away each call would otherwise wait seconds for it.
            self._redis = Redis.from_url(
                url.get_secret_value(),
                socket_connect_timeout=_CONNECT_TIMEOUT_S,
                socket_timeout=_ANSWER_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:
            raise ConfigError(
                "it is not a Redis address",
                subject="redis_url",
                fix="Write redis://host:port/0, rediss://... or unix:///path",
            ) from None
        self._windows = RedisStorage(
            "redis://", connection_pool=self._redis.connection_pool, key_prefix=f"{_PREFIX}:calls"
        )

    def take(self, key: str, limit: int, window_s: int, calls: int) -> bool:
        """See `Ledger`. One Lua script, so it is atomic between processes."""
        return self._windows.acquire_entry(key, limit, window_s, calls)

    def opens_at(self, key: str, limit: int, window_s: int) -> float:
        """See `Ledger`."""
        return self._windows.get_moving_window(key, limit, window_s)[0] + window_s

    def used(self, key: str, limit: int, window_s: int) -> int:
        """See `Ledger`."""
        return min(limit, self._windows.get_moving_window(key, limit, window_s)[1])

    def closed_until(self, key: str) -> float | None:
        """See `Ledger`."""
        value = self._redis.get(f"{_PREFIX}:closed:{key}")
        return float(value) if isinstance(value, bytes) else None

    def close(self, key: str, until: float, keep_s: float) -> None:
        """See `Ledger`."""
        self._redis.set(f"{_PREFIX}:closed:{key}", repr(until), px=int(keep_s * 1000))
        self.release_probe(key)

    def claim_probe(self, key: str, lease_s: float) -> bool:
        """See `Ledger`."""
        return bool(self._redis.set(f"{_PREFIX}:probe:{key}", b"1", nx=True, px=int(lease_s * 1000)))

    def release_probe(self, key: str) -> None:
        """See `Ledger`."""
        self._redis.delete(f"{_PREFIX}:probe:{key}")

    def reopen(self, key: str) -> None:
        """See `Ledger`."""
        self._redis.delete(f"{_PREFIX}:closed:{key}", f"{_PREFIX}:probe:{key}")

    def disconnect(self) -> None:
        """Close the connections; they open again when needed."""
        self._redis.close()
        self._redis.connection_pool.disconnect()


class LocalLedger:
    """A ledger for this process alone.

    Args:
        clock: Tells what time it is for others; windows are measured by a clock that nobody sets back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)
        self._closed: dict[str, float] = {}
        self._probe_until: dict[str, float] = {}

    def take(self, key: str, limit: int, window_s: int, calls: int) -> bool:
        """See `Ledger`."""
        with self._lock:
            now, recent = time.monotonic(), self._recent(key, window_s)
            if len(recent) + calls > limit:
                return False
            recent.extend([now] * calls)
            return True

    def opens_at(self, key: str, limit: int, window_s: int) -> float:
        """See `Ledger`."""
        with self._lock:
            calls = self._recent(key, window_s)
            wait_s = calls[-limit] + window_s - time.monotonic() if len(calls) >= limit else 0.0
        return self._clock.now().timestamp() + wait_s

    def used(self, key: str, limit: int, window_s: int) -> int:
        """See `Ledger`."""
        with self._lock:
            return min(limit, len(self._recent(key, window_s)))

    def _recent(self, key: str, window_s: int) -> deque[float]:
        calls, begin = self._calls[key], time.monotonic() - window_s
        while calls and calls[0] <= begin:
            calls.popleft()
        return calls

    def closed_until(self, key: str) -> float | None:
        """See `Ledger`."""
        with self._lock:
            return self._closed.get(key)

    def close(self, key: str, until: float, keep_s: float) -> None:  # noqa: ARG002 (memory keeps the mark)
        """See `Ledger`."""
        with self._lock:
            self._closed[key] = until
            self._probe_until.pop(key, None)

    def claim_probe(self, key: str, lease_s: float) -> bool:
        """See `Ledger`."""
        now = time.monotonic()
        with self._lock:
            if self._probe_until.get(key, 0.0) > now:
                return False
            self._probe_until[key] = now + lease_s
            return True

    def release_probe(self, key: str) -> None:
        """See `Ledger`."""
        with self._lock:
            self._probe_until.pop(key, None)

    def reopen(self, key: str) -> None:
        """See `Ledger`."""
        with self._lock:
            self._closed.pop(key, None)
            self._probe_until.pop(key, None)
