"""The client over real connections: what is written, what is kept open, and answers that do not end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

from sniperforge.domain.money import Mint
from sniperforge.errors import ConfigError, ExchangeUnavailableError, ExecuteOutcomeUnknownError
from sniperforge.ports.exchange import Lane, OrderRequest
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.jupiter.client import JupiterClient
from sniperforge.shared.jupiter.rate_limit import RequestBudget
from tests.fakes.jupiter_http import KEY, WIDE
from tests.fakes.jupiter_json import SOL, USDC, execute_json, order_json
from tests.fakes.raw_server import IN_BODY, IN_HEADERS, Drip, endless, one_connection

QUOTE = OrderRequest(
    input_mint=Mint(USDC),
    output_mint=Mint(SOL),
    amount_raw=25_000_000,
    taker=None,
    exclude_routers=("jupiterz", "dflow"),
)


class Seen:
    """One request as it arrived."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.line = handler.requestline
        self.query = dict(parse_qsl(urlsplit(handler.path).query))
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.connection: int = handler.client_address[1]


@contextmanager
def gateway(*, hangs_up: bool = False) -> Iterator[tuple[str, list[Seen]]]:
    """Answers orders and executions, and remembers what arrived. It may hang up after each answer, unannounced."""
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.give(order_json(transaction=None))

        def do_POST(self) -> None:
            self.give(execute_json())

        def give(self, answer: Any) -> None:
            seen.append(Seen(self))
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = hangs_up

        def log_message(self, *_args: Any) -> None:
            """Tests look at what was seen instead."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def connect() -> Iterator[Callable[..., JupiterClient]]:
    clients: list[JupiterClient] = []

    def make(url: str, **options: Any) -> JupiterClient:
        clock = SystemClock()
        budget = RequestBudget(WIDE, organisation="test", clock=clock, redis_url=None)
        clients.append(JupiterClient(url, api_key=SecretStr(KEY), budget=budget, clock=clock, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


Connect = Callable[..., JupiterClient]


def test_a_read_is_written_with_its_path_its_query_and_the_key(connect: Connect) -> None:
    with gateway() as (url, seen):
        connect(f"{url}/behind/").order(QUOTE, lane=Lane.ENTRY)
    (request,) = seen
    assert request.line.startswith("GET /behind/swap/v2/order?inputMint=")
    assert request.query == {
        "inputMint": USDC,
        "outputMint": SOL,
        "amount": "25000000",
        "excludeRouters": "jupiterz,dflow",
    }
    assert request.headers["x-api-key"] == KEY
    assert request.headers["user-agent"].startswith("sniperforge/")
    assert request.headers["host"] == url.removeprefix("http://")
    assert "content-length" not in request.headers


def test_a_post_is_written_as_json_and_as_long_as_it_says(connect: Connect) -> None:
    with gateway() as (url, seen):
        connect(url).execute(b"signed", "order-1", 7)
    (request,) = seen
    assert request.line == "POST /swap/v2/execute HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "signedTransaction": "c2lnbmVk",
        "requestId": "order-1",
        "lastValidBlockHeight": "7",
    }


def test_one_connection_is_used_again_and_closing_is_not_the_end(connect: Connect) -> None:
    with gateway() as (url, seen):
        client = connect(url)
        for _ in range(2):
            client.order(QUOTE, lane=Lane.ENTRY)
        client.close()
        client.order(QUOTE, lane=Lane.ENTRY)
    first, second, third = [request.connection for request in seen]
    assert first == second
    assert third != first


def test_a_post_is_not_lost_in_a_connection_that_the_other_side_has_left(connect: Connect) -> None:
    with gateway(hangs_up=True) as (url, seen):
        client = connect(url)
        client.order(QUOTE, lane=Lane.ENTRY)
        threading.Event().wait(0.05)  # until the hanging up has arrived
        assert client.execute(b"signed", "order-1", None).code == 0
    assert len({request.connection for request in seen}) == 2


@pytest.mark.parametrize("drip", [IN_HEADERS, IN_BODY], ids=["in its headers", "in its body"])
def test_a_read_whose_answer_drips_for_ever_is_given_up(connect: Connect, drip: Drip) -> None:
    with one_connection(drip) as url, pytest.raises(ExchangeUnavailableError, match="ReadTimeout"):
        connect(url, timeout_s=0.1).order(QUOTE, lane=Lane.ENTRY)


def test_a_post_whose_answer_drips_for_ever_has_an_unknown_outcome(connect: Connect) -> None:
    with one_connection(IN_BODY) as url, pytest.raises(ExecuteOutcomeUnknownError, match="ReadTimeout"):
        connect(url, execute_timeout_s=0.1).execute(b"signed", "order-1", None)


def test_an_answer_without_end_is_given_up(connect: Connect) -> None:
    with one_connection(endless) as url, pytest.raises(ExchangeUnavailableError, match="TooLarge"):
        connect(url).order(QUOTE, lane=Lane.ENTRY)


def test_an_address_that_cannot_be_written_in_a_request_is_refused(connect: Connect) -> None:
    with pytest.raises(ConfigError) as caught:
        connect("http://127.0.0.1:8899/\x7f")
    assert caught.value.subject == "jupiter_url"
