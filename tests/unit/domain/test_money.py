"""Money: integers in base units, read and written without losing one."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.money import (
    MAX_DECIMALS,
    MAX_RAW,
    Bps,
    Lamports,
    Mint,
    TokenAmount,
    checked_raw,
    format_units,
    parse_units,
)
from sniperforge.errors import InvalidInputError

amounts = st.integers(0, MAX_RAW)
decimals = st.integers(0, MAX_DECIMALS)
A, B = Mint("A"), Mint("B")


@given(amounts, decimals)
def test_what_is_written_reads_back_as_the_same_amount(raw: int, places: int) -> None:
    assert parse_units(format_units(raw, places), places) == raw


@given(st.integers(-MAX_RAW, MAX_RAW), decimals)
def test_the_written_number_is_the_exact_value(raw: int, places: int) -> None:
    text = format_units(raw, places)

    assert Fraction(text) == Fraction(raw, 10**places)
    assert "e" not in text.lower()
    assert "." not in text or not text.endswith(("0", "."))


@given(amounts, st.integers(0, MAX_DECIMALS - 1), st.integers(1, 9))
def test_a_digit_more_than_the_token_has_is_refused(raw: int, places: int, digit: int) -> None:
    finer = format_units(raw // 100 * 10 + digit, places + 1)

    with pytest.raises(InvalidInputError, match="more decimals"):
        parse_units(finer, places)


@given(st.integers(MAX_RAW + 1, 10**60), decimals)
def test_an_amount_beyond_64_bits_is_refused(raw: int, places: int) -> None:
    with pytest.raises(InvalidInputError):
        parse_units(format_units(raw, places), places)


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity", "-1", "-0.1", "1,5", "0x10", "1e99", "1e400"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_units(text, 6)


@pytest.mark.parametrize(
    ("text", "raw"), [("25", 25_000_000), (" 0.5 ", 500_000), ("0", 0), ("1e-6", 1), (".1", 100_000)]
)
def test_amounts_are_read_as_people_type_them(text: str, raw: int) -> None:
    assert parse_units(text, 6) == raw


@pytest.mark.parametrize("value", [True, 1.0, "1", Decimal(1), None, -1, MAX_RAW + 1])
def test_an_amount_is_an_int_in_range_and_nothing_else(value: Any) -> None:
    for make in (checked_raw, Lamports, lambda raw: TokenAmount(raw, A)):
        with pytest.raises(InvalidInputError):
            make(value)


@given(amounts, amounts)
def test_sums_are_exact_or_refused(left: int, right: int) -> None:
    if left + right <= MAX_RAW:
        assert (Lamports(left) + Lamports(right)).raw == left + right
        assert TokenAmount(left, A) + TokenAmount(right, A) == TokenAmount(left + right, A)
    else:
        with pytest.raises(InvalidInputError):
            Lamports(left) + Lamports(right)
        with pytest.raises(InvalidInputError):
            TokenAmount(left, A) + TokenAmount(right, A)


@given(amounts, amounts)
def test_differences_are_exact_or_refused_and_order_is_that_of_the_amounts(left: int, right: int) -> None:
    assert (Lamports(left) < Lamports(right)) == (left < right)
    assert (Lamports(left) <= Lamports(right)) == (left <= right)
    assert (TokenAmount(left, A) < TokenAmount(right, A)) == (left < right)
    assert (TokenAmount(left, A) <= TokenAmount(right, A)) == (left <= right)
    if left >= right:
        assert (Lamports(left) - Lamports(right)).raw == left - right
        assert (TokenAmount(left, A) - TokenAmount(right, A)).raw == left - right
    else:
        with pytest.raises(InvalidInputError):
            Lamports(left) - Lamports(right)
        with pytest.raises(InvalidInputError):
            TokenAmount(left, A) - TokenAmount(right, A)


def test_amounts_of_two_mints_do_not_mix() -> None:
    one, other = TokenAmount(1, A), TokenAmount(1, B)

    for mix in (
        lambda: one + other,
        lambda: one - other,
        lambda: one < other,
        lambda: one <= other,
    ):
        with pytest.raises(ValueError, match="different mints"):
            mix()
    assert one != other


def test_lamports_print_as_sol() -> None:
    assert str(Lamports(1_500_000_000)) == "1.5 SOL"


@given(amounts, st.integers(0, 10_000))
def test_basis_points_round_to_the_named_side(raw: int, bps: int) -> None:
    exact = Fraction(raw * bps, 10_000)

    assert Bps(bps).floor_of(raw) <= exact <= Bps(bps).ceil_of(raw)
    assert exact - Bps(bps).floor_of(raw) < 1
    assert Bps(bps).ceil_of(raw) - exact < 1
    assert raw - exact <= Bps(bps).less(raw) < raw - exact + 1


@pytest.mark.parametrize("value", [-1, 10_001, 1.0, True, "1"])
def test_basis_points_are_whole_and_at_most_all(value: Any) -> None:
    with pytest.raises(InvalidInputError):
        Bps(value)
