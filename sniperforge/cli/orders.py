"""`order-create` and `order-edit`: orders that wait for the market."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli import order_cancel
from sniperforge.cli.common import open_services, print_json
from sniperforge.cli.order_options import (
    Typed,
    TypedCondition,
    TypedWindow,
    parse_base_amount,
    parse_conditions,
    parse_decimal,
    parse_moment,
    parse_quote_amount,
)
from sniperforge.cli.order_preview import draft_lines, edit_lines
from sniperforge.cli.order_words import mints_in
from sniperforge.cli.token_names import TokenName, TokenNames, names_of
from sniperforge.domain.money import Address, Mint
from sniperforge.domain.order import Amount, Crossing, OrderKind
from sniperforge.errors import InvalidInputError, TokenError, WalletError
from sniperforge.trading.order_changes import changed_terms
from sniperforge.trading.order_terms import OrderTerms, Side, terms_problems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sniperforge.bootstrap import Services
    from sniperforge.domain.order import Order
    from sniperforge.shared.tokens import ResolvedToken
    from sniperforge.trading.order_changes import Edit
    from sniperforge.trading.order_desk import Draft

_NEVER = "never"

Id = Annotated[str, typer.Argument(help="Id of the order, or its beginning.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Price = Annotated[str | None, typer.Option(help="Price of a stop-loss or take-profit, in dollars per whole token.")]
StopLoss = Annotated[str | None, typer.Option(help="Price of the stop of an oco or bracket.")]
TakeProfit = Annotated[str | None, typer.Option(help="Price at which an oco or bracket takes its profit.")]
Entry = Annotated[str | None, typer.Option(help="Price at which a bracket enters; default: at once.")]
TrailBps = Annotated[int | None, typer.Option(help="How far a trailing-stop follows the best price, in 0.01 %.")]
TrailAmount = Annotated[str | None, typer.Option(help="The same in dollars.")]
Activation = Annotated[str | None, typer.Option(help="A trailing-stop begins to follow at this price.")]
Condition = Annotated[
    list[str] | None,
    typer.Option(help="What a conditional waits for; may be repeated: `SOL above 150`, `SOL/JUP below 200`, "
    "`SOL change over 1h below -5%`, `time 09:00-17:30 Europe/Berlin`."),
]  # fmt: skip
Match = Annotated[str | None, typer.Option(help="Whether `all` conditions must hold at once, or `any`.")]
HowMuch = Annotated[str | None, typer.Option(help="Whole tokens, a share of the position (`25%`), or `all`.")]
QuoteAmount = Annotated[str | None, typer.Option(help="How much instead, told in --quote tokens.")]
Slippage = Annotated[int | None, typer.Option(help="Cap against the independent price, in 0.01 %, costs included.")]
Widen = Annotated[int | None, typer.Option(help="How wide that cap may become after trades that failed.")]
Confirmations = Annotated[int | None, typer.Option(help="How many prices in a row must be beyond the level.")]
Expires = Annotated[
    str | None, typer.Option(help="When it ends: `2027-01-31T09:00:00+01:00`, or so long from now: `12h`, `7d`.")
]
Deadline = Annotated[int | None, typer.Option(help="How long a trade of it may wait for its signature, in seconds.")]
Force = Annotated[bool, typer.Option("--force", help="Take prices at which it fires at once.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("order-create")(create)
    app.command("order-edit")(edit)
    order_cancel.register(app)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The tokens that an order is about, as they were typed; those that there are not stand for themselves."""

    base_name: str
    quote_name: str
    known: Mapping[str, ResolvedToken]

    @property
    def base(self) -> Mint:
        """The token itself."""
        return self.mint(self.base_name)

    @property
    def quote(self) -> Mint:
        """What it is sold for or bought with."""
        return self.mint(self.quote_name)

    @property
    def pair(self) -> tuple[ResolvedToken, ResolvedToken]:
        """Both, once both are known."""
        return self.known[self.base_name], self.known[self.quote_name]

    @property
    def names(self) -> TokenNames:
        """For showing."""
        return TokenNames({one.mint: TokenName(one.symbol, one.decimals) for one in self.known.values()})

    @property
    def symbols(self) -> Mapping[Mint, str]:
        """How they are called."""
        return {one.mint: one.symbol for one in self.known.values()}

    def mint(self, name: str) -> Mint:
        """Its address, or something unlike any other that can be watched."""
        return self.known[name].mint if name in self.known else Mint(name.replace("/", "?").replace("@", "?"))

    def decimals(self, name: str, amount: str) -> int:
        """Digits after the point; as many as were typed, where nobody knows."""
        return self.known[name].decimals if name in self.known else len(amount.strip().partition(".")[2])

    def crossings(self, typed: Sequence[TypedCondition | TypedWindow] | None) -> tuple[Crossing, ...]:
        """Conditions with mints."""
        mints = {name: self.mint(name) for one in typed or () for name in one.tokens}
        return tuple(one.crossing(mints) for one in typed or ())


def create(
    kind: Annotated[
        str,
        typer.Option("--type", help="stop-loss, take-profit, trailing-stop, conditional, oco or bracket."),
    ],
    token: Annotated[str, typer.Option(help="The token it is about: symbol or mint.")],
    quote: Annotated[str, typer.Option(help="What it is sold for or bought with.")] = "USDC",
    side: Annotated[str | None, typer.Option(help="sell or buy; default: sell, and buy for a bracket.")] = None,
    wallet: Annotated[str | None, typer.Option(help="Name or address; default: the only wallet.")] = None,
    trigger: Price = None,
    stop_loss: StopLoss = None,
    take_profit: TakeProfit = None,
    entry: Entry = None,
    trail_bps: TrailBps = None,
    trail_amount: TrailAmount = None,
    activation: Activation = None,
    condition: Condition = None,
    match: Match = None,
    amount: HowMuch = None,
    quote_amount: QuoteAmount = None,
    reduce_only: Annotated[
        bool | None,
        typer.Option(help="Never more than is held and not promised elsewhere; default for what sells."),
    ] = None,
    slippage_bps: Slippage = None,
    widen_to_bps: Widen = None,
    confirmations: Confirmations = None,
    active_from: Annotated[str | None, typer.Option(help="When it begins; written as --expires-at.")] = None,
    expires_at: Expires = None,
    deadline_s: Deadline = None,
    force: Force = False,  # noqa: FBT002 (flags)
    yes: Yes = False,  # noqa: FBT002
    json_output: Json = False,  # noqa: FBT002
) -> None:
    """Place an order that waits for the market. Shows what it will do first, and asks."""
    services, typed = open_services(), Typed()
    now = services.clock.now()
    conditions = typed.read(
        "conditions", "\n".join(condition or ()) or None, lambda text: parse_conditions(text.split("\n"), now)
    )
    address = _address(services, typed, wallet)
    tokens = _resolve(services, typed, (token, quote), conditions)
    order_kind = typed.read("kind", kind, _kind)
    order_side = typed.read("side", side, _side)
    prices = {"trigger": trigger, "stop_loss": stop_loss, "take_profit": take_profit, "entry": entry,
              "trail_amount": trail_amount, "activation": activation}  # fmt: skip
    fields: dict[str, Any] = {name: typed.read(name, text, parse_decimal) for name, text in prices.items()}
    needs_all = typed.read("needs_all", match, _match)
    fields |= {
        "amount": _amount(typed, amount, quote_amount, tokens),
        "active_from": typed.read("active_from", active_from, lambda text: parse_moment(text, now)),
        "expires_at": typed.read("expires_at", expires_at, lambda text: parse_moment(text, now)),
    }
    if order_kind is None:
        typed.refuse()
        return
    terms = OrderTerms(
        kind=order_kind,
        wallet=address,
        base_mint=tokens.base,
        quote_mint=tokens.quote,
        side=order_side or (Side.BUY if order_kind is OrderKind.BRACKET else Side.SELL),
        conditions=tokens.crossings(conditions),
        needs_all=needs_all is not False,
        trail_bps=trail_bps,
        reduce_only=reduce_only,
        slippage_bps=slippage_bps,
        widen_to_bps=widen_to_bps,
        confirmations=confirmations,
        deadline_s=deadline_s,
        force=force,
        **fields,
    )
    if typed.noted:  # the desk could not look at the market for it; what is wrong whatever the market does is told
        typed.refuse(map(str, terms_problems(terms, services.executor_policy, now)), symbols=tokens.symbols)
    _adopt(services, wallet)
    draft = _drafted(services, terms, typed, tokens)
    if not (json_output and yes):
        lines = draft_lines(services, draft, tokens.pair, tokens.names)
        typer.echo("\n".join(lines), err=json_output)
    _confirm("Place this order?", yes=yes)
    order = services.order_desk.place(draft)
    _say_it_is_placed(services, order, json_output=json_output)


def edit(
    order_id: Id,
    trigger: Price = None,
    stop_loss: StopLoss = None,
    take_profit: TakeProfit = None,
    entry: Entry = None,
    trail_bps: TrailBps = None,
    trail_amount: TrailAmount = None,
    activation: Activation = None,
    condition: Condition = None,
    match: Match = None,
    amount: HowMuch = None,
    quote_amount: QuoteAmount = None,
    slippage_bps: Slippage = None,
    widen_to_bps: Widen = None,
    confirmations: Confirmations = None,
    expires_at: Expires = None,
    deadline_s: Deadline = None,
    force: Force = False,  # noqa: FBT002 (flags)
    yes: Yes = False,  # noqa: FBT002
    json_output: Json = False,  # noqa: FBT002
) -> None:
    """Change what is given; the rest stays, a trailing stop's best price included. Refused while its trade runs."""
    from sniperforge.trading.order_report import find_order

    services, typed = open_services(), Typed()
    with services.store.read() as books:
        order = find_order(books, order_id)
    now = services.clock.now()
    conditions = typed.read(
        "conditions", "\n".join(condition or ()) or None, lambda text: parse_conditions(text.split("\n"), now)
    )
    tokens = _resolve(services, typed, (order.base_mint, order.quote_mint), conditions)
    prices = {"trigger": trigger, "stop_loss": stop_loss, "take_profit": take_profit, "entry": entry,
              "trail_amount": trail_amount, "activation": activation}  # fmt: skip
    given: dict[str, Any] = {name: typed.read(name, text, parse_decimal) for name, text in prices.items()}
    given |= {
        "trail_bps": trail_bps,
        "conditions": tokens.crossings(conditions) or None,
        "needs_all": typed.read("needs_all", match, _match),
        "amount": _amount(typed, amount, quote_amount, tokens),
        "slippage_bps": slippage_bps,
        "widen_to_bps": widen_to_bps,
        "confirmations": confirmations,
        "deadline_s": deadline_s,
        "force": force or None,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if expires_at is not None:
        ends = (
            None if expires_at == _NEVER else typed.read("expires_at", expires_at, lambda text: parse_moment(text, now))
        )
        given["expires_at"] = ends
    if typed.noted:  # as for a new order
        with services.store.read() as books:
            terms = changed_terms(order, books.orders.legs(order.id), given)
        typed.refuse(map(str, terms_problems(terms, services.executor_policy, now)), symbols=tokens.symbols)
    changed = _drafted_edit(services, order, given, typed, tokens)
    if not (json_output and yes):
        names = names_of(services, mints_in(order, changed.changed_legs))
        typer.echo("\n".join(edit_lines(changed, names)), err=json_output)
    _confirm("Change this order?", yes=yes)
    order = services.order_desk.edit(changed)
    if json_output:
        _print_order(services, order)
    else:
        typer.echo(f"order {order.id} is changed; `sniperforge order-show {order.id}` tells where it stands")


def _address(services: Services, typed: Typed, wallet: str | None) -> Address:
    try:
        return services.wallets.find(wallet or services.settings.wallet).address
    except WalletError as error:
        typed.note("wallet", error)
        return Address("")


def _resolve(
    services: Services, typed: Typed, pair: tuple[str, str], conditions: Sequence[TypedCondition | TypedWindow] | None
) -> _Tokens:
    from sniperforge.ports.exchange import Lane

    fields = {name: "conditions" for one in conditions or () for name in one.tokens}
    fields |= {pair[1]: "quote_mint", pair[0]: "base_mint"}
    known = {}
    for name, answer in zip(fields, services.tokens.resolve_each(list(fields), lane=Lane.ENTRY), strict=True):
        if isinstance(answer, TokenError):
            typed.note(fields[name], answer)
        else:
            known[name] = answer
    return _Tokens(*pair, known)


def _amount(typed: Typed, amount: str | None, quote_amount: str | None, tokens: _Tokens) -> Amount | None:
    if amount is not None and quote_amount is not None:
        typed.problems["amount"] = "give it in tokens or in --quote-amount, not both"
        return None
    if quote_amount is not None:
        places = tokens.decimals(tokens.quote_name, quote_amount)
        return typed.read("quote_amount", quote_amount, lambda text: parse_quote_amount(text, places))
    return typed.read("amount", amount, lambda text: parse_base_amount(text, tokens.decimals(tokens.base_name, text)))


def _adopt(services: Services, wallet: str | None) -> None:
    """Positions are read from the books, so they have to know the wallet."""
    found = services.wallets.find(wallet or services.settings.wallet)
    with services.store.read() as books:
        known = books.wallets.get(found.address)
    if known is None and not services.on_paper:
        typer.echo("the wallet is new to the books: its balances on chain become their opening", err=True)
    services.reconciler.adopt(found.name, found.address)


def _drafted(services: Services, terms: OrderTerms, typed: Typed, tokens: _Tokens) -> Draft:
    try:
        draft = services.order_desk.draft(terms)
    except InvalidInputError as error:
        typed.refuse(error.problems, symbols=tokens.symbols)
        raise
    except TokenError as error:
        if typed.problems:
            typed.note("base_mint" if tokens.base in error.subject else "quote_mint", error)
            typed.refuse()
        raise
    typed.refuse()
    return draft


def _drafted_edit(services: Services, order: Order, given: Mapping[str, Any], typed: Typed, tokens: _Tokens) -> Edit:
    try:
        changed = services.order_desk.draft_edit(order.id, given)
    except InvalidInputError as error:
        typed.refuse(error.problems, symbols=tokens.symbols)
        raise
    typed.refuse()
    return changed


def _say_it_is_placed(services: Services, order: Order, *, json_output: bool) -> None:
    if json_output:
        _print_order(services, order)
    else:
        typer.echo(f"order {order.id} is open; `sniperforge order-show {order.id}` tells where it stands")
    if services.settings.redis_url is None:
        typer.echo(
            "nothing runs on this home now, so nobody watches the market for it: `sniperforge up` starts what does",
            err=True,
        )


def _print_order(services: Services, order: Order) -> None:
    from sniperforge.cli.order_show import as_json
    from sniperforge.trading.order_report import read_order

    print_json(as_json(read_order(services.store, order.id)))


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInputError("nobody is there to ask; nothing was written", subject="order", fix="Add --yes")
    typer.confirm(question, abort=True, err=True)


def _kind(text: str) -> OrderKind:
    return OrderKind(_one_of(text, [kind.value for kind in OrderKind]))


def _side(text: str) -> Side:
    return Side(_one_of(text, [side.value for side in Side]))


def _match(text: str) -> bool:
    return _one_of(text, ["all", "any"]) == "all"


def _one_of(text: str, known: list[str]) -> str:
    found = text.strip().lower()
    if found not in known:
        raise InvalidInputError(f"{text!r} is none of {', '.join(known)}")
    return found
