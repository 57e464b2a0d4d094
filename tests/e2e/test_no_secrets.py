"""I8 on a whole running system: no key, passphrase or password where somebody could read it, a crash included."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import redis
from sqlalchemy import MetaData, select

from sniperforge.config import load_settings
from sniperforge.embedded.demo_world import DemoWorld
from sniperforge.infrastructure.secrets_scan import Finding, Secret, scan_for_secrets
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.flower_password import FLOWER_USER, flower_password
from sniperforge.storage.engine import create_engine_for, for_reading
from tests.fakes.home_books import write_books_of

pytestmark = pytest.mark.system

PAGES = ("/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/api/queues/length", "/metrics")
KEPT_ON_PURPOSE = ("wallet-passphrase", "flower-password", "run/stack.toml", "run/redis/")
"""Files of mode 0600 that are there to hold a secret: what they hold must be nowhere else."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    """A stack that trades, one of whose workers crashed, with the kernel's help, in the middle."""
    home = tmp_path_factory.mktemp("home")
    write_books_of(home)
    world = DemoWorld(home, SystemClock(), lambda: None)
    world.command("up", "-d")
    try:
        first = world.enqueue("USDC", "SOL", "25")
        world.until("the first trade", lambda: world.state(first) == "filled", 60)
        pid = world.pid("worker-trades")
        assert pid is not None
        os.kill(pid, signal.SIGABRT)
        world.until("a new worker", lambda: world.pid("worker-trades") not in (None, pid), 60)
        second = world.enqueue("SOL", "USDC", "0.1")
        world.until("the second trade", lambda: world.state(second) == "filled", 60)
        yield world
    finally:
        world.services.close()
        world.command("down")


@pytest.fixture(scope="module")
def secrets(world: DemoWorld) -> list[Secret]:
    """Everything of this stack that nobody else may read."""
    services = world.services
    settings = services.settings
    passphrase = (world.home / "wallet-passphrase").read_text().splitlines()[0]
    exported = services.wallets.export_key(services.wallets.find(None).address)
    assert settings.redis_url is not None
    password = urlsplit(settings.redis_url.get_secret_value()).password
    assert password is not None
    return [
        Secret("the wallet's key", bytes(json.loads(exported))),
        Secret("the passphrase", passphrase),
        Secret("Redis' password", password),
        Secret("Flower's password", flower_password(settings).get_secret_value()),
    ]


def in_redis(world: DemoWorld) -> Iterator[tuple[str, bytes]]:
    """Every key of Redis with its value, and what a producer just put there, before a worker takes it."""
    address = load_settings(home=world.home).redis_url
    assert address is not None
    client = redis.Redis.from_url(address.get_secret_value())
    for key in client.scan_iter(count=1_000):
        dumped = client.dump(key)
        yield f"redis {key.decode()}", dumped if isinstance(dumped, bytes) else b""
    client.close()


def on_disk(home: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of the home but those that are there to hold a secret; keys are sealed in theirs."""
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if path.is_file() and not name.startswith(KEPT_ON_PURPOSE):
            yield name, path.read_bytes()


def in_books(home: Path) -> Iterator[tuple[str, bytes]]:
    """Every row of every table, whole: in the file a page may cut it."""
    engine = create_engine_for(load_settings(home=home).effective_database_url)
    try:
        with engine.connect() as connection, for_reading(connection).begin():
            found = MetaData()
            found.reflect(connection)
            for table in found.sorted_tables:
                for row in connection.execute(select(table)):
                    told = (value.hex() if isinstance(value, bytes) else str(value) for value in row)
                    yield f"books {table.name}", "\n".join(told).encode()
    finally:
        engine.dispose()


def shown_by_flower(world: DemoWorld) -> Iterator[tuple[str, bytes]]:
    """What an operator sees."""
    settings = load_settings(home=world.home)
    auth = (FLOWER_USER, flower_password(settings).get_secret_value())
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.flower_port}", auth=auth, timeout=20) as flower:
        for page in PAGES:
            answer = flower.get(page)
            yield f"flower {page}", answer.content


def in_process_list() -> Iterator[tuple[str, bytes]]:
    """Arguments of every process, as anybody on the machine sees them."""
    arguments = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    yield "ps", "\n".join(arguments).encode()


def everywhere(world: DemoWorld) -> Iterator[tuple[str, bytes]]:
    yield from in_redis(world)
    yield from on_disk(world.home)
    yield from in_books(world.home)
    yield from shown_by_flower(world)
    yield from in_process_list()


def found(world: DemoWorld, secrets: list[Secret]) -> tuple[Finding, ...]:
    return scan_for_secrets(everywhere(world), secrets)


def test_no_secret_is_anywhere(world: DemoWorld, secrets: list[Secret]) -> None:
    places = [name for name, _ in everywhere(world)]
    assert {"books wallets", "books trade_intents", "books attempts", "ps", "flower /tasks"} <= set(places)
    assert any(name.startswith("redis ") for name in places)
    assert any(name.startswith("logs/") for name in places)
    assert found(world, secrets) == ()


def test_flower_shows_nothing_without_its_password(world: DemoWorld) -> None:
    port = load_settings(home=world.home).flower_port
    assert [httpx.get(f"http://127.0.0.1:{port}{page}", timeout=20).status_code for page in PAGES] == [401] * len(PAGES)


def test_files_that_hold_secrets_are_their_owners_alone(world: DemoWorld) -> None:
    folder, *files = (world.home / name for name in ("run", "wallet-passphrase", "flower-password", "run/stack.toml"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600] * 3


def test_a_secret_that_is_planted_is_found_in_each_place(world: DemoWorld, secrets: list[Secret]) -> None:
    key, passphrase, *_ = secrets
    assert isinstance(key.value, bytes)
    assert isinstance(passphrase.value, str)
    (world.home / "logs" / "planted.log").write_text(f"unlocking with {passphrase.value}\n")
    address = load_settings(home=world.home).redis_url
    assert address is not None
    client = redis.Redis.from_url(address.get_secret_value())
    client.set("planted", key.value.hex())
    shown = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", passphrase.value])
    try:
        places = {finding.place for finding in found(world, secrets)}
        assert {"logs/planted.log", "redis planted", "ps"} <= places
    finally:
        shown.kill()
        shown.wait()
        client.delete("planted")
        client.close()
        (world.home / "logs" / "planted.log").unlink()
