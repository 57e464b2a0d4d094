"""Orders: look at the market for them, and tidy up behind that."""

from __future__ import annotations

import structlog

from sniperforge.errors import RateLimitedError
from sniperforge.ports.queue import TaskName
from workers.base import forge_task
from workers.context import WorkerContext

ROWS_AT_ONCE = 2_000
"""A few milliseconds of work per commit."""

COMMITS_AT_ONCE = 20

_log = structlog.get_logger(__name__)


@forge_task(TaskName.CHECK_TRIGGERS)
def check_triggers(worker: WorkerContext) -> None:
    """One look at the prices that open orders watch; what fires becomes a trade."""
    if not worker.looking.acquire(blocking=False):
        # On a small plan a look waits for its place in the request budget. Were every second's to wait beside it, no
        # thread would be left for plans, health and signs of life.
        _log.debug("not looked: the last look has not ended")
        return
    try:
        result = worker.services.orders.monitor_orders()
    except RateLimitedError as error:
        # The plan bears fewer looks than beat asks for; `doctor` says how many.
        _log.debug("not looked", error=str(error))
        return
    finally:
        worker.looking.release()
    for intent in result.decided:
        _log.info("an order fired", intent_id=intent)
    for problem in result.left:
        _log.warning("left for the next look", error=problem)


@forge_task(TaskName.COMPACT_TRIGGERS)
def compact_triggers(worker: WorkerContext) -> None:
    """Do what ticks left for later, a little at a time."""
    for _ in range(COMMITS_AT_ONCE):
        if worker.services.orders.compact(ROWS_AT_ONCE) == 0:
            return
