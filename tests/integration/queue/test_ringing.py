"""Ringing bells in a real Redis: what a message holds, and what happens when Redis is away, wiped or locked."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sniperforge.config import Settings
from sniperforge.domain.ids import IntentId, cli_key, intent_id
from sniperforge.errors import QueueUnavailableError
from sniperforge.ports.queue import PlanId, Queue, TaskName
from sniperforge.shared.canary import Canary
from sniperforge.shared.queue import CeleryQueue
from tests.fakes.redis_server import PASSWORD, RedisServer, running_redis

INTENT = IntentId(intent_id(cli_key("one")))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis(server: RedisServer) -> Iterator[RedisServer]:
    """Empty, and running again after the test whatever it did."""
    server.flushall()
    yield server
    server.restart()


def queue_on(redis: RedisServer, home: Path, url: str | None = None) -> CeleryQueue:
    return CeleryQueue(Settings.model_validate({"home": home, "redis_url": url or redis.url}))


@pytest.fixture
def queue(redis: RedisServer, tmp_path: Path) -> Iterator[CeleryQueue]:
    made = queue_on(redis, tmp_path)
    yield made
    made.close()


def messages(redis: RedisServer, queue: Queue) -> list[dict[str, Any]]:
    with redis.client() as client:
        found = client.lrange(f"sniperforge:{queue.value}", 0, -1)
    assert isinstance(found, list)
    return [json.loads(one) for one in found]


def test_a_bell_for_a_trade_holds_its_id_and_nothing_else(queue: CeleryQueue, redis: RedisServer) -> None:
    queue.ring_trade(INTENT)
    (message,) = messages(redis, Queue.TRADES)
    args, options, embedded = json.loads(base64.b64decode(message["body"]))
    assert (message["headers"]["task"], args, options) == (TaskName.ADVANCE_TRADE, [INTENT], {})
    assert set(embedded.values()) == {None}
    assert PASSWORD not in json.dumps(message)


def test_a_bell_that_nobody_hears_for_minutes_is_dropped(queue: CeleryQueue, redis: RedisServer) -> None:
    queue.ring_trade(INTENT)
    (message,) = messages(redis, Queue.TRADES)
    assert message["headers"]["expires"] is not None
    assert message["headers"]["eta"] is None


def test_a_bell_for_a_plan_waits_where_strategies_are_worked_off(queue: CeleryQueue, redis: RedisServer) -> None:
    queue.ring_plan(PlanId("weekly"))
    (message,) = messages(redis, Queue.STRATEGIES)
    assert message["headers"]["task"] == TaskName.RUN_PLAN


def test_depths_count_what_waits_in_each_queue(queue: CeleryQueue) -> None:
    assert queue.depths() == dict.fromkeys(Queue, 0)
    queue.ring_trade(INTENT)
    queue.ring_trade(INTENT)
    queue.ring_plan(PlanId("weekly"))
    assert queue.depths() == {**dict.fromkeys(Queue, 0), Queue.TRADES: 2, Queue.STRATEGIES: 1}


def test_every_key_in_redis_is_ours(queue: CeleryQueue, redis: RedisServer) -> None:
    queue.ring_trade(INTENT)
    with redis.client() as client:
        keys = client.keys("*")
        Canary(client).sing("a@b", [Queue.TRADES], NOW)
    assert isinstance(keys, list)
    assert keys
    assert [key for key in keys if not key.startswith("sniperforge:")] == []


def test_bells_ring_on_after_redis_was_wiped(queue: CeleryQueue, redis: RedisServer) -> None:
    queue.ring_trade(INTENT)
    redis.flushall()
    queue.ring_trade(INTENT)
    assert queue.depths()[Queue.TRADES] == 1


def test_bells_ring_on_after_redis_was_started_again(queue: CeleryQueue, redis: RedisServer) -> None:
    queue.ring_trade(INTENT)
    redis.restart()
    queue.ring_trade(INTENT)
    assert queue.depths()[Queue.TRADES] == 1


def test_a_redis_that_is_away_is_said_at_once_and_heard_again_when_it_is_back(
    queue: CeleryQueue, redis: RedisServer
) -> None:
    queue.ring_trade(INTENT)
    redis.kill()
    for act in (lambda: queue.ring_trade(INTENT), queue.depths):
        with pytest.raises(QueueUnavailableError, match=r"Redis does not answer.*What is due stays in the books"):
            act()
    redis.start()
    queue.ring_trade(INTENT)
    assert queue.depths()[Queue.TRADES] == 1


def test_a_redis_that_says_nothing_is_not_waited_for(queue: CeleryQueue, redis: RedisServer) -> None:
    queue.ring_trade(INTENT)
    queue.depths()
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        for act in (lambda: queue.ring_trade(INTENT), queue.depths):
            with pytest.raises(QueueUnavailableError, match="Redis does not answer"):
                act()
        assert time.monotonic() - started < 20  # for ever, if nobody bounded it
    finally:
        os.kill(redis.pid, signal.SIGCONT)


@pytest.mark.parametrize("password", ["not-this-one", ""], ids=["wrong", "none"])
def test_a_password_that_is_refused_is_said_and_not_repeated(redis: RedisServer, tmp_path: Path, password: str) -> None:
    queue = queue_on(redis, tmp_path, redis.url_with(password))
    try:
        for act in (lambda: queue.ring_trade(INTENT), queue.depths):
            with pytest.raises(QueueUnavailableError, match="Redis refuses the password") as refused:
                act()
            assert "not-this-one" not in str(refused.value)
            assert refused.value.__cause__ is None
    finally:
        queue.close()


def test_a_brokers_address_of_another_program_is_not_ours(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    queue = queue_on(redis, tmp_path)
    try:
        queue.ring_trade(INTENT)
        assert queue.depths()[Queue.TRADES] == 1
    finally:
        queue.close()


# --- signs of life


def test_signs_of_life_are_kept_by_queue_and_worker(redis: RedisServer) -> None:
    with redis.client() as client:
        canary = Canary(client)
        canary.sing("one@here", [Queue.TRADES, Queue.ORDERS], NOW)
        canary.sing("two@there", [Queue.TRADES], NOW + timedelta(seconds=2))
        assert canary.heard(Queue.TRADES) == {"one@here": NOW, "two@there": NOW + timedelta(seconds=2)}
        assert canary.heard(Queue.ORDERS) == {"one@here": NOW}
        assert canary.heard(Queue.HEALTH) == {}


def test_workers_that_are_gone_are_forgotten(redis: RedisServer) -> None:
    with redis.client() as client:
        canary = Canary(client)
        canary.sing("gone@here", [Queue.TRADES], NOW - timedelta(minutes=2))
        canary.sing("alive@here", [Queue.TRADES], NOW)
        canary.forget(NOW - timedelta(minutes=1))
        assert list(canary.heard(Queue.TRADES)) == ["alive@here"]


def test_no_sign_of_life_outlives_its_use(redis: RedisServer) -> None:
    with redis.client() as client:
        Canary(client).sing("one@here", [Queue.TRADES], NOW)
        assert 0 < int(str(client.ttl("sniperforge:canary:trades"))) <= 600


def test_signs_of_life_need_redis(redis: RedisServer) -> None:
    with redis.client() as client:
        canary = Canary(client)
        redis.kill()
        for act in (lambda: canary.sing("one@here", [Queue.TRADES], NOW), lambda: canary.heard(Queue.TRADES)):
            with pytest.raises(QueueUnavailableError):
                act()
