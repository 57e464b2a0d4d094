"""`POST /swap/v2/execute`: checks what comes back against what was handed out, and lands it once."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

from solders.signature import Signature
from solders.transaction import VersionedTransaction
from starlette.requests import Request
from starlette.responses import Response

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.answers import JsonAnswer, RefusedError
from sniperforge.sandbox.jupiter.landing import LandingDesk
from sniperforge.sandbox.jupiter.order_cache import CachedOrder, OrderCache
from sniperforge.sandbox.jupiter.outcome import failed

EXECUTE_TARGET = "jupiter:/swap/v2/execute"
MAKER_MINIMUM_SECONDS = 20
"""The order is forwarded to the market maker only while his quote still lives this long."""

_KINDS = frozenset({"execute_code", "maker_reject", "sandwich"})
_EMPTY = Signature.default()
_SIGNATURE_BYTES = 64
_NOT_SIGNED = {"metis": -1003, "jupiterz": -2002}
_FAULT_TEXT = "Transaction was not confirmed"


@dataclass(frozen=True, slots=True)
class ExecuteRequest:
    """A checked body."""

    signed_transaction: bytes
    request_id: str
    height_is_number: bool


async def read_execute_request(request: Request) -> ExecuteRequest:
    """Check the body of a request.

    Raises:
        RefusedError: 400 with `error` and `code` (-4: no request id, -5: no transaction, -2: no base64).
    """
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise RefusedError(400, {"error": "Body is not valid JSON", "code": -2}) from None
    if not isinstance(body, dict):
        raise RefusedError(400, {"error": "Body is not a JSON object", "code": -2})
    request_id, signed = body.get("requestId"), body.get("signedTransaction")
    if not isinstance(request_id, str) or not request_id:
        raise RefusedError(400, {"error": "requestId is required", "code": -4})
    if not isinstance(signed, str) or not signed:
        raise RefusedError(400, {"error": "signedTransaction is required", "code": -5})
    try:
        raw = b64decode(signed, validate=True)
    except ValueError:
        raise RefusedError(400, {"error": "Invalid signed transaction", "code": -2}) from None
    height = body.get("lastValidBlockHeight")
    height_is_number = height is None or (isinstance(height, str) and height.isascii() and height.isdigit())
    return ExecuteRequest(raw, request_id, height_is_number)


class ExecuteDesk:
    """Answers `/execute`."""

    def __init__(self, context: SandboxContext, *, cache: OrderCache, landings: LandingDesk) -> None:
        self._context = context
        self._cache = cache
        self._landings = landings

    async def answer(self, request: Request) -> Response:
        """One post, first or repeated: an order lands at most once, and whoever asks waits for that one landing."""
        body = await read_execute_request(request)
        now = self._context.clock()
        order = self._cache.get(body.request_id, now)
        if order is None:
            return JsonAnswer(failed(-1, "Order not found, it might have expired"))
        signatures = _signatures(order, body.signed_transaction)
        if _EMPTY in signatures:
            code = _NOT_SIGNED[order.router]
            return JsonAnswer(failed(code, "Transaction is not fully signed"))
        if not body.height_is_number:
            return JsonAnswer(failed(-1004, "Invalid block height", signature=str(signatures[0])))
        if order.answer is None and order.landing is None:
            order.posted_at = now
            early_answer = self._first_post(order, signatures, now)
            if early_answer is not None:
                return JsonAnswer(early_answer)
        if order.landing is not None:
            return JsonAnswer(await asyncio.shield(order.landing.result))
        return JsonAnswer(order.answer)

    def _first_post(self, order: CachedOrder, signatures: list[Signature], now: float) -> dict[str, Any] | None:
        """Start landing; an answer comes back at once where nothing lands or a fault says something else.

        The order remembers its answer or its landing, which is all that a later post is told.
        """
        if order.expire_at is not None and now > order.expire_at - MAKER_MINIMUM_SECONDS:
            order.answer = failed(-2003, "Quote expired")
            return order.answer
        signature = str(signatures[0])
        faults = {rule.kind: rule for rule in self._context.faults.draw(EXECUTE_TARGET, kinds=_KINDS)}
        if "maker_reject" in faults and order.router == "jupiterz":
            order.answer = failed(-2004, "Swap rejected")
            return order.answer
        code_fault = faults.get("execute_code")
        params = {} if code_fault is None else code_fault.params
        if code_fault is None or params.get("lands"):
            order.landing = self._landings.start(
                order,
                bytes([len(signatures)]) + b"".join(map(bytes, signatures)) + order.message,
                signature,
                wait_slots=params.get("after_slots", 0),
                spoiled="sandwich" in faults,
            )
        if code_fault is None:
            return None
        answer = failed(params["code"], _FAULT_TEXT, signature=signature)
        if order.landing is None:
            order.answer = answer
        return answer


def _signatures(order: CachedOrder, raw: bytes) -> list[Signature]:
    """The signatures of a posted order, ours added: market maker and sponsor sign only what they handed out.

    Empty ones (64 zero bytes) of other signers are left for the caller to judge.

    Raises:
        RefusedError: 400, -2 for bytes that are no transaction or a signature that does not verify, -3 for another
            message than the one handed out.
    """
    count = len(order.signers)
    head = 1 + _SIGNATURE_BYTES * count
    if raw[:1] != bytes([count]) or raw[head:] != order.message:
        try:
            VersionedTransaction.from_bytes(raw)
        except ValueError:
            raise RefusedError(400, {"error": "Invalid signed transaction", "code": -2}) from None
        raise RefusedError(400, {"error": "Invalid message bytes", "code": -3})
    ours = {keypair.pubkey(): keypair for keypair in order.cosigners}
    signatures = []
    for index, signer in enumerate(order.signers):
        if signer in ours:
            signatures.append(ours[signer].sign_message(order.message))
            continue
        start = 1 + _SIGNATURE_BYTES * index
        signature = Signature.from_bytes(raw[start : start + _SIGNATURE_BYTES])
        if signature != _EMPTY and not signature.verify(signer, order.message):
            raise RefusedError(400, {"error": "Invalid signed transaction", "code": -2})
        signatures.append(signature)
    return signatures
