"""Finding a trade that looks like the one about to be decided: a person who typed a command twice is asked first."""

from __future__ import annotations

from datetime import datetime

from sniperforge.domain.intent import TERMINAL_INTENT_STATES, TradeIntent
from sniperforge.ports.store import Books
from sniperforge.trading.executor_policy import TradeRequest

_LOOKED_AT = 1_000
"""How many of the newest trades are looked at: more in the minute that matters were decided by no person."""


def twin_of(books: Books, request: TradeRequest, *, since: datetime) -> TradeIntent | None:
    """The newest trade of this wallet, pair and amount decided at `since` or later, under another key.

    One that failed or was cancelled swapped nothing, so asking for it again is no mistake.
    """
    for intent in books.intents.recent(_LOOKED_AT):
        if intent.created_at < since:
            return None
        same = (intent.wallet, intent.input_mint, intent.output_mint, intent.input_amount_raw) == (
            request.wallet,
            request.input_mint,
            request.output_mint,
            request.input_raw,
        )
        if same and intent.key != request.key and intent.state not in TERMINAL_INTENT_STATES:
            return intent
    return None
