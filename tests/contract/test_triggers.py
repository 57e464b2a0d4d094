"""What every book of triggers promises: the naive scan in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sniperforge.domain.ids import OrderId, TriggerId, trigger_id
from sniperforge.domain.trigger import Direction, Subject, Trigger, TriggerState
from sniperforge.errors import ConflictError, InvalidInputError, StorageError
from sniperforge.ports.store import Store
from sniperforge.ports.triggers import TickResult, TriggerView, WatchedSubject
from tests.fakes.clock import START
from tests.fakes.stores import empty_store

SOL, JUP = Subject("SOL"), Subject("JUP")
NO_NEWS = TickResult(is_news=False, fired=0)
NOTHING = TickResult(is_news=True, fired=0)
CROWD = 40
"""More trails than a tick moves one by one."""


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with empty_store(request.param, tmp_path) as made:
        yield made


def fixed(name: str, level: str, direction: Direction = Direction.DOWN, **fields: Any) -> Trigger:
    values = {"subject": SOL, "confirmations": 1, **fields}
    return Trigger(id=TriggerId(name), direction=direction, level=Decimal(level), **values)


def trail(name: str, best: str, direction: Direction = Direction.DOWN, **fields: Any) -> Trigger:
    values = {
        "subject": SOL,
        "confirmations": 1,
        **({} if "trail_amount" in fields else {"trail_bps": 1_000}),
        **fields,
    }
    return Trigger(id=TriggerId(name), direction=direction, best=Decimal(best), **values)


def crowd(best: str, direction: Direction = Direction.DOWN, *, name: str = "crowd") -> list[Trigger]:
    """Wide trails with one best value."""
    return [trail(f"{name}-{number}", best, direction, trail_bps=8_000) for number in range(CROWD)]


def add(store: Store, *triggers: Trigger) -> None:
    with store.write() as books:
        books.triggers.add(triggers, at=START)


def tick(store: Store, value: str, print_number: int, subject: Subject = SOL) -> TickResult:
    at = START + timedelta(seconds=print_number)
    with store.write() as books:
        return books.triggers.tick(subject, Decimal(value), print_number=print_number, at=at)


def path(store: Store, *values: str) -> list[int]:
    """How many triggers each value in a row fires."""
    with store.read() as books:
        known = {one.subject: one.print_number or 0 for one in books.triggers.watched()}
    first = known.get(SOL, 0) + 1
    return [tick(store, value, first + number).fired for number, value in enumerate(values)]


def seen(store: Store, name: str) -> TriggerView:
    with store.read() as books:
        view = books.triggers.get(TriggerId(name))
    assert view is not None
    return view


def state(store: Store, name: str) -> TriggerState:
    return seen(store, name).state


def fired(store: Store, limit: int = 1_000) -> list[str]:
    with store.read() as books:
        return [view.trigger.id for view in books.triggers.fired(limit)]


def held(store: Store, *names: str) -> int:
    with store.write() as books:
        return books.triggers.hold([TriggerId(name) for name in names])


def armed(store: Store, *names: str) -> int:
    with store.write() as books:
        return books.triggers.arm([TriggerId(name) for name in names])


def removed(store: Store, *names: str) -> int:
    with store.write() as books:
        return books.triggers.remove([TriggerId(name) for name in names])


def watched(store: Store) -> list[str]:
    with store.read() as books:
        return [one.subject for one in books.triggers.watched()]


def compacted(store: Store) -> None:
    for _ in range(10_000):
        with store.write() as books:
            if books.triggers.compact(7) == 0:
                return
    raise AssertionError("it never ends")


# --- fixed levels


@pytest.mark.parametrize(
    ("direction", "short_of_it", "at_it", "beyond_it"),
    [(Direction.DOWN, "140.00000000000001", "140", "139"), (Direction.UP, "139.99999999999999", "140", "141")],
)
def test_a_level_is_reached_by_a_value_at_it_or_beyond_it(
    store: Store, direction: Direction, short_of_it: str, at_it: str, beyond_it: str
) -> None:
    add(store, fixed("a", "140", direction), fixed("b", beyond_it, direction))
    assert path(store, short_of_it, at_it, beyond_it) == [0, 1, 1]
    assert fired(store) == ["a", "b"]


def test_what_fired_says_when_and_at_which_value(store: Store) -> None:
    trigger = fixed("a", "140")
    add(store, trigger)
    tick(store, "137.25", 7)
    assert seen(store, "a") == TriggerView(
        trigger=trigger,
        state=TriggerState.FIRED,
        counted=1,
        best=None,
        level=Decimal(140),
        fired_at=START + timedelta(seconds=7),
        fired_value=Decimal("137.25"),
    )


def test_what_fired_does_not_fire_again(store: Store) -> None:
    add(store, fixed("a", "140"), fixed("other", "1"))
    assert path(store, "139", "139", "141", "139") == [1, 0, 0, 0]


def test_it_fires_when_as_many_values_in_a_row_as_it_wants_were_beyond_its_level(store: Store) -> None:
    add(store, fixed("a", "140", confirmations=3))
    assert path(store, "139", "138") == [0, 0]
    assert (state(store, "a"), seen(store, "a").counted) == (TriggerState.CROSSED, 2)
    assert path(store, "137") == [1]


def test_a_value_that_comes_back_makes_it_count_from_the_start(store: Store) -> None:
    add(store, fixed("a", "140", confirmations=2))
    assert path(store, "139", "141") == [0, 0]
    assert (state(store, "a"), seen(store, "a").counted) == (TriggerState.ARMED, 0)
    assert path(store, "139", "138") == [0, 1]


def test_values_of_one_subject_mean_nothing_to_another(store: Store) -> None:
    add(store, fixed("a", "140"), fixed("b", "140", subject=JUP), trail("c", "100", subject=JUP))
    assert tick(store, "1", 1) == TickResult(is_news=True, fired=1)
    assert fired(store) == ["a"]
    assert seen(store, "c").best == Decimal(100)


# --- prints


def test_a_print_that_is_not_newer_is_not_counted_again(store: Store) -> None:
    add(store, fixed("a", "140", confirmations=2), trail("b", "150"))
    assert tick(store, "139", 5) == NOTHING
    assert tick(store, "138", 5) == NO_NEWS
    assert tick(store, "190", 4) == NO_NEWS
    assert seen(store, "a").counted == 1
    assert seen(store, "b").best == Decimal(150)
    assert tick(store, "138", 6) == TickResult(is_news=True, fired=1)


def test_a_print_that_fired_what_watched_it_is_not_counted_again_for_what_is_armed_later(store: Store) -> None:
    add(store, fixed("a", "140"))
    tick(store, "139", 5)
    assert watched(store) == []
    add(store, fixed("b", "140"))
    assert tick(store, "139", 5) == NO_NEWS
    assert tick(store, "139", 6) == TickResult(is_news=True, fired=1)


def test_a_value_that_nobody_watches_changes_nothing(store: Store) -> None:
    assert tick(store, "139", 5) == NO_NEWS
    add(store, fixed("a", "140"))
    removed(store, "a")
    assert tick(store, "139", 5) == NO_NEWS
    add(store, fixed("a", "140"))
    assert tick(store, "139", 5) == TickResult(is_news=True, fired=1)


# --- trails


@pytest.mark.parametrize(
    ("direction", "values", "best", "level"),
    [
        (Direction.DOWN, ["110", "110", "105"], "110", "99"),
        (Direction.DOWN, ["110", "112", "111"], "111", "99.9"),
        (Direction.DOWN, ["99", "95"], "100", "90"),
        (Direction.UP, ["90", "90", "95"], "90", "99"),
        (Direction.UP, ["90", "88", "89"], "89", "97.9"),
        (Direction.UP, ["101", "105"], "100", "110"),
    ],
)
@pytest.mark.parametrize("company", [0, CROWD], ids=["alone", "in-a-crowd"])
def test_a_trail_follows_the_best_value_that_two_in_a_row_have_seen_and_never_a_worse_one(
    store: Store, direction: Direction, values: list[str], best: str, level: str, company: int
) -> None:
    add(store, trail("a", "100", direction), *crowd("100", direction)[:company])
    path(store, *values)
    assert (seen(store, "a").best, seen(store, "a").level) == (Decimal(best), Decimal(level))
    beyond = Decimal(level) + (-1 if direction is Direction.DOWN else 1)
    assert path(store, str(beyond)) == [1]
    assert fired(store) == ["a"]


@pytest.mark.parametrize("company", [0, CROWD], ids=["alone", "in-a-crowd"])
def test_a_trail_by_an_amount_is_that_far_behind(store: Store, company: int) -> None:
    add(store, trail("a", "100", trail_amount=Decimal("0.5")), *crowd("100")[:company])
    assert path(store, "200", "200", "199.50000000000001") == [0, 0, 0]
    assert path(store, "199.5") == [1]


def test_a_trail_that_nothing_can_reach_has_no_level_and_is_followed(store: Store) -> None:
    add(store, trail("a", "0.5", trail_amount=Decimal(1)), trail("b", "900000000", Direction.UP, trail_bps=9_000))
    assert (seen(store, "a").level, seen(store, "b").level) == (None, None)
    assert path(store, "0.000000000001", "0.000000000001") == [0, 0]
    assert (seen(store, "a").level, seen(store, "b").level) == (None, Decimal("1.9E-12"))
    assert path(store, "1000000000", "1000000000", "999999999") == [1, 0, 1]
    assert fired(store) == ["b", "a"]


def test_a_trail_that_rose_in_a_crowd_fires_with_others_that_joined_at_its_best_value(store: Store) -> None:
    add(store, *crowd("100"), trail("old", "100"))
    path(store, "200", "200")
    add(store, trail("new", "200"), trail("higher", "210"))
    assert path(store, "190") == [0]
    assert path(store, "180", "179") == [3, 0]
    assert fired(store) == ["higher", "new", "old"]


def test_a_trail_that_joins_after_a_high_does_not_know_of_it(store: Store) -> None:
    add(store, *crowd("100"))
    path(store, "200", "200", "150")
    add(store, trail("new", "150"))
    assert path(store, "160", "160", "144.1") == [0, 0, 0]
    assert seen(store, "new").best == Decimal(160)
    assert path(store, "144") == [1]


def test_a_trail_that_joined_after_a_high_knows_of_the_next(store: Store) -> None:
    add(store, *crowd("100"))
    path(store, "200", "200", "150")
    add(store, trail("new", "150"))
    path(store, "250", "250", "240")
    assert (seen(store, "new").best, seen(store, "crowd-0").best) == (Decimal(250), Decimal(250))
    assert path(store, "225.1", "225") == [0, 1]


def test_every_group_of_a_falling_market_is_overtaken_by_one_new_high(store: Store) -> None:
    for number in range(3):
        low = 100 - 20 * number
        path(store, str(low))
        add(store, *crowd(str(low), name=f"crowd-{number}"), trail(f"near-{number}", str(low), trail_bps=5_000))
        path(store, str(low + 5), str(low + 5))
        assert seen(store, f"near-{number}").best == Decimal(low + 5)
    assert path(store, "300", "300", "150") == [0, 0, 3]
    assert seen(store, "crowd-0-0").best == seen(store, "crowd-2-0").best == Decimal(300)


def test_the_next_widest_trail_fires_when_the_narrowest_is_gone(store: Store) -> None:
    widths = {"a": 100, "b": 200, "c": 300, "d": 400}
    add(store, *crowd("50"), *(trail(name, "50", trail_bps=bps) for name, bps in widths.items()))
    path(store, "100", "100")
    removed(store, "a")
    held(store, "c")
    assert path(store, "99", "98", "97", "96") == [0, 1, 0, 1]
    assert fired(store) == ["b", "d"]


def test_a_crossed_trail_that_sees_a_new_best_value_is_armed_behind_that(store: Store) -> None:
    add(store, trail("a", "100", confirmations=2), *crowd("100"))
    assert path(store, "90", "120", "120", "108.1", "108", "107") == [0, 0, 0, 0, 0, 1]
    assert seen(store, "a").best == Decimal(120)


def test_a_crossed_trail_of_a_crowd_that_is_armed_again_fires_at_the_next_fall(store: Store) -> None:
    add(store, *crowd("90"), trail("a", "90", confirmations=2))
    assert path(store, "100", "100", "89", "91", "89", "88") == [0, 0, 0, 0, 0, 1]


# --- in a row


@pytest.mark.parametrize("company", [0, CROWD], ids=["alone", "in-a-crowd"])
def test_one_value_alone_moves_no_trail(store: Store, company: int) -> None:
    add(store, trail("a", "100"), *crowd("100")[:company])
    assert path(store, "100", "119", "100", "91") == [0, 0, 0, 0]
    assert seen(store, "a").best == Decimal(100)


def test_values_that_a_standstill_lies_between_are_not_in_a_row(store: Store) -> None:
    add(store, fixed("a", "140", confirmations=2), trail("b", "150"))
    assert [tick(store, "139", second).fired for second in (1, 602, 1_203)] == [0, 0, 0]
    assert [tick(store, "139", second).fired for second in (1_803,)] == [1]
    tick(store, "190", 1_900)
    tick(store, "190", 2_600)
    assert seen(store, "b").best == Decimal(150)


# --- held


def test_a_held_trigger_cannot_fire_until_it_is_armed_again(store: Store) -> None:
    add(store, fixed("a", "140"), trail("b", "150"), *crowd("150"))
    path(store, "160")
    assert held(store, "a", "b", "b", "nobody") == 2
    assert path(store, "50") == [0]
    assert armed(store, "a", "b", "nobody") == 2
    assert (state(store, "a"), state(store, "b")) == (TriggerState.ARMED, TriggerState.ARMED)
    assert path(store, "51") == [2]


@pytest.mark.parametrize("company", [0, CROWD], ids=["alone", "in-a-crowd"])
def test_a_held_trail_goes_on_following(store: Store, company: int) -> None:
    add(store, trail("a", "100"), *crowd("100")[:company])
    held(store, "a")
    path(store, "200", "200", "150")
    assert (state(store, "a"), seen(store, "a").best) == (TriggerState.HELD, Decimal(200))
    armed(store, "a")
    assert path(store, "181", "180") == [0, 1]


def test_holding_forgets_what_was_counted(store: Store) -> None:
    add(store, fixed("a", "140", confirmations=2))
    path(store, "139")
    assert held(store, "a") == 1
    assert seen(store, "a").counted == 0
    armed(store, "a")
    assert path(store, "139", "139") == [0, 1]


def test_what_fired_can_be_held_and_armed_again(store: Store) -> None:
    add(store, fixed("a", "140"), trail("b", "150"))
    assert path(store, "130") == [2]
    assert held(store, "a", "b") == 2
    assert fired(store) == []
    assert seen(store, "a") == TriggerView(
        trigger=fixed("a", "140"), state=TriggerState.HELD, counted=0, best=None, level=Decimal(140)
    )
    path(store, "200")
    assert armed(store, "a", "b") == 2
    assert path(store, "181", "139") == [0, 2]


def test_a_fired_trail_keeps_the_best_value_it_fired_behind(store: Store) -> None:
    add(store, trail("a", "100"), fixed("other", "1"))
    path(store, "80", "300")
    assert seen(store, "a").best == Decimal(100)
    held(store, "a")
    path(store, "90")
    assert seen(store, "a").best == Decimal(100)


def test_only_what_is_held_is_armed_and_what_is_held_is_not_held_again(store: Store) -> None:
    add(store, fixed("a", "140"), fixed("b", "1"))
    assert armed(store, "a") == 0
    assert held(store, "b") == 1
    assert held(store, "b") == 0


# --- the list


def test_triggers_are_listed_longest_fired_first_then_by_id(store: Store) -> None:
    add(store, fixed("b", "140"), fixed("a", "140"), fixed("c", "150"), fixed("Z", "140"))
    path(store, "145", "139")
    assert fired(store) == ["c", "Z", "a", "b"]
    assert fired(store, 2) == ["c", "Z"]


def test_what_fired_stays_listed_until_it_is_removed(store: Store) -> None:
    add(store, fixed("a", "140"), trail("b", "150"))
    path(store, "1")
    assert removed(store, "a", "nobody") == 1
    assert fired(store) == ["b"]
    assert removed(store, "b") == 1
    with store.read() as books:
        assert books.triggers.get(TriggerId("b")) is None


def test_a_removed_trigger_cannot_fire(store: Store) -> None:
    add(store, fixed("a", "140"), trail("b", "150"), fixed("c", "140"))
    assert removed(store, "a", "b") == 2
    assert path(store, "1") == [1]


def test_a_trigger_comes_back_exactly(store: Store) -> None:
    triggers = [
        fixed("a", "0.000000000012345678901234567", Direction.UP, confirmations=9),
        trail("b", "123.45678901234567", trail_amount=Decimal("0.00000000000100000000001")),
        trail("c", "1E+9", Direction.UP, trail_bps=1),
    ]
    add(store, *triggers)
    assert [seen(store, one.id).trigger for one in triggers] == triggers


def test_an_id_is_one_triggers(store: Store) -> None:
    add(store, fixed("a", "140"))
    with pytest.raises(ConflictError):
        add(store, fixed("b", "140"), fixed("a", "150"))
    assert seen(store, "a").level == Decimal(140)
    with store.read() as books:
        assert books.triggers.get(TriggerId("b")) is None


def test_triggers_of_an_order_are_those_whose_ids_begin_with_its(store: Store) -> None:
    order, other = OrderId("oabc"), OrderId("oabcd")
    mine = [trigger_id(order, "stop", 1), trigger_id(order, "main", 0)]
    add(store, *(fixed(name, "140") for name in (*mine, trigger_id(other, "main", 0), TriggerId("oabb:main:0"))))
    with store.read() as books:
        assert [view.trigger.id for view in books.triggers.of_order(order)] == sorted(mine)


# --- what is watched


def test_watched_is_what_has_a_trigger_that_is_not_fired_by_name(store: Store) -> None:
    add(store, fixed("a", "140"), fixed("b", "140", subject=JUP), fixed("c", "140", subject=Subject("Zeta")))
    held(store, "b")
    assert watched(store) == ["JUP", "SOL", "Zeta"]
    path(store, "139")
    removed(store, "c")
    assert watched(store) == ["JUP"]
    held(store, "a")
    assert watched(store) == ["JUP", "SOL"]
    removed(store, "a", "b")
    assert watched(store) == []


def test_a_subject_remembers_its_last_value(store: Store) -> None:
    add(store, fixed("a", "140"))
    with store.read() as books:
        assert books.triggers.watched() == (WatchedSubject(subject=SOL, value=None, print_number=None, seen_at=None),)
    tick(store, "150.5", 3)
    seen_at = START + timedelta(seconds=3)
    with store.read() as books:
        assert books.triggers.watched() == (
            WatchedSubject(subject=SOL, value=Decimal("150.5"), print_number=3, seen_at=seen_at),
        )


def missed(store: Store, problem: str, second: int) -> bool:
    with store.write() as books:
        return books.triggers.missed(SOL, problem, at=START + timedelta(seconds=second))


def test_a_kind_of_problem_is_news_once_until_a_value_comes(store: Store) -> None:
    add(store, fixed("a", "140"))
    tick(store, "150", 1)
    assert missed(store, "stale: 31 s old", 2)
    assert not missed(store, "stale: 32 s old", 3)
    assert missed(store, "jumped", 4)
    with store.read() as books:
        (subject,) = books.triggers.watched()
    assert (subject.problem, subject.problem_since) == ("jumped", START + timedelta(seconds=2))
    assert subject.value == Decimal(150)
    tick(store, "150", 1)
    with store.read() as books:
        assert books.triggers.watched()[0].problem is None
    assert missed(store, "stale: 33 s old", 5)
    tick(store, "151", 9)
    with store.read() as books:
        assert books.triggers.watched()[0].problem_since is None


def test_a_problem_of_what_nobody_watches_is_no_news(store: Store) -> None:
    assert not missed(store, "stale", 1)
    add(store, fixed("a", "140"))
    removed(store, "a")
    assert not missed(store, "stale", 1)


# --- transactions


def test_what_a_tick_did_goes_with_its_transaction(store: Store) -> None:
    add(store, fixed("a", "140"), trail("b", "150"), *crowd("150"))
    failure = "something else failed"

    def tick_and_fail() -> None:
        with store.write() as books:
            assert books.triggers.tick(SOL, Decimal(160), print_number=1, at=START) == NOTHING
            assert books.triggers.tick(SOL, Decimal(1), print_number=2, at=START).fired > 1
            raise RuntimeError(failure)

    with pytest.raises(RuntimeError, match=failure):
        tick_and_fail()
    assert fired(store) == []
    assert seen(store, "b").best == Decimal(150)
    assert tick(store, "150", 1) == NOTHING


@pytest.mark.parametrize("value", [Decimal(0), Decimal(-1), Decimal("1.23456789012345678"), Decimal("NaN"), 1.5])
def test_what_is_no_price_is_refused(store: Store, value: Any) -> None:
    add(store, fixed("a", "140"))
    with pytest.raises(InvalidInputError), store.write() as books:
        books.triggers.tick(SOL, value, print_number=1, at=START)
    assert fired(store) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda triggers: triggers.add([fixed("b", "140")], at=START),
        lambda triggers: triggers.remove([TriggerId("a")]),
        lambda triggers: triggers.hold([TriggerId("a")]),
        lambda triggers: triggers.arm([TriggerId("a")]),
        lambda triggers: triggers.tick(SOL, Decimal(1), print_number=1, at=START),
        lambda triggers: triggers.missed(SOL, "stale", at=START),
        lambda triggers: triggers.compact(1),
    ],
)
def test_a_read_changes_no_trigger(store: Store, act: Any) -> None:
    add(store, fixed("a", "140"))
    with pytest.raises(StorageError, match="asked to write"), store.read() as books:
        act(books.triggers)


# --- compaction


def test_compaction_changes_nothing_that_anybody_sees(store: Store) -> None:
    names = []
    for number in range(7):
        low = 200 - 5 * number
        path(store, str(low))
        group = [*crowd(str(low), name=f"crowd-{number}"), trail(f"near-{number}", str(low), trail_bps=2_000)]
        add(store, *group)
        names += [one.id for one in group]
        path(store, str(low + 2), str(low + 2))
    held(store, "crowd-0-0", "near-1")
    before = [seen(store, name) for name in names]
    compacted(store)
    assert [seen(store, name) for name in names] == before
    path(store, "137")
    assert fired(store) == ["near-0", "near-2", "near-3", "near-4", "near-5", "near-6"]


def test_compaction_ends(store: Store) -> None:
    add(store, *crowd("100"), fixed("a", "140"))
    path(store, "110", "90")
    removed(store, *(f"crowd-{number}" for number in range(CROWD)))
    compacted(store)
    with store.write() as books:
        assert books.triggers.compact(1_000) == 0
