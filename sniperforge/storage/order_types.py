"""What fires a leg and how much it trades, as JSON: each kind of rule by its name, levels exact.

{"type": "crossing", "subject": "So111...", "direction": "down", "level": 140}
{"type": "trail", "subject": "So111...", "direction": "down", "bps": 300, "amount": null, "activation": 190.5}
{"type": "condition", "needs_all": true, "crossings": [{"type": "crossing", ...}, ...]}
{"kind": "percent", "value": 10000}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from sniperforge.domain.order import Amount, AmountKind, Condition, Crossing, Rule, Trail
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.errors import InvalidInputError, StorageError
from sniperforge.storage.types import exact_json


class RuleJson(TypeDecorator[Rule]):
    """What fires a leg."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 (base class)
        """JSON text; equal rules are equal texts."""
        return None if value is None else exact_json(_rule_in_json(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> Rule | None:  # noqa: ARG002 (base class)
        """The same rule."""
        return None if value is None else _rule_of(json.loads(value, parse_float=Decimal))


class AmountJson(TypeDecorator[Amount]):
    """How much a leg trades."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 (base class)
        """JSON text; equal amounts are equal texts."""
        if value is None:
            return None
        if not isinstance(value, Amount) or type(value.value) is not int:
            raise InvalidInputError(f"{value!r} is not an amount", subject="the books")
        return exact_json({"kind": value.kind.value, "value": value.value})

    def process_result_value(self, value: Any, dialect: Dialect) -> Amount | None:  # noqa: ARG002 (base class)
        """The same amount."""
        if value is None:
            return None
        said = json.loads(value)
        return Amount(AmountKind(said["kind"]), said["value"])


def _rule_in_json(rule: Rule) -> Mapping[str, Any]:
    match rule:
        case Crossing():
            return {
                "type": "crossing",
                "subject": rule.subject,
                "direction": rule.direction.value,
                "level": rule.level,
            }
        case Trail():
            return {
                "type": "trail",
                "subject": rule.subject,
                "direction": rule.direction.value,
                "bps": rule.bps,
                "amount": rule.amount,
                "activation": rule.activation,
            }
        case Condition():
            return {
                "type": "condition",
                "needs_all": rule.needs_all,
                "crossings": [_rule_in_json(crossing) for crossing in rule.crossings],
            }
    raise InvalidInputError(f"{rule!r} is no rule", subject="the books")


def _rule_of(said: Mapping[str, Any]) -> Rule:
    match said["type"]:
        case "crossing":
            return _crossing_of(said)
        case "trail":
            return Trail(
                subject=Subject(said["subject"]),
                direction=Direction(said["direction"]),
                bps=said["bps"],
                amount=_decimal(said["amount"]),
                activation=_decimal(said["activation"]),
            )
        case "condition":
            return Condition(needs_all=said["needs_all"], crossings=tuple(map(_crossing_of, said["crossings"])))
    raise StorageError(
        f"a rule in the books is of the kind {said['type']!r}, which this program does not know",
        subject="the books",
        fix="Use that newer SniperForge which wrote it",
    )


def _crossing_of(said: Mapping[str, Any]) -> Crossing:
    return Crossing(
        subject=Subject(said["subject"]), direction=Direction(said["direction"]), level=Decimal(said["level"])
    )


def _decimal(said: int | Decimal | None) -> Decimal | None:
    """Whole numbers are written without a point, and read as int."""
    return None if said is None else Decimal(said)
