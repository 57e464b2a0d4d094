"""Price keys: one integer per price, exact both ways, in the order of the prices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.money import MAX_RAW, Mint
from sniperforge.domain.prices import (
    MAX_EXPONENT,
    MAX_PRICE,
    MIN_EXPONENT,
    MIN_PRICE,
    SIGNIFICANT_DIGITS,
    Price,
    price_from_key,
    price_key,
    rounded_price,
)
from sniperforge.errors import InvalidInputError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@st.composite
def some_prices(draw: st.DrawFn) -> Decimal:
    exponent = draw(st.integers(MIN_EXPONENT, MAX_EXPONENT - 1))
    digits = draw(st.integers(1, SIGNIFICANT_DIGITS))
    mantissa = draw(st.integers(10 ** (digits - 1), 10**digits - 1))
    return Decimal(mantissa).scaleb(exponent - digits + 1)


prices = st.one_of(some_prices(), st.sampled_from([MIN_PRICE, MAX_PRICE]))


@given(prices)
def test_a_key_gives_back_the_exact_price(price: Decimal) -> None:
    assert price_from_key(price_key(price)) == price


@given(prices)
def test_a_key_fits_a_signed_64_bit_column(price: Decimal) -> None:
    assert 0 <= price_key(price) <= MAX_RAW


@given(prices, prices)
def test_keys_are_in_the_order_of_their_prices(left: Decimal, right: Decimal) -> None:
    assert (price_key(left) < price_key(right)) == (left < right)
    assert (price_key(left) == price_key(right)) == (left == right)


@given(prices)
def test_the_next_key_is_the_next_price(price: Decimal) -> None:
    """No two keys share a price, and none is missing in between."""
    key = price_key(price)
    if price < MAX_PRICE:
        assert price_from_key(key + 1) > price
        assert price_key(rounded_price(price_from_key(key + 1))) == key + 1


def test_writing_a_price_in_another_way_is_the_same_key() -> None:
    assert price_key(Decimal("180.0")) == price_key(Decimal("1.8E+2")) == price_key(Decimal(180))


@given(st.floats(min_value=1e-12, max_value=1e9))
def test_every_number_a_json_double_prints_is_kept(number: float) -> None:
    price = Decimal(repr(number))

    assert price_from_key(price_key(price)) == price


@pytest.mark.parametrize(
    "value",
    [
        Decimal(0),
        Decimal(-1),
        MIN_PRICE - Decimal("1e-29"),
        MAX_PRICE + Decimal("1e-8"),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1.00000000000000001"),
        0.1,
        1,
        "1",
        None,
    ],
)
def test_what_is_no_price_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError):
        price_key(value)


@pytest.mark.parametrize("key", [-1, price_key(MAX_PRICE) + 9 * 10**16, MAX_RAW * 2])
def test_what_is_no_key_is_refused(key: int) -> None:
    with pytest.raises(InvalidInputError):
        price_from_key(key)


@given(st.decimals(MIN_PRICE * 10, MAX_PRICE / 10, places=30))
def test_rounding_goes_the_named_way_and_leaves_a_price(value: Decimal) -> None:
    down, up = rounded_price(value, ROUND_FLOOR), rounded_price(value, ROUND_CEILING)

    assert down <= value <= up
    assert down <= rounded_price(value) <= up
    assert price_key(up) - price_key(down) <= 1


def test_a_price_knows_its_key_and_wants_an_aware_time() -> None:
    price = Price(Mint("m"), Decimal("180.25"), "pyth", NOON)

    assert price.key == price_key(Decimal("180.25"))
    with pytest.raises(InvalidInputError, match="aware"):
        Price(Mint("m"), Decimal(1), "pyth", NOON.replace(tzinfo=None))
    with pytest.raises(InvalidInputError):
        Price(Mint("m"), Decimal(0), "pyth", NOON)
