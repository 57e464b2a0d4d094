"""What every clock promises, the machine's and the fake one."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from sniperforge.ports.clock import Clock
from sniperforge.shared.clock import SystemClock
from tests.fakes.clock import START, FakeClock


@pytest.fixture(params=[SystemClock, FakeClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_now_is_aware_and_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC


def test_monotonic_never_goes_back(clock: Clock) -> None:
    seen = [clock.monotonic() for _ in range(100)]

    assert seen == sorted(seen)


def test_sleeping_moves_the_monotonic_clock_at_least_that_far(clock: Clock) -> None:
    before = clock.monotonic()

    clock.sleep(0.01)

    assert clock.monotonic() - before >= 0.0099


def test_sleeping_moves_the_wall_clock(clock: Clock) -> None:
    before = clock.now()

    clock.sleep(0.01)

    assert clock.now() > before


def test_a_negative_sleep_is_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match="non-negative"):
        clock.sleep(-1)


def test_the_fake_wall_clock_jumps_without_the_monotonic_one() -> None:
    clock = FakeClock()
    before = clock.monotonic()

    clock.jump(START - timedelta(days=1))

    assert clock.now() == START - timedelta(days=1)
    assert clock.monotonic() == before
