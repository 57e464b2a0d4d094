"""Adopting a wallet, reading its history, and holding the books against the chain, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniperforge.domain.ids import intent_id
from sniperforge.domain.intent import Attempt, AttemptState, FillState
from sniperforge.domain.money import MAX_RAW, WSOL_MINT, Address, Mint
from sniperforge.errors import InvalidInputError, NodeBehindError, ProtocolError, RetryableError
from sniperforge.ports.chain import LandedTransaction
from sniperforge.ports.records import (
    NATIVE_SOL,
    Asset,
    Attribution,
    Event,
    KnownTransaction,
    LedgerEntry,
    LedgerKind,
    Severity,
    TradingMode,
    WalletRecord,
)
from sniperforge.trading.bookkeeping import OPENING
from sniperforge.trading.controls import Controls
from sniperforge.trading.differences import Difference, Reason
from sniperforge.trading.history import signers
from sniperforge.trading.reconciler import INDEX_LAG_SLOTS, Reconciler, ScanReport
from tests.fakes.clock import START
from tests.fakes.records import USDC, a_wallet, an_attempt, an_intent
from tests.fakes.wallet_world import (
    FEE,
    NETWORK,
    OPENING_LAMPORTS,
    RENT,
    WalletWorld,
    WatchedChain,
    account_address,
)

JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
WSOL = Asset(WSOL_MINT)
SOME_LAMPORTS = 1_000_000


@pytest.fixture
def world() -> WalletWorld:
    """A wallet with SOL, USDC in account 1 and wSOL in account 2, not in the books yet."""
    made = WalletWorld()
    made.decree(account=1, mint=USDC, raw=500)
    made.decree(account=2, mint=WSOL_MINT, raw=3_000)
    return made


@pytest.fixture
def adopted(world: WalletWorld) -> WalletWorld:
    """The same, in the books."""
    adopt(world)
    return world


def adopt(world: WalletWorld) -> WalletRecord:
    return world.reconciler.adopt("main", world.wallet)


def scan(world: WalletWorld, *, whole: bool = False) -> ScanReport:
    return world.reconciler.scan(world.wallet, whole=whole)


def compare(world: WalletWorld) -> tuple[Difference, ...]:
    return world.reconciler.compare(world.wallet)


def attributions(report: ScanReport) -> list[Attribution]:
    return [known.attribution for known in report.booked]


def lines(world: WalletWorld, source: str) -> dict[tuple[str, LedgerKind], int]:
    with world.store.read() as books:
        return {(line.asset, line.kind): line.delta_raw for line in books.ledger.of_source(source)}


def wallet_in_books(world: WalletWorld) -> WalletRecord:
    with world.store.read() as books:
        found = books.wallets.get(world.wallet)
    assert found is not None
    return found


def events(world: WalletWorld, kind: str) -> list[Event]:
    with world.store.read() as books:
        return [event for event in reversed(books.events.recent(1_000)) if event.kind == kind]


def known(world: WalletWorld) -> dict[str, KnownTransaction]:
    with world.store.read() as books:
        return {
            one.signature: one
            for attribution in Attribution
            for one in books.known_transactions.in_attribution(world.wallet, attribution)
        }


def decide(world: WalletWorld, **changes: Any) -> Attempt:
    """An attempt of ours, in the books before it lands; the next transaction our key signs is its."""
    intent = an_intent(wallet=world.wallet)
    attempt = an_attempt(intent, signature=world.next_signature(), **changes)
    with world.store.write() as books:
        books.intents.add(intent)
        books.attempts.add(attempt)
    return attempt


def book(world: WalletWorld, attempt: Attempt, deltas: dict[Asset, int], *, slot: int, state: FillState) -> None:
    """What the executor books of an attempt of ours."""
    with world.store.write() as books:
        books.ledger.add(
            [
                LedgerEntry(
                    source=attempt.signature,
                    wallet=world.wallet,
                    asset=asset,
                    kind=LedgerKind.TRADE_IN if delta > 0 else LedgerKind.TRADE_OUT,
                    delta_raw=delta,
                    slot=slot,
                    state=state,
                    booked_at=START,
                )
                for asset, delta in deltas.items()
            ]
        )


def once(world: WalletWorld, question: str, happens: Callable[[], object], *, after: int = 1) -> None:
    """Let something happen after the `after`-th answer to a question, once."""
    left = after

    def listen(asked: str) -> None:
        nonlocal left
        if asked == question:
            left -= 1
            if left == 0:
                happens()

    world.chain.on_question = listen


# --- adopting


def test_a_wallet_comes_into_the_books_with_what_it_holds_at_one_finalized_slot(world: WalletWorld) -> None:
    adopt(world)

    assert lines(world, OPENING) == {
        (NATIVE_SOL, LedgerKind.OPENING): OPENING_LAMPORTS,
        (USDC, LedgerKind.OPENING): 500,
        (WSOL_MINT, LedgerKind.OPENING): 3_000,
    }
    with world.store.read() as books:
        booked = books.ledger.of_source(OPENING)
    assert {(line.slot, line.state, line.wallet) for line in booked} == {
        (world.chain.head_slot, FillState.FINAL, world.wallet)
    }
    assert compare(world) == ()


def test_all_token_accounts_of_a_mint_are_one_balance(world: WalletWorld) -> None:
    world.decree(account=3, mint=USDC, raw=11)
    adopt(world)

    assert lines(world, OPENING)[USDC, LedgerKind.OPENING] == 511


def test_an_adopted_wallet_starts_active_with_the_newest_transaction_as_its_cursor(world: WalletWorld) -> None:
    world.land(SOME_LAMPORTS)
    newest = world.land(SOME_LAMPORTS)
    slot = world.chain.head_slot
    world.chain.advance(5)

    wallet = adopt(world)

    assert wallet == wallet_in_books(world)
    assert (wallet.name, wallet.address, wallet.network) == ("main", world.wallet, NETWORK)
    assert (wallet.cursor_signature, wallet.cursor_slot) == (newest, slot)
    assert (wallet.mode, wallet.created_at, wallet.epoch) == (TradingMode.ACTIVE, START, 1)
    assert [event.severity for event in events(world, "wallet.adopted")] == [Severity.INFO]


def test_an_empty_wallet_without_history_is_adopted_too() -> None:
    world = WalletWorld(lamports=0)

    wallet = adopt(world)

    assert (wallet.cursor_signature, wallet.cursor_slot) == (None, None)
    assert lines(world, OPENING) == {(NATIVE_SOL, LedgerKind.OPENING): 0}
    world.land(SOME_LAMPORTS)
    assert attributions(scan(world)) == [Attribution.DEPOSIT]
    assert compare(world) == ()


def test_adopting_an_adopted_wallet_returns_it_and_changes_nothing(adopted: WalletWorld) -> None:
    before = lines(adopted, OPENING)
    adopted.land(SOME_LAMPORTS)
    adopted.chain.asked.clear()

    assert adopted.reconciler.adopt("another name", adopted.wallet) == wallet_in_books(adopted)
    assert adopted.chain.asked == []
    assert lines(adopted, OPENING) == before


def test_two_who_adopt_at_once_make_one_opening(world: WalletWorld) -> None:
    once(world, "history", lambda: adopt(world))

    assert adopt(world) == wallet_in_books(world)
    assert lines(world, OPENING)[NATIVE_SOL, LedgerKind.OPENING] == OPENING_LAMPORTS


def test_a_name_is_one_wallets(adopted: WalletWorld) -> None:
    other = WalletWorld(chain=adopted.chain, store=adopted.store, key=adopted.stranger)

    with pytest.raises(InvalidInputError, match="the name is taken"):
        adopt(other)


def test_the_books_of_another_network_are_refused(adopted: WalletWorld) -> None:
    elsewhere = Reconciler(
        store=adopted.store, chain=adopted.chain, clock=adopted.clock, tip_accounts=frozenset(), network="mainnet"
    )

    for use in (lambda: elsewhere.adopt("main", adopted.wallet), lambda: elsewhere.scan(adopted.wallet)):
        with pytest.raises(InvalidInputError, match="this is mainnet"):
            use()


@pytest.mark.parametrize("question", ["token_accounts", "accounts", "history"])
@pytest.mark.parametrize("after", [1, 2])
@pytest.mark.parametrize("ours", [True, False])
def test_a_transaction_that_lands_while_a_wallet_is_adopted_is_counted_once(
    world: WalletWorld, question: str, after: int, *, ours: bool
) -> None:
    """Whichever of the questions it lands between: not missed, not in the opening and booked as well.

    One of ours names the wallet, which is seen to be busy; a deposit into a token account does not.
    """
    native = -900 if ours else 0
    once(world, question, lambda: world.land(native, {1: 7, 2: 50}, ours=ours), after=after)
    adopt(world)
    world.chain.on_question = lambda _: None

    assert compare(world) == ()


def test_the_opening_is_read_in_one_answer(world: WalletWorld) -> None:
    """Two answers are of two slots, and what lands between them would be missed or counted twice."""

    def deposit(question: str) -> None:
        if question == "accounts":
            world.land(tokens={1: 100})

    world.chain.on_question = deposit
    adopt(world)
    world.chain.on_question = lambda _: None

    assert lines(world, OPENING)[USDC, LedgerKind.OPENING] == 500
    assert compare(world) == ()


def test_a_token_account_that_is_opened_meanwhile_is_read_too(world: WalletWorld) -> None:
    once(world, "token_accounts", lambda: world.decree(account=3, mint=JUP, raw=77))
    adopt(world)

    assert lines(world, OPENING)[JUP, LedgerKind.OPENING] == 77


def test_a_wallet_that_never_comes_to_rest_is_adopted_later(world: WalletWorld) -> None:
    def receive(question: str) -> None:
        if question == "accounts":
            world.land(1)

    world.chain.on_question = receive

    with pytest.raises(RetryableError, match="too busy"):
        adopt(world)


def test_token_accounts_that_come_and_go_all_the_time_are_read_later(world: WalletWorld) -> None:
    numbers = iter(range(3, 100))

    def another(question: str) -> None:
        if question == "accounts":
            world.decree(account=next(numbers), mint=JUP)

    world.chain.on_question = another

    with pytest.raises(RetryableError, match="change too fast"):
        adopt(world)


def test_more_token_accounts_than_one_answer_holds_are_refused_with_the_fix(world: WalletWorld) -> None:
    for number in range(3, 102):
        world.decree(account=number, mint=JUP)

    with pytest.raises(InvalidInputError, match=r"98 can be read at one slot.*Close the empty ones"):
        adopt(world)


def test_as_many_token_accounts_as_one_answer_holds_are_read(world: WalletWorld) -> None:
    for number in range(3, 99):
        world.decree(account=number, mint=JUP, raw=1)
    adopt(world)

    assert lines(world, OPENING)[JUP, LedgerKind.OPENING] == 96


def test_what_a_worthless_tokens_issuer_made_too_much_of_is_left_out(world: WalletWorld) -> None:
    world.decree(account=3, mint=JUP, raw=MAX_RAW + 1)
    adopt(world)

    assert (JUP, LedgerKind.OPENING) not in lines(world, OPENING)
    assert [(one.asset, one.reason) for one in compare(world)] == [(Asset(JUP), Reason.UNCOUNTABLE)]


def test_a_node_that_contradicts_itself_adopts_nothing(world: WalletWorld) -> None:
    stored = dict(world.chain.stored)
    account = account_address(1)
    broken: tuple[Callable[[], object], ...] = (
        lambda: world.chain.stored.pop(Address("SysvarC1ock11111111111111111111111111111111")),
        lambda: world.chain.stored.pop(account),
        lambda: world.chain.set_account(account, data=bytes(164), owner=stored[account].owner),
        lambda: world.chain.set_account(account, data=bytes(165), owner=Address("nobody")),
    )
    for damage in broken:
        world.chain.stored = dict(stored)
        damage()
        with pytest.raises(ProtocolError):
            adopt(world)

    with world.store.read() as books:
        assert books.wallets.all() == ()


# --- scanning


def test_a_deposit_is_booked_as_what_came_in(adopted: WalletWorld) -> None:
    signature = adopted.land(SOME_LAMPORTS)
    slot = adopted.chain.head_slot
    adopted.clock.advance(timedelta(seconds=9))

    report = scan(adopted)

    expected = KnownTransaction(
        signature=signature,
        wallet=adopted.wallet,
        slot=slot,
        err=None,
        attribution=Attribution.DEPOSIT,
        seen_at=START + timedelta(seconds=9),
    )
    assert report == ScanReport(wallet=adopted.wallet, slot=slot, booked=(expected,), unread=(), undead=())
    assert known(adopted) == {signature: expected}
    assert lines(adopted, signature) == {(NATIVE_SOL, LedgerKind.TRANSFER_IN): SOME_LAMPORTS}
    with adopted.store.read() as books:
        (line,) = books.ledger.of_source(signature)
    assert (line.slot, line.state, line.booked_at) == (slot, FillState.FINAL, START + timedelta(seconds=9))
    assert [event.severity for event in events(adopted, "wallet.deposit")] == [Severity.INFO]
    assert wallet_in_books(adopted).mode is TradingMode.ACTIVE
    assert compare(adopted) == ()


def test_a_deposit_into_a_token_account_is_found_though_it_does_not_name_the_wallet(adopted: WalletWorld) -> None:
    signature = adopted.land(tokens={1: 25})
    landed = adopted.chain.landed[signature]
    assert adopted.wallet not in landed.accounts

    assert attributions(scan(adopted)) == [Attribution.DEPOSIT]
    assert lines(adopted, signature) == {(USDC, LedgerKind.TRANSFER_IN): 25}
    assert compare(adopted) == ()


def test_a_deposit_of_wsol_is_no_native_sol(adopted: WalletWorld) -> None:
    signature = adopted.land(tokens={2: 40})

    scan(adopted)

    assert lines(adopted, signature) == {(WSOL_MINT, LedgerKind.TRANSFER_IN): 40}
    assert compare(adopted) == ()


def test_a_token_account_that_somebody_opened_for_us_is_read(adopted: WalletWorld) -> None:
    opening = adopted.land(opens={3: JUP})
    adopted.land(tokens={3: 12})

    assert attributions(scan(adopted)) == [Attribution.DEPOSIT] * 2
    assert lines(adopted, opening) == {
        (NATIVE_SOL, LedgerKind.RENT_PAID): -RENT,
        (NATIVE_SOL, LedgerKind.TRANSFER_IN): RENT,
    }
    assert compare(adopted) == ()


def test_a_deposit_into_an_account_that_was_closed_since_is_found_through_its_closing(adopted: WalletWorld) -> None:
    deposit = adopted.land(tokens={2: 40})
    decide(adopted)
    closing = adopted.land(closes=[2], ours=True)

    report = scan(adopted)

    assert [(one.signature, one.attribution) for one in report.booked] == [
        (deposit, Attribution.DEPOSIT),
        (closing, Attribution.OURS),
    ]
    assert lines(adopted, deposit) == {(WSOL_MINT, LedgerKind.TRANSFER_IN): 40}


def test_a_transaction_that_only_names_the_wallet_changes_nothing_and_tells_nobody(adopted: WalletWorld) -> None:
    signature = adopted.land(names_wallet=True)

    assert attributions(scan(adopted)) == [Attribution.DEPOSIT]
    assert lines(adopted, signature) == {}
    assert events(adopted, "wallet.deposit") == []


def test_tips_of_others_are_no_cost_of_ours(adopted: WalletWorld) -> None:
    signature = adopted.land(SOME_LAMPORTS, tip=700)

    scan(adopted)

    assert lines(adopted, signature) == {(NATIVE_SOL, LedgerKind.TRANSFER_IN): SOME_LAMPORTS}


def test_our_own_transaction_is_attributed_and_left_to_the_executor(adopted: WalletWorld) -> None:
    attempt = decide(adopted)
    signature = adopted.land(-1_000, {1: 30}, ours=True)

    report = scan(adopted)

    assert attributions(report) == [Attribution.OURS]
    assert known(adopted)[signature].attempt_id == attempt.id
    assert lines(adopted, signature) == {}
    assert (report.foreign, report.undead) == ((), ())
    assert wallet_in_books(adopted).mode is TradingMode.ACTIVE


def test_a_transaction_that_our_key_signed_and_nobody_decided_halts_the_wallet(adopted: WalletWorld) -> None:
    signature = adopted.land(-1_000, {1: 30}, ours=True, tip=700)
    adopted.clock.advance(timedelta(seconds=9))

    report = scan(adopted)

    assert attributions(report) == [Attribution.FOREIGN]
    assert report.foreign == report.booked
    wallet = wallet_in_books(adopted)
    assert (wallet.mode, wallet.mode_changed_at) == (TradingMode.HALTED, START + timedelta(seconds=9))
    assert wallet.mode_reason is not None
    assert signature in wallet.mode_reason
    (event,) = events(adopted, "wallet.foreign_transaction")
    assert (event.severity, event.wallet) == (Severity.CRITICAL, adopted.wallet)
    assert "docs/runbooks/foreign-transaction.md" in event.message
    assert event.facts["signature"] == signature


def test_a_person_is_asked_about_every_foreign_transaction_since_the_first_that_halted_it(adopted: WalletWorld) -> None:
    thefts = [adopted.land(-1_000, ours=True)]
    scan(adopted)
    adopted.clock.advance(timedelta(seconds=9))
    thefts.append(adopted.land(-1_000, ours=True))
    scan(adopted)
    controls = Controls(store=adopted.store, clock=adopted.clock)

    assert wallet_in_books(adopted).mode_changed_at == START
    assert [one.signature for one in controls.foreign_transactions(adopted.wallet)] == thefts

    controls.change_wallet(adopted.wallet, TradingMode.ACTIVE, reason=None, by="alice")
    adopted.clock.advance(timedelta(seconds=9))
    thefts.append(adopted.land(-1_000, ours=True))
    scan(adopted)
    assert [one.signature for one in controls.foreign_transactions(adopted.wallet)] == thefts[2:]


def test_a_foreign_transaction_is_booked_so_that_the_books_still_add_up(adopted: WalletWorld) -> None:
    signature = adopted.land(-1_000, {1: 30}, ours=True, tip=700)

    scan(adopted)

    assert lines(adopted, signature) == {
        (NATIVE_SOL, LedgerKind.FEE): -FEE,
        (NATIVE_SOL, LedgerKind.TIP): -700,
        (NATIVE_SOL, LedgerKind.TRANSFER_OUT): -300,
        (USDC, LedgerKind.TRANSFER_IN): 30,
    }
    assert compare(adopted) == ()


def test_a_foreign_transaction_that_failed_cost_its_fee_and_halts_all_the_same(adopted: WalletWorld) -> None:
    signature = adopted.land(-1_000, ours=True, err='{"InstructionError":[0,{"Custom":1}]}')

    report = scan(adopted)

    assert [one.err for one in report.foreign] == ['{"InstructionError":[0,{"Custom":1}]}']
    assert lines(adopted, signature) == {(NATIVE_SOL, LedgerKind.FEE): -FEE}
    assert wallet_in_books(adopted).mode is TradingMode.HALTED


def test_a_signature_of_our_key_beside_the_payers_is_foreign_though_it_brings_something(adopted: WalletWorld) -> None:
    signature = adopted.land(SOME_LAMPORTS, cosigned=True)

    assert attributions(scan(adopted)) == [Attribution.FOREIGN]
    assert lines(adopted, signature) == {(NATIVE_SOL, LedgerKind.TRANSFER_IN): SOME_LAMPORTS}


def test_whoever_takes_without_our_key_halts_the_wallet_too(adopted: WalletWorld) -> None:
    """A delegate we approved, or a mint's permanent delegate."""
    signature = adopted.land(tokens={1: -500})

    assert attributions(scan(adopted)) == [Attribution.FOREIGN]
    assert lines(adopted, signature) == {(USDC, LedgerKind.TRANSFER_OUT): -500}
    assert "without its key" in (wallet_in_books(adopted).mode_reason or "")


def test_an_attempt_of_another_wallet_of_ours_brings_a_deposit(adopted: WalletWorld) -> None:
    """Its own wallet's scan calls it ours; here it is something received."""
    other = a_wallet(address=Address(str(adopted.stranger.pubkey())), name="other", network=NETWORK)
    signature = adopted.land(SOME_LAMPORTS)
    intent = an_intent(wallet=other.address)
    with adopted.store.write() as books:
        books.wallets.add(other)
        books.intents.add(intent)
        books.attempts.add(an_attempt(intent, signature=signature))

    assert attributions(scan(adopted)) == [Attribution.DEPOSIT]
    assert compare(adopted) == ()


def test_an_attempt_that_was_called_dead_and_landed_is_reported_loudly_and_not_booked(adopted: WalletWorld) -> None:
    attempt = decide(adopted, state=AttemptState.EXPIRED)
    signature = adopted.land(-1_000, ours=True)

    report = scan(adopted)

    assert report.undead == (attempt.id,)
    assert attributions(report) == [Attribution.OURS]
    assert lines(adopted, signature) == {}
    (event,) = events(adopted, "attempt.undead")
    assert (event.severity, event.attempt_id, event.intent_id) == (
        Severity.CRITICAL,
        attempt.id,
        intent_id(an_intent("one").key),
    )


def test_what_is_not_final_is_not_looked_at(adopted: WalletWorld) -> None:
    adopted.chain.finalize_slots = 32
    adopted.land(SOME_LAMPORTS)

    assert scan(adopted).booked == ()
    adopted.chain.finalize()
    assert attributions(scan(adopted)) == [Attribution.DEPOSIT]


def test_what_was_before_the_opening_is_not_history(world: WalletWorld) -> None:
    world.land(SOME_LAMPORTS)
    world.land(tokens={1: 25})
    adopt(world)

    assert scan(world).booked == ()
    assert scan(world, whole=True).booked == ()
    assert compare(world) == ()


def test_a_second_scan_reads_and_writes_nothing_anew(adopted: WalletWorld) -> None:
    adopted.land(SOME_LAMPORTS)
    adopted.chain.advance(INDEX_LAG_SLOTS)
    scan(adopted)
    wallet, seen = wallet_in_books(adopted), known(adopted)
    adopted.chain.asked.clear()

    assert scan(adopted).booked == ()

    # One page for the wallet and one for each of its two token accounts, and not a single transaction.
    assert sorted(adopted.chain.asked) == ["history"] * 3 + ["slot", "token_accounts"]
    assert (wallet_in_books(adopted), known(adopted)) == (wallet, seen)


def test_a_known_transaction_that_is_newer_than_the_cursor_is_listed_and_not_read_again(adopted: WalletWorld) -> None:
    adopted.land(SOME_LAMPORTS)
    scan(adopted)
    adopted.chain.asked.clear()

    assert scan(adopted).booked == ()
    assert "transaction" not in adopted.chain.asked


def test_the_cursor_follows_at_a_distance_and_never_goes_back(adopted: WalletWorld) -> None:
    first = adopted.land(SOME_LAMPORTS)
    slot = adopted.chain.head_slot
    adopted.chain.advance(INDEX_LAG_SLOTS - 1)
    adopted.land(SOME_LAMPORTS)

    scan(adopted)
    assert (wallet_in_books(adopted).cursor_signature, wallet_in_books(adopted).cursor_slot) == (first, slot)

    scan(adopted, whole=True)
    assert wallet_in_books(adopted).cursor_signature == first


def test_a_transaction_that_a_nodes_index_shows_late_is_found(adopted: WalletWorld) -> None:
    late = adopted.land(SOME_LAMPORTS)
    adopted.chain.advance(INDEX_LAG_SLOTS - 1)
    adopted.land(SOME_LAMPORTS)
    adopted.chain.unlisted = {late}
    scan(adopted)
    adopted.chain.unlisted = set()

    assert [one.signature for one in scan(adopted).booked] == [late]
    assert compare(adopted) == ()


def test_a_transaction_that_cannot_be_read_is_left_for_the_next_scan(adopted: WalletWorld) -> None:
    unread = adopted.land(SOME_LAMPORTS)
    newer = adopted.land(SOME_LAMPORTS)
    adopted.chain.advance(INDEX_LAG_SLOTS)
    adopted.chain.unreadable = {unread}

    report = scan(adopted)

    assert ([one.signature for one in report.booked], report.unread) == ([newer], (unread,))
    assert wallet_in_books(adopted).cursor_signature is None
    adopted.chain.unreadable = set()
    assert [one.signature for one in scan(adopted).booked] == [unread]
    assert wallet_in_books(adopted).cursor_signature == newer
    assert compare(adopted) == ()


@pytest.mark.parametrize("ours", [True, False])
def test_the_way_to_a_closed_account_is_kept_while_something_older_is_unread(
    adopted: WalletWorld, *, ours: bool
) -> None:
    """Closed by an attempt of ours, or by somebody who may close it."""
    unread = adopted.land(tokens={2: 40})
    decide(adopted)
    closing = adopted.land(closes=[2], ours=ours)
    adopted.chain.advance(INDEX_LAG_SLOTS)
    adopted.chain.unreadable = {unread}
    assert scan(adopted).unread == (unread, closing)

    adopted.chain.unreadable = set()
    assert [one.signature for one in scan(adopted).booked] == [unread, closing]


def test_a_theft_does_not_wait_for_what_is_unread(adopted: WalletWorld) -> None:
    unread = adopted.land(SOME_LAMPORTS)
    theft = adopted.land(tokens={1: -500}, closes=[1], ours=True)
    adopted.chain.unreadable = {unread}

    report = scan(adopted)

    assert [one.signature for one in report.foreign] == [theft]
    assert wallet_in_books(adopted).mode is TradingMode.HALTED


def test_a_long_history_is_read_page_by_page(adopted: WalletWorld) -> None:
    adopted.chain.page = 3
    for _ in range(8):
        adopted.land(SOME_LAMPORTS)

    assert len(scan(adopted).booked) == 8
    assert compare(adopted) == ()


def test_transactions_are_booked_oldest_first(adopted: WalletWorld) -> None:
    signatures = [adopted.land(SOME_LAMPORTS), adopted.land(tokens={1: 5}), adopted.land(SOME_LAMPORTS)]

    assert [one.signature for one in scan(adopted).booked] == signatures


def test_two_scans_at_once_book_each_transaction_once(adopted: WalletWorld) -> None:
    signature = adopted.land(SOME_LAMPORTS)
    once(adopted, "transaction", lambda: scan(adopted))

    assert scan(adopted).booked == ()
    assert lines(adopted, signature) == {(NATIVE_SOL, LedgerKind.TRANSFER_IN): SOME_LAMPORTS}


@pytest.mark.parametrize("question", ["slot", "token_accounts", "history", "transaction"])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_nothing_that_happens_during_a_scan_is_missed(adopted: WalletWorld, question: str, after: int) -> None:
    """An account opened, filled and closed between any two questions is found by this scan or the next."""

    def come_and_go() -> None:
        adopted.land(opens={3: JUP})
        adopted.land(tokens={3: 12})
        adopted.land(tokens={3: -12}, closes=[3], ours=True)
        adopted.land(tokens={1: 4})

    adopted.land(SOME_LAMPORTS)
    once(adopted, question, come_and_go, after=after)
    scan(adopted)
    adopted.chain.on_question = lambda _: None
    adopted.chain.advance(INDEX_LAG_SLOTS)
    scan(adopted)
    adopted.chain.advance(INDEX_LAG_SLOTS)

    assert compare(adopted) == ()
    happened = set(adopted.chain.landed) if question != "transaction" or after < 3 else set(known(adopted))
    assert set(known(adopted)) == happened


def test_an_account_opened_behind_our_back_during_a_scan_is_found_by_the_next(adopted: WalletWorld) -> None:
    """Whoever opens an account for us need not name us. The cursor stays before it, however long the scan takes."""

    def deposit() -> None:
        adopted.land(opens={3: JUP}, names_wallet=False)
        adopted.land(tokens={3: 12})
        adopted.land(SOME_LAMPORTS)
        adopted.chain.advance(INDEX_LAG_SLOTS)

    once(adopted, "token_accounts", deposit)
    scan(adopted)

    assert compare(adopted) == ()


def test_a_node_that_forgot_the_cursor_is_not_believed(world: WalletWorld) -> None:
    world.chain = WatchedChain("forgetful", "archive")
    world.land(SOME_LAMPORTS)
    adopt(world)
    missed = world.land(SOME_LAMPORTS)
    world.chain.advance(INDEX_LAG_SLOTS)
    world.land(SOME_LAMPORTS)
    world.chain.nodes[0].remembers_slots = 10

    assert missed in {one.signature for one in scan(world).booked}


@pytest.mark.parametrize("names", [("forgetful",), ("forgetful", "as well")])
def test_when_every_node_forgot_the_cursor_nothing_is_concluded(world: WalletWorld, names: tuple[str, ...]) -> None:
    world.chain = WatchedChain(*names)
    world.land(SOME_LAMPORTS)
    wallet = adopt(world)
    world.land(SOME_LAMPORTS)
    world.chain.advance(INDEX_LAG_SLOTS)
    for node in world.chain.nodes:
        node.remembers_slots = 10

    for use in (scan, compare):
        with pytest.raises(NodeBehindError, match=r"no node knows transaction .* full history"):
            use(world)
    assert (wallet_in_books(world), known(world)) == (wallet, {})


def test_reading_the_whole_history_again_finds_what_a_forgetful_node_hid(adopted: WalletWorld) -> None:
    hidden = adopted.land(SOME_LAMPORTS)
    adopted.chain.unlisted = {hidden}
    adopted.land(SOME_LAMPORTS)
    adopted.chain.advance(INDEX_LAG_SLOTS)
    scan(adopted)
    adopted.chain.unlisted = set()
    assert scan(adopted).booked == ()
    assert [one.reason for one in compare(adopted)] == [Reason.UNEXPLAINED]

    assert [one.signature for one in scan(adopted, whole=True).booked] == [hidden]
    assert compare(adopted) == ()


def test_a_wallet_that_is_not_in_the_books_is_refused(world: WalletWorld) -> None:
    with pytest.raises(InvalidInputError, match="not in the books"):
        scan(world)


def test_a_wallet_without_an_opening_is_refused(world: WalletWorld) -> None:
    with world.store.write() as books:
        books.wallets.add(a_wallet(address=world.wallet, network=NETWORK))

    with pytest.raises(InvalidInputError, match="no opening balance"):
        scan(world)


def test_a_token_sent_without_measure_does_not_stop_the_books(adopted: WalletWorld) -> None:
    adopted.land(opens={3: JUP})
    adopted.land(tokens={3: MAX_RAW - 1})
    too_many = adopted.land(tokens={3: 5})
    deposit = adopted.land(SOME_LAMPORTS)

    assert attributions(scan(adopted)) == [Attribution.DEPOSIT] * 4
    assert lines(adopted, too_many) == {}
    assert lines(adopted, deposit) == {(NATIVE_SOL, LedgerKind.TRANSFER_IN): SOME_LAMPORTS}
    assert [event.severity for event in events(adopted, "wallet.uncountable")] == [Severity.WARNING]
    assert [(one.asset, one.reason) for one in compare(adopted)] == [(Asset(JUP), Reason.UNCOUNTABLE)]


def legacy_or_v0(count: int) -> bytes:
    return bytes([count]) + bytes(64 * count)


@pytest.mark.parametrize(
    ("version", "transaction"), [("legacy", legacy_or_v0(2)), (0, legacy_or_v0(2)), (1, b"\x81\x02" + bytes(200))]
)
def test_signers_are_told_for_every_transaction_version(
    adopted: WalletWorld, version: object, transaction: bytes
) -> None:
    landed: LandedTransaction = adopted.chain.landed[adopted.land(SOME_LAMPORTS)]
    accounts = tuple(Address(name) for name in ("payer", "second", "third"))
    changed = replace(landed, version=version, transaction=transaction, accounts=accounts)  # type: ignore[arg-type]

    assert signers(changed) == ("payer", "second")


# --- comparing


def test_a_balance_without_a_transaction_is_named_and_unexplained(adopted: WalletWorld) -> None:
    adopted.decree(lamports=-7)
    adopted.decree(account=1, raw=9)
    adopted.decree(account=3, mint=JUP, raw=1)

    found = compare(adopted)

    slot = adopted.chain.head_slot
    assert [(one.asset, one.slot, one.books_raw, one.chain_raw, one.missing_raw) for one in found] == [
        (Asset(USDC), slot, 500, 509, 9),
        (Asset(JUP), slot, 0, 1, 1),
        (NATIVE_SOL, slot, OPENING_LAMPORTS, OPENING_LAMPORTS - 7, -7),
    ]
    assert {one.reason for one in found} == {Reason.UNEXPLAINED}
    assert {one.wallet for one in found} == {adopted.wallet}


def test_an_asset_that_is_gone_from_the_chain_is_missed(adopted: WalletWorld) -> None:
    del adopted.tokens[account_address(1)]
    adopted.decree()

    assert [(one.asset, one.books_raw, one.chain_raw) for one in compare(adopted)] == [(Asset(USDC), 500, 0)]


def test_comparing_looks_at_everything_up_to_the_slot_of_the_balances_first(adopted: WalletWorld) -> None:
    adopted.land(SOME_LAMPORTS)
    adopted.land(tokens={1: 5})

    assert compare(adopted) == ()


@pytest.mark.parametrize("question", ["slot", "token_accounts", "accounts", "history"])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_what_lands_during_a_comparison_makes_no_difference(adopted: WalletWorld, question: str, after: int) -> None:
    """Before the balances are read, it is in both; after that, in neither."""
    once(adopted, question, lambda: adopted.land(SOME_LAMPORTS, {1: 9}), after=after)

    assert compare(adopted) == ()


def test_a_fill_that_is_booked_and_not_final_is_not_comparable_yet(adopted: WalletWorld) -> None:
    attempt = decide(adopted, state=AttemptState.CONFIRMED)
    adopted.land(-1_000, {1: 30}, ours=True)
    slot = adopted.chain.head_slot
    moved = {NATIVE_SOL: -1_000 - FEE, Asset(USDC): 30}
    book(adopted, attempt, moved, slot=slot, state=FillState.PROVISIONAL)

    found = compare(adopted)

    assert [(one.asset, one.missing_raw, one.reason) for one in found] == [
        (Asset(USDC), 30, Reason.NOT_FINAL),
        (NATIVE_SOL, -1_000 - FEE, Reason.NOT_FINAL),
    ]
    assert all(attempt.id in one.text for one in found)
    with adopted.store.write() as books:
        books.ledger.settle(attempt.signature, FillState.FINAL)
    assert compare(adopted) == ()


def test_a_difference_that_a_fill_does_not_explain_is_unexplained(adopted: WalletWorld) -> None:
    attempt = decide(adopted, state=AttemptState.CONFIRMED)
    adopted.land(-1_000, {1: 30}, ours=True)
    book(adopted, attempt, {NATIVE_SOL: -999}, slot=adopted.chain.head_slot, state=FillState.PROVISIONAL)

    assert {one.asset: one.reason for one in compare(adopted)} == {
        USDC: Reason.UNEXPLAINED,
        NATIVE_SOL: Reason.UNEXPLAINED,
    }


@pytest.mark.parametrize("state", [AttemptState.SIGNED, AttemptState.SENT, AttemptState.EXPIRED])
def test_an_attempt_that_landed_and_is_not_booked_is_not_comparable_yet(
    adopted: WalletWorld, state: AttemptState
) -> None:
    decide(adopted, state=state, watch_until=START + timedelta(days=1) if state is AttemptState.EXPIRED else None)
    adopted.land(-1_000, ours=True)

    assert [one.reason for one in compare(adopted)] == [Reason.NOT_FINAL]


def test_an_attempt_that_landed_after_the_balances_explains_nothing(adopted: WalletWorld) -> None:
    decide(adopted, state=AttemptState.SENT)
    adopted.decree(lamports=-7)
    once(adopted, "accounts", lambda: adopted.land(-1_000, ours=True))

    assert [(one.missing_raw, one.reason) for one in compare(adopted)] == [(-7, Reason.UNEXPLAINED)]


def test_an_attempt_that_is_only_in_flight_explains_nothing(adopted: WalletWorld) -> None:
    decide(adopted, state=AttemptState.SENT)
    adopted.decree(lamports=-7)

    assert [one.reason for one in compare(adopted)] == [Reason.UNEXPLAINED]


def test_a_transaction_that_cannot_be_read_makes_books_not_comparable_yet(adopted: WalletWorld) -> None:
    adopted.chain.unreadable = {adopted.land(SOME_LAMPORTS)}

    (found,) = compare(adopted)

    assert (found.reason, found.missing_raw) == (Reason.UNREAD, SOME_LAMPORTS)
    assert "not comparable yet" in found.text


def test_a_provisional_line_explains_even_where_the_transaction_cannot_be_read(adopted: WalletWorld) -> None:
    attempt = decide(adopted, state=AttemptState.CONFIRMED)
    adopted.chain.unreadable = {adopted.land(-1_000, ours=True)}
    book(adopted, attempt, {NATIVE_SOL: -1_000 - FEE}, slot=adopted.chain.head_slot, state=FillState.PROVISIONAL)

    assert [one.reason for one in compare(adopted)] == [Reason.NOT_FINAL]


# --- whatever happens

numbers = st.integers(1, 4)
mints = st.sampled_from([USDC, WSOL_MINT, JUP])
happenings = st.one_of(
    st.tuples(st.just("deposit"), st.integers(1, 10**9)),
    st.tuples(st.just("spend"), st.integers(1, 10**6)),
    st.tuples(st.just("fail"), st.just(0)),
    st.tuples(st.just("open"), st.tuples(numbers, mints)),
    st.tuples(st.just("receive"), st.tuples(numbers, st.integers(1, 10**6))),
    st.tuples(st.just("close"), numbers),
    st.tuples(st.just("name"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 2 * INDEX_LAG_SLOTS)),
    st.tuples(st.just("scan"), st.booleans()),
)


def let_happen(world: WalletWorld, what: str, how: object) -> None:
    match what, how:
        case "deposit", int(lamports):
            world.land(lamports)
        case "spend", int(lamports):
            world.land(-lamports, ours=True)
        case "fail", _:
            world.land(-1, ours=True, err='"AccountInUse"')
        case "open", (int(number), str(mint)) if account_address(number) not in world.tokens:
            world.land(opens={number: Mint(mint)})
        case "receive", (int(number), int(raw)) if account_address(number) in world.tokens:
            world.land(tokens={number: raw})
        case "close", int(number) if account_address(number) in world.tokens:
            held = world.tokens[account_address(number)]
            moves = {} if held.mint == WSOL_MINT else {number: -held.raw}
            world.land(tokens=moves, closes=[number], ours=True)
        case "name", _:
            world.land(names_wallet=True)
        case "wait", int(slots):
            world.chain.advance(slots)
        case "scan", bool(some_unreadable):
            newest = [one for one in world.chain.landed if one not in known(world)]
            world.chain.unreadable = set(newest[::2]) if some_unreadable else set()
            scan(world)
            world.chain.unreadable = set()
        case _:
            pass


@settings(max_examples=150, deadline=None)
@given(before=st.lists(happenings, max_size=6), after=st.lists(happenings, max_size=25))
def test_whatever_happens_and_whenever_it_is_scanned_the_books_equal_the_chain(
    before: list[tuple[str, object]], after: list[tuple[str, object]]
) -> None:
    world = WalletWorld()
    for what, how in before:
        if what != "scan":
            let_happen(world, what, how)
    adopt(world)
    opened = world.chain.head_slot
    for what, how in after:
        let_happen(world, what, how)

    assert compare(world) == ()
    assert set(known(world)) == {one.signature for one in world.chain.landed.values() if one.slot > opened}
    spent = any(what in {"spend", "fail"} for what, _ in after)
    assert not spent or wallet_in_books(world).mode is TradingMode.HALTED
