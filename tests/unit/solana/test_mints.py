"""Mints and lookup tables from bytes that are laid out by hand, as the programs lay them out."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

import pytest
from solders.pubkey import Pubkey
from solders.token import ID as TOKEN_ID
from solders.token.state import Mint as SoldersMint

from sniperforge.domain.money import Address, Mint
from sniperforge.errors import ProtocolError, RpcRejectedError
from sniperforge.ports.chain import MintInfo
from sniperforge.shared.solana.rpc import SolanaChain
from tests.fakes.rpc_server import RpcServer, in_context

Serve = Callable[..., RpcServer]
Connect = Callable[..., SolanaChain]

TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
TABLE_PROGRAM = "AddressLookupTab1e1111111111111111111111111"
MINT = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
AUTHORITY, HOOK, DELEGATE = (Pubkey.from_bytes(bytes([byte]) * 32) for byte in (1, 2, 3))


def base(*, supply: int = 1_000, decimals: int = 6, freeze: Pubkey | None = None) -> bytes:
    return bytes(SoldersMint(AUTHORITY, supply, decimals, is_initialized=True, freeze_authority=freeze))


def extended(*extensions: tuple[int, bytes]) -> bytes:
    entries = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in extensions)
    return base().ljust(165, b"\0") + b"\x01" + entries


def fee_config(older: tuple[int, int, int], newer: tuple[int, int, int]) -> bytes:
    """Each fee is (epoch, maximum, basis points)."""
    return bytes(64) + struct.pack("<Q", 77) + struct.pack("<QQH", *older) + struct.pack("<QQH", *newer)


def clock_at(epoch: int) -> bytes:
    return struct.pack("<QqQQq", 5, 0, epoch, epoch + 1, 0)


def stored(owner: str, data: bytes) -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    return {"lamports": 1, "owner": owner, "data": [text, "base64"], "executable": False, "rentEpoch": 0}


def read(
    serve: Serve, connect: Connect, data: bytes, *, owner: str = TOKEN_2022, clock: bytes | None = clock_at(10)
) -> MintInfo | None:
    clock_account = None if clock is None else stored("Sysvar1111111111111111111111111111111111111", clock)
    return connect(serve({"getMultipleAccounts": in_context([stored(owner, data), clock_account])})).mint(MINT)


def test_a_plain_mint_is_decoded(serve: Serve, connect: Connect) -> None:
    assert read(serve, connect, base(freeze=HOOK), owner=str(TOKEN_ID)) == MintInfo(
        mint=MINT,
        program=Address(str(TOKEN_ID)),
        decimals=6,
        supply_raw=1_000,
        mint_authority=Address(str(AUTHORITY)),
        freeze_authority=Address(str(HOOK)),
    )


def test_a_mint_without_authorities_has_none(serve: Serve, connect: Connect) -> None:
    data = bytes(SoldersMint(None, 2**64 - 1, 9, is_initialized=True, freeze_authority=None))
    found = read(serve, connect, data, owner=str(TOKEN_ID))
    assert found is not None
    assert (found.mint_authority, found.freeze_authority, found.supply_raw) == (None, None, 2**64 - 1)


@pytest.mark.parametrize(("epoch", "expected"), [(9, (100, 5_000)), (10, (250, 9_000)), (11, (250, 9_000))])
def test_the_transfer_fee_in_force_is_the_epochs(
    serve: Serve, connect: Connect, epoch: int, expected: tuple[int, int]
) -> None:
    data = extended((1, fee_config((3, 5_000, 100), (10, 9_000, 250))))
    found = read(serve, connect, data, clock=clock_at(epoch))
    assert found is not None
    assert (found.transfer_fee_bps, found.transfer_fee_max_raw) == expected


def test_a_fee_that_does_not_change_needs_no_clock(serve: Serve, connect: Connect) -> None:
    found = read(serve, connect, extended((1, fee_config((3, 5_000, 100), (3, 5_000, 100)))), clock=None)
    assert found is not None
    assert found.transfer_fee_bps == 100


def test_a_changing_fee_without_a_clock_is_refused(serve: Serve, connect: Connect) -> None:
    with pytest.raises(ProtocolError, match="clock"):
        read(serve, connect, extended((1, fee_config((3, 5_000, 100), (10, 9_000, 250)))), clock=None)


def test_dangerous_extensions_are_named_with_their_accounts(serve: Serve, connect: Connect) -> None:
    data = extended(
        (3, bytes(AUTHORITY)),
        (14, bytes(AUTHORITY) + bytes(HOOK)),
        (12, bytes(DELEGATE)),
        (6, b"\x02"),
        (9, b""),
        (999, b"new"),
    )
    found = read(serve, connect, data)
    assert found is not None
    assert (found.transfer_hook, found.permanent_delegate) == (str(HOOK), str(DELEGATE))
    assert found.default_frozen
    assert found.transfer_fee_bps is None
    assert found.extensions == (
        "mint_close_authority",
        "transfer_hook",
        "permanent_delegate",
        "default_account_state",
        "non_transferable",
        "unknown_999",
    )


def test_extensions_that_name_nobody_have_nobody(serve: Serve, connect: Connect) -> None:
    found = read(serve, connect, extended((14, bytes(AUTHORITY) + bytes(32)), (12, bytes(32)), (6, b"\x01")))
    assert found is not None
    assert (found.transfer_hook, found.permanent_delegate, found.default_frozen) == (None, None, False)


@pytest.mark.parametrize("data", [extended((12, bytes(31))), extended((1, bytes(107))), extended((9, b"xx"))[:-1]])
def test_damaged_extensions_are_refused(serve: Serve, connect: Connect, data: bytes) -> None:
    with pytest.raises(ProtocolError, match=MINT):
        read(serve, connect, data)


@pytest.mark.parametrize(
    ("owner", "data"),
    [
        ("11111111111111111111111111111111", b""),
        ("11111111111111111111111111111111", base()),
        (str(TOKEN_ID), bytes(165)),
        (str(TOKEN_ID), bytes(82)),
        (str(TOKEN_ID), extended()),
        (TOKEN_2022, base().ljust(165, b"\0") + b"\x02"),
        (TOKEN_2022, bytes(355)),
    ],
)
def test_an_account_that_is_no_mint_is_none(serve: Serve, connect: Connect, owner: str, data: bytes) -> None:
    assert read(serve, connect, data, owner=owner) is None


def test_no_account_is_no_mint(serve: Serve, connect: Connect) -> None:
    assert connect(serve({"getMultipleAccounts": in_context([None, None])})).mint(MINT) is None


def table(*addresses: Pubkey, kind: int = 1) -> bytes:
    header = struct.pack("<IQQBB32sH", kind, 2**64 - 1, 5, 0, 1, bytes(AUTHORITY), 0)
    return header + b"".join(bytes(address) for address in addresses)


def test_lookup_tables_are_decoded_by_address(serve: Serve, connect: Connect) -> None:
    first, second = Address(str(HOOK)), Address(str(DELEGATE))
    accounts = [stored(TABLE_PROGRAM, table(AUTHORITY, HOOK)), stored(TABLE_PROGRAM, table())]
    found = connect(serve({"getMultipleAccounts": in_context(accounts)})).lookup_tables([first, second])
    assert found == {first: (str(AUTHORITY), str(HOOK)), second: ()}


@pytest.mark.parametrize(
    "account",
    [
        None,
        stored("11111111111111111111111111111111", table(AUTHORITY)),
        stored(TABLE_PROGRAM, table(AUTHORITY, kind=0)),
        stored(TABLE_PROGRAM, table(AUTHORITY)[:-1]),
        stored(TABLE_PROGRAM, bytes(10)),
    ],
)
def test_what_is_no_lookup_table_is_refused(serve: Serve, connect: Connect, account: dict[str, Any] | None) -> None:
    with pytest.raises(RpcRejectedError, match=str(HOOK)):
        connect(serve({"getMultipleAccounts": in_context([account])})).lookup_tables([Address(str(HOOK))])
