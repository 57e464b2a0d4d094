"""HTTP connections to one place, for requests that are made one at a time and waited for.

They are lent: a thread has a connection to itself while it asks, and the one given back last is lent next, so that few
are open and those are warm. Measured with 100 threads: one client shared by all manages a third of the trades per
second, at five times the CPU for each, that clients used by one thread at a time do.

Below the convenience of an HTTP client, because that costs as much CPU as the request itself: addresses and headers
are written once, and there are no cookies, no redirects and no second tries.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
import weakref
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypedDict
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from sniperforge.errors import ConfigError

_PORTS = {"http": 80, "https": 443}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_ON_THE_WAY = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
)
"""Everything that may go wrong with a request that can be written; these have no common ancestor."""

_lenders: weakref.WeakSet[Connections] = weakref.WeakSet()


Headers = Sequence[tuple[bytes, bytes]]


class NoAnswerError(Exception):
    """There is no whole answer; whether the request arrived is unknown unless no connection was made.

    Attributes:
        cause: `httpcore2.TimeoutException`, `NetworkError`, `ProtocolError` or `ProxyError`, or `TooLargeError`.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(type(cause).__name__)
        self.cause = cause


class TooLargeError(Exception):
    """The answer is larger than any that means well."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer.

    Attributes:
        status: Of HTTP.
        headers: By their names in lower case; of several with one name, the last.
        body: As it was sent, which is unpacked.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class Connections:
    """Makes, lends and closes the connections to one place.

    Safe for many threads at once; a forked child has its own.

    Args:
        url: Where requests go; user and password in it are sent as basic authentication.
        setting: Which setting holds the address, for errors.
        keepalive_s: After so long without a request a connection is closed.
        largest_bytes: Of an answer; whatever is larger is no answer.

    Raises:
        ConfigError: The address cannot be written in a request, or the proxy that leads there is of a kind we lack.
    """

    def __init__(self, url: str, *, setting: str, keepalive_s: float, largest_bytes: int) -> None:
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL:
            raise ConfigError(
                "an address with characters that no address has", subject=setting, fix="Copy it again"
            ) from None
        self._proxy = _proxy_to(parsed)
        self._place = parsed
        self._headers = [
            (b"host", parsed.netloc),
            (b"accept", b"application/json"),
            # Answers that matter in a hurry are small, and what is not packed need not be unpacked.
            (b"accept-encoding", b"identity"),
        ]
        if parsed.userinfo:
            named = b64encode(f"{parsed.username}:{parsed.password}".encode())
            self._headers.append((b"authorization", b"Basic " + named))
        self._keepalive_s = keepalive_s
        self._largest_bytes = largest_bytes
        self._inherited: list[deque[_Connection]] = []
        self._begin()
        _lenders.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._idle: deque[_Connection] = deque()

    def request(
        self, method: bytes, target: bytes, headers: Headers, body: bytes | None, timeout_s: float
    ) -> HttpAnswer:
        """Make one request, exactly once. Only the resolver limits how long a host's name is looked up.

        Args:
            method: Of HTTP.
            target: Path and query, as they are written in the request.
            headers: Besides those that every request has.
            body: What is posted, JSON; None for none.
            timeout_s: Until the whole answer is here, however it drips in.

        Raises:
            NoAnswerError: There is no whole answer.
        """
        sent = [*self._headers, *headers]
        if body is not None:
            sent += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        url = httpcore2.URL(
            scheme=self._place.raw_scheme, host=self._place.raw_host, port=self._place.port, target=target
        )
        with self._lent() as connection:
            connection.deadline.at = time.monotonic() + timeout_s
            try:
                answer = connection.way.handle_request(httpcore2.Request(method, url, headers=sent, content=body))
                try:
                    whole = self._read(answer)
                finally:
                    answer.close()
            except (*_ON_THE_WAY, TooLargeError) as error:
                raise NoAnswerError(error) from error
        named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
        return HttpAnswer(answer.status, named, whole)

    def _read(self, answer: httpcore2.Response) -> bytes:
        whole = bytearray()
        for chunk in answer.iter_stream():
            whole += chunk
            if len(whole) > self._largest_bytes:
                raise TooLargeError
        return bytes(whole)

    def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back. The next request opens a new one."""
        with self._lock:
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.way.close()

    @contextmanager
    def _lent(self) -> Iterator[_Connection]:
        with self._lock:
            home = self._idle
            connection = home.pop() if home else None
        if connection is None or connection.is_over():
            connection = self._new()
        try:
            yield connection
        finally:
            self._give_back(connection, home)

    def _new(self) -> _Connection:
        deadline = _Deadline()
        settings: _Settings = {
            "ssl_context": _tls() if self._place.scheme == "https" else None,
            "keepalive_expiry": self._keepalive_s,
            "retries": 0,
            "network_backend": _TimedBackend(deadline),
        }
        if self._proxy is not None:
            return _Connection(httpcore2.ConnectionPool(proxy=self._proxy, max_connections=1, **settings), deadline)
        origin = httpcore2.Origin(
            self._place.raw_scheme,
            self._place.raw_host,
            self._place.port or _PORTS[self._place.scheme],
        )
        return _Connection(httpcore2.HTTPConnection(origin, **settings), deadline)

    def _give_back(self, connection: _Connection, home: deque[_Connection]) -> None:
        connection.idle_since = time.monotonic()
        done = []
        with self._lock:
            if home is self._idle:
                home.append(connection)
                # What a burst needed and nobody does any more: the peer has hung up, or is about to.
                while home[0].idle_since < connection.idle_since - self._keepalive_s:
                    done.append(home.popleft())
            else:
                done.append(connection)
        for one in done:
            one.way.close()

    def _leave_to_the_parent(self) -> None:
        # Kept and never touched again: closing a copy would say goodbye to the server in the parent's name.
        self._inherited.append(self._idle)
        self._begin()


@dataclass(slots=True)
class _Deadline:
    at: float = 0.0

    def left(self, timed_out: type[httpcore2.TimeoutException]) -> float:
        left = self.at - time.monotonic()
        if left <= 0:
            raise timed_out
        return left


class _Settings(TypedDict):
    ssl_context: ssl.SSLContext | None
    keepalive_expiry: float
    retries: int
    network_backend: httpcore2.NetworkBackend


@dataclass(slots=True)
class _Connection:
    """The way there: one connection, or, where a proxy stands in between, a pool of one, which knows how to ask it."""

    way: httpcore2.HTTPConnection | httpcore2.ConnectionPool
    deadline: _Deadline
    idle_since: float = field(default=0.0)

    def is_over(self) -> bool:
        """Whether it cannot be used again: broken, idle for too long, or the peer has hung up. Then it is closed."""
        if isinstance(self.way, httpcore2.ConnectionPool):
            return False  # it opens its connection again
        over = self.way.is_closed() or self.way.has_expired() or not self.way.is_available()
        if over:
            self.way.close()
        return over


class _TimedStream(httpcore2.NetworkStream):
    """Waits no longer than until the deadline; by itself a stream waits so long for each part of an answer."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 (the deadline says it)
        return self._stream.read(max_bytes, self._deadline.left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 (the deadline says it)
        self._stream.write(buffer, self._deadline.left(httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 (the deadline says it)
    ) -> httpcore2.NetworkStream:
        left = self._deadline.left(httpcore2.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _TimedBackend(httpcore2.NetworkBackend):
    def __init__(self, deadline: _Deadline) -> None:
        self._sockets = httpcore2.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 (the deadline says it)
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        left = self._deadline.left(httpcore2.ConnectTimeout)
        stream = self._sockets.connect_tcp(host, port, left, local_address, socket_options)
        return _TimedStream(stream, self._deadline)


@cache
def _tls() -> ssl.SSLContext:
    """Made once for all: it takes about 20 ms, and the same authorities are trusted as by solana-py's client."""
    return httpx2.create_ssl_context()


def _proxy_to(url: httpx2.URL) -> httpcore2.Proxy | None:
    """The proxy that the environment names for this address; none leads from the outside world to this machine."""
    if url.host in _LOOPBACK or proxy_bypass(url.host):
        return None
    named = getproxies()
    address = named.get(url.scheme) or named.get("all")
    if not address:
        return None
    try:
        proxy = httpx2.Proxy(address)
    except (ValueError, httpx2.InvalidURL):
        proxy = None
    if proxy is None or proxy.url.scheme not in {"http", "https"}:
        raise ConfigError(
            f"the proxy on the way to {url.host} is no HTTP proxy",
            subject=f"{url.scheme}_proxy",
            fix="Name an http:// proxy in the environment, or the host in no_proxy",
        )
    return httpcore2.Proxy(
        httpcore2.URL(
            scheme=proxy.url.raw_scheme, host=proxy.url.raw_host, port=proxy.url.port, target=proxy.url.raw_path
        ),
        auth=proxy.raw_auth,
        headers=proxy.headers.raw,
        ssl_context=proxy.ssl_context,
    )


def _leave_connections_to_the_parent() -> None:
    for lender in list(_lenders):
        lender._leave_to_the_parent()  # noqa: SLF001 (a thread that the child does not have may have held its lock)


os.register_at_fork(after_in_child=_leave_connections_to_the_parent)
