"""What the send-only services have in common: JSON-RPC calls, the transactions in them, and tips."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Collection, Mapping
from typing import Any

from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from starlette.requests import Request

from sniperforge.sandbox.base58 import b58decode
from sniperforge.sandbox.jupiter.answers import JsonAnswer
from sniperforge.sandbox.tokens import SYSTEM_PROGRAM
from sniperforge.sandbox.wire import parse

INVALID_PARAMS = -32602
_TRANSFER_TAG = (2).to_bytes(4, "little")
_TRANSFER_BYTES = 12

Method = Callable[[list[Any]], Any]
"""From parameters to a result."""


class SendRefusedError(Exception):
    """A JSON-RPC error of a sender."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


async def answer_call(request: Request, methods: Mapping[str, Method]) -> JsonAnswer:
    """Answer one JSON-RPC call to a service that knows these methods."""
    call_id: Any = None
    try:
        call_id, name, params = await _read(request)
        result = methods.get(name, _not_found)(params)
    except SendRefusedError as refused:
        return error_answer(call_id, refused)
    return JsonAnswer({"jsonrpc": "2.0", "id": call_id, "result": result})


def error_answer(call_id: Any, refused: SendRefusedError, *, status: int = 200) -> JsonAnswer:
    """A JSON-RPC error."""
    error = {"code": refused.code, "message": refused.message}
    return JsonAnswer({"jsonrpc": "2.0", "id": call_id, "error": error}, status)


def _not_found(_params: list[Any]) -> Any:
    raise SendRefusedError(-32601, "Method not found")


async def _read(request: Request) -> tuple[Any, str, list[Any]]:
    try:
        call = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise SendRefusedError(-32700, "Parse error") from None
    if not isinstance(call, dict) or call.get("jsonrpc") != "2.0" or not isinstance(call.get("params"), list):
        raise SendRefusedError(-32600, "Invalid request")
    return call.get("id"), str(call.get("method")), call["params"]


def config_of(params: list[Any], *, refusal_code: int) -> dict[str, Any]:
    """The options that come second, if any.

    Raises:
        SendRefusedError: They are no object.
    """
    config = params[1] if len(params) > 1 else {}
    if not isinstance(config, dict):
        raise SendRefusedError(refusal_code, "Invalid parameter: config must be an object")
    return config


def transaction_in(text: Any, encoding: str) -> VersionedTransaction:
    """A signed transaction in base64 or base58.

    Raises:
        SendRefusedError: It is no such thing.
    """
    if not isinstance(text, str):
        raise SendRefusedError(INVALID_PARAMS, f"Invalid params: a transaction in {encoding} is expected")
    try:
        raw = b58decode(text) if encoding == "base58" else b64decode(text, validate=True)
        parsed = parse(raw)
    except ValueError:
        raise SendRefusedError(INVALID_PARAMS, f"Invalid params: not a transaction in {encoding}") from None
    if not parsed.signatures_verify():
        raise SendRefusedError(-32003, "Transaction signature verification failure")
    return parsed.transaction


def largest_tip(transaction: VersionedTransaction, accounts: Collection[Pubkey]) -> int | None:
    """The largest single transfer of lamports to one of these accounts; None without any.

    Accounts reached through a lookup table do not count, as there.
    """
    message = transaction.message
    keys = message.account_keys
    tips = [
        int.from_bytes(instruction.data[4:12], "little")
        for instruction in message.instructions
        if keys[instruction.program_id_index] == SYSTEM_PROGRAM
        and instruction.data[:4] == _TRANSFER_TAG
        and len(instruction.data) == _TRANSFER_BYTES
        and instruction.accounts[1] < len(keys)
        and keys[instruction.accounts[1]] in accounts
    ]
    return max(tips, default=None)
