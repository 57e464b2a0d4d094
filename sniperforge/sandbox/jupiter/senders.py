"""Send-only services: `tx.jup.ag` at `POST /tx`, and a Jito block engine at `POST /api/v1/transactions`.

On mainnet each has a host of its own; here both share the port of the Jupiter API. Both speak JSON-RPC and know one
method, `sendTransaction`. A result means "forwarded", never "landed".
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Collection
from hashlib import sha256
from typing import Any

from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from starlette.requests import Request
from starlette.responses import Response

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.answers import JsonAnswer
from sniperforge.sandbox.jupiter.gateway import SlidingWindow
from sniperforge.sandbox.jupiter.tips import (
    JITO_MINIMUM_TIP_LAMPORTS,
    JITO_TIP_ACCOUNTS,
    JUPITER_MINIMUM_TIP_LAMPORTS,
    JUPITER_TIP_ACCOUNTS,
)
from sniperforge.sandbox.tokens import SYSTEM_PROGRAM

_TRANSFER_TAG = (2).to_bytes(4, "little")
_TRANSFER_BYTES = 12
_JUPITER_TIPS = frozenset(JUPITER_TIP_ACCOUNTS)
_JITO_TIPS = frozenset(JITO_TIP_ACCOUNTS)


class SendRefusedError(Exception):
    """A JSON-RPC error of a sender."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class SenderDesk:
    """Answers both senders."""

    def __init__(self, context: SandboxContext) -> None:
        self._context = context
        self._jito_windows: dict[str, SlidingWindow] = {}

    async def jupiter(self, request: Request) -> Response:
        """Forward through Jupiter: a tip of at least 1,000,000 lamports to one of its 16 accounts is required."""
        call_id: Any = None
        try:
            call_id, params = await _call(request)
            transaction = _tipped_for_jupiter(params)
        except SendRefusedError as refused:
            return _error(call_id, refused)
        self._context.chain.submit(bytes(transaction))
        return JsonAnswer({"jsonrpc": "2.0", "id": call_id, "result": str(transaction.signatures[0])})

    async def jito(self, request: Request) -> Response:
        """Forward through the block engine: one call a second for each caller, `x-bundle-id` in the answer.

        With `?bundleOnly=true` a transaction that would fail does not land, and costs nothing.
        """
        if self._context.config.rate_limits_enabled and not self._jito_place(request):
            limited = SendRefusedError(-32097, "Network congested. Rate limit exceeded: 1 request per second")
            return _error(None, limited, status=429)
        bundle_only = request.query_params.get("bundleOnly") == "true"
        call_id: Any = None
        try:
            call_id, params = await _call(request)
            transaction = _tipped_for_jito(params, required=bundle_only)
        except SendRefusedError as refused:
            return _error(call_id, refused)
        raw = bytes(transaction)
        chain = self._context.chain
        if not bundle_only or chain.simulate(raw, sig_verify=True, replace_blockhash=False).err is None:
            chain.submit(raw)
        signature = str(transaction.signatures[0])
        answer = JsonAnswer({"jsonrpc": "2.0", "id": call_id, "result": signature})
        answer.headers["x-bundle-id"] = sha256(signature.encode()).hexdigest()
        return answer

    def _jito_place(self, request: Request) -> bool:
        caller = request.client.host if request.client else ""
        window = self._jito_windows.setdefault(caller, SlidingWindow(1, 1))
        return window.take(self._context.clock()).allowed


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


async def _call(request: Request) -> tuple[Any, list[Any]]:
    try:
        call = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise SendRefusedError(-32700, "Parse error") from None
    if not isinstance(call, dict) or call.get("jsonrpc") != "2.0" or not isinstance(call.get("params"), list):
        raise SendRefusedError(-32600, "Invalid request")
    if call.get("method") != "sendTransaction":
        raise SendRefusedError(-32601, "Method not found")
    return call.get("id"), call["params"]


def _config(params: list[Any]) -> dict[str, Any]:
    config = params[1] if len(params) > 1 else {}
    if not isinstance(config, dict):
        raise SendRefusedError(-1015, "Invalid parameter: config must be an object")
    return config


def _transaction(params: list[Any]) -> VersionedTransaction:
    text = params[0] if params else None
    if not isinstance(text, str):
        raise SendRefusedError(-32602, "Invalid params: a base64 transaction comes first")
    try:
        transaction = VersionedTransaction.from_bytes(b64decode(text, validate=True))
    except ValueError:
        raise SendRefusedError(-32602, "Invalid params: not a base64 transaction") from None
    if not all(transaction.verify_with_results()):
        raise SendRefusedError(-32003, "Transaction signature verification failure")
    return transaction


def _tipped_for_jupiter(params: list[Any]) -> VersionedTransaction:
    config = _config(params)
    if config.get("skipPreflight", True) is not True:
        raise SendRefusedError(-1015, "Invalid parameter: skipPreflight must be true")
    if config.get("maxRetries", 0) != 0:
        raise SendRefusedError(-1015, "Invalid parameter: maxRetries must be 0")
    if config.get("encoding", "base64") != "base64":
        raise SendRefusedError(-1016, "Invalid encoding: must be base64")
    transaction = _transaction(params)
    tip = largest_tip(transaction, _JUPITER_TIPS)
    if tip is None:
        raise SendRefusedError(-1014, "Missing Jupiter tip")
    if tip < JUPITER_MINIMUM_TIP_LAMPORTS:
        raise SendRefusedError(-1013, f"Jupiter tip must be at least {JUPITER_MINIMUM_TIP_LAMPORTS} lamports")
    return transaction


def _tipped_for_jito(params: list[Any], *, required: bool) -> VersionedTransaction:
    _config(params)
    transaction = _transaction(params)
    tip = largest_tip(transaction, _JITO_TIPS)
    if required and (tip is None or tip < JITO_MINIMUM_TIP_LAMPORTS):
        raise SendRefusedError(-32602, f"Bundles must tip at least {JITO_MINIMUM_TIP_LAMPORTS} lamports")
    return transaction


def _error(call_id: Any, refused: SendRefusedError, *, status: int = 200) -> JsonAnswer:
    error = {"code": refused.code, "message": refused.message}
    return JsonAnswer({"jsonrpc": "2.0", "id": call_id, "error": error}, status)
