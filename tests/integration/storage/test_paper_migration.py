"""Books from before paper mode are brought up to date with everything that is in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import IntegrityError

from sniperforge.domain.intent import AttemptState, FillState, SendPath
from sniperforge.domain.money import WSOL_MINT
from sniperforge.errors import ConflictError, InvalidInputError
from sniperforge.ports.records import (
    NATIVE_SOL,
    Attribution,
    KnownTransaction,
    LedgerEntry,
    LedgerKind,
    Reservation,
    ReservationKind,
)
from sniperforge.storage import migrations, tables
from sniperforge.storage.engine import create_engine_for, for_writing
from sniperforge.storage.migrations import head_revision, upgrade
from sniperforge.storage.unit_of_work import SqlStore
from tests.fakes import postgres
from tests.fakes.clock import START
from tests.fakes.records import a_fill, a_plan, a_wallet, an_attempt, an_intent

INTENT = an_intent(attempts_made=1)
ATTEMPT = an_attempt(INTENT)
TABLES = (
    "trade_intents",
    "attempts",
    "fills",
    "reservations",
    "ledger_entries",
    "known_transactions",
    "strategy_plans",
)


@pytest.fixture(params=["sqlite", "postgres"])
def old_books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database at revision 0002 with a trade in it, on which everything that may link to it depends."""
    address = f"sqlite:///{tmp_path / 'books.db'}"
    if request.param == "postgres":
        address = postgres.shared_server().url(postgres.shared_server().database())
    engine = create_engine_for(address)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection, for_writing(connection).begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    fill_books(engine)
    yield engine
    engine.dispose()


def fill_books(engine: Engine) -> None:
    line = LedgerEntry(
        source=ATTEMPT.signature,
        wallet=INTENT.wallet,
        asset=NATIVE_SOL,
        kind=LedgerKind.FEE,
        delta_raw=-5_000,
        slot=2_000,
        state=FillState.PROVISIONAL,
        booked_at=START,
        intent_id=INTENT.id,
        attempt_id=ATTEMPT.id,
    )
    with SqlStore(engine).write() as books:
        books.wallets.add(a_wallet())
        books.plans.add(a_plan())
        books.intents.add(INTENT)
        books.attempts.add(ATTEMPT)
        books.ledger.add([line])
        books.reservations.add(
            [
                Reservation(
                    attempt_id=ATTEMPT.id,
                    wallet=INTENT.wallet,
                    mint=WSOL_MINT,
                    kind=ReservationKind.FEE,
                    amount_raw=5_000,
                    created_at=START,
                )
            ]
        )
        books.known_transactions.add(
            KnownTransaction(
                signature=ATTEMPT.signature,
                wallet=INTENT.wallet,
                slot=2_000,
                err=None,
                attribution=Attribution.OURS,
                seen_at=START,
                attempt_id=ATTEMPT.id,
            )
        )
    known_then = {name: value for name, value in asdict(a_fill(ATTEMPT)).items() if value is not None}
    with for_writing(engine.connect()) as connection, connection.begin():
        connection.execute(insert(tables.fills).values(known_then))


def rows(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row by column, without what is NULL: a later revision adds columns that these books know nothing of."""
    with engine.connect() as connection:
        return {
            name: [
                {column: value for column, value in row._mapping.items() if value is not None}
                for row in connection.execute(text(f"SELECT * FROM {name}"))  # noqa: S608 (fixed names)
            ]
            for name in TABLES
        }


def test_every_row_survives(old_books: Engine) -> None:
    before = rows(old_books)
    assert all(before.values())

    upgrade(old_books)

    assert migrations.current_revision(old_books) == head_revision()
    assert rows(old_books) == before


def test_links_between_rows_still_hold(old_books: Engine) -> None:
    upgrade(old_books)

    for orphaning in ("DELETE FROM trade_intents", "DELETE FROM attempts"):
        with pytest.raises(IntegrityError), old_books.begin() as connection:
            connection.execute(text(orphaning))


def test_one_live_attempt_is_still_the_most(old_books: Engine) -> None:
    upgrade(old_books)

    with pytest.raises(ConflictError), SqlStore(old_books).write() as books:
        books.attempts.add(an_attempt(INTENT, 2))


def test_trades_on_paper_fit_afterwards_and_only_then(old_books: Engine) -> None:
    paper = an_intent("two", path=SendPath.PAPER)
    attempt = an_attempt(paper, state=AttemptState.FINALIZED, bound_block_height=None)

    def book() -> None:
        with SqlStore(old_books).write() as books:
            books.intents.add(paper)
            books.attempts.add(attempt)

    with pytest.raises(InvalidInputError):
        book()
    upgrade(old_books)
    book()

    with SqlStore(old_books).read() as books:
        assert books.attempts.get(attempt.id) == attempt


def test_what_is_sent_still_needs_a_bound(old_books: Engine) -> None:
    upgrade(old_books)

    with SqlStore(old_books).write() as books:
        books.intents.add(an_intent("two"))

    with pytest.raises(InvalidInputError), SqlStore(old_books).write() as books:
        books.attempts.add(an_attempt(an_intent("two"), bound_block_height=None))
