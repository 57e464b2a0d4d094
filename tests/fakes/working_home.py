"""What `sniperforge up` runs, process by process, for tests that stop and start the parts themselves."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sniperforge.ports.queue import Queue
from tests.fakes.redis_server import RedisServer
from tests.fakes.terminal import sniperforge

READY_WITHIN_S = 60.0
QUEUES = tuple(Queue)


@contextmanager
def working(environment: Mapping[str, str], redis: RedisServer, folder: Path) -> Iterator[None]:
    """One worker for everything and beat; left when the worker has been heard on each queue, stopped in the end."""
    commands = {"worker": ("worker", "--queues", ",".join(QUEUES), "--threads", "8"), "beat": ("beat",)}
    processes = []
    try:
        for name, command in commands.items():
            with (folder / f"{name}.log").open("ab") as log:
                processes.append(subprocess.Popen(sniperforge(*command), env=dict(environment), stdout=log, stderr=log))
        _wait(redis, processes, folder)
        yield
    finally:
        for process in reversed(processes):
            _stop(process)


def _wait(redis: RedisServer, processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    with redis.client() as client:
        while not all(client.exists(f"sniperforge:canary:{queue}") for queue in QUEUES):
            logs = "\n".join(path.read_text() for path in sorted(folder.glob("*.log")))
            assert all(process.poll() is None for process in processes), logs
            assert time.monotonic() < deadline, logs
            time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that a test started: politely, then for good."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)
        raise
