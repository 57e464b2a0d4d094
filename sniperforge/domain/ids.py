"""Deterministic identities: the same decision has the same key, for ever and on every machine."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NewType

from sniperforge.errors import InvalidInputError

IntentKey = NewType("IntentKey", str)
"""What was decided, e.g. `dca:weekly-sol:42`. UNIQUE in the books."""

IntentId = NewType("IntentId", str)
"""Short id of an intent, a pure function of its key. What tasks carry and people type."""

TriggerId = NewType("TriggerId", str)
"""`ORDER:LEG:NUMBER`: what is watched for one leg of an order."""

AttemptId = NewType("AttemptId", str)
"""Id of an attempt: its intent's id and its number."""

OrderId = NewType("OrderId", str)
"""Id of an order: `o` and 11 letters and digits, made once. People type its first letters."""

_PART = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _key(*parts: str | int) -> IntentKey:
    for part in parts[1:]:
        if isinstance(part, int) and part < 0:
            raise InvalidInputError(f"{part} is negative", subject="intent key")
        if not _PART.fullmatch(str(part)):
            raise InvalidInputError(
                f"{part!r} may hold 1 to 64 letters, digits, points, dashes and underscores only",
                subject="intent key",
            )
    return IntentKey(":".join(str(part) for part in parts))


def round_key(kind: str, plan_id: str, occurrence: int) -> IntentKey:
    """Key of one round of a plan, e.g. `dca:weekly-sol:42`. `kind` is the strategy's name in the registry."""
    return _key(kind, plan_id, occurrence)


def order_key(order_id: str, leg: str, firing: int) -> IntentKey:
    """Key of one firing of one leg of an order."""
    return _key("order", order_id, leg, firing)


def order_of_key(key: IntentKey) -> tuple[OrderId, str, int] | None:
    """Order, leg and firing of a trade that an order decided, from its key; None for every other trade."""
    parts = key.split(":")
    if len(parts) != len(("order", "id", "leg", "firing")) or parts[0] != "order":
        return None
    return OrderId(parts[1]), parts[2], int(parts[3])


def trigger_id(order: OrderId, leg: str, number: int) -> TriggerId:
    """Id of one trigger of one leg of an order."""
    return TriggerId(f"{order}:{leg}:{number}")


def leg_of_trigger(trigger: TriggerId) -> tuple[OrderId, str, int]:
    """Order, leg and number of a trigger."""
    order, leg, number = trigger.split(":")
    return OrderId(order), leg, int(number)


def cli_key(client_token: str) -> IntentKey:
    """Key of a trade a person asked for; the token is made once per command."""
    return _key("cli", client_token)


def maintenance_key(purpose: str, subject: str, occurrence: int) -> IntentKey:
    """Key of a transaction that is no trade: nonce advance or burn, wrap, devnet check."""
    return _key("maintenance", purpose, subject, occurrence)


def intent_id(key: IntentKey) -> IntentId:
    """Id of the intent with this key: 120 bits of SHA-256, base32, lower case."""
    digest = hashlib.sha256(f"sniperforge-intent:{key}".encode()).digest()
    return IntentId(base64.b32encode(digest[:15]).decode().lower())


def attempt_id(intent: IntentId, number: int) -> AttemptId:
    """Id of the `number`-th attempt (from 1) of an intent."""
    if number < 1:
        raise InvalidInputError(f"attempts are numbered from 1, got {number}", subject="attempt id")
    return AttemptId(f"{intent}-{number}")
