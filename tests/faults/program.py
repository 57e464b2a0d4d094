"""A program of the running system: a `sniperforge` command as typed, which runs as a fork of a warm process.

Only that is different from a shell: where the command becomes another program (`exec`), that program's entry is called
instead, because starting Python anew costs seconds of a processor; and what the product waits for in seconds passes in
tenths, so that its patience fits slots of a few milliseconds.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import beat_schedule
import workers.__main__
import workers.app
import workers.context
import workers.scheduler
import workers.tasks.trades
import workers.warm
from sniperforge import bootstrap
from sniperforge.cli import main as cli
from sniperforge.config import Settings
from sniperforge.ports.clock import Clock
from sniperforge.shared import queue
from sniperforge.trading.progress import Progress
from tests.faults.system_stall import TELL_STACKS
from tests.faults.worker import Mishap, Report, Saboteur
from tests.faults.world import TIMES_FASTER, SwiftClock, World

_TICKS_S = {
    "ring due trades": 0.3,
    "ring due plans": 0.3,
    "look again at the dead": 3.0,
    "reconcile wallets": 3.0,
    "check invariants": 4.0,
}
_OTHER_TICKS_S = 2.0
_BEAT_LOCK_S = 2
_BEAT_LOOKS_EVERY_S = 0.4
_RING_AGAIN_AFTER_S = 1
"""Redis counts whole seconds."""


@dataclass(frozen=True, kw_only=True)
class ProgramOrder:
    """What one program is.

    Attributes:
        arguments: Of `sniperforge`.
        mishaps: What befalls it at steps of trades.
    """

    world: World
    name: str
    arguments: Sequence[str]
    mishaps: Sequence[Mishap] = ()

    @property
    def report(self) -> Path:
        """Where it writes the steps of its trades."""
        return self.world.reports / f"{self.name}.jsonl"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.world.reports / f"{self.name}.log"


def become(order: ProgramOrder) -> None:
    """Entry of the process."""
    output = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.register(TELL_STACKS, file=2)
    for name in [name for name in os.environ if name.startswith("SNIPERFORGE_")]:
        del os.environ[name]
    os.environ.update(order.world.environment())
    _hasten(order.world)
    _put("workers.context", "_log_step", _watched(Saboteur(order.mishaps, Report(order.report))))
    _put("os", "execv", _call_instead)
    sys.argv = ["sniperforge", *order.arguments]
    cli.main()


def _hasten(world: World) -> None:
    """The product's own pauses, each shorter."""

    def clock() -> Clock:
        return SwiftClock(world.origin)

    def beat_settings(settings: Settings) -> dict[str, Any]:
        return {**queue.beat_settings(settings), "beat_max_loop_interval": _BEAT_LOOKS_EVERY_S}

    _put(bootstrap.__name__, "SystemClock", clock)
    _put(workers.context.__name__, "RING_AGAIN_AFTER", timedelta(seconds=_RING_AGAIN_AFTER_S))
    # Counted by the monotonic clock, which is the machine's.
    _put(workers.tasks.trades.__name__, "STAY", workers.tasks.trades.STAY / TIMES_FASTER)
    _put(queue.__name__, "BEAT_LOCK_S", _BEAT_LOCK_S)
    _put(workers.scheduler.__name__, "beat_settings", beat_settings)
    for name, entry in beat_schedule.BEAT_SCHEDULE.items():
        entry["schedule"] = timedelta(seconds=_TICKS_S.get(name, _OTHER_TICKS_S))


def _watched(saboteur: Saboteur) -> Any:
    tell = workers.context._log_step

    def watch(progress: Progress) -> None:
        tell(progress)
        saboteur(progress)

    return watch


def _call_instead(_path: str, command: Sequence[str]) -> None:
    python, isolated, as_module, program, *arguments = command
    assert (python, isolated, as_module, program) == (sys.executable, "-P", "-m", "workers"), command
    sys.argv = [program, *arguments]
    sys.exit(workers.__main__.main())


def _put(module: str, name: str, value: object) -> None:
    """Give a module's global another value; that it has one is made sure, so that this cannot rot unnoticed."""
    assert hasattr(sys.modules[module], name), f"{module} has no {name}"
    setattr(sys.modules[module], name, value)
