"""Positions follow fills, and can be counted anew from them at any time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sniperforge.domain.intent import ExposureEffect, Fill, FillState, IntentKind, MaintenancePurpose, TradeIntent
from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.domain.portfolio import Position
from sniperforge.trading.positions import apply_fill, exit_result, rebuild_positions
from tests.fakes.records import USDC, WALLET, a_fill, a_wallet, an_attempt, an_intent
from tests.fakes.store import FakeStore

PRICES: dict[str, Any] = {
    "usd_per_input_unit": Decimal("0.000001"),
    "usd_per_output_unit": Decimal("0.0000002"),
    "usd_per_lamport": Decimal("0.0000002"),
}


class Desk:
    """Books in which trades are filled one after the other."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.fills: list[tuple[TradeIntent, Fill]] = []
        with self.store.write() as books:
            books.wallets.add(a_wallet())

    def fill(self, pair: tuple[Mint, Mint], input_raw: int, output_raw: int, **prices: Any) -> Fill:
        number = len(self.fills)
        intent = an_intent(f"i{number}", input_mint=pair[0], output_mint=pair[1])
        attempt = an_attempt(intent, **{**PRICES, **prices})
        fill = a_fill(
            attempt,
            input_mint=pair[0],
            output_mint=pair[1],
            input_raw=input_raw,
            output_raw=output_raw,
            slot=2_000 + number,
        )
        with self.store.write() as books:
            books.intents.add(intent)
            books.attempts.add(attempt)
            books.fills.add(fill)
            apply_fill(books, attempt, fill)
        self.fills.append((intent, fill))
        return fill

    def reverse(self, number: int) -> None:
        intent, fill = self.fills[number]
        with self.store.write() as books:
            books.fills.change(fill, state=FillState.REVERSED)
            rebuild_positions(books, intent)

    def rebuild(self) -> None:
        with self.store.write() as books:
            for intent, _ in self.fills:
                rebuild_positions(books, intent)

    def position(self, mint: Mint) -> Position:
        with self.store.read() as books:
            return books.positions.get(WALLET, mint) or Position(WALLET, mint, 0, Decimal(0), Decimal(0))

    def shown(self) -> list[tuple[int, Decimal, Decimal]]:
        found = [self.position(mint) for mint in (USDC, WSOL_MINT)]
        return [(one.raw, one.cost_usd, one.realised_usd) for one in found]


BUY, SELL = (USDC, WSOL_MINT), (WSOL_MINT, USDC)


def test_what_is_bought_costs_what_was_given_and_the_fees() -> None:
    desk = Desk()
    desk.fill(BUY, 25_000_000, 125_000_000)

    bought = desk.position(WSOL_MINT)
    assert (bought.raw, bought.cost_usd) == (125_000_000, Decimal("25.001"))


def test_selling_what_was_never_bought_here_gains_and_loses_nothing() -> None:
    desk = Desk()
    desk.fill(BUY, 25_000_000, 125_000_000)

    given_away = desk.position(USDC)
    assert (given_away.raw, given_away.cost_usd, given_away.realised_usd) == (0, Decimal(0), Decimal(0))


def test_selling_realises_the_difference_to_the_average_cost() -> None:
    desk = Desk()
    desk.fill(BUY, 20_000_000, 100_000_000)
    desk.fill(SELL, 50_000_000, 12_000_000, usd_per_input_unit=Decimal("2.4E-7"))

    left = desk.position(WSOL_MINT)
    assert (left.raw, left.cost_usd) == (50_000_000, Decimal("10.0005"))
    assert left.realised_usd == Decimal(12) - Decimal("10.0005")


def test_of_a_sale_larger_than_what_was_bought_here_only_that_part_counts() -> None:
    desk = Desk()
    desk.fill(BUY, 20_000_000, 100_000_000)
    desk.fill(SELL, 200_000_000, 40_000_000, usd_per_input_unit=Decimal("2E-7"))

    left = desk.position(WSOL_MINT)
    assert (left.raw, left.cost_usd, left.realised_usd) == (0, Decimal(0), Decimal(20) - Decimal("20.001"))


def test_without_a_price_of_the_input_the_outputs_price_values_it() -> None:
    desk = Desk()
    desk.fill(BUY, 25_000_000, 125_000_000, usd_per_input_unit=None, usd_per_output_unit=Decimal("3E-7"))

    assert desk.position(WSOL_MINT).cost_usd == Decimal("37.501")


def test_a_fill_that_brought_nothing_buys_nothing() -> None:
    desk = Desk()
    desk.fill(BUY, 25_000_000, 0)

    assert desk.position(WSOL_MINT).raw == 0


def test_a_reversed_fill_leaves_no_trace() -> None:
    desk = Desk()
    desk.fill(BUY, 20_000_000, 100_000_000)
    before = desk.shown()
    desk.fill(BUY, 30_000_000, 120_000_000)
    desk.reverse(1)

    assert desk.shown() == before


def test_costs_are_kept_to_a_millionth_of_a_millionth_of_a_dollar() -> None:
    desk = Desk()
    desk.fill(BUY, 1, 3, usd_per_input_unit=Decimal("0.123456789012345"), usd_per_lamport=None)
    desk.fill(SELL, 1, 1, usd_per_input_unit=Decimal("0.2"))

    for _, cost, realised in desk.shown():
        assert cost == cost.quantize(Decimal("1e-12"))
        assert realised == realised.quantize(Decimal("1e-12"))


@settings(deadline=None)
@given(
    fills=st.lists(
        st.tuples(st.sampled_from((BUY, SELL)), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=8
    )
)
def test_counting_anew_gives_what_was_there_and_no_position_is_ever_negative(
    fills: list[tuple[tuple[Mint, Mint], int, int]],
) -> None:
    desk = Desk()
    for pair, input_raw, output_raw in fills:
        desk.fill(pair, input_raw, output_raw)
    before = desk.shown()
    desk.rebuild()

    assert desk.shown() == before
    assert all(raw >= 0 and cost >= 0 for raw, cost, _ in before)


# ---- what an exit brings


def brings(desk: Desk, input_raw: int, output_raw: int, **changes: Any) -> Decimal | None:
    """What it would bring to sell SOL for USDC now; its fee is a thousandth of a dollar."""
    intent = an_intent("out", **{"effect": ExposureEffect.EXIT, **changes})
    attempt = an_attempt(intent, **{**PRICES, "usd_per_output_unit": Decimal("0.000001")})
    fill = a_fill(attempt, input_mint=WSOL_MINT, output_mint=USDC, input_raw=input_raw, output_raw=output_raw)
    with desk.store.read() as books:
        return exit_result(books, intent, attempt, fill)


def test_an_exit_brings_what_it_got_less_the_cost_of_what_it_gave_and_its_fee() -> None:
    desk = Desk()
    desk.fill(BUY, 25_000_000, 125_000_000)
    assert brings(desk, 125_000_000, 24_000_000) == Decimal(24) - Decimal("25.001") - Decimal("0.001")
    assert brings(desk, 25_000_000, 6_000_000) == Decimal(6) - Decimal("25.001") / 5 - Decimal("0.001")


def test_what_was_not_bought_here_brings_neither_profit_nor_loss_but_its_fee() -> None:
    desk = Desk()
    assert brings(desk, 125_000_000, 24_000_000) == Decimal("-0.001")
    desk.fill(BUY, 25_000_000, 125_000_000)
    assert brings(desk, 250_000_000, 60_000_000) == Decimal(30) - Decimal("25.001") - Decimal("0.001")
    assert brings(desk, 0, 0) == Decimal("-0.001")


def test_neither_an_entry_nor_maintenance_brings_anything() -> None:
    desk = Desk()
    desk.fill(BUY, 25_000_000, 125_000_000)
    assert brings(desk, 125_000_000, 24_000_000, effect=ExposureEffect.ENTRY) is None
    wrap = {"kind": IntentKind.MAINTENANCE, "purpose": MaintenancePurpose.WRAP}
    assert brings(desk, 125_000_000, 24_000_000, **wrap) is None
