"""The request budget: how much, who goes first, and what a 429 does."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
import structlog
from pydantic import SecretStr

from sniperforge.errors import ConfigError, RateLimitedError
from sniperforge.ports.exchange import Lane
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.jupiter.rate_limit import PLANS, Bucket, Permit, PlanLimits, RequestBudget

TEN = PlanLimits(main=10, execute=4)
ORDER_OF_LANES = [Lane.EXIT, Lane.CONFIRMATION, Lane.ENTRY, Lane.MONITORING]
DEAD_REDIS = SecretStr("redis://:hunter2@127.0.0.1:1/0")


def budget(limits: PlanLimits = TEN, *, redis_url: SecretStr | None = None) -> RequestBudget:
    return RequestBudget(limits, organisation="test", clock=SystemClock(), redis_url=redis_url)


def granted(of: RequestBudget, lane: Lane, bucket: Bucket = Bucket.MAIN) -> int:
    """How many calls this lane gets at once before it is refused."""
    count = 0
    while count < 1000:
        try:
            of.acquire(lane, bucket, timeout_s=0)
        except RateLimitedError:
            break
        count += 1
    return count


def now() -> datetime:
    return SystemClock().now()


def refused(of: RequestBudget, permit: Permit, reset: datetime | None) -> None:
    of.answered(permit, refused=True, remaining=None, reset=reset)


@pytest.mark.parametrize(
    ("plan", "main_a_minute", "execute_a_second"),
    [("keyless", 30, 20), ("free", 60, 50), ("developer", 600, 100), ("launch", 3000, 100), ("pro", 9000, 100)],
)
def test_no_ten_seconds_hold_more_than_their_share_of_the_minute(
    plan: str, main_a_minute: int, execute_a_second: int
) -> None:
    limits = {str(name): value for name, value in PLANS.items()}[plan]

    assert limits == PlanLimits(main=main_a_minute // 6, execute=execute_a_second * 10, window_s=10)


@pytest.mark.parametrize(
    ("lane", "share"), [(Lane.EXIT, 10), (Lane.CONFIRMATION, 9), (Lane.ENTRY, 8), (Lane.MONITORING, 5)]
)
def test_each_lane_may_fill_its_share_of_the_window(lane: Lane, share: int) -> None:
    assert granted(budget(), lane) == share


def test_what_lower_lanes_leave_is_there_for_the_higher_ones() -> None:
    of = budget()

    assert [granted(of, lane) for lane in reversed(ORDER_OF_LANES)] == [5, 3, 1, 1]


def test_calls_that_belong_together_are_let_go_together_or_not_at_all() -> None:
    of = budget()
    granted(of, Lane.MONITORING)

    assert of.acquire(Lane.ENTRY, Bucket.MAIN, timeout_s=0, calls=2) == Permit(Bucket.MAIN, calls=2)
    with pytest.raises(RateLimitedError) as caught:
        of.acquire(Lane.ENTRY, Bucket.MAIN, timeout_s=0, calls=2)
    assert caught.value.retry_at is not None
    assert 9 < (caught.value.retry_at - now()).total_seconds() <= 10
    assert granted(of, Lane.ENTRY) == 1, "what was refused took no place"


def test_a_window_too_small_for_what_belongs_together_lets_go_what_it_holds() -> None:
    of = budget(PlanLimits(main=1, execute=1))
    assert of.acquire(Lane.ENTRY, Bucket.MAIN, timeout_s=0, calls=2).calls == 1


def test_how_long_calls_will_wait_is_told_beforehand() -> None:
    of = budget()  # eight calls of entries fit into its window of ten seconds

    assert [of.forecast_s(Lane.ENTRY, Bucket.MAIN, calls) for calls in (1, 8, 9, 16, 17)] == [0, 0, 10, 10, 20]
    granted(of, Lane.MONITORING)
    assert [of.forecast_s(Lane.ENTRY, Bucket.MAIN, calls) for calls in (3, 4, 11, 12)] == [0, 10, 10, 20]
    assert [of.forecast_s(Lane.EXIT, Bucket.MAIN, calls) for calls in (5, 6)] == [0, 10]
    assert granted(of, Lane.EXIT) == 5, "telling takes no place"


def test_a_bucket_that_is_closed_is_told_of_too() -> None:
    of = budget()
    refused(of, of.acquire(Lane.ENTRY, Bucket.MAIN, timeout_s=0), now() + timedelta(seconds=30))

    assert 29 < of.forecast_s(Lane.ENTRY, Bucket.MAIN, 1) <= 30


def test_what_is_left_is_told_without_taking_a_place() -> None:
    of = budget()
    assert of.left(Bucket.MAIN) == (10, 10)
    of.acquire(Lane.ENTRY, Bucket.MAIN, timeout_s=0)
    assert of.left(Bucket.MAIN) == (9, 10)
    assert of.left(Bucket.EXECUTE) == (4, 4)
    refused(of, of.acquire(Lane.ENTRY, Bucket.MAIN, timeout_s=0), now() + timedelta(seconds=30))
    assert of.left(Bucket.MAIN) == (0, 10), "closed by Jupiter"


def test_once_exits_have_used_the_window_nobody_else_gets_a_place() -> None:
    of = budget()

    assert [granted(of, lane) for lane in ORDER_OF_LANES] == [10, 0, 0, 0]


def test_even_the_smallest_budget_leaves_a_place_to_every_lane() -> None:
    assert [granted(budget(PlanLimits(main=1, execute=1)), lane) for lane in ORDER_OF_LANES] == [1, 1, 1, 1]


def test_execute_is_counted_apart() -> None:
    of = budget()
    granted(of, Lane.EXIT)

    assert granted(of, Lane.EXIT, Bucket.EXECUTE) == 4


def test_a_refusal_says_when_a_place_opens_and_what_to_do() -> None:
    of = budget()
    granted(of, Lane.EXIT)
    with pytest.raises(RateLimitedError, match="budget of requests to Jupiter is used up for entry calls") as caught:
        of.acquire(Lane.ENTRY, Bucket.MAIN, timeout_s=1)

    assert caught.value.retry_at is not None
    assert timedelta(seconds=5) < caught.value.retry_at - now() <= timedelta(seconds=10.1)
    assert "jupiter_plan" in caught.value.fix


class ShortWaits(SystemClock):
    """Sleeps as told, and remembers it."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        super().sleep(seconds)


def test_whoever_has_time_waits_for_the_reset_and_goes_on() -> None:
    clock = ShortWaits()
    of = RequestBudget(TEN, organisation="test", clock=clock, redis_url=None)
    refused(of, of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0), now() + timedelta(milliseconds=40))

    assert of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=5).is_probe
    assert 0 < sum(clock.slept) < 1


def test_a_place_opens_when_the_oldest_call_that_counts_leaves_the_window() -> None:
    clock = ShortWaits()
    of = RequestBudget(PlanLimits(main=10, execute=1, window_s=1), organisation="test", clock=clock, redis_url=None)
    of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)
    clock.sleep(0.2)
    granted(of, Lane.MONITORING)  # four more fill its half of the window
    clock.slept.clear()

    of.acquire(Lane.MONITORING, Bucket.MAIN, timeout_s=1)
    assert sum(clock.slept) <= 0.9
    assert granted(of, Lane.MONITORING) == 0
    assert granted(of, Lane.EXIT) == 5


def test_429_closes_the_bucket_until_its_reset_for_every_lane() -> None:
    of = budget()
    reset = now() + timedelta(seconds=9)
    refused(of, of.acquire(Lane.MONITORING, Bucket.MAIN, timeout_s=0), reset)

    assert [granted(of, lane) for lane in ORDER_OF_LANES] == [0, 0, 0, 0]
    assert granted(of, Lane.EXIT, Bucket.EXECUTE) == 4
    with pytest.raises(RateLimitedError) as caught:
        of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=1)
    assert caught.value.retry_at == reset


@pytest.mark.parametrize("reset", [None, timedelta(seconds=-30)])
def test_429_without_a_useful_reset_waits_a_second(reset: timedelta | None) -> None:
    of = budget()
    before = now()
    refused(of, of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0), before + reset if reset else None)
    with pytest.raises(RateLimitedError) as caught:
        of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)

    assert caught.value.retry_at is not None
    assert timedelta(seconds=1) <= caught.value.retry_at - before < timedelta(seconds=2)


def test_a_reset_beyond_any_window_is_not_believed() -> None:
    of = budget()
    refused(of, of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0), now() + timedelta(days=365))
    with pytest.raises(RateLimitedError) as caught:
        of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)

    assert caught.value.retry_at is not None
    assert caught.value.retry_at - now() <= timedelta(seconds=60)


def closed_and_due() -> RequestBudget:
    """A budget whose bucket was closed and may be probed now."""
    of = budget()
    refused(of, of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0), now() + timedelta(milliseconds=10))
    SystemClock().sleep(0.012)
    return of


def test_after_the_reset_one_call_probes_and_the_others_wait() -> None:
    of = closed_and_due()
    probe = of.acquire(Lane.MONITORING, Bucket.MAIN, timeout_s=0)

    assert probe.is_probe
    assert [granted(of, lane) for lane in ORDER_OF_LANES] == [0, 0, 0, 0]


def test_a_probe_that_comes_through_opens_the_bucket() -> None:
    of = closed_and_due()
    probe = of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)
    of.answered(probe, refused=False, remaining=3, reset=now() + timedelta(seconds=5))

    assert granted(of, Lane.EXIT) == 8


def test_a_probe_that_is_refused_closes_it_again() -> None:
    of = closed_and_due()
    refused(of, of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0), now() + timedelta(seconds=5))

    assert granted(of, Lane.EXIT) == 0


def test_an_answer_to_an_earlier_call_does_not_open_a_closed_bucket() -> None:
    of = budget()
    earlier = of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)
    refused(of, of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0), now() + timedelta(seconds=5))
    of.answered(earlier, refused=False, remaining=3, reset=None)

    assert granted(of, Lane.EXIT) == 0


@pytest.mark.parametrize(("remaining", "left"), [(0, 0), (-2, 0), (1, 9), (None, 9)])
def test_an_answer_that_says_nothing_remains_closes_the_bucket(remaining: int | None, left: int) -> None:
    of = budget()
    permit = of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)
    of.answered(permit, refused=False, remaining=remaining, reset=now() + timedelta(seconds=5))

    assert granted(of, Lane.EXIT) == left


def test_threads_share_one_window() -> None:
    of = budget(PlanLimits(main=50, execute=1))
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(granted(of, Lane.EXIT))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 50


def test_without_redis_a_quarter_is_left_and_one_warning_says_so() -> None:
    of = budget(PlanLimits(main=40, execute=1), redis_url=DEAD_REDIS)
    with structlog.testing.capture_logs() as logs:
        count = granted(of, Lane.EXIT)

    assert count == 10
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("request_budget_alone", "warning")]
    assert "hunter2" not in repr(logs)


def test_without_redis_a_429_is_still_obeyed() -> None:
    of = budget(PlanLimits(main=40, execute=1), redis_url=DEAD_REDIS)
    refused(of, of.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0), now() + timedelta(seconds=5))

    assert granted(of, Lane.EXIT) == 0


def test_an_address_that_is_none_is_refused_without_showing_its_password() -> None:
    with pytest.raises(ConfigError, match="redis_url") as caught:
        budget(redis_url=SecretStr("ftp://:hunter2@host"))

    assert "hunter2" not in str(caught.value)
