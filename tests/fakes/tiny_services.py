"""Small real processes for tests of the supervisor: shell scripts under a clock that the test moves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sniperforge.embedded.supervisor import Launch, ServiceSpec, ServiceState, ServiceStatus, Supervisor
from tests.fakes.clock import FakeClock

WITHIN_S = 10.0
FOREVER = "while :; do sleep 0.05; done"


def script(name: str, text: str, **how: object) -> ServiceSpec:
    """A service that is a shell script."""
    fields: dict[str, object] = {"stop_turn": 0, "grace_s": 5.0, **how}
    return ServiceSpec(
        name=name,
        launch=lambda: Launch(command=("/bin/sh", "-c", text), environment={"PATH": os.environ["PATH"]}),
        **fields,  # type: ignore[arg-type]
    )


@dataclass
class TinyStack:
    """A supervisor of such scripts, its clock, and what it said."""

    supervisor: Supervisor
    clock: FakeClock
    folder: Path
    said: list[str] = field(default_factory=list)

    def until(self, happened: Callable[[], bool]) -> None:
        """Tick until this is so; real processes need real moments, the clock stands still."""
        deadline = time.monotonic() + WITHIN_S
        while not happened():
            assert time.monotonic() < deadline, f"it did not happen; said so far: {self.said}"
            self.supervisor.tick()
            time.sleep(0.005)

    def until_state(self, name: str, state: ServiceState) -> ServiceStatus:
        """Tick until this service is there."""
        self.until(lambda: self.of(name).state is state)
        return self.of(name)

    def until_ended(self, name: str) -> ServiceStatus:
        """Tick until this service, which ran or is about to, has ended by itself and waits."""
        self.until(lambda: self.of(name).failures > 0 and self.of(name).state is ServiceState.WAITING)
        return self.of(name)

    def of(self, name: str) -> ServiceStatus:
        """One service."""
        return next(one for one in self.supervisor.status() if one.name == name)


@contextmanager
def tiny_stack(folder: Path, services: Sequence[ServiceSpec], clock: FakeClock | None = None) -> Iterator[TinyStack]:
    """Supervise these; in the end nothing of them runs."""
    clock = clock or FakeClock()
    said: list[str] = []

    def say(text: str, *, warning: bool = False) -> None:
        said.append(text)

    supervisor = Supervisor(services, clock=clock, output_dir=folder, say=say)
    stack = TinyStack(supervisor, clock, folder, said)
    try:
        yield stack
    finally:
        supervisor.hurry()
        stack.until(lambda: supervisor.has_stopped)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    return state_of(pid) not in {"", "Z"}


def state_of(pid: int) -> str:
    """What the kernel says of a process: R runs, S sleeps, T is stopped, Z has ended; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
