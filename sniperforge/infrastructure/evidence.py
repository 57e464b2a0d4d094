"""Chain and books side by side: what every check looks at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sniperforge.domain.intent import LIVE_ATTEMPT_STATES, Attempt, FillState
from sniperforge.domain.money import Signature
from sniperforge.infrastructure.books_view import BooksView, Case, Opening
from sniperforge.infrastructure.chain_truth import ChainTruth, Landed
from sniperforge.ports.records import Asset, LedgerEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one check compares.

    Attributes:
        landed: Finalized transactions by signature, oldest first.
        attempts: Ours by signature, with the intent they belong to.
        final_lines: Final ledger lines by source.
        in_flight: Finalized transactions that the books need not know yet.
        uncountable: Tokens that the books leave out (`ChainTruth`).
        unexplained: What the chain's own history does not explain of its balances, by asset (`ChainTruth`).
    """

    opening: Opening
    truth: ChainTruth
    books: BooksView
    landed: Mapping[Signature, Landed]
    attempts: Mapping[Signature, tuple[Attempt, Case]]
    final_lines: Mapping[str, Sequence[LedgerEntry]]
    in_flight: frozenset[Signature]
    uncountable: frozenset[Asset]
    unexplained: Mapping[Asset, int]

    @property
    def history_is_whole(self) -> bool:
        """The history explains every balance, so what is not in it is not on the chain."""
        return not self.unexplained

    def ours(self) -> Sequence[tuple[Landed, Attempt, Case]]:
        """Landings of our attempts."""
        return [(one, *self.attempts[one.signature]) for one in self.landed.values() if one.signature in self.attempts]


def lay_side_by_side(opening: Opening, truth: ChainTruth, books: BooksView, settle_allowance: timedelta) -> Evidence:
    """Chain and books, with what may be in flight between them marked.

    A transaction of ours is in flight while its attempt is live and nothing of it is booked as final: however long
    that takes, it breaks nothing (I7 speaks up). One of others is in flight until it is older than `settle_allowance`
    by the chain's own clock; without a block time it counts as old.
    """
    landed = {
        one.signature: replace(one, effect=replace(one.effect, nonce_accounts=books.nonce_accounts))
        for one in truth.landed
    }
    final_lines: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    for line in books.lines:
        if line.state is FillState.FINAL:
            final_lines[line.source].append(line)
    attempts = books.attempts()

    def is_in_flight(one: Landed) -> bool:
        if one.signature in final_lines:
            return False
        if one.signature in attempts:
            attempt, case = attempts[one.signature]
            booked = any(fill.signature == one.signature and fill.state is FillState.FINAL for fill in case.fills)
            return attempt.state in LIVE_ATTEMPT_STATES and not booked
        landed_at = one.transaction.block_time
        return landed_at is not None and truth.time - landed_at <= settle_allowance

    return Evidence(
        opening=opening,
        truth=truth,
        books=books,
        landed=landed,
        attempts=attempts,
        final_lines=dict(final_lines),
        in_flight=frozenset(one.signature for one in landed.values() if is_in_flight(one)),
        uncountable=truth.uncountable(),
        unexplained=truth.unexplained(opening.balances),
    )
