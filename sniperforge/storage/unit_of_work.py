"""The store: one transaction per block, its outcome always told as one of done, not done, or unknown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sniperforge.storage.engine import WriterTurn, for_reading, for_writing
from sniperforge.storage.failures import commit_meaning, in_our_words
from sniperforge.storage.repositories.balances import SqlLedger, SqlPositions, SqlPrices
from sniperforge.storage.repositories.base import Transaction
from sniperforge.storage.repositories.control import (
    SqlEvents,
    SqlKnownTransactions,
    SqlNonces,
    SqlSystem,
    SqlWallets,
)
from sniperforge.storage.repositories.orders import SqlOrders
from sniperforge.storage.repositories.plans import SqlOccurrences, SqlPlans
from sniperforge.storage.repositories.price_samples import SqlPriceSamples
from sniperforge.storage.repositories.risk import SqlRiskRecords
from sniperforge.storage.repositories.trades import SqlAttempts, SqlFills, SqlIntents, SqlReservations
from sniperforge.storage.repositories.triggers import SqlTriggers


class SqlBooks:
    """`ports.store.Books` as one database transaction sees them."""

    def __init__(self, transaction: Transaction) -> None:
        self.intents = SqlIntents(transaction)
        self.attempts = SqlAttempts(transaction)
        self.reservations = SqlReservations(transaction)
        self.fills = SqlFills(transaction)
        self.ledger = SqlLedger(transaction)
        self.positions = SqlPositions(transaction)
        self.nonces = SqlNonces(transaction)
        self.known_transactions = SqlKnownTransactions(transaction)
        self.prices = SqlPrices(transaction)
        self.events = SqlEvents(transaction)
        self.system = SqlSystem(transaction)
        self.wallets = SqlWallets(transaction)
        self.plans = SqlPlans(transaction)
        self.occurrences = SqlOccurrences(transaction)
        self.orders = SqlOrders(transaction)
        self.price_samples = SqlPriceSamples(transaction)
        self.triggers = SqlTriggers(transaction)
        self.risk = SqlRiskRecords(transaction)


class SqlStore:
    """`ports.store.Store` on SQLite or PostgreSQL. Safe to share between threads, not across a fork.

    Example:
        engine = create_engine_for("sqlite:////var/lib/sniperforge/books.db")
        check_schema(engine)
        store = SqlStore(engine)

    Args:
        engine: From `engine.create_engine_for`; its schema was checked by `migrations.check_schema`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = WriterTurn(engine)

    @contextmanager
    def write(self) -> Iterator[SqlBooks]:
        """One transaction, committed at the end of the block."""
        with self._connected() as connection, self._turn.taken():
            transaction = Transaction(connection, writes=True)
            with in_our_words():
                for_writing(connection).begin()
            try:
                yield SqlBooks(transaction)
                transaction.must_be_sound()
            except BaseException:
                _undo(connection)
                raise
            try:
                connection.commit()
            except DBAPIError as error:
                _undo(connection)
                raise commit_meaning(error) from error

    @contextmanager
    def read(self) -> Iterator[SqlBooks]:
        """One consistent view."""
        with self._connected() as connection:
            with in_our_words():
                for_reading(connection).begin()
            yield SqlBooks(Transaction(connection, writes=False))

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with in_our_words():
            connection = self._engine.connect()
        try:
            yield connection
        finally:
            _give_back(connection)


def _give_back(connection: Connection) -> None:
    # Where the server went away meanwhile, SQLAlchemy has dropped the connection already: nothing is left to give back.
    with suppress(DBAPIError):
        connection.close()


def _undo(connection: Connection) -> None:
    # Where the connection is gone there is nothing left to undo, and the error that brought us here is on its way.
    with suppress(DBAPIError):
        connection.rollback()
