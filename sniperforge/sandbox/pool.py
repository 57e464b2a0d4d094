"""Constant-product pools: what one is, its exact integer arithmetic, and its accounts on the chain.

The arithmetic here and in `program/pool.c` is the same, number for number; a property test holds them together.
Rounding never favours the taker: the fee is rounded up, the output down.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from solders.pubkey import Pubkey

from sniperforge.sandbox.program import PROGRAM_ID

BPS = 10_000
MAX_RAW = 2**64 - 1
"""The most base units a token account can hold."""

_STATE_MAGIC = b"SFPOOL01"
_STATE_HEAD = struct.Struct("<8sHBBB3x")


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
    """Token-2022 transfer fee: min(ceil(raw * bps / 10000), maximum_raw), kept at the receiving account.

    Source: `TransferFee::calculate_fee` of spl-token-2022.
    """

    bps: int
    maximum_raw: int

    def withheld_raw(self, raw: int) -> int:
        """What is withheld when `raw` is transferred."""
        return min(-(-raw * self.bps // BPS), self.maximum_raw)


@dataclass(frozen=True, slots=True)
class Hop:
    """One swap through one pool.

    `in_raw` leaves the taker, `out_raw` leaves the pool's vault, `received_raw` arrives after the mint's transfer fee;
    `fee_raw` is the pool's fee, in the input mint.
    """

    pool: PoolSpec
    input_mint: Pubkey
    output_mint: Pubkey
    in_raw: int
    out_raw: int
    received_raw: int
    fee_raw: int


Reserves = Mapping[Pubkey, tuple[int, int]]
"""Current vault amounts (a, b) by pool address."""

TransferFees = Mapping[Pubkey, TransferFee]
"""Transfer fee by mint; a mint that is absent has none."""


def swap_amounts(
    in_raw: int,
    reserve_in: int,
    reserve_out: int,
    fee_bps: int,
    fee_in: TransferFee | None,
    fee_out: TransferFee | None,
) -> tuple[int, int, int]:
    """The arithmetic of one swap: pool fee, what leaves the paying vault, what arrives at the taker.

    With x, y the reserves and n what remains of the input after the input mint's transfer fee and the pool's fee, the
    vault pays floor(y * n / (x + n)), the constant-product rule.
    """
    arrived = in_raw - fee_in.withheld_raw(in_raw) if fee_in else in_raw
    fee_raw = -(-arrived * fee_bps // BPS)
    net = arrived - fee_raw
    out_raw = reserve_out * net // (reserve_in + net)
    return fee_raw, out_raw, out_raw - fee_out.withheld_raw(out_raw) if fee_out else out_raw


def swap_through(
    pool: PoolSpec, reserves: Reserves, transfer_fees: TransferFees, *, input_mint: Pubkey, in_raw: int
) -> Hop | None:
    """What the program would do with `in_raw` of `input_mint`, one of the pool's two mints.

    None where it would refuse: an empty reserve, nothing going in, nothing coming out, more than 64 bits.
    """
    output_mint, reserve_in, reserve_out = far_side(pool, reserves, input_mint)
    if not (reserve_in and reserve_out and 0 < in_raw <= MAX_RAW - reserve_in):
        return None
    fee_raw, out_raw, received_raw = swap_amounts(
        in_raw, reserve_in, reserve_out, pool.fee_bps, transfer_fees.get(input_mint), transfer_fees.get(output_mint)
    )
    if not received_raw:
        return None
    return Hop(pool, input_mint, output_mint, in_raw, out_raw, received_raw, fee_raw)


def far_side(pool: PoolSpec, reserves: Reserves, input_mint: Pubkey) -> tuple[Pubkey, int, int]:
    """The other mint of a pool, the reserve of `input_mint`, and the reserve of the other."""
    reserve_a, reserve_b = reserves[pool.address]
    if input_mint == pool.mint_a:
        return pool.mint_b, reserve_a, reserve_b
    return pool.mint_a, reserve_b, reserve_a


def derive_authority(state_address: Pubkey) -> tuple[Pubkey, int]:
    """The PDA that owns the vaults of the pool with this state account, and its bump."""
    return Pubkey.find_program_address([b"pool", bytes(state_address)], PROGRAM_ID)


def make_pool(
    *,
    label: str,
    venue_program: Pubkey,
    mint_a: Pubkey,
    mint_b: Pubkey,
    token_program_a: Pubkey,
    token_program_b: Pubkey,
    decimals_a: int,
    decimals_b: int,
    fee_bps: int,
) -> PoolSpec:
    """A pool with all its addresses derived; venue, mints and fee tell pools apart, as fee tiers do on real venues.

    Genesis writes the state account (`pool_state_bytes`, owner `PROGRAM_ID`) and both vaults, token accounts of
    `authority`.

    Raises:
        ValueError: One mint twice, or a fee outside 0..9999 basis points.
    """
    if mint_a == mint_b or not 0 <= fee_bps < BPS:
        raise ValueError(f"a pool needs two mints and a fee below {BPS} bps: {mint_a}, {mint_b}, {fee_bps}")
    fee = fee_bps.to_bytes(2, "little")

    def derived(name: bytes) -> Pubkey:
        return Pubkey.find_program_address([name, bytes(venue_program), bytes(mint_a), bytes(mint_b), fee], PROGRAM_ID)[
            0
        ]

    address = derived(b"state")
    authority, bump = derive_authority(address)
    return PoolSpec(
        address=address,
        label=label,
        venue_program=venue_program,
        mint_a=mint_a,
        mint_b=mint_b,
        vault_a=derived(b"vault_a"),
        vault_b=derived(b"vault_b"),
        token_program_a=token_program_a,
        token_program_b=token_program_b,
        decimals_a=decimals_a,
        decimals_b=decimals_b,
        authority=authority,
        bump=bump,
        fee_bps=fee_bps,
    )


def pool_state_bytes(pool: PoolSpec) -> bytes:
    """The pool's state account, as the program reads it (the layout stands at the top of `program/pool.c`)."""
    keys = (
        *(pool.mint_a, pool.mint_b, pool.vault_a, pool.vault_b),
        *(pool.token_program_a, pool.token_program_b, pool.authority, pool.venue_program),
    )
    head = _STATE_HEAD.pack(_STATE_MAGIC, pool.fee_bps, pool.bump, pool.decimals_a, pool.decimals_b)
    return head + b"".join(map(bytes, keys))
