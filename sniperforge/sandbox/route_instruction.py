"""Jupiter's `route_v2` instruction for a route through the sandbox's pools.

Layout of the data and order of the accounts stand at the top of `program/pool.c`. The outer form is that of the real
instruction (tag, amounts, slippage, plan), so that a guard reads this one as it reads Jupiter's:
the minimum is ceil(quoted_out_amount * (10000 - slippage_bps) / 10000), as in Jupiter's own `otherAmountThreshold`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from sniperforge.sandbox.pool import BPS, Hop
from sniperforge.sandbox.program import PROGRAM_ID
from sniperforge.sandbox.routing import Route

ROUTE_V2_TAG = bytes.fromhex("bb64facc31c4af14")
EVENT_AUTHORITY = Pubkey.find_program_address([b"__event_authority"], PROGRAM_ID)[0]

_HEADER = struct.Struct("<8sQQHHHI")
_STEP = struct.Struct("<BHBB")
_TOKEN_SWAP = 3
_SOURCE_SLOT = 0


def minimum_out_raw(quoted_out_raw: int, slippage_bps: int) -> int:
    """The least output that slippage allows, rounded up as Jupiter rounds `otherAmountThreshold`."""
    return -(-quoted_out_raw * (BPS - slippage_bps) // BPS)


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
    It stands in the instruction exactly: as the route's quote and a slippage in whole basis points where there are
    such, otherwise as quoted amount `min_out_raw` with slippage 0.

    Args:
        route: What to run; its shares add up to 10000 basis points.
        taker: Signer, and authority of `source` and of the intermediate accounts.
        source: The taker's account of the input mint.
        destination: Account of the output mint that receives.
        min_out_raw: With less than this the whole transaction fails with custom error 6001.
        intermediates: The taker's token account of each intermediate mint.

    Raises:
        KeyError: An intermediate mint of the route has no account in `intermediates`.
        ValueError: The route's shares do not add up.
    """
    if sum(leg.share_bps for leg in route.legs) != BPS:
        raise ValueError(f"shares of the route add up to {[leg.share_bps for leg in route.legs]}, not {BPS} bps")
    quoted_out_raw, slippage_bps = _quote_and_slippage(route.out_raw, min_out_raw)
    destination_slot = 1 + sum(len(leg.hops) - 1 for leg in route.legs)
    steps: list[bytes] = []
    step_accounts: list[AccountMeta] = []
    next_slot = _SOURCE_SLOT + 1
    for leg in route.legs:
        input_slot, bps = _SOURCE_SLOT, leg.share_bps
        for hop in leg.hops:
            is_last = hop is leg.hops[-1]
            output_slot = destination_slot if is_last else next_slot
            receiver = destination if is_last else intermediates[hop.output_mint]
            steps.append(_STEP.pack(_TOKEN_SWAP, bps, input_slot, output_slot))
            step_accounts += _step_accounts(hop, receiver)
            input_slot, bps = output_slot, BPS
            next_slot += not is_last

    header = _HEADER.pack(ROUTE_V2_TAG, route.in_raw, quoted_out_raw, slippage_bps, 0, 0, len(steps))
    first, last = route.legs[0].hops[0], route.legs[-1].hops[-1]
    accounts = [
        AccountMeta(taker, is_signer=True, is_writable=False),
        _writable(source),
        _writable(destination),
        _readonly(route.input_mint),
        _readonly(route.output_mint),
        _readonly(_token_program(first, route.input_mint)),
        _readonly(_token_program(last, route.output_mint)),
        _readonly(PROGRAM_ID),  # how Anchor writes an optional account that is absent
        _readonly(EVENT_AUTHORITY),
        _readonly(PROGRAM_ID),
        *step_accounts,
    ]
    return Instruction(PROGRAM_ID, header + b"".join(steps), accounts)


def _quote_and_slippage(quoted_out_raw: int, min_out_raw: int) -> tuple[int, int]:
    """Fields whose minimum is exactly `min_out_raw`."""
    if 0 <= min_out_raw <= quoted_out_raw:
        # The only whole slippage that can give this minimum: one basis point less of it already gives more.
        slippage_bps = BPS - min_out_raw * BPS // quoted_out_raw
        if minimum_out_raw(quoted_out_raw, slippage_bps) == min_out_raw:
            return quoted_out_raw, slippage_bps
    return min_out_raw, 0


def _step_accounts(hop: Hop, receiver: Pubkey) -> list[AccountMeta]:
    pool = hop.pool
    vaults = (pool.vault_a, pool.vault_b) if hop.input_mint == pool.mint_a else (pool.vault_b, pool.vault_a)
    return [
        _readonly(pool.venue_program),
        _readonly(pool.address),
        _readonly(pool.authority),
        _writable(vaults[0]),
        _writable(vaults[1]),
        _writable(receiver),
        _readonly(hop.output_mint),
        _readonly(_token_program(hop, hop.output_mint)),
    ]


def _token_program(hop: Hop, mint: Pubkey) -> Pubkey:
    return hop.pool.token_program_a if mint == hop.pool.mint_a else hop.pool.token_program_b


def _readonly(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=False)


def _writable(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=True)
