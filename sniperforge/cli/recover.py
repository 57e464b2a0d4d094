"""`books-restored`: go on with books that are older than what happened, in two steps."""

from __future__ import annotations

from typing import Annotated

import typer

from sniperforge.cli.common import open_services


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("books-restored")(books_restored)


def books_restored(
    reason: Annotated[
        str | None, typer.Option(help="Begin: why these books are older than what happened (a restored backup...).")
    ] = None,
    finish: Annotated[bool, typer.Option("--finish", help="Decide about every open trade, a minute later.")] = False,  # noqa: FBT002
) -> None:
    """After restoring the books: first with --reason, which halts; then with --finish; then `resume`.

    Nothing trades until then, and `resume` asks about what may have happened already: parked trades, open orders and
    plans, which are paused.
    """
    import getpass

    from sniperforge.errors import InvalidInputError
    from sniperforge.trading.controls import Controls
    from sniperforge.trading.recovery import Recovery
    from sniperforge.trading.restored_books import RUNBOOK

    if finish is (reason is not None):
        raise InvalidInputError("give either --reason or --finish", subject="books-restored")
    services = open_services()
    recovery = Recovery(
        store=services.store, chain=services.chain, clock=services.clock, reconciler=services.reconciler
    )
    if reason is not None:
        state = recovery.begin(reason=reason, by=getpass.getuser())
        typer.echo(
            f"trading is halted and every plan is paused, epoch {state.epoch} began; "
            "run this again with --finish in a minute"
        )
        return
    report = recovery.finish()
    for name, intents in (
        ("parked, a person decides", report.parked),
        ("carried on", report.carried_on),
        ("being settled", report.in_flight),
    ):
        for intent in intents:
            typer.echo(f"{intent}  {name}")
    found = Controls(store=services.store, clock=services.clock).restored()
    if found is not None:
        for order in found.orders:
            typer.echo(f"{order.id}  open order ({order.kind.value}); if it has fired, `sniperforge order-cancel` it")
        for plan in found.plans:
            typer.echo(f"{plan.id}  paused plan; `sniperforge strategy-resume` lets it go on")
    typer.echo(f"trading stays halted until `sniperforge resume`; read {RUNBOOK} first")
