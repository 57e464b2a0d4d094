"""Holding the books against the chain: adopting wallets, reading their histories, comparing balances.

The rule is *one owner*: every transaction of a wallet is one that the books decided, or somebody else's. One that our
key signed and the books do not know means that somebody else holds the key (a clone of this home, a second home, a
thief), so the wallet is halted until a person has looked (docs/runbooks/foreign-transaction.md).

Why a scan misses nothing. The cursor is a transaction such that everything up to its slot was looked at, in the history
of the wallet and of every token account it had until then. A scan asks one node, in this order: for its finalized slot
R, for the wallet's token accounts, and for everything after the cursor in the histories of the wallet and of these
accounts. Take any transaction up to R that touched a token account of ours. If that account is still open, it is on
the list. If not, it was closed before the list was made; the closing names the wallet, its owner, and stands in the
wallet's history, which was read after the list; it shows the account, whose history is then read too. So the cursor may
move up to R, less a margin for nodes whose index of histories lags behind, and never past a transaction that could not
be read. What is newer than the cursor is listed again by the next scan; what is known is not read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sniperforge.domain.ids import AttemptId
from sniperforge.domain.money import Address, Signature
from sniperforge.errors import InvalidInputError, NodeBehindError, NodeUnavailableError
from sniperforge.ports.chain import Chain, Commitment, LandedTransaction, PinnedNode, SignatureRecord
from sniperforge.ports.clock import Clock
from sniperforge.ports.records import Attribution, KnownTransaction, WalletRecord
from sniperforge.ports.store import Store
from sniperforge.trading.adoption import adopt, adopted, opening_slot
from sniperforge.trading.attribution import Attributor
from sniperforge.trading.differences import Difference, differences
from sniperforge.trading.history import knows, records_after, token_accounts_in
from sniperforge.trading.holdings import holdings_at_one_slot

INDEX_LAG_SLOTS = 150
"""How far a node's index of histories may lag behind its finalized slot: half a minute at 200 ms slots. Transactions
this new are booked as soon as they are seen, and listed once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """What one reading of a wallet's history found.

    Attributes:
        slot: Every finalized transaction up to this slot was listed.
        booked: Transactions looked at for the first time, oldest first.
        unread: Listed, but not to be had from the node, or waiting for one that is not: left for the next scan.
        undead: Attempts of ours that were called dead and landed; the executor books them.
    """

    wallet: Address
    slot: int
    booked: tuple[KnownTransaction, ...]
    unread: tuple[Signature, ...]
    undead: tuple[AttemptId, ...]

    @property
    def foreign(self) -> tuple[KnownTransaction, ...]:
        """Those that halted the wallet."""
        return tuple(one for one in self.booked if one.attribution is Attribution.FOREIGN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What a node told about a wallet's history.

    Attributes:
        slot: Everything up to it was listed.
        held: Token accounts that are open.
        listed: Finalized transactions since the cursor.
        found: Those that nobody looked at before; None where the node has no more than the name.
    """

    slot: int
    held: frozenset[Address]
    listed: Mapping[Signature, SignatureRecord]
    found: Mapping[Signature, LandedTransaction | None]


class Reconciler:
    """Holds the books against the chain.

    Args:
        store: The books.
        chain: Solana.
        clock: Times of booking.
        tip_accounts: Where tips go on this network.
        network: Whose wallets these are.
    """

    def __init__(
        self, *, store: Store, chain: Chain, clock: Clock, tip_accounts: frozenset[Address], network: str
    ) -> None:
        self._store = store
        self._chain = chain
        self._clock = clock
        self._network = network
        self._attributor = Attributor(store=store, clock=clock, tip_accounts=tip_accounts)

    def adopt(self, name: str, address: Address) -> WalletRecord:
        """Put a wallet into the books with what it holds at one finalized slot; one that is there stays as it is.

        Raises:
            InvalidInputError: The name is another wallet's, the wallet is in the books of another network, or it has
                too many token accounts to be read at one slot.
            ConflictError: Somebody else adopted it just now; ask again.
            RetryableError: The wallet never came to rest.
        """
        return adopt(
            store=self._store, chain=self._chain, clock=self._clock, network=self._network, name=name, address=address
        )

    def scan(self, address: Address, *, whole: bool = False) -> ScanReport:
        """Look at every finalized transaction of the wallet and of its token accounts that nobody looked at yet.

        Each is attributed and booked in one commit. Ours are attributed only, because the executor books them.

        Args:
            address: The wallet.
            whole: Read everything since the opening again, not only what is newer than the cursor.

        Raises:
            InvalidInputError: The wallet is not in the books of this network.
            NodeBehindError: No node's memory reaches back to the cursor.
        """
        wallet = self._wallet(address)
        with self._remembering(wallet) as node:
            return self._scan(node, wallet, whole=whole)

    def compare(self, address: Address) -> tuple[Difference, ...]:
        """Hold the final lines against the chain at one finalized slot; what agrees is not mentioned.

        Balances are read first and the history afterwards, from the same node: so everything up to the slot of the
        balances has been looked at before the books are asked.

        Raises:
            InvalidInputError: The wallet is not in the books of this network, or has too many token accounts.
            NodeBehindError: No node's memory reaches back to the cursor.
            RetryableError: The wallet's token accounts come and go too fast.
        """
        wallet = self._wallet(address)
        with self._remembering(wallet) as node:
            holdings = holdings_at_one_slot(node, address)
            report = self._scan(node, wallet, whole=False)
        with self._store.read() as books:
            return tuple(differences(books, address, holdings, unread=report.unread, now=self._clock.now()))

    def _wallet(self, address: Address) -> WalletRecord:
        with self._store.read() as books:
            wallet = adopted(books, address, self._network)
        if wallet is None:
            raise InvalidInputError("it is not in the books", subject=address, fix="Adopt it first")
        return wallet

    @contextmanager
    def _remembering(self, wallet: WalletRecord) -> Iterator[PinnedNode]:
        """One node whose memory reaches back to the cursor: nodes forget, and a forgotten past looks like none."""
        forgotten = NodeBehindError(
            f"no node knows transaction {wallet.cursor_signature}, up to which the history was read",
            subject=wallet.name,
            fix="Add an RPC node with full history; if the chain itself was started anew, start with a new home",
        )
        with ExitStack() as stack:
            node = stack.enter_context(self._chain.pinned())
            if not knows(node, wallet.cursor_signature):
                try:
                    node = stack.enter_context(self._chain.pinned(other_than=node.node))
                except NodeUnavailableError:
                    raise forgotten from None
                if not knows(node, wallet.cursor_signature):
                    raise forgotten
            yield node

    def _scan(self, node: PinnedNode, wallet: WalletRecord, *, whole: bool) -> ScanReport:
        reading = self._read(node, wallet, whole=whole)
        booked: list[KnownTransaction] = []
        unread: list[SignatureRecord] = []
        for signature in sorted(reading.found, key=lambda one: reading.listed[one].slot):
            landed = reading.found[signature]
            if landed is None or (unread and self._must_wait(wallet.address, landed, reading)):
                unread.append(reading.listed[signature])
                continue
            known = self._attributor.look_at(wallet.address, landed)
            if known is not None:
                booked.append(known)
        self._move_cursor(wallet.address, reading, unread)
        return ScanReport(
            wallet=wallet.address,
            slot=reading.slot,
            booked=tuple(booked),
            unread=tuple(one.signature for one in unread),
            undead=self._attributor.undead(booked),
        )

    def _must_wait(self, address: Address, landed: LandedTransaction, reading: _Reading) -> bool:
        """Whether a transaction has to stay unknown because an older one is unread.

        A token account that is closed by now is found only through the transactions that name it: were they known, the
        next scan would not find it, and what is unread may be in its history. A theft does not wait.
        """
        leads_to_closed = bool(token_accounts_in(landed, address) - reading.held)
        return leads_to_closed and not self._attributor.signed_elsewhere(address, landed)

    def _read(self, node: PinnedNode, wallet: WalletRecord, *, whole: bool) -> _Reading:
        with self._store.read() as books:
            opening = opening_slot(books, wallet.address)
        slot = node.slot(Commitment.FINALIZED)
        held = frozenset(one.address for one in node.token_accounts(wallet.address, Commitment.FINALIZED))
        after = opening if whole else max(opening, wallet.cursor_slot or 0)
        until = None if whole else wallet.cursor_signature
        listed: dict[Signature, SignatureRecord] = {}
        found: dict[Signature, LandedTransaction | None] = {}
        accounts, seen = {wallet.address, *held}, set[Address]()
        while fresh := sorted(accounts - seen):
            seen.update(fresh)
            for account in fresh:
                listed.update((one.signature, one) for one in records_after(node, account, slot=after, until=until))
            for signature in listed if whole else self._unknown(wallet.address, listed):
                if signature not in found:
                    found[signature] = landed = node.transaction(signature, Commitment.FINALIZED)
                    accounts |= token_accounts_in(landed, wallet.address) if landed is not None else set()
        return _Reading(slot=slot, held=held, listed=listed, found=found)

    def _unknown(self, address: Address, listed: Mapping[Signature, SignatureRecord]) -> tuple[Signature, ...]:
        with self._store.read() as books:
            return books.known_transactions.missing(address, tuple(listed))

    def _move_cursor(self, address: Address, reading: _Reading, unread: list[SignatureRecord]) -> None:
        """To the newest transaction up to which nothing is missing, if that is newer than where it stands."""
        end = min([reading.slot - INDEX_LAG_SLOTS, *(one.slot - 1 for one in unread)])
        settled = [one for one in reading.listed.values() if one.slot <= end]
        if not settled:
            return
        newest = max(settled, key=lambda one: one.slot)
        with self._store.write() as books:
            wallet = books.wallets.lock(address)
            if wallet is not None and (wallet.cursor_slot is None or wallet.cursor_slot < newest.slot):
                books.wallets.change(wallet, cursor_signature=newest.signature, cursor_slot=newest.slot)
