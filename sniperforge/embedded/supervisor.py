"""Keeps services running: starts them in turn, starts again what ends, ends what is stuck, stops all in order.

It owns no thread: whoever has it calls `tick` a few times a second, always from the thread that made it. Durations are
measured on the monotonic clock, so neither a clock that jumps nor a laptop that slept makes anything late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from sniperforge.embedded.processes import ChildProcess, in_words
from sniperforge.ports.clock import Clock

LONGEST_PAUSE_S = 30.0
QUIET_S = 60.0
"""Whoever ran this long is no longer punished for how often it ended before."""
READY_WITHIN_S = 60.0
"""Whoever does not answer by then is started again."""
FAILURES_THAT_TELL = 3
"""So many ends in a row, each soon after its start, are no accident: something has to be corrected."""


class ServiceState(StrEnum):
    """Where a service is."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


SERVICE_TRANSITIONS: Mapping[tuple[ServiceState, ServiceState], str] = MappingProxyType(
    {
        (ServiceState.WAITING, ServiceState.STARTING): "its turn has come, or its pause is over",
        (ServiceState.WAITING, ServiceState.STOPPED): "everything stops, and it did not run",
        (ServiceState.STARTING, ServiceState.RUNNING): "it answers",
        (ServiceState.STARTING, ServiceState.WAITING): "it ended by itself, or never answered",
        (ServiceState.STARTING, ServiceState.STOPPING): "everything stops",
        (ServiceState.RUNNING, ServiceState.WAITING): "it ended by itself, or was stuck",
        (ServiceState.RUNNING, ServiceState.STOPPING): "everything stops",
        (ServiceState.STOPPING, ServiceState.STOPPED): "it ended",
    }
)
"""Every legal change of a service's state, and what it means."""


def _at_once(_pid: int) -> bool:
    return True


def _never_stuck(_pid: int) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a service is started.

    Attributes:
        command: Program and arguments. No secrets: everybody may read them.
        environment: All of its environment.
    """

    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """What a service is and how it is kept.

    Attributes:
        name: Names it on the screen and its output file.
        launch: How, asked anew for each start.
        stop_turn: Services of a lower turn are stopped first.
        grace_s: How long it may take to end when asked to, before it is killed.
        may_start: Whether its first start may happen yet.
        is_ready: Whether the process of this id does its work. Asked at every tick, so it must be quick.
        stuck: Why the running process of this id must be started again, None while all is well. Quick, too.
    """

    name: str
    launch: Callable[[], Launch]
    stop_turn: int
    grace_s: float = 10.0
    may_start: Callable[[], bool] = lambda: True
    is_ready: Callable[[int], bool] = _at_once
    stuck: Callable[[int], str | None] = _never_stuck


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """A service at this moment.

    Attributes:
        pid: Its process, None while it has none.
        restarts: How often it was started again.
        since: Monotonic time at which this state began.
        failures: Ends in a row, each soon after its start.
        last_words: What it wrote last before it ended; empty while it is well.
    """

    name: str
    state: ServiceState
    pid: int | None
    restarts: int
    since: float
    failures: int
    last_words: str


class Say(Protocol):
    """Tells whoever watches, on the screen and in the log."""

    def __call__(self, text: str, *, warning: bool = False) -> None:
        """Say one thing."""
        ...


@dataclass(slots=True)
class _Service:
    spec: ServiceSpec
    state: ServiceState = ServiceState.WAITING
    since: float = 0.0
    process: ChildProcess | None = None
    start_at: float | None = None
    starts: int = 0
    failures: int = 0
    last_words: str = ""
    deadline: float = 0.0

    def change(self, state: ServiceState, now: float) -> None:
        if (self.state, state) not in SERVICE_TRANSITIONS:
            raise ValueError(f"{self.spec.name}: {self.state} -> {state} is not a transition")
        self.state, self.since = state, now


class Supervisor:
    """The services of one stack.

    Args:
        services: What to keep running; the first ones are started first.
        clock: Monotonic time.
        output_dir: Folder of their output files, `<name>.out`.
        say: Told of everything that changes.
        inherited: File descriptors that every child keeps open (the stack's lock).
    """

    def __init__(
        self,
        services: Sequence[ServiceSpec],
        *,
        clock: Clock,
        output_dir: Path,
        say: Say,
        inherited: Sequence[int] = (),
    ) -> None:
        self._clock = clock
        self._output_dir = output_dir
        self._say = say
        self._inherited = tuple(inherited)
        now = clock.monotonic()
        self._services = {spec.name: _Service(spec, since=now) for spec in services}
        self._stopping = False

    def status(self) -> tuple[ServiceStatus, ...]:
        """All services, in the order they were given."""
        return tuple(
            ServiceStatus(
                name=one.spec.name,
                state=one.state,
                pid=one.process.pid if one.process is not None else None,
                restarts=max(0, one.starts - 1),
                since=one.since,
                failures=one.failures,
                last_words=one.last_words,
            )
            for one in self._services.values()
        )

    def is_running(self, *names: str) -> bool:
        """Whether these services answer; without names, all of them."""
        chosen = names or tuple(self._services)
        return all(self._services[name].state is ServiceState.RUNNING for name in chosen)

    @property
    def has_stopped(self) -> bool:
        """Whether nothing runs any more, after `stop`."""
        return all(one.state is ServiceState.STOPPED for one in self._services.values())

    def stop(self) -> None:
        """Begin to stop everything in order; ticks carry it on."""
        self._stopping = True

    def hurry(self) -> None:
        """Give up politeness: kill whatever still runs at the next tick."""
        self._stopping = True
        now = self._clock.monotonic()
        for one in self._services.values():
            if one.process is not None:
                if one.state in (ServiceState.STARTING, ServiceState.RUNNING):
                    one.change(ServiceState.STOPPING, now)
                one.deadline = now

    def tick(self) -> None:
        """Look at every service once and do what is due."""
        for one in self._services.values():
            if one.process is not None:
                one.process.shorten_output()
                code = one.process.exit_code()
                if code is not None:
                    self._ended(one, code)
        if self._stopping:
            self._stop_next()
        else:
            for one in self._services.values():
                self._keep(one)

    def _keep(self, one: _Service) -> None:
        now = self._clock.monotonic()
        if one.state is ServiceState.WAITING:
            if one.spec.may_start() if one.start_at is None else now >= one.start_at:
                self._start(one, now)
        elif one.process is None:
            return
        elif one.state is ServiceState.STARTING:
            if one.spec.is_ready(one.process.pid):
                one.change(ServiceState.RUNNING, now)
                self._say(f"{one.spec.name} runs (process {one.process.pid})")
            elif now - one.since > READY_WITHIN_S:
                self._say(f"{one.spec.name} did not become ready in {READY_WITHIN_S:.0f} s: ended", warning=True)
                one.process.kill()
        elif one.state is ServiceState.RUNNING:
            if now - one.since > QUIET_S:
                one.failures, one.last_words = 0, ""
            why = one.spec.stuck(one.process.pid)
            if why is not None:
                self._say(f"{one.spec.name} {why}: ended", warning=True)
                # Not SIGTERM: what is stuck does not listen.
                one.process.kill()

    def _start(self, one: _Service, now: float) -> None:
        launch = one.spec.launch()
        try:
            one.process = ChildProcess(
                launch.command,
                launch.environment,
                self._output_dir / f"{one.spec.name}.out",
                inherited=self._inherited,
            )
        except OSError as error:
            one.failures += 1
            one.start_at = now + self._pause_s(one)
            one.last_words = str(error)
            self._say(f"{one.spec.name} cannot be started: {error}", warning=True)
            return
        one.starts += 1
        one.change(ServiceState.STARTING, now)

    def _ended(self, one: _Service, code: int) -> None:
        now = self._clock.monotonic()
        process, one.process = one.process, None
        if one.state is ServiceState.STOPPING or self._stopping:
            if one.state is not ServiceState.STOPPING:
                one.change(ServiceState.STOPPING, now)
            one.change(ServiceState.STOPPED, now)
            self._say(f"{one.spec.name} stopped")
            return
        one.failures += 1
        one.last_words = process.last_words() if process is not None else ""
        pause_s = self._pause_s(one)
        one.start_at = now + pause_s
        one.change(ServiceState.WAITING, now)
        self._say(f"{one.spec.name} ended ({in_words(code)}); it starts again in {pause_s:.0f} s", warning=True)
        if one.failures % FAILURES_THAT_TELL == 0:
            words = one.last_words or "nothing"
            self._say(f"{one.spec.name} ended {one.failures} times in a row; its last words: {words}", warning=True)

    @staticmethod
    def _pause_s(one: _Service) -> float:
        return min(LONGEST_PAUSE_S, 2.0 ** min(one.failures - 1, 10))

    def _stop_next(self) -> None:
        now = self._clock.monotonic()
        remaining = [one for one in self._services.values() if one.state is not ServiceState.STOPPED]
        turn = min((one.spec.stop_turn for one in remaining), default=0)
        for one in remaining:
            if one.state is ServiceState.WAITING:
                one.change(ServiceState.STOPPED, now)
            elif one.process is None:
                continue
            elif one.state is not ServiceState.STOPPING:
                if one.spec.stop_turn == turn:
                    one.change(ServiceState.STOPPING, now)
                    one.deadline = now + one.spec.grace_s
                    one.process.ask_to_end()
            elif now >= one.deadline:
                self._say(f"{one.spec.name} did not end in time: killed", warning=True)
                one.process.kill()
                one.deadline = now + one.spec.grace_s
