"""What can befall bells and the Redis they are in: doubled, late, forged, stolen, wiped, gone."""

from __future__ import annotations

import base64
import json
import random
import string
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from sniperforge.ports.queue import Queue, TaskName
from tests.fakes.redis_server import RedisServer
from tests.faults.wiretap import BEAT_LOCK, PREFIX, Wiretap

DUMP = "dump.rdb"
LATE_S = 1.5
FORGERIES = ("stranger", "amount", "plan", "queue", "task", "celery", "arguments", "no message", "no json")


class Bells:
    """Somebody with access to a Redis and bad intentions, or bad luck.

    Args:
        server: The Redis.
        folder: Where it keeps its files.
        wiretap: Knows what was sent, and is told what is forged.
    """

    def __init__(self, server: RedisServer, folder: Path, wiretap: Wiretap) -> None:
        self._server = server
        self._folder = folder
        self._wiretap = wiretap

    def flush(self) -> None:
        """Wipe everything."""
        with suppress(redis.RedisError):
            self._server.flushall()

    def restart(self, seconds: float, *, keep: bool) -> None:
        """Kill it, and start it after a while, with what it held a moment ago or with nothing."""
        dump = self._folder / DUMP
        dump.unlink(missing_ok=True)
        if keep:
            with suppress(redis.RedisError), self._server.client() as client:
                client.save()
        self._server.kill()
        time.sleep(seconds)
        self._server.start()
        dump.unlink(missing_ok=True)

    def repeat(self, count: int) -> None:
        """The newest messages come again."""
        self._push([(heard.queue, heard.raw) for heard in list(self._wiretap.messages)[-count:]])

    def repeat_late(self, count: int) -> None:
        """Messages come again that were answered long ago, whatever was wiped in between."""
        before = time.monotonic() - LATE_S
        old = [heard for heard in list(self._wiretap.messages) if heard.at < before]
        self._push([(heard.queue, heard.raw) for heard in old[-count:]])

    def steal(self, seconds: float, queues: Sequence[Queue]) -> int:
        """Take messages as a worker would, and do nothing with them. Returns how many."""
        stolen, until = 0, time.monotonic() + seconds
        with suppress(redis.RedisError), self._server.client() as client:
            while time.monotonic() < until:
                stolen += client.brpop([f"{PREFIX}{queue}" for queue in queues], timeout=0.2) is not None
        return stolen

    def unlock_beat(self) -> None:
        """The lock of beat is free: the standby takes it while the other one still believes to hold it."""
        with suppress(redis.RedisError), self._server.client() as client:
            client.delete(BEAT_LOCK)

    def hold_beat_lock(self, seconds: float) -> None:
        """A beat elsewhere had the lock and has died: nobody gets it for so long."""
        with suppress(redis.RedisError), self._server.client() as client:
            client.set(BEAT_LOCK, "a beat that has died", px=round(seconds * 1000))

    def forge(self, kind: str, intent: str, dice: random.Random) -> None:
        """A message that nobody of ours sends."""
        stranger = "".join(dice.choices(string.ascii_lowercase + "234567", k=24))
        queue, task = Queue.TRADES, str(TaskName.ADVANCE_TRADE)
        arguments: list[object] = [intent]
        options: dict[str, object] = {}
        match kind:
            case "stranger":
                arguments = [stranger]
            case "amount":
                options = {"input_raw": 10**12}
            case "plan":
                queue, task, arguments = Queue.STRATEGIES, str(TaskName.RUN_PLAN), ["plan-of-a-stranger"]
            case "queue":
                queue = Queue.HEALTH
            case "task":
                task = "trades.send_everything"
            case "celery":
                task, arguments = "celery.chain", []
            case "arguments":
                arguments = [intent, 10**12]
        mark = str(uuid.uuid4())
        raw = _message(mark, queue, task, arguments, options)
        if kind == "no message":
            raw = json.dumps({"body": mark})
        elif kind == "no json":
            raw = f"nothing at all {mark}"
        self._wiretap.forgive(mark)
        self._push([(queue, raw)])

    def _push(self, messages: Sequence[tuple[Queue, str]]) -> None:
        with suppress(redis.RedisError), self._server.client() as client:
            for queue, raw in messages:
                client.lpush(f"{PREFIX}{queue}", raw)


def _message(name: str, queue: Queue, task: str, arguments: Sequence[Any], options: dict[str, Any]) -> str:
    """As kombu writes one."""
    nothing = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps([arguments, options, nothing]).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": task, "id": name, "root_id": name, "retries": 0, "origin": "somebody"},
            "properties": {
                "correlation_id": name,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "sniperforge", "routing_key": queue.value},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": name,
            },
        }
    )
