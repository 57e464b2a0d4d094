"""A supervisor that is killed leaves nobody behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sniperforge.embedded.stack_lock import stack_holder
from tests.fakes.tiny_services import is_running

_WITHIN_S = 20.0

_SUPERVISOR = """
import json, sys, time
from pathlib import Path
from sniperforge.embedded.stack_lock import stack_lock
from sniperforge.embedded.supervisor import Supervisor
from sniperforge.shared.clock import SystemClock
from tests.fakes.tiny_services import FOREVER, script

folder = Path(sys.argv[1])
with stack_lock(folder / "run", SystemClock()) as held:
    services = [
        script("plain", f"touch '{folder}/plain'; " + FOREVER),
        script("deaf", f"trap '' TERM HUP INT; touch '{folder}/deaf'; " + FOREVER),
        script("stopped", f"touch '{folder}/stopped'; kill -STOP $$"),
    ]
    supervisor = Supervisor(
        services, clock=SystemClock(), output_dir=folder, say=lambda text, warning=False: None, inherited=[held]
    )
    while True:
        supervisor.tick()
        if supervisor.is_running():
            (folder / "pids.new").write_text(json.dumps([one.pid for one in supervisor.status()]))
            (folder / "pids.new").rename(folder / "pids")
        time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help exists on Linux only")
def test_no_child_survives_a_supervisor_that_was_killed_and_the_home_is_free_again(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _SUPERVISOR, str(tmp_path)]) as process:
        try:
            names = ("pids", "plain", "deaf", "stopped")
            _until(lambda: all((tmp_path / name).exists() for name in names) or process.poll() is not None)
            pids = json.loads((tmp_path / "pids").read_text())
            assert len(pids) == 3
            assert all(is_running(pid) for pid in pids)
            assert all(_holds(pid, tmp_path / "run" / "stack.lock") for pid in pids), "each keeps the home from others"
        finally:
            os.kill(process.pid, signal.SIGKILL)
    _until(lambda: not any(is_running(pid) for pid in pids))
    _until(lambda: stack_holder(tmp_path / "run") is None)  # the scripts' own `sleep` ends a moment later


def _holds(pid: int, path: Path) -> bool:
    return any(held.readlink() == path for held in Path(f"/proc/{pid}/fd").iterdir())


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)
