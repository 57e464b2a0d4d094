"""How many tasks a second one worker works off: rings of a settled trade beside tasks that do nothing, in one run.

.venv/bin/python benchmarks/queue_speed.py [--tasks 2000] [--threads 32] [--rounds 5]

One real worker process on a Redis of its own, with books in SQLite that hold one trade that has ended. The messages of
both kinds are put into the queue in one go, by turns, and the clock runs until the last is acknowledged. The baseline
is a bare Celery task on the same pool. The target of a ring is 0.45 of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from sniperforge.config import load_settings
from sniperforge.domain.intent import IntentState
from sniperforge.ports.queue import Queue, TaskName
from tests.fakes.queue_stack import QueueStack, queue_stack, wait_for

TARGET = 0.45
NOTHING = "bench.do_nothing"
WITHIN_S = 300.0


def work(arguments: list[str]) -> int:
    """Entry of the worker process: the product's app, and one task that does nothing."""
    from celery.bin.celery import celery

    from sniperforge.logs import configure_logging
    from workers.__main__ import keep_logging_ours
    from workers.app import make_app

    settings = load_settings()
    configure_logging(settings, role="worker")
    keep_logging_ours()
    app = make_app(settings)
    app.task(do_nothing, name=NOTHING, shared=False)
    celery.params[0].default = app
    return int(celery.main(args=arguments, standalone_mode=False) or 0)


def do_nothing() -> None:
    """The baseline."""


def message_of(stack: QueueStack, task: str, *args: str) -> dict[str, Any]:
    """One message as Celery writes it."""
    with stack.redis.client() as redis:
        stack.send(task, *args, queue=Queue.ORDERS)
        found = redis.lpop(f"sniperforge:{Queue.ORDERS.value}")
    message: dict[str, Any] = json.loads(str(found))
    return message


def seconds_for(stack: QueueStack, message: dict[str, Any], tasks: int) -> float:
    """From the moment they are all in the queue until the last is acknowledged."""
    with stack.redis.client() as redis:
        copies = []
        for _ in range(tasks):
            message["headers"]["id"] = message["properties"]["correlation_id"] = str(uuid.uuid4())
            message["properties"]["delivery_tag"] = str(uuid.uuid4())
            message["properties"]["delivery_info"]["routing_key"] = Queue.TRADES.value
            copies.append(json.dumps(message))
        started = time.perf_counter()
        redis.lpush(f"sniperforge:{Queue.TRADES.value}", *copies)
        wait_for(lambda: not redis.exists("sniperforge:trades", "sniperforge:unacked"), within_s=WITHIN_S)
        return time.perf_counter() - started


def settled_trade(stack: QueueStack) -> str:
    """A trade that has ended."""
    executor = stack.services.executor(owner="bench")
    trade = executor.decide(stack.request())
    executor.cancel(trade.id)
    if executor.advance(trade.id).intent.state is not IntentState.CANCELLED:
        raise RuntimeError("the trade did not end")
    return trade.id


@contextmanager
def worker_of(stack: QueueStack, threads: int) -> Iterator[int]:
    """The worker process; yields its pid when it consumes."""
    command = [sys.executable, __file__, "work", "-q", "worker", "-P", "threads", "-c", str(threads), "-Q", "trades"]
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    process = subprocess.Popen(
        [*command, "--without-gossip", "--without-mingle"], env={**stack.environment, "PYTHONPATH": path}
    )
    try:
        with stack.redis.client() as redis:
            wait_for(lambda: redis.exists("sniperforge:canary:trades"), within_s=60)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def main() -> int:
    """Print the figures beside the target; exit 1 when it is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    nothing, rings = [], []
    with (
        tempfile.TemporaryDirectory(prefix="sniperforge-bench-") as folder,
        queue_stack(Path(folder), slot_ms=400) as stack,
        worker_of(stack, options.threads) as pid,
    ):
        bare = message_of(stack, NOTHING)
        ring = message_of(stack, TaskName.ADVANCE_TRADE, settled_trade(stack))
        for message in (bare, ring):
            seconds_for(stack, message, options.tasks // 4)
        for _ in range(options.rounds):
            nothing.append(options.tasks / seconds_for(stack, bare, options.tasks))
            rings.append(options.tasks / seconds_for(stack, ring, options.tasks))
        memory_mb = psutil.Process(pid).memory_info().rss / 1e6
    ratio = statistics.median(each / base for each, base in zip(rings, nothing, strict=True))
    print(f"{options.rounds} rounds of {options.tasks} tasks, {options.threads} threads, one worker process")
    print(f"bare Celery task      {statistics.median(nothing):7.0f} a second   (baseline)")
    print(f"ring of a settled one {statistics.median(rings):7.0f} a second")
    print(f"ratio                 {ratio:7.2f}            (target at least {TARGET})")
    print(f"memory of the worker  {memory_mb:7.0f} MB")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(work(sys.argv[2:]) if sys.argv[1:2] == ["work"] else main())
