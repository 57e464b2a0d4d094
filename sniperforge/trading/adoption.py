"""How a wallet comes into the books: what it holds at one finalized slot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sniperforge.domain.intent import FillState
from sniperforge.domain.money import MAX_RAW, Address
from sniperforge.errors import InvalidInputError, RetryableError
from sniperforge.ports.chain import Chain, Commitment, SignatureRecord
from sniperforge.ports.clock import Clock
from sniperforge.ports.records import NATIVE_SOL, Event, LedgerEntry, LedgerKind, Severity, WalletRecord
from sniperforge.ports.store import Books, Store
from sniperforge.trading.bookkeeping import OPENING
from sniperforge.trading.holdings import TRIES, Holdings, holdings_at_one_slot


def adopt(*, store: Store, chain: Chain, clock: Clock, network: str, name: str, address: Address) -> WalletRecord:
    """Put a wallet into the books with what it holds at one finalized slot S; one that is there stays as it is.

    Every balance comes from one answer and so from the end of one slot. Whatever landed up to S is in it, whatever
    landed later is not, and every transaction tells its slot: so the opening slot alone decides what a scan books, and
    between the two there is neither gap nor overlap. The newest transaction of the history, asked for afterwards at
    the same node, becomes the cursor; one from after S means that the wallet is busy at this very moment (a token
    account might have come and gone unseen), and everything is read again.

    Raises:
        InvalidInputError: The name is another wallet's, the wallet is in the books of another network, or it has too
            many token accounts to be read at one slot.
        ConflictError: Somebody else adopted it just now; ask again.
        RetryableError: The wallet never came to rest.
    """
    with store.read() as books:
        wallet = adopted(books, address, network)
    if wallet is not None:
        return wallet
    holdings, newest = _at_rest(chain, address)
    with store.write() as books:
        wallet = adopted(books, address, network)
        if wallet is not None:
            return wallet
        namesake = books.wallets.by_name(name)
        if namesake is not None:
            raise InvalidInputError(f"the name is taken by {namesake.address}", subject=name, fix="Choose another one")
        now = clock.now()
        wallet = WalletRecord(
            address=address,
            name=name,
            network=network,
            created_at=now,
            cursor_signature=newest.signature if newest is not None else None,
            cursor_slot=newest.slot if newest is not None else None,
            epoch=books.system.get().epoch,
        )
        books.wallets.add(wallet)
        lines = tuple(_opening_lines(address, holdings, now))
        books.ledger.add(lines)
        books.events.add(
            Event(
                at=now,
                kind="wallet.adopted",
                severity=Severity.INFO,
                message=f"adopted as {name} with what it holds at finalized slot {holdings.slot}",
                wallet=address,
                facts={"slot": holdings.slot, "raw": {line.asset: line.delta_raw for line in lines}},
            )
        )
        return wallet


def adopted(books: Books, address: Address, network: str) -> WalletRecord | None:
    """The wallet as the books have it, or None.

    Raises:
        InvalidInputError: It is in the books of another network.
    """
    wallet = books.wallets.get(address)
    if wallet is not None and wallet.network != network:
        raise InvalidInputError(
            f"these are its books on {wallet.network}, and this is {network}",
            subject=wallet.name,
            fix="Keep each network in a home of its own (SNIPERFORGE_HOME)",
        )
    return wallet


def opening_slot(books: Books, address: Address) -> int:
    """The slot up to which everything is in the opening balance.

    Raises:
        InvalidInputError: The wallet has none.
    """
    slots = [line.slot for line in books.ledger.of_source(OPENING) if line.wallet == address]
    if not slots:
        raise InvalidInputError("it has no opening balance in the books", subject=address, fix="Adopt it first")
    return slots[0]


def _at_rest(chain: Chain, address: Address) -> tuple[Holdings, SignatureRecord | None]:
    """Balances at one slot after which nothing has happened yet, and the newest transaction up to it."""
    with chain.pinned() as node:
        for _ in range(TRIES):
            holdings = holdings_at_one_slot(node, address)
            history = node.signatures_for_address(address, limit=1, commitment=Commitment.FINALIZED)
            newest = history[0] if history else None
            if newest is None or newest.slot <= holdings.slot:
                return holdings, newest
    raise RetryableError("it is too busy to be adopted now", subject=address, fix="Try again")


def _opening_lines(address: Address, holdings: Holdings, now: datetime) -> Iterator[LedgerEntry]:
    """A line per asset. The native one is there even when it is zero: it tells the opening slot."""
    for asset, raw in holdings.raw.items():
        # Nobody but a worthless token's issuer has more than 64 bits of anything; the books leave that out.
        if asset == NATIVE_SOL or 0 < raw <= MAX_RAW:
            yield LedgerEntry(
                source=OPENING,
                wallet=address,
                asset=asset,
                kind=LedgerKind.OPENING,
                delta_raw=raw,
                slot=holdings.slot,
                state=FillState.FINAL,
                booked_at=now,
            )
