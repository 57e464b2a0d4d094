"""Several writers of one book: each waits for the subjects it touches, nobody waits in a ring, nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from sniperforge.domain.ids import TriggerId
from sniperforge.domain.trigger import Direction, Subject, Trigger
from sniperforge.storage import tables
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes.clock import START
from tests.fakes.stores import migrated_engine

SUBJECTS = (Subject("SOL"), Subject("JUP"), Subject("BONK"))
ROUNDS = 15


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    with migrated_engine(request.param, tmp_path) as engine:
        yield SqlStore(engine)


def of_all_subjects(name: str, *, turned: bool) -> list[Trigger]:
    """A level and a trail on each subject, in one order or the other."""
    made = []
    for subject in SUBJECTS:
        common = {"subject": subject, "direction": Direction.DOWN, "confirmations": 1}
        made.append(Trigger(id=TriggerId(f"{name}-{subject}-level"), level=Decimal(50), **common))  # type: ignore[arg-type]
        made.append(
            Trigger(id=TriggerId(f"{name}-{subject}-trail"), trail_bps=9_000, best=Decimal(100), **common)  # type: ignore[arg-type]
        )
    return made[::-1] if turned else made


def all_at_once(*works: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (collected and asserted on)
            failures.append(error)

    workers = [threading.Thread(target=run, args=(work,)) for work in works]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []


def test_writers_of_the_same_subjects_wait_for_each_other_and_lose_nothing(store: SqlStore) -> None:
    def come_and_go(name: str, *, turned: bool) -> None:
        for number in range(ROUNDS):
            made = of_all_subjects(f"{name}{number}", turned=turned)
            with store.write() as books:
                books.triggers.add(made, at=START)
            with store.write() as books:
                books.triggers.hold([one.id for one in made[:3]])
            if number % 2:
                with store.write() as books:
                    assert books.triggers.remove([one.id for one in made]) == len(made)

    def tick() -> None:
        for number in range(1, 2 * ROUNDS):
            with store.write() as books:
                for subject in sorted(SUBJECTS):
                    books.triggers.tick(subject, Decimal(100 + number), print_number=number, at=START)
            with store.write() as books:
                books.triggers.compact(5)

    all_at_once(lambda: come_and_go("a", turned=False), lambda: come_and_go("b", turned=True), tick)

    with store.write() as books:
        left = 2 * (ROUNDS // 2 + 1) * 2
        counted = select(tables.trigger_subjects.c.watched)
        assert [row[0] for row in books.triggers._transaction.rows(counted)] == [left] * len(SUBJECTS)


def test_two_ticks_of_one_print_count_it_once(store: SqlStore) -> None:
    wants_three = Trigger(
        id=TriggerId("a"), subject=SUBJECTS[0], direction=Direction.DOWN, confirmations=3, level=Decimal(100)
    )
    with store.write() as books:
        books.triggers.add([wants_three], at=START)

    def tick() -> None:
        for number in (1, 2):
            with store.write() as books:
                books.triggers.tick(SUBJECTS[0], Decimal(99), print_number=number, at=START)

    all_at_once(tick, tick, tick)
    with store.read() as books:
        view = books.triggers.get(wants_three.id)
    assert view is not None
    assert view.counted == 2
