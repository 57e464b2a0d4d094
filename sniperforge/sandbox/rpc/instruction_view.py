"""Instructions as JSON: compiled, or `jsonParsed` for the programs that wallets and explorers look at.

The system program, both token programs, associated token accounts and memos are parsed; every other program gives a
partially decoded instruction, as on a validator (Agave, `transaction-status/src/parse_instruction.rs`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from solders.pubkey import Pubkey

from sniperforge.sandbox.base58 import b58decode, b58encode
from sniperforge.sandbox.rpc.account_view import TOKEN_PROGRAMS, ui_token_amount
from sniperforge.sandbox.tokens import ASSOCIATED_TOKEN_PROGRAM, SYSTEM_PROGRAM

_MEMO_PROGRAMS = frozenset(
    {"MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr", "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"}
)
_SYSTEM, _ASSOCIATED_TOKEN = str(SYSTEM_PROGRAM), str(ASSOCIATED_TOKEN_PROGRAM)
_TOKENS = {str(program): name for program, name in TOKEN_PROGRAMS.items()}

_Parsed = dict[str, Any]
_Parser = Callable[[Sequence[str], bytes], _Parsed | None]


def compiled(program_index: int, accounts: Sequence[int], data: bytes, stack_height: int) -> dict[str, Any]:
    """An instruction that refers to accounts by index."""
    return {
        "programIdIndex": program_index,
        "accounts": list(accounts),
        "data": b58encode(data),
        "stackHeight": stack_height,
    }


def parsed_instruction(instruction: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A compiled instruction in `jsonParsed` form."""
    program = keys[instruction["programIdIndex"]]
    accounts = [keys[index] for index in instruction["accounts"]]
    parsed = _parse(program, accounts, instruction["data"])
    stack_height = instruction.get("stackHeight")
    if parsed is None:
        return {
            "programId": program,
            "accounts": accounts,
            "data": instruction["data"],
            "stackHeight": stack_height,
        }
    return {**parsed, "programId": program, "stackHeight": stack_height}


def _parse(program: str, accounts: list[str], data_base58: str) -> _Parsed | None:
    data = b58decode(data_base58)
    if program in _MEMO_PROGRAMS:
        return {"program": "spl-memo", "parsed": data.decode("utf-8", "replace")}
    parser: _Parser
    if program == _SYSTEM:
        name, parser = "system", _system
    elif program in _TOKENS:
        name, parser = _TOKENS[program], _token
    elif program == _ASSOCIATED_TOKEN:
        name, parser = "spl-associated-token-account", _associated
    else:
        return None
    try:
        parsed = parser(accounts, data)
    except (IndexError, struct.error):
        return None  # an instruction that its own program would refuse; shown undecoded
    return None if parsed is None else {"program": name, "parsed": parsed}


def _kind(name: str, **info: Any) -> _Parsed:
    return {"type": name, "info": info}


def _system(accounts: Sequence[str], data: bytes) -> _Parsed | None:
    (tag,) = struct.unpack_from("<I", data)
    if tag == 0:
        lamports, space = struct.unpack_from("<QQ", data, 4)
        return _kind(
            "createAccount",
            source=accounts[0],
            newAccount=accounts[1],
            lamports=lamports,
            space=space,
            owner=str(Pubkey.from_bytes(data[20:52])),
        )
    if tag == 2:
        (lamports,) = struct.unpack_from("<Q", data, 4)
        return _kind("transfer", source=accounts[0], destination=accounts[1], lamports=lamports)
    if tag == 4:
        return _kind(
            "advanceNonce",
            nonceAccount=accounts[0],
            recentBlockhashesSysvar=accounts[1],
            nonceAuthority=accounts[2],
        )
    return None


def _token(accounts: Sequence[str], data: bytes) -> _Parsed | None:
    tag = data[0]
    if tag == 3:
        (amount,) = struct.unpack_from("<Q", data, 1)
        return _kind("transfer", source=accounts[0], destination=accounts[1], authority=accounts[2], amount=str(amount))
    if tag == 9:
        return _kind("closeAccount", account=accounts[0], destination=accounts[1], owner=accounts[2])
    if tag == 12:
        amount, decimals = struct.unpack_from("<QB", data, 1)
        return _kind(
            "transferChecked",
            source=accounts[0],
            mint=accounts[1],
            destination=accounts[2],
            authority=accounts[3],
            tokenAmount=ui_token_amount(amount, decimals),
        )
    if tag == 17:
        return _kind("syncNative", account=accounts[0])
    if tag == 18:
        return _kind(
            "initializeAccount3",
            account=accounts[0],
            mint=accounts[1],
            owner=str(Pubkey.from_bytes(data[1:33])),
        )
    return None


def _associated(accounts: Sequence[str], data: bytes) -> _Parsed | None:
    tag = data[0] if data else 0
    if tag > 1:
        return None
    return _kind(
        "createIdempotent" if tag else "create",
        source=accounts[0],
        account=accounts[1],
        wallet=accounts[2],
        mint=accounts[3],
        systemProgram=accounts[4],
        tokenProgram=accounts[5],
    )
