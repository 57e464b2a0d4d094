"""Constant-product pools: exact integer arithmetic, the on-chain layout, and the route instruction.

The arithmetic here and in `program/pool.c` is the same, number for number; a property test holds them together.
Rounding never favours the taker: fee is rounded up, output down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from solders.instruction import Instruction
from solders.pubkey import Pubkey


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """One pool: fixed facts. `address` is its state account, `authority` the program's PDA that owns both vaults.

    Attributes:
        label: Venue as Jupiter labels it: "Raydium", "Raydium CLMM", "Whirlpool", "Meteora DLMM".
        venue_program: Program id of that venue, for `program-id-to-label` and route plans.
        fee_bps: Fee on the input.
    """

    address: Pubkey
    label: str
    venue_program: Pubkey
    mint_a: Pubkey
    mint_b: Pubkey
    vault_a: Pubkey
    vault_b: Pubkey
    token_program_a: Pubkey
    token_program_b: Pubkey
    decimals_a: int
    decimals_b: int
    authority: Pubkey
    bump: int
    fee_bps: int


@dataclass(frozen=True, slots=True)
class TransferFee:
    """Token-2022 transfer fee: min(ceil(raw * bps / 10000), maximum_raw), kept at the receiving account."""

    bps: int
    maximum_raw: int


@dataclass(frozen=True, slots=True)
class Hop:
    """One swap through one pool. `out_raw` is what leaves the pool's vault, `received_raw` what arrives after fees."""

    pool: PoolSpec
    input_mint: Pubkey
    output_mint: Pubkey
    in_raw: int
    out_raw: int
    received_raw: int
    fee_raw: int


@dataclass(frozen=True, slots=True)
class Leg:
    """One path of hops that carries a share of the input."""

    hops: tuple[Hop, ...]
    share_bps: int


@dataclass(frozen=True, slots=True)
class Route:
    """A quoted route: one or more legs in parallel, each of one or more hops.

    `mid_price` is output base units per input base unit without fees or impact.
    """

    input_mint: Pubkey
    output_mint: Pubkey
    in_raw: int
    out_raw: int
    legs: tuple[Leg, ...]
    mid_price: Fraction


Reserves = Mapping[Pubkey, tuple[int, int]]
"""Current vault amounts (a, b) by pool address."""


def find_route(
    pools: Sequence[PoolSpec],
    reserves: Reserves,
    transfer_fees: Mapping[Pubkey, TransferFee],
    *,
    input_mint: Pubkey,
    output_mint: Pubkey,
    in_raw: int,
    max_legs: int = 3,
    max_hops: int = 2,
    labels: frozenset[str] | None = None,
    exclude_labels: frozenset[str] = frozenset(),
) -> Route | None:
    """The best route found, split over parallel pools and hopping through intermediate mints; None without one."""
    raise NotImplementedError


def route_instruction(
    route: Route,
    *,
    taker: Pubkey,
    source: Pubkey,
    destination: Pubkey,
    min_out_raw: int,
    intermediates: Mapping[Pubkey, Pubkey],
) -> Instruction:
    """Jupiter-shaped instruction (`route_v2` tag, program JUP6...) that runs this route.

    The minimum is held once, at the end, against what arrived in `destination`.

    `intermediates` holds the taker's token account of each intermediate mint.
    """
    raise NotImplementedError


def pool_state_bytes(pool: PoolSpec) -> bytes:
    """The pool's state account, as the program reads it."""
    raise NotImplementedError
