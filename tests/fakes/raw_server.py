"""Servers on loopback below the level of HTTP libraries: what a wire can do that no library would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def one_connection(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server for one connection: reads once, hands the connection over, and closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join()
        listener.close()


class Drip:
    """Answers with a beginning and then byte by byte, until the other side hangs up."""

    def __init__(self, beginning: bytes) -> None:
        self._beginning = beginning

    def __call__(self, connection: socket.socket) -> None:
        """Drip, for ten seconds at most."""
        connection.sendall(self._beginning)
        wait = threading.Event()
        try:
            for _ in range(1000):
                wait.wait(0.01)
                connection.sendall(b"x")
        except (BrokenPipeError, ConnectionResetError):
            return


IN_HEADERS = Drip(b"HTTP/1.1 200 OK\r\nX-")
IN_BODY = Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")


def endless(connection: socket.socket) -> None:
    """A body that does not end, as fast as it is taken, until the other side hangs up."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    try:
        while True:
            connection.sendall(chunk)
    except (BrokenPipeError, ConnectionResetError):
        return
