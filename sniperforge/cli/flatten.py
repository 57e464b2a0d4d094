"""`flatten`: end everything that is open, and sell what was bought here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from sniperforge.cli.common import open_services, this_process
from sniperforge.cli.follow import Steps, follow, ring
from sniperforge.cli.portfolio import known_wallet, prices_now
from sniperforge.cli.token_names import TokenNames, names_of
from sniperforge.errors import ConflictError, InvalidInputError, TokenError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.intent import TradeIntent
    from sniperforge.domain.money import Address
    from sniperforge.ports.records import WalletRecord
    from sniperforge.shared.tokens import ResolvedToken
    from sniperforge.trading.flattening import Selling, WalletView
    from sniperforge.trading.progress import Progress

SETTLE_WITHIN = timedelta(seconds=150)
"""How long signed transactions are waited for: longer than a blockhash lives."""

_RUN_CHARACTERS = 10
_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("flatten")(flatten)


def flatten(
    wallet: Annotated[str | None, typer.Option(help="Name or address; default: the only wallet.")] = None,
    to: Annotated[str, typer.Option("--to", help="What everything is sold for: symbol or mint.")] = "USDC",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002 (flags)
    wait: Annotated[bool, typer.Option("--wait", help="Stay and show what the workers do.")] = False,  # noqa: FBT002
    inline: Annotated[bool, typer.Option("--inline", help="Sell in this process, without workers.")] = False,  # noqa: FBT002
) -> None:
    """Cancel open orders and trades of a wallet, sell what was bought here, after asking; exit 1 if anything stays."""
    services = open_services()
    address = services.wallets.find(wallet or services.settings.wallet).address
    _possible(services, address, inline=inline, wait=wait)
    target = services.tokens.resolve(to)
    with services.store.read() as books:
        record = known_wallet(books.wallets.get(address), address)
    view, names, selling = _look(services, address, target)
    typer.echo("\n".join(_shown(services, record, view, selling, names, target)))
    if not view.open_orders and not view.open_trades and not selling.sales:
        raise typer.Exit(_status(selling))
    _agreed(view, selling, yes=yes)
    services.wallets.unlock(address)
    try:
        intents, selling, still_open = _carry_out(services, address, target)
        _finish(services, intents, inline=inline, wait=wait)
    except KeyboardInterrupt:
        typer.echo(
            "\nsniperforge: interrupted. What was cancelled stays cancelled and what was decided goes on: "
            "`sniperforge trades` lists it; run it again for the rest",
            err=True,
        )
        raise typer.Exit(_INTERRUPTED) from None
    raise typer.Exit(_status(selling) or int(still_open) or _failed(services, intents))


def _possible(services: Services, address: Address, *, inline: bool, wait: bool) -> None:
    """Everything that is known to stop it is said before anything is asked."""
    from sniperforge.domain.intent import ExposureEffect
    from sniperforge.trading.controls import stop_reason

    if inline and wait:
        raise InvalidInputError("--inline and --wait: give one of them", subject="flatten")
    if not inline and services.settings.redis_url is None:
        raise InvalidInputError(
            "nothing was done: no stack runs on this home, so nobody would sell anything",
            subject="flatten",
            fix="Start one with `sniperforge up`, or add --inline to sell in this process",
        )
    with services.store.read() as books:
        stopped = stop_reason(books, address, ExposureEffect.EXIT)
    if stopped is not None:
        raise InvalidInputError(f"nothing was done: {stopped}", subject="flatten")


def _look(services: Services, address: Address, target: ResolvedToken) -> tuple[WalletView, TokenNames, Selling]:
    """What there is, and what would become of it. Each token is asked about anew."""
    from sniperforge.trading.flattening import plan_sales, quote_sales, view_wallet

    with services.store.read() as books:
        view = view_wallet(books, address)
    held = [mint for mint, position in view.account.positions.items() if position.raw and mint != target.mint]
    others = [*(one.output_mint for one in view.open_trades), *(one.base_mint for one in view.open_orders)]
    names = names_of(services, [*held, target.mint, *others])
    selling = plan_sales(
        view,
        target=target.mint,
        prices=prices_now(services, held),
        decimals={mint: name.decimals for mint, name in names.known.items()},
        lamports_per_sale=_lamports_per_sale(services),
    )
    return view, names, quote_sales(selling, target=target.mint, exchange=services.exchange)


def _lamports_per_sale(services: Services) -> int:
    """The most that one sale may hold back: fee, tip, and rent for two new accounts and a temporary one."""
    from sniperforge.trading.preparation import TOKEN_ACCOUNT_BYTES

    settings = services.settings
    rent = services.chain.minimum_rent(TOKEN_ACCOUNT_BYTES)
    return settings.max_network_fee_lamports + settings.max_tip_lamports + 3 * rent


def _agreed(view: WalletView, selling: Selling, *, yes: bool) -> None:
    if yes:
        return
    orders = f"{len(view.open_orders)} open orders, " if view.open_orders else ""
    told = f"cancel {orders}{len(view.to_cancel)} open trades and sell {len(selling.sales)} positions"
    if not sys.stdin.isatty():
        raise InvalidInputError(f"nothing was done: it would {told}", subject="flatten", fix="Add --yes to agree")
    typer.confirm(f"{told[0].upper()}{told[1:]}?", abort=True, err=True)


def _carry_out(services: Services, address: Address, target: ResolvedToken) -> tuple[list[TradeIntent], Selling, bool]:
    """Cancel, wait for what is signed, count again, and decide the sales; whether an order is open all the same."""
    import uuid

    from sniperforge.trading.flattening import Kept, busy_mints, end_what_is_open

    executor = services.executor(owner=this_process(), watch=_tell)
    # Any number of executors may work on the same books, so this does not depend on workers.
    left = end_what_is_open(
        services.store,
        executor,
        services.clock,
        address,
        cancel_order=lambda order: services.order_desk.cancel(order, by="flatten"),
        within=SETTLE_WITHIN,
    )
    with services.store.read() as books:
        busy = busy_mints(books, left)
    view, names, selling = _look(services, address, target)
    for order in view.open_orders:
        typer.echo(f"order {order.id} is still open: `sniperforge order-show {order.id}` tells why", err=True)
    run = uuid.uuid4().hex[:_RUN_CHARACTERS]
    intents = []
    kept = list(selling.kept)
    for sale in selling.sales:
        why = f"trade {busy[sale.mint]} may still change how much there is; run it again" if sale.mint in busy else None
        if why is None:
            try:
                intents.append(executor.decide(sale.request(run, address, target.mint)))
            except (ConflictError, InvalidInputError, TokenError) as error:
                why = str(error)
        if why is not None:
            kept.append(Kept(mint=sale.mint, raw=sale.raw, why=why))
            typer.echo(f"{names.amount(sale.raw, sale.mint)} stays: {why}", err=True)
    return intents, replace(selling, kept=tuple(kept)), bool(view.open_orders)


def _tell(step: Progress) -> None:
    typer.echo(f"{step.intent_id}  {step.step.value:<10} {step.text}")


def _finish(services: Services, intents: Sequence[TradeIntent], *, inline: bool, wait: bool) -> None:
    from sniperforge.cli.trades import names_for, result_lines
    from sniperforge.trading.sweep import settle
    from sniperforge.trading.trade_report import read_report

    if inline:
        executor = services.executor(owner=this_process(), watch=_tell)
        within = timedelta(seconds=services.settings.trade_deadline_s) + SETTLE_WITHIN
        settle(executor, services.clock, [one.id for one in intents], within=within)
        reports = [read_report(services.store, one.id) for one in intents]
    else:
        for one in intents:
            ring(services, one)
            typer.echo(f"trade {one.id}")
        reports = [follow(services, one.id, Steps(silent=False)) for one in intents] if wait else []
    if reports:
        names = names_for(services, reports)
        typer.echo("\n".join(line for report in reports for line in result_lines(report, names)))
    elif intents:
        typer.echo("workers sell it; `sniperforge trades` lists how far they are")


def _shown(
    services: Services,
    record: WalletRecord,
    view: WalletView,
    selling: Selling,
    names: TokenNames,
    target: ResolvedToken,
) -> Iterator[str]:
    from sniperforge.ports.plans import PlanState

    yield f"wallet {record.name} {record.address} on {record.network}"
    for order in view.open_orders:
        yield f"  cancel   order {order.id} ({order.kind.value} for {names.symbol(order.base_mint)})"
    for one in view.to_cancel:
        yield (
            f"  cancel   trade {one.id} ({one.state.value}): {names.symbol(one.input_mint)} -> "
            f"{names.symbol(one.output_mint)}"
        )
    landed = len(view.open_trades) - len(view.to_cancel)
    if landed:
        yield f"  wait     for {landed} trades that have landed and are not final"
    for sale in selling.sales:
        about = (
            "nobody says for how much" if sale.about_out_raw is None else names.amount(sale.about_out_raw, target.mint)
        )
        yield f"  sell     {names.amount(sale.raw, sale.mint)} for about {about}"
    for stays in selling.kept:
        yield f"  stays    {names.amount(stays.raw, stays.mint)}: {stays.why}"
    if not view.open_orders and not view.open_trades and not selling.sales:
        yield "  nothing is open, and nothing that was bought here can be sold"
    with services.store.read() as books:
        plans = [plan for plan in books.plans.every() if plan.wallet == record.address]
    for plan in plans:
        if plan.status is PlanState.ACTIVE:
            yield f"plan {plan.id} goes on trading; `sniperforge strategy-pause {plan.id}` stops it first"


def _status(selling: Selling) -> int:
    return 1 if any(not one.is_dust for one in selling.kept) else 0


def _failed(services: Services, intents: Sequence[TradeIntent]) -> int:
    """1 when one of these trades has ended without a fill."""
    from sniperforge.domain.intent import TERMINAL_INTENT_STATES

    with services.store.read() as books:
        found = [books.intents.get(one.id) for one in intents]
    return 1 if any(one is not None and one.state in TERMINAL_INTENT_STATES for one in found) else 0
