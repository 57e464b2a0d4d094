"""`paper-fund`: give a wallet balances on paper."""

from __future__ import annotations

from typing import Annotated

import typer

from sniperforge.cli.common import open_services
from sniperforge.domain.money import SOL_DECIMALS, Mint, format_units, parse_units
from sniperforge.errors import InvalidInputError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("paper-fund")(paper_fund)


def paper_fund(
    wallet: Annotated[str | None, typer.Argument(help="Name or address; default: the only wallet.")] = None,
    sol: Annotated[str | None, typer.Option(help="SOL to give, e.g. 10.")] = None,
    token: Annotated[str | None, typer.Option(help="A token to give: symbol or mint. Needs --amount.")] = None,
    amount: Annotated[str | None, typer.Option(help="How much of it, in whole tokens.")] = None,
) -> None:
    """Give a wallet a balance on paper. What it holds on chain stays there and does not count."""
    from sniperforge.cli.token_names import names_of
    from sniperforge.ports.records import NATIVE_SOL, Asset
    from sniperforge.trading.paper_books import fund

    services = open_services()
    if not services.on_paper:
        raise InvalidInputError(
            "these are live books, and money on paper must not get into them",
            subject="paper-fund",
            fix="Set SNIPERFORGE_MODE=paper (paper has books of its own)",
        )
    if (token is None) is not (amount is None):
        raise InvalidInputError("--token and --amount go together", subject="paper-fund")
    given: dict[Asset, int] = {}
    if sol is not None:
        given[NATIVE_SOL] = parse_units(sol, SOL_DECIMALS, field="sol")
    if token is not None and amount is not None:
        found = services.tokens.resolve(token)
        asset = NATIVE_SOL if found.symbol == "SOL" and found.well_known else Asset(found.mint)
        given[asset] = given.get(asset, 0) + parse_units(amount, found.decimals)
    owner = services.wallets.find(wallet or services.settings.wallet)
    funding = fund(
        store=services.store,
        clock=services.clock,
        network=services.books_network,
        name=owner.name,
        address=owner.address,
        raw=given,
    )
    names = names_of(services, [Mint(asset) for asset in funding.balances if asset != NATIVE_SOL])
    for asset, raw in funding.balances.items():
        shown = f"{format_units(raw, SOL_DECIMALS)} SOL" if asset == NATIVE_SOL else names.amount(raw, Mint(asset))
        typer.echo(f"{owner.name} has {shown} on paper")
