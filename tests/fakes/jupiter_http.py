"""A `JupiterClient` whose network is a list of answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx
from pydantic import SecretStr

from sniperforge.ports.clock import Clock
from sniperforge.shared.connections import Headers, HttpAnswer, NoAnswerError
from sniperforge.shared.jupiter.client import JupiterClient
from sniperforge.shared.jupiter.rate_limit import PlanLimits, RequestBudget
from tests.fakes.clock import FakeClock

KEY = "jup_0123456789abcdef0123456789abcdef"
GATEWAY_ID = "gateway-7f3a"
WIDE = PlanLimits(main=1000, execute=1000)

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def answer(body: object, status: int = 200, **headers: str) -> httpx.Response:
    """JSON as Jupiter's gateway sends it; header names are written with underscores."""
    named = {"x-api-gateway-request-id": GATEWAY_ID} | {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.Response(status, content=json.dumps(body).encode(), headers=named)


class Mocked:
    """Connections to `base_url` that lead to a function; what it raises of httpx becomes what a connection raises."""

    def __init__(self, base_url: str, reply: Callable[[httpx.Request], httpx.Response]) -> None:
        self._base_url = base_url
        self._reply = reply
        self.closed = 0

    def request(
        self, method: bytes, target: bytes, headers: Headers, body: bytes | None, timeout_s: float
    ) -> HttpAnswer:
        """Ask the function."""
        sent = httpx.Request(
            method.decode(),
            self._base_url + target.decode(),
            headers=list(headers),
            content=body,
            extensions={"timeout_s": timeout_s},
        )
        try:
            given = self._reply(sent)
        except httpx.HTTPError as error:
            raise NoAnswerError(getattr(httpcore2, type(error).__name__)(str(error))) from error
        return HttpAnswer(given.status_code, dict(given.headers), given.content)

    def close(self) -> None:
        """Count."""
        self.closed += 1


class Wire:
    """Gives the answers in order and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given if isinstance(given, httpx.Response) else given(request)

    @property
    def queries(self) -> list[Mapping[str, str]]:
        """The query of every request."""
        return [dict(request.url.params) for request in self.requests]

    @property
    def bodies(self) -> list[Any]:
        """The JSON body of every request."""
        return [json.loads(request.content) for request in self.requests]


@contextmanager
def jupiter(
    *answers: Answer,
    limits: PlanLimits = WIDE,
    api_key: str | None = KEY,
    clock: Clock | None = None,
) -> Iterator[tuple[JupiterClient, Wire]]:
    """A client and the wire it talks over."""
    wire = Wire(*answers)
    clock = clock or FakeClock()
    client = JupiterClient(
        "https://api.jup.ag",
        api_key=SecretStr(api_key) if api_key is not None else None,
        budget=RequestBudget(limits, organisation="test", clock=clock, redis_url=None),
        clock=clock,
        wire=Mocked("https://api.jup.ag", wire),
    )
    try:
        yield client, wire
    finally:
        client.close()
