"""Address lookup tables of the sandbox: real accounts, so that a route may need up to three of them.

Layout: `LookupTableMeta`, 56 bytes, then the addresses (solana-address-lookup-table-interface, `src/state.rs`).
Addresses are derived as on mainnet: from an authority and a slot.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from solders.account import Account
from solders.address_lookup_table_account import derive_lookup_table_address
from solders.pubkey import Pubkey

from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.pools import PROGRAM_ID, PoolSpec
from sniperforge.sandbox.route_instruction import EVENT_AUTHORITY
from sniperforge.sandbox.tokens import (
    ASSOCIATED_TOKEN_PROGRAM,
    BONK,
    FEE2,
    JUP,
    PEPE2,
    PEPE2_IMPOSTOR,
    SOL,
    SYSTEM_PROGRAM,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    USDC,
    USDT,
)

LOOKUP_TABLE_PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
_MAJORS = frozenset((SOL, USDC, USDT))
_NEVER_DEACTIVATED = 2**64 - 1
_IS_TABLE = 1


def plan_tables(pools: Sequence[PoolSpec], authority: Pubkey) -> dict[Pubkey, tuple[Pubkey, ...]]:
    """Which addresses each table holds: one for programs and pools of majors, one for each further group of tokens."""
    programs = (PROGRAM_ID, EVENT_AUTHORITY, TOKEN_PROGRAM, TOKEN_2022_PROGRAM, ASSOCIATED_TOKEN_PROGRAM)
    contents = [
        (*programs, SYSTEM_PROGRAM, SOL, USDC, USDT, *_of_pools(pools, frozenset())),
        (JUP, *_of_pools(pools, frozenset((JUP,)))),
        (BONK, *_of_pools(pools, frozenset((BONK,)))),
        (FEE2, PEPE2, PEPE2_IMPOSTOR, *_of_pools(pools, frozenset((FEE2, PEPE2, PEPE2_IMPOSTOR)))),
    ]
    addresses = (derive_lookup_table_address(authority, slot)[0] for slot in range(len(contents)))
    return {address: tuple(dict.fromkeys(content)) for address, content in zip(addresses, contents, strict=True)}


def _of_pools(pools: Sequence[PoolSpec], group: frozenset[Pubkey]) -> list[Pubkey]:
    """Addresses of the pools in which this group trades against majors; an empty group: of majors among themselves."""
    return [
        address
        for pool in pools
        if ({pool.mint_a, pool.mint_b} - _MAJORS <= group) and (not group or {pool.mint_a, pool.mint_b} & group)
        for address in (pool.address, pool.authority, pool.vault_a, pool.vault_b, pool.venue_program)
    ]


def write_tables(chain: Chain, tables: Mapping[Pubkey, tuple[Pubkey, ...]], authority: Pubkey) -> None:
    """Write the tables by decree, as though extended long ago, so that they work in the first block."""
    for address, content in tables.items():
        meta = struct.pack("<IQQBB32sH", _IS_TABLE, _NEVER_DEACTIVATED, 0, 0, 1, bytes(authority), 0)
        data = meta + b"".join(map(bytes, content))
        chain.set_account(address, Account(chain.minimum_rent(len(data)), data, LOOKUP_TABLE_PROGRAM))
