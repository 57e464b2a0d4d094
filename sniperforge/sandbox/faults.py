"""What goes wrong, when: seeded rules that the server consults for every request.

A rule hits a target (`rpc:sendTransaction`, `jupiter:/swap/v2/execute`, `rpc:*`, `*`), optionally one node only,
either the next `count` times or with a `probability`. The same seed and the same requests give the same faults.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sniperforge.errors import InvalidInputError

FaultKind = Literal[
    "latency",  # params: ms
    "drop_request",  # connection closed, nothing done
    "drop_response",  # done, then connection closed
    "reset",  # TCP reset before anything is done
    "http_429",
    "http_500_html",  # nothing done
    "http_500_after",  # done, then 500
    "garbage",  # done, then 200 with a body that is no JSON
    "rpc_error",  # nothing done; params: code, message, data
    "history_down",  # null for history questions
    "swallow",  # sendTransaction answers with the signature and forwards nothing
    "execute_code",  # params: code, lands (bool), after_slots: answer this code; land anyway, maybe later
    "maker_reject",
    "bad_order",  # params: shape, one of `BadOrderShape`
    "sandwich",  # the fill is pushed to exactly otherAmountThreshold
    "stale_price",  # prices of an old block, which only blockId shows; params: slots
]


BadOrderShape = Literal[
    "advance_nonce", "extra_signer", "other_payer", "wrong_minimum", "empty_height", "low_height", "drain"
]
"""How a hostile or broken `/order` answer can look."""

ENDING_KINDS = frozenset(
    {"drop_request", "drop_response", "reset", "http_429", "http_500_html", "http_500_after", "garbage", "rpc_error"}
)
"""Kinds that decide how a request ends. One request ends once, so at most one of these hits it."""

HTTP_KINDS = (ENDING_KINDS - {"rpc_error"}) | {"latency"}
"""Kinds that any HTTP server can suffer; the rest belong to JSON-RPC or to Jupiter."""

RPC_KINDS = ENDING_KINDS | {"latency", "history_down", "swallow"}
"""Kinds that the RPC server shows."""

_TARGET = re.compile(r"\*|rpc:(\*|[A-Za-z]+)|jupiter:(\*|/[A-Za-z0-9/_.-]*\*?)")

_PARAMS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "latency": {"ms": (int,)},
    "rpc_error": {"code": (int,), "message": (str,), "data": (dict, list, str, int, type(None))},
    "execute_code": {"code": (int,), "lands": (bool,), "after_slots": (int,)},
    "bad_order": {"shape": (str,)},
    "stale_price": {"slots": (int,)},
}
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "latency": ("ms",),
    "rpc_error": ("code", "message"),
    "execute_code": ("code",),
    "bad_order": ("shape",),
}
_JUPITER_ONLY = frozenset({"execute_code", "maker_reject", "bad_order", "sandwich", "stale_price"})
_RPC_ONLY = frozenset({"rpc_error", "history_down", "swallow"})


@dataclass(slots=True)
class FaultRule:
    """One rule. Exactly one of `count` and `probability` is set."""

    target: str
    kind: FaultKind
    node: str | None = None
    count: int | None = None
    probability: float | None = None
    params: dict[str, Any] = field(default_factory=dict)


def problems_of(rule: FaultRule) -> list[str]:
    """Everything that is wrong with a rule, each with its field; empty when it can be put in force."""
    problems = []
    if not _TARGET.fullmatch(rule.target):
        problems.append(
            f"target: {rule.target!r} is none of `*`, `rpc:<method>`, `rpc:*`, `jupiter:/<path>`, `jupiter:*`"
        )
    if rule.kind not in get_args(FaultKind):
        problems.append(f"kind: {rule.kind!r} is none of {', '.join(get_args(FaultKind))}")
    elif rule.target.startswith("rpc:") and rule.kind in _JUPITER_ONLY:
        problems.append(f"kind: {rule.kind} happens to Jupiter, not to {rule.target}")
    elif rule.target.startswith("jupiter:") and rule.kind in _RPC_ONLY:
        problems.append(f"kind: {rule.kind} happens to RPC, not to {rule.target}")
    if (rule.count is None) == (rule.probability is None):
        problems.append("count, probability: set exactly one of them")
    if rule.count is not None and rule.count < 1:
        problems.append(f"count: {rule.count} is less than 1")
    if rule.probability is not None and not 0 < rule.probability <= 1:
        problems.append(f"probability: {rule.probability} is not above 0 and at most 1")
    return problems + _problems_of_params(rule)


def _problems_of_params(rule: FaultRule) -> list[str]:
    known = _PARAMS.get(rule.kind, {})
    problems = [
        f"params.{name}: {rule.kind} needs it" for name in _REQUIRED.get(rule.kind, ()) if name not in rule.params
    ]
    for name, value in rule.params.items():
        if name not in known:
            problems.append(f"params.{name}: {rule.kind} knows no such parameter")
        elif not isinstance(value, known[name]) or (isinstance(value, bool) and bool not in known[name]):
            problems.append(f"params.{name}: {value!r} is not of type {known[name][0].__name__}")
        elif name in {"ms", "after_slots", "slots"} and rule.params[name] < 0:
            problems.append(f"params.{name}: {value} is negative")
        elif name == "shape" and value not in get_args(BadOrderShape):
            problems.append(f"params.shape: {value!r} is none of {', '.join(get_args(BadOrderShape))}")
    return problems


@dataclass(slots=True)
class _InForce:
    number: int
    rule: FaultRule
    dice: random.Random
    hits: int = 0

    def covers(self, target: str, node: str | None, kinds: frozenset[str] | None) -> bool:
        rule = self.rule
        if kinds is not None and rule.kind not in kinds:
            return False
        if rule.node is not None and rule.node != node:
            return False
        return rule.target == target or (rule.target.endswith("*") and target.startswith(rule.target[:-1]))

    def strikes(self) -> bool:
        if self.rule.probability is not None and self.dice.random() >= self.rule.probability:
            return False
        self.hits += 1
        return True

    @property
    def used_up(self) -> bool:
        return self.rule.count is not None and self.hits >= self.rule.count


class FaultPlan:
    """The rules in force.

    Each rule throws its own dice, seeded by the plan's seed and the rule's number, so that adding one rule does
    not change when another strikes.
    """

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._numbered = 0
        self._in_force: list[_InForce] = []

    def add(self, rule: FaultRule) -> int:
        """Put a rule in force; returns its number.

        Raises:
            InvalidInputError: The rule makes no sense; `problems` lists every reason.
        """
        problems = problems_of(rule)
        if problems:
            raise InvalidInputError("; ".join(problems), subject="fault rule", problems=tuple(problems))
        self._numbered += 1
        dice = random.Random(f"{self._seed}:{self._numbered}")
        self._in_force.append(_InForce(self._numbered, rule, dice))
        return self._numbered

    def clear(self, target: str | None = None) -> int:
        """Remove all rules, or those of one target; returns how many."""
        kept = [] if target is None else [held for held in self._in_force if held.rule.target != target]
        removed = len(self._in_force) - len(kept)
        self._in_force = kept
        return removed

    def draw(self, target: str, *, node: str | None = None, kinds: frozenset[str] | None = None) -> list[FaultRule]:
        """The rules that hit this request (of these kinds, if given); counts are used up.

        At most one of `ENDING_KINDS` is among them: the first in force that strikes. Those behind it keep their
        counts, so "the next two dropped, then three times 429" is two rules put in force in that order.
        """
        if not self._in_force:
            return []
        struck: list[FaultRule] = []
        ended = False
        for held in self._in_force:
            ending = held.rule.kind in ENDING_KINDS
            if (ending and ended) or not held.covers(target, node, kinds) or not held.strikes():
                continue
            ended = ended or ending
            struck.append(held.rule)
        self._in_force = [held for held in self._in_force if not held.used_up]
        return struck

    def rules(self) -> list[dict[str, Any]]:
        """The rules in force, JSON-ready, for people."""
        return [
            {
                "number": held.number,
                "target": held.rule.target,
                "kind": held.rule.kind,
                "node": held.rule.node,
                "remaining": None if held.rule.count is None else held.rule.count - held.hits,
                "probability": held.rule.probability,
                "params": held.rule.params,
                "hits": held.hits,
            }
            for held in self._in_force
        ]
