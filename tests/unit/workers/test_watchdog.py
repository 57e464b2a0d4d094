"""The memory watchdog: it drains once, by the signal by which anybody would."""

from __future__ import annotations

import subprocess
import sys
import threading

from workers.watchdog import MemoryWatchdog


def test_a_process_over_its_limit_is_drained_once() -> None:
    drained: list[None] = []
    over = threading.Event()

    def drain() -> None:
        drained.append(None)
        over.set()

    watchdog = MemoryWatchdog(1, drain=drain, look_every_s=0.01)
    watchdog.start()
    assert over.wait(10)
    watchdog.stop()
    assert drained == [None]


def test_a_process_within_its_limit_is_left_alone() -> None:
    drained: list[None] = []
    watchdog = MemoryWatchdog(1_000_000, drain=lambda: drained.append(None), look_every_s=0.01)
    watchdog.start()
    threading.Event().wait(0.1)
    watchdog.stop()
    assert drained == []


def test_it_drains_by_sigterm() -> None:
    script = (
        "import time; from workers.watchdog import MemoryWatchdog; "
        "MemoryWatchdog(1, look_every_s=0.01).start(); time.sleep(30)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30, check=False)
    assert done.returncode == -15, done.stderr
