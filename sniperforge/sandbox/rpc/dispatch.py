"""JSON-RPC 2.0: bodies in, bodies out.

Batches, ids and malformed input behave as in jsonrpc-core 18, which nodes use.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sniperforge.sandbox.rpc import accounts, cluster, history, sending
from sniperforge.sandbox.rpc.call import Entry, RpcCall
from sniperforge.sandbox.rpc.errors import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
    invalid_params,
)
from sniperforge.sandbox.rpc.params import Params

METHODS: Mapping[str, Entry] = {**accounts.METHODS, **cluster.METHODS, **history.METHODS, **sending.METHODS}
"""Every method the sandbox serves."""

_log = logging.getLogger(__name__)
_INVALID = RpcError(INVALID_REQUEST, "Invalid request")


@dataclass(frozen=True, slots=True)
class Request:
    """One well-formed call. `notification` says that no answer is wanted."""

    method: str
    params: list[Any] | dict[str, Any]
    id: str | int | None
    notification: bool


@dataclass(frozen=True, slots=True)
class Malformed:
    """One call that is no call; its id is echoed if it has a usable one."""

    error: RpcError
    id: str | int | None = None


def parse_body(body: bytes) -> tuple[list[Request | Malformed], bool]:
    """The calls of a body, and whether they form a batch."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return [Malformed(RpcError(PARSE_ERROR, "Parse error"))], False
    if isinstance(document, list):
        return ([_request(one) for one in document], True) if document else ([Malformed(_INVALID)], False)
    return [_request(document)], False


def _request(document: object) -> Request | Malformed:
    if not isinstance(document, dict):
        return Malformed(_INVALID)
    identifier = document.get("id")
    if isinstance(identifier, bool) or not isinstance(identifier, str | int | None):
        return Malformed(_INVALID)
    method, params = document.get("method"), document.get("params")
    if document.get("jsonrpc") != "2.0" or not isinstance(method, str):
        return Malformed(_INVALID, identifier)
    if params is None:
        params = []
    if not isinstance(params, list | dict):
        return Malformed(_INVALID, identifier)
    return Request(method, params, identifier, notification="id" not in document)


def answer(call: RpcCall, request: Request) -> dict[str, Any]:
    """Run one call."""
    try:
        return {"jsonrpc": "2.0", "result": _result(call, request), "id": request.id}
    except RpcError as error:
        return failure(error, request.id)
    except Exception:  # noqa: BLE001 (a node answers -32603, whatever broke; the log has the traceback)
        _log.exception("RPC method %s failed", request.method)
        return failure(RpcError(INTERNAL_ERROR, "Internal error"), request.id)


def failure(error: RpcError, identifier: str | int | None) -> dict[str, Any]:
    """An error answer."""
    return {"jsonrpc": "2.0", "error": error.as_json(), "id": identifier}


def _result(call: RpcCall, request: Request) -> Any:
    entry = METHODS.get(request.method)
    if entry is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found")
    values = request.params
    if isinstance(values, dict):
        raise invalid_params("Invalid params: invalid type: map, expected a sequence.")
    if len(values) < entry.required:
        raise invalid_params(f"`params` should have at least {entry.required} argument(s)")
    if len(values) > entry.most:
        if entry.most == 0:
            raise invalid_params("Invalid parameters: No parameters were expected")
        raise invalid_params(f"Invalid params: invalid length {len(values)}, expected at most {entry.most} element(s).")
    return entry.handler(call, Params(values))


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def encode(document: object) -> bytes:
    """JSON as nodes write it, a newline at the end."""
    return _encoder.encode(document).encode("utf-8", "replace") + b"\n"
