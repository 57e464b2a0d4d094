"""Beat's schedule in a real Redis: when the clock was set back, when Redis was wiped, when the lock is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from redbeat.schedulers import acquire_distributed_beat_lock
from structlog.testing import capture_logs

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
def waiting_scheduler(app: Celery) -> Iterator[Any]:
    """A beat that has written its schedule and has no lock yet."""
    made = Scheduler(app, lazy=False)
    yield made
    made.close()
    app.redbeat_redis.close()
    app.close()


@pytest.fixture
def scheduler(waiting_scheduler: Any) -> Any:
    """A beat that has the lock."""
    take_lock(waiting_scheduler)
    return waiting_scheduler


def take_lock(scheduler: Any) -> None:
    """Wait for the lock, as Celery lets redbeat do before the first tick."""
    acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=scheduler))


def entry(scheduler: Any, name: str) -> Any:
    """As it stands in Redis."""
    return scheduler.Entry.from_key(scheduler.Entry.generate_key(scheduler.app, name), app=scheduler.app)


def an_hour_passes(scheduler: Any) -> None:
    """As if everything in the schedule had run an hour ago."""
    for key in scheduler.app.redbeat_redis.zrange("sniperforge:beat::schedule", 0, -1):
        one = scheduler.Entry.from_key(key, app=scheduler.app)
        one.reschedule(scheduler.app.now() - timedelta(hours=1))


def waiting(server: RedisServer, queue: Queue) -> int:
    with server.client() as redis:
        return int(str(redis.llen(f"sniperforge:{queue.value}")))


def test_a_clock_that_was_set_back_stops_nothing(scheduler: Any) -> None:
    scheduler.tick()
    ahead = scheduler.app.now() + timedelta(hours=1)
    for name in scheduler.app.conf.beat_schedule:
        entry(scheduler, name).reschedule(ahead)  # as if it had run before the clock was set back by an hour
    wait_s = scheduler.tick()
    assert wait_s < 2, "the next tick comes when it would have come"
    ran = [entry(scheduler, name).last_run_at for name in scheduler.app.conf.beat_schedule]
    assert max(ran) < ahead - timedelta(minutes=50)


def test_a_beat_whose_lock_is_gone_does_not_go_on(scheduler: Any, server: RedisServer) -> None:
    scheduler.tick()
    server.flushall()
    with pytest.raises(QueueUnavailableError, match="the lock of beat is gone"):
        scheduler.tick()
    assert waiting(server, Queue.HEALTH) == 0


def test_a_beat_that_gets_the_lock_from_a_wiped_redis_sends_what_is_due(
    waiting_scheduler: Any, server: RedisServer
) -> None:
    server.flushall()
    take_lock(waiting_scheduler)
    waiting_scheduler.tick()
    an_hour_passes(waiting_scheduler)
    waiting_scheduler.tick()
    assert waiting(server, Queue.HEALTH) > 0
    assert waiting(server, Queue.STRATEGIES) > 0


def test_an_entry_that_has_dropped_out_of_the_schedule_is_sent_again(scheduler: Any, server: RedisServer) -> None:
    scheduler.tick()
    long_ago = scheduler.app.now() - timedelta(hours=1)
    entry(scheduler, "check invariants").reschedule(long_ago)
    with server.client() as redis:
        redis.zrem("sniperforge:beat::schedule", "sniperforge:beat:check invariants")
    scheduler.tick()
    assert entry(scheduler, "check invariants").last_run_at > long_ago


def test_what_ran_a_moment_ago_does_not_run_again_when_another_entry_is_missing(
    scheduler: Any, server: RedisServer
) -> None:
    scheduler.tick()
    before = entry(scheduler, "look again at the dead").last_run_at
    with server.client() as redis:
        redis.delete("sniperforge:beat:check invariants")
    scheduler.tick()
    assert entry(scheduler, "check invariants").last_run_at is not None
    assert entry(scheduler, "look again at the dead").last_run_at == before


def test_a_beat_that_could_not_ask_for_the_lock_ends(waiting_scheduler: Any) -> None:
    with pytest.raises(QueueUnavailableError, match="did not answer when it was asked for the lock"):
        waiting_scheduler.tick()


def test_what_another_beat_has_sent_in_this_moment_is_no_clock_that_was_set_back(scheduler: Any) -> None:
    class JustSent(type(scheduler).Entry):  # type: ignore[misc] # redbeat has no types
        """An entry that another beat sends whenever it is looked at."""

        @classmethod
        def from_key(cls, key: str, app: Any = None) -> Any:
            super().from_key(key, app=app).reschedule(app.now())
            return super().from_key(key, app=app)

    scheduler.Entry = JustSent
    with capture_logs() as logs:
        scheduler.tick()
    assert logs == []
