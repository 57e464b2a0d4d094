"""What every store promises about orders and their legs: the one in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from sniperforge.domain.ids import OrderId
from sniperforge.domain.money import WSOL_MINT, Address
from sniperforge.domain.order import (
    LEG_TRANSITIONS,
    LIVE_LEG_STATES,
    ORDER_TRANSITIONS,
    Amount,
    AmountKind,
    Condition,
    Crossing,
    Leg,
    LegName,
    LegState,
    Order,
    OrderKind,
    OrderState,
    Rule,
    Trail,
)
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.errors import ConflictError, InvalidInputError, InvalidTransitionError, StorageError
from sniperforge.ports.orders import LEG_CHANGES, ORDER_CHANGES
from sniperforge.ports.store import Books, Store
from tests.fakes.clock import START
from tests.fakes.order_records import BELOW_140, a_leg, an_order
from tests.fakes.records import USDC, WALLET, a_wallet, an_intent
from tests.fakes.stores import empty_store

LATER = START + timedelta(minutes=1)
OTHER = Address("FTwZDcBQPqJeJQmcQFDZQpbZbsGNdRCM4yHdaRDkrUqn")
SOL_PER_USDC = Subject(f"{WSOL_MINT}/{USDC}")
TRAIL = Trail(subject=Subject(WSOL_MINT), direction=Direction.UP, amount=Decimal("0.10"), activation=Decimal("1E-7"))
PAIR = Condition(
    needs_all=True,
    crossings=(BELOW_140, Crossing(subject=SOL_PER_USDC, direction=Direction.UP, level=Decimal("181.50"))),
)


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with empty_store(request.param, tmp_path) as made:
        with made.write() as books:
            books.wallets.add(a_wallet())
            books.wallets.add(a_wallet(address=OTHER, name="other"))
        yield made


def add(store: Store, order: Order, *legs: Leg) -> None:
    with store.write() as books:
        books.orders.add(order, legs or [a_leg(order.id[1:])])


def found(store: Store, name: str = "one") -> Order:
    with store.read() as books:
        order = books.orders.get(OrderId(f"o{name}"))
    assert order is not None
    return order


def found_leg(store: Store, order: str = "one", name: LegName = LegName.MAIN) -> Leg:
    with store.read() as books:
        leg = books.orders.leg(OrderId(f"o{order}"), name)
    assert leg is not None
    return leg


def names(listed: tuple[Order, ...] | tuple[Leg, ...]) -> list[str]:
    return [one.id[1:] if isinstance(one, Order) else f"{one.order_id[1:]}:{one.name}" for one in listed]


# --- an order, whole


def test_an_order_comes_back_exactly(store: Store) -> None:
    order = an_order(kind=OrderKind.OCO, expires_at=LATER, cancel_requested_at=LATER, reason="a person asked")
    stop = a_leg(name=LegName.STOP, rule=TRAIL, widen_to_bps=900, deadline_s=60, active_from=LATER)
    take = a_leg(name=LegName.TAKE, rule=PAIR, amount=Amount(AmountKind.QUOTE, 25_000_000), reduce_only=False)
    add(store, order, take, stop)

    assert found(store) == order
    assert found_leg(store, name=LegName.TAKE) == take
    with store.read() as books:
        assert books.orders.legs(order.id) == (stop, take)


def test_what_is_not_there_is_none(store: Store) -> None:
    nobody = OrderId("onobody")
    with store.write() as books:
        assert books.orders.get(nobody) is None
        assert books.orders.lock(nobody) is None
        assert books.orders.leg(nobody, LegName.MAIN) is None
        assert books.orders.legs(nobody) == ()


@pytest.mark.parametrize("rule", [BELOW_140, TRAIL, PAIR, Trail(subject=SOL_PER_USDC, direction=Direction.DOWN, bps=1)])
def test_a_rule_comes_back_exactly(store: Store, rule: Rule) -> None:
    add(store, an_order(), a_leg(rule=rule))
    kept = found_leg(store).rule
    assert repr(kept) == repr(rule)  # the very digits: 0.10 is equal to 0.1, but not the same to read


@pytest.mark.parametrize("kind", AmountKind)
def test_an_amount_comes_back_exactly(store: Store, kind: AmountKind) -> None:
    add(store, an_order(), a_leg(amount=Amount(kind, 2**63 - 1)))
    assert found_leg(store).amount == Amount(kind, 2**63 - 1)


def test_an_order_is_written_whole_or_not_at_all(store: Store) -> None:
    add(store, an_order("another"))
    whole = [a_leg(name=LegName.STOP), a_leg(name=LegName.TAKE)]
    for broken, error in (
        ([*whole, a_leg(name=LegName.STOP)], ConflictError),
        ([*whole, a_leg("another", LegName.ENTRY)], InvalidInputError),
        ([*whole, a_leg(name=LegName.ENTRY, confirmations=-1)], InvalidInputError),
        ([], InvalidInputError),
    ):
        with pytest.raises(error), store.write() as books:
            books.orders.add(an_order(), broken)
        with store.read() as books:
            assert books.orders.get(an_order().id) is None
            assert books.orders.legs(an_order().id) == ()
            assert books.orders.legs(an_order("another").id) == (a_leg("another"),)


def test_a_swallowed_conflict_keeps_nothing(store: Store) -> None:
    add(store, an_order())

    def add_or_ignore() -> None:
        with store.write() as books:
            books.orders.add(an_order("two"), [a_leg("two")])
            with suppress(ConflictError):
                books.orders.add(an_order(), [a_leg()])

    with pytest.raises(ConflictError):
        add_or_ignore()
    with store.read() as books:
        assert books.orders.get(OrderId("otwo")) is None


def test_an_order_of_an_unknown_wallet_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInputError):
        add(store, an_order(wallet=Address("nobody")))


def test_a_leg_that_fired_has_an_intent_of_the_books(store: Store) -> None:
    add(store, an_order())
    with pytest.raises(InvalidInputError), store.write() as books:
        books.orders.change_leg(a_leg(), at=LATER, state=LegState.FIRED, intent_id=an_intent().id)
    with store.write() as books:
        books.intents.add(an_intent())
        books.orders.change_leg(a_leg(), at=LATER, state=LegState.FIRED, intent_id=an_intent().id)
    assert found_leg(store).intent_id == an_intent().id


# --- changes


def test_a_change_moves_the_version_and_keeps_everything_else(store: Store) -> None:
    add(store, an_order())
    with store.write() as books:
        changed = books.orders.change(an_order(), at=LATER, cancel_requested_at=LATER, reason="enough")
    expected = an_order(cancel_requested_at=LATER, reason="enough", updated_at=LATER, version=1)
    assert changed == expected
    assert found(store) == expected


def test_a_change_of_a_leg_moves_its_version_and_keeps_everything_else(store: Store) -> None:
    add(store, an_order(), a_leg(name=LegName.STOP), a_leg(name=LegName.TAKE))
    news: dict[str, Any] = {
        "amount": Amount(AmountKind.BASE, 5),
        "rule": TRAIL,
        "confirmations": 3,
        "max_slippage_bps": 1,
        "widen_to_bps": 2,
        "deadline_s": 3,
        "active_from": LATER,
        "firings": 1,
        "intent_id": an_intent().id,
        "fired_at": LATER,
        "fired_value": Decimal("139.50"),
        "gap_bps": 36,
        "refire_at": LATER,
        "reason": "it crossed",
    }
    with store.write() as books:
        books.intents.add(an_intent())
        changed = books.orders.change_leg(a_leg(name=LegName.STOP), at=LATER, state=LegState.FIRED, **news)
    expected = a_leg(name=LegName.STOP, state=LegState.FIRED, updated_at=LATER, version=1, **news)
    assert set(news) == LEG_CHANGES
    assert changed == expected
    assert found_leg(store, name=LegName.STOP) == expected
    assert found_leg(store, name=LegName.TAKE) == a_leg(name=LegName.TAKE)


def test_a_change_of_what_somebody_changed_loses(store: Store) -> None:
    add(store, an_order())
    with store.write() as books:
        books.orders.change(an_order(), at=LATER, reason="first")
        books.orders.change_leg(a_leg(), at=LATER, reason="first")
    with pytest.raises(ConflictError), store.write() as books:
        books.orders.change(an_order(), at=LATER, reason="second")
    with pytest.raises(ConflictError), store.write() as books:
        books.orders.change_leg(a_leg(), at=LATER, reason="second")
    assert found(store).reason == "first"
    assert found_leg(store).reason == "first"


@pytest.mark.parametrize("field", ["id", "wallet", "kind", "base_mint", "quote_mint", "created_at"])
def test_what_an_order_is_never_changes(store: Store, field: str) -> None:
    assert field not in ORDER_CHANGES
    add(store, an_order())
    other: dict[str, Any] = {field: "other"}
    with pytest.raises(TypeError, match=field), store.write() as books:
        books.orders.change(an_order(), at=LATER, **other)


@pytest.mark.parametrize("field", ["order_id", "name", "effect", "input_mint", "output_mint", "reduce_only"])
def test_what_a_leg_is_never_changes(store: Store, field: str) -> None:
    add(store, an_order())
    other: dict[str, Any] = {field: "other"}
    with pytest.raises(TypeError, match=field), store.write() as books:
        books.orders.change_leg(a_leg(), at=LATER, **other)


def test_orders_change_state_along_their_table_only(store: Store) -> None:
    for before, after in product(OrderState, OrderState):
        order = an_order(f"{before}-{after}", state=before)
        add(store, order)
        if (before, after) in ORDER_TRANSITIONS:
            with store.write() as books:
                assert books.orders.change(order, at=LATER, state=after).state is after
        else:
            with pytest.raises(InvalidTransitionError), store.write() as books:
                books.orders.change(order, at=LATER, state=after)


def test_legs_change_state_along_their_table_only(store: Store) -> None:
    for before, after in product(LegState, LegState):
        name = f"{before}-{after}"
        leg = a_leg(name, state=before)
        add(store, an_order(name), leg)
        if (before, after) in LEG_TRANSITIONS:
            with store.write() as books:
                assert books.orders.change_leg(leg, at=LATER, state=after).state is after
        else:
            with pytest.raises(InvalidTransitionError), store.write() as books:
                books.orders.change_leg(leg, at=LATER, state=after)


def test_an_order_and_its_legs_change_together_or_not_at_all(store: Store) -> None:
    add(store, an_order(), a_leg(name=LegName.STOP), a_leg(name=LegName.TAKE))

    def fire_and_fail() -> None:
        with store.write() as books:
            books.orders.change_leg(a_leg(name=LegName.STOP), at=LATER, state=LegState.FIRED)
            books.orders.change_leg(a_leg(name=LegName.TAKE), at=LATER, state=LegState.SUSPENDED)
            books.orders.change(an_order(), at=LATER, state=OrderState.OPEN)

    with pytest.raises(InvalidTransitionError):
        fire_and_fail()
    assert found(store) == an_order()
    assert {found_leg(store, name=name).state for name in (LegName.STOP, LegName.TAKE)} == {LegState.ARMED}


def test_a_locked_order_is_read_anew(store: Store) -> None:
    add(store, an_order())
    with store.write() as books:
        books.orders.change(an_order(), at=LATER, state=OrderState.CANCELLED)
    with store.write() as books:
        locked = books.orders.lock(an_order().id)
    assert locked is not None
    assert locked.state is OrderState.CANCELLED


@pytest.mark.parametrize(
    "act",
    [
        lambda books: books.orders.add(an_order("two"), [a_leg("two")]),
        lambda books: books.orders.add(an_order("two"), []),
        lambda books: books.orders.lock(an_order().id),
        lambda books: books.orders.change(an_order(), at=LATER, state=OrderState.CANCELLED),
        lambda books: books.orders.change_leg(a_leg(), at=LATER, state=LegState.CANCELLED),
    ],
)
def test_a_read_changes_no_order(store: Store, act: Callable[[Books], object]) -> None:
    add(store, an_order())
    with pytest.raises(StorageError, match="asked to write"), store.read() as books:
        act(books)


@pytest.mark.parametrize("given", [{"level": 140.5}, {"level": Decimal("NaN")}])
def test_a_level_that_is_not_exact_is_refused(store: Store, given: dict[str, Any]) -> None:
    rule = Crossing(subject=Subject(WSOL_MINT), direction=Direction.DOWN, **given)
    with pytest.raises(InvalidInputError):
        add(store, an_order(), a_leg(rule=rule))


# --- listings


def test_open_orders_are_listed_by_id(store: Store) -> None:
    for name in ("c", "a", "b"):
        add(store, an_order(name))
    add(store, an_order("d", wallet=OTHER))
    for state in set(OrderState) - {OrderState.OPEN}:
        add(store, an_order(f"a-{state}", state=state))
    with store.read() as books:
        orders = books.orders
        assert names(orders.open(10)) == ["a", "b", "c", "d"]
        assert names(orders.open(2)) == ["a", "b"]
        assert names(orders.open(10, after=OrderId("ob"))) == ["c", "d"]
        assert names(orders.open(10, wallet=WALLET)) == ["a", "b", "c"]
        assert names(orders.open(10, wallet=WALLET, after=OrderId("oa"))) == ["b", "c"]


def test_recent_orders_are_newest_first_whatever_became_of_them(store: Store) -> None:
    add(store, an_order("b"))
    add(store, an_order("a", created_at=LATER, state=OrderState.EXPIRED))
    add(store, an_order("c"))
    with store.read() as books:
        assert names(books.orders.recent(10)) == ["a", "c", "b"]
        assert names(books.orders.recent(1)) == ["a"]


def test_orders_are_found_by_the_first_letters_of_their_id(store: Store) -> None:
    for name in ("2ab", "2aa", "2A", "2_a", "3", "2"):
        add(store, an_order(name, state=OrderState.FILLED))
    with store.read() as books:
        orders = books.orders
        assert names(orders.starting_with("o2a", 10)) == ["2aa", "2ab"]
        assert names(orders.starting_with("o2", 10)) == ["2", "2A", "2_a", "2aa", "2ab"]
        assert names(orders.starting_with("o2_", 10)) == ["2_a"]
        assert names(orders.starting_with("o%", 10)) == []
        assert names(orders.starting_with("", 1)) == ["2"]


def legs_of_open_and_closed_orders(store: Store, moment: Callable[[datetime], dict[str, Any]]) -> None:
    """One hour late, one second late, on time, not yet, never, and two that look like them but are done."""
    for name, at in (
        ("now", START),
        ("late", START - timedelta(seconds=1)),
        ("later", START - timedelta(hours=1)),
        ("soon", START + timedelta(microseconds=1)),
    ):
        add(store, an_order(name), a_leg(name, **moment(at)))
    for name, state in (("filled", OrderState.FILLED), ("expired", OrderState.EXPIRED)):
        add(store, an_order(name, state=state), a_leg(name, **moment(START)))
    add(store, an_order("ended"), a_leg("ended", **moment(START)))
    with store.write() as books:
        books.orders.change(an_order("ended"), at=LATER, state=OrderState.CANCELLED)


def test_legs_of_open_orders_are_listed_by_state_longest_unchanged_first(store: Store) -> None:
    legs_of_open_and_closed_orders(store, lambda at: {"state": LegState.FIRED, "updated_at": at})
    add(store, an_order("other"), a_leg("other", state=LegState.ARMED))
    pair = [a_leg("pair", name, state=LegState.FIRED) for name in (LegName.TAKE, LegName.STOP)]
    add(store, an_order("pair"), *pair)
    with store.read() as books:
        expected = ["later:main", "late:main", "now:main", "pair:stop", "pair:take", "soon:main"]
        assert names(books.orders.in_leg_state(LegState.FIRED, 10)) == expected
        assert names(books.orders.in_leg_state(LegState.FIRED, 2)) == expected[:2]


def test_legs_that_wait_fire_again_when_their_time_has_come(store: Store) -> None:
    legs_of_open_and_closed_orders(store, lambda at: {"state": LegState.WAITING, "refire_at": at})
    add(store, an_order("unset"), a_leg("unset", state=LegState.WAITING))
    add(store, an_order("fired"), a_leg("fired", state=LegState.FIRED, refire_at=START))
    with store.read() as books:
        assert names(books.orders.to_fire_again(START, 10)) == ["later:main", "late:main", "now:main"]
        assert names(books.orders.to_fire_again(START, 1)) == ["later:main"]


def test_legs_that_sleep_wake_when_their_time_has_come(store: Store) -> None:
    legs_of_open_and_closed_orders(store, lambda at: {"state": LegState.DORMANT, "active_from": at})
    add(store, an_order("exit"), a_leg("exit", state=LegState.DORMANT))
    add(store, an_order("awake"), a_leg("awake", state=LegState.ARMED, active_from=START))
    with store.read() as books:
        assert names(books.orders.to_wake(START, 10)) == ["later:main", "late:main", "now:main"]
        assert names(books.orders.to_wake(START, 1)) == ["later:main"]


def test_open_orders_expire_when_their_time_has_come(store: Store) -> None:
    for name, at in (("now", START), ("late", START - timedelta(hours=1)), ("soon", LATER)):
        add(store, an_order(name, expires_at=at))
    add(store, an_order("never"))
    for state in set(OrderState) - {OrderState.OPEN}:
        add(store, an_order(state, state=state, expires_at=START))
    for leg_state in LIVE_LEG_STATES:  # its trade ends it
        add(store, an_order(f"leg-{leg_state}", expires_at=START), a_leg(f"leg-{leg_state}", state=leg_state))
    with store.read() as books:
        assert names(books.orders.expiring(START, 10)) == ["late", "now"]
        assert names(books.orders.expiring(START, 1)) == ["late"]
