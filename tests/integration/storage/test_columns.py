"""What the database itself refuses and keeps, whoever writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from sniperforge.domain.intent import AttemptState
from sniperforge.domain.prices import MAX_PRICE, MIN_PRICE, price_key, rounded_price
from sniperforge.errors import InvalidInputError
from sniperforge.storage import tables
from sniperforge.storage.engine import for_writing
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes.clock import START
from tests.fakes.records import a_wallet, an_attempt, an_intent
from tests.fakes.stores import migrated_engine

PRICES = tables.price_observations
EVENTS = tables.events
slow_fixture = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with migrated_engine(request.param, tmp_path) as made:
        store = SqlStore(made)
        with store.write() as books:
            books.wallets.add(a_wallet())
            books.intents.add(an_intent())
            books.attempts.add(an_attempt(an_intent()))
        yield made


def keep_prices(engine: Engine, prices: list[Decimal]) -> None:
    with for_writing(engine.connect()) as connection, connection.begin():
        connection.execute(delete(PRICES))
        rows = [
            {"mint": f"m{place}", "source": "s", "usd": usd, "observed_at": START} for place, usd in enumerate(prices)
        ]
        connection.execute(insert(PRICES), rows)


some_prices = st.decimals(MIN_PRICE, MAX_PRICE, allow_nan=False).map(rounded_price)
tiny_prices = st.integers(1, 10**6).map(lambda count: Decimal(count).scaleb(-12))


@slow_fixture
@given(prices=st.lists(some_prices | tiny_prices, min_size=1, max_size=8, unique=True))
def test_prices_are_exact_and_in_order_in_the_database_itself(engine: Engine, prices: list[Decimal]) -> None:
    keep_prices(engine, prices)
    middle = sorted(prices)[len(prices) // 2]

    with engine.connect() as connection:
        assert connection.scalars(select(PRICES.c.usd).order_by(PRICES.c.usd)).all() == sorted(prices)
        below = connection.scalars(select(PRICES.c.usd).where(PRICES.c.usd < middle)).all()
        assert sorted(below) == [price for price in sorted(prices) if price < middle]


def test_a_price_is_a_whole_number_in_the_database(engine: Engine) -> None:
    keep_prices(engine, [Decimal("180.25")])

    with engine.connect() as connection:
        stored = connection.execute(text("SELECT usd FROM price_observations")).scalar_one()
    assert (type(stored), stored) == (int, price_key(Decimal("180.25")))


@pytest.mark.parametrize("value", [0.1, 1, "1", Decimal("NaN"), Decimal(0)])
def test_what_is_no_exact_price_does_not_reach_the_database(engine: Engine, value: Any) -> None:
    with pytest.raises(StatementError) as caught:
        keep_prices(engine, [value])
    assert isinstance(caught.value.orig, InvalidInputError)


moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 (see timezones)


@slow_fixture
@given(times=st.lists(moments, min_size=1, max_size=6, unique=True), hours=st.integers(-14, 14))
def test_times_keep_microseconds_and_order_whatever_their_zone(
    engine: Engine, times: list[datetime], hours: int
) -> None:
    zone = timezone(timedelta(hours=hours))
    with for_writing(engine.connect()) as connection, connection.begin():
        connection.execute(delete(EVENTS))
        for time in times:
            local = time.astimezone(zone) if time.year not in {1970, 9999} else time
            row = {"at": local, "kind": "k", "severity": "info", "message": "m", "facts": {}}
            connection.execute(insert(EVENTS), row)

    with engine.connect() as connection:
        found = connection.scalars(select(EVENTS.c.at).order_by(EVENTS.c.at)).all()
    assert found == sorted(times)
    assert {time.tzinfo for time in found} == {UTC}


def test_a_stored_naive_time_is_refused_when_read(tmp_path: Path) -> None:
    with migrated_engine("sqlite", tmp_path) as engine:
        store = SqlStore(engine)
        with for_writing(engine.connect()) as connection, connection.begin():
            connection.execute(text("UPDATE system_state SET changed_at = '2026-01-01T00:00:00'"))

        with pytest.raises(Exception, match="not an aware time"), store.read() as books:
            books.system.get()


REFUSED = (
    "UPDATE trade_intents SET state = 'lost'",
    "UPDATE trade_intents SET input_amount_raw = -1",
    "UPDATE trade_intents SET input_amount_raw = 9223372036854775808",
    "UPDATE trade_intents SET version = NULL",
    "UPDATE trade_intents SET purpose = 'wrap'",
    "UPDATE trade_intents SET wallet = 'nobody'",
    "UPDATE attempts SET intent_id = 'nobody'",
    "UPDATE attempts SET bound_block_height = NULL",
    "UPDATE attempts SET nonce_account = 'n'",
    "DELETE FROM trade_intents",
    "DELETE FROM wallets",
    "UPDATE wallets SET mode = 'sometimes'",
    "INSERT INTO system_state (id, epoch, highest_finalized_height, mode, version) VALUES (2, 1, 0, 'active', 0)",
)


def test_the_database_itself_refuses_what_the_code_would(engine: Engine) -> None:
    for change in REFUSED:
        with pytest.raises(DBAPIError), for_writing(engine.connect()) as connection, connection.begin():
            connection.execute(text(change))


def test_sqlite_refuses_a_fraction_where_a_whole_number_belongs(tmp_path: Path) -> None:
    with (
        migrated_engine("sqlite", tmp_path) as engine,
        for_writing(engine.connect()) as connection,
        pytest.raises(IntegrityError, match="cannot store REAL"),
    ):
        connection.execute(text("UPDATE system_state SET highest_finalized_height = 1.5"))


def raw_attempt(number: int, **changes: Any) -> dict[str, Any]:
    record = an_attempt(an_intent(), number, **changes)
    return {field.name: getattr(record, field.name) for field in fields(record)}


@pytest.mark.parametrize("state", [AttemptState.SIGNED, AttemptState.SENT, AttemptState.CONFIRMED])
def test_the_partial_index_alone_refuses_a_second_live_attempt(engine: Engine, state: AttemptState) -> None:
    """Behind the check in code: no path, and no hand, can insert it."""
    with pytest.raises(IntegrityError), for_writing(engine.connect()) as connection, connection.begin():
        connection.execute(insert(tables.attempts).values(raw_attempt(2, state=state)))


def test_the_partial_index_alone_refuses_to_bring_an_attempt_back(engine: Engine) -> None:
    def bring_back() -> None:
        with for_writing(engine.connect()) as connection, connection.begin():
            connection.execute(insert(tables.attempts).values(raw_attempt(2, state=AttemptState.EXPIRED)))
            connection.execute(update(tables.attempts).values(state=AttemptState.SENT))

    with pytest.raises(IntegrityError):
        bring_back()
