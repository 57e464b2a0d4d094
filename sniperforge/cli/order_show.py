"""`order-list` and `order-show`: what orders wait for and how far that is, as the books tell it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services, print_json
from sniperforge.cli.order_words import (
    leg_words,
    level_words,
    limit_words,
    mints_in,
    subject_words,
    value_words,
)
from sniperforge.cli.token_names import TokenNames, names_of
from sniperforge.domain.order import LegName, LegState
from sniperforge.trading.order_arming import subjects_of
from sniperforge.trading.order_legs import waits_for_nothing

if TYPE_CHECKING:
    from datetime import datetime

    from sniperforge.domain.money import Mint
    from sniperforge.domain.order import Leg
    from sniperforge.trading.order_report import LegReport, OrderReport, TriggerReport

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("order-list")(list_orders)
    app.command("order-show")(show)


def list_orders(
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    ended: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,  # noqa: FBT002
    json_output: Json = False,  # noqa: FBT002
) -> None:
    """List orders, newest first: what they wait for, whether they are armed, and how far the market is."""
    from sniperforge.trading.order_report import read_orders

    services = open_services()
    reports = read_orders(services.store, limit, ended=ended)
    if json_output:
        print_json([as_json(report) for report in reports])
        return
    if not reports:
        typer.echo("no open orders: `sniperforge order-create --type stop-loss --token SOL --trigger 140` makes one")
        return
    names = names_of(services, [mint for report in reports for mint in _mints(report)])
    for report in reports:
        typer.echo("\n".join(list_lines(report, names)))


def show(
    order_id: Annotated[str, typer.Argument(help="Id of the order, or its beginning.")],
    json_output: Json = False,  # noqa: FBT002
) -> None:
    """Tell everything about one order: whether it is armed, its level and distance, its firings and their trades."""
    from sniperforge.trading.order_report import read_order

    services = open_services()
    report = read_order(services.store, order_id)
    if json_output:
        print_json(as_json(report))
    else:
        typer.echo("\n".join(show_lines(report, names_of(services, _mints(report)))))


def show_lines(report: OrderReport, names: TokenNames) -> Iterator[str]:
    """An order for people."""
    order = report.order
    because = f": {order.reason}" if order.reason else ""
    yield f"order {order.id} ({order.kind.value}): {order.state.value}{because}"
    wallet = f"{report.wallet.name} {order.wallet}" if report.wallet else order.wallet
    yield f"  wallet        {wallet}"
    yield f"  made          {_moment(order.created_at)}"
    yield f"  ends          {'never' if order.expires_at is None else _moment(order.expires_at)}"
    if order.cancel_requested_at is not None and order.state.value == "open":
        ends = (
            "it ends with its entry's trade, unless that fills"
            if entry_is_under_way(report)
            else "it ends with its trade"
        )
        yield f"  cancelled     {_moment(order.cancel_requested_at)}; {ends}"
    for one in report.legs:
        yield from _leg_lines(one, report, names)


def entry_is_under_way(report: OrderReport) -> bool:
    """Whether a bracket may still buy, and have live exits then, even if it was cancelled."""
    return any(one.leg.name is LegName.ENTRY and one.leg.state is LegState.FIRED for one in report.legs)


def as_json(report: OrderReport) -> dict[str, Any]:
    """An order for programs; exact numbers are text."""
    order = report.order
    return {
        "id": order.id,
        "kind": order.kind.value,
        "state": order.state.value,
        "wallet": order.wallet,
        "base_mint": order.base_mint,
        "quote_mint": order.quote_mint,
        "created_at": order.created_at.isoformat(),
        "expires_at": _iso(order.expires_at),
        "cancel_requested_at": _iso(order.cancel_requested_at),
        "reason": order.reason,
        "legs": [_leg_json(one) for one in report.legs],
    }


def list_lines(report: OrderReport, names: TokenNames) -> Iterator[str]:
    """An order among others, for people."""
    order = report.order
    yield f"{order.id}  {order.kind.value:<13}  {order.state.value:<9}  {names.symbol(order.base_mint)}"
    for one in report.legs:
        yield f"    {leg_words(one.leg, order, names)}"
        known = [trigger for trigger in one.triggers if trigger.percent is not None]
        nearest = sorted(known, key=lambda trigger: abs(trigger.percent or Decimal(0)))[:1]
        distance = "".join(f"; {_distance(trigger, names)}" for trigger in nearest)
        yield f"      {one.standing}{distance}"
    if report.unchecked is not None:
        yield f"    {_unchecked(report.unchecked, names)}"


def _mints(report: OrderReport) -> list[Mint]:
    return mints_in(report.order, [one.leg for one in report.legs])


def _leg_lines(one: LegReport, report: OrderReport, names: TokenNames) -> Iterator[str]:
    leg = one.leg
    yield f"leg {leg.name.value}: {one.standing}"
    yield f"  does          {leg_words(leg, report.order, names)}"
    yield f"  limits        {limit_words(leg)}"
    for trigger in () if waits_for_nothing(leg.rule) else one.triggers:
        yield from _trigger_lines(trigger, names)
    if leg.fired_at is not None:
        yield f"  fired         {_moment(leg.fired_at)}{_fired_at(leg, names)}"
    for trade in one.trades:
        because = f": {trade.reason}" if trade.reason else ""
        yield f"  trade         {trade.id}  {trade.state.value}{because}"


def _fired_at(leg: Leg, names: TokenNames) -> str:
    """The value that fired it; of several that it waited for it is not known which had this one."""
    if leg.fired_value is None:
        return ""
    subjects = subjects_of(leg.rule)
    value = value_words(leg.fired_value, subjects[0], names) if len(subjects) == 1 else f"{leg.fired_value:f}"
    gap = "" if not leg.gap_bps or waits_for_nothing(leg.rule) else f", {leg.gap_bps} bps beyond its level"
    return f" at {value}{gap}"


def _trigger_lines(one: TriggerReport, names: TokenNames) -> Iterator[str]:
    view, subject = one.view, one.view.trigger.subject
    held = "" if view.state.value == "armed" else f" ({view.state.value})"
    if view.best is not None:
        yield f"  best price    {value_words(view.best, subject, names)}"
    if view.level is None:
        yield f"  level{held:<8} none: no price is so low"
    elif one.value is None:
        yield f"  level{held:<8} {value_words(view.level, subject, names)}; not looked at yet"
    else:
        yield f"  level{held:<8} {_distance(one, names)}"
    if one.problem is not None:
        yield f"  unchecked     {_unchecked(one, names)}"
    elif one.seen_at is not None:
        yield f"  last look     {_moment(one.seen_at)}"


def _distance(one: TriggerReport, names: TokenNames) -> str:
    level, value = one.view.level, one.value
    if level is None or value is None:
        return "not looked at yet"
    return level_words(level, value, one.view.trigger.subject, names)


def _unchecked(one: TriggerReport, names: TokenNames) -> str:
    since = "" if one.problem_since is None else f" since {_moment(one.problem_since)}"
    return f"{subject_words(one.view.trigger.subject, names)} is not checked{since}: {one.problem}"


def _leg_json(one: LegReport) -> dict[str, Any]:
    leg = one.leg
    return {
        "name": leg.name.value,
        "state": leg.state.value,
        "armed": one.is_armed,
        "standing": one.standing,
        "effect": leg.effect.value,
        "input_mint": leg.input_mint,
        "output_mint": leg.output_mint,
        "amount": {"kind": leg.amount.kind.value, "value": leg.amount.value},
        "reduce_only": leg.reduce_only,
        "confirmations": leg.confirmations,
        "max_slippage_bps": leg.max_slippage_bps,
        "widen_to_bps": leg.widen_to_bps,
        "deadline_s": leg.deadline_s,
        "active_from": _iso(leg.active_from),
        "firings": leg.firings,
        "fired_at": _iso(leg.fired_at),
        "fired_value": None if leg.fired_value is None else f"{leg.fired_value:f}",
        "gap_bps": leg.gap_bps,
        "refire_at": _iso(leg.refire_at),
        "reason": leg.reason,
        "triggers": [_trigger_json(trigger) for trigger in one.triggers],
        "trades": [{"id": trade.id, "state": trade.state.value, "reason": trade.reason} for trade in one.trades],
    }


def _trigger_json(one: TriggerReport) -> dict[str, Any]:
    view = one.view

    def exact(value: Any) -> str | None:
        return None if value is None else f"{value:f}"

    return {
        "subject": view.trigger.subject,
        "direction": view.trigger.direction.value,
        "state": view.state.value,
        "counted": view.counted,
        "confirmations": view.trigger.confirmations,
        "best": exact(view.best),
        "level": exact(view.level),
        "value": exact(one.value),
        "distance_percent": None if one.percent is None else f"{one.percent:.4f}",
        "seen_at": _iso(one.seen_at),
        "problem": one.problem,
        "problem_since": _iso(one.problem_since),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
