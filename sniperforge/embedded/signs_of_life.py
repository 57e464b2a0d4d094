"""Whether a service that lives also works."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sniperforge.errors import QueueUnavailableError
from sniperforge.ports.clock import Clock
from sniperforge.ports.queue import Queue, TaskQueue

SILENT_AFTER_S = 30.0
_LOOK_EVERY_S = 1.0
_ATTENTIVE_S = 10.0
"""Whoever looked away for longer (a stopped process, a laptop that slept) knows nothing about the time between."""


class Signs(Protocol):
    """Where workers leave signs of life."""

    def heard(self, queue: Queue) -> Mapping[str, datetime]:
        """When each worker was last heard on this queue.

        Raises:
            QueueUnavailableError: Redis does not answer.
        """
        ...


class _Patience:
    """How long something has been amiss, as far as somebody watched it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_at = 0.0
        self._since: float | None = None

    def is_time_to_look(self) -> bool:
        """Whether it is worth while to look again."""
        return self._clock.monotonic() - self._looked_at >= _LOOK_EVERY_S

    def is_at_end(self, *, amiss: bool) -> bool:
        """Note what was seen now; whether it has been amiss for too long."""
        now = self._clock.monotonic()
        if not amiss:
            self._since = None
        elif self._since is None or now - self._looked_at > _ATTENTIVE_S:
            self._since = now
        self._looked_at = now
        if self._since is None or now - self._since < SILENT_AFTER_S:
            return False
        self._since = None
        return True


class Consumption:
    """Whether a worker takes messages from its queues, by the signs of life it leaves in Redis.

    It counts as stuck when messages wait and it has left no new sign for half a minute. Beat that is down, or a Redis
    that is away or was wiped, makes no worker stuck: then nothing waits, or nothing is known. Signs are compared with
    each other and never with a clock, so that a clock that jumps kills nobody.

    Args:
        signs: Where signs are read.
        queue: Where messages wait.
        queues: What this worker consumes.
        clock: Monotonic time.
    """

    def __init__(self, signs: Signs, queue: TaskQueue, queues: Sequence[Queue], clock: Clock) -> None:
        self._signs = signs
        self._queue = queue
        self._queues = tuple(queues)
        self._patience = _Patience(clock)
        self._seen: dict[tuple[Queue, str], datetime] = {}

    def has_begun(self, pid: int) -> bool:
        """Whether the worker of this process has left a sign on every one of its queues."""
        try:
            return {queue for queue, _ in self._heard(pid)} == set(self._queues)
        except QueueUnavailableError:
            return False

    def stuck(self, pid: int) -> str | None:
        """Why the worker must be started again, None while it takes messages, or has none to take."""
        if not self._patience.is_time_to_look():
            return None
        try:
            signs, depths = self._heard(pid), self._queue.depths()
            amiss = signs == self._seen and any(depths[queue] for queue in self._queues)
            self._seen = signs
        except QueueUnavailableError:
            amiss = False
        if self._patience.is_at_end(amiss=amiss):
            return f"has taken no message for {SILENT_AFTER_S:.0f} s although some wait"
        return None

    def _heard(self, pid: int) -> dict[tuple[Queue, str], datetime]:
        # `sniperforge worker` names its worker so: NAME.PID@HOST.
        mine = f".{pid}@{socket.gethostname()}"
        return {
            (queue, worker): at
            for queue in self._queues
            for worker, at in self._signs.heard(queue).items()
            if worker.endswith(mine)
        }


class Silence:
    """Whether a service that should answer at any time has been silent for too long.

    Args:
        answers: Asks it; must return quickly.
        clock: Monotonic time.
    """

    def __init__(self, answers: Callable[[], bool], clock: Clock) -> None:
        self._answers = answers
        self._patience = _Patience(clock)

    def stuck(self, _pid: int) -> str | None:
        """Why the service must be started again, None while it answers."""
        if not self._patience.is_time_to_look() or not self._patience.is_at_end(amiss=not self._answers()):
            return None
        return f"has not answered for {SILENT_AFTER_S:.0f} s"
