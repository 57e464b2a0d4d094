"""`trade`, `settle` and `cancel`: decide a trade, carry trades to their end, ask for one to end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_UP, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import open_services, print_json, this_process
from sniperforge.domain.money import Bps, parse_units
from sniperforge.errors import InvalidInputError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.intent import TradeIntent
    from sniperforge.shared.tokens import ResolvedToken
    from sniperforge.trading.executor_policy import TradeRequest
    from sniperforge.trading.progress import Progress

TWINS_WITHIN = timedelta(minutes=1)
"""A trade that looks like one decided this recently is asked about first."""

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
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask about a trade that looks like the last.")] = False,  # noqa: FBT002
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Swap one token for another: exactly once, or provably not at all."""
    if not inline:
        raise InvalidInputError(
            "there is no queue yet that could take it; it comes with `sniperforge up`",
            subject="trade",
            fix="Add --inline to carry it to its end in this process",
        )
    from sniperforge.trading.executor_policy import Until
    from sniperforge.trading.trade_report import read_report

    services = open_services()
    request = _request(services, from_token, to_token, amount, wallet, slippage_bps, limit, token, is_exit=is_exit)
    _ready(services, request, yes=yes)
    steps = _Steps(services.clock.monotonic, silent=json_output)
    executor = services.executor(owner=this_process(), watch=steps)
    try:
        intent = executor.decide(request)
        if not json_output:
            typer.echo(f"trade {intent.id}")
        intent = executor.run(intent.id, until=Until.SETTLED)
    except KeyboardInterrupt:
        _say_what_goes_on(services, request)
        raise typer.Exit(_INTERRUPTED) from None
    report = read_report(services.store, intent.id)
    from sniperforge.cli.trades import as_json, names_for, result_lines

    if json_output:
        print_json(as_json(report) | {"steps": steps.taken})
    else:
        typer.echo("\n".join(result_lines(report, names_for(services, [report]))))
    _exit_by(intent)


@dataclass
class _Steps:
    """Shows each step with the seconds since the decision, and keeps them."""

    monotonic: Callable[[], float]
    silent: bool
    started: float = field(init=False)
    taken: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = self.monotonic()

    def __call__(self, progress: Progress) -> None:
        seconds = f"{self.monotonic() - self.started:.3f}"
        self.taken.append(
            {"trade": progress.intent_id, "seconds": seconds, "step": progress.step.value, "text": progress.text}
        )
        if self.silent:
            return
        try:
            typer.echo(f"{seconds:>9}  {progress.step.value:<10} {progress.text}")
        except OSError:
            # Whoever read along has gone (`| head`), and what watches a trade must not raise: it goes on unseen.
            self.silent = True


def _say_what_goes_on(services: Services, request: TradeRequest) -> None:
    """After Ctrl-C: nothing is lost, and the person is told what goes on."""
    with services.store.read() as books:
        found = books.intents.get_by_key(request.key)
    if found is None:
        typer.echo("\nsniperforge: interrupted. Nothing was decided", err=True)
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
    if known is None:
        typer.echo("the wallet is new to the books: its balances on chain become their opening", err=True)
    services.reconciler.adopt(services.wallets.find(request.wallet).name, request.wallet)
    if is_new and twin is not None and not yes:
        _ask_about(twin, services)


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
    """Ask for a trade to end. What is signed is settled first: it may still land."""
    from sniperforge.cli.trades import summary_line
    from sniperforge.trading.trade_report import find_intent, read_report

    services = open_services()
    with services.store.read() as books:
        intent = find_intent(books, trade_id).id
    executor = services.executor(owner=this_process())
    executor.cancel(intent)
    executor.advance(intent)
    report = read_report(services.store, intent)
    typer.echo(summary_line(report.intent))
    typer.echo(f"next: {report.next_action}")


def _exit_by(intent: TradeIntent) -> None:
    from sniperforge.domain.intent import IntentState

    if intent.state is not IntentState.FILLED:
        typer.echo(f"sniperforge: trade {intent.id}: {intent.state.value}: {intent.reason}", err=True)
        raise typer.Exit(1)
