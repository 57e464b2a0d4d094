"""One trade as the books tell it: what was decided, every transaction, what was swapped, what it cost, what is next.

Everything is read in one transaction of the books and nothing is asked of the network, so it can be told at any time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from sniperforge.domain.ids import order_of_key
from sniperforge.domain.intent import (
    LIVE_ATTEMPT_STATES,
    Attempt,
    Fill,
    FillState,
    IntentState,
    TradeIntent,
)
from sniperforge.ports.records import Event, WalletRecord
from sniperforge.ports.store import Books, Store
from sniperforge.trading.controls import stop_reason
from sniperforge.trading.restored_books import OLDER_BOOKS, RUNBOOK
from sniperforge.trading.short_ids import find_only

_DIGITS = 40
_WHOLE_BPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeReport:
    """A trade and everything that belongs to it.

    Attributes:
        fills: Those that were reversed included, in booking order.
        events: Its timeline, oldest first.
        stopped: Why nothing may be signed for it now, None if something may.
    """

    intent: TradeIntent
    wallet: WalletRecord | None
    attempts: tuple[Attempt, ...]
    fills: tuple[Fill, ...]
    events: tuple[Event, ...]
    stopped: str | None

    @property
    def fill(self) -> Fill | None:
        """What stands as swapped: the fill that no fork took back."""
        return next((fill for fill in self.fills if fill.state is not FillState.REVERSED), None)

    @property
    def filled_by(self) -> Attempt | None:
        """The transaction of that fill."""
        fill = self.fill
        return next((attempt for attempt in self.attempts if fill and attempt.id == fill.attempt_id), None)

    @property
    def live(self) -> Attempt | None:
        """The transaction that may still change what the chain says."""
        return next((attempt for attempt in self.attempts if attempt.state in LIVE_ATTEMPT_STATES), None)

    @property
    def settled(self) -> bool:
        """Nothing will change any more."""
        return self.live is None and self.intent.state not in (IntentState.PENDING, IntentState.EXECUTING)

    @property
    def realised_bps(self) -> Decimal | None:
        """How much more (or, negative, less) came than was quoted, in basis points of the quote."""
        fill, attempt = self.fill, self.filled_by
        if fill is None or attempt is None or not attempt.quoted_out_raw:
            return None
        return Decimal(fill.output_raw - attempt.quoted_out_raw) * _WHOLE_BPS / attempt.quoted_out_raw

    @property
    def next_action(self) -> str:
        """What a person can do, or that there is nothing to do."""
        intent, carry_on = self.intent, f"`sniperforge settle {self.intent.id}` carries it on"
        match intent.state:
            case IntentState.FILLED if self.settled:
                return "nothing: it is final"
            case IntentState.FILLED:
                return f"{carry_on} until its fill is final"
            case IntentState.PENDING | IntentState.EXECUTING if self.live is not None:
                return f"{carry_on} until its transaction has landed or is proven dead"
            case IntentState.PENDING | IntentState.EXECUTING if intent.cancel_requested_at is not None:
                return f"{carry_on} to its cancellation"
            case IntentState.PENDING | IntentState.EXECUTING if self.stopped is not None:
                return self.stopped
            case IntentState.PENDING | IntentState.EXECUTING:
                return f"{carry_on}; `sniperforge cancel {intent.id}` ends it"
            case IntentState.PARKED:
                return (
                    f"a person decides: it may have happened already, and `sniperforge cancel {intent.id}` keeps it "
                    f"from being decided again ({RUNBOOK})"
                )
            case IntentState.CANCELLED if intent.reason_code == OLDER_BOOKS:
                return f"if it had not happened and is still wanted, decide it again ({RUNBOOK}){self._and_order}"
            case _:
                return f"nothing was swapped; decide it again if it is still wanted{self._and_order}"

    @property
    def _and_order(self) -> str:
        """What a cancelled trade ended with it."""
        order = order_of_key(self.intent.key)
        if order is None or self.intent.state is not IntentState.CANCELLED:
            return ""
        return f": its order {order[0]} ended with it"


def read_report(store: Store, id_or_prefix: str) -> TradeReport:
    """The report of the trade with this id, or with the only id that begins so.

    Raises:
        InvalidInputError: There is no such trade, or there are several.
    """
    with store.read() as books:
        intent = find_intent(books, id_or_prefix)
        return TradeReport(
            intent=intent,
            wallet=books.wallets.get(intent.wallet),
            attempts=books.attempts.of_intent(intent.id),
            fills=books.fills.of_intent(intent.id),
            events=books.events.of_intent(intent.id),
            stopped=stop_reason(books, intent.wallet, intent.effect),
        )


def find_intent(books: Books, id_or_prefix: str) -> TradeIntent:
    """The intent with this id, or with the only id that begins so.

    Raises:
        InvalidInputError: There is none, there are several, or the prefix is too short to mean one.
    """
    return find_only(id_or_prefix, books.intents.starting_with, noun="trade", listed_by="sniperforge trades")


def price(fill: Fill, input_decimals: int, output_decimals: int) -> tuple[Decimal, Decimal] | None:
    """Whole input tokens per whole output token, and the other way round. None if one side is empty."""
    if not fill.input_raw or not fill.output_raw:
        return None
    with localcontext() as context:
        context.prec = _DIGITS
        given = Decimal(fill.input_raw).scaleb(-input_decimals)
        got = Decimal(fill.output_raw).scaleb(-output_decimals)
        return given / got, got / given


def death_in_words(attempt: Attempt) -> list[str]:
    """The proof that an attempt can never land (rules *height-then-status* and *controls*), as sentences."""
    if attempt.death_proof is None:
        return []
    proof: dict[str, Any] = json.loads(attempt.death_proof)
    bound = proof["bound_block_height"]
    lines = [f"proven at {proof['proven_at']}: no block after height {bound} takes its blockhash"]
    for one in proof["witnesses"]:
        before, after = one["control_before"], f"{one['control_after']} from slot {one['control_after_slot']}"
        lines.append(f"{one['node']} had finalized height {one['finalized_block_height']}, which is past that")
        lines.append(
            f"asked afterwards, all history searched, at slot {one['answer_slot']} it did not know this transaction, "
            f"while it knew {before} from before the signature and {after}, past the bound"
        )
    if attempt.watch_until is not None:
        lines.append(f"the chain is still asked about it until {attempt.watch_until.isoformat(timespec='seconds')}")
    return lines
