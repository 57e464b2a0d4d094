"""Every way a question to Jupiter can fail has one type, with cause, fix and request id."""

from __future__ import annotations

import pickle
from datetime import timedelta

import httpx
import pytest

from sniperforge.domain.money import Mint
from sniperforge.errors import (
    AuthenticationError,
    ConfigError,
    ExchangeRejectedError,
    ExchangeUnavailableError,
    NoRouteError,
    ProtocolError,
    RateLimitedError,
    SniperForgeError,
)
from sniperforge.ports.exchange import Lane, OrderRequest
from sniperforge.shared.jupiter.rate_limit import PLANS
from tests.fakes.clock import START
from tests.fakes.jupiter_http import GATEWAY_ID, KEY, Answer, answer, jupiter
from tests.fakes.jupiter_json import SOL, USDC, order_json

QUOTE = OrderRequest(input_mint=Mint(USDC), output_mint=Mint(SOL), amount_raw=25_000_000, taker=None)


def failure(*answers: Answer) -> SniperForgeError:
    with jupiter(*answers) as (client, wire), pytest.raises(SniperForgeError) as caught:
        client.order(QUOTE, lane=Lane.ENTRY)
    assert len(wire.requests) == 1, "the adapter never asks twice by itself"
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (400, {"error": "Failed to get quotes", "requestId": "r"}, NoRouteError, "smaller amount"),
        (400, {"error": "No routes found"}, NoRouteError, "smaller amount"),
        (400, {"errorCode": "COULD_NOT_FIND_ANY_ROUTE", "error": "x"}, NoRouteError, "smaller amount"),
        (400, {"error": "NO_ROUTES_FOUND"}, NoRouteError, "smaller amount"),
        (400, {"error": "ROUTE_PLAN_DOES_NOT_CONSUME_ALL_THE_AMOUNT"}, NoRouteError, "smaller amount"),
        (400, {"error": "CANNOT_COMPUTE_OTHER_AMOUNT_THRESHOLD"}, NoRouteError, "smaller amount"),
        (400, {"error": "MARKET_NOT_FOUND"}, NoRouteError, "smaller amount"),
        (400, {"error": "TOKEN_NOT_TRADABLE"}, ExchangeRejectedError, "choose another"),
        (400, {"error": "NOT_SUPPORTED"}, ExchangeRejectedError, "does not support"),
        (400, {"error": "CIRCULAR_ARBITRAGE_IS_DISABLED"}, ExchangeRejectedError, "two different tokens"),
        (400, {"error": "dexes and excludeDexes are mutually exclusive"}, ExchangeRejectedError, "only one"),
        (400, {"error": "amount is invalid"}, ExchangeRejectedError, "Change the request"),
        (400, ["unexpected"], ExchangeRejectedError, "Change the request"),
        (401, {"code": 401, "message": "Unauthorized"}, AuthenticationError, "jupiter_api_key"),
        (
            403,
            {"code": 403, "message": "API key does not have access to this endpoint"},
            AuthenticationError,
            "Give the key access",
        ),
        (403, {"code": 403, "message": "Request blocked by firewall"}, AuthenticationError, "firewall rules"),
        (404, {"error": "Not Found"}, ExchangeRejectedError, "jupiter_url"),
        (408, {}, ExchangeUnavailableError, "Try again"),
        (429, {"code": 429, "message": "[API Gateway] Too many requests"}, RateLimitedError, "larger plan"),
        (429, {"code": 429, "message": "Too many requests"}, RateLimitedError, "firewall rules"),
        (500, {"error": "Internal server error"}, ExchangeUnavailableError, "Try again"),
        (502, {}, ExchangeUnavailableError, "Try again"),
        (302, {}, ExchangeRejectedError, "jupiter_url"),
        (204, {}, ExchangeRejectedError, "jupiter_url"),
    ],
)
def test_every_status_has_its_type_fix_and_request_id(
    status: int, body: object, expected: type[SniperForgeError], words: str
) -> None:
    error = failure(answer(body, status))

    assert type(error) is expected
    assert words in error.fix
    assert error.request_id == GATEWAY_ID
    assert "/swap/v2/order" in str(error)


def test_html_from_a_broken_gateway_is_only_unavailable() -> None:
    error = failure(httpx.Response(503, content=b"<html><h1>503 Service Unavailable</h1></html>"))

    assert isinstance(error, ExchangeUnavailableError)
    assert "<h1>" not in str(error)


@pytest.mark.parametrize("body", [b"<html>", b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 5000])
def test_an_unreadable_body_is_only_unavailable(body: bytes) -> None:
    assert isinstance(failure(httpx.Response(200, content=body)), ExchangeUnavailableError)


@pytest.mark.parametrize("body", [[], "text", 1, None])
def test_json_of_another_shape_breaks_the_protocol(body: object) -> None:
    assert isinstance(failure(answer(body)), ProtocolError)


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("half an answer"),
    ],
)
def test_trouble_on_the_way_is_unavailable_and_names_its_kind(trouble: Exception) -> None:
    error = failure(trouble)

    assert isinstance(error, ExchangeUnavailableError)
    assert type(trouble).__name__ in str(error)


def test_429_says_when_one_place_opens() -> None:
    reset = int((START + timedelta(seconds=7)).timestamp())
    error = failure(answer({"message": "[API Gateway] Too many requests"}, 429, x_ratelimit_reset=str(reset)))

    assert isinstance(error, RateLimitedError)
    assert error.retry_at == START + timedelta(seconds=7)


@pytest.mark.parametrize("reset", ["", "soon", "-5", "99999999999999999999"])
def test_an_unreadable_reset_is_no_reset(reset: str) -> None:
    error = failure(answer({}, 429, x_ratelimit_reset=reset))

    assert isinstance(error, RateLimitedError)
    assert error.retry_at is None


def test_the_key_travels_in_its_header_and_nowhere_else() -> None:
    with jupiter(answer(order_json(transaction=None))) as (client, wire):
        client.order(QUOTE, lane=Lane.ENTRY)
        shown = repr(client) + repr(vars(client))

    request = wire.requests[0]
    assert request.headers["x-api-key"] == KEY
    assert request.headers["user-agent"].startswith("sniperforge/")
    assert KEY not in str(request.url)
    assert KEY not in shown


def test_without_a_key_no_header_is_sent() -> None:
    with jupiter(answer(order_json(transaction=None)), api_key=None) as (client, wire):
        client.order(QUOTE, lane=Lane.ENTRY)

    assert "x-api-key" not in wire.requests[0].headers


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_a_key_echoed_by_the_server_does_not_reach_an_error(status: int) -> None:
    error = failure(answer({"error": f"key {KEY} is bad", "message": KEY, "code": KEY}, status))

    assert KEY not in str(error)
    assert KEY not in repr(pickle.dumps(error))


def test_a_key_quoted_by_the_http_library_does_not_reach_an_error() -> None:
    error = failure(httpx.LocalProtocolError(f"Illegal header value b'{KEY}'"))

    assert KEY not in str(error)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(key: str) -> None:
    with pytest.raises(ConfigError, match="jupiter_api_key") as caught, jupiter(api_key=key):
        pass

    assert not key or key not in str(caught.value)


def test_what_the_provider_says_becomes_one_short_printable_line() -> None:
    error = failure(answer({"error": "bad\x1b[31m\nthing " + "x" * 5000}, 400))

    assert "\x1b" not in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 500


def test_errors_survive_pickling() -> None:
    error = failure(answer({"error": "No routes found"}, 400))

    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 (our own bytes)


def test_warming_opens_a_connection_as_long_as_the_budget_has_calls_to_spare() -> None:
    with jupiter(*[httpx.Response(404)] * 9, limits=PLANS["keyless"]) as (client, wire):
        for _ in range(9):
            client.warm()

    assert [(request.method, request.url.path) for request in wire.requests] == [("HEAD", "/")] * 2


def test_warming_says_when_nobody_is_there() -> None:
    with jupiter(httpx.ConnectError("refused")) as (client, _), pytest.raises(ExchangeUnavailableError):
        client.warm()
