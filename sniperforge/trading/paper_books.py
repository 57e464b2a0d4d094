"""Wallets on paper: their balances are given, never the chain's, and there is no history to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sniperforge.domain.intent import FillState
from sniperforge.domain.money import Address, checked_raw
from sniperforge.errors import InvalidInputError
from sniperforge.ports.clock import Clock
from sniperforge.ports.records import Asset, Event, LedgerEntry, LedgerKind, Severity, WalletRecord
from sniperforge.ports.store import Books, Store
from sniperforge.trading.adoption import adopted
from sniperforge.trading.differences import Difference
from sniperforge.trading.reconciler import Reconciler, ScanReport

NO_SLOT = 0
"""What is given on paper is of no slot of any chain: it was there before everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """What was given.

    Attributes:
        source: The source of its ledger lines.
        balances: Base units the wallet has now, by asset.
    """

    source: str
    balances: Mapping[Asset, int]


def fund(*, store: Store, clock: Clock, network: str, name: str, address: Address, raw: Mapping[Asset, int]) -> Funding:
    """Give a wallet balances on paper; one that is new comes into the books by it.

    Args:
        store: The books of paper mode.
        clock: Dates it.
        network: What these books are of (`Services.books_network`).
        name: Of the wallet.
        address: Of the wallet; nothing is asked of the chain about it.
        raw: Base units to add, by asset.

    Raises:
        InvalidInputError: Nothing is given, an amount is no amount, or the wallet is in the books of another network.
    """
    given = {asset: checked_raw(amount) for asset, amount in raw.items() if amount}
    if not given:
        raise InvalidInputError("nothing is given", subject=name, fix="Give --sol, or --token and --amount")
    with store.write() as books:
        now = clock.now()
        if adopted(books, address, network) is None:
            books.wallets.add(
                WalletRecord(
                    address=address, name=name, network=network, created_at=now, epoch=books.system.get().epoch
                )
            )
        books.wallets.lock(address)
        source = _next_source(books, address)
        balances = {asset: books.ledger.balance_raw(address, asset, final_only=True) for asset in given}
        for asset, amount in given.items():
            checked_raw(balances[asset] + amount)
            books.ledger.add(
                [
                    LedgerEntry(
                        source=source,
                        wallet=address,
                        asset=asset,
                        kind=LedgerKind.TRANSFER_IN,
                        delta_raw=amount,
                        slot=NO_SLOT,
                        state=FillState.FINAL,
                        booked_at=now,
                    )
                ]
            )
        books.events.add(
            Event(
                at=now,
                kind="wallet.funded_on_paper",
                severity=Severity.INFO,
                message=f"{name} was given a balance on paper",
                wallet=address,
                facts={"source": source, "raw": dict(given)},
            )
        )
        now_has = {asset: books.ledger.balance_raw(address, asset, final_only=True) for asset in given}
        return Funding(source=source, balances=now_has)


def _next_source(books: Books, address: Address) -> str:
    number = 1
    while books.ledger.of_source(f"paper-fund-{address}-{number}"):
        number += 1
    return f"paper-fund-{address}-{number}"


class PaperReconciler(Reconciler):
    """A reconciler where there is no chain to compare with: it finds nothing, because there is nothing to be found.

    Args:
        store: The books of paper mode.
        network: What these books are of.
    """

    def __init__(self, *, store: Store, network: str) -> None:
        self._paper_store = store
        self._paper_network = network

    def adopt(self, name: str, address: Address) -> WalletRecord:
        """The wallet as the books have it. What it holds on chain says nothing about paper.

        Raises:
            InvalidInputError: It was given no balance yet.
        """
        with self._paper_store.read() as books:
            wallet = adopted(books, address, self._paper_network)
        if wallet is None:
            raise InvalidInputError(
                "it has no balance on paper", subject=name, fix=f"Give it one: `sniperforge paper-fund {name} --sol 10`"
            )
        return wallet

    def scan(self, address: Address, *, whole: bool = False) -> ScanReport:  # noqa: ARG002 (as on the chain)
        """No transaction of the chain has to do with these books."""
        return ScanReport(wallet=address, slot=NO_SLOT, booked=(), unread=(), undead=())

    def compare(self, address: Address) -> tuple[Difference, ...]:  # noqa: ARG002 (as on the chain)
        """There is nothing to compare with; `infrastructure.paper_invariants` holds the books against themselves."""
        return ()
