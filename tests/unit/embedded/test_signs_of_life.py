"""Who lives but does not work."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from datetime import datetime, timedelta

from sniperforge.domain.ids import IntentId
from sniperforge.embedded.signs_of_life import SILENT_AFTER_S, Consumption, Silence
from sniperforge.errors import QueueUnavailableError
from sniperforge.ports.queue import PlanId, Queue
from tests.fakes.clock import START, FakeClock

PID = 4711
MINE = f"orders+1.{PID}@{socket.gethostname()}"


class World:
    """Signs and messages as Redis would have them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.signs: dict[Queue, dict[str, datetime]] = {Queue.ORDERS: {}, Queue.HEALTH: {}}
        self.waiting = dict.fromkeys(Queue, 0)
        self.is_away = False
        self.consumption = Consumption(self, self, (Queue.ORDERS, Queue.HEALTH), self.clock)

    def heard(self, queue: Queue) -> Mapping[str, datetime]:
        self._answer()
        return dict(self.signs[queue])

    def depths(self) -> Mapping[Queue, int]:
        self._answer()
        return dict(self.waiting)

    def ring_trade(self, intent: IntentId) -> None:
        raise AssertionError(intent)

    def ring_plan(self, plan: PlanId) -> None:
        raise AssertionError(plan)

    def pass_seconds(self, seconds: float) -> str | None:
        """Look once a second; the first complaint."""
        for _ in range(int(seconds)):
            self.clock.advance(timedelta(seconds=1))
            found = self.consumption.stuck(PID)
            if found is not None:
                return found
        return None

    def _answer(self) -> None:
        if self.is_away:
            raise QueueUnavailableError("Redis does not answer")


def test_a_worker_has_begun_when_it_left_a_sign_on_each_of_its_queues() -> None:
    world = World()
    assert not world.consumption.has_begun(PID)
    world.signs[Queue.ORDERS] = {MINE: START}
    assert not world.consumption.has_begun(PID)
    world.signs[Queue.HEALTH] = {MINE: START}
    assert world.consumption.has_begun(PID)


def test_signs_of_another_worker_are_not_its_own() -> None:
    world = World()
    for queue in world.signs:
        world.signs[queue] = {f"orders+1.1{PID}@{socket.gethostname()}": START, f"orders+1.{PID}@elsewhere": START}
    assert not world.consumption.has_begun(PID)


def test_a_worker_that_leaves_no_sign_for_half_a_minute_while_messages_wait_is_stuck() -> None:
    world = World()
    world.waiting[Queue.HEALTH] = 1
    assert world.pass_seconds(SILENT_AFTER_S - 2) is None
    assert world.pass_seconds(5) == "has taken no message for 30 s although some wait"


def test_a_worker_that_leaves_signs_is_not_stuck_however_much_waits() -> None:
    world = World()
    world.waiting[Queue.ORDERS] = 1_000
    for second in range(100):
        world.signs[Queue.ORDERS] = {MINE: START + timedelta(seconds=second // 20 * 20)}
        assert world.pass_seconds(1) is None


def test_a_worker_without_messages_is_idle_and_not_stuck() -> None:
    world = World()
    world.waiting[Queue.TRADES] = 7  # of another worker
    assert world.pass_seconds(200) is None


def test_nobody_is_stuck_because_redis_is_away() -> None:
    world = World()
    world.waiting[Queue.ORDERS] = 1
    assert world.pass_seconds(SILENT_AFTER_S - 5) is None
    world.is_away = True
    assert world.pass_seconds(60) is None
    world.is_away = False
    assert world.pass_seconds(SILENT_AFTER_S - 5) is None, "its time begins anew"
    assert world.pass_seconds(10) is not None


def test_nobody_is_stuck_because_the_supervisor_itself_was_stopped_for_an_hour() -> None:
    world = World()
    world.waiting[Queue.ORDERS] = 1
    assert world.pass_seconds(5) is None
    world.clock.advance(timedelta(hours=1))
    assert world.pass_seconds(SILENT_AFTER_S - 5) is None


def test_a_clock_that_jumps_makes_nobody_stuck() -> None:
    world = World()
    world.waiting[Queue.ORDERS] = 1
    for second in range(60):
        world.signs[Queue.ORDERS] = {MINE: START + timedelta(days=second % 3)}
        world.clock.jump(START - timedelta(days=second))
        assert world.pass_seconds(1) is None


def test_a_server_that_is_silent_for_half_a_minute_is_stuck_and_one_that_answers_now_and_then_is_not() -> None:
    clock = FakeClock()
    answers = True
    silence = Silence(lambda: answers, clock)
    told = []
    for second in range(100):
        answers = second % 20 == 0
        clock.advance(timedelta(seconds=1))
        told.append(silence.stuck(PID))
    assert not any(told)
    answers = False
    for _ in range(40):
        clock.advance(timedelta(seconds=1))
        told.append(silence.stuck(PID))
    assert [one for one in told if one] == ["has not answered for 30 s"]
