"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """`ports.clock.Clock` under a test's control; sleeping moves it and returns at once."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Wall clock as the test set it."""
        return self._now

    def monotonic(self) -> float:
        """Seconds passed by `advance` and `sleep`; `jump` does not move it."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Move both clocks on."""
        if seconds < 0:
            message = "sleep length must be non-negative"
            raise ValueError(message)
        self.advance(timedelta(seconds=seconds))

    def advance(self, by: timedelta) -> None:
        """Time passes."""
        self._now += by
        self._monotonic += by.total_seconds()

    def jump(self, to: datetime) -> None:
        """Somebody sets the wall clock, forwards or back."""
        self._now = to
