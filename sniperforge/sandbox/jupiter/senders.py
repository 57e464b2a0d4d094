"""Jupiter's send-only service, `tx.jup.ag`, at `POST /tx`.

On mainnet it has a host of its own; here it shares the port of the Jupiter API. It speaks JSON-RPC and knows one
method, `sendTransaction`. A result means "forwarded", never "landed".
"""

from __future__ import annotations

from typing import Any

from solders.transaction import VersionedTransaction
from starlette.requests import Request
from starlette.responses import Response

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.send_calls import (
    SendRefusedError,
    answer_call,
    config_of,
    largest_tip,
    transaction_in,
)
from sniperforge.sandbox.jupiter.tips import JUPITER_MINIMUM_TIP_LAMPORTS, JUPITER_TIP_ACCOUNTS

_TIP_ACCOUNTS = frozenset(JUPITER_TIP_ACCOUNTS)
_INVALID_PARAMETER = -1015


class SenderDesk:
    """Forwards what carries a tip of at least 1,000,000 lamports to one of Jupiter's 16 accounts."""

    def __init__(self, context: SandboxContext) -> None:
        self._context = context

    async def answer(self, request: Request) -> Response:
        """One call."""
        return await answer_call(request, {"sendTransaction": self._send})

    def _send(self, params: list[Any]) -> str:
        transaction = _tipped(params)
        self._context.chain.submit(bytes(transaction))
        return str(transaction.signatures[0])


def _tipped(params: list[Any]) -> VersionedTransaction:
    config = config_of(params, refusal_code=_INVALID_PARAMETER)
    if config.get("skipPreflight", True) is not True:
        raise SendRefusedError(_INVALID_PARAMETER, "Invalid parameter: skipPreflight must be true")
    if config.get("maxRetries", 0) != 0:
        raise SendRefusedError(_INVALID_PARAMETER, "Invalid parameter: maxRetries must be 0")
    if config.get("encoding", "base64") != "base64":
        raise SendRefusedError(-1016, "Invalid encoding: must be base64")
    transaction = transaction_in(params[0] if params else None, "base64")
    tip = largest_tip(transaction, _TIP_ACCOUNTS)
    if tip is None:
        raise SendRefusedError(-1014, "Missing Jupiter tip")
    if tip < JUPITER_MINIMUM_TIP_LAMPORTS:
        raise SendRefusedError(-1013, f"Jupiter tip must be at least {JUPITER_MINIMUM_TIP_LAMPORTS} lamports")
    return transaction
