"""`books-upgrade`: bring the books' tables up to what this program needs."""

from __future__ import annotations

import typer

from sniperforge.cli.common import open_services


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("books-upgrade")(books_upgrade)


def books_upgrade() -> None:
    """Bring the tables of the books up to date. Back them up first; all of it happens, or nothing."""
    from sniperforge.storage.migrations import current_revision, head_revision, upgrade

    engine = open_services().connect_books()
    before = current_revision(engine)
    upgrade(engine)
    after = head_revision()
    typer.echo(
        f"the books are at {after} already"
        if before == after
        else f"the books went from {before or 'nothing'} to {after}"
    )
