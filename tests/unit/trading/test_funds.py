"""Reserving what an attempt may use up: two trades cannot spend one balance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniperforge.domain.intent import Attempt, FillState
from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.errors import InvalidInputError, RetryableError
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerEntry, LedgerKind, ReservationKind
from sniperforge.trading.funds import Balances, Need, free_raw, reserve
from tests.fakes.clock import START
from tests.fakes.records import USDC, WALLET, a_wallet, an_attempt, an_intent
from tests.fakes.store import FakeStore

SEEN_AT = 1_000


def balances(**changes: Any) -> Balances:
    given_fields = {"slot": SEEN_AT, "native_lamports": 1_000_000, "input_raw": 500, "keep_lamports": 890}
    return Balances(**{**given_fields, **changes})


def a_need(**changes: Any) -> Need:
    given_fields: dict[str, Any] = {
        "input_mint": USDC,
        "input_raw": 200,
        "fee_lamports": 5_000,
        "tip_lamports": 1_000,
        "rent_lamports": 4_000,
        "temporary_wsol_lamports": 2_000,
        "risk_raw": 200,
    }
    return Need(**{**given_fields, **changes})


class Desk:
    """Books with some signed attempts."""

    def __init__(self, count: int = 3) -> None:
        self.store = FakeStore()
        self.attempts: list[Attempt] = []
        with self.store.write() as books:
            books.wallets.add(a_wallet())
            for number in range(count):
                intent = an_intent(f"i{number}")
                books.intents.add(intent)
                self.attempts.append(an_attempt(intent))
                books.attempts.add(self.attempts[-1])

    def reserve(self, number: int, need: Need, seen: Balances) -> None:
        with self.store.write() as books:
            reserve(books, self.attempts[number], need, balances=seen, at=START)

    def free(self, mint: Mint, seen: Balances) -> int:
        with self.store.read() as books:
            return free_raw(books, WALLET, mint, balances=seen)

    def book(self, asset: Asset, delta_raw: int, slot: int, source: str = "s") -> None:
        entry = LedgerEntry(
            source=source,
            wallet=WALLET,
            asset=asset,
            kind=LedgerKind.TRADE_IN if delta_raw > 0 else LedgerKind.TRADE_OUT,
            delta_raw=delta_raw,
            slot=slot,
            state=FillState.PROVISIONAL,
            booked_at=START,
        )
        with self.store.write() as books:
            books.ledger.add([entry])


def test_every_kind_has_its_line_and_nothing_has_a_line_of_zero() -> None:
    desk = Desk()
    desk.reserve(0, a_need(tip_lamports=0), balances())

    with desk.store.read() as books:
        lines = {(one.kind, one.mint): one.amount_raw for one in books.reservations.of_attempt(desk.attempts[0].id)}
    assert lines == {
        (ReservationKind.INPUT, USDC): 200,
        (ReservationKind.FEE, WSOL_MINT): 5_000,
        (ReservationKind.RENT, WSOL_MINT): 4_000,
        (ReservationKind.TEMPORARY_WSOL, WSOL_MINT): 2_000,
        (ReservationKind.RISK_BUDGET, USDC): 200,
    }


def test_what_is_reserved_is_not_free_and_a_risk_budget_holds_no_funds() -> None:
    desk = Desk()
    desk.reserve(0, a_need(), balances())

    assert desk.free(USDC, balances()) == 300
    assert desk.free(WSOL_MINT, balances()) == 1_000_000 - 890 - 12_000


def test_sol_that_is_given_and_sol_for_costs_come_from_one_balance() -> None:
    desk = Desk()
    need = a_need(input_mint=WSOL_MINT, input_raw=1_000_000 - 890 - 12_000, risk_raw=0)
    desk.reserve(0, need, balances(input_raw=0))

    assert desk.free(WSOL_MINT, balances()) == 0


def test_one_lamport_too_many_is_refused() -> None:
    desk = Desk()
    need = a_need(input_mint=WSOL_MINT, input_raw=1_000_001 - 890 - 12_000, risk_raw=0)

    with pytest.raises(InvalidInputError, match=r"0\.000999111 SOL are needed with fee, tip and rent, the wallet has"):
        desk.reserve(0, need, balances())


def test_wsol_in_a_token_account_is_not_sol_to_spend() -> None:
    seen = balances(native_lamports=10_000, input_raw=10**9)

    assert Desk().free(WSOL_MINT, seen) == 10_000 - 890


def test_what_the_wallet_does_not_have_ends_the_trade_and_what_others_hold_is_waited_for() -> None:
    desk = Desk()
    desk.reserve(0, a_need(input_raw=400), balances())

    with pytest.raises(RetryableError, match="200 base units are needed, other trades hold all but 100"):
        desk.reserve(1, a_need(), balances())
    with pytest.raises(InvalidInputError, match="501 base units are needed, the wallet has 500"):
        desk.reserve(1, a_need(input_raw=501), balances())


def test_sol_that_others_hold_is_waited_for() -> None:
    desk = Desk()
    seen = balances(native_lamports=890 + 12_000 + 11_999)
    desk.reserve(0, a_need(), seen)

    with pytest.raises(RetryableError, match="other trades hold all but 11999"):
        desk.reserve(1, a_need(), seen)


def test_an_account_below_what_it_must_keep_has_nothing_and_not_less() -> None:
    with pytest.raises(InvalidInputError, match="the wallet has 0 to spend"):
        Desk().reserve(0, a_need(), balances(native_lamports=100))


def test_what_was_booked_after_the_balances_were_seen_is_taken_off_and_never_added() -> None:
    """A node behind our books shows what was spent meanwhile as still there."""
    desk = Desk()
    desk.book(Asset(USDC), -150, SEEN_AT + 1, "spent")
    desk.book(NATIVE_SOL, -7_000, SEEN_AT + 1, "paid")
    desk.book(Asset(USDC), -50, SEEN_AT, "seen")
    assert desk.free(USDC, balances()) == 350
    assert desk.free(WSOL_MINT, balances()) == 1_000_000 - 890 - 7_000

    desk.book(Asset(USDC), 5_000, SEEN_AT + 2, "got")
    desk.book(NATIVE_SOL, 9_000, SEEN_AT + 2, "received")
    assert desk.free(USDC, balances()) == 500
    assert desk.free(WSOL_MINT, balances()) == 1_000_000 - 890


def test_settlement_lets_go() -> None:
    desk = Desk()
    desk.reserve(0, a_need(), balances())
    with desk.store.write() as books:
        books.reservations.release(desk.attempts[0].id, START)

    assert desk.free(USDC, balances()) == 500


@settings(deadline=None)
@given(
    there=st.integers(0, 1_000),
    needs=st.lists(st.tuples(st.booleans(), st.integers(1, 700), st.integers(0, 300)), max_size=6),
)
def test_whatever_is_asked_for_never_is_more_reserved_than_there_is(
    there: int, needs: list[tuple[bool, int, int]]
) -> None:
    desk = Desk(len(needs))
    seen = balances(native_lamports=there, input_raw=there, keep_lamports=10)
    for number, (in_sol, raw, side) in enumerate(needs):
        need = a_need(
            input_mint=WSOL_MINT if in_sol else USDC,
            input_raw=raw,
            fee_lamports=side,
            tip_lamports=0,
            rent_lamports=0,
            temporary_wsol_lamports=0,
        )
        before = desk.free(USDC, seen), desk.free(WSOL_MINT, seen)
        try:
            desk.reserve(number, need, replace(seen, input_raw=0) if in_sol else seen)
        except (InvalidInputError, RetryableError):
            assert (desk.free(USDC, seen), desk.free(WSOL_MINT, seen)) == before

    assert desk.free(USDC, seen) >= 0
    assert desk.free(WSOL_MINT, seen) >= min(0, there - 10)
