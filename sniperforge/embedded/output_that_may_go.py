"""Standard output that may go away: a terminal that is closed, a pipe that nobody reads any more.

A stack must then stop in order, or go on as its log tells, and not fall over its own screen.
"""

from __future__ import annotations

import os
from typing import IO, Any


class OutputThatMayGo:
    """A text stream that leads into nothing once its other end has gone.

    Args:
        stream: Where text goes as long as somebody is there.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or let it go."""
        try:
            return self._stream.write(text)
        except OSError:
            self._lead_nowhere()
            return len(text)

    def flush(self) -> None:
        """Flush, or let it go."""
        try:
            self._stream.flush()
        except OSError:
            self._lead_nowhere()

    def _lead_nowhere(self) -> None:
        """What is still buffered, and whatever the interpreter flushes at its end, is written to the null device."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, self._stream.fileno())
        finally:
            os.close(nowhere)
