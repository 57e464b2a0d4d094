"""Whether a price is one to go by: of now, and near the last one seen of its source."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sniperforge.domain.prices import Price

MAX_SLOTS_AHEAD = 100
"""A Jupiter price may be from this many slots (20 s) after ours: the node that told our slot may lag behind."""

MAX_HELD = timedelta(seconds=60)
"""A Jupiter price held by us for longer is stale whatever its slot: this process may have stood still since."""

MAX_AHEAD = timedelta(seconds=5)
"""A Jupiter price received this long after now means that our clock was set back: its age cannot be told."""

ABSENT = "Jupiter has no price for it"
"""Why there is none when its answer leaves a token out."""

_WHOLE_BPS = 10_000


def stale(price: Price, *, slot: int, now: datetime, max_slots_behind: int) -> str | None:
    """Why a price of Jupiter is not of now, or None.

    Args:
        price: As it was received.
        slot: Our own slot at `confirmed`, read after it.
        now: The time.
        max_slots_behind: How many slots old it may be.
    """
    if price.slot is None:
        return "Jupiter does not say of which slot its price is"
    behind = slot - price.slot
    if behind > max_slots_behind:
        return f"Jupiter's price is {behind} slots old, {max_slots_behind} allowed"
    if behind < -MAX_SLOTS_AHEAD:
        return f"Jupiter's price is from {-behind} slots after our nodes' newest"
    if not -MAX_AHEAD <= now - price.observed_at <= MAX_HELD:
        return f"Jupiter's price was received at {price.observed_at.isoformat()}, and now is {now.isoformat()}"
    return None


def jumped(price: Price, before: Price | None, *, jump_bps: int) -> str | None:
    """Why a fresh price is too far from the last one seen of its source, or None.

    Args:
        price: The fresh one.
        before: The last one seen; None when this is the first.
        jump_bps: How far it may be, as a share of the last one.
    """
    if before is None or (distance := distance_bps(price, before)) <= jump_bps:
        return None
    return (
        f"{price.source}'s price jumped from {before.usd:f} to {price.usd:f} USD,"
        f" {shown_bps(distance)} bps, {jump_bps} allowed"
    )


def distance_bps(price: Price, reference: Price) -> Fraction:
    """How far `price` is from `reference`, in basis points of the latter, exact."""
    return abs(Fraction(price.usd) / Fraction(reference.usd) - 1) * _WHOLE_BPS


def shown_bps(bps: Fraction) -> Decimal:
    """Basis points for people: hundredths, rounded up, so that what is beyond a limit never looks like the limit."""
    return Decimal(math.ceil(bps * 100)).scaleb(-2)
