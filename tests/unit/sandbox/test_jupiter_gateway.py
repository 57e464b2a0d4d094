"""The API gateway: keys, request ids, sliding windows and their headers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from sniperforge.sandbox.jupiter.gateway import Gateway, GatewayMiddleware, SlidingWindow

NOON = 1_800_000_000.25


@dataclass
class Desk:
    """A gateway before an application that answers 200, or 400 for `/bad`."""

    now: float = NOON
    window_s: int = 60
    limited: bool = True
    forbidden: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            status = 400 if Request(scope).url.path == "/bad" else 200
            await JSONResponse({}, status)(scope, receive, send)

        gateway = Gateway(
            api_keys={"jup_free": "free", "jup_pro": "pro"},
            clock=lambda: self.now,
            window_s=self.window_s,
            limited=self.limited,
            forbidden=lambda: self.forbidden,
        )
        self._app = GatewayMiddleware(app, gateway=gateway)

    def get(self, path: str = "/price/v3", key: str | None = None, caller: str = "127.0.0.1") -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, client=(caller, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://jupiter") as client:
                return await client.get(path, headers={} if key is None else {"x-api-key": key})

        return asyncio.run(call())


def test_every_answer_carries_a_request_id_of_its_own() -> None:
    desk = Desk()
    answers = [desk.get(), desk.get(key="nobody's"), desk.get("/bad")]
    ids = {answer.headers["x-api-gateway-request-id"] for answer in answers}
    assert len(ids) == 3


def test_a_call_without_a_key_is_keyless_and_an_unknown_key_is_refused() -> None:
    desk = Desk()
    assert desk.get().status_code == 200
    refused = desk.get(key="nobody's")
    assert refused.status_code == 401
    assert "x-ratelimit-remaining" not in refused.headers


def test_a_key_closed_to_a_path_gets_403_without_window_headers() -> None:
    desk = Desk(forbidden={"jup_free": ("/swap/",)})
    refused = desk.get("/swap/v2/order", key="jup_free")
    assert (refused.status_code, refused.json()["code"]) == (403, 403)
    assert refused.json()["message"] == "API key does not have access to this endpoint"
    assert "x-ratelimit-remaining" not in refused.headers
    assert desk.get("/price/v3", key="jup_free").status_code == 200


def test_headers_count_the_window_and_reset_is_the_unix_second_at_which_the_oldest_call_leaves() -> None:
    desk = Desk()
    first = desk.get()
    assert first.headers["x-ratelimit-current"] == "1"
    assert first.headers["x-ratelimit-remaining"] == "29"
    assert first.headers["x-ratelimit-reset"] == "1800000061"
    desk.now += 30
    second = desk.get()
    assert second.headers["x-ratelimit-current"] == "2"
    assert second.headers["x-ratelimit-reset"] == "1800000061"


def test_window_headers_come_with_200_and_429_only() -> None:
    desk = Desk()
    assert "x-ratelimit-reset" not in desk.get("/bad").headers
    for _ in range(29):
        desk.get()
    refused = desk.get()
    assert refused.status_code == 429
    assert refused.json() == {"code": 429, "message": "[API Gateway] Too many requests"}
    assert refused.headers["x-ratelimit-remaining"] == "-1"
    assert "retry-after" not in refused.headers


def test_waiting_until_reset_opens_exactly_one_place() -> None:
    desk = Desk()
    for _ in range(30):
        desk.get()
        desk.now += 0.1
    refused = desk.get()
    assert refused.status_code == 429
    desk.now = NOON + 60 - 0.001
    assert desk.get().status_code == 429
    desk.now = NOON + 60
    assert desk.get().status_code == 200
    assert desk.get().status_code == 429
    assert float(refused.headers["x-ratelimit-reset"]) >= NOON + 60


def test_a_refused_call_takes_no_place() -> None:
    window = SlidingWindow(1, 60)
    assert window.take(0).allowed
    assert not window.take(59).allowed
    assert window.take(60).allowed


def test_the_short_window_allows_the_same_rate_in_smaller_bursts() -> None:
    desk = Desk(window_s=10)
    assert [desk.get().status_code for _ in range(6)] == [200] * 5 + [429]


@pytest.mark.parametrize(("key", "limit"), [(None, 30), ("jup_free", 60), ("jup_pro", 9000)])
def test_plans_have_their_documented_limits(key: str | None, limit: int) -> None:
    answer = Desk().get(key=key)
    assert int(answer.headers["x-ratelimit-remaining"]) == limit - 1


def test_execute_has_a_bucket_of_its_own() -> None:
    desk = Desk(window_s=10)
    for _ in range(6):
        desk.get()
    answer = desk.get("/swap/v2/execute")
    assert answer.status_code == 200
    assert answer.headers["x-ratelimit-remaining"] == "199"


def test_products_share_one_window_and_organisations_do_not() -> None:
    desk = Desk()
    desk.get("/price/v3", key="jup_free")
    assert desk.get("/swap/v2/order", key="jup_free").headers["x-ratelimit-current"] == "2"
    assert desk.get("/swap/v2/order", key="jup_pro").headers["x-ratelimit-current"] == "1"
    assert desk.get("/swap/v2/order", caller="10.0.0.1").headers["x-ratelimit-current"] == "1"


def test_without_limits_nothing_is_counted() -> None:
    desk = Desk(limited=False, window_s=10)
    answers = [desk.get() for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert "x-ratelimit-remaining" not in answers[0].headers
