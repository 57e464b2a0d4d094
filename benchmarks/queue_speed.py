"""How many tasks a second one worker works off: rings for trades beside tasks that do nothing, in one run.

.venv/bin/python benchmarks/queue_speed.py [--tasks 2000] [--threads 32] [--rounds 5]

One real worker process on a Redis of its own, with books in SQLite. The messages of each kind are put into the queue
in one go, by turns, and the clock runs until the last is acknowledged. The baseline is a bare Celery task on the same
pool. The rings:

- for a trade that has ended: everything that a task does around its trade, and the reading of it. Its target is 0.45
  of the baseline; it is what the queue costs, and the only one that is judged;
- for a trade that is due, where the request budget has no room: the executor claims it and sets it back, two commits
  that change it and an event. It shows what the books cost on top, which SQLite writes one after the other, whatever
  the queue. Every ring is for another trade.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import psutil

from sniperforge.config import load_settings
from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import IntentState
from sniperforge.errors import RateLimitedError
from sniperforge.ports.exchange import Lane
from sniperforge.ports.queue import Queue, TaskName
from sniperforge.trading.trade_executor import TradeExecutor
from sniperforge.trading.transaction_guard import TransactionGuard
from tests.fakes.exchange import FakeExchange
from tests.fakes.queue_stack import QueueStack, queue_stack, wait_for
from workers.base import INTENT_ID, ForgeTask
from workers.context import WorkerContext

TARGET = 0.45
NOTHING, SET_BACK = "bench.do_nothing", "bench.set_back"
WITHIN_S = 300.0


def work(arguments: list[str]) -> int:
    """Entry of the worker process: the product's app, and the two tasks that it has not."""
    from celery.bin.celery import celery

    from sniperforge.logs import configure_logging
    from workers.__main__ import keep_logging_ours
    from workers.app import make_app

    settings = load_settings()
    configure_logging(settings, role="worker")
    keep_logging_ours()
    app = make_app(settings)
    app.task(do_nothing, name=NOTHING, shared=False)
    app.task(set_back, base=ForgeTask, name=SET_BACK, argument=INTENT_ID, typing=False, shared=False)
    celery.params[0].default = app
    return int(celery.main(args=arguments, standalone_mode=False) or 0)


def do_nothing() -> None:
    """The baseline."""


class NoRoom(FakeExchange):
    """Jupiter behind a request budget that is used up."""

    def together(self, calls: int, *, lane: Lane) -> NoReturn:
        """There is no room."""
        raise RateLimitedError("no room", subject=f"{calls} calls of {lane}")


def set_back(worker: WorkerContext, intent: IntentId) -> None:
    """One ring for a due trade, which is claimed, cannot be prepared, and is set back."""
    services = worker.services
    TradeExecutor(
        store=services.store,
        chain=services.chain,
        exchange=NoRoom(services.clock, listings=(), usd={}),
        codec=services.codec,
        signer=services.wallets,
        tokens=services.tradable_tokens,
        judge=services.judge,
        guard=TransactionGuard(services.guard_policy),
        clock=services.clock,
        policy=services.executor_policy,
        owner=f"{worker.node}-{threading.get_ident()}",
    ).advance(intent)


def message_of(stack: QueueStack, task: str, *args: str) -> dict[str, Any]:
    """One message as Celery writes it."""
    with stack.redis.client() as redis:
        stack.send(task, *args, queue=Queue.ORDERS)
        found = redis.lpop(f"sniperforge:{Queue.ORDERS.value}")
    message: dict[str, Any] = json.loads(str(found))
    return message


def seconds_for(stack: QueueStack, message: dict[str, Any], trades: Sequence[str | None]) -> float:
    """From the moment a message for each of these trades is in the queue until the last is acknowledged."""
    with stack.redis.client() as redis:
        copies = [json.dumps(_copy(message, trade)) for trade in trades]
        started = time.perf_counter()
        redis.lpush(f"sniperforge:{Queue.TRADES.value}", *copies)
        wait_for(lambda: not redis.exists("sniperforge:trades", "sniperforge:unacked"), within_s=WITHIN_S)
        return time.perf_counter() - started


def _copy(message: dict[str, Any], trade: str | None) -> dict[str, Any]:
    """The same message, sent once more for a trade, or for none."""
    name = str(uuid.uuid4())
    properties = message["properties"]
    properties = {
        **properties,
        "correlation_id": name,
        "delivery_tag": str(uuid.uuid4()),
        "delivery_info": {**properties["delivery_info"], "routing_key": Queue.TRADES.value},
    }
    _, *others = json.loads(base64.b64decode(message["body"]))
    body = base64.b64encode(json.dumps([[] if trade is None else [trade], *others]).encode()).decode()
    return {**message, "headers": {**message["headers"], "id": name}, "properties": properties, "body": body}


def settled_trade(stack: QueueStack) -> str:
    """A trade that has ended."""
    executor = stack.services.executor(owner="bench")
    trade = executor.decide(stack.request())
    executor.cancel(trade.id)
    if executor.advance(trade.id).intent.state is not IntentState.CANCELLED:
        raise RuntimeError("the trade did not end")
    return trade.id


def due_trades(stack: QueueStack, trades: int) -> list[IntentId]:
    """Trades that nobody has looked at."""
    executor = stack.services.executor(owner="bench")
    return [executor.decide(stack.request()).id for _ in range(trades)]


def must_be_set_back(stack: QueueStack, trades: Sequence[IntentId]) -> None:
    """What was measured is what was meant."""
    with stack.services.store.read() as books:
        found = [books.intents.get(one) for one in trades]
    for one in found:
        if one is None or one.state is not IntentState.PENDING or one.next_attempt_at <= one.created_at:
            raise RuntimeError(f"a trade was not claimed and set back: {one}")


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
    nothing, rings, writes = list[float](), list[float](), list[float]()
    with (
        tempfile.TemporaryDirectory(prefix="sniperforge-bench-") as folder,
        queue_stack(Path(folder), slot_ms=400) as stack,
        worker_of(stack, options.threads) as pid,
    ):
        settled = settled_trade(stack)
        bare, ring = message_of(stack, NOTHING), message_of(stack, TaskName.ADVANCE_TRADE, settled)
        write = message_of(stack, SET_BACK, settled)

        def a_second(message: dict[str, Any], trades: Sequence[str | None]) -> float:
            return len(trades) / seconds_for(stack, message, trades)

        def round_of(tasks: int) -> tuple[float, float, float]:
            due = due_trades(stack, tasks)
            speeds = a_second(bare, [None] * tasks), a_second(ring, [settled] * tasks), a_second(write, due)
            must_be_set_back(stack, due)
            return speeds

        round_of(options.tasks // 4)
        for _ in range(options.rounds):
            for speeds, speed in zip((nothing, rings, writes), round_of(options.tasks), strict=True):
                speeds.append(speed)
        memory_mb = psutil.Process(pid).memory_info().rss / 1e6
    judged, shown = (
        statistics.median(each / base for each, base in zip(kind, nothing, strict=True)) for kind in (rings, writes)
    )
    print(f"{options.rounds} rounds of {options.tasks} tasks, {options.threads} threads, one worker process")
    print(f"bare Celery task            {statistics.median(nothing):7.0f} a second   (baseline)")
    print(f"ring of a settled one       {statistics.median(rings):7.0f} a second   (reads)")
    print(f"ring of one that is due     {statistics.median(writes):7.0f} a second   (claimed and set back)")
    print(f"ratio of the settled one    {judged:7.2f}            (target at least {TARGET})")
    print(f"ratio of the one that is due{shown:7.2f}            (not judged)")
    print(f"memory of the worker        {memory_mb:7.0f} MB")
    return 0 if judged >= TARGET else 1


if __name__ == "__main__":
    sys.exit(work(sys.argv[2:]) if sys.argv[1:2] == ["work"] else main())
