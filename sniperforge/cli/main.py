"""`sniperforge`: one command per thing an operator does."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sniperforge import __version__
from sniperforge.cli import (
    books,
    control,
    demo,
    devnet,
    doctor,
    flatten,
    logs,
    order_show,
    orders,
    paper,
    portfolio,
    quote,
    recover,
    risk,
    sandbox,
    services,
    strategy,
    strategy_show,
    trade,
    trades,
    up,
    wallet,
)
from sniperforge.errors import SniperForgeError

app = typer.Typer(
    name="sniperforge",
    help="Unattended trading on Solana. Every decided trade lands exactly once or provably not at all.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (
    up,
    demo,
    sandbox,
    wallet,
    doctor,
    quote,
    trade,
    trades,
    strategy,
    strategy_show,
    orders,
    order_show,
    portfolio,
    risk,
    flatten,
    logs,
    control,
    books,
    recover,
    services,
    devnet,
    paper,
):
    module.register(app)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (typer calls it with the option's value)
    if wanted:
        typer.echo(f"sniperforge {__version__}")
        raise typer.Exit


@app.callback()
def options(
    home: Annotated[
        Path | None, typer.Option(help="Folder that holds everything; also SNIPERFORGE_HOME.", file_okay=False)
    ] = None,
    version: Annotated[  # noqa: ARG001, FBT002 (its callback does the work; typer makes it a flag)
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command."""
    if home is not None:
        # Through the environment, so that processes a command starts use the same home.
        os.environ["SNIPERFORGE_HOME"] = str(home.expanduser().absolute())


def main() -> None:
    """Run a command; every error we know is one line on standard error and exit status 1."""
    try:
        app()
    except SniperForgeError as error:
        typer.echo(f"sniperforge: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("sniperforge: interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
