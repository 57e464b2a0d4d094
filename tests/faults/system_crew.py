"""Keeps the programs of the running system going, as a supervisor does, and hurts them."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults.crew import Worker, state_of
from tests.faults.program import ProgramOrder, become
from tests.faults.system_plan import SEATS
from tests.faults.worker import Mishap
from tests.faults.world import World

STOPPED_S = (1.0, 2.5)
"""How long a stopped program stays so: up to and beyond a lease (1.5 s) and the silence of a canary."""

DRAINED_WITHIN_S = 20.0
_RESTART_AFTER_S = 0.1
_ENDS_OF_WORKERS = ("cannot start", "json.decoder.JSONDecodeError")


class SystemCrew:
    """Programs by seat. One that ends is started again; one that is stopped is woken; one that is stuck is killed.

    Args:
        world: What they run on.
        mishaps: For each seat, what befalls its programs, one after the other.
        seed: Of the time for which stopped programs stay so.
        stuck: For seats whose programs are watched, as `up` watches its workers: why the process of this id must be
            started again, None while all is well.
    """

    def __init__(
        self,
        world: World,
        mishaps: Mapping[str, tuple[tuple[Mishap, ...], ...]],
        seed: int,
        stuck: Mapping[str, Callable[[int], str | None]],
    ) -> None:
        self.happened: Counter[str] = Counter()
        self.problems: list[str] = []
        self._world = world
        self._mishaps = {seat: list(mishaps.get(seat, ())) for seat in SEATS}
        self._stuck = stuck
        self._dice = random.Random(f"{seed}:crew")  # noqa: S311 (replayable, not unguessable)
        self._seats: dict[str, Worker] = {}
        self._leaving: list[Worker] = []
        self._wake_at: dict[str, float] = {}
        self._start_at: dict[str, float] = dict.fromkeys(SEATS, 0.0)
        self._started = 0

    @property
    def programs(self) -> list[Worker]:
        """Those that fill a seat, and those that were replaced and have not ended."""
        return [*self._seats.values(), *self._leaving]

    def tend(self) -> None:
        """Look at every seat once."""
        now = time.monotonic()
        for seat, at in list(self._start_at.items()):
            if at <= now:
                del self._start_at[seat]
                self._seats[seat] = self._start(seat)
        for seat, program in list(self._seats.items()):
            if not program.alive:
                self._ended(program)
                del self._seats[seat]
                self._start_at[seat] = now + _RESTART_AFTER_S
            elif seat in self._stuck and self._stuck[seat](program.pid) is not None:
                self.happened["stuck workers"] += 1
                program.kill()
        for program in self.programs:
            self._wake(program, now)
        for program in [program for program in self._leaving if not program.alive]:
            self._ended(program)
            self._leaving.remove(program)

    def kill(self, seat: str) -> None:
        """SIGKILL, at whatever it is."""
        if seat in self._seats:
            self._seats[seat].signal(signal.SIGKILL)

    def stop(self, seat: str, *, beside: bool) -> None:
        """SIGSTOP. With `beside`, another one is started in its place, and it will find that when it is woken."""
        program = self._seats.get(seat)
        if program is None or not program.alive:
            return
        program.signal(signal.SIGSTOP)
        if beside:
            self.happened["doubles"] += 1
            self._leave(seat)

    def drain(self, seat: str) -> None:
        """SIGTERM: it finishes what it is at."""
        if seat in self._seats:
            self._seats[seat].signal(signal.SIGTERM)

    def no_more_mishaps(self) -> None:
        """Programs that are started from now on meet none."""
        self._mishaps = {}

    def end(self) -> None:
        """Everything drains and ends, or that is a problem."""
        programs = self.programs
        for program in programs:
            program.signal(signal.SIGTERM)
            program.wake()
        until = time.monotonic() + DRAINED_WITHIN_S
        for program in programs:
            while program.alive and time.monotonic() < until:
                self._wake(program, time.monotonic())
                time.sleep(0.02)
            if program.alive:
                self.problems.append(f"{program.order.name} did not drain within {DRAINED_WITHIN_S:.0f} s")
                program.kill()
            self._ended(program)

    def _start(self, seat: str) -> Worker:
        mishaps = self._mishaps.get(seat)
        order = ProgramOrder(
            world=self._world,
            name=f"{self._started:03}-{seat}",
            arguments=SEATS[seat],
            mishaps=mishaps.pop(0) if mishaps else (),
        )
        self._started += 1
        return Worker(order, become)

    def _leave(self, seat: str) -> None:
        self._leaving.append(self._seats.pop(seat))
        self._start_at[seat] = 0.0

    def _wake(self, program: Worker, now: float) -> None:
        name = program.order.name
        if state_of(program.pid) != "T":  # it does not stand still by a signal
            return
        at = self._wake_at.setdefault(name, now + self._dice.uniform(*STOPPED_S))
        if at <= now:
            del self._wake_at[name]
            self.happened["stops"] += 1
            program.wake()
            if program in self._leaving:
                program.signal(signal.SIGTERM)

    def _ended(self, program: Worker) -> None:
        """Note how. Beat ends by itself when its lock is gone, and a worker when it cannot begin, or is fed no JSON."""
        role = program.order.name.split("-")[1]
        match program.exit_code:
            case 0:
                self.happened["drained"] += 1
            case -9:
                self.happened["kills"] += 1
            case -15:  # it was asked to end before it had begun
                self.happened["early ends"] += 1
            case 1 if role == "beat" or _said(program.order.report.with_suffix(".log"), *_ENDS_OF_WORKERS):
                self.happened[f"{role}_ends"] += 1
            case code:
                self.problems.append(f"{program.order.name} ended with {code}")
        for line in program.lines():
            if line.get("step") in ("expired", "reverted", "reversed"):
                self.happened[line["step"]] += 1
            if line.get("step") == "persisted":
                self.happened["attempts"] += 1


def _said(log: Path, *words: str) -> bool:
    return log.exists() and any(word in log.read_text(errors="replace") for word in words)
