"""`strategy-list` and `strategy-show`: what plans do and did, as the books tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services, print_json
from sniperforge.cli.plan_preview import RUNS_SHOWN, run_line
from sniperforge.cli.token_names import TokenNames, names_of, short
from sniperforge.domain.money import Mint
from sniperforge.ports.plans import Occurrence, Plan, PlanState
from sniperforge.ports.queue import PlanId

if TYPE_CHECKING:
    from sniperforge.strategies.schedule import Round
    from sniperforge.trading.plan_report import PlanReport

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("strategy-list")(list_plans)
    app.command("strategy-show")(show)


def list_plans(json_output: Json = False) -> None:  # noqa: FBT002 (a flag)
    """List every plan: what it trades, whether it is at work, and when next."""
    services = open_services()
    with services.store.read() as books:
        plans = books.plans.every()
    if json_output:
        print_json([_plan_json(plan) for plan in plans])
        return
    if not plans:
        typer.echo("no plans yet: `sniperforge strategy-run --type dca --config dca.json` makes one")
        return
    names = names_of(services, [mint for plan in plans for mint in _mints(plan)])
    for plan in plans:
        what = " -> ".join(names.symbol(mint) for mint in _mints(plan))
        due_at = plan.next_due_at if plan.status is PlanState.ACTIVE else None
        following = "" if due_at is None else run_line(due_at)
        typer.echo(f"{plan.id:<20}  {plan.kind:<8}  {plan.status.value:<6}  {what:<16}  {following}".rstrip())


def show(
    name: Annotated[str, typer.Argument(help="Name of the plan.")],
    limit: Annotated[int, typer.Option(min=1, help="How many rounds.")] = 20,
    json_output: Json = False,  # noqa: FBT002
) -> None:
    """Tell what a plan did: rounds with their trades, what was skipped and why, what it spent, its average price."""
    from sniperforge.trading.plan_report import read_plan

    services = open_services()
    report = read_plan(services.store, PlanId(name), rounds=limit)
    # A plan whose strategy was uninstalled can still be looked at, and stopped.
    is_known = report.plan.kind in services.strategies.kinds()
    runs = services.plan_desk.rounds_of(report.plan, RUNS_SHOWN) if is_known else ()
    names = names_of(services, _mints(report.plan))
    if json_output:
        print_json(_report_json(report, runs, names))
    else:
        typer.echo("\n".join(_lines(report, runs, names)))


def _mints(plan: Plan) -> tuple[Mint, Mint]:
    return Mint(plan.config["input_token"]), Mint(plan.config["output_token"])


def _lines(report: PlanReport, runs: tuple[Round, ...], names: TokenNames) -> Iterator[str]:
    plan = report.plan
    yield f"plan {plan.id} ({plan.kind}): {plan.status.value}"
    wallet = f"{report.wallet.name} {plan.wallet}" if report.wallet else plan.wallet
    yield f"  wallet        {wallet}"
    yield f"  trades        {names.symbol(report.input_mint)} -> {names.symbol(report.output_mint)}"
    yield f"  settings      {json.dumps(_settings(plan), sort_keys=True)}"
    fills = f"{len(report.fills)} fills"
    if report.provisional:
        fills += f", {report.provisional} of them provisional until finalized"
    yield f"  spent         {names.amount(report.spent_raw, report.input_mint)}"
    yield f"  got           {names.amount(report.got_raw, report.output_mint)} in {fills}"
    average = _average(report, names)
    if average is not None:
        yield f"  average price 1 {names.symbol(report.output_mint)} = {average} {names.symbol(report.input_mint)}"
    for number, run in enumerate(runs):
        yield f"  {'' if number else 'next runs':<13} {run_line(run.due_at)}"
    yield "rounds, newest first" if report.rounds else "no round yet"
    for one in report.rounds:
        yield f"  {one.occurrence:>6}  {one.due_at:%Y-%m-%d %H:%M:%S} UTC  {_became(one, report, names)}"


def _became(one: Occurrence, report: PlanReport, names: TokenNames) -> str:
    trade = report.trades.get(one.intent_id) if one.intent_id is not None else None
    if trade is None:
        return f"skipped: {one.reason}"
    fill = report.fill_of(trade.id)
    if fill is None:
        because = f": {trade.reason}" if trade.reason else ""
        return f"{trade.state.value:<9}  {trade.id}{because}"
    given, got = names.amount(fill.input_raw, fill.input_mint), names.amount(fill.output_raw, fill.output_mint)
    return f"{trade.state.value:<9}  {trade.id}  {given} -> {got}"


def _settings(plan: Plan) -> dict[str, Any]:
    """As they were written; exact fractions as text."""
    written: dict[str, Any] = json.loads(json.dumps(plan.config, default=str))
    return written


def _average(report: PlanReport, names: TokenNames) -> str | None:
    source, target = names.known.get(report.input_mint), names.known.get(report.output_mint)
    if source is None or target is None:
        return None
    average = report.average_price(source.decimals, target.decimals)
    return None if average is None else short(average)


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.id,
        "kind": plan.kind,
        "status": plan.status.value,
        "wallet": plan.wallet,
        "input_mint": plan.config["input_token"],
        "output_mint": plan.config["output_token"],
        "settings": _settings(plan),
        "next_round": plan.next_occurrence,
        "next_due_at": None if plan.next_due_at is None else plan.next_due_at.isoformat(),
        "created_at": plan.created_at.isoformat(),
    }


def _report_json(report: PlanReport, runs: tuple[Round, ...], names: TokenNames) -> dict[str, Any]:
    return _plan_json(report.plan) | {
        "spent_raw": report.spent_raw,
        "got_raw": report.got_raw,
        "fills": len(report.fills),
        "provisional_fills": report.provisional,
        "average_price": _average(report, names),
        "next_runs": [one.due_at.isoformat() for one in runs],
        "rounds": [_round_json(one, report) for one in report.rounds],
    }


def _round_json(one: Occurrence, report: PlanReport) -> dict[str, Any]:
    trade = report.trades.get(one.intent_id) if one.intent_id is not None else None
    fill = None if trade is None else report.fill_of(trade.id)
    return {
        "number": one.occurrence,
        "state": one.state.value,
        "due_at": one.due_at.isoformat(),
        "decided_at": one.decided_at.isoformat(),
        "reason": one.reason,
        "trade": None if trade is None else trade.id,
        "trade_state": None if trade is None else trade.state.value,
        "trade_reason": None if trade is None else trade.reason,
        "input_raw": None if fill is None else fill.input_raw,
        "output_raw": None if fill is None else fill.output_raw,
    }
