"""The memory watchdog: a worker that has grown too large drains and ends, and whoever supervises it starts another.

Celery's own limit (`max_memory_per_child`) works for prefork pools only.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import psutil
import structlog

_log = structlog.get_logger("workers.watchdog")
_LOOK_EVERY_S = 2.0
_MB = 1_000_000


class MemoryWatchdog:
    """Looks at the memory of this process, and drains it once.

    Args:
        limit_mb: From here on it drains.
        drain: How; by default the signal by which anybody would end it.
        look_every_s: Pause between two looks.
    """

    def __init__(
        self, limit_mb: int, *, drain: Callable[[], None] | None = None, look_every_s: float = _LOOK_EVERY_S
    ) -> None:
        self._limit_mb = limit_mb
        self._drain = drain or _end_this_process
        self._look_every_s = look_every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._over.wait(self._look_every_s):
            used_mb = process.memory_info().rss // _MB
            if used_mb >= self._limit_mb:
                _log.warning(
                    "this worker uses too much memory: it drains, and ends",
                    used_mb=used_mb,
                    worker_memory_mb=self._limit_mb,
                )
                self._drain()
                return


def _end_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
