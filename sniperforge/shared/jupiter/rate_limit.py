"""The request budget: every process of an organisation draws on one window, the most urgent lane first.

Jupiter counts per organisation, in a main bucket and a separate one for `/execute`. It documents a sliding window of
60 seconds; measured from outside, bursts are refused as if it were about 10 (the 6th quick call without a key, the
11th with a free one). We therefore count in windows of 10 s with a sixth of the minute's budget: no 10 s hold
more than their share, and so no 60 s hold more than the whole.

When the budget is short the lanes decide: each lower lane may fill only its share of the window, so the last places
are left to exits. An answer 429, or one that says nothing remains, closes the bucket for every process until
`x-ratelimit-reset`; then one call goes ahead as a probe, because the reset frees one place and not the whole window.

When Redis cannot be reached trading goes on: this process then counts by itself, on a quarter of the budget, and a
warning says so once.

Source of the figures: developers.jup.ag, Portal, "Plans" and "Rate limits".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

import structlog
from pydantic import SecretStr
from redis import RedisError

from sniperforge.config import JupiterPlan
from sniperforge.errors import RateLimitedError
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Lane
from sniperforge.shared.jupiter.budget_ledger import Ledger, LocalLedger, SharedLedger

_log = structlog.get_logger(__name__)
_Result = TypeVar("_Result")

DOCUMENTED_WINDOW_S = 60
LANE_SHARE_PERCENT: Mapping[Lane, int] = {
    Lane.EXIT: 100,
    Lane.CONFIRMATION: 90,
    Lane.ENTRY: 80,
    Lane.MONITORING: 50,
}
"""How much of the window each lane may find used and still go ahead."""

_ALONE_SHARE_PERCENT = 25
_RETRY_SHARED_AFTER_S = 5.0
_PROBE_LEASE_S = 5.0
_PROBE_POLL_S = 0.25
_SHORTEST_WAIT_S = 0.02
_WAIT_WITHOUT_RESET_S = 1.0


class Bucket(StrEnum):
    """Jupiter's two counters."""

    MAIN = "main"
    EXECUTE = "execute"


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """Calls allowed in any `window_s` seconds, by bucket."""

    main: int
    execute: int
    window_s: int = 10

    def of(self, bucket: Bucket) -> int:
        """The budget of one bucket."""
        return self.main if bucket is Bucket.MAIN else self.execute

    def of_lane(self, bucket: Bucket, lane: Lane, *, percent: int = 100) -> int:
        """How many calls any window may hold after one of this lane, on this share of the budget."""
        budget = max(1, self.of(bucket) * percent // 100)
        return max(1, budget * LANE_SHARE_PERCENT[lane] // 100)


PLANS: Mapping[JupiterPlan, PlanLimits] = {
    "keyless": PlanLimits(main=5, execute=200),
    "free": PlanLimits(main=10, execute=500),
    "developer": PlanLimits(main=100, execute=1000),
    "launch": PlanLimits(main=500, execute=1000),
    "pro": PlanLimits(main=1500, execute=1000),
}
"""A sixth of each plan's 60-second budget (main 30, 60, 600, 3000, 9000 a minute; execute 20, 50, 100 a second)."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make so many calls. A probe is the one call that tries whether a closed bucket is open again."""

    bucket: Bucket
    is_probe: bool = False
    calls: int = 1


class RequestBudget:
    """Hands out permits for calls to Jupiter.

    Args:
        limits: The plan's budget, from `PLANS`.
        organisation: Whose budget it is; every process with the same name and Redis shares it.
        clock: Time, for waiting and for comparing with `x-ratelimit-reset`.
        redis_url: Where the budget is shared. Without it the budget holds for this process only, and two processes
            together may use twice of it.

    Raises:
        ConfigError: The address is not one of a Redis.
    """

    def __init__(self, limits: PlanLimits, *, organisation: str, clock: Clock, redis_url: SecretStr | None) -> None:
        self._limits = limits
        self._organisation = organisation
        self._clock = clock
        self._shared = SharedLedger(redis_url) if redis_url is not None else None
        self._local = LocalLedger(clock)
        self._lock = threading.Lock()
        self._alone_until: float | None = None

    def acquire(self, lane: Lane, bucket: Bucket, *, timeout_s: float, calls: int = 1) -> Permit:
        """Leave to make one call now, or several that are worth nothing one without the other.

        Args:
            lane: How urgent they are.
            bucket: Which budget they count against.
            timeout_s: Longest wait.
            calls: How many are let go together. A window too small for so many gives leave for as many as it holds.

        Raises:
            RateLimitedError: No place opens in time; `retry_at` says when to come back. Nothing was sent.
        """
        deadline = self._clock.monotonic() + timeout_s
        while True:
            permit, retry_at = self._on_ledger(lambda ledger, percent: self._try(ledger, percent, lane, bucket, calls))
            if permit is not None:
                return permit
            wait_s = max(retry_at - self._now(), _SHORTEST_WAIT_S)
            if self._clock.monotonic() + wait_s > deadline:
                opens = datetime.fromtimestamp(retry_at, UTC)
                raise RateLimitedError(
                    f"the budget of requests to Jupiter is used up for {lane.value} calls until {opens:%H:%M:%S} UTC",
                    subject=f"{self._organisation}/{bucket.value}",
                    fix="Wait, ask less often, or set jupiter_api_key and jupiter_plan to a larger plan",
                    retry_at=opens,
                )
            self._clock.sleep(wait_s)

    def forecast_s(self, lane: Lane, bucket: Bucket, calls: int) -> float:
        """About how many seconds pass until the last of `calls` calls is let go, if nobody else makes any.

        For people who are about to ask for something: a window that is full now is counted as one that began now.
        """
        return self._on_ledger(lambda ledger, percent: self._forecast(ledger, percent, lane, bucket, calls))

    def left(self, bucket: Bucket) -> tuple[int, int]:
        """Calls that may still be made in this window, and how many it holds; for people to look at."""
        return self._on_ledger(lambda ledger, percent: self._left(ledger, percent, bucket))

    def answered(self, permit: Permit, *, refused: bool, remaining: int | None, reset: datetime | None) -> None:
        """Tell the budget what Jupiter answered to the call that `permit` allowed.

        Args:
            permit: What `acquire` returned for that call.
            refused: The answer was 429.
            remaining: Header `x-ratelimit-remaining`; zero or less means the next call would be refused.
            reset: Header `x-ratelimit-reset`.
        """
        if not refused and not permit.is_probe and (remaining is None or remaining > 0):
            return
        key = self._key(permit.bucket)
        now = self._now()
        until = min(reset.timestamp(), now + DOCUMENTED_WINDOW_S) if reset is not None else now
        if refused and until <= now:
            # No header, or a clock that differs from Jupiter's: the documented back-off.
            until = now + _WAIT_WITHOUT_RESET_S
        if until > now and (refused or (remaining is not None and remaining <= 0)):
            keep_s = until - now + DOCUMENTED_WINDOW_S
            self._on_ledger(lambda ledger, _: ledger.close(key, until, keep_s))
        elif permit.is_probe:
            self._on_ledger(lambda ledger, _: ledger.reopen(key))

    def close(self) -> None:
        """Give back the connections to Redis."""
        if self._shared is not None:
            self._shared.disconnect()

    def _try(self, ledger: Ledger, percent: int, lane: Lane, bucket: Bucket, calls: int) -> tuple[Permit | None, float]:
        key, window_s = self._key(bucket), self._limits.window_s
        limit = self._limits.of_lane(bucket, lane, percent=percent)
        calls = min(calls, limit)
        closed_until = ledger.closed_until(key)
        if closed_until is not None:
            if self._now() < closed_until:
                return None, closed_until
            if not ledger.claim_probe(key, _PROBE_LEASE_S):
                return None, self._now() + _PROBE_POLL_S
        if ledger.take(key, limit, window_s, calls):
            return Permit(bucket, is_probe=closed_until is not None, calls=calls), 0.0
        if closed_until is not None:
            ledger.release_probe(key)
        return None, ledger.opens_at(key, limit - calls + 1, window_s)

    def _forecast(self, ledger: Ledger, percent: int, lane: Lane, bucket: Bucket, calls: int) -> float:
        key, window_s = self._key(bucket), self._limits.window_s
        limit = self._limits.of_lane(bucket, lane, percent=percent)
        closed_s = max(0.0, (ledger.closed_until(key) or 0.0) - self._now())
        left_for_later = max(0, calls - (limit - ledger.used(key, limit, window_s)))
        return closed_s + -(-left_for_later // limit) * window_s

    def _left(self, ledger: Ledger, percent: int, bucket: Bucket) -> tuple[int, int]:
        key, limit = self._key(bucket), self._limits.of_lane(bucket, Lane.EXIT, percent=percent)
        if (ledger.closed_until(key) or 0.0) > self._now():
            return 0, limit
        return limit - ledger.used(key, limit, self._limits.window_s), limit

    def _on_ledger(self, use: Callable[[Ledger, int], _Result]) -> _Result:
        """Run `use` on the shared ledger; while Redis is away, on our own with the smaller share."""
        if self._shared is None:
            return use(self._local, 100)
        with self._lock:
            alone_until = self._alone_until
        if alone_until is None or self._clock.monotonic() >= alone_until:
            try:
                result = use(self._shared, 100)
            except RedisError as error:
                self._go_alone(type(error).__name__, first=alone_until is None)
            else:
                if alone_until is not None:
                    self._rejoin()
                return result
        return use(self._local, _ALONE_SHARE_PERCENT)

    def _go_alone(self, cause: str, *, first: bool) -> None:
        with self._lock:
            say = first and self._alone_until is None
            self._alone_until = self._clock.monotonic() + _RETRY_SHARED_AFTER_S
        if say:
            _log.warning(
                "request_budget_alone",
                cause=cause,
                share_percent=_ALONE_SHARE_PERCENT,
                fix="Start Redis again or correct redis_url; until then each process keeps to its own small share",
            )

    def _rejoin(self) -> None:
        with self._lock:
            self._alone_until = None
        _log.info("request_budget_shared_again")

    def _key(self, bucket: Bucket) -> str:
        return f"{self._organisation}:{bucket.value}"

    def _now(self) -> float:
        return self._clock.now().timestamp()
