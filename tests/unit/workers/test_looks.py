"""One look at a time: a look that waits for the request budget leaves the other threads to plans and health."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sniperforge.errors import ExchangeUnavailableError, RateLimitedError, SniperForgeError
from sniperforge.trading.order_manager import LookResult
from workers.context import WorkerContext
from workers.tasks.orders import check_triggers


class Orders:
    """Looks that wait until they are let go."""

    def __init__(self) -> None:
        self.looks = 0
        self.let_go = threading.Event()
        self.begun = threading.Event()
        self.fails: SniperForgeError | None = None

    def monitor_orders(self) -> LookResult:
        self.looks += 1
        self.begun.set()
        assert self.let_go.wait(10)
        if self.fails is not None:
            raise self.fails
        return LookResult()


def worker_with(orders: Orders) -> WorkerContext:
    there: Any = SimpleNamespace(looking=threading.Lock(), services=SimpleNamespace(orders=orders))
    return cast("WorkerContext", there)


def test_a_look_does_not_begin_while_another_waits() -> None:
    orders = Orders()
    worker = worker_with(orders)
    first = threading.Thread(target=check_triggers, args=(worker,))
    first.start()
    assert orders.begun.wait(10)
    check_triggers(worker)
    orders.let_go.set()
    first.join(10)
    assert orders.looks == 1
    check_triggers(worker)
    assert orders.looks == 2


@pytest.mark.parametrize("error", [RateLimitedError("no room", subject="main"), ExchangeUnavailableError("away")])
def test_a_look_that_failed_keeps_the_next_from_nothing(error: SniperForgeError) -> None:
    orders = Orders()
    orders.let_go.set()
    orders.fails = error
    worker = worker_with(orders)
    for _ in range(2):
        if isinstance(error, RateLimitedError):
            check_triggers(worker)
        else:
            with pytest.raises(ExchangeUnavailableError):
                check_triggers(worker)
    assert orders.looks == 2
