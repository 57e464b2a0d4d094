"""One event loop in one background thread per process, so that synchronous code can use an asynchronous client.

solana-py has no synchronous client. Other modules call plain methods; those hand a coroutine to this loop and wait.
The loop belongs to the process that started it: after a fork the child starts its own (Celery's prefork pool forks).
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from sniperforge.errors import ProtocolError

T = TypeVar("T")

GRACE_S = 2.0
"""How much longer than its own limit a call is waited for before the loop counts as stuck."""

_loops: weakref.WeakSet[BackgroundLoop] = weakref.WeakSet()


class BackgroundLoop:
    """An event loop that runs in a daemon thread and is started by its first use.

    Any number of threads may call `run` at once. `stop` ends the thread; the next `run` starts a new one.
    """

    def __init__(self) -> None:
        self._reset()
        _loops.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Run a coroutine on the loop and wait for its result.

        Args:
            coroutine: What to run. Exceptions it raises are raised here.
            timeout_s: Longest run; it is cancelled after that.

        Raises:
            TimeoutError: It did not end within `timeout_s`.
            ProtocolError: It ended with something that is not an `Exception`. Parsers written in Rust raise
                `PanicException`, which derives from `BaseException` alone and would end the loop for everybody.
            RuntimeError: Called on the loop's own thread, where waiting would never end.
        """
        loop = self._running()
        if threading.current_thread() is self._thread:
            coroutine.close()
            message = "BackgroundLoop.run called on its own thread; await the coroutine instead"
            raise RuntimeError(message)
        future = asyncio.run_coroutine_threadsafe(_guarded(coroutine, timeout_s), loop)
        return _wait(future, timeout_s + GRACE_S)

    def stop(self) -> None:
        """Cancel what is running, end the thread and close the loop. Does nothing when it never ran."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="sniperforge-solana-loop", daemon=True
                )
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _guarded(coroutine: Coroutine[Any, Any, T], timeout_s: float) -> T:
    try:
        async with asyncio.timeout(timeout_s):
            return await coroutine
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 (a PanicException is no Exception; see `BackgroundLoop.run`)
        failure = ProtocolError(
            f"a parser gave up on an answer ({type(error).__name__})", fix="Ask another node, and report this one"
        )
    raise failure


def _wait(future: Future[T], timeout_s: float) -> T:
    try:
        return future.result(timeout_s)
    except BaseException:
        # Ctrl-C in the waiting thread, or a stuck loop: the answer is nobody's any more.
        future.cancel()
        raise


def _forget_parents_loops() -> None:
    for loop in list(_loops):
        loop._reset()  # noqa: SLF001 (a fork copies the loop's memory, not its thread; its lock may be held for ever)


os.register_at_fork(after_in_child=_forget_parents_loops)

_shared = BackgroundLoop()


def shared_loop() -> BackgroundLoop:
    """The loop of this process."""
    return _shared
