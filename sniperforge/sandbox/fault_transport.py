"""Faults as a client meets them: at the HTTP and TCP level.

Closing or resetting a connection needs its transport, which ASGI does not hand out. `FaultableHttpProtocol` puts
it into the scope; `Misfortune` uses it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sniperforge.sandbox.faults import HTTP_KINDS, FaultPlan, FaultRule

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_TRANSPORT = "sandbox.transport"
_HTML_500 = b"<html><head><title>500 Internal Server Error</title></head><body>nginx</body></html>\n"
TOO_MANY_JUPITER = b'{"code":429,"message":"Too many requests"}'
TOO_MANY_RPC = (
    b'{"jsonrpc":"2.0","error":{"code":429,"message":"Too many requests for a specific RPC call"},"id":null}\n'
)
_BEFORE = frozenset({"drop_request", "reset", "http_429", "http_500_html"})
"""Kinds that end a request before anything is done; the others of `ENDING_KINDS` let it happen first."""


class FaultableHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with the connection's transport within reach of the application."""

    def on_message_begin(self) -> None:
        """Start a request whose scope knows its transport."""
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: {"transport": self.transport}}


async def respond(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes = b"application/json",
    extra: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Send a whole HTTP response."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def cut(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """Close the connection without a response: an orderly end (FIN), or a reset (RST)."""
    transport: asyncio.Transport = scope["extensions"][_TRANSPORT]["transport"]
    if reset:
        # Zero linger makes close() discard the connection with a RST.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


class Misfortune:
    """The ending that befalls one request, if any, and the delay before it.

    Args:
        rules: What was drawn for the request.
        too_many: The body of a 429; as Jupiter's firewall words it, unless told otherwise.
    """

    def __init__(self, rules: Sequence[FaultRule], *, too_many: bytes = TOO_MANY_JUPITER) -> None:
        self._too_many = too_many
        self.delay_s = sum(rule.params["ms"] for rule in rules if rule.kind == "latency") / 1000
        self.kinds = frozenset(rule.kind for rule in rules)

    async def instead(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Wait the latency; then whether the request has ended before anything was done."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        kind = next(iter(self.kinds & _BEFORE), None)
        if kind is None:
            return False
        if kind == "http_429":
            await respond(send, 429, self._too_many)
        elif kind == "http_500_html":
            await respond(send, 500, _HTML_500, b"text/html")
        else:
            await cut(scope, receive, reset=kind == "reset")
        return True

    @property
    def spoils_response(self) -> bool:
        """Whether the client will not get the response to what was done."""
        return bool(self.kinds & {"drop_response", "http_500_after", "garbage"})

    async def afterwards(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End a request whose effect is there but whose response the client does not get."""
        if "drop_response" in self.kinds:
            await cut(scope, receive, reset=False)
        elif "http_500_after" in self.kinds:
            await respond(send, 500, _HTML_500, b"text/html")
        else:
            await respond(send, 200, b'{"jsonrpc":"2.0","resu\x00\xff')


class FaultMiddleware:
    """ASGI middleware that makes every request of an application suffer the plan's HTTP faults.

    Args:
        app: The application.
        faults: The rules in force.
        prefix: What targets of this application begin with, such as `jupiter:`; the path follows.
    """

    def __init__(self, app: AsgiApp, *, faults: FaultPlan, prefix: str) -> None:
        self._app = app
        self._faults = faults
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, well or badly."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        misfortune = Misfortune(self._faults.draw(self._prefix + scope["path"], kinds=HTTP_KINDS))
        if await misfortune.instead(scope, receive, send):
            return
        if not misfortune.spoils_response:
            await self._app(scope, receive, send)
            return

        async def discard(_message: MutableMapping[str, Any]) -> None:
            """The application believes it has answered."""

        await self._app(scope, receive, discard)
        await misfortune.afterwards(scope, receive, send)
