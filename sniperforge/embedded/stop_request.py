"""How a stack is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StopRequest:
    """A wish to stop; the second one is a wish to hurry. Safe to be made in a signal handler."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.is_hurried = False

    def ask(self) -> None:
        """Stop; asked again, hurry."""
        if self._asked.is_set():
            self.is_hurried = True
        self._asked.set()

    @property
    def is_asked(self) -> bool:
        """Whether somebody did."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until somebody asks."""
        self._asked.wait(seconds)


@contextmanager
def signals_to(stop: StopRequest) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a terminal that goes away (SIGHUP) all ask to stop, until the block ends."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` ignores it, on purpose
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.ask()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
