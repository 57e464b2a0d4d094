"""`devnet-check`: one transaction of our own through everything a trade goes through, but for Jupiter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sniperforge.cli.common import open_services, this_process
from sniperforge.cli.follow import Steps
from sniperforge.domain.money import SOL_DECIMALS, format_units
from sniperforge.errors import ConfigError, InvalidInputError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.money import Address, Signature
    from sniperforge.trading.progress import Progress
    from sniperforge.trading.trade_report import TradeReport

_FIRST_WALLET = "main"
_FAUCET = "https://faucet.solana.com"
_EXPLORER = "https://explorer.solana.com/tx"
_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("devnet-check")(devnet_check)


def devnet_check(
    wallet: Annotated[str | None, typer.Option(help="Name or address; default: the only wallet, or a new one.")] = None,
) -> None:
    """Send a few lamports from a wallet to itself, with a memo, and settle that like a trade. It costs its fee."""
    services = open_services()
    _right_network(services)
    if not services.wallets.addresses():
        services = open_services(new_passphrase=True)
        typer.echo(f"created wallet {services.wallets.create(_FIRST_WALLET).path} (back it up)")
    found = services.wallets.find(wallet or services.settings.wallet)
    typer.echo(f"wallet {found.name} {found.address} on {services.settings.network}")
    _funded(services, found.address)
    services.wallets.unlock(found.address)
    services.reconciler.adopt(found.name, found.address)
    report = _carried(services, found.address)
    typer.echo("\n".join(_lines(services, report)))
    if report.fill is None:
        raise typer.Exit(1)


def _right_network(services: Services) -> None:
    """The configured network is one for checks, and the nodes belong to it."""
    settings = services.settings
    if settings.mode == "paper":
        raise InvalidInputError(
            "with mode = paper nothing is signed or sent", subject="devnet-check", fix="Set SNIPERFORGE_MODE=live"
        )
    if settings.network == "mainnet":
        raise InvalidInputError(
            "on mainnet this would cost real SOL and show nothing that a trade does not",
            subject="devnet-check",
            fix="Set SNIPERFORGE_NETWORK=devnet, with a home of its own (SNIPERFORGE_HOME)",
        )
    expected, actual = settings.defaults.genesis_hash, services.chain.genesis_hash()
    if expected is not None and actual != expected:
        raise ConfigError(
            f"the nodes belong to another network than {settings.network} (genesis {actual}); nothing was sent",
            subject="rpc_urls",
            fix="Correct SNIPERFORGE_RPC_URLS or SNIPERFORGE_NETWORK",
        )


def _funded(services: Services, address: Address) -> None:
    """Say where to get SOL before anything is decided."""
    from sniperforge.trading.maintenance import CHECK_LAMPORTS
    from sniperforge.trading.transaction_guard import BASE_FEE_LAMPORTS

    (account,) = services.chain.accounts([address])
    needed = services.chain.minimum_rent(0) + CHECK_LAMPORTS + BASE_FEE_LAMPORTS
    there = account.lamports if account else 0
    if there < needed:
        hint = f"Ask {_FAUCET} for devnet SOL for {address}, then run this again"
        raise InvalidInputError(
            f"it has {format_units(there, SOL_DECIMALS)} SOL, and {format_units(needed, SOL_DECIMALS)} are needed",
            subject="wallet",
            fix=hint if services.settings.network == "devnet" else f"Fund {address}, then run this again",
        )


def _carried(services: Services, address: Address) -> TradeReport:
    """Decide the check, or find the one that is under way, and stay with it to its end."""
    from sniperforge.domain.intent import ExposureEffect
    from sniperforge.trading.controls import stop_reason
    from sniperforge.trading.maintenance import decide_network_check
    from sniperforge.trading.trade_report import read_report

    with services.store.read() as books:
        stopped = stop_reason(books, address, ExposureEffect.EXIT)
    if stopped is not None:
        raise InvalidInputError(f"nothing was decided: {stopped}", subject="devnet-check")
    steps, started = Steps(silent=False), services.clock.monotonic()

    def watch(progress: Progress) -> None:
        steps.show(progress.intent_id, services.clock.monotonic() - started, progress.step.value, progress.text)

    executor = services.executor(owner=this_process(), watch=watch)
    intent = decide_network_check(
        store=services.store, clock=services.clock, policy=services.executor_policy, wallet=address
    )
    typer.echo(f"check {intent.id}, decided as {intent.key}")
    try:
        executor.run(intent.id)
    except KeyboardInterrupt:
        typer.echo("\nsniperforge: interrupted. Nothing is lost; run it again to go on with this check", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    return read_report(services.store, intent.id)


def _lines(services: Services, report: TradeReport) -> list[str]:
    intent, fill = report.intent, report.fill
    if fill is None:
        return [f"check {intent.id} is {intent.state.value}: {intent.reason}"]
    lines = [
        f"landed in slot {fill.slot}, final; it cost {format_units(fill.fee_lamports, SOL_DECIMALS)} SOL",
        f"signature {fill.signature}",
    ]
    if services.settings.network == "devnet":
        lines.append(f"look at it: {_link(fill.signature)}")
        lines.append("everything works here but trading: Jupiter exists on mainnet only")
    return lines


def _link(signature: Signature) -> str:
    return f"{_EXPLORER}/{signature}?cluster=devnet"
