"""A real HTTP server on loopback that answers JSON-RPC as a test tells it to, and counts what arrives."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["RpcRequest"], "RpcReply"]


class RpcRequest:
    """One request as it came over the wire: what was asked, and by which connection (the port at its other end)."""

    def __init__(self, body: bytes, parsed: dict[str, Any], *, connection: int, headers: Mapping[str, str]) -> None:
        self.body = body
        self.connection = connection
        self.headers = headers
        self.id: Any = parsed["id"]
        self.method: str = parsed["method"]
        self.params: list[Any] = parsed.get("params", [])


class RpcReply:
    """What goes back: status, headers and body, or a dropped connection."""

    def __init__(
        self, body: str = "", *, status: int = 200, headers: Mapping[str, str] | None = None, drop: bool = False
    ) -> None:
        self.body = body
        self.status = status
        self.headers = dict(headers or {})
        self.drop = drop


def result(value: Any) -> Reply:
    """A JSON-RPC result for whatever was asked."""
    return lambda request: RpcReply(json.dumps({"jsonrpc": "2.0", "id": request.id, "result": value}))


def in_context(value: Any, *, slot: int = 100) -> Reply:
    """A result with its context."""
    return result({"context": {"apiVersion": "3.1.0", "slot": slot}, "value": value})


def error(code: Any, message: str | None = "as told", data: Any = None) -> Reply:
    """A JSON-RPC error; None leaves the message or the data out."""
    body: dict[str, Any] = {"code": code}
    if message is not None:
        body["message"] = message
    if data is not None:
        body["data"] = data
    return lambda request: RpcReply(json.dumps({"jsonrpc": "2.0", "id": request.id, "error": body}))


def raw(body: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """These bytes, whatever was asked."""
    return lambda _: RpcReply(body, status=status, headers=headers)


def dropped() -> Reply:
    """The request is read whole, then the connection is reset."""
    return lambda _: RpcReply(drop=True)


class RpcServer:
    """Answers by method name; `replies` may change at any time. A list is used up one by one, its last one stays."""

    def __init__(self, replies: Mapping[str, Reply | list[Reply]]) -> None:
        self.replies: dict[str, Reply | list[Reply]] = dict(replies)
        self.requests: list[RpcRequest] = []
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The free port it found."""
        return self._http.server_address[1]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: str) -> list[RpcRequest]:
        """Requests of one method, in order."""
        with self._lock:
            return [request for request in self.requests if request.method == method]

    def stop(self) -> None:
        """Stop serving and close the port."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _reply(self, request: RpcRequest) -> RpcReply:
        with self._lock:
            self.requests.append(request)
            reply = self.replies.get(request.method, error(-32601, "Method not found"))
            if isinstance(reply, list):
                reply = reply.pop(0) if len(reply) > 1 else reply[0]
        return reply(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                parsed = json.loads(content)
                came = partial(RpcRequest, connection=self.client_address[1], headers=dict(self.headers))
                if isinstance(parsed, list):
                    replies = [server._reply(came(content, one)) for one in parsed]
                    reply = RpcReply("[" + ",".join(one.body for one in replies) + "]")
                else:
                    reply = server._reply(came(content, parsed))
                if reply.drop:
                    # Linger of zero seconds: closing sends a reset.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    return
                body = reply.body.encode()
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                """Tests read `requests` instead."""

        return Handler


@contextmanager
def rpc_server(replies: Mapping[str, Reply | list[Reply]]) -> Iterator[RpcServer]:
    """A running server, stopped at the end."""
    server = RpcServer(replies)
    try:
        yield server
    finally:
        server.stop()
