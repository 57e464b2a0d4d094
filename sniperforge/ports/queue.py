"""The queue: bells that say "look at your books", and nothing else.

A message carries ids only. One that is lost, late, doubled or forged changes nothing: what is due is in the books, and
a sweep rings again for whatever stands still. Nobody waits for a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NewType, Protocol

from sniperforge.domain.ids import IntentId

PlanId = NewType("PlanId", str)
"""Name of a plan, unique in the books; people type it."""


class Queue(StrEnum):
    """Where tasks wait. Workers consume groups of them."""

    TRADES = "trades"
    ORDERS = "orders"
    STRATEGIES = "strategies"
    HEALTH = "health"
    ALERTS = "alerts"
    BACKUPS = "backups"


class TaskName(StrEnum):
    """Every task, as `area.verb_noun`."""

    ADVANCE_TRADE = "trades.advance_trade"
    """Carry one trade on. Argument: its intent id."""
    RING_DUE_TRADES = "trades.ring_due_trades"
    """Ring for every trade that stands still. No argument."""
    LOOK_AGAIN = "trades.look_again"
    """Ask once more about transactions that were proven dead. No argument."""
    RING_DUE_PLANS = "strategies.ring_due_plans"
    """Ring for every plan whose next round is due. No argument."""
    RUN_PLAN = "strategies.run_plan"
    """Decide the due round of one plan. Argument: its id."""
    CHECK_TRIGGERS = "orders.check_triggers"
    """Look at the prices that open orders watch, and decide what fires. No argument."""
    COMPACT_TRIGGERS = "orders.compact_triggers"
    """Do what ticks left for later. No argument."""
    RECONCILE_WALLETS = "health.reconcile_wallets"
    """Books against chain, every wallet. No argument."""
    CHECK_INVARIANTS = "health.check_invariants"
    """I1 to I8. No argument."""
    SING_CANARY = "health.sing_canary"
    """Say that a worker consumes this queue. Argument: the queue's name."""


class TaskQueue(Protocol):
    """Rings bells. Called after the commit that made something due, never inside a database transaction."""

    def ring_trade(self, intent: IntentId) -> None:
        """Ask a worker to carry this trade on.

        Raises:
            QueueUnavailableError: Nobody could be rung. Nothing is lost: the sweep rings when the queue is back.
        """
        ...

    def ring_plan(self, plan: PlanId) -> None:
        """Ask a worker to look at this plan.

        Raises:
            QueueUnavailableError: As above.
        """
        ...

    def depths(self) -> Mapping[Queue, int]:
        """Messages waiting in each queue.

        Raises:
            QueueUnavailableError: The broker does not answer.
        """
        ...
