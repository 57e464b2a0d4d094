"""Trades: carry one on, ring for those that stand still, and ask again about the dead."""

from __future__ import annotations

from datetime import timedelta

import structlog

from sniperforge.domain.ids import IntentId, order_of_key
from sniperforge.domain.intent import IntentState
from sniperforge.ports.queue import TaskName
from sniperforge.trading.sweep import carry_on, due_trades, look_again_at_the_dead
from workers.base import INTENT_ID, forge_task
from workers.context import WorkerContext

STAY = timedelta(seconds=20)
"""How long a worker stays with one trade. Shorter than the silence after which a worker counts as stuck."""

FINAL_AFTER = timedelta(seconds=7)
"""When a confirmed transaction is worth another look: 32 slots of 200 ms, and a little."""

FAILED_JUST_NOW = timedelta(minutes=1)
"""A bell may ring again for a trade that failed long ago, and that is no news."""

_log = structlog.get_logger(__name__)


@forge_task(TaskName.ADVANCE_TRADE, takes=INTENT_ID)
def advance_trade(worker: WorkerContext, intent: IntentId) -> None:
    """Stay with this trade until it is confirmed, or a long pause begins, or the worker drains."""
    clock = worker.services.clock
    ended = carry_on(worker.executor, clock, intent, within=STAY, stop=worker.draining.is_set).intent
    if ended.state is IntentState.FAILED and clock.now() - ended.updated_at < FAILED_JUST_NOW:
        of = order_of_key(ended.key)
        told = "a trade failed" if of is None else "a trade of an order failed, and fires again while the order is open"
        _log.warning(told, intent_id=intent, order_id=None if of is None else of[0], reason=ended.reason)


@forge_task(TaskName.RING_DUE_TRADES)
def ring_due_trades(worker: WorkerContext) -> None:
    """Ring for every trade that stands still, each now and then."""
    with worker.services.store.read() as books:
        due = due_trades(books, worker.services.clock.now(), final_after=FINAL_AFTER)
    for intent in due:
        if worker.may_ring(intent):
            worker.services.queue.ring_trade(intent)


@forge_task(TaskName.LOOK_AGAIN)
def look_again(worker: WorkerContext) -> None:
    """Ask once more about every transaction that was proven dead."""
    look_again_at_the_dead(worker.executor, worker.services.store, worker.services.clock)
