"""`halt` and `resume`: stop trading, or let it go on, for everything or for one wallet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sniperforge.cli.common import open_services
from sniperforge.errors import InvalidInputError

if TYPE_CHECKING:
    from sniperforge.ports.records import KnownTransaction, TradingMode
    from sniperforge.trading.restored_books import RestoredBooks

Wallet = Annotated[str | None, typer.Argument(help="Name or address of one wallet; default: everything.")]

_SHOWN = 3


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("halt")(halt)
    app.command("resume")(resume)


def halt(
    wallet: Wallet = None,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever finds it halted.")] = None,
    reducing: Annotated[bool, typer.Option("--reducing", help="Stop entries only; exits go on.")] = False,  # noqa: FBT002
) -> None:
    """Sign nothing new from now on. What is signed already is settled all the same."""
    from sniperforge.ports.records import TradingMode

    _change(wallet, TradingMode.REDUCING if reducing else TradingMode.HALTED, reason)


def resume(
    wallet: Wallet = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Let trading go on. Restored books, and a wallet that somebody else used, are asked about first."""
    from sniperforge.ports.records import TradingMode

    _change(wallet, TradingMode.ACTIVE, None, yes=yes)


def _change(wallet: str | None, mode: TradingMode, reason: str | None, *, yes: bool = False) -> None:
    from sniperforge.ports.records import TradingMode
    from sniperforge.trading.controls import Controls

    services = open_services()
    controls = Controls(store=services.store, clock=services.clock)
    by = _who()
    if wallet is None:
        is_known = mode is TradingMode.ACTIVE and _knows_what_is_open(controls.restored(), yes=yes)
        controls.change_system(mode, reason=reason, by=by, knows_what_is_open=is_known)
        typer.echo(f"trading is {mode.value}")
    else:
        address = services.wallets.address_of(wallet)
        if mode is TradingMode.ACTIVE and not yes:
            _ask_about(controls.foreign_transactions(address), wallet)
        name = controls.change_wallet(address, mode, reason=reason, by=by).name
        typer.echo(f"wallet {name} is {mode.value}")
    with services.store.read() as books:
        system, wallets = books.system.get(), books.wallets.all()
        in_flight = len(books.attempts.live(1_000))
    if mode is not TradingMode.ACTIVE:
        if in_flight:
            typer.echo(f"{in_flight} signed before that may still land; `sniperforge settle` carries them on")
        return
    # What else still stops trades, so that nobody wonders why nothing happens.
    for what, other, why in (
        ("trading", system.mode, system.reason),
        *((f"wallet {record.name}", record.mode, record.mode_reason) for record in wallets),
    ):
        if other is not TradingMode.ACTIVE:
            typer.echo(f"{what} is still {other.value}: {why}")


def _knows_what_is_open(found: RestoredBooks | None, *, yes: bool) -> bool:
    """Whether a person was shown what restored books may do again. Where nobody can be asked, the change is refused."""
    if found is None or found.open_ends is None or not found.is_sorted:
        return False
    if yes:
        typer.echo(found.open_ends, err=True)
    elif sys.stdin.isatty():
        typer.confirm(f"{found.open_ends}. Did you look at each, and may trading go on?", abort=True, err=True)
    else:
        return False
    return True


def _ask_about(foreign: tuple[KnownTransaction, ...], wallet: str) -> None:
    """Somebody else had power over this wallet: that is not waved through by a habit."""
    if not foreign:
        return
    newest = ", ".join(f"{one.signature} in slot {one.slot}" for one in foreign[-_SHOWN:])
    told = f"{len(foreign)} transactions of this wallet are not from these books, the newest: {newest}"
    if not sys.stdin.isatty():
        raise InvalidInputError(
            f"{told}; it stays as it is", subject=f"wallet {wallet}", fix="Look at them, then add --yes"
        )
    typer.confirm(f"{told}. Do you know who made them, and may trading go on?", abort=True, err=True)


def _who() -> str:
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
