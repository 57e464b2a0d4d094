"""`order-cancel`: an order is taken out of reach of the market, and what becomes of its trade is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sniperforge.cli.common import open_services, print_json, this_process
from sniperforge.cli.order_show import as_json, entry_is_under_way
from sniperforge.domain.intent import AttemptState
from sniperforge.domain.order import OrderState

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.intent import TradeIntent
    from sniperforge.trading.order_report import OrderReport
    from sniperforge.trading.trade_report import TradeReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("order-cancel")(cancel)


def cancel(
    order_id: Annotated[str, typer.Argument(help="Id of the order, or its beginning.")],
    wait: Annotated[bool, typer.Option("--wait", help="Stay until a trade of it that is under way has ended.")] = False,  # noqa: FBT002 (flags)
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Cancel an order. A trade of it that was signed may still land, and is reported; exit 1 if exits are live then."""
    from sniperforge.trading.order_report import find_order, read_order

    services = open_services()
    with services.store.read() as books:
        found = find_order(books, order_id).id
    services.order_desk.cancel(found, by=this_process())
    for trade in read_order(services.store, found).under_way:
        _see_off(services, trade, wait=wait, silent=json_output)
    tell_the_end(read_order(services.store, found), json_output=json_output)


def tell_the_end(report: OrderReport, *, json_output: bool) -> None:
    """Say where an order stands that was cancelled.

    Raises:
        typer.Exit: With status 1, when it goes on all the same.
    """
    if json_output:
        print_json(as_json(report))
    too_late = was_too_late(report)
    if too_late or not json_output:
        typer.echo(end_words(report), err=too_late)
    if too_late:
        raise typer.Exit(1)


def was_too_late(report: OrderReport) -> bool:
    """Whether an order that was cancelled goes on: the entry of a bracket filled all the same, so its exits are live.

    The books take the wish back in the commit that begins the exits (`order_life`).
    """
    return report.order.state is OrderState.OPEN and report.order.cancel_requested_at is None


def end_words(report: OrderReport) -> str:
    """Where an order stands that was cancelled."""
    order = report.order
    if was_too_late(report):
        again = f"cancel again to end them: `sniperforge order-cancel {order.id}`"
        return f"order {order.id} was cancelled too late. Its entry filled: its exits are live; {again}"
    if order.state is not OrderState.OPEN:
        because = f": {order.reason}" if order.reason else ""
        return f"order {order.id} is {order.state.value}{because}"
    if entry_is_under_way(report):
        return f"order {order.id} ends with the trade of its entry, unless that fills: then its exits are live"
    return f"order {order.id} ends with its trade; nothing of it fires any more"


def trade_words(report: TradeReport) -> str:
    """What the trade of an order that was cancelled may still do."""
    told = f"`sniperforge trade-show {report.intent.id}` tells what becomes of it"
    live = report.live
    if live is None:
        return f"nothing is signed for it; {told}"
    if live.state is AttemptState.CONFIRMED:
        return f"it is signed as {live.signature} and has landed, but is not final; {told}"
    return f"it is signed as {live.signature} and may still land; {told}"


def _see_off(services: Services, trade: TradeIntent, *, wait: bool, silent: bool) -> None:
    """Say what becomes of a trade whose order was cancelled; if asked, stay until workers, or we, have ended it."""
    from sniperforge.cli.follow import Steps, follow, ring
    from sniperforge.cli.trades import summary_line
    from sniperforge.trading.executor_policy import Until
    from sniperforge.trading.trade_report import read_report

    somebody_works = services.settings.redis_url is not None
    if somebody_works:
        ring(services, trade)
    if wait and somebody_works:
        follow(services, trade.id, Steps(silent=silent))
    elif wait:
        services.executor(owner=this_process()).run(trade.id, until=Until.SETTLED)
    report = read_report(services.store, trade.id)
    typer.echo(summary_line(report.intent), err=True)
    if not report.settled:
        typer.echo(trade_words(report), err=True)
