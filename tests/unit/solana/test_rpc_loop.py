"""The background loop: many threads in, whatever is raised out, alive afterwards, and again after a fork."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from solders.rpc.responses import GetBlockHeightResp

from sniperforge.errors import ProtocolError
from sniperforge.ports.chain import Commitment
from sniperforge.shared.solana.loop import BackgroundLoop, shared_loop
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.rpc_server import RpcServer, result

Serve = Callable[..., RpcServer]
Connect = Callable[..., SolanaChain]


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    background = BackgroundLoop()
    yield background
    background.stop()


async def answer(value: int) -> int:
    await asyncio.sleep(0)
    return value


def test_a_result_comes_back_to_the_calling_thread(loop: BackgroundLoop) -> None:
    assert loop.run(answer(7), 1) == 7


def test_many_threads_share_one_loop(loop: BackgroundLoop) -> None:
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(lambda number: loop.run(answer(number), 5), range(200))) == list(range(200))
    assert sum(thread.name == "sniperforge-solana-loop" for thread in threading.enumerate()) <= 2


def test_an_exception_is_raised_where_the_call_was_made(loop: BackgroundLoop) -> None:
    async def fail() -> None:
        message = "as told"
        raise LookupError(message)

    with pytest.raises(LookupError, match="as told"):
        loop.run(fail(), 1)


def test_a_panic_of_a_rust_parser_is_a_protocol_error_and_the_loop_lives_on(loop: BackgroundLoop) -> None:
    async def panic() -> None:
        GetBlockHeightResp.from_json('{"jsonrpc":"2.0","id":1,"error":{"code":-32005}}')

    with pytest.raises(ProtocolError, match="PanicException"):
        loop.run(panic(), 1)
    assert loop.run(answer(7), 1) == 7


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt])
def test_nothing_raised_inside_ends_the_loop(loop: BackgroundLoop, ending: type[BaseException]) -> None:
    async def end() -> None:
        raise ending

    with pytest.raises(ProtocolError):
        loop.run(end(), 1)
    assert loop.run(answer(7), 1) == 7


def test_what_takes_too_long_is_cancelled(loop: BackgroundLoop) -> None:
    cancelled = threading.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        loop.run(wait(), 0.01)
    assert cancelled.wait(1)


def test_waiting_on_the_loops_own_thread_is_refused(loop: BackgroundLoop) -> None:
    async def wait() -> int:
        return loop.run(answer(7), 1)

    with pytest.raises(RuntimeError, match="own thread"):
        loop.run(wait(), 1)


def test_a_stopped_loop_starts_again(loop: BackgroundLoop) -> None:
    assert loop.run(answer(1), 1) == 1
    loop.stop()
    loop.stop()
    assert loop.run(answer(2), 1) == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_process_has_its_own_loop_and_connections(serve: Serve, connect: Connect) -> None:
    chain = connect(serve({"getSlot": result(7)}), serve({"getSlot": result(7)}))
    assert chain.slot(Commitment.CONFIRMED) == 7
    # As when other threads were just asking while the process forked.
    with shared_loop()._lock, chain._ranking._looking, chain._ranking._changing:
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # a child that waits for ever fails the test instead of hanging it
            status = 1
            try:
                status = 0 if chain.slot(Commitment.CONFIRMED) == 7 else 2
            finally:
                os._exit(status)
    _, waited = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(waited) == 0
    assert chain.slot(Commitment.CONFIRMED) == 7


def test_many_threads_ask_at_once(serve: Serve, connect: Connect) -> None:
    server = serve({"getBlockHeight": result(7)})
    chain = connect(server)
    with ThreadPoolExecutor(16) as pool:
        heights = list(pool.map(lambda _: chain.block_height(Commitment.CONFIRMED), range(160)))
    assert heights == [7] * 160
    assert len({request.id for request in server.requests}) == 160
