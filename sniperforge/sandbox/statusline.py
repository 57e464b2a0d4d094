"""What a person sees while the sandbox runs: one line that moves, on a terminal; one plain line elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.endpoints import Endpoints
from sniperforge.sandbox.status import status_of

_REFRESH_S = 0.5


def addresses_text(endpoints: Endpoints) -> str:
    """Where to connect, in one line."""
    return (
        f"sandbox ready: rpc {endpoints.rpc_url}  ws {endpoints.ws_url}  jupiter {endpoints.jupiter_url}  "
        f"admin {endpoints.admin_url}  wallet {endpoints.demo_wallet}"
    )


def status_text(status: Mapping[str, Any]) -> str:
    """The state of the sandbox, in one line."""
    sol = "no price" if status["sol_usd"] is None else f"{status['sol_usd']:.2f} USD"
    faults = status["faults"]
    parts = [
        f"slot {status['slot']:,}",
        f"height {status['block_height']:,}",
        f"SOL {sol}",
        f"{status['transactions_landed']:,} landed",
        f"faults in force: {len(faults)}",
    ]
    return "  ".join([*parts, "PAUSED"] if status["paused"] else parts)


async def show_status(context: SandboxContext, console: Console) -> None:
    """Keep one line of the terminal up to date until cancelled."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(Text(status_text(status_of(context)), no_wrap=True, overflow="ellipsis"), refresh=True)
            await asyncio.sleep(_REFRESH_S)
