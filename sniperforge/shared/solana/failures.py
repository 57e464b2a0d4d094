"""What went wrong with an RPC call, as one of our errors.

Codes: Agave's `rpc-client-api/src/custom_error.rs` (-32001..-32021) and JSON-RPC 2.0 (-32600..-32700). Some providers
put HTTP status numbers, or -32429, into the JSON-RPC code.

Retryable means: this node later, or another node now. So a node whose key is refused, or that keeps no history, is
*unavailable* and not *rejecting*: the next node may well answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from sniperforge.errors import (
    NodeBehindError,
    NodeUnavailableError,
    PreflightFailedError,
    RateLimitedError,
    RpcRejectedError,
    SniperForgeError,
)

_NEXT_NODE = "Another node may answer; add one to rpc_urls"

BEHIND = {
    -32005: "the node is behind the cluster",
    -32014: "the node does not have that block's status yet",
    -32016: "the node has not reached the slot asked for",
}
UNAVAILABLE = {
    -32004: ("the node does not have that block", _NEXT_NODE),
    -32011: ("the node keeps no transaction history", "Use a node with history for this question"),
    -32012: ("the node's account scan failed", _NEXT_NODE),
    -32017: ("epoch rewards are being paid out", "Ask again after the epoch's first blocks"),
    -32019: ("the node cannot reach its long-term storage", _NEXT_NODE),
    -32021: ("the node has no slot history", _NEXT_NODE),
    -32603: ("internal error of the node", _NEXT_NODE),
}
REJECTED = {
    -32001: ("the block was cleaned up on this node", "Ask a node that keeps older blocks"),
    -32003: ("a signature of the transaction is wrong", "Sign the transaction again; this one can never land"),
    -32006: ("a precompiled program refused its instruction", "The transaction is wrong as it stands"),
    -32007: ("that slot was skipped or is missing", "Ask for another slot"),
    -32008: ("the node has no snapshot", "Ask another node"),
    -32009: ("that slot was skipped or is missing in long-term storage", "Ask for another slot"),
    -32010: ("the key is excluded from the node's indexes", "Use a node that indexes it"),
    -32013: ("the number of signatures does not fit the message", "Sign the transaction again"),
    -32015: ("the transaction's version is newer than the question allows", "Upgrade SniperForge"),
    -32018: ("that slot is no epoch boundary", "Ask for another slot"),
    -32020: ("the transaction to filter by is unknown to the node", "Ask without it, or ask another node"),
    -32600: ("the node does not see a valid request", "Report this as a bug"),
    -32601: ("the node does not know this method", "Use another RPC provider or a newer node"),
    -32602: ("the node refuses the parameters", "Check what was asked for"),
    -32700: ("the node could not read the request", "Report this as a bug"),
}
_RATE_LIMIT_CODES = {429, -32429}


def from_rpc_error(node: str, method: str, code: object, message: str, data: object) -> SniperForgeError:
    """The error for a JSON-RPC error object. `message` is the node's own and already redacted."""
    subject = f"{method} at {node}"
    if type(code) is not int:
        return NodeUnavailableError(
            f"an error without a code ({message})", subject=subject, fix=_NEXT_NODE, node=node, code=None
        )
    if code == -32002:
        return _preflight(subject, node, message, data)
    if code in _RATE_LIMIT_CODES:
        return RateLimitedError(
            f"too many requests ({message})",
            subject=subject,
            fix="Slow down or use a larger plan",
            node=node,
            code=code,
        )
    if code in BEHIND:
        return NodeBehindError(
            f"{BEHIND[code]} ({message})",
            subject=subject,
            fix=_NEXT_NODE,
            node=node,
            code=code,
            slots_behind=_number(data, "numSlotsBehind"),
            context_slot=_number(data, "contextSlot"),
        )
    if code in UNAVAILABLE:
        what, fix = UNAVAILABLE[code]
        return NodeUnavailableError(f"{what} ({message})", subject=subject, fix=fix, node=node, code=code)
    if 400 <= code < 600:
        return from_http_status(node, method, code, message, retry_at=None)
    what, fix = REJECTED.get(code, (f"the node refuses with code {code}", "Look the code up with the RPC provider"))
    return RpcRejectedError(f"{what} ({message})", subject=subject, fix=fix, node=node, code=code)


def from_http_status(node: str, method: str, status: int, body: str, *, retry_at: datetime | None) -> SniperForgeError:
    """The error for an HTTP status other than 200. `body` is a short, redacted excerpt."""
    subject = f"{method} at {node}"
    said = f" ({body})" if body else ""
    if status == 429:
        return RateLimitedError(
            f"too many requests{said}",
            subject=subject,
            fix="Slow down or use a larger plan",
            node=node,
            code=status,
            retry_at=retry_at,
        )
    if status in {401, 403}:
        what, fix = f"HTTP {status}, access refused{said}", "Check the API key in rpc_urls"
    elif status >= 500 or status == 408:
        what, fix = f"HTTP {status}{said}", _NEXT_NODE
    elif status < 400 or status == 404:
        what, fix = f"HTTP {status}, no RPC at this address{said}", "Check the address in rpc_urls"
    else:
        return RpcRejectedError(
            f"HTTP {status}{said}", subject=subject, fix="Check what was asked for", node=node, code=status
        )
    return NodeUnavailableError(what, subject=subject, fix=fix, node=node, code=status)


def retry_after(header: str | None, now: datetime) -> datetime | None:
    """When a `Retry-After` header (seconds or a date, RFC 9110 section 10.2.3) says to come back, if it does."""
    if not header:
        return None
    if header.strip().isdigit():
        return now + timedelta(seconds=min(int(header), 3600))
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def canonical(err: object) -> str | None:
    """A transaction error as canonical JSON (sorted keys, no spaces), None for success."""
    return None if err is None else json.dumps(err, sort_keys=True, separators=(",", ":"))


def _preflight(subject: str, node: str, message: str, data: object) -> PreflightFailedError:
    result: Mapping[str, Any] = data if isinstance(data, dict) else {}
    logs = result.get("logs")
    return PreflightFailedError(
        f"the node's simulation failed and it forwards nothing ({message})",
        subject=subject,
        fix="Read the program logs; other nodes may have forwarded the same bytes",
        node=node,
        code=-32002,
        err=canonical(result.get("err")),
        logs=[str(line) for line in logs] if isinstance(logs, list) else [],
    )


def _number(data: object, key: str) -> int | None:
    value = data.get(key) if isinstance(data, dict) else None
    return value if type(value) is int else None
