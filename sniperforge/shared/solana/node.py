"""One RPC node: a request out, a checked JSON result back, every failure as one of our errors.

A question that somebody waits for goes out on the thread that asks. What goes to all nodes at once (a transaction, a
look at their health) goes through the transport of solana-py's AsyncClient (`AsyncHTTPProvider`) on the background
loop. Neither uses solders' response parsers, because they cannot be trusted with what real nodes send (measured with
solders 0.29): an error code they do not know comes back as a *value* (`get_block_height()` gave 429), an error without
`message` or `data` is a panic, and the answer to another request is accepted.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import httpcore2
import httpx2
from solana.exceptions import SolanaRpcException
from solana.rpc.async_http_provider import AsyncHTTPProvider
from solana.rpc.jsonrpc import JsonRpcRequest

from sniperforge.errors import NodeUnavailableError, ProtocolError, SniperForgeError
from sniperforge.ports.clock import Clock
from sniperforge.shared.connections import Connections, NoAnswerError
from sniperforge.shared.solana.addresses import NodeAddress
from sniperforge.shared.solana.failures import from_http_status, from_rpc_error, retry_after

MAX_CONNECTIONS = 128
KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which common servers hang up, so that we seldom write into a closing connection."""

LARGEST_ANSWER_BYTES = 256 * 2**20
"""Some hundred thousand token accounts of one wallet."""

EXCERPT_CHARACTERS = 160
T = TypeVar("T")

_TIMEOUTS = (httpcore2.TimeoutException, httpx2.TimeoutException)
_NO_CONNECTION = (httpcore2.ConnectError, httpx2.ConnectError)
_DROPS = (
    httpcore2.NetworkError,
    httpcore2.RemoteProtocolError,
    httpx2.NetworkError,
    httpx2.RemoteProtocolError,
)


def _hide_addresses(record: logging.LogRecord) -> bool:
    # Below WARNING they print each request's full address, and headers such as Location. Addresses carry API keys.
    return record.levelno >= logging.WARNING


for _chatty in ("httpx2", "httpcore2.http11"):
    logging.getLogger(_chatty).addFilter(_hide_addresses)


class RpcNode:
    """One JSON-RPC endpoint and the connections to it. Safe for many threads.

    Raises:
        ConfigError: The address cannot be written in a request.
    """

    def __init__(self, address: NodeAddress, clock: Clock, timeout_s: float) -> None:
        self._address = address
        self._clock = clock
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._connections = Connections(
            address.url, setting="rpc_urls", keepalive_s=KEEPALIVE_S, largest_bytes=LARGEST_ANSWER_BYTES
        )
        self._target = httpx2.URL(address.url).raw_path
        self._providers: dict[asyncio.AbstractEventLoop, AsyncHTTPProvider] = {}

    @property
    def name(self) -> str:
        """What it is called; gives no secret away."""
        return self._address.name

    def __repr__(self) -> str:
        return f"RpcNode({self.name})"

    def read(self, method: str, params: list[Any]) -> Any:
        """Ask a question. A connection that drops is opened again and the question repeated once, at this node.

        Raises:
            RetryableError: `NodeUnavailableError`, `NodeBehindError` or `RateLimitedError`.
            RpcRejectedError: The node refuses the question.
            ProtocolError: The answer is no answer to this question.
        """
        return _again_if_dropped(lambda: self._ask(method, params))

    def read_together(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Ask several questions in one HTTP request (a JSON-RPC batch); results in the order asked.

        A node may work on them in any order, so what depends on an order must be told by the answers' slots.
        Raises like `read`, for the first question that has no answer.
        """
        return _again_if_dropped(lambda: self._ask_together(calls))

    async def read_on_loop(self, method: str, params: list[Any]) -> Any:
        """Ask a question while the same is asked of other nodes. Repeats and raises like `read`."""
        try:
            return await self.once_on_loop(method, params)
        except NodeUnavailableError as error:
            if not _dropped(error):
                raise
        return await self.once_on_loop(method, params)

    async def once_on_loop(self, method: str, params: list[Any]) -> Any:
        """Post one request exactly once, whatever happens. Raises like `read`, and `PreflightFailedError`."""
        body = JsonRpcRequest(id=next(self._ids), method=method, params=params)
        outcome = await self._post_on_loop(method, body)
        if isinstance(outcome, SniperForgeError):
            # Raised here, outside any `except`, so that no context of it prints the address.
            raise outcome
        return self._checked(method, body.id, self._json(method, outcome))

    def close(self) -> None:
        """Close the connections of those who wait for an answer. The next question opens new ones."""
        self._connections.close()

    async def close_on_loop(self) -> None:
        """Close this loop's connections."""
        provider = self._providers.pop(asyncio.get_running_loop(), None)
        if provider is not None:
            await provider.close()

    def _ask(self, method: str, params: list[Any]) -> Any:
        body = JsonRpcRequest(id=next(self._ids), method=method, params=params)
        outcome = self._post(method, body.to_json())
        if isinstance(outcome, SniperForgeError):
            raise outcome  # outside any `except`, as above
        return self._checked(method, body.id, self._json(method, outcome))

    def _ask_together(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        asked = [JsonRpcRequest(id=next(self._ids), method=method, params=params) for method, params in calls]
        names = ", ".join(method for method, _ in calls)
        outcome = self._post(names, "[" + ",".join(body.to_json() for body in asked) + "]")
        if isinstance(outcome, SniperForgeError):
            raise outcome  # outside any `except`, as above
        answers = self._json(names, outcome)
        if not isinstance(answers, list):
            # A node refuses a whole batch (too large, unsupported) with one answer.
            return [self._checked(names, None, answers)]
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        return [self._checked(body.method, body.id, by_id.get(body.id)) for body in asked]

    def _post(self, method: str, body: str) -> str | SniperForgeError:
        try:
            answer = self._connections.request(b"POST", self._target, (), body.encode(), self._timeout_s)
        except NoAnswerError as error:
            return self._transport_failure(method, error.cause)
        text = answer.body.decode(errors="replace")
        return (
            text
            if answer.status == 200
            else self._refused(method, answer.status, answer.headers.get("retry-after"), text)
        )

    async def _post_on_loop(self, method: str, body: JsonRpcRequest) -> str | SniperForgeError:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._provider().make_request_unparsed(body)
        except TimeoutError:
            return self._unavailable(method, f"no answer within {self._timeout_s:g} s")
        except SolanaRpcException as error:
            cause = error.__cause__
        if isinstance(cause, httpx2.HTTPStatusError):
            response = cause.response
            return self._refused(method, response.status_code, response.headers.get("retry-after"), response.text)
        return self._transport_failure(method, cause)

    def _provider(self) -> AsyncHTTPProvider:
        loop = asyncio.get_running_loop()
        provider = self._providers.get(loop)
        if provider is None:
            # Connections belong to a loop. Those of a parent process stay in the dictionary, untouched, because
            # closing a copy of them here would say goodbye to the server in the parent's name.
            provider = AsyncHTTPProvider(
                self._address.url,
                timeout=self._timeout_s,
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                keepalive_expiry=KEEPALIVE_S,
                http2=False,  # its header codec logs paths at DEBUG, and one drop would take every request along
                max_transport_retries=0,  # the default repeats *sends* after a dropped connection
            )
            self._providers[loop] = provider
        return provider

    def _refused(self, method: str, status: int, retry_header: str | None, text: str) -> SniperForgeError:
        moment = retry_after(retry_header, self._clock.now())
        return from_http_status(self.name, method, status, self._excerpt(text), retry_at=moment)

    def _transport_failure(self, method: str, cause: BaseException | None) -> SniperForgeError:
        if isinstance(cause, _TIMEOUTS):
            return self._unavailable(method, f"no answer within {self._timeout_s:g} s")
        if isinstance(cause, _NO_CONNECTION):
            return self._unavailable(method, "no connection", fix="Check that the node runs and the address is right")
        if isinstance(cause, _DROPS):
            return self._unavailable(method, "the connection dropped before the answer", dropped=True)
        return self._unavailable(method, f"the request failed on the way ({type(cause).__name__})")

    def _unavailable(
        self,
        method: str,
        what: str,
        *,
        fix: str = "Another node may answer; add one to rpc_urls",
        dropped: bool = False,
    ) -> NodeUnavailableError:
        return NodeUnavailableError(what, subject=f"{method} at {self.name}", fix=fix, node=self.name, dropped=dropped)

    def _json(self, method: str, text: str) -> Any:
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if answer is None:
            # A proxy's page or half an answer: something between us and the node, which may pass.
            raise self._unavailable(method, f"an answer that is no JSON ({self._excerpt(text)})")
        return answer

    def _checked(self, method: str, request_id: str | int | None, answer: Any) -> Any:
        if not isinstance(answer, dict) or ("result" not in answer and answer.get("error") is None):
            raise self._nonsense(method, f"no JSON-RPC answer ({self._excerpt(json.dumps(answer))})")
        error, answered = answer.get("error"), answer.get("id")
        if answered != request_id and not (error is not None and answered is None):
            theirs = self._excerpt(repr(answered))
            raise self._nonsense(method, f"the answer to another request (id {theirs} instead of {request_id})")
        if error is None:
            return answer["result"]
        if not isinstance(error, dict):
            raise self._nonsense(method, f"an error that is no object ({self._excerpt(str(error))})")
        message = self._excerpt(str(error.get("message") or "no message"))
        raise from_rpc_error(self.name, method, error.get("code"), message, error.get("data"))

    def _nonsense(self, method: str, what: str) -> ProtocolError:
        return ProtocolError(what, subject=f"{method} at {self.name}", fix="Use another RPC provider", node=self.name)

    def _excerpt(self, text: str) -> str:
        line = " ".join(self._address.redact(text).split())
        return line if len(line) <= EXCERPT_CHARACTERS else line[: EXCERPT_CHARACTERS - 1] + "…"


def _again_if_dropped(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except NodeUnavailableError as error:
        if not _dropped(error):
            raise
    return ask()


def _dropped(error: NodeUnavailableError) -> bool:
    return bool(error.details.get("dropped"))
