"""What a wallet has, cost and is worth: the identities of profit and loss, and nothing valued that has no price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.ids import AttemptId
from sniperforge.domain.intent import FillState
from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.domain.portfolio import Position
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerEntry, LedgerKind
from sniperforge.trading.portfolio_report import Account, Holding, Paid, Portfolio, portfolio_of, read_account
from sniperforge.trading.price_survey import Appraisal
from tests.fakes.clock import START
from tests.fakes.records import USDC, WALLET, a_wallet
from tests.fakes.store import FakeStore

NOTHING_PAID = Paid(fee_lamports=0, wasted_lamports=0, tip_lamports=0, rent_lamports=0)
DECIMALS = {USDC: 6, WSOL_MINT: 9}
PRICES = {USDC: Appraisal(Decimal(1)), WSOL_MINT: Appraisal(Decimal(200))}


def sol_position(raw: int, cost: str, realised: str = "0") -> Position:
    return Position(WALLET, WSOL_MINT, raw, Decimal(cost), Decimal(realised))


def an_account(held: dict[Mint, int], *positions: Position) -> Account:
    return Account(wallet=WALLET, held=held, positions={one.mint: one for one in positions}, paid=NOTHING_PAID)


def only(found: Portfolio) -> Holding:
    (holding,) = found.holdings
    return holding


def test_a_holding_tells_its_average_cost_value_and_profit() -> None:
    sol = only(
        portfolio_of(an_account({WSOL_MINT: 500_000_000}, sol_position(500_000_000, "90", "7")), PRICES, DECIMALS)
    )
    assert (sol.average_usd, sol.price_usd, sol.value_usd) == (Decimal(180), Decimal(200), Decimal(100))
    assert (sol.unrealised_usd, sol.realised_usd) == (Decimal(10), Decimal(7))


def test_what_was_there_before_has_value_and_no_profit() -> None:
    found = portfolio_of(
        an_account({WSOL_MINT: 10_000_000_000, USDC: 5_000_000}, sol_position(500_000_000, "90")), PRICES, DECIMALS
    )
    usdc, sol = sorted(found.holdings, key=lambda one: one.held_raw)
    assert (sol.value_usd, sol.bought_raw, sol.unrealised_usd) == (Decimal(2_000), 500_000_000, Decimal(10))
    assert (usdc.value_usd, usdc.average_usd, usdc.unrealised_usd) == (Decimal(5), None, Decimal(0))
    assert (found.value_usd, found.unrealised_usd, found.cost_usd) == (Decimal(2_005), Decimal(10), Decimal(90))


def test_what_left_without_a_trade_takes_its_cost_along_and_is_no_loss() -> None:
    sol = only(portfolio_of(an_account({WSOL_MINT: 100_000_000}, sol_position(500_000_000, "90")), PRICES, DECIMALS))
    assert (sol.bought_raw, sol.cost_usd, sol.average_usd) == (100_000_000, Decimal(18), Decimal(180))
    assert (sol.unrealised_usd, sol.realised_usd) == (Decimal(2), Decimal(0))


def test_a_missing_price_is_said_and_left_out_of_the_totals() -> None:
    prices = {**PRICES, WSOL_MINT: Appraisal(None, "nobody knows")}
    found = portfolio_of(an_account({WSOL_MINT: 1, USDC: 5_000_000}, sol_position(1, "90", "3")), prices, DECIMALS)
    (sol,) = (one for one in found.holdings if one.mint == WSOL_MINT)
    assert (sol.price_usd, sol.value_usd, sol.unrealised_usd, sol.note) == (None, None, None, "nobody knows")
    assert (found.unvalued, found.value_usd, found.realised_usd) == ((WSOL_MINT,), Decimal(5), Decimal(3))
    assert only(portfolio_of(an_account({USDC: 1}), {}, DECIMALS)).note == "nobody was asked for its price"


def test_without_decimals_there_is_no_value() -> None:
    found = portfolio_of(an_account({USDC: 5_000_000}), PRICES, {})
    assert (only(found).value_usd, found.unvalued) == (None, (USDC,))
    assert "decimals" in only(found).note


def test_what_was_sold_out_stays_for_its_profit_and_what_never_was_does_not_show() -> None:
    found = portfolio_of(an_account({USDC: 0}, sol_position(0, "0", "12.5")), PRICES, DECIMALS)
    assert only(found).mint == WSOL_MINT
    assert (found.realised_usd, found.value_usd, found.unvalued) == (Decimal("12.5"), Decimal(0), ())


units = st.integers(1, 10**12)
dollars = st.decimals(0, 10**6, places=6)


@given(
    trades=st.lists(st.tuples(st.booleans(), units, dollars), min_size=1, max_size=10),
    price=st.decimals("0.000001", 10**4, places=6),
    before=st.integers(0, 10**12),
)
def test_realised_and_unrealised_are_value_and_proceeds_less_costs(
    trades: list[tuple[bool, int, Decimal]], price: Decimal, before: int
) -> None:
    position, costs, proceeds = sol_position(0, "0"), Decimal(0), Decimal(0)
    for is_sale, raw, amount in trades:
        if is_sale and position.raw:
            position = position.sold(min(raw, position.raw), amount)
            proceeds += amount
        else:
            position = position.bought(raw, amount)
            costs += amount
    account = an_account({WSOL_MINT: position.raw + before}, position)
    sol = only(portfolio_of(account, {WSOL_MINT: Appraisal(price)}, DECIMALS))
    value_of_bought = position.raw * price.scaleb(-9)
    assert sol.unrealised_usd is not None
    assert sol.value_usd is not None
    assert abs(sol.realised_usd + sol.unrealised_usd - (value_of_bought + proceeds - costs)) < Decimal("1e-12")
    assert abs(sol.value_usd - value_of_bought - before * price.scaleb(-9)) < Decimal("1e-12")
    if sol.average_usd is not None:
        assert abs(sol.average_usd * Decimal(sol.bought_raw).scaleb(-9) - sol.cost_usd) < Decimal("1e-12")


def line(source: str, kind: LedgerKind, delta: int, asset: Asset = NATIVE_SOL, **changes: Any) -> LedgerEntry:
    given: dict[str, Any] = {
        "source": source,
        "wallet": WALLET,
        "asset": asset,
        "kind": kind,
        "delta_raw": delta,
        "slot": 7,
        "state": FillState.FINAL,
        "booked_at": START,
        **changes,
    }
    return LedgerEntry(**given)


def test_the_books_tell_balances_positions_and_what_was_paid() -> None:
    store = FakeStore()
    ours: dict[str, Any] = {"attempt_id": AttemptId("ours-1")}
    with store.write() as books:
        books.wallets.add(a_wallet())
        books.positions.save(sol_position(100, "1"))
        books.ledger.add(
            [
                line("opening", LedgerKind.OPENING, 1_000_000_000),
                line("opening", LedgerKind.OPENING, 70, Asset(WSOL_MINT)),
                line("opening", LedgerKind.OPENING, 900, Asset(USDC)),
                line("good", LedgerKind.FEE, -5_000, **ours),
                line("good", LedgerKind.TIP, -1_000, **ours),
                line("good", LedgerKind.RENT_PAID, -2_000_000, **ours),
                line("good", LedgerKind.TRADE_OUT, -100, Asset(USDC), **ours),
                line("bad", LedgerKind.FEE, -6_000, **ours),
                line("others", LedgerKind.FEE, -7_000),
                line("closed", LedgerKind.RENT_RETURNED, 500_000),
                line("forked", LedgerKind.FEE, -8_000, state=FillState.REVERSED, **ours),
                line("forked", LedgerKind.TRADE_OUT, -200, Asset(USDC), state=FillState.REVERSED, **ours),
            ]
        )
    with store.read() as books:
        account = read_account(books, WALLET)
    assert account.held == {WSOL_MINT: 1_000_000_070 - 5_000 - 1_000 - 2_000_000 - 6_000 - 7_000 + 500_000, USDC: 800}
    assert account.positions[WSOL_MINT].raw == 100
    assert account.paid == Paid(fee_lamports=18_000, wasted_lamports=6_000, tip_lamports=1_000, rent_lamports=1_500_000)
