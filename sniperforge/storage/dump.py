"""Everything that is in the books, as plain bytes: for a search that must overlook nothing."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine, MetaData, select

from sniperforge.storage.engine import for_reading
from sniperforge.storage.failures import in_our_words


def rows_as_bytes(engine: Engine) -> Iterator[tuple[str, bytes]]:
    """Every row of every table, unknown tables included, with its table's name; one snapshot.

    A row comes whole, which it need not be in SQLite's file: that cuts a long one into pages.

    Raises:
        StorageError: The books cannot be read.
    """
    with in_our_words(), engine.connect() as connection, for_reading(connection).begin():
        found = MetaData()
        found.reflect(connection)
        for table in found.sorted_tables:
            for row in connection.execute(select(table)):
                yield table.name, b"\n".join(one if isinstance(one, bytes) else str(one).encode() for one in row)
