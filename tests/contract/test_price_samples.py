"""What every store promises about prices of a while ago: the one in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.errors import InvalidInputError, StorageError
from sniperforge.ports.price_samples import PriceSample
from sniperforge.ports.store import Books, Store
from tests.fakes.clock import START
from tests.fakes.records import USDC
from tests.fakes.stores import empty_store

SECOND, TICK = timedelta(seconds=1), timedelta.resolution


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with empty_store(request.param, tmp_path) as made:
        yield made


def keep(store: Store, *seconds: int, mint: Mint = WSOL_MINT) -> None:
    """One price for each of these seconds after the start, as many dollars."""
    with store.write() as books:
        for second in seconds:
            books.price_samples.add({mint: Decimal(second)}, at=START + second * SECOND)


def found(store: Store, second: int, *, not_before: int = 0, mint: Mint = WSOL_MINT) -> Decimal | None:
    with store.read() as books:
        sample = books.price_samples.before(mint, START + second * SECOND, not_before=START + not_before * SECOND)
    return None if sample is None else sample.usd


def test_a_price_comes_back_exactly(store: Store) -> None:
    usd, at = Decimal("0.00001234567890123456"), START + 7 * TICK
    with store.write() as books:
        books.price_samples.add({WSOL_MINT: usd, USDC: Decimal(1)}, at=at.astimezone(timezone(2 * 3_600 * SECOND)))
    with store.read() as books:
        kept = books.price_samples.before(WSOL_MINT, at, not_before=at)
    assert kept == PriceSample(mint=WSOL_MINT, at=at, usd=usd)
    assert found(store, 1, mint=USDC) == 1


def test_nothing_to_keep_is_nothing_kept(store: Store) -> None:
    with store.write() as books:
        books.price_samples.add({}, at=START)
    assert found(store, 1) is None


def test_the_newest_at_or_before_a_moment_counts(store: Store) -> None:
    keep(store, 30, 10, 20)
    assert [found(store, second) for second in (9, 10, 19, 20, 29, 30, 99)] == [None, 10, 10, 20, 20, 30, 30]


def test_one_that_is_too_old_does_not_count(store: Store) -> None:
    keep(store, 10)
    assert found(store, 20, not_before=10) == 10
    assert found(store, 20, not_before=11) is None


def test_each_token_has_its_own(store: Store) -> None:
    keep(store, 10)
    keep(store, 20, mint=USDC)
    assert found(store, 30) == 10
    assert found(store, 30, mint=USDC) == 20


def test_the_first_price_of_a_moment_stays(store: Store) -> None:
    for usd in (Decimal(1), Decimal(2)):
        with store.write() as books:
            books.price_samples.add({WSOL_MINT: usd}, at=START)
    assert found(store, 0) == 1


def test_those_older_than_a_moment_are_forgotten_oldest_first(store: Store) -> None:
    keep(store, 40, 10, 30, 20)
    keep(store, 15, mint=USDC)
    with store.write() as books:
        assert books.price_samples.forget(START + 30 * SECOND, 2) == 2
    assert found(store, 99, mint=USDC) is None
    assert found(store, 20) == 20
    with store.write() as books:
        assert books.price_samples.forget(START + 30 * SECOND, 2) == 1
        assert books.price_samples.forget(START + 30 * SECOND, 2) == 0
    assert [found(store, second) for second in (29, 30, 40)] == [None, 30, 40]


@pytest.mark.parametrize("usd", [Decimal(0), Decimal("NaN"), Decimal("1.23456789012345678")])
def test_what_is_no_price_is_refused(store: Store, usd: Decimal) -> None:
    with pytest.raises(InvalidInputError), store.write() as books:
        books.price_samples.add({WSOL_MINT: usd}, at=START)
    assert found(store, 1) is None


@pytest.mark.parametrize(
    "act",
    [
        lambda books: books.price_samples.add({WSOL_MINT: Decimal(1)}, at=START),
        lambda books: books.price_samples.forget(START, 10),
    ],
)
def test_a_read_keeps_and_forgets_nothing(store: Store, act: Callable[[Books], object]) -> None:
    with pytest.raises(StorageError, match="asked to write"), store.read() as books:
        act(books)
