"""Books in a database in which a few trails go through all that a hundred thousand do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import delete

from sniperforge.ports.store import Books
from sniperforge.storage import tables
from sniperforge.storage.engine import create_engine_for
from sniperforge.storage.repositories.triggers import SqlTriggers
from sniperforge.storage.unit_of_work import SqlBooks, SqlStore


class SmallGroups:
    """Books in a database, the trails of which are grouped from the second on; `open_again` begins anew on them."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.open_again()

    def open_again(self) -> None:
        """As a new process does."""
        self._engine = create_engine_for(self._address)
        self._store = SqlStore(self._engine)

    def empty(self) -> None:
        """Take everything out."""
        with self._engine.begin() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                if table is not tables.system_state:
                    connection.execute(delete(table))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[SqlBooks]:
        """One transaction."""
        with self._store.write() as books:
            books.triggers = SqlTriggers(books.triggers._transaction, few=1, most_groups=1)
            yield books

    def read(self) -> AbstractContextManager[Books]:
        """One view."""
        return self._store.read()
