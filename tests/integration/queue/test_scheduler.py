"""Beat's schedule in a real Redis, when the clock was set back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from redbeat.schedulers import acquire_distributed_beat_lock

from sniperforge.config import Settings
from sniperforge.errors import QueueUnavailableError
from sniperforge.ports.queue import Queue
from tests.fakes.redis_server import RedisServer, running_redis
from workers.app import make_app
from workers.scheduler import Scheduler


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def app(server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Celery:
    server.flushall()
    monkeypatch.setenv("SNIPERFORGE_HOME", str(tmp_path))
    monkeypatch.setenv("SNIPERFORGE_REDIS_URL", server.url)
    return make_app(Settings.model_validate({"home": tmp_path, "redis_url": server.url}))


@pytest.fixture
def scheduler(app: Celery) -> Iterator[Any]:
    """A beat that has the lock."""
    made = Scheduler(app, lazy=False)
    acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=made))
    yield made
    made.close()
    app.redbeat_redis.close()
    app.close()


def waiting(server: RedisServer, queue: Queue) -> int:
    with server.client() as redis:
        return int(str(redis.llen(f"sniperforge:{queue.value}")))


def test_a_clock_that_was_set_back_stops_nothing(scheduler: Any) -> None:
    scheduler.tick()
    ahead = scheduler.app.now() + timedelta(hours=1)
    for name in scheduler.app.conf.beat_schedule:
        entry = scheduler.Entry.from_key(scheduler.Entry.generate_key(scheduler.app, name), app=scheduler.app)
        entry.reschedule(ahead)  # as if it had run before the clock was set back by an hour
    wait_s = scheduler.tick()
    assert wait_s < 2, "the next tick comes when it would have come"
    ran = [
        scheduler.Entry.from_key(scheduler.Entry.generate_key(scheduler.app, name), app=scheduler.app).last_run_at
        for name in scheduler.app.conf.beat_schedule
    ]
    assert max(ran) < ahead - timedelta(minutes=50)


def test_a_beat_whose_lock_is_gone_does_not_go_on(scheduler: Any, server: RedisServer) -> None:
    scheduler.tick()
    server.flushall()
    with pytest.raises(QueueUnavailableError, match="the lock of beat is gone"):
        scheduler.tick()
    assert waiting(server, Queue.HEALTH) == 0
