"""The machine's own clock: the one place in the product that reads it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.clock.Clock` by the operating system."""

    def now(self) -> datetime:
        """Wall clock, aware, UTC. It may jump; nothing is ever proven by it."""
        return datetime.now(UTC)  # noqa: TID251 (the one place this rule points to)

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and time-outs only."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread.

        Raises:
            ValueError: A negative duration.
        """
        time.sleep(seconds)
