"""What the sandbox says about itself, for `/status`, the status line and tests."""

from __future__ import annotations

from typing import Any

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.tokens import SOL


def nodes_json(context: SandboxContext) -> list[dict[str, Any]]:
    """The RPC nodes, the first one first."""
    return [
        {
            "name": node.name,
            "path": "/" if node is context.first_node else f"/node/{node.name}",
            "lag_slots": node.lag_slots,
            "remembers_slots": node.remembers_slots,
            "swallow": node.swallow,
            "slot": context.chain.slot_at("processed", at_slot=node.at_slot),
        }
        for node in context.nodes.values()
    ]


def status_of(context: SandboxContext) -> dict[str, Any]:
    """Slots, height, prices, trades, nodes and faults, JSON-ready. A token without a price is left out."""
    chain = context.chain
    prices = {str(mint): context.market.usd(mint) for mint in context.world.tokens}
    return {
        "slot": chain.slot_at("processed"),
        "confirmed_slot": chain.slot_at("confirmed"),
        "finalized_slot": chain.slot_at("finalized"),
        "block_height": chain.height_at("processed"),
        "slot_ms": context.slot_ms,
        "market_speed": float(context.market.speed),
        "paused": context.paused,
        "sol_usd": _shown(context.market.usd(SOL)),
        "prices_usd": {mint: _shown(usd) for mint, usd in prices.items() if usd is not None},
        "transactions_landed": context.transactions_landed,
        "demo_wallet": str(context.world.demo_wallet.pubkey()),
        "nodes": nodes_json(context),
        "faults": context.faults.rules(),
    }


def _shown(usd: Any) -> float | None:
    return None if usd is None else float(usd)
