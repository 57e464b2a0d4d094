"""`wallet-create`, `wallet-import`, `wallet-export`, `wallet-list`, `wallet-balance`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sniperforge.cli.common import ask_hidden, open_services, print_json
from sniperforge.domain.money import SOL_DECIMALS, WSOL_MINT, Mint, format_units
from sniperforge.errors import InvalidInputError, RetryableError, WalletError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.shared.wallet_manager import WalletBalances

Name = Annotated[str, typer.Argument(help="Name of the wallet.")]


def register(app: typer.Typer) -> None:
    """Add the wallet commands."""
    app.command("wallet-create")(create)
    app.command("wallet-import")(import_wallet)
    app.command("wallet-export")(export)
    app.command("wallet-list")(list_wallets)
    app.command("wallet-balance")(balance)


def create(name: Name = "main") -> None:
    """Make a new wallet; its key is encrypted with the passphrase and never leaves this machine."""
    wallet = open_services(new_passphrase=True).wallets.create(name)
    typer.echo(f"created wallet {wallet.name}\naddress {wallet.address}\nkey file {wallet.path} (back it up)")


def import_wallet(
    name: Name,
    file: Annotated[
        Path | None, typer.Option("--file", help="A Solana CLI key file, or a file with a base58 secret key.")
    ] = None,
) -> None:
    """Take over an existing key, from a file, from standard input, or typed at a hidden prompt."""
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"the key file cannot be read: {error}", subject=str(file)) from error
    elif sys.stdin.isatty():
        text = ask_hidden("Secret key (not shown)")
    else:
        text = sys.stdin.read()
    wallet = open_services(new_passphrase=True).wallets.import_key(name, text)
    typer.echo(f"imported wallet {wallet.name}\naddress {wallet.address}\nkey file {wallet.path} (back it up)")


def export(name: Name) -> None:
    """Print a wallet's secret key as the Solana CLI stores it. Asks twice: whoever reads it owns the wallet."""
    if not sys.stdin.isatty():
        raise WalletError("a secret key is shown to a person at a terminal only", fix="Run it by hand")
    services = open_services()
    wallet = services.wallets.find(name)
    typer.confirm(f"Show the secret key of {wallet.name} ({wallet.address}) on this screen?", abort=True, err=True)
    if typer.prompt("Type the wallet's name to go on", err=True) != wallet.name:
        raise WalletError("the name typed is another one; nothing was shown", subject=wallet.name)
    typer.echo(services.wallets.export_key(wallet.name))


def list_wallets(json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:  # noqa: FBT002
    """List the wallets of this home."""
    services = open_services()
    wallets = services.wallets.list()
    if json_output:
        print_json([{"name": wallet.name, "address": wallet.address} for wallet in wallets])
    elif wallets:
        for wallet in wallets:
            typer.echo(f"{wallet.name:<16} {wallet.address}")
    else:
        typer.echo("no wallets yet: make one with `sniperforge wallet-create`")


def balance(
    wallet: Annotated[str | None, typer.Argument(help="Name or address; default: the only wallet.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Show what a wallet holds on chain: SOL and every token account, of both token programs."""
    services = open_services()
    address = services.wallets.address_of(wallet or services.settings.wallet)
    balances = services.wallets.balances(services.chain, address)
    if json_output:
        print_json(_as_json(balances))
        return
    typer.echo(f"{address} on {services.settings.network}")
    typer.echo(f"{'SOL':<10} {format_units(balances.lamports, SOL_DECIMALS):>24}")
    symbols = _symbols(services, [account.mint for account in balances.tokens])
    for account in balances.tokens:
        symbol = symbols.get(account.mint, "")
        note = " (frozen)" if account.frozen else ""
        typer.echo(f"{symbol:<10} {format_units(account.raw, account.decimals):>24}  {account.mint}{note}")
    if not balances.lamports:
        typer.echo("no SOL: a wallet needs some for fees and rent before it can trade")


def _symbols(services: Services, mints: list[Mint]) -> dict[Mint, str]:
    """Symbols for people. Without Jupiter the balances are shown all the same, and that names are missing is said."""
    symbols = {WSOL_MINT: "wSOL"}
    wanted = [mint for mint in mints if mint not in symbols]
    if wanted and services.settings.effective_jupiter_url is not None:
        try:
            symbols |= {item.mint: item.symbol for item in services.exchange.search_tokens(",".join(wanted))}
        except RetryableError as error:
            typer.echo(f"symbols are missing: {error}", err=True)
    return symbols


def _as_json(balances: WalletBalances) -> dict[str, object]:
    return {
        "address": balances.address,
        "lamports": balances.lamports,
        "tokens": [
            {
                "account": account.address,
                "mint": account.mint,
                "program": account.program,
                "raw": str(account.raw),
                "decimals": account.decimals,
                "frozen": account.frozen,
            }
            for account in balances.tokens
        ],
    }
