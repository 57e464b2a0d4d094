"""Late acknowledgement on a Redis that may go away, which by itself ends a worker (Celery 5.7, kombu 5.7).

Two things break when Redis is gone while tasks run. A channel that closes gives back what is not acknowledged, through
a connection that no longer exists. And a task that ends later acknowledges on that closed channel. Both raise
AttributeError, which neither library expects there, and the worker stops.
"""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request
from kombu.transport.redis import Channel


def give_back_nothing() -> None:
    """Let channels close without giving messages back: the sweep rings again, sooner than the broker delivers again."""
    Channel.do_restore = False


class ForgeRequest(Request):  # type: ignore[misc] # Celery has no types
    """A message at work. One that cannot be acknowledged any more is logged, and that is all."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connection_errors = (*self.connection_errors, AttributeError)
