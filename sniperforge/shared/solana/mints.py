"""Mint accounts of the Token and the Token-2022 program, from their bytes.

Layouts: `spl-token` `state.rs` (Mint, 82 bytes, little-endian: COption<Pubkey> mint_authority as u32 + 32 bytes, u64
supply, u8 decimals, u8 is_initialized, COption<Pubkey> freeze_authority) and `spl-token-2022-interface`
`extension/mod.rs`: a mint with extensions is padded with zeros to 165 bytes, byte 165 is the account type (1: a mint),
then come entries of u16 type, u16 length, value. Extension types are listed there too (version 3.0.0: types 0 to 28).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from solders.pubkey import Pubkey

from sniperforge.domain.money import Address, Mint
from sniperforge.errors import ProtocolError
from sniperforge.ports.chain import AccountInfo, MintInfo

TOKEN_PROGRAM = Address("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Address("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
TOKEN_PROGRAMS = (TOKEN_PROGRAM, TOKEN_2022_PROGRAM)
CLOCK_SYSVAR = Address("SysvarC1ock11111111111111111111111111111111")

EXTENSIONS: Mapping[int, str] = {
    1: "transfer_fee_config",
    2: "transfer_fee_amount",
    3: "mint_close_authority",
    4: "confidential_transfer_mint",
    5: "confidential_transfer_account",
    6: "default_account_state",
    7: "immutable_owner",
    8: "memo_transfer",
    9: "non_transferable",
    10: "interest_bearing_config",
    11: "cpi_guard",
    12: "permanent_delegate",
    13: "non_transferable_account",
    14: "transfer_hook",
    15: "transfer_hook_account",
    16: "confidential_transfer_fee_config",
    17: "confidential_transfer_fee_amount",
    18: "metadata_pointer",
    19: "token_metadata",
    20: "group_pointer",
    21: "token_group",
    22: "group_member_pointer",
    23: "token_group_member",
    24: "confidential_mint_burn",
    25: "scaled_ui_amount",
    26: "pausable",
    27: "pausable_account",
    28: "permissioned_burn",
}

_MINT_BYTES = 82
_ACCOUNT_TYPE_AT = 165
_MINT_TYPE = 1
_FROZEN = 2
_NO_KEY = bytes(32)


def decode_mint(account: AccountInfo, clock: AccountInfo | None) -> MintInfo | None:
    """The mint in this account; None if it holds no mint (a wallet, a token account, a program...).

    Args:
        account: The account as stored.
        clock: The clock sysvar of the same slot. It names the epoch, which decides the transfer fee in force.

    Raises:
        ProtocolError: A mint whose extensions do not parse, or with a fee about to change and no clock to tell by.
    """
    data = account.data
    if account.owner not in TOKEN_PROGRAMS or not _is_mint(account.owner, data):
        return None
    mint_tag, mint_key, supply, decimals, _, freeze_tag, freeze_key = struct.unpack_from("<I32sQBBI32s", data)
    extensions = dict(_extensions(account.address, data))
    fee_bps, fee_max = _transfer_fee(account.address, extensions.get("transfer_fee_config"), clock)
    return MintInfo(
        mint=Mint(account.address),
        program=account.owner,
        decimals=decimals,
        supply_raw=supply,
        mint_authority=_address(mint_key) if mint_tag else None,
        freeze_authority=_address(freeze_key) if freeze_tag else None,
        transfer_fee_bps=fee_bps,
        transfer_fee_max_raw=fee_max,
        # Authority first, then the program; the permanent delegate is the whole value.
        transfer_hook=_key_at(account.address, extensions.get("transfer_hook"), 32),
        permanent_delegate=_key_at(account.address, extensions.get("permanent_delegate"), 0),
        default_frozen=extensions.get("default_account_state", b"")[:1] == bytes([_FROZEN]),
        extensions=tuple(extensions),
    )


def _is_mint(program: Address, data: bytes) -> bool:
    if len(data) == _MINT_BYTES:
        return data[45] == 1
    return (
        program == TOKEN_2022_PROGRAM
        and len(data) > _ACCOUNT_TYPE_AT
        and data[_ACCOUNT_TYPE_AT] == _MINT_TYPE
        and data[45] == 1
    )


def _extensions(address: Address, data: bytes) -> Iterator[tuple[str, bytes]]:
    at = _ACCOUNT_TYPE_AT + 1
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<HH", data, at)
        if kind == 0:  # padding
            return
        value = data[at + 4 : at + 4 + length]
        if len(value) != length:
            raise _damaged(address, f"extension {kind} is cut short")
        yield EXTENSIONS.get(kind, f"unknown_{kind}"), value
        at += 4 + length


def _transfer_fee(
    address: Address, value: bytes | None, clock: AccountInfo | None
) -> tuple[int, int] | tuple[None, None]:
    """Basis points and maximum in force: TransferFeeConfig holds two authorities (64 bytes), the withheld u64, an older
    and a newer fee, each u64 epoch, u64 maximum, u16 basis points; the newer one counts from its epoch on.
    """  # noqa: D205 (one sentence of protocol)
    if value is None:
        return None, None
    if len(value) != 108:
        raise _damaged(address, "its transfer fee config has a wrong length")
    _, older_max, older_bps, newer_epoch, newer_max, newer_bps = struct.unpack_from("<QQHQQH", value, 72)
    if (older_max, older_bps) == (newer_max, newer_bps):
        return newer_bps, newer_max
    return (newer_bps, newer_max) if _epoch(address, clock) >= newer_epoch else (older_bps, older_max)


def _epoch(address: Address, clock: AccountInfo | None) -> int:
    """Clock sysvar: u64 slot, i64 epoch start time, u64 epoch, u64 leader schedule epoch, i64 unix time."""
    if clock is None or len(clock.data) < 24:
        raise ProtocolError(
            "its transfer fee changes with the epoch, and the node shows no clock sysvar",
            subject=f"mint {address}",
            fix="Use another RPC provider",
        )
    (epoch,) = struct.unpack_from("<Q", clock.data, 16)
    return int(epoch)


def _key_at(address: Address, value: bytes | None, offset: int) -> Address | None:
    if value is None:
        return None
    key = value[offset : offset + 32]
    if len(key) != 32:
        raise _damaged(address, "an extension that names an account is too short")
    return None if key == _NO_KEY else _address(key)


def _address(key: bytes) -> Address:
    return Address(str(Pubkey.from_bytes(key)))


def _damaged(address: Address, what: str) -> ProtocolError:
    return ProtocolError(what, subject=f"mint {address}", fix="Do not trade this token; report it")
