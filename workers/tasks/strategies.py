"""Strategies: ring for plans that are due, and decide a round."""

from __future__ import annotations

import structlog

from sniperforge.ports.queue import PlanId, TaskName
from sniperforge.trading.strategy_executor import RoundOutcome
from workers.base import PLAN_ID, forge_task
from workers.context import WorkerContext

_log = structlog.get_logger(__name__)


@forge_task(TaskName.RING_DUE_PLANS)
def ring_due_plans(worker: WorkerContext) -> None:
    """Ring for every plan with a round that is due."""
    worker.services.strategy_executor().ring_due_plans()


@forge_task(TaskName.RUN_PLAN, takes=PLAN_ID)
def run_plan(worker: WorkerContext, plan: PlanId) -> None:
    """Decide the due round of this plan, or skip it with a reason."""
    result = worker.services.strategy_executor().execute(plan)
    if result.outcome in {RoundOutcome.DECIDED, RoundOutcome.SKIPPED, RoundOutcome.WAITING}:
        _log.info(result.text, outcome=result.outcome.value, occurrence=result.occurrence, intent_id=result.intent_id)
