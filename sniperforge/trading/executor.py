"""What carries decided trades to their end, whether on the chain or on paper."""

from __future__ import annotations

from typing import Protocol

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import Attempt, TradeIntent
from sniperforge.trading.executor_policy import Standing, TradeRequest, Until


class Executor(Protocol):
    """One worker on the books; any number of them may work on the same ones at once."""

    def decide(self, request: TradeRequest) -> TradeIntent:
        """Write a decision. The same key again is the same trade: nothing new is written.

        Raises:
            InvalidInputError: It cannot be a trade; `problems` lists every reason.
            TokenError: A token is dangerous.
            ConfigError: Nothing can be traded on this network.
            ConflictError: This key was decided with other terms.
        """
        ...

    def cancel(self, intent: IntentId) -> TradeIntent:
        """Ask for a trade to end. What may still land is settled first; one that is PARKED ends at once."""
        ...

    def run(self, intent: IntentId, *, until: Until = Until.SETTLED) -> TradeIntent:
        """Stay with a trade until it is confirmed, or settled for good.

        Raises:
            TerminalError: There is no such trade, or the books cannot be used as they are.
        """
        ...

    def advance(self, intent: IntentId) -> Standing:
        """One ring of the bell: do what can be done for this trade now. Doing it twice, late or never is harmless.

        Raises:
            InvalidInputError: There is no such trade.
            RetryableError: Books or chain cannot be reached; nothing is lost.
            CommitOutcomeUnknownError: The books may have committed; ring again.
        """
        ...

    def look_again(self, attempt: Attempt) -> None:
        """Ask once more about an EXPIRED attempt. If it landed after all, that is booked, loudly."""
        ...
