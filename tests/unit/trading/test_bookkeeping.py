"""What a landed transaction writes into the books: lines that add up, and a fill read from its own balances."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.intent import FillState
from sniperforge.domain.money import WSOL_MINT, Mint, Signature
from sniperforge.ports.chain import LandedTransaction
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerEntry, LedgerKind
from sniperforge.trading.balances import WalletChange
from sniperforge.trading.bookkeeping import fill_of, ledger_lines
from tests.fakes.clock import START
from tests.fakes.records import USDC, WALLET, an_attempt, an_intent

JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
MINTS = (USDC, WSOL_MINT, JUP)
LATER = START + timedelta(seconds=1)
RENT = 1_488_440


def landed(**changes: object) -> LandedTransaction:
    given_fields: dict[str, object] = {
        "signature": Signature("signature"),
        "slot": 2_000,
        "block_time": None,
        "version": 0,
        "transaction": b"",
        "err": None,
        "fee_lamports": 5_000,
        "accounts": (),
        "pre_lamports": (),
        "post_lamports": (),
        "pre_tokens": (),
        "post_tokens": (),
        "logs": (),
        "compute_units": None,
    }
    return LandedTransaction(**{**given_fields, **changes})  # type: ignore[arg-type]


def a_change(
    native: int = 0, tokens: dict[Mint, int] | None = None, *, locked: int = 0, fee: int = 0, tip: int = 0
) -> WalletChange:
    return WalletChange(native=native, tokens=tokens or {}, locked=locked, fee_lamports=fee, tip_lamports=tip)


def lines_of(change: WalletChange, *traded: Mint) -> tuple[LedgerEntry, ...]:
    return ledger_lines(
        landed(), change, wallet=WALLET, traded=frozenset(traded), state=FillState.PROVISIONAL, at=LATER
    )


def told(change: WalletChange, *traded: Mint) -> dict[tuple[Asset, LedgerKind], int]:
    return {(line.asset, line.kind): line.delta_raw for line in lines_of(change, *traded)}


def sums(lines: tuple[LedgerEntry, ...]) -> dict[Asset, int]:
    totals: dict[Asset, int] = defaultdict(int)
    for line in lines:
        totals[line.asset] += line.delta_raw
    return {asset: total for asset, total in totals.items() if total}


amounts = st.integers(-(10**13), 10**13)
changes = st.builds(
    WalletChange,
    native=amounts,
    tokens=st.dictionaries(st.sampled_from(MINTS), amounts),
    locked=amounts,
    fee_lamports=st.integers(0, 10**7),
    tip_lamports=st.integers(0, 10**7),
)
traded_sets = st.frozensets(st.sampled_from(MINTS), max_size=3)


@given(change=changes, traded=traded_sets)
def test_the_lines_of_a_transaction_add_up_to_its_change_whatever_it_was(
    change: WalletChange, traded: frozenset[Mint]
) -> None:
    expected = {Asset(mint): delta for mint, delta in change.tokens.items() if delta}
    if change.native:
        expected[NATIVE_SOL] = change.native

    assert sums(lines_of(change, *traded)) == expected


@given(change=changes, traded=traded_sets)
def test_no_two_lines_count_one_asset_for_one_reason_and_none_is_zero(
    change: WalletChange, traded: frozenset[Mint]
) -> None:
    lines = lines_of(change, *traded)

    assert len({(line.asset, line.kind) for line in lines}) == len(lines)
    assert all(line.delta_raw for line in lines)


@given(change=changes, traded=traded_sets)
def test_wrapping_moves_between_native_and_wsol_and_cancels(change: WalletChange, traded: frozenset[Mint]) -> None:
    wraps = {line.asset: line.delta_raw for line in lines_of(change, *traded) if line.kind is LedgerKind.WRAP}

    assert sum(wraps.values()) == 0
    assert set(wraps) <= {NATIVE_SOL, Asset(WSOL_MINT)}


@given(change=changes, traded=traded_sets)
def test_every_kind_has_its_sign(change: WalletChange, traded: frozenset[Mint]) -> None:
    gains = {LedgerKind.TRADE_IN, LedgerKind.TRANSFER_IN, LedgerKind.RENT_RETURNED}

    for line in lines_of(change, *traded):
        assert line.kind is LedgerKind.WRAP or (line.delta_raw > 0) == (line.kind in gains), line


@given(change=changes, traded=traded_sets)
def test_what_was_traded_is_the_change_of_the_asset_sol_and_wsol_together(
    change: WalletChange, traded: frozenset[Mint]
) -> None:
    lines = lines_of(change, *traded)
    trades = {LedgerKind.TRADE_IN, LedgerKind.TRADE_OUT}
    for mint in traded:
        assets = {NATIVE_SOL, Asset(mint)} if mint == WSOL_MINT else {Asset(mint)}
        booked = sum(line.delta_raw for line in lines if line.asset in assets and line.kind in trades)
        assert booked == change.of_asset(mint)


def test_a_buy_of_native_sol_has_a_line_for_each_cost() -> None:
    change = a_change(137_000_000 - 5_000 - 2_000 - RENT, {USDC: -25_000_000}, locked=RENT, fee=5_000, tip=2_000)

    assert told(change, USDC, WSOL_MINT) == {
        (NATIVE_SOL, LedgerKind.FEE): -5_000,
        (NATIVE_SOL, LedgerKind.TIP): -2_000,
        (NATIVE_SOL, LedgerKind.RENT_PAID): -RENT,
        (NATIVE_SOL, LedgerKind.TRADE_IN): 137_000_000,
        (USDC, LedgerKind.TRADE_OUT): -25_000_000,
    }


def test_wsol_held_before_comes_out_of_an_unwrapping_swap_as_a_wrap_and_not_as_a_gain() -> None:
    """With 3 SOL in the wSOL account, an output of 5 shows as 8 natively."""
    change = a_change(8 + RENT - 5_000, {USDC: -900, WSOL_MINT: -3}, locked=-RENT, fee=5_000)

    assert told(change, USDC, WSOL_MINT) == {
        (NATIVE_SOL, LedgerKind.FEE): -5_000,
        (NATIVE_SOL, LedgerKind.RENT_RETURNED): RENT,
        (NATIVE_SOL, LedgerKind.WRAP): 3,
        (Asset(WSOL_MINT), LedgerKind.WRAP): -3,
        (NATIVE_SOL, LedgerKind.TRADE_IN): 5,
        (USDC, LedgerKind.TRADE_OUT): -900,
    }


def test_a_sale_of_native_sol_that_wraps_too_much_leaves_the_rest_as_wsol() -> None:
    change = a_change(-10 - 5_000, {USDC: 900, WSOL_MINT: 3}, fee=5_000)

    assert told(change, USDC, WSOL_MINT) == {
        (NATIVE_SOL, LedgerKind.FEE): -5_000,
        (NATIVE_SOL, LedgerKind.WRAP): -3,
        (Asset(WSOL_MINT), LedgerKind.WRAP): 3,
        (NATIVE_SOL, LedgerKind.TRADE_OUT): -7,
        (USDC, LedgerKind.TRADE_IN): 900,
    }


@pytest.mark.parametrize(("delta", "kind"), [(5, LedgerKind.TRANSFER_IN), (-5, LedgerKind.TRANSFER_OUT)])
def test_what_a_trade_was_not_about_is_a_transfer(delta: int, kind: LedgerKind) -> None:
    assert told(a_change(tokens={JUP: delta}), USDC, WSOL_MINT) == {(Asset(JUP), kind): delta}
    assert told(a_change(native=delta)) == {(NATIVE_SOL, kind): delta}


def test_a_landing_with_an_error_has_its_fee_and_nothing_else() -> None:
    assert told(a_change(native=-5_000, fee=5_000), USDC, WSOL_MINT) == {(NATIVE_SOL, LedgerKind.FEE): -5_000}


def test_a_line_says_whose_transaction_it_is_and_when_it_was_booked() -> None:
    attempt = an_attempt(an_intent())
    ours, nobodys = (
        ledger_lines(
            landed(signature=attempt.signature),
            a_change(native=-5_000, fee=5_000),
            wallet=WALLET,
            traded=frozenset(),
            state=FillState.FINAL,
            at=LATER,
            attempt=whose,
        )
        for whose in (attempt, None)
    )

    expected = LedgerEntry(
        source=attempt.signature,
        wallet=WALLET,
        asset=NATIVE_SOL,
        kind=LedgerKind.FEE,
        delta_raw=-5_000,
        slot=2_000,
        state=FillState.FINAL,
        booked_at=LATER,
        intent_id=attempt.intent_id,
        attempt_id=attempt.id,
    )
    assert ours == (expected,)
    assert [(line.intent_id, line.attempt_id) for line in nobodys] == [(None, None)]


def test_a_fill_is_what_the_balances_say_and_its_costs_are_apart() -> None:
    intent = an_intent()
    attempt = an_attempt(intent)
    change = a_change(137_000_000 - 7_000 - RENT, {USDC: -24_999_999}, locked=RENT, fee=5_000, tip=2_000)

    fill = fill_of(intent, attempt, landed(signature=attempt.signature), change, at=LATER)

    assert (fill.signature, fill.attempt_id, fill.intent_id) == (attempt.signature, attempt.id, intent.id)
    assert (fill.wallet, fill.state, fill.version, fill.slot) == (WALLET, FillState.PROVISIONAL, 0, 2_000)
    assert (fill.input_mint, fill.input_raw, fill.output_mint, fill.output_raw) == (
        USDC,
        24_999_999,
        WSOL_MINT,
        137_000_000,
    )
    assert (fill.fee_lamports, fill.tip_lamports) == (5_000, 2_000)
    assert (fill.rent_paid_lamports, fill.rent_returned_lamports) == (RENT, 0)
    assert (fill.booked_at, fill.finalized_at) == (LATER, None)


def test_rent_that_comes_back_is_told_apart_from_rent_that_is_paid() -> None:
    fill = fill_of(an_intent(), an_attempt(an_intent()), landed(), a_change(native=RENT, locked=-RENT), at=LATER)

    assert (fill.rent_paid_lamports, fill.rent_returned_lamports) == (0, RENT)


def test_a_side_that_moved_the_other_way_than_decided_counts_zero() -> None:
    fill = fill_of(an_intent(), an_attempt(an_intent()), landed(), a_change(-7, {USDC: 5}), at=LATER)

    assert (fill.input_raw, fill.output_raw) == (0, 0)
