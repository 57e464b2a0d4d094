"""Books that strike their own process: SIGKILL between two writes of a transaction, or between two transactions.

Trades name their steps (`worker.Mishap`); what fires, cancels and tidies up behind orders does not, so it is met in the
books. A point is a call, e.g. `orders.change_leg`, right after it, or `orders.change_leg committed`: the same after the
commit of the transaction in which it was.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sniperforge.storage.repositories.triggers import SqlTriggers
from tests.faults.worker import Report, strike

FEW = MOST_GROUPS = 1
"""So small that books of fifty orders have groups of trails, and something to compact."""


@dataclass(frozen=True)
class Blow:
    """What befalls the process when it comes to a point for the n-th time."""

    point: str
    how: Literal["kill", "stop"] = "kill"
    nth: int = 1


class Ambush:
    """Waits for points, and strikes."""

    def __init__(self, blows: Sequence[Blow], report: Report) -> None:
        self._blows = blows
        self._report = report
        self._lock = threading.Lock()
        self._reached: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        with self._lock:
            self._reached[point] += 1
            nth = self._reached[point]
        for blow in self._blows:
            if (blow.point, blow.nth) == (point, nth):
                self._report.write(mishap=blow.how, point=point)
                strike(blow.how)


class AmbushedStore:
    """A store whose writing transactions lead into an ambush."""

    def __init__(self, store: Any, ambush: Callable[[str], None]) -> None:
        self._store = store
        self._ambush = ambush

    def read(self) -> AbstractContextManager[Any]:
        """As the store does."""
        view: AbstractContextManager[Any] = self._store.read()
        return view

    @contextmanager
    def write(self) -> Iterator[Any]:
        """As the store does; with struck parts."""
        touched: dict[str, None] = {}

        def reached(point: str) -> None:
            touched[point] = None
            self._ambush(point)

        with self._store.write() as books:
            books.triggers = SqlTriggers(books.triggers._transaction, few=FEW, most_groups=MOST_GROUPS)
            yield _Books(books, reached)
        for point in touched:
            self._ambush(f"{point} committed")


class _Books:
    """The books of one transaction."""

    def __init__(self, books: Any, reached: Callable[[str], None]) -> None:
        self._books = books
        self._reached = reached

    def __getattr__(self, name: str) -> Any:
        return _Part(getattr(self._books, name), name, self._reached)


class _Part:
    """One of them; whatever is called of it is a point."""

    def __init__(self, part: Any, name: str, reached: Callable[[str], None]) -> None:
        self._part = part
        self._name = name
        self._reached = reached

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._part, name)

        def call(*arguments: Any, **named: Any) -> Any:
            result = function(*arguments, **named)
            self._reached(f"{self._name}.{name}")
            return result

        return call
