"""Wallets on paper: what they are given, and what is refused so that paper and chain stay apart."""

from __future__ import annotations

import pytest

from sniperforge.domain.money import MAX_RAW, Address
from sniperforge.errors import InvalidInputError
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerKind
from sniperforge.trading.adoption import adopted
from sniperforge.trading.paper_books import PaperReconciler, fund
from tests.fakes.clock import FakeClock
from tests.fakes.paper_world import NETWORK, PaperWorld
from tests.fakes.store import FakeStore
from tests.fakes.trading_orders import OWNER, SOL, USDC


def test_what_is_given_is_a_named_transfer_and_adds_up() -> None:
    world = PaperWorld(lamports=1, usdc=2)
    world.give({NATIVE_SOL: 10})

    assert (world.balance(SOL), world.balance(USDC)) == (11, 2)
    with world.store.books.read() as books:
        lines = books.ledger.of_wallet(OWNER, 10)
    assert {line.kind for line in lines} == {LedgerKind.TRANSFER_IN}
    assert {line.source for line in lines} == {f"paper-fund-{OWNER}-1", f"paper-fund-{OWNER}-2"}


def test_the_balances_afterwards_are_told() -> None:
    store = FakeStore()
    for given, has in ((5, 5), (7, 12)):
        funding = fund(
            store=store, clock=FakeClock(), network=NETWORK, name="main", address=OWNER, raw={NATIVE_SOL: given}
        )
        assert funding.balances == {NATIVE_SOL: has}


@pytest.mark.parametrize("raw", [{}, {NATIVE_SOL: 0}])
def test_nothing_cannot_be_given(raw: dict[Asset, int]) -> None:
    with pytest.raises(InvalidInputError, match="nothing is given"):
        PaperWorld().give(raw)


def test_no_more_can_be_given_than_the_books_can_count() -> None:
    world = PaperWorld()
    with pytest.raises(InvalidInputError):
        world.give({NATIVE_SOL: MAX_RAW})

    assert world.balance(SOL) == 2 * 10**9


def test_paper_is_not_given_to_a_wallet_of_live_books() -> None:
    world = PaperWorld()
    with pytest.raises(InvalidInputError, match="these are its books on sandbox-paper, and this is sandbox"):
        world.give({NATIVE_SOL: 1}, network="sandbox")


def test_a_wallet_on_paper_is_not_adopted_as_a_live_one() -> None:
    world = PaperWorld()
    with world.store.books.read() as books, pytest.raises(InvalidInputError, match="sandbox-paper"):
        adopted(books, OWNER, "sandbox")


def test_adopting_asks_for_a_balance_on_paper_and_never_for_the_chains() -> None:
    world = PaperWorld()
    reconciler = PaperReconciler(store=world.store, network=NETWORK)

    assert reconciler.adopt("main", OWNER).address == OWNER
    with pytest.raises(InvalidInputError, match="paper-fund other"):
        reconciler.adopt("other", Address("somebody"))


def test_reconciling_finds_nothing_and_asks_nobody() -> None:
    world = PaperWorld()
    seen = list(world.points.seen)
    reconciler = PaperReconciler(store=world.store, network=NETWORK)
    report = reconciler.scan(OWNER, whole=True)

    assert (report.booked, report.unread, report.undead) == ((), (), ())
    assert reconciler.compare(OWNER) == ()
    assert world.points.seen == seen
