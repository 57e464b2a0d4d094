"""Any path of the market, any order of adding, removing, holding, arming and compacting: the book is a naive scan's.

The naive scan is the book in memory; after every step both databases agree with it trigger for trigger, in what fired
and when, in best values, levels and counts. Groups are made from the second trail on here, and compacted down to one,
so that a few triggers go through all that a hundred thousand do.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select

from sniperforge.domain.ids import OrderId, TriggerId, trigger_id
from sniperforge.domain.trigger import Direction, Subject, Trigger
from sniperforge.ports.triggers import Triggers
from sniperforge.storage import tables
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.repositories.triggers import SqlTriggers
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes.clock import START
from tests.fakes.store import FakeStore
from tests.fakes.stores import Database, migrated_engine

EXAMPLES = int(os.environ.get("SNIPERFORGE_TEST_EXAMPLES", "200")) // 2
ORDER = OrderId("o1")
SUBJECTS = (Subject("SOL"), Subject("JUP"))
FEW, MOST_GROUPS = 1, 1

prices = st.one_of(
    st.integers(80, 120).map(Decimal),
    st.sampled_from([Decimal("99.999999999999999"), Decimal("100.00000000000001"), Decimal("90.000000000000001")]),
    st.sampled_from([Decimal("1E-12"), Decimal("0.5"), Decimal("1E+9")]),
)
usual = st.integers(80, 120).map(Decimal)
subjects = st.sampled_from(SUBJECTS)
chosen = st.lists(st.integers(0, 30), min_size=1, max_size=4)


@st.composite
def triggers(draw: st.DrawFn) -> dict[str, Any]:
    """All of a trigger but its id."""
    kind = draw(st.sampled_from(("level", "bps", "bps", "amount")))
    fields: dict[str, Any] = {
        "subject": draw(subjects),
        "direction": draw(st.sampled_from(Direction)),
        "confirmations": draw(st.sampled_from((1, 1, 2, 3))),
    }
    if kind == "level":
        return fields | {"level": draw(prices)}
    if kind == "bps":
        fields["trail_bps"] = draw(st.sampled_from((1, 333, 1_000, 1_000, 2_500, 9_000)))
    else:
        fields["trail_amount"] = draw(st.sampled_from([Decimal(text) for text in ("1E-12", "3", "10", "10", "90")]))
    return fields | {"best": draw(st.one_of(usual, prices))}


class TriggerPaths(RuleBasedStateMachine):
    """One book in a database, and the scan beside it."""

    address: str

    @initialize()
    def begin(self) -> None:
        self.engine = create_engine_for(self.address)
        with self.engine.begin() as connection:
            for table in (tables.triggers, tables.trigger_groups, tables.trigger_subjects):
                connection.execute(delete(table))
        self.scan = FakeStore()
        self.ids: list[TriggerId] = []
        self.prints = dict.fromkeys(SUBJECTS, 10)
        self.second = 0

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()

    def both(self, act: Callable[[Triggers], Any]) -> Any:
        """Do it to both books, which have to answer the same."""
        with self.scan.write() as books:
            expected = act(books.triggers)
        with self.book() as book:
            assert act(book) == expected
        return expected

    @contextmanager
    def book(self) -> Iterator[SqlTriggers]:
        with SqlStore(self.engine).write() as books:
            yield SqlTriggers(books.triggers._transaction, few=FEW, most_groups=MOST_GROUPS)

    # ---- what happens
    @rule(new=st.lists(triggers(), min_size=1, max_size=5))
    def add(self, new: list[dict[str, Any]]) -> None:
        first = len(self.ids)
        made = [Trigger(id=trigger_id(ORDER, "main", first + number), **fields) for number, fields in enumerate(new)]
        self.ids += [one.id for one in made]
        self.both(lambda book: book.add(made, at=START))

    @rule(subject=subjects, values=st.lists(st.one_of(usual, usual, prices), min_size=1, max_size=6))
    def walk(self, subject: Subject, values: list[Decimal]) -> None:
        for value in values:
            self.tick(subject, value, 1, 1)

    @rule(
        subject=subjects,
        value=prices,
        newer=st.sampled_from((-1, 0, 0, 3)),
        seconds=st.sampled_from((1, 1, 600, 601)),
    )
    def tick(self, subject: Subject, value: Decimal, newer: int, seconds: int) -> None:
        self.second += seconds
        print_number = self.prints[subject] + newer
        self.prints[subject] = max(self.prints[subject], print_number)
        at = START + timedelta(seconds=self.second)
        self.both(lambda book: book.tick(subject, value, print_number=print_number, at=at))

    @rule(start=usual, steps=st.integers(2, 6), bounce=st.integers(1, 3), trails=st.integers(1, 3))
    def fall_with_bounces(self, start: Decimal, steps: int, bounce: int, trails: int) -> None:
        """Lower and lower highs, with new trails below each: a group for each of them."""
        for step in range(steps):
            low = start - 4 * step
            fields = {"subject": SUBJECTS[0], "direction": Direction.DOWN, "confirmations": 1, "best": low}
            self.add([fields | {"trail_bps": bps} for bps in (1_000, 2_500, 5_000)[:trails]])
            self.walk(SUBJECTS[0], [low + bounce, low])
        self.walk(SUBJECTS[0], [start + bounce, start])

    @rule(numbers=chosen)
    def remove(self, numbers: list[int]) -> None:
        self.both(lambda book: book.remove(self.those(numbers)))

    @rule(numbers=chosen)
    def hold(self, numbers: list[int]) -> None:
        self.both(lambda book: book.hold(self.those(numbers)))

    @rule(numbers=chosen)
    def arm(self, numbers: list[int]) -> None:
        self.both(lambda book: book.arm(self.those(numbers)))

    @rule(numbers=chosen, subject=subjects, values=st.lists(usual, min_size=1, max_size=3), then=usual)
    def hold_for_a_while(self, numbers: list[int], subject: Subject, values: list[Decimal], then: Decimal) -> None:
        self.hold(numbers)
        self.walk(subject, values)
        self.arm(numbers)
        self.walk(subject, [then])

    @rule()
    def hold_what_fired(self) -> None:
        self.both(lambda book: book.hold([view.trigger.id for view in book.fired(3)]))

    @rule(subject=subjects, problem=st.sampled_from(("stale: 1", "stale: 2", "missing")))
    def miss(self, subject: Subject, problem: str) -> None:
        self.second += 1
        at = START + timedelta(seconds=self.second)
        self.both(lambda book: book.missed(subject, problem, at=at))

    @rule(limits=st.lists(st.integers(1, 3), min_size=1, max_size=4))
    def compact(self, limits: list[int]) -> None:
        for limit in limits:
            with self.book() as book:
                assert 0 <= book.compact(limit) <= limit

    @rule()
    def compact_all(self) -> None:
        for _ in range(1_000):
            with self.book() as book:
                if book.compact(1_000) == 0:
                    break
        else:
            message = "it never ends"
            raise AssertionError(message)
        column = tables.trigger_groups.c
        with self.engine.connect() as connection:
            groups = connection.execute(select(column.subject, column.direction)).all()
        assert len(groups) == len(set(groups))

    @rule()
    def open_again(self) -> None:
        self.engine.dispose()
        self.engine = create_engine_for(self.address)

    def those(self, numbers: list[int]) -> list[TriggerId]:
        return [self.ids[-1 - number] for number in numbers if number < len(self.ids)]

    # ---- what has to be true
    @invariant()
    def the_book_is_the_scans(self) -> None:
        if not hasattr(self, "engine"):
            return
        with self.scan.read() as books:
            expected = (books.triggers.of_order(ORDER), books.triggers.fired(1_000), books.triggers.watched())
        with SqlStore(self.engine).read() as books:
            found = (books.triggers.of_order(ORDER), books.triggers.fired(1_000), books.triggers.watched())
        assert found == expected


PATHS = settings(
    max_examples=EXAMPLES, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@contextmanager
def address_of(database: Database) -> Iterator[str]:
    """Empty books that several runs may use, one after the other."""
    with tempfile.TemporaryDirectory() as folder, migrated_engine(database, Path(folder)) as engine:
        yield engine.url.render_as_string(hide_password=False).replace("+psycopg", "")


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_whatever_happens_the_book_fires_what_a_scan_of_all_triggers_fires(database: Database) -> None:
    with address_of(database) as books:

        class Paths(TriggerPaths):
            address = books

        run_state_machine_as_test(Paths, settings=PATHS)
