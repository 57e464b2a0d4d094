"""Workers that are stopped, killed, misconfigured or too large: the books know, others go on, and it is said."""

from __future__ import annotations

import signal
import sys

import pytest

from sniperforge.domain.intent import IntentState, TradeIntent
from sniperforge.ports.queue import Queue
from tests.fakes.queue_stack import QueueStack, wait_for

pytestmark = pytest.mark.system

SETTLES_WITHIN_S = 60.0
SLOW_MS = 700
"""Long enough to be caught in the act, and half the life of a blockhash."""


def test_a_worker_that_is_told_to_stop_in_mid_trade_leaves_it_to_the_books(stack: QueueStack) -> None:
    stack.sandbox.fault("jupiter:/swap/v2/execute", "latency", probability=1.0, params={"ms": SLOW_MS})
    worker = stack.worker()
    trade = stack.decided()
    stack.services.queue.ring_trade(trade.id)
    wait_for(lambda: stack.signed(trade), told=worker.text)
    worker.signal(signal.SIGTERM)
    assert worker.ended() == 0, worker.text()
    stack.sandbox.clear_faults()
    _carried_to_the_end_by_another(stack, trade)


def test_a_worker_that_is_told_to_stop_lets_go_of_a_trade_that_waits(stack: QueueStack) -> None:
    worker = stack.worker(Queue.TRADES)
    stack.sandbox.fault("jupiter:/swap/v2/order", "http_500_html", probability=1.0)

    def asked() -> int:
        (fault,) = stack.sandbox.ask("GET", "/faults")["faults"]
        return int(fault["hits"])

    trade = stack.decided()
    stack.services.queue.ring_trade(trade.id)
    wait_for(asked, told=worker.text)
    worker.signal(signal.SIGTERM)
    assert worker.ended() == 0, worker.text()
    assert asked() <= 3, "a worker stays with a trade for ten times as many"
    assert stack.intent(trade).state is IntentState.PENDING
    stack.services.executor(owner="test").cancel(trade.id)


def test_a_worker_killed_in_mid_trade_costs_its_lease_and_nothing_else(stack: QueueStack) -> None:
    stack.sandbox.fault("jupiter:/swap/v2/execute", "latency", probability=1.0, params={"ms": SLOW_MS})
    worker = stack.worker()
    trade = stack.decided()
    stack.services.queue.ring_trade(trade.id)
    wait_for(lambda: stack.signed(trade), told=worker.text)
    worker.signal(signal.SIGKILL)
    worker.ended()
    stack.sandbox.clear_faults()
    _carried_to_the_end_by_another(stack, trade)


def _carried_to_the_end_by_another(stack: QueueStack, trade: TradeIntent) -> None:
    other = stack.worker()

    def settled() -> bool:
        stack.sweep()
        with stack.services.store.read() as books:
            return stack.filled(trade) and not books.attempts.live(10)

    wait_for(settled, within_s=SETTLES_WITHIN_S, told=other.text)
    assert stack.landings(trade) == 1
    assert stack.services.invariants.check(stack.wallet).holds


def test_a_worker_waits_for_a_redis_that_is_not_there_yet(stack: QueueStack) -> None:
    stack.redis.kill()
    try:
        worker = stack.start("worker", "--queues", "trades", "--threads", "2")
        wait_for(lambda: "waiting for Redis" in worker.text(), told=worker.text)
    finally:
        stack.redis.start()
    trade = stack.decided()
    stack.services.queue.ring_trade(trade.id)
    wait_for(lambda: stack.filled(trade), told=worker.text)


def test_a_worker_without_passphrase_says_what_to_set_and_takes_no_message(stack: QueueStack) -> None:
    del stack.environment["SNIPERFORGE_WALLET_PASSPHRASE_FILE"]
    try:
        worker = stack.start("worker", "--queues", "trades", "--threads", "2")
        trade = stack.decided()
        stack.services.queue.ring_trade(trade.id)
        assert worker.ended() == 1
    finally:
        stack.environment["SNIPERFORGE_WALLET_PASSPHRASE_FILE"] = str(stack.folder / "passphrase")
    assert "Set SNIPERFORGE_WALLET_PASSPHRASE_FILE" in worker.text()
    assert "Traceback" not in worker.text()
    assert stack.services.queue.depths()[Queue.TRADES] == 1


def test_a_worker_with_the_wrong_broker_password_ends_and_says_so(stack: QueueStack) -> None:
    worker = stack.start(
        "worker", "--queues", "trades", "--threads", "2", SNIPERFORGE_REDIS_URL=stack.redis.url_with("not-this-one")
    )
    assert worker.ended() == 1
    assert "Redis refuses the password" in worker.text()
    assert "not-this-one" not in worker.text()


def test_a_worker_that_has_grown_too_large_drains_and_ends(stack: QueueStack) -> None:
    heavy = (
        "import runpy, sys; ballast = bytearray(b'x') * 200_000_000; runpy.run_module('workers', run_name='__main__')"
    )
    worker = stack.run(
        [sys.executable, "-P", "-c", heavy, "-q", "worker", "-P", "threads", "-c", "2", "-Q", "alerts"],
        SNIPERFORGE_WORKER_MEMORY_MB="150",
    )
    assert worker.ended() == 0, worker.text()
    assert "uses too much memory" in worker.text()


def test_worker_health_tells_who_consumes_and_who_has_fallen_silent(stack: QueueStack) -> None:
    worker = stack.worker(Queue.ALERTS, threads=1)
    healthy = stack.start("worker-health", "--queues", "alerts")
    assert healthy.ended() == 0, healthy.text()
    absent = stack.start("worker-health", "--queues", "alerts,backups")
    assert absent.ended() == 1
    assert "backups: no worker of this machine was heard" in absent.text()
    worker.signal(signal.SIGSTOP)
    try:
        with stack.redis.client() as redis:
            signs = redis.hgetall("sniperforge:canary:alerts")
            assert isinstance(signs, dict)
            for name, at in signs.items():
                redis.hset("sniperforge:canary:alerts", name, float(at) - 31)  # as if it had stood still for long
        stack.send("health.sing_canary", "alerts", queue=Queue.ALERTS)
        silent = stack.start("worker-health", "--queues", "alerts")
        assert silent.ended() == 1
        assert "alerts: nothing was heard for" in silent.text()
    finally:
        worker.signal(signal.SIGCONT)

    def sings_again() -> bool:
        again = stack.start("worker-health", "--queues", "alerts")
        return again.ended() == 0

    wait_for(sings_again, told=worker.text)


def test_a_silent_worker_is_ended_when_messages_wait_for_it_and_not_before(stack: QueueStack) -> None:
    worker = stack.worker(Queue.BACKUPS, threads=1)
    worker.signal(signal.SIGSTOP)
    with stack.redis.client() as redis:
        signs = redis.hgetall("sniperforge:canary:backups")
        assert isinstance(signs, dict)
        for name, at in signs.items():
            redis.hset("sniperforge:canary:backups", name, float(at) - 31)
    idle = stack.start("worker-health", "--end-silent", "--queues", "backups")
    assert idle.ended() == 1
    assert "ended" not in idle.text()
    for _ in range(3):  # the first may be in the stopped worker's hands already
        stack.send("health.sing_canary", "backups", queue=Queue.BACKUPS)
    stuck = stack.start("worker-health", "--end-silent", "--queues", "backups")
    assert stuck.ended() == 1
    assert "ended backups." in stuck.text()
    assert worker.ended() == -signal.SIGKILL
