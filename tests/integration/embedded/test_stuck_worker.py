"""A worker that lives and no longer consumes is started again: a real process, a real Redis, half a minute skipped."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sniperforge.config import load_settings
from sniperforge.embedded.signs_of_life import Consumption
from sniperforge.embedded.supervisor import Launch, ServiceSpec, ServiceState
from sniperforge.ports.queue import Queue
from sniperforge.shared.canary import Canary
from sniperforge.shared.queue import CeleryQueue, connect_redis
from tests.fakes.clock import FakeClock
from tests.fakes.redis_server import RedisServer, running_redis
from tests.fakes.tiny_services import TinyStack, tiny_stack

# Takes messages and leaves a sign for each, as workers do.
_CONSUMER = """
import os, socket
from datetime import UTC, datetime
from redis import Redis
from sniperforge.ports.queue import Queue
from sniperforge.shared.canary import Canary

with Redis.from_url(os.environ["REDIS"], decode_responses=True) as redis:
    while True:
        Canary(redis).sing(f"health.{os.getpid()}@{socket.gethostname()}", [Queue.HEALTH], datetime.now(UTC))
        redis.brpop(["sniperforge:health"])
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as running:
        yield running


def test_a_worker_that_is_stopped_while_messages_wait_is_replaced_by_one_that_takes_them(
    tmp_path: Path, server: RedisServer
) -> None:
    settings = load_settings(home=tmp_path, redis_url=server.url)
    launch = Launch(command=(sys.executable, "-c", _CONSUMER), environment={**os.environ, "REDIS": server.url})
    with connect_redis(settings) as redis:
        signs, queue = Canary(redis), CeleryQueue(settings)
        clock = FakeClock()
        consumption = Consumption(signs, queue, [Queue.HEALTH], clock)
        worker = ServiceSpec(
            name="worker",
            launch=lambda: launch,
            stop_turn=0,
            is_ready=consumption.has_begun,
            stuck=consumption.stuck,
        )
        with tiny_stack(tmp_path, [worker], clock) as stack:
            stopped = stack.until_state("worker", ServiceState.RUNNING).pid
            assert stopped is not None
            os.kill(stopped, signal.SIGSTOP)
            # The first is handed to who waits for it, even if that one is stopped; the second one lies there.
            redis.lpush("sniperforge:health", "canary", "canary")
            _pass_seconds(stack, 33)
            assert any("has taken no message for 30 s" in one for one in stack.said)
            stack.until_ended("worker")
            stack.clock.advance(timedelta(seconds=2))
            assert stack.until_state("worker", ServiceState.RUNNING).pid != stopped
            stack.until(lambda: queue.depths()[Queue.HEALTH] == 0)
        queue.close()


def _pass_seconds(stack: TinyStack, seconds: int) -> None:
    for _ in range(seconds):
        stack.clock.advance(timedelta(seconds=1))
        stack.supervisor.tick()
