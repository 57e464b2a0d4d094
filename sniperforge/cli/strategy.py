"""`strategy-run`, `strategy-pause`, `strategy-resume`, `strategy-stop`: plans that trade unattended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sniperforge.cli.common import open_services, this_process
from sniperforge.errors import InvalidInputError
from sniperforge.ports.queue import PlanId

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.cli.plan_preview import Preview
    from sniperforge.ports.plans import Plan

Name = Annotated[str, typer.Argument(help="Name of the plan.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("strategy-run")(run)
    app.command("strategy-pause")(pause)
    app.command("strategy-resume")(resume)
    app.command("strategy-stop")(stop)


def run(
    kind: Annotated[str, typer.Option("--type", help="Name of the strategy, e.g. dca.")],
    config: Annotated[
        str,
        typer.Option(
            help="Its settings, a JSON file: looked for in the current folder, then in the home, then among the "
            "examples that come along."
        ),
    ],
    yes: Yes = False,  # noqa: FBT002 (a flag)
) -> None:
    """Make a plan that trades unattended. Shows what it will do first, and asks."""
    from sniperforge.cli.plan_preview import lines

    services = open_services()
    seen = _draft(services, kind, config)
    typer.echo("\n".join(lines(seen)))
    _confirm("Start this plan?", yes=yes)
    _adopt(services, seen)
    plan = services.plan_desk.create(seen.draft)
    typer.echo(f"plan {plan.id} is active; `sniperforge strategy-show {plan.id}` tells what it does")
    if services.settings.redis_url is None:
        typer.echo("nothing runs on this home now: `sniperforge up` starts what carries plans out", err=True)


def pause(name: Name) -> None:
    """Decide no further round of a plan until it is resumed. Trades that were decided go on."""
    services = open_services()
    plan = services.plan_desk.pause(PlanId(name), by=this_process())
    typer.echo(f"plan {plan.id} is paused; `sniperforge strategy-resume {plan.id}` lets it go on")


def resume(name: Name) -> None:
    """Let a paused plan go on with its next round from now on. What passed meanwhile is skipped."""
    from sniperforge.cli.plan_preview import run_line

    services = open_services()
    plan = services.plan_desk.resume(PlanId(name), by=this_process())
    if plan.next_due_at is None:
        typer.echo(f"plan {plan.id} has ended: its end_at passed while it was paused")
        return
    typer.echo(f"plan {plan.id} is active; next run {run_line(plan.next_due_at)}")


def stop(name: Name, yes: Yes = False) -> None:  # noqa: FBT002 (a flag)
    """End a plan for good. Trades that it decided go on; `sniperforge cancel` ends those."""
    services = open_services()
    plan = _known(services, name)
    _confirm(f"End plan {plan.id} for good?", yes=yes)
    ended = services.plan_desk.stop(plan.id, by=this_process())
    typer.echo(f"plan {ended.id} has ended; trades that it decided go on")


def _draft(services: Services, kind: str, config_name: str) -> Preview:
    """The plan in a file, with everything that is known about it; all problems at once."""
    from sniperforge.cli.plan_draft import read_draft
    from sniperforge.cli.plan_file import find_plan_file, read_plan_file
    from sniperforge.cli.plan_preview import preview
    from sniperforge.strategies.config import parse_config

    path = find_plan_file(config_name, services.settings.home)
    values = parse_config(read_plan_file(path), subject=str(path))
    wallet, draft, tokens = read_draft(services, kind, values)
    return preview(services, path, wallet.name, draft, tokens)


def _adopt(services: Services, seen: Preview) -> None:
    with services.store.read() as books:
        known = books.wallets.get(seen.draft.wallet)
    if known is None:
        typer.echo("the wallet is new to the books: its balances on chain become their opening", err=True)
    services.reconciler.adopt(seen.wallet_name, seen.draft.wallet)


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInputError("nobody is there to ask; nothing was written", subject="plan", fix="Add --yes")
    typer.confirm(question, abort=True, err=True)


def _known(services: Services, name: str) -> Plan:
    from sniperforge.trading.plan_desk import known_plan

    with services.store.read() as books:
        return known_plan(books, PlanId(name))
