"""Address lookup tables, from their bytes.

Layout: Agave's address lookup table interface, `state.rs`: a 56-byte header (u32 kind, 1 for a table; u64 deactivation
slot; u64 last extended slot; u8 start index of that extension; Option<Pubkey> authority; padding), then 32 bytes for
each address.
"""

from __future__ import annotations

from collections.abc import Sequence

from solders.pubkey import Pubkey

from sniperforge.domain.money import Address
from sniperforge.errors import RpcRejectedError
from sniperforge.ports.chain import AccountInfo

LOOKUP_TABLE_PROGRAM = Address("AddressLookupTab1e1111111111111111111111111")
HEADER_BYTES = 56
_TABLE_KIND = 1


def decode_lookup_tables(
    addresses: Sequence[Address], accounts: Sequence[AccountInfo | None]
) -> dict[Address, tuple[Address, ...]]:
    """Contents by table address.

    Raises:
        RpcRejectedError: One of them does not exist or is no lookup table.
    """
    return {address: _contents(address, account) for address, account in zip(addresses, accounts, strict=True)}


def _contents(address: Address, account: AccountInfo | None) -> tuple[Address, ...]:
    if account is None:
        raise _refused(address, "there is no such lookup table")
    data = account.data
    if (
        account.owner != LOOKUP_TABLE_PROGRAM
        or len(data) < HEADER_BYTES
        or (len(data) - HEADER_BYTES) % 32
        or int.from_bytes(data[:4], "little") != _TABLE_KIND
    ):
        raise _refused(address, "this account is no lookup table")
    return tuple(Address(str(Pubkey.from_bytes(data[at : at + 32]))) for at in range(HEADER_BYTES, len(data), 32))


def _refused(address: Address, what: str) -> RpcRejectedError:
    return RpcRejectedError(what, subject=f"lookup table {address}", fix="Ask for a new quote", code=None)
