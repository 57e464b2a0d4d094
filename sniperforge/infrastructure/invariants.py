"""The invariants of ARCHITECTURE, section 2, checked against the chain itself (ADR 0008).

Nothing here is shared with the code that trades: balances are read, added up and compared a second time, differently.

Order of the readings, and why each check is sound in it. *Chain first, books second.*

- An attempt is committed before its first byte leaves, so whatever of ours the chain showed has its row when the books
  are read afterwards (I1, I2, I4). The other way round, a trade made in between would look like a thief's.
- Books may then know *more* than the chain view: rows of slots after the one looked at. Fills, lines and settled
  attempts are therefore held against the chain only up to that slot (I2, I5). Final rows come from finalized
  evidence, which does not change: nothing that is final at or before that slot can be missing from a whole history.
- Books may know *less*: a finalized transaction that no worker has seen yet. Ours is in flight as long as its attempt
  is live; one of others as long as it is young. Its change is then taken from the chain, and nothing else is demanded.
  A dead or settled attempt is never in flight: death is claimed only when it can never land.
- A FAILED or CANCELLED intent, an EXPIRED attempt: the books say "never", so a landing contradicts them whichever was
  read first (I2, I4).
- I3 and I6 look at one consistent read of the books alone; I7 at this and an earlier height, which can only be lower.

Only the opening slot is read before the chain; opening lines never change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta

from sniperforge.domain.money import Address
from sniperforge.infrastructure.books_view import Opening, read_books, read_opening
from sniperforge.infrastructure.chain_truth import ChainTruth, read_wallet
from sniperforge.infrastructure.checks_of_ledger import ledger_adds_up
from sniperforge.infrastructure.checks_of_states import decided_once, one_live_attempt, slow_intents
from sniperforge.infrastructure.checks_of_trades import (
    ended_intents_have_no_landing,
    landings_are_booked,
    lands_once,
)
from sniperforge.infrastructure.evidence import Evidence, lay_side_by_side
from sniperforge.infrastructure.invariant_report import LookedAt, Report, Violation
from sniperforge.ports.chain import Chain
from sniperforge.ports.clock import Clock
from sniperforge.ports.store import Store

READINGS = 3
"""How often the chain is read when its history does not explain its balances: behind one address there may be several
nodes, and the one that told the history may lag behind the one that told the balances."""

READ_AGAIN_AFTER_S = 2.0


class InvariantChecker:
    """Compares the books of a wallet with the chain; changes neither.

    It costs one request per transaction since the opening, so it is for a beat of minutes or hours, not of seconds.

    Args:
        store: The books.
        chain: Solana; one node answers each check.
        clock: For I7 and for waiting.
        tip_accounts: Accounts that tips go to on this network.
        settle_allowance: How long settling may take: for I7, beyond the life of the blockhash; and how old a
            transaction of others may be that the books have not looked at.
    """

    def __init__(
        self,
        *,
        store: Store,
        chain: Chain,
        clock: Clock,
        tip_accounts: Collection[Address],
        settle_allowance: timedelta,
    ) -> None:
        self._store = store
        self._chain = chain
        self._clock = clock
        self._tip_accounts = frozenset(tip_accounts)
        self._settle_allowance = settle_allowance

    def check(self, wallet: Address) -> Report:
        """Hold every invariant against one wallet.

        Raises:
            InvalidInputError: The wallet has no opening balance in the books.
            NodeUnavailableError: No node answers, or its history is not whole.
            NodeBehindError: The node has not finalized the opening slot.
            RetryableError: Another reason that may pass; nothing was found out.
            ProtocolError: An answer that makes no sense.
        """
        opening = read_opening(self._store, wallet)
        truth = self._read_chain(wallet, opening)
        books = read_books(self._store, wallet, [one.signature for one in truth.landed])
        evidence = lay_side_by_side(opening, truth, books, self._settle_allowance)
        return Report(
            wallet=wallet,
            node=truth.node,
            slot=truth.slot,
            violations=tuple(sorted(_violations(evidence), key=lambda one: (one.invariant, one.subject))),
            alerts=tuple(slow_intents(evidence, self._clock.now(), self._settle_allowance)),
            looked_at=LookedAt(
                transactions=len(evidence.landed),
                landings=len(evidence.ours()),
                in_flight=len(evidence.in_flight),
                intents=len(books.cases),
                attempts=len(evidence.attempts),
                fills=sum(len(case.fills) for case in books.cases),
                lines=len(books.lines),
                assets=len({*truth.balances, *(line.asset for line in books.lines)} - evidence.uncountable),
                uncountable=len(evidence.uncountable),
            ),
        )

    def _read_chain(self, wallet: Address, opening: Opening) -> ChainTruth:
        for reading in range(READINGS):
            if reading:
                self._clock.sleep(READ_AGAIN_AFTER_S)
            truth = read_wallet(self._chain, wallet, since_slot=opening.slot, tip_accounts=self._tip_accounts)
            if not truth.unexplained(opening.balances):
                break
        return truth


def _violations(evidence: Evidence) -> Iterator[Violation]:
    yield from lands_once(evidence)
    yield from landings_are_booked(evidence)
    yield from one_live_attempt(evidence)
    yield from ended_intents_have_no_landing(evidence)
    yield from ledger_adds_up(evidence)
    yield from decided_once(evidence)
