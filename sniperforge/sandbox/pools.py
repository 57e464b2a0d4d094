"""Constant-product pools: exact integer arithmetic, routes through them, and the instruction that runs a route.

The rooms behind this door: `pool` (what one is, its arithmetic and state), `routing` (the best way through many),
`route_instruction` (Jupiter's `route_v2`), `program` (what runs on the chain).
"""

from sniperforge.sandbox.pool import (
    Hop,
    PoolSpec,
    Reserves,
    TransferFee,
    TransferFees,
    derive_authority,
    make_pool,
    pool_state_bytes,
    swap_through,
)
from sniperforge.sandbox.program import PROGRAM_ID, pool_program
from sniperforge.sandbox.route_instruction import minimum_out_raw, route_instruction
from sniperforge.sandbox.routing import Leg, Route, find_route

__all__ = [
    "PROGRAM_ID",
    "Hop",
    "Leg",
    "PoolSpec",
    "Reserves",
    "Route",
    "TransferFee",
    "TransferFees",
    "derive_authority",
    "find_route",
    "make_pool",
    "minimum_out_raw",
    "pool_program",
    "pool_state_bytes",
    "route_instruction",
    "swap_through",
]
