"""Worker processes: started as forks of one warm process, killed, stopped, woken, awaited."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Protocol

from tests.faults.worker import work

_WAIT_S = 40.0
_WARM = multiprocessing.get_context("forkserver")
_WARM.set_forkserver_preload(["pytest", "tests.faults.worker", "tests.faults.warm", "tests.faults.program"])


_STARTED: list[Worker] = []


def dismiss_all() -> None:
    """Kill every worker that is still there: a stopped one would never end."""
    while _STARTED:
        _STARTED.pop().kill()


def state_of(pid: int) -> str:
    """The letter of `/proc/PID/stat`, behind the name, which may hold anything; `X` when there is none any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


class Order(Protocol):
    """What a process is told when it is started."""

    @property
    def name(self) -> str:
        """Of this process, unique in its world."""
        ...

    @property
    def report(self) -> Path:
        """Where it writes what it does, as JSON lines."""
        ...


class Worker:
    """One worker process.

    Args:
        order: What it does.
        entry: Function that does it.
    """

    def __init__(self, order: Order, entry: Callable[[Any], None] = work) -> None:
        self.order = order
        self._process: ForkServerProcess = _WARM.Process(target=entry, args=(order,), daemon=True)
        self._process.start()
        _STARTED.append(self)

    @property
    def alive(self) -> bool:
        """It has not ended (it may be stopped)."""
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """Negative: the signal that ended it."""
        return self._process.exitcode

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process.pid is not None
        return self._process.pid

    def wait(self, within_s: float = _WAIT_S) -> int:
        """Wait for its end and return its exit code."""
        self._process.join(within_s)
        code = self._process.exitcode
        if code is None:
            self.kill()
            raise AssertionError(f"{self.order.name} did not end; its report:\n{self.told()}")
        return code

    def wait_until_stopped(self) -> None:
        """Wait until it has met a mishap that stops it."""
        self.wait_for(lambda lines: any(line.get("mishap") == "stop" for line in lines))

    def wait_for(self, seen: Callable[[list[dict[str, Any]]], bool], within_s: float = _WAIT_S) -> None:
        """Wait until its report says something."""
        until = time.monotonic() + within_s
        while not seen(self.lines()):
            assert self.alive, f"{self.order.name} ended with {self.exit_code} instead; its report:\n{self.told()}"
            assert time.monotonic() < until, f"{self.order.name} never came there; its report:\n{self.told()}"
            time.sleep(0.005)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still is there."""
        if self.alive and self._process.pid is not None:
            os.kill(self._process.pid, number)

    def wake(self) -> None:
        """Let it go on after a stop."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, from outside, at whatever instruction it is."""
        self._process.kill()
        self._process.join(_WAIT_S)

    def lines(self) -> list[dict[str, Any]]:
        """What it wrote so far; a line that it is writing now, or was killed at, is none yet."""
        path = self.order.report
        if not path.exists():
            return []
        whole = path.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def steps(self) -> list[str]:
        """The steps it reached, in order."""
        return [line["step"] for line in self.lines() if "intent" in line and "step" in line]

    def told(self) -> str:
        """Its report, for people."""
        return "\n".join(json.dumps(line) for line in self.lines())
