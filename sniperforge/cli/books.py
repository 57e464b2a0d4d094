"""`books-upgrade`, `reconcile`, `invariants`: the books' tables, and the books held against the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services, print_json, this_process
from sniperforge.errors import InvalidInputError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.cli.token_names import TokenNames
    from sniperforge.domain.money import Address
    from sniperforge.ports.records import KnownTransaction
    from sniperforge.trading.differences import Difference
    from sniperforge.trading.reconciler import ScanReport

_LOOK_AGAIN_S = 1.0

Wallet = Annotated[str | None, typer.Argument(help="Name or address; default: the only wallet.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("books-upgrade")(books_upgrade)
    app.command("reconcile")(reconcile)
    app.command("invariants")(invariants)


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


def reconcile(
    wallet: Wallet = None,
    whole: Annotated[  # noqa: FBT002 (a flag)
        bool, typer.Option("--whole", help="Read the whole history since the opening again, not only what is new.")
    ] = False,
    seconds: Annotated[
        float, typer.Option("--for", min=0, help="How long to wait for what is not final or not to be read yet.")
    ] = 20.0,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Read a wallet's history on chain, book what others did, and compare balances.

    Exit 1 on any difference, and while the wallet is halted because somebody else moved it.
    """
    from sniperforge.trading.controls import Controls

    services = open_services()
    if services.on_paper:
        typer.echo("PAPER: there is no chain to compare with; the books are held against themselves", err=True)
        _hold(services, wallet)
        return
    address = _adopted(services, wallet)
    report = services.reconciler.scan(address, whole=whole)
    _book_undead(services, report)
    found = _compared(services, address, within_s=seconds)
    foreign = Controls(store=services.store, clock=services.clock).foreign_transactions(address)
    if json_output:
        print_json(_as_json(report, found, foreign))
    else:
        _print(services, report, found, foreign)
    if found or foreign:
        raise typer.Exit(1)


def _compared(services: Services, address: Address, *, within_s: float) -> tuple[Difference, ...]:
    """Every difference, when all are ones that waiting does not end, or the time is up."""
    from sniperforge.trading.differences import Reason

    end = services.clock.monotonic() + within_s
    while True:
        found = services.reconciler.compare(address)
        passing = [one for one in found if one.reason in (Reason.NOT_FINAL, Reason.UNREAD)]
        if not passing or services.clock.monotonic() >= end:
            return found
        services.clock.sleep(_LOOK_AGAIN_S)


def _adopted(services: Services, wallet: str | None) -> Address:
    """The address of a wallet that is in the books, put there now if it is ours and new."""
    address = services.wallets.address_of(wallet or services.settings.wallet)
    with services.store.read() as books:
        known = books.wallets.get(address)
    if known is None:
        if address not in services.wallets.addresses():
            raise InvalidInputError("neither this home nor its books know this wallet", subject=address)
        typer.echo("the wallet is new to the books: its balances on chain become their opening", err=True)
        services.reconciler.adopt(services.wallets.find(address).name, address)
    return address


def _book_undead(services: Services, report: ScanReport) -> None:
    """Attempts that were called dead and landed all the same: they are booked, loudly."""
    if not report.undead:
        return
    with services.store.read() as books:
        attempts = [books.attempts.get(attempt) for attempt in report.undead]
    executor = services.executor(owner=this_process())
    for attempt in attempts:
        if attempt is not None:
            typer.echo(
                f"LOUD: {attempt.signature} was proven dead and landed all the same; trading is halted", err=True
            )
            executor.look_again(attempt)


def _print(
    services: Services,
    report: ScanReport,
    found: tuple[Difference, ...],
    foreign: tuple[KnownTransaction, ...],
) -> None:
    from sniperforge.cli.token_names import names_of
    from sniperforge.domain.money import Mint
    from sniperforge.ports.records import NATIVE_SOL
    from sniperforge.trading.attribution import RUNBOOK

    new = f"{len(report.booked)} transactions looked at for the first time"
    typer.echo(f"{report.wallet} at finalized slot {report.slot}: {new}")
    for one in report.booked:
        typer.echo(f"  {one.attribution.value:<8} {one.signature} in slot {one.slot}")
    for signature in report.unread:
        typer.echo(f"  unread   {signature}: the node knows its name only; ask again")
    if foreign:
        with services.store.read() as books:
            wallet = books.wallets.get(report.wallet)
        typer.echo(f"somebody else moved this wallet, and it is halted since; {RUNBOOK} says what to do:")
        for one in foreign:
            typer.echo(f"  foreign  {one.signature} in slot {one.slot}, seen {one.seen_at:%Y-%m-%d %H:%M:%S} UTC")
        typer.echo(f"`sniperforge resume {wallet.name if wallet is not None else report.wallet}` lets it go on")
    names = names_of(services, [Mint(one.asset) for one in found if one.asset != NATIVE_SOL])
    for difference in found:
        typer.echo(f"  differs  {_difference(difference, names)}")
    if not found:
        typer.echo("books and chain agree, to the last base unit")


def _difference(one: Difference, names: TokenNames) -> str:
    from sniperforge.domain.money import SOL_DECIMALS, Mint, format_units
    from sniperforge.ports.records import NATIVE_SOL

    def shown(raw: int) -> str:
        if one.asset == NATIVE_SOL:
            return f"{format_units(raw, SOL_DECIMALS)} SOL (native)"
        return names.amount(raw, Mint(one.asset))

    return f"books {shown(one.books_raw)}, chain {shown(one.chain_raw)} ({one.missing_raw:+d} base units): {one.text}"


def _as_json(
    report: ScanReport, found: tuple[Difference, ...], foreign: tuple[KnownTransaction, ...]
) -> dict[str, Any]:
    return {
        "wallet": report.wallet,
        "slot": report.slot,
        "looked_at": [
            {"signature": one.signature, "slot": one.slot, "attribution": one.attribution.value}
            for one in report.booked
        ],
        "foreign": [
            {"signature": one.signature, "slot": one.slot, "seen_at": one.seen_at.isoformat()} for one in foreign
        ],
        "unread": list(report.unread),
        "differences": [
            {
                "asset": one.asset,
                "slot": one.slot,
                "books_raw": one.books_raw,
                "chain_raw": one.chain_raw,
                "reason": one.reason.value,
                "text": one.text,
            }
            for one in found
        ],
    }


def invariants(wallet: Wallet = None) -> None:
    """Check the books of a wallet against the whole chain by code that shares nothing with what trades."""
    _hold(open_services(), wallet)


def _hold(services: Services, wallet: str | None) -> None:
    report = services.invariants.check(services.wallets.address_of(wallet or services.settings.wallet))
    typer.echo(str(report))
    if not report.holds:
        raise typer.Exit(1)
