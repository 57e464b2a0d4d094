"""`trades` and `trade-show`: what the books tell of trades. Nothing is asked of anybody but names of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services, print_json
from sniperforge.cli.token_names import TokenNames, names_of, short
from sniperforge.domain.intent import (
    Attempt,
    AttemptState,
    Fill,
    FillState,
    IntentKind,
    SendPath,
    TradeIntent,
)
from sniperforge.domain.money import SOL_DECIMALS, format_units

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.trading.trade_report import TradeReport

_REASON_CHARACTERS = 70


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("trades")(trades)
    app.command("trade-show")(show)


def trades(
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """List trades, newest first."""
    services = open_services()
    with services.store.read() as books:
        intents = books.intents.recent(limit)
    if json_output:
        print_json([_intent_json(intent) for intent in intents])
        return
    if not intents:
        typer.echo("no trades yet")
        return
    names = names_of(services, [mint for intent in intents for mint in (intent.input_mint, intent.output_mint)])
    now = services.clock.now()
    for intent in intents:
        reason = _cut(intent.reason or "")
        age = _age(now - intent.created_at)
        what = f"{_mark(intent)}{_what(intent, names)}"
        typer.echo(f"{intent.id}  {age:>4}  {intent.state.value:<9}  {what:<32}  {reason}".rstrip())


def show(
    trade_id: Annotated[str, typer.Argument(help="Id of the trade, or its beginning.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Tell everything about one trade: its transactions, what was swapped, what it cost, its timeline, what is next."""
    from sniperforge.trading.trade_report import read_report

    services = open_services()
    report = read_report(services.store, trade_id)
    if json_output:
        print_json(as_json(report))
    else:
        typer.echo("\n".join(_all_lines(report, names_for(services, [report]))))


def names_for(services: Services, reports: Sequence[TradeReport]) -> TokenNames:
    """Names of every token in these reports."""
    return names_of(services, [mint for one in reports for mint in (one.intent.input_mint, one.intent.output_mint)])


def summary_line(intent: TradeIntent) -> str:
    """A trade in one line, without names."""
    because = f": {intent.reason}" if intent.reason else ""
    return f"{_mark(intent)}trade {intent.id} is {intent.state.value}{because}"


def result_lines(report: TradeReport, names: TokenNames) -> list[str]:
    """What came of a trade, for the end of a command that carried it there."""
    lines = [f"{_mark(report.intent)}trade {report.intent.id}: {_state(report)}"]
    lines += [f"  {line}" for line in _fill_lines(report, names)]
    return lines


def _all_lines(report: TradeReport, names: TokenNames) -> Iterator[str]:
    intent = report.intent
    yield f"{_mark(intent)}trade {intent.id}: {_state(report)}"
    if intent.path is SendPath.PAPER:
        yield "  paper         nothing was signed or sent; fills are live quotes, fees and rent are estimates"
    yield f"  decided       {_moment(intent.created_at)} as {intent.key}"
    wallet = f"{report.wallet.name} {intent.wallet}" if report.wallet else intent.wallet
    yield f"  wallet        {wallet}"
    yield f"  what          {_what(intent, names)}, {intent.effect.value}"
    yield f"  limits        {_limits(intent, names)}"
    if intent.reason:
        yield f"  reason        {intent.reason}"
    yield f"  next          {report.next_action}"
    for attempt in report.attempts:
        yield from _attempt_lines(attempt, names, intent)
    if report.fill is not None:
        yield f"fill ({report.fill.state.value}, slot {report.fill.slot})"
        for line in _fill_lines(report, names):
            yield f"  {line}"
    yield "timeline"
    for event in report.events:
        after = (event.at - intent.created_at).total_seconds()
        yield f"  {_moment(event.at)} {after:>+9.3f} s  {event.kind:<22} {event.message}"


def _attempt_lines(attempt: Attempt, names: TokenNames, intent: TradeIntent) -> Iterator[str]:
    from sniperforge.trading.trade_report import death_in_words

    yield f"attempt {attempt.number}: {attempt.state.value}"
    yield f"  signature     {attempt.signature}"
    if attempt.path is SendPath.PAPER:
        yield f"  quoted        {names.amount(attempt.quoted_out_raw, intent.output_mint)} by {attempt.router}"
        return
    if intent.kind is IntentKind.TRADE:
        quoted, least = (names.amount(raw, intent.output_mint) for raw in (attempt.quoted_out_raw, attempt.min_out_raw))
        yield f"  quoted        {quoted} by {attempt.router or 'an unnamed router'}, at least {least}"
    sent = f"{attempt.sent_count} times" if attempt.sent_count != 1 else "once"
    answered = f"; {attempt.execute_message}" if attempt.execute_message else ""
    yield f"  sent          {sent}{answered}"
    if attempt.landed_slot is not None:
        failed = f" with an error: {attempt.landed_error}" if attempt.landed_error else ""
        yield f"  landed        in slot {attempt.landed_slot}{failed}"
    elif attempt.bound_block_height is not None and attempt.state in (AttemptState.SIGNED, AttemptState.SENT):
        yield f"  may land      up to block height {attempt.bound_block_height}"
    for line in death_in_words(attempt):
        yield f"  dead          {line}"


def _fill_lines(report: TradeReport, names: TokenNames) -> Iterator[str]:
    fill, attempt = report.fill, report.filled_by
    if fill is None or attempt is None:
        return
    if report.intent.kind is IntentKind.TRADE:
        yield from _swap_lines(report, fill, attempt, names)
    for name, lamports in _costs(fill):
        yield f"{name:<13} {format_units(lamports, SOL_DECIMALS)} SOL"
    yield f"signature     {fill.signature}"


def _swap_lines(report: TradeReport, fill: Fill, attempt: Attempt, names: TokenNames) -> Iterator[str]:
    yield f"gave          {names.amount(fill.input_raw, fill.input_mint)}"
    yield f"got           {names.amount(fill.output_raw, fill.output_mint)}"
    price = _price_line(fill, names)
    if price is not None:
        yield f"price         {price}"
    realised = report.realised_bps
    better = "" if realised is None else f", realised {realised:+.2f} bps"
    yield f"quoted        {names.amount(attempt.quoted_out_raw, fill.output_mint)}{better}"
    yield f"at least      {names.amount(attempt.min_out_raw, fill.output_mint)}"


def _price_line(fill: Fill, names: TokenNames) -> str | None:
    from sniperforge.trading.trade_report import price

    source, target = names.known.get(fill.input_mint), names.known.get(fill.output_mint)
    if source is None or target is None:
        return None
    both = price(fill, source.decimals, target.decimals)
    if both is None:
        return None
    forth, back = (short(one) for one in both)
    return f"1 {target.symbol} = {forth} {source.symbol}, 1 {source.symbol} = {back} {target.symbol}"


def _costs(fill: Fill) -> list[tuple[str, int]]:
    lines = [("fee", fill.fee_lamports), ("tip", fill.tip_lamports), ("rent", fill.rent_paid_lamports)]
    return [*lines, ("rent back", fill.rent_returned_lamports)] if fill.rent_returned_lamports else lines


def _state(report: TradeReport) -> str:
    fill = report.fill
    if fill is None:
        return report.intent.state.value
    return f"{report.intent.state.value}, {'final' if fill.state is FillState.FINAL else 'provisional until finalized'}"


def _mark(intent: TradeIntent) -> str:
    """What is on paper says so wherever it is named."""
    return "PAPER " if intent.path is SendPath.PAPER else ""


def _what(intent: TradeIntent, names: TokenNames) -> str:
    if intent.purpose is not None:
        return f"maintenance: {intent.purpose.value.replace('_', ' ')}"
    if intent.input_amount_raw is None:
        given = f"all {names.symbol(intent.input_mint)}"
    else:
        given = names.amount(intent.input_amount_raw, intent.input_mint)
    return f"{given} -> {names.symbol(intent.output_mint)}"


def _limits(intent: TradeIntent, names: TokenNames) -> str:
    parts = [f"{intent.max_slippage_bps} bps from the independent price"]
    source, target = names.known.get(intent.input_mint), names.known.get(intent.output_mint)
    if intent.min_out_per_input is not None and source and target:
        worst = intent.min_out_per_input.scaleb(source.decimals - target.decimals)
        parts.append(f"{short(1 / worst)} {source.symbol} per {target.symbol}")
    parts.append(f"signed before {_moment(intent.deadline_at)}")
    parts.append(f"{intent.attempts_made} of {intent.max_attempts} transactions")
    return ", ".join(parts)


def _moment(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")


def _age(since: timedelta) -> str:
    seconds = int(since.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(0, seconds)}s"


def _cut(text: str) -> str:
    return text if len(text) <= _REASON_CHARACTERS else text[: _REASON_CHARACTERS - 1] + "…"


def as_json(report: TradeReport) -> dict[str, Any]:
    """A report for programs: amounts in base units as ints, exact fractions as text."""
    fill = report.fill
    return {
        "trade": _intent_json(report.intent),
        "settled": report.settled,
        "next": report.next_action,
        "attempts": [_attempt_json(attempt) for attempt in report.attempts],
        "fill": None if fill is None else _fill_json(report, fill),
        "timeline": [
            {
                "at": event.at.isoformat(),
                "kind": event.kind,
                "severity": event.severity.value,
                "message": event.message,
            }
            for event in report.events
        ],
    }


def _intent_json(intent: TradeIntent) -> dict[str, Any]:
    limit = intent.min_out_per_input
    return {
        "id": intent.id,
        "key": intent.key,
        "kind": intent.kind.value,
        "path": intent.path.value,
        "state": intent.state.value,
        "reason_code": intent.reason_code,
        "reason": intent.reason,
        "effect": intent.effect.value,
        "wallet": intent.wallet,
        "input_mint": intent.input_mint,
        "output_mint": intent.output_mint,
        "input_raw": intent.input_amount_raw,
        "max_slippage_bps": intent.max_slippage_bps,
        "min_out_per_input": None if limit is None else f"{limit:f}",
        "attempts_made": intent.attempts_made,
        "created_at": intent.created_at.isoformat(),
        "deadline_at": intent.deadline_at.isoformat(),
    }


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    import json

    return {
        "id": attempt.id,
        "state": attempt.state.value,
        "signature": attempt.signature,
        "router": attempt.router,
        "input_raw": attempt.input_amount_raw,
        "quoted_out_raw": attempt.quoted_out_raw,
        "min_out_raw": attempt.min_out_raw,
        "bound_block_height": attempt.bound_block_height,
        "sent_count": attempt.sent_count,
        "execute_code": attempt.execute_code,
        "execute_message": attempt.execute_message,
        "landed_slot": attempt.landed_slot,
        "landed_error": attempt.landed_error,
        "death_proof": None if attempt.death_proof is None else json.loads(attempt.death_proof),
    }


def _fill_json(report: TradeReport, fill: Fill) -> dict[str, Any]:
    realised = report.realised_bps
    return {
        "state": fill.state.value,
        "signature": fill.signature,
        "slot": fill.slot,
        "input_raw": fill.input_raw,
        "output_raw": fill.output_raw,
        "fee_lamports": fill.fee_lamports,
        "tip_lamports": fill.tip_lamports,
        "rent_paid_lamports": fill.rent_paid_lamports,
        "rent_returned_lamports": fill.rent_returned_lamports,
        "realised_bps": None if realised is None else f"{realised:.4f}",
    }
