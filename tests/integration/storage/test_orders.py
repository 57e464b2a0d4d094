"""Orders in real databases: exact whatever is in them, locked whole, and listed without a look at closed ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, text

from sniperforge.domain.ids import OrderId
from sniperforge.domain.order import Amount, AmountKind, Condition, Crossing, LegState, OrderState, Rule, Trail
from sniperforge.domain.prices import MAX_PRICE, MIN_PRICE, rounded_price
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.errors import ConflictError, InvalidInputError, StorageError
from sniperforge.ports.store import Books
from sniperforge.storage.engine import for_writing
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes.clock import START
from tests.fakes.order_records import a_leg, an_order
from tests.fakes.records import WALLET, a_wallet
from tests.fakes.stores import migrated_engine

LATER = START + timedelta(minutes=1)
slow_fixture = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with migrated_engine(request.param, tmp_path) as made:
        with SqlStore(made).write() as books:
            books.wallets.add(a_wallet())
        yield made


@pytest.fixture
def store(engine: Engine) -> SqlStore:
    store = SqlStore(engine)
    with store.write() as books:
        books.orders.add(an_order(), [a_leg()])
    return store


# --- exact

levels = st.decimals(MIN_PRICE, MAX_PRICE, allow_nan=False).map(rounded_price) | st.integers(1, 10**9).map(Decimal)
subjects = st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(Subject)
directions = st.sampled_from(Direction)
crossings = st.builds(Crossing, subject=subjects, direction=directions, level=levels)
trails = st.builds(
    Trail,
    subject=subjects,
    direction=directions,
    bps=st.none() | st.integers(1, 9_000),
    amount=st.none() | levels,
    activation=st.none() | levels,
)
conditions = st.builds(
    Condition, needs_all=st.booleans(), crossings=st.lists(crossings, min_size=1, max_size=4).map(tuple)
)
amounts = st.builds(Amount, kind=st.sampled_from(AmountKind), value=st.integers(0, 2**63 - 1))


@slow_fixture
@given(rule=crossings | trails | conditions, amount=amounts)
def test_whatever_fires_a_leg_and_whatever_it_trades_comes_back_exactly(
    store: SqlStore, rule: Rule, amount: Amount
) -> None:
    with store.write() as books:
        (leg,) = books.orders.legs(an_order().id)
        books.orders.change_leg(leg, at=LATER, rule=rule, amount=amount)
    with store.read() as books:
        (kept,) = books.orders.legs(an_order().id)
    assert (repr(kept.rule), kept.amount) == (repr(rule), amount)


def test_a_rule_of_a_newer_program_is_refused_and_not_guessed(engine: Engine, store: SqlStore) -> None:
    with for_writing(engine.connect()) as connection, connection.begin():
        connection.execute(text("""UPDATE order_legs SET rule = '{"type": "moon"}'"""))
    with pytest.raises(StorageError, match="moon"), store.read() as books:
        books.orders.legs(an_order().id)


def test_what_is_neither_yes_nor_no_is_refused(store: SqlStore) -> None:
    with pytest.raises(InvalidInputError, match="neither yes nor no"), store.write() as books:
        books.orders.add(an_order("two"), [a_leg("two", reduce_only=1)])


# --- locked whole


def both(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_a_locked_order_and_its_legs_stay_as_they_were_read(store: SqlStore) -> None:
    locked, changed = threading.Event(), threading.Event()
    seen: list[object] = []

    def suspend() -> None:
        locked.wait(10)
        with store.write() as books:
            books.orders.change_leg(a_leg(), at=LATER, state=LegState.SUSPENDED)
        changed.set()

    def look() -> None:
        with store.write() as books:
            books.orders.lock(an_order().id)
            locked.set()
            seen.append(changed.wait(0.05))
            seen.append(books.orders.legs(an_order().id))

    both(suspend, look)
    assert seen == [False, (a_leg(),)], "a leg changed under a lock on its order"
    assert changed.is_set()


def test_of_threads_that_fire_one_leg_exactly_one_wins(store: SqlStore) -> None:
    results: list[str] = []

    def fire() -> None:
        try:
            with store.write() as books:
                books.orders.change_leg(a_leg(), at=LATER, state=LegState.FIRED, firings=1)
            results.append("fired")
        except ConflictError:
            results.append("lost")

    both(*[fire] * 6)
    assert sorted(results) == ["fired"] + ["lost"] * 5


# --- listed at the cost of what is open

LISTINGS: dict[str, Callable[[Books], object]] = {
    "open": lambda books: books.orders.open(10),
    "open of a wallet": lambda books: books.orders.open(10, wallet=WALLET),
    "the next open": lambda books: books.orders.open(10, after=OrderId("o0")),
    "the next open of a wallet": lambda books: books.orders.open(10, wallet=WALLET, after=OrderId("o0")),
    "recent": lambda books: books.orders.recent(10),
    "by first letters": lambda books: books.orders.starting_with("one", 10),
    "fired": lambda books: books.orders.in_leg_state(LegState.FIRED, 10),
    "to fire again": lambda books: books.orders.to_fire_again(LATER, 10),
    "to wake": lambda books: books.orders.to_wake(LATER, 10),
    "expiring": lambda books: books.orders.expiring(LATER, 10),
}


@contextmanager
def steps_of(engine: Engine) -> Iterator[list[int]]:
    """Counts the steps that SQLite makes, on every connection made meanwhile."""
    count = [0]

    def step() -> int:
        count[0] += 1
        return 0

    @event.listens_for(engine, "connect")
    def connected(connection: object, _record: object) -> None:
        connection.set_progress_handler(step, 1)  # type: ignore[attr-defined]

    engine.dispose()
    yield count
    event.remove(engine, "connect", connected)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[int, int]]]:
    """Steps of each listing when 20 orders are closed, and when 2,000 are."""
    with migrated_engine("sqlite", tmp_path_factory.mktemp("crowded")) as engine, steps_of(engine) as count:
        store = SqlStore(engine)
        with store.write() as books:
            books.wallets.add(a_wallet())
        costs: list[dict[str, int]] = []
        for first, last in ((0, 20), (20, 2_000)):
            with store.write() as books:
                for number in range(first, last):
                    _close_an_order(books, f"{number:04}", LegState(list(LegState)[number % len(LegState)]))
            costs.append({})
            for name, listing in LISTINGS.items():
                with store.read() as books:
                    listing(books)  # the first one compiles the statement and reads the schema
                    before = count[0]
                    listing(books)
                    costs[-1][name] = count[0] - before
        yield {name: (costs[0][name], costs[1][name]) for name in LISTINGS}


def _close_an_order(books: Books, name: str, state: LegState) -> None:
    order = an_order(name, expires_at=START)
    books.orders.add(order, [a_leg(name, state=state, refire_at=START, active_from=START)])
    books.orders.change(order, at=START, state=OrderState.CANCELLED)


@pytest.mark.parametrize("listing", LISTINGS)
def test_a_listing_costs_the_same_however_many_orders_are_closed(
    crowded: dict[str, tuple[int, int]], listing: str
) -> None:
    few, many = crowded[listing]
    assert 0 < few <= many <= few + 20
