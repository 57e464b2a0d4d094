"""Steps of a trade as they happen: people watch them, logs keep them, and tests stop a process between any two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sniperforge.domain.ids import IntentId


class Step(StrEnum):
    """A place between two steps. Whatever was committed or sent before it stays; nothing after it has happened."""

    DECIDED = "decided"
    CLAIMED = "claimed"
    PRICED = "priced"
    QUOTED = "quoted"
    VIEWED = "viewed"
    SIMULATED = "simulated"
    SIGNED = "signed"
    PERSISTED = "persisted"
    SENDING = "sending"
    SENT = "sent"
    ANSWERED = "answered"
    SEEN = "seen"
    BOOKED = "booked"
    REVERSED = "reversed"
    PROVEN = "proven"
    EXPIRED = "expired"
    REVERTED = "reverted"
    FINALIZED = "finalized"
    REQUEUED = "requeued"
    WAITING = "waiting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of one intent, with a sentence for people."""

    intent_id: IntentId
    step: Step
    text: str


Watch = Callable[[Progress], None]
"""Called at every step, in the thread that does the work. It may end the process; it must not raise."""


def unwatched(_progress: Progress) -> None:
    """Nobody looks."""
