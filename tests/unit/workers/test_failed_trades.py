"""A trade that failed is told in the worker's log, once: nobody looks into every order to see that its stop failed."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

from structlog.testing import capture_logs

from sniperforge.domain.ids import IntentId
from tests.fakes.order_world import OrderWorld
from workers.context import WorkerContext
from workers.tasks.trades import advance_trade


def told_of(world: OrderWorld, intent: IntentId) -> list[dict[str, Any]]:
    """What a worker that carries this trade on says."""
    there: Any = SimpleNamespace(
        executor=world.executor(), services=SimpleNamespace(clock=world.clock), draining=threading.Event()
    )
    with capture_logs() as logs:
        advance_trade(cast("WorkerContext", there), intent)
    return [dict(line) for line in logs if line["log_level"] == "warning"]


def test_a_stop_whose_trade_failed_is_told_once_with_its_order() -> None:
    world = OrderWorld()
    order = world.stop()
    (intent,) = world.price("0.4")
    world.pass_time(minutes=30)  # past its deadline
    (line,) = told_of(world, intent)
    assert (line["order_id"], line["intent_id"]) == (order, intent)
    assert "fires again" in line["event"]
    world.pass_time(minutes=2)
    assert told_of(world, intent) == []


def test_a_trade_of_a_person_that_failed_is_told_as_well() -> None:
    world = OrderWorld()
    intent = world.decide()
    world.pass_time(minutes=30)
    (line,) = told_of(world, intent)
    assert (line["event"], line["order_id"]) == ("a trade failed", None)


def test_a_trade_that_filled_is_no_warning() -> None:
    world = OrderWorld()
    assert told_of(world, world.decide()) == []
