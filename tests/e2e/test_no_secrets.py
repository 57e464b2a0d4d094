"""I8 on a whole running system: no key, passphrase or password where somebody could read it, a crash included."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis import Redis

from sniperforge.config import load_settings
from sniperforge.domain.ids import order_of_key
from sniperforge.domain.intent import IntentState, TradeIntent
from sniperforge.embedded.demo_world import DemoWorld
from sniperforge.embedded.exposure import (
    FLOWER_PAGES,
    FLOWER_PASSWORD,
    HOLDERS,
    KEY,
    PASSPHRASE,
    REDIS_PASSWORD,
    at_rest,
    find_exposed,
    secrets_of,
    while_it_runs,
)
from sniperforge.embedded.processes import ChildProcess
from sniperforge.infrastructure.secrets_scan import Secret, scan_for_secrets
from sniperforge.ports.queue import PlanId
from sniperforge.ports.records import Event, Severity
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.queue import redis_address
from tests.fakes.home_books import write_books_of

pytestmark = pytest.mark.system

WITHIN_S = 60.0
PLAN = {
    "name": "hourly",
    "input_token": "USDC",
    "output_token": "SOL",
    "amount_per_order": "5",
    "schedule": {"interval_s": 3_600},
}


def filled(world: DemoWorld) -> list[TradeIntent]:
    return [one for one in world.trades() if one.state is IntentState.FILLED]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    """A stack with trades, a plan and an order that fired, one of whose workers crashed, with the kernel's help."""
    home = tmp_path_factory.mktemp("home")
    write_books_of(home)
    world = DemoWorld(home, SystemClock(), lambda: None)
    world.command("up", "-d")
    try:
        first = world.enqueue("USDC", "SOL", "25")
        world.until("the first trade", lambda: world.state(first) == "filled", WITHIN_S)
        pid = world.pid("worker-trades")
        assert pid is not None
        os.kill(pid, signal.SIGABRT)
        world.until("a new worker", lambda: world.pid("worker-trades") not in (None, pid), WITHIN_S)
        second = world.enqueue("SOL", "USDC", "0.1")
        world.until("the second trade", lambda: world.state(second) == "filled", WITHIN_S)
        (home / "plan.json").write_text(json.dumps(PLAN))
        world.command("strategy-run", "--type", "dca", "--config", str(home / "plan.json"), "--yes")
        world.until("the plan's round", lambda: any(one.plan_id for one in filled(world)), WITHIN_S)
        order = "order-create --type stop-loss --token SOL --trigger 178 --amount 0.1 --yes"
        world.command(*order.split())
        world.price("SOL", "176")
        world.until("the order", lambda: any(order_of_key(one.key) for one in filled(world)), WITHIN_S)
        yield world
    finally:
        world.services.close()
        world.command("down")


@pytest.fixture(scope="module")
def secrets(world: DemoWorld) -> dict[str, Secret]:
    return {one.name: one for one in secrets_of(world.services)}


def everywhere(world: DemoWorld) -> Iterator[tuple[str, bytes]]:
    yield from while_it_runs(world.services)
    yield from at_rest(world.services)


def test_no_secret_is_anywhere_but_in_the_files_that_are_there_to_hold_it(
    world: DemoWorld, secrets: dict[str, Secret]
) -> None:
    places = dict(everywhere(world))
    assert {"books wallets", "books strategy_plans", "books orders", "books attempts"} <= set(places)
    assert {"logs/worker-trades.out", "sandbox/chain.db", "flower /api/tasks"} <= set(places)
    for beginning in ("redis ", "run/redis/appendonly", "arguments of ", "environment of "):
        assert any(name.startswith(beginning) and content for name, content in places.items()), beginning
    found = {(one.secret, one.place) for one in scan_for_secrets(everywhere(world), list(secrets.values()))}
    assert found == {(secret, file) for secret, files in HOLDERS.items() for file in files}
    assert find_exposed(everywhere(world), list(secrets.values())) == ()


def test_flower_shows_nothing_without_its_password(world: DemoWorld) -> None:
    port = load_settings(home=world.home).flower_port
    answers = [httpx.get(f"http://127.0.0.1:{port}{page}", timeout=20).status_code for page in FLOWER_PAGES]
    assert answers == [401] * len(FLOWER_PAGES)


def test_files_that_hold_secrets_are_their_owners_alone(world: DemoWorld) -> None:
    assert stat.S_IMODE((world.home / "run").stat().st_mode) == 0o700
    files = [world.home / name for names in HOLDERS.values() for name in names]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600] * len(files)


def plant_in_flower(world: DemoWorld, text: str) -> None:
    """As the argument of a task; whoever looks at its worker's log finds it there as well."""
    world.services.queue.ring_plan(PlanId(text))

    def shown() -> bool:
        return any(
            name == "flower /api/tasks" and text.encode() in page for name, page in while_it_runs(world.services)
        )

    world.until("the task in Flower", shown, WITHIN_S)


def rewrites(client: Any) -> bool:
    told = client.info("persistence")
    return bool(told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])


def plant_in_redis(world: DemoWorld, kept: str, gone: str) -> None:
    """One in a message that would be compressed if anything were, live and in the rewritten append-only file; the
    other was deleted again, and is in that file alone.
    """
    client: Any = Redis.from_url(redis_address(world.services.settings), decode_responses=True)
    client.rpush("planted", json.dumps({"headers": "a" * 2_000, "args": kept, "properties": "a" * 2_000}))
    client.execute_command("BGREWRITEAOF")
    world.until("the rewrite", lambda: not rewrites(client), WITHIN_S)
    client.set("planted-and-gone", gone)
    client.delete("planted-and-gone")
    client.close()


def plant_in_books(world: DemoWorld, text: str) -> None:
    """In a row that is longer than a page of the file."""
    facts = {"answer": "-" * 9_000 + text}
    with world.services.store.write() as books:
        now = world.services.clock.now()
        books.events.add(Event(at=now, kind="test.planted", severity=Severity.INFO, message="planted", facts=facts))


def plant_in_crash(world: DemoWorld, text: str) -> None:
    """A child of the supervisor's kind ends with a traceback that tells."""
    crash = "import os; raise ValueError(os.environ['TOLD'])"
    child = ChildProcess([sys.executable, "-c", crash], {"TOLD": text}, world.home / "logs" / "planted.out")
    world.until("the crash", lambda: child.exit_code() is not None, WITHIN_S)


def test_a_secret_that_is_planted_is_found_in_each_place(world: DemoWorld, secrets: dict[str, Secret]) -> None:
    """The last one here: what it plants stays."""
    values = {name: one.value for name, one in secrets.items()}
    key, passphrase = values[KEY], values[PASSPHRASE]
    flower, redis = values[FLOWER_PASSWORD], values[REDIS_PASSWORD]
    assert isinstance(key, bytes)
    assert isinstance(passphrase, str)
    assert isinstance(flower, str)
    assert isinstance(redis, str)
    (world.home / "logs" / "planted.log").write_text(f"unlocking with {passphrase}\n")
    plant_in_flower(world, passphrase)
    plant_in_redis(world, kept=b64encode(key).decode(), gone=flower)
    plant_in_books(world, key.hex())
    plant_in_crash(world, redis)
    shown = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", passphrase])
    try:
        exposed = find_exposed(everywhere(world), list(secrets.values()))
    finally:
        shown.kill()
        shown.wait()
    found = {(one.secret, one.place) for one in exposed}
    assert found >= {
        (PASSPHRASE, "logs/planted.log"),
        (PASSPHRASE, "flower /api/tasks"),
        (PASSPHRASE, f"arguments of process {shown.pid}"),
        (KEY, "redis planted"),
        (KEY, "books events"),
        (REDIS_PASSWORD, "logs/planted.out"),
    }
    kept = {secret for secret, place in found if place.startswith("run/redis/appendonly")}
    assert kept >= {KEY, FLOWER_PASSWORD}
