"""One RPC node: a request out, a checked JSON result back, every failure as one of our errors.

Requests go through the transport of solana-py's AsyncClient (`AsyncHTTPProvider`) and not through its typed methods,
because solders' response parsers cannot be trusted with what real nodes send (measured with solders 0.29):
an error code they do not know comes back as a *value* (`get_block_height()` gave 429), an error without `message` or
`data` is a panic, and the answer to another request is accepted.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Sequence
from typing import Any

import httpx2
from solana.exceptions import SolanaRpcException
from solana.rpc.async_http_provider import AsyncHTTPProvider
from solana.rpc.jsonrpc import JsonRpcRequest, JsonRpcRequestSerializer

from sniperforge.errors import NodeUnavailableError, ProtocolError, SniperForgeError
from sniperforge.ports.clock import Clock
from sniperforge.shared.solana.addresses import NodeAddress
from sniperforge.shared.solana.failures import from_http_status, from_rpc_error, retry_after

MAX_CONNECTIONS = 128
KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which common servers hang up, so that we seldom write into a closing connection."""

EXCERPT_CHARACTERS = 160


def _hide_addresses(record: logging.LogRecord) -> bool:
    # Below WARNING they print each request's full address, and headers such as Location. Addresses carry API keys.
    return record.levelno >= logging.WARNING


for _chatty in ("httpx2", "httpcore2.http11"):
    logging.getLogger(_chatty).addFilter(_hide_addresses)


class _Batch:
    """Several requests as one body."""

    def __init__(self, bodies: Sequence[JsonRpcRequest]) -> None:
        self._bodies = bodies

    def to_json(self) -> str:
        return "[" + ",".join(body.to_json() for body in self._bodies) + "]"


class RpcNode:
    """One JSON-RPC endpoint. Its coroutines run on the background loop; it holds that loop's connections."""

    def __init__(self, address: NodeAddress, clock: Clock, timeout_s: float) -> None:
        self._address = address
        self._clock = clock
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._providers: dict[asyncio.AbstractEventLoop, AsyncHTTPProvider] = {}

    @property
    def name(self) -> str:
        """What it is called; gives no secret away."""
        return self._address.name

    def __repr__(self) -> str:
        return f"RpcNode({self.name})"

    async def read(self, method: str, params: list[Any]) -> Any:
        """Ask a question. A connection that drops is opened again and the question repeated once, at this node.

        Raises:
            RetryableError: `NodeUnavailableError`, `NodeBehindError` or `RateLimitedError`.
            RpcRejectedError: The node refuses the question.
            ProtocolError: The answer is no answer to this question.
        """
        try:
            return await self.once(method, params)
        except NodeUnavailableError as error:
            if not error.details.get("dropped"):
                raise
        return await self.once(method, params)

    async def once(self, method: str, params: list[Any]) -> Any:
        """Post one request exactly once, whatever happens. Raises like `read`, and `PreflightFailedError`."""
        request_id = next(self._ids)
        body = JsonRpcRequest(id=request_id, method=method, params=params)
        outcome = await self._post(method, body)
        if isinstance(outcome, SniperForgeError):
            # Raised here, outside any `except`, so that no context of it prints the address.
            raise outcome
        return self._result(method, request_id, outcome)

    async def read_together(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Ask several questions in one HTTP request (a JSON-RPC batch); results in the order asked.

        A node may work on them in any order, so what depends on an order must be told by the answers' slots.
        Raises like `read`, for the first question that has no answer.
        """
        try:
            return await self._together(calls)
        except NodeUnavailableError as error:
            if not error.details.get("dropped"):
                raise
        return await self._together(calls)

    async def close(self) -> None:
        """Close this loop's connections."""
        provider = self._providers.pop(asyncio.get_running_loop(), None)
        if provider is not None:
            await provider.close()

    async def _together(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        asked = [(next(self._ids), method, params) for method, params in calls]
        names = ", ".join(method for method, _ in calls)
        outcome = await self._post(
            names, _Batch([JsonRpcRequest(id=id_, method=method, params=params) for id_, method, params in asked])
        )
        if isinstance(outcome, SniperForgeError):
            raise outcome
        answers = self._json(names, outcome)
        if not isinstance(answers, list):
            # A node refuses a whole batch (too large, unsupported) with one answer.
            return [self._checked(names, None, answers)]
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        return [self._checked(method, request_id, by_id.get(request_id)) for request_id, method, _ in asked]

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

    async def _post(self, method: str, body: JsonRpcRequestSerializer) -> str | SniperForgeError:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._provider().make_request_unparsed(body)
        except TimeoutError:
            return self._unavailable(method, f"no answer within {self._timeout_s:g} s")
        except SolanaRpcException as error:
            return self._transport_failure(method, error.__cause__)

    def _transport_failure(self, method: str, cause: BaseException | None) -> SniperForgeError:
        if isinstance(cause, httpx2.HTTPStatusError):
            response = cause.response
            moment = retry_after(response.headers.get("retry-after"), self._clock.now())
            return from_http_status(
                self.name, method, response.status_code, self._excerpt(response.text), retry_at=moment
            )
        if isinstance(cause, httpx2.TimeoutException):
            return self._unavailable(method, f"no answer within {self._timeout_s:g} s")
        if isinstance(cause, httpx2.ConnectError):
            return self._unavailable(method, "no connection", fix="Check that the node runs and the address is right")
        if isinstance(cause, (httpx2.NetworkError, httpx2.RemoteProtocolError)):
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

    def _result(self, method: str, request_id: int, text: str) -> Any:
        return self._checked(method, request_id, self._json(method, text))

    def _json(self, method: str, text: str) -> Any:
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if answer is None:
            # A proxy's page or half an answer: something between us and the node, which may pass.
            raise self._unavailable(method, f"an answer that is no JSON ({self._excerpt(text)})")
        return answer

    def _checked(self, method: str, request_id: int | None, answer: Any) -> Any:
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
