"""What tasks of one process share, and what each thread has to itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sniperforge.bootstrap import Services
from sniperforge.config import Settings
from sniperforge.ports.queue import Queue
from sniperforge.trading.executor import Executor
from sniperforge.trading.progress import Watch
from workers.context import WorkerContext


class Recording(Services):
    """Remembers in whose name executors were made."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, None)
        self.owners: list[str] = []

    def executor(self, *, owner: str, watch: Watch | None = None) -> Executor:
        self.owners.append(owner)
        return super().executor(owner=owner, watch=watch)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Recording]:
    made = Recording(Settings.model_validate({"home": tmp_path, "redis_url": "redis://127.0.0.1:1/0"}))
    yield made
    made.close()


def test_each_thread_has_an_executor_of_its_own_with_a_name_of_its_own(services: Recording) -> None:
    context = WorkerContext(services, "trades.7@here")
    one_at_a_time, all_alive = threading.Lock(), threading.Barrier(3)
    seen: list[Executor] = []

    def work() -> None:
        with one_at_a_time:
            seen.extend([context.executor, context.executor])
        all_alive.wait(10)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in seen}) == len(set(services.owners)) == len(services.owners) == 3
    assert all(owner.startswith("trades.7@here-") for owner in services.owners)


def test_a_sign_of_life_that_cannot_be_left_stops_no_task(services: Recording) -> None:
    context = WorkerContext(services, "trades.7@here")
    with capture_logs() as logs:
        context.consumed(Queue.TRADES)
        context.consumed(Queue.TRADES)
    assert [one["event"] for one in logs] == ["no sign of life could be left"], "and it is not tried at every task"
    context.close()
