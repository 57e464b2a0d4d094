"""`trade`, `settle` and `cancel`: decide a trade, carry trades to their end, ask for one to end."""

from __future__ import annotations

import sys
from datetime import timedelta
from decimal import ROUND_UP, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services, print_json, this_process
from sniperforge.cli.follow import Steps, follow, ring
from sniperforge.domain.money import Bps, parse_units
from sniperforge.errors import InvalidInputError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.intent import TradeIntent
    from sniperforge.shared.tokens import ResolvedToken
    from sniperforge.trading.executor_policy import TradeRequest
    from sniperforge.trading.progress import Progress
    from sniperforge.trading.trade_report import TradeReport

TWINS_WITHIN = timedelta(minutes=1)
"""A trade that looks like one decided this recently is asked about first."""

CALLS_OF_A_NEW_TOKEN = 1
"""What a worker asks besides, once, about a token that it has not traded yet."""

_WORTH_SAYING_S = 3.0
_INTERRUPTED = 130
_UP = Context(prec=28, rounding=ROUND_UP)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("trade")(trade)
    app.command("settle")(settle)
    app.command("cancel")(cancel)


def trade(
    from_token: Annotated[str, typer.Option("--from", help="Token to give: symbol or mint.")],
    to_token: Annotated[str, typer.Option("--to", help="Token to get: symbol or mint.")],
    amount: Annotated[str, typer.Option(help="How much to give, in whole tokens, e.g. 25 or 0.5; or `all`.")],
    wallet: Annotated[str | None, typer.Option(help="Name or address; default: the only wallet.")] = None,
    slippage_bps: Annotated[
        int | None, typer.Option(help="A tighter cap than the settings', against the independent price.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(help="Worst price: --from tokens given per --to token got, fees of the chain apart.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Your own name of this decision: the same name again is the same trade.")
    ] = None,
    is_exit: Annotated[  # noqa: FBT002 (a flag)
        bool, typer.Option("--exit", help="It reduces exposure: wider cap, and allowed while entries are stopped.")
    ] = False,
    inline: Annotated[bool, typer.Option("--inline", help="Carry it to its end in this process.")] = False,  # noqa: FBT002
    wait: Annotated[bool, typer.Option("--wait", help="Stay and show what the workers do with it.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask about a trade that looks like the last.")] = False,  # noqa: FBT002
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Swap one token for another: exactly once, or provably not at all. Workers do it, unless --inline."""
    services = open_services()
    _somebody_works(services, inline=inline, wait=wait)
    request = _request(services, from_token, to_token, amount, wallet, slippage_bps, limit, token, is_exit=is_exit)
    _ready(services, request, yes=yes)
    _say_the_wait(services, request)
    try:
        if inline:
            report, told = _run_here(services, request, silent=json_output)
        else:
            report, told = _leave_to_workers(services, request, wait=wait, silent=json_output)
    except KeyboardInterrupt:
        _say_what_goes_on(services, request, inline=inline)
        raise typer.Exit(_INTERRUPTED) from None
    from sniperforge.cli.trades import as_json, names_for, result_lines

    if json_output:
        print_json(as_json(report) | told)
    elif report.settled:
        typer.echo("\n".join(result_lines(report, names_for(services, [report]))))
    else:
        typer.echo(f"workers carry it on; `sniperforge trade-show {report.intent.id}` tells where it stands")
    if report.settled:
        _exit_by(report.intent)


def _somebody_works(services: Services, *, inline: bool, wait: bool) -> None:
    if inline and wait:
        raise InvalidInputError("--inline and --wait: give one of them", subject="trade")
    if not inline and services.settings.redis_url is None:
        raise InvalidInputError(
            "nothing was decided: no stack runs on this home, so nobody would carry it on",
            subject="trade",
            fix="Start one with `sniperforge up`, or add --inline to carry it to its end in this process",
        )


def _run_here(services: Services, request: TradeRequest, *, silent: bool) -> tuple[TradeReport, dict[str, Any]]:
    """Decide and carry to the end in this process."""
    from sniperforge.trading.executor_policy import Until
    from sniperforge.trading.trade_report import read_report

    steps, started = Steps(silent=silent), services.clock.monotonic()

    def watch(progress: Progress) -> None:
        seconds = services.clock.monotonic() - started
        steps.show(progress.intent_id, seconds, progress.step.value, progress.text)

    executor = services.executor(owner=this_process(), watch=watch)
    intent = _decided(executor.decide(request), silent=silent)
    intent = executor.run(intent.id, until=Until.SETTLED)
    return read_report(services.store, intent.id), {"steps": steps.taken}


def _leave_to_workers(
    services: Services, request: TradeRequest, *, wait: bool, silent: bool
) -> tuple[TradeReport, dict[str, Any]]:
    """Decide, commit, ring; then follow it if asked."""
    from sniperforge.trading.trade_report import read_report

    intent = _decided(services.executor(owner=this_process()).decide(request), silent=silent)
    rung = ring(services, intent)
    if not wait:
        return read_report(services.store, intent.id), {"rung": rung}
    steps = Steps(silent=silent)
    return follow(services, intent.id, steps), {"rung": rung, "steps": steps.taken}


def _decided(intent: TradeIntent, *, silent: bool) -> TradeIntent:
    if not silent:
        typer.echo(f"trade {intent.id}")
    return intent


def _say_what_goes_on(services: Services, request: TradeRequest, *, inline: bool) -> None:
    """After Ctrl-C: nothing is lost, and the person is told what goes on."""
    with services.store.read() as books:
        found = books.intents.get_by_key(request.key)
    if found is None:
        typer.echo("\nsniperforge: interrupted. Nothing was decided", err=True)
    elif not inline:
        typer.echo(
            f"\nsniperforge: interrupted. Trade {found.id} goes on without you: `sniperforge trade-show {found.id}` "
            f"tells where it stands, `sniperforge cancel {found.id}` asks for its end",
            err=True,
        )
    else:
        typer.echo(
            f"\nsniperforge: interrupted. Trade {found.id} is in the books, and what it signed may still land: "
            f"`sniperforge settle {found.id}` carries it on, `sniperforge trade-show {found.id}` tells where it stands",
            err=True,
        )


def _request(
    services: Services,
    from_token: str,
    to_token: str,
    amount: str,
    wallet: str | None,
    slippage_bps: int | None,
    limit: str | None,
    token: str | None,
    *,
    is_exit: bool,
) -> TradeRequest:
    import uuid

    from sniperforge.domain.ids import cli_key
    from sniperforge.domain.intent import ExposureEffect
    from sniperforge.ports.exchange import Lane
    from sniperforge.trading.executor_policy import TradeRequest

    address = services.wallets.find(wallet or services.settings.wallet).address
    key = cli_key(uuid.uuid4().hex if token is None else token)
    cap = services.settings.exit_slippage_bps if is_exit else services.settings.entry_slippage_bps
    if slippage_bps is not None and Bps(slippage_bps).value > cap:
        raise InvalidInputError(
            f"{slippage_bps} is wider than the settings allow ({cap})",
            subject="slippage_bps",
            fix=f"Give at most {cap}, or change {'exit' if is_exit else 'entry'}_slippage_bps in the settings",
        )
    source, target = services.tokens.resolve_all([from_token, to_token], lane=Lane.EXIT if is_exit else Lane.ENTRY)
    if source.mint == target.mint:
        raise InvalidInputError("both tokens are the same", subject=source.symbol, fix="Name two different tokens")
    return TradeRequest(
        key=key,
        wallet=address,
        input_mint=source.mint,
        output_mint=target.mint,
        input_raw=_raw(amount, source),
        effect=ExposureEffect.EXIT if is_exit else ExposureEffect.ENTRY,
        max_slippage_bps=slippage_bps,
        min_out_per_input=None if limit is None else _min_out_per_input(limit, source, target),
    )


def _raw(amount: str, token: ResolvedToken) -> int | None:
    """Base units of what was typed; None for everything."""
    if amount.strip().lower() == "all":
        return None
    raw = parse_units(amount, token.decimals)
    if raw == 0:
        raise InvalidInputError("the amount is zero", subject="amount", fix="Give an amount above zero")
    return raw


def _min_out_per_input(limit: str, source: ResolvedToken, target: ResolvedToken) -> Decimal:
    """Base units of output per base unit of input at the worst price; rounded up, so never worse than was typed."""
    try:
        price = Decimal(limit.strip())
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or price <= 0:
        raise InvalidInputError(
            f"{limit!r} is not a price above zero",
            subject="limit",
            fix=f"Write how many {source.symbol} one {target.symbol} may cost, e.g. 181.5",
        )
    return _UP.divide(Decimal(1).scaleb(target.decimals - source.decimals), price)


def _ready(services: Services, request: TradeRequest, *, yes: bool) -> None:
    """Everything that is known to stop it is said before it is decided."""
    from sniperforge.trading.controls import stop_reason
    from sniperforge.trading.duplicates import twin_of

    services.wallets.unlock(request.wallet)
    with services.store.read() as books:
        known = books.wallets.get(request.wallet)
        stopped = stop_reason(books, request.wallet, request.effect)
        is_new = books.intents.get_by_key(request.key) is None
        twin = twin_of(books, request, since=services.clock.now() - TWINS_WITHIN)
    if stopped is not None:
        raise InvalidInputError(f"nothing was decided: {stopped}", subject="trade")
    if known is None and not services.on_paper:
        typer.echo("the wallet is new to the books: its balances on chain become their opening", err=True)
    services.reconciler.adopt(services.wallets.find(request.wallet).name, request.wallet)
    if is_new and twin is not None and not yes:
        _ask_about(twin, services)


def _say_the_wait(services: Services, request: TradeRequest) -> None:
    """How long the request budget holds it back, if it does: a small plan has room for few trades a minute."""
    from sniperforge.domain.intent import ExposureEffect, IntentState
    from sniperforge.ports.exchange import Lane
    from sniperforge.shared.jupiter.rate_limit import Bucket
    from sniperforge.trading.quoting import CALLS_TO_SIGN
    from sniperforge.trading.sweep import LIMIT

    with services.store.read() as books:
        open_ones = (
            *books.intents.in_state(IntentState.PENDING, LIMIT),
            *books.intents.in_state(IntentState.EXECUTING, LIMIT),
        )
        signed = {attempt.intent_id for attempt in books.attempts.live(LIMIT)}
    ahead = len({intent.id for intent in open_ones} - signed)
    lane = Lane.EXIT if request.effect is ExposureEffect.EXIT else Lane.ENTRY
    wait_s = services.budget.forecast_s(lane, Bucket.MAIN, CALLS_TO_SIGN * (ahead + 1) + CALLS_OF_A_NEW_TOKEN)
    if wait_s > _WORTH_SAYING_S:
        others = f", with {ahead} ahead of it" if ahead else ""
        typer.echo(
            f"the request budget of plan {services.settings.jupiter_plan} holds it back for about {wait_s:.0f} s"
            f"{others}; a larger jupiter_plan is faster",
            err=True,
        )


def _ask_about(twin: TradeIntent, services: Services) -> None:
    age = (services.clock.now() - twin.created_at).total_seconds()
    told = f"the same trade was decided {age:.0f} s ago ({twin.id}, {twin.state.value})"
    if not sys.stdin.isatty():
        raise InvalidInputError(f"{told}; nothing was decided", subject="trade", fix="Add --yes if you mean both")
    typer.confirm(f"{told[0].upper()}{told[1:]}. Trade again?", abort=True, err=True)


def settle(
    trade_id: Annotated[str | None, typer.Argument(help="Id of one trade, or its beginning; default: all.")] = None,
    seconds: Annotated[float, typer.Option("--for", min=0, help="How long to stay with them.")] = 120.0,
) -> None:
    """Carry on every trade that is not settled, whoever left it, until it is or the time is up."""
    from sniperforge.trading.sweep import look_again_at_the_dead, unsettled
    from sniperforge.trading.sweep import settle as settle_trades
    from sniperforge.trading.trade_report import find_intent

    services = open_services()
    with services.store.read() as books:
        intents = unsettled(books) if trade_id is None else (find_intent(books, trade_id).id,)
    executor = services.executor(
        owner=this_process(), watch=lambda step: typer.echo(f"{step.intent_id}  {step.step.value:<10} {step.text}")
    )
    try:
        result = settle_trades(executor, services.clock, intents, within=timedelta(seconds=seconds))
    except KeyboardInterrupt:
        typer.echo("\nsniperforge: interrupted. Nothing is lost; run it again to go on", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    if trade_id is None:
        look_again_at_the_dead(executor, services.store, services.clock)
    from sniperforge.cli.trades import summary_line

    with services.store.read() as books:
        for intent_id in (*result.settled, *result.unsettled):
            found = books.intents.get(intent_id)
            if found is not None:
                typer.echo(summary_line(found))
    if result.unsettled:
        raise InvalidInputError(
            f"{len(result.unsettled)} not settled within {seconds:g} s", subject="settle", fix="Run it again"
        )
    if not intents:
        typer.echo("every trade is settled")


def cancel(trade_id: Annotated[str, typer.Argument(help="Id of the trade, or its beginning.")]) -> None:
    """Ask for a trade to end. What is signed is settled first: it may still land. A parked one ends at once."""
    from sniperforge.cli.trades import summary_line
    from sniperforge.domain.intent import TERMINAL_INTENT_STATES, IntentState
    from sniperforge.trading.trade_report import find_intent, read_report

    services = open_services()
    with services.store.read() as books:
        before = find_intent(books, trade_id)
    if before.state is IntentState.FILLED or before.state in TERMINAL_INTENT_STATES:
        raise InvalidInputError(
            f"it is {before.state.value} already", subject=f"trade {before.id}", fix="Nothing is left to cancel"
        )
    executor = services.executor(owner=this_process())
    executor.cancel(before.id)
    executor.advance(before.id)
    report = read_report(services.store, before.id)
    typer.echo(summary_line(report.intent))
    typer.echo(f"next: {report.next_action}")


def _exit_by(intent: TradeIntent) -> None:
    from sniperforge.domain.intent import IntentState

    if intent.state is not IntentState.FILLED:
        typer.echo(f"sniperforge: trade {intent.id}: {intent.state.value}: {intent.reason}", err=True)
        raise typer.Exit(1)
