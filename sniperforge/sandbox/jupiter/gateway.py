"""Jupiter's API gateway: keys, request ids, and sliding windows per organisation.

Source: developers.jup.ag portal pages on rate limits, responses, plans and API keys. One window counts all products
of an organisation together; `/swap/v2/execute` has a window of its own. Both are pure sliding windows: a place opens
when the oldest counted call ages out, and only that one place.
"""

from __future__ import annotations

import math
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sniperforge.sandbox.jupiter.answers import JsonAnswer

EXECUTE_PATH = "/swap/v2/execute"
UNCOUNTED_PATHS = frozenset({"/tx"})
"""The send-only RPC (tx.jup.ag) checks keys, but its limit is unpublished, so none is made up."""


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """Calls per second that a plan allows, as thousandths so that 0.5 is exact."""

    main_per_1000_s: int
    execute_per_1000_s: int


PLANS: Mapping[str, PlanLimits] = {
    "keyless": PlanLimits(500, 20_000),
    "free": PlanLimits(1_000, 50_000),
    "developer": PlanLimits(10_000, 100_000),
    "launch": PlanLimits(50_000, 100_000),
    "pro": PlanLimits(150_000, 100_000),
}


@dataclass(frozen=True, slots=True)
class WindowReading:
    """What the `x-ratelimit-*` headers of one answer say.

    Attributes:
        allowed: Whether the call may go on.
        remaining: Calls left in the window; negative when this one was too many.
        current: Calls in the window, this one included.
        reset: Unix second at which the oldest call in the window ages out and one place opens.
    """

    allowed: bool
    remaining: int
    current: int
    reset: int


class SlidingWindow:
    """The calls of the last `seconds`; a refused call takes no place."""

    def __init__(self, limit: int, seconds: int) -> None:
        self._limit = limit
        self._seconds = seconds
        self._calls: deque[float] = deque()

    def take(self, now: float) -> WindowReading:
        """Count one call at this Unix time, if there is a place for it."""
        calls = self._calls
        while calls and calls[0] <= now - self._seconds:
            calls.popleft()
        allowed = len(calls) < self._limit
        if allowed:
            calls.append(now)
        current = len(calls) if allowed else len(calls) + 1
        oldest = calls[0] if calls else now
        return WindowReading(allowed, self._limit - current, current, math.ceil(oldest + self._seconds))


@dataclass(slots=True)
class Gateway:
    """Who may call, and how often. One per sandbox; every route's middleware asks the same one.

    Attributes:
        api_keys: Known keys and their plans.
        forbidden: Path prefixes closed to a key now, case-sensitive as the portal documents: 403.
        window_s: Length of the windows: 60 as documented, 10 as observed.
        limited: Whether calls are counted at all.
        clock: Unix seconds now.
    """

    api_keys: Mapping[str, str]
    clock: Callable[[], float]
    window_s: int = 60
    limited: bool = True
    forbidden: Callable[[], Mapping[str, tuple[str, ...]]] = dict
    _windows: dict[tuple[str, bool], SlidingWindow] = field(default_factory=dict)

    def plan_of(self, api_key: str | None) -> str | None:
        """Plan of a key; `keyless` without one, None for a key nobody issued."""
        return "keyless" if api_key is None else self.api_keys.get(api_key)

    def is_forbidden(self, api_key: str | None, path: str) -> bool:
        """Whether this key was closed to this path."""
        return api_key is not None and path.startswith(self.forbidden().get(api_key, ()))

    def count(self, api_key: str | None, plan: str, caller: str, path: str) -> WindowReading | None:
        """Count a call; None when calls to this path are not counted.

        A key is an organisation here; calls without a key are told apart by the address they come from.
        """
        if not self.limited or path in UNCOUNTED_PATHS:
            return None
        is_execute = path == EXECUTE_PATH
        organisation = f"address {caller}" if api_key is None else f"key {api_key}"
        window = self._windows.get((organisation, is_execute))
        if window is None:
            limits = PLANS[plan]
            per_1000_s = limits.execute_per_1000_s if is_execute else limits.main_per_1000_s
            window = SlidingWindow(per_1000_s * self.window_s // 1000, self.window_s)
            self._windows[organisation, is_execute] = window
        return window.take(self.clock())


class GatewayMiddleware:
    """Puts a gateway before an application.

    Every answer gets `x-api-gateway-request-id`; `x-ratelimit-*` come with 200 and 429 only.
    """

    def __init__(self, app: ASGIApp, *, gateway: Gateway) -> None:
        self._app = app
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the call or hand it on."""
        path: str = scope["path"]
        api_key = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-api-key"), None)
        reading: WindowReading | None = None
        answer: JsonAnswer | None = None
        plan = self._gateway.plan_of(api_key)
        if plan is None:
            answer = JsonAnswer({"code": 401, "message": "Unauthorized"}, 401)
        elif self._gateway.is_forbidden(api_key, path):
            answer = JsonAnswer({"code": 403, "message": "API key does not have access to this endpoint"}, 403)
        else:
            client = scope.get("client")
            reading = self._gateway.count(api_key, plan, client[0] if client else "", path)
            if reading is not None and not reading.allowed:
                answer = JsonAnswer({"code": 429, "message": "[API Gateway] Too many requests"}, 429)
        request_id = uuid.uuid4().hex.encode()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (b"x-api-gateway-request-id", request_id)]
                if reading is not None and message["status"] in {200, 429}:
                    headers += [
                        (b"x-ratelimit-remaining", str(reading.remaining).encode()),
                        (b"x-ratelimit-current", str(reading.current).encode()),
                        (b"x-ratelimit-reset", str(reading.reset).encode()),
                    ]
                message = {**message, "headers": headers}
            await send(message)

        await (answer or self._app)(scope, receive, send_with_headers)
