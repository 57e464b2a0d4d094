"""The RPC server: HTTP POST at `/` (first node) and `/node/<name>`, `GET /health`, and faults on the way.

A bare ASGI application, because every trade passes here half a dozen times.
"""

from __future__ import annotations

import random

from sniperforge.sandbox.chain import NodeView
from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.fault_transport import TOO_MANY_RPC, AsgiApp, Misfortune, Receive, Scope, Send, respond
from sniperforge.sandbox.faults import RPC_KINDS, FaultRule
from sniperforge.sandbox.rpc.call import RpcCall, RpcShared
from sniperforge.sandbox.rpc.dispatch import Malformed, Request, answer, encode, failure, parse_body
from sniperforge.sandbox.rpc.errors import RpcError
from sniperforge.sandbox.rpc.sending import HEALTHY_LAG_SLOTS

MAX_BODY_BYTES = 50 * 1024
_TEXT = b"text/plain; charset=utf-8"
_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"content-type, solana-client"),
)


class _BodyTooLargeError(Exception):
    """The body is longer than a node accepts."""


def node_at(context: SandboxContext, path: str) -> NodeView | None:
    """The node that answers at a path: the first one at `/`, others at `/node/<name>`."""
    if path in {"/", ""}:
        return context.first_node
    if path.startswith("/node/"):
        return context.nodes.get(path[len("/node/") :].rstrip("/"))
    return None


class RpcApp:
    """ASGI application of the RPC port.

    Args:
        context: The sandbox.
        shared: What all nodes share besides the chain.
        websocket: The application that serves WebSocket upgrades on the same port.
    """

    def __init__(self, context: SandboxContext, shared: RpcShared, websocket: AsgiApp) -> None:
        self._context = context
        self._shared = shared
        self._websocket = websocket
        self._dice = random.Random(f"{context.config.seed}:swallow")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        if method == "GET" and path.endswith("/health"):
            await self._health(path[: -len("/health")] or "/", send)
            return
        node = node_at(self._context, path)
        if node is None:
            await respond(send, 404, b"There is no such node; `sniperforge sandbox` lists them.\n", _TEXT)
        elif method == "OPTIONS":
            await respond(send, 200, b"", _TEXT, _CORS)
        elif method != "POST":
            text = b"Used HTTP Method is not allowed. POST or OPTIONS is required\n"
            await respond(send, 405, text, _TEXT, ((b"allow", b"OPTIONS, POST"),))
        elif not _is_json(scope):
            text = b"Supplied content type is not allowed. Content-Type: application/json is required\n"
            await respond(send, 415, text, _TEXT)
        else:
            await self._serve(node, scope, receive, send)

    async def _health(self, path: str, send: Send) -> None:
        node = node_at(self._context, path)
        if node is None:
            await respond(send, 404, b"There is no such node.\n", _TEXT)
        else:
            await respond(send, 200, b"behind" if node.lag_slots > HEALTHY_LAG_SLOTS else b"ok", _TEXT)

    async def _serve(self, node: NodeView, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _read_body(receive)
        except _BodyTooLargeError:
            await respond(send, 413, b"request body size exceeds allowed maximum\n", _TEXT)
            return
        requests, batch = parse_body(body)
        drawn = [self._draw(one, node) for one in requests]
        misfortune = Misfortune([rule for rules in drawn for rule in rules], too_many=TOO_MANY_RPC)
        if await misfortune.instead(scope, receive, send):
            return
        answers = [
            shown
            for one, rules in zip(requests, drawn, strict=True)
            if (shown := self._answer(one, node, rules)) is not None
        ]
        if misfortune.spoils_response:
            await misfortune.afterwards(scope, receive, send)
        elif not answers:
            await respond(send, 200, b"", extra=_CORS[:1])
        else:
            await respond(send, 200, encode(answers if batch else answers[0]), extra=_CORS[:1])

    def _draw(self, request: Request | Malformed, node: NodeView) -> list[FaultRule]:
        if isinstance(request, Malformed):
            return []
        return self._context.faults.draw(f"rpc:{request.method}", node=node.name, kinds=RPC_KINDS)

    def _answer(self, request: Request | Malformed, node: NodeView, rules: list[FaultRule]) -> dict[str, object] | None:
        if isinstance(request, Malformed):
            return failure(request.error, request.id)
        for rule in rules:
            if rule.kind == "rpc_error":
                params = rule.params
                error = RpcError(params["code"], params["message"], params.get("data"))
                return None if request.notification else failure(error, request.id)
        kinds = frozenset(rule.kind for rule in rules)
        if node.swallow and request.method == "sendTransaction" and self._dice.random() < node.swallow:
            kinds |= {"swallow"}
        shown = answer(RpcCall(self._context, self._shared, node, node.at_slot, kinds), request)
        return None if request.notification else shown


def _is_json(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-type":
            return bool(value.split(b";", 1)[0].strip().lower() == b"application/json")
    return False


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _BodyTooLargeError
        if not message.get("more_body"):
            return bytes(body)
