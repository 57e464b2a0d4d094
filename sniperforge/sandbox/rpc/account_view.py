"""Accounts as JSON, in every encoding that clients ask for.

`jsonParsed` covers token accounts and mints of both token programs, and nonces; anything else falls back to base64,
as on a validator (Agave, `account-decoder`).
"""

from __future__ import annotations

import struct
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.sandbox.base58 import b58encode
from sniperforge.sandbox.rpc.encoding import base64_encode, zstd_frame
from sniperforge.sandbox.rpc.errors import INVALID_REQUEST, RpcError
from sniperforge.sandbox.rpc.params import Config
from sniperforge.sandbox.tokens import SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM

TOKEN_PROGRAMS = {TOKEN_PROGRAM: "spl-token", TOKEN_2022_PROGRAM: "spl-token-2022"}
ENCODINGS = ("binary", "base58", "base64", "base64+zstd", "jsonParsed")

_ACCOUNT_LENGTH = 165
_MINT_LENGTH = 82
_NONCE_LENGTH = 80
_TYPE_MINT, _TYPE_ACCOUNT = 1, 2
_STATES = ("uninitialized", "initialized", "frozen")
_MAX_BASE58_BYTES = 128
_U64_MAX = 2**64 - 1


def is_token_account(account: Account) -> bool:
    """Whether it holds tokens (either program)."""
    data = account.data
    return account.owner in TOKEN_PROGRAMS and (
        len(data) == _ACCOUNT_LENGTH or (len(data) > _ACCOUNT_LENGTH and data[_ACCOUNT_LENGTH] == _TYPE_ACCOUNT)
    )


def is_mint(account: Account) -> bool:
    """Whether it is a mint (either program)."""
    data = account.data
    return account.owner in TOKEN_PROGRAMS and (
        len(data) == _MINT_LENGTH or (len(data) > _ACCOUNT_LENGTH and data[_ACCOUNT_LENGTH] == _TYPE_MINT)
    )


def token_mint(account: Account) -> str:
    """The mint of a token account."""
    return str(Pubkey.from_bytes(account.data[:32]))


def token_raw_amount(account: Account) -> int:
    """The amount of a token account, in base units."""
    return int.from_bytes(account.data[64:72], "little")


def mint_decimals(account: Account) -> int:
    """The decimals of a mint."""
    return account.data[44]


def mint_supply(account: Account) -> int:
    """The supply of a mint, in base units."""
    return int.from_bytes(account.data[36:44], "little")


def ui_token_amount(raw: int, decimals: int) -> dict[str, Any]:
    """`UiTokenAmount`: the exact integer, and the decimal forms for people."""
    whole, fraction = divmod(raw, 10**decimals)
    text = f"{whole}.{fraction:0{decimals}d}".rstrip("0").rstrip(".") if decimals else str(raw)
    return {"amount": str(raw), "decimals": decimals, "uiAmount": float(text), "uiAmountString": text}


def account_json(account: Account, encoding: str, data_slice: Config | None, decimals: int | None) -> dict[str, Any]:
    """`UiAccount`.

    Args:
        account: The account.
        encoding: One of `ENCODINGS`.
        data_slice: Which part of the data to return; not for `jsonParsed`.
        decimals: Of the mint, when the account is a token account and `jsonParsed` is asked.

    Raises:
        RpcError: -32600, when base58 is asked for more than 128 bytes.
    """
    data = account.data
    return {
        "lamports": account.lamports,
        "owner": str(account.owner),
        "executable": account.executable,
        "rentEpoch": _U64_MAX,  # every account is rent exempt; nodes print this for them
        "space": len(data),
        "data": _data_json(account, data, encoding, data_slice, decimals),
    }


def _data_json(account: Account, data: bytes, encoding: str, data_slice: Config | None, decimals: int | None) -> Any:
    if encoding == "jsonParsed":
        parsed = _parsed(account, data, decimals)
        return parsed if parsed is not None else [base64_encode(data), "base64"]
    if data_slice is not None:
        offset = data_slice.u64("offset") or 0
        data = data[offset : offset + (data_slice.u64("length") or 0)]
    if encoding == "base64":
        return [base64_encode(data), "base64"]
    if encoding == "base64+zstd":
        return [base64_encode(zstd_frame(data)), "base64+zstd"]
    if len(data) > _MAX_BASE58_BYTES:
        raise RpcError(
            INVALID_REQUEST,
            "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
        )
    text = b58encode(data)
    return text if encoding == "binary" else [text, "base58"]


def _parsed(account: Account, data: bytes, decimals: int | None) -> dict[str, Any] | None:
    program = TOKEN_PROGRAMS.get(account.owner)
    if program is not None:
        if decimals is not None and is_token_account(account):
            return _wrap(program, "account", _token_account_info(data, decimals), data)
        if is_mint(account):
            return _wrap(program, "mint", _mint_info(data), data)
    if account.owner == SYSTEM_PROGRAM and len(data) == _NONCE_LENGTH:
        return _nonce(data)
    return None


def _wrap(program: str, kind: str, info: dict[str, Any], data: bytes) -> dict[str, Any]:
    return {"program": program, "parsed": {"type": kind, "info": info}, "space": len(data)}


def _optional_key(data: bytes, offset: int) -> str | None:
    (tag,) = struct.unpack_from("<I", data, offset)
    return str(Pubkey.from_bytes(data[offset + 4 : offset + 36])) if tag else None


def _token_account_info(data: bytes, decimals: int) -> dict[str, Any]:
    native_tag, native_reserve, delegated = struct.unpack_from("<IQQ", data, 109)
    info: dict[str, Any] = {
        "mint": str(Pubkey.from_bytes(data[:32])),
        "owner": str(Pubkey.from_bytes(data[32:64])),
        "tokenAmount": ui_token_amount(int.from_bytes(data[64:72], "little"), decimals),
        "state": _STATES[data[108]],
        "isNative": bool(native_tag),
    }
    delegate = _optional_key(data, 72)
    if delegate is not None:
        info["delegate"] = delegate
        info["delegatedAmount"] = ui_token_amount(delegated, decimals)
    if native_tag:
        info["rentExemptReserve"] = ui_token_amount(native_reserve, decimals)
    close_authority = _optional_key(data, 129)
    if close_authority is not None:
        info["closeAuthority"] = close_authority
    return _with_extensions(info, data)


def _mint_info(data: bytes) -> dict[str, Any]:
    info = {
        "mintAuthority": _optional_key(data, 0),
        "supply": str(int.from_bytes(data[36:44], "little")),
        "decimals": data[44],
        "isInitialized": bool(data[45]),
        "freezeAuthority": _optional_key(data, 46),
    }
    return _with_extensions(info, data)


def _with_extensions(info: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Token-2022 extensions: type (2 bytes), length (2 bytes), value, after the account type at byte 165."""
    extensions: list[dict[str, Any]] = []
    offset = _ACCOUNT_LENGTH + 1
    while offset + 4 <= len(data):
        kind, length = struct.unpack_from("<HH", data, offset)
        if kind == 0:
            break
        extensions.append(_extension(kind, data[offset + 4 : offset + 4 + length]))
        offset += 4 + length
    return {**info, "extensions": extensions} if extensions else info


def _extension(kind: int, value: bytes) -> dict[str, Any]:
    if kind == 1 and len(value) == 108:  # TransferFeeConfig
        return {
            "extension": "transferFeeConfig",
            "state": {
                "transferFeeConfigAuthority": _key_or_null(value[:32]),
                "withdrawWithheldAuthority": _key_or_null(value[32:64]),
                "withheldAmount": int.from_bytes(value[64:72], "little"),
                "olderTransferFee": _transfer_fee(value[72:90]),
                "newerTransferFee": _transfer_fee(value[90:108]),
            },
        }
    if kind == 2 and len(value) == 8:  # TransferFeeAmount
        return {"extension": "transferFeeAmount", "state": {"withheldAmount": int.from_bytes(value, "little")}}
    if kind == 7:
        return {"extension": "immutableOwner"}
    return {"extension": "unparseableExtension"}


def _transfer_fee(value: bytes) -> dict[str, int]:
    epoch, maximum, basis_points = struct.unpack("<QQH", value)
    return {"epoch": epoch, "maximumFee": maximum, "transferFeeBasisPoints": basis_points}


def _key_or_null(value: bytes) -> str | None:
    return str(Pubkey.from_bytes(value)) if any(value) else None


def _nonce(data: bytes) -> dict[str, Any] | None:
    _version, state = struct.unpack_from("<II", data)
    if state == 0:
        return {"program": "nonce", "parsed": {"type": "uninitialized"}, "space": len(data)}
    info = {
        "authority": str(Pubkey.from_bytes(data[8:40])),
        "blockhash": b58encode(data[40:72]),
        "feeCalculator": {"lamportsPerSignature": str(int.from_bytes(data[72:80], "little"))},
    }
    return _wrap("nonce", "initialized", info, data)
