"""The sandbox's process: boots a world, serves it on four ports, closes a slot every `slot_ms`, stops cleanly.

One process and one event loop: the chain belongs to that loop, so nothing needs a lock.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette

from sniperforge.sandbox.admin import admin_app
from sniperforge.sandbox.chain import Chain, ChainConfig, LandedRecord
from sniperforge.sandbox.context import SandboxConfig, SandboxContext, default_nodes
from sniperforge.sandbox.endpoints import (
    ENDPOINTS_NAME,
    Endpoints,
    bind,
    port_of,
    write_endpoints,
    write_private,
)
from sniperforge.sandbox.fault_transport import (
    AsgiApp,
    FaultableHttpProtocol,
    FaultMiddleware,
    Receive,
    Scope,
    Send,
)
from sniperforge.sandbox.faults import FaultPlan
from sniperforge.sandbox.home_lock import home_lock
from sniperforge.sandbox.jupiter import routes
from sniperforge.sandbox.jupiter_settings import JupiterSettings
from sniperforge.sandbox.market import Market, MarketConfig, create_world, load_world
from sniperforge.sandbox.rpc.app import RpcApp
from sniperforge.sandbox.rpc.call import RpcShared
from sniperforge.sandbox.websocket import Subscriptions

KEEP_ALIVE_S = 120
"""Longer than clients keep idle connections, or one of them would send into a closing one."""

_MAX_SLOTS_CAUGHT_UP = 5
"""After a stall (a suspended laptop, a long fork) at most this many slots close in a row; the rest never were."""

CHAIN_NAME = "chain.db"


def serve(
    config: SandboxConfig,
    *,
    ready: Callable[[SandboxContext, Endpoints], None],
    watch: Callable[[SandboxContext], Any] | None = None,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM.

    Args:
        config: How.
        ready: Called once every port answers and `endpoints.json` is written.
        watch: A coroutine function that runs beside the server, such as the status line.

    Raises:
        ConfigError: Another sandbox holds the home, a port is taken, the price file is no use, the seed differs.
        StorageError: The state file is damaged, or became unusable while running.
    """
    with ExitStack() as stack:
        stack.enter_context(home_lock(config.state_dir))
        sockets = bind(config)
        for one in sockets.values():
            stack.enter_context(one)
        context = stack.enter_context(open_context(config))
        ports = {name: port_of(one) for name, one in sockets.items()}
        endpoints = _endpoints(context, ports)
        apps = {ports[name]: app for name, app in build_apps(context).items()}
        server = _Server(
            uvicorn.Config(
                _by_port(apps),
                http=FaultableHttpProtocol,
                ws="websockets-sansio",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
                date_header=False,
                server_header=False,
            )
        )

        async def run() -> None:
            async with _running(server, list(sockets.values())) as serving:
                write_endpoints(config.state_dir, endpoints)
                ready(context, endpoints)
                jobs = [asyncio.create_task(slot_loop(context)), serving]
                if watch is not None:
                    jobs.append(asyncio.create_task(watch(context)))
                try:
                    done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
                    for job in done:
                        job.result()
                finally:
                    (config.state_dir / ENDPOINTS_NAME).unlink(missing_ok=True)
                    for job in jobs:
                        if job is not serving:
                            job.cancel()

            close_open_slot(context)

        uvloop.run(run())


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which raises the signal again after a clean stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `_running`."""
        yield


@asynccontextmanager
async def _running(server: _Server, sockets: list[Any]) -> AsyncIterator[asyncio.Task[None]]:
    """Serve until the block ends or a signal comes."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    serving = asyncio.create_task(server.serve(sockets))
    while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn sets a flag and no event)
        await asyncio.sleep(0.005)
    try:
        yield serving
    finally:
        stop()
        await serving


def _by_port(apps: dict[int, AsgiApp]) -> AsgiApp:
    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        await apps[scope["server"][1]](scope, receive, send)

    return dispatch


def build_apps(context: SandboxContext) -> dict[str, AsgiApp]:
    """The applications of the four ports, by name."""
    shared = RpcShared.of(context.chain)
    subscriptions = Subscriptions(context, shared)
    jupiter: AsgiApp = Starlette(routes=routes(context))
    return {
        "rpc": RpcApp(context, shared, subscriptions),
        "ws": RpcApp(context, shared, subscriptions),
        "jupiter": FaultMiddleware(jupiter, faults=context.faults, prefix="jupiter:"),
        "admin": admin_app(context),
    }


@contextmanager
def open_context(config: SandboxConfig) -> Iterator[SandboxContext]:
    """Load the home's world, or make a new one.

    Raises:
        ConfigError: The chain was made with another seed, or the market cannot run as asked.
        StorageError: The chain's file cannot be used.
    """
    market_config = MarketConfig(
        seed=config.seed,
        scenario=config.scenario,
        prices_csv=config.prices_csv,
        bridge_gaps=config.bridge_gaps,
        speed=config.speed,
        crowd_per_second=config.crowd_per_second,
    )
    market_config.path()  # so that a bad price file is told before a world is made
    chain_config = ChainConfig(seed=config.seed, slot_ms=config.slot_ms)
    chain = Chain(chain_config, config.state_dir / CHAIN_NAME, unix_time=int(_unix_now()))
    try:
        world = create_world(chain, seed=config.seed) if chain.is_new else load_world(chain, seed=config.seed)
        market = Market(chain, world, market_config)
        context = SandboxContext(
            chain=chain,
            world=world,
            market=market,
            faults=FaultPlan(config.seed),
            nodes=default_nodes(chain),
            config=config,
            clock=_unix_now,
            jupiter=JupiterSettings(jupiterz_share=config.jupiterz_share, maker_leg_share=config.maker_leg_share),
            slot_ms=config.slot_ms,
        )

        def count(_record: LandedRecord) -> None:
            context.transactions_landed += 1

        chain.on_landed(count)
        yield context
    finally:
        chain.close()


def _unix_now() -> float:
    return time.time()  # noqa: TID251 (the sandbox's server is a clock of its own world)


def _endpoints(context: SandboxContext, ports: dict[str, int]) -> Endpoints:
    host = context.config.host
    rpc_url = f"http://{host}:{ports['rpc']}"
    key_file = context.config.state_dir / "demo-wallet.json"
    write_private(key_file, context.world.demo_wallet.to_json() + "\n")
    return Endpoints(
        pid=os.getpid(),
        rpc_url=rpc_url,
        ws_url=f"ws://{host}:{ports['ws']}",
        jupiter_url=f"http://{host}:{ports['jupiter']}",
        admin_url=f"http://{host}:{ports['admin']}",
        node_urls={name: f"{rpc_url}/node/{name}" for name in context.nodes},
        demo_wallet=str(context.world.demo_wallet.pubkey()),
        demo_wallet_file=str(key_file),
    )


def close_open_slot(context: SandboxContext) -> None:
    """Persist what the open slot did: after a clean stop nothing that was answered is lost."""
    while context.chain.tick(int(context.clock())) is None:
        pass  # a slot without a block takes a tick and writes nothing


async def slot_loop(context: SandboxContext) -> None:
    """Close a slot every `slot_ms`, for ever. Lateness is made up for a few slots and then forgiven."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        slot_s = context.slot_ms / 1000
        due = max(due + slot_s, loop.time() - _MAX_SLOTS_CAUGHT_UP * slot_s)
        await asyncio.sleep(max(0.0, due - loop.time()))
        if context.paused:
            continue
        unix_time = int(context.clock())
        context.market.step(unix_time)
        context.chain.tick(unix_time)
        context.slots.advanced()
