"""Time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only source of time. Nothing is ever proven by it (rule *no-timeout*)."""

    def now(self) -> datetime:
        """Wall clock, aware, UTC. It may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and time-outs only."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        ...
