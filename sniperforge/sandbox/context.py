"""What every part of the sandbox shares: one chain, one world, one market, one plan of faults, one clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from sniperforge.sandbox.chain import Chain, NodeView
from sniperforge.sandbox.faults import FaultPlan
from sniperforge.sandbox.jupiter_settings import JUPITERZ_SHARE, JupiterSettings
from sniperforge.sandbox.market import Market, World

ScenarioName = Literal["calm", "volatile", "crash", "moon", "flat"]
JupiterPlanName = Literal["free", "developer", "launch", "pro"]

DEFAULT_API_KEYS: Mapping[str, JupiterPlanName] = {
    "sandbox-free": "free",
    "sandbox-developer": "developer",
    "sandbox-launch": "launch",
    "sandbox-pro": "pro",
}
"""API keys the sandbox's Jupiter knows, with the plan each pays for; no key at all is keyless, any other is 401."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """How one sandbox was asked to run.

    Attributes:
        home: `SNIPERFORGE_HOME`; the sandbox writes only to `<home>/sandbox`.
        seed: Same seed, same world, same price path, same faults.
        slot_ms: Wall-clock length of a slot at start, at least 5; the admin port changes it later.
        host: Address to listen on; loopback, since nothing here asks who is calling.
        rpc_port: JSON-RPC (and WebSocket upgrades); 0 takes a free port, as for the others.
        ws_port: WebSocket subscriptions.
        jupiter_port: The Jupiter API.
        admin_port: Funding, prices, faults, nodes.
        scenario: Shape of the price path.
        prices_csv: A file of prices to follow instead of the scenario.
        bridge_gaps: Accept missing bars in that file.
        speed: Market seconds per second of wall clock.
        crowd_per_second: Other people's transactions per second.
        api_keys: Jupiter API keys and their plans.
        rate_limits_enabled: Whether the Jupiter API counts requests.
        rate_window_s: Length of its window: 60 as documented, 10 as observed.
        jupiterz_share: How often the market maker wins an order at start, 0 to 1; the admin port changes it later.
        maker_leg_share: How often another order needs a market maker's signature too; the same.
    """

    home: Path
    seed: int = 1
    slot_ms: int = 200
    host: str = "127.0.0.1"
    rpc_port: int = 8899
    ws_port: int = 8900
    jupiter_port: int = 8901
    admin_port: int = 8902
    scenario: ScenarioName = "calm"
    prices_csv: Path | None = None
    bridge_gaps: bool = False
    speed: float = 1.0
    crowd_per_second: float = 2.0
    api_keys: Mapping[str, JupiterPlanName] = field(default_factory=lambda: dict(DEFAULT_API_KEYS))
    rate_limits_enabled: bool = True
    rate_window_s: Literal[60, 10] = 60
    jupiterz_share: Fraction = JUPITERZ_SHARE
    maker_leg_share: Fraction = Fraction(0)

    @property
    def state_dir(self) -> Path:
        """Where everything the sandbox writes lies."""
        return self.home / "sandbox"


class SlotClock:
    """Lets coroutines wait for slots; the slot loop calls `advanced` after each one."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    def advanced(self) -> None:
        """A slot was closed: wake whoever waits."""
        waiting, self._next = self._next, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def wait(self, slots: int = 1) -> None:
        """Return after this many further slots were closed."""
        for _ in range(slots):
            if self._next is None:
                self._next = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._next)


@dataclass(slots=True, kw_only=True)
class SandboxContext:
    """One running sandbox.

    Attributes:
        chain: The one chain behind every node.
        world: What genesis made.
        market: Prices that move.
        faults: What goes wrong, when.
        nodes: The RPC nodes by name, in order; the first one answers at `/`.
        config: How it was asked to run.
        clock: Unix seconds now, fractions included.
        slots: For waiting until slots close.
        jupiter: How its Jupiter behaves now.
        slot_ms: Length of a slot now.
        paused: While true no slot closes and no price moves; requests are still answered.
        transactions_landed: How many transactions entered a block since the start of the process.
    """

    chain: Chain
    world: World
    market: Market
    faults: FaultPlan
    nodes: dict[str, NodeView]
    config: SandboxConfig
    clock: Callable[[], float]
    slots: SlotClock = field(default_factory=SlotClock)
    jupiter: JupiterSettings = field(default_factory=JupiterSettings)
    slot_ms: int = 200
    paused: bool = False
    transactions_landed: int = 0

    async def wait_slot(self, slots: int = 1) -> None:
        """Return after this many further slots were closed."""
        await self.slots.wait(slots)

    @property
    def first_node(self) -> NodeView:
        """The node that answers at `/`."""
        return next(iter(self.nodes.values()))


def default_nodes(chain: Chain) -> dict[str, NodeView]:
    """Three nodes: `a` at the head, `b` one slot behind, `c` three behind."""
    return {name: NodeView(name, chain, lag_slots=lag) for name, lag in (("a", 0), ("b", 1), ("c", 3))}
