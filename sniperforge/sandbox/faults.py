"""What goes wrong, when: seeded rules that the server consults for every request.

A rule hits a target (`rpc:sendTransaction`, `jupiter:/swap/v2/execute`, `rpc:*`, `*`), optionally one node only,
either the next `count` times or with a `probability`. The same seed and the same requests give the same faults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

FaultKind = Literal[
    "latency",  # params: ms
    "drop_request",  # connection closed, nothing done
    "drop_response",  # done, then connection closed
    "reset",  # TCP reset before anything is done
    "http_429",
    "http_500_html",  # nothing done
    "http_500_after",  # done, then 500
    "garbage",  # 200 with a body that is no JSON
    "rpc_error",  # params: code, message, data
    "history_down",  # null for history questions
    "swallow",  # sendTransaction answers with the signature and forwards nothing
    "execute_code",  # params: code, lands (bool), after_slots: answer this code; land anyway, maybe later
    "maker_reject",
    "bad_order",  # params: shape, one of `BadOrderShape`
    "sandwich",  # the fill is pushed to exactly otherAmountThreshold
]


BadOrderShape = Literal[
    "advance_nonce", "extra_signer", "other_payer", "wrong_minimum", "empty_height", "low_height", "drain"
]
"""How a hostile or broken `/order` answer can look."""


@dataclass(slots=True)
class FaultRule:
    """One rule. Exactly one of `count` and `probability` is set."""

    target: str
    kind: FaultKind
    node: str | None = None
    count: int | None = None
    probability: float | None = None
    params: dict[str, Any] = field(default_factory=dict)


class FaultPlan:
    """The rules in force."""

    def __init__(self, seed: int = 1) -> None:
        raise NotImplementedError

    def add(self, rule: FaultRule) -> int:
        """Put a rule in force; returns its number."""
        raise NotImplementedError

    def clear(self, target: str | None = None) -> int:
        """Remove all rules, or those of one target; returns how many."""
        raise NotImplementedError

    def draw(self, target: str, *, node: str | None = None, kinds: frozenset[str] | None = None) -> list[FaultRule]:
        """The rules that hit this request (of these kinds, if given); counts are used up."""
        raise NotImplementedError

    def rules(self) -> list[dict[str, Any]]:
        """The rules in force, JSON-ready, for people."""
        raise NotImplementedError
