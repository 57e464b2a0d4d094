"""Where the books and the chain say different things, and why that is likely so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sniperforge.domain.intent import Attempt, AttemptState
from sniperforge.domain.money import MAX_RAW, Address, Signature
from sniperforge.ports.records import Asset, Attribution
from sniperforge.ports.store import Books
from sniperforge.trading.holdings import Holdings

_MOST_UNSETTLED = 10_000


class Reason(StrEnum):
    """Why books and chain are likely to differ. With the first two they are not comparable yet."""

    NOT_FINAL = "not_final"
    UNREAD = "unread"
    UNCOUNTABLE = "uncountable"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One asset of which the books say something else than the chain, at one finalized slot.

    Attributes:
        books_raw: What the final lines up to `slot` add up to.
        chain_raw: What the chain holds.
        reason: The likely reason.
        text: The same as a sentence, with what to do.
    """

    wallet: Address
    asset: Asset
    slot: int
    books_raw: int
    chain_raw: int
    reason: Reason
    text: str

    @property
    def missing_raw(self) -> int:
        """What the books lack; negative when they have too much."""
        return self.chain_raw - self.books_raw


def differences(
    books: Books, wallet: Address, holdings: Holdings, *, unread: Sequence[Signature], now: datetime
) -> Iterator[Difference]:
    """Every difference between the final lines and `holdings`, by asset.

    Args:
        books: Read after every transaction up to the slot of `holdings` was listed.
        wallet: Whose.
        holdings: What the chain holds.
        unread: Listed transactions that could not be read.
        now: For which expired attempts are still watched.
    """
    slot = holdings.slot
    for asset in sorted({*holdings.raw, *books.ledger.assets(wallet)}):
        booked = books.ledger.balance_raw(wallet, asset, up_to_slot=slot, final_only=True)
        held = holdings.raw.get(asset, 0)
        if booked == held:
            continue
        expected = books.ledger.balance_raw(wallet, asset, up_to_slot=slot, final_only=False)
        unsettled = _unsettled(books, wallet, slot, now)
        unbooked = [one for one in unsettled if one.state is not AttemptState.CONFIRMED]
        reason = Reason.UNEXPLAINED
        text = (
            "no transaction in the wallet's history explains it: balances were set without one, or a node forgot some; "
            "reconcile with the whole history"
        )
        if expected == held or unbooked:
            reason = Reason.NOT_FINAL
            text = f"not comparable yet: {_names(unsettled)} landed and the booking is not final; ask again in a minute"
        elif unread:
            reason = Reason.UNREAD
            text = f"not comparable yet: the node could not return {len(unread)} transactions; ask again"
        elif held > MAX_RAW:
            reason = Reason.UNCOUNTABLE
            text = "somebody issued more of this token than the books can count; it cannot be traded"
        yield Difference(
            wallet=wallet, asset=asset, slot=slot, books_raw=booked, chain_raw=held, reason=reason, text=text
        )


def _unsettled(books: Books, wallet: Address, slot: int, now: datetime) -> list[Attempt]:
    """Attempts that landed for good by this slot, as the history says, and whose final booking is still to come."""
    open_attempts = books.attempts.live(_MOST_UNSETTLED) + books.attempts.watched(now, _MOST_UNSETTLED)
    found = []
    for attempt in open_attempts:
        known = books.known_transactions.get(wallet, attempt.signature)
        if known is not None and known.attribution is Attribution.OURS and known.slot <= slot:
            found.append(attempt)
    return found


def _names(attempts: Sequence[Attempt]) -> str:
    return ", ".join(f"attempt {attempt.id} ({attempt.state})" for attempt in attempts) or "a transaction of ours"
