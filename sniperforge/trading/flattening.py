"""What flattening a wallet means: every open order and trade ends, and what was bought here is sold for one token.

Only positions are sold (`positions`): what a wallet held before, or was sent, is its owner's business. Of SOL as much
stays as the fees of all these sales may need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal, localcontext

from sniperforge.domain.ids import IntentId, IntentKey, OrderId, cli_key
from sniperforge.domain.intent import ExposureEffect, IntentState, TradeIntent
from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.order import Order
from sniperforge.errors import ConflictError, InvalidInputError, NoRouteError, RetryableError, TerminalError
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Exchange, Lane, OrderRequest
from sniperforge.ports.records import NATIVE_SOL
from sniperforge.ports.store import Books, Store
from sniperforge.trading.executor import Executor
from sniperforge.trading.executor_policy import TradeRequest
from sniperforge.trading.portfolio_report import Account, read_account
from sniperforge.trading.price_survey import Appraisal
from sniperforge.trading.sweep import settle, unsettled

DUST_USD = Decimal("0.01")
"""What is worth less costs more to sell than it brings."""

ROUNDS = 3
"""How often everything that is open is cancelled: what fired, or landed, while it was leaves more to cancel."""

_DIGITS = 40
_ORDERS_READ_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A position that can be sold.

    Attributes:
        raw: Base units of it.
        is_everything: It is all that the wallet has of this token, so all that is free is sold when it comes to that.
        about_out_raw: About how much it brings, base units of the token it is sold for; None when nobody could say.
    """

    mint: Mint
    raw: int
    is_everything: bool
    about_out_raw: int | None = None

    def request(self, run: str, wallet: Address, target: Mint) -> TradeRequest:
        """The exit that sells it. The same run never sells it twice.

        Args:
            run: Names this flattening; up to 10 letters and digits.
            wallet: Whose it is.
            target: What it is sold for.
        """
        return TradeRequest(
            key=sale_key(run, self.mint),
            wallet=wallet,
            input_mint=self.mint,
            output_mint=target,
            input_raw=None if self.is_everything else self.raw,
            effect=ExposureEffect.EXIT,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A position that stays.

    Attributes:
        why: For a person.
        is_dust: It is worth next to nothing, so nobody minds.
    """

    mint: Mint
    raw: int
    why: str
    is_dust: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selling:
    """What is sold and what stays."""

    sales: tuple[Sale, ...]
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletView:
    """What the books tell of a wallet that is to be flattened.

    Attributes:
        account: Its balances and positions.
        native_lamports: Its native SOL, which pays fees; wSOL apart.
        open_trades: Those that are not settled, longest unchanged first.
        open_orders: Orders that may still fire, or whose trade is not final; by id.
    """

    account: Account
    native_lamports: int
    open_trades: tuple[TradeIntent, ...]
    open_orders: tuple[Order, ...]

    @property
    def to_cancel(self) -> tuple[TradeIntent, ...]:
        """Open trades that can still be asked to end; the others have landed and wait to be final."""
        return tuple(one for one in self.open_trades if _can_be_asked_to_end(one))


def sale_key(run: str, mint: Mint) -> IntentKey:
    """One key per token and run."""
    return cli_key(f"flatten.{run}.{mint}")


def view_wallet(books: Books, wallet: Address) -> WalletView:
    """Read it from the books; nothing is asked of the network."""
    return WalletView(
        account=read_account(books, wallet),
        native_lamports=books.ledger.balance_raw(wallet, NATIVE_SOL, final_only=False),
        open_trades=_open_trades(books, wallet),
        open_orders=tuple(_open_orders(books, wallet)),
    )


def end_what_is_open(
    store: Store,
    executor: Executor,
    clock: Clock,
    wallet: Address,
    *,
    cancel_order: Callable[[OrderId], object],
    within: timedelta,
) -> tuple[IntentId, ...]:
    """Cancel every order and trade of a wallet, orders first, and wait for what is signed.

    Done again while something is open, `ROUNDS` times at most: a bracket's entry that landed meanwhile made its exits
    live, and an order may have fired just before it was cancelled.

    Args:
        store: The books.
        executor: Ends trades, beside any that work on the same books.
        clock: Time.
        wallet: Whose they are.
        cancel_order: Asks for the end of an order (`OrderDesk.cancel`).
        within: How long what is signed is waited for, in all.

    Returns:
        Trades that are not settled.

    Raises:
        TerminalError: The books cannot be used as they are.
    """
    end = clock.monotonic() + within.total_seconds()
    left: tuple[IntentId, ...] = ()
    for _ in range(ROUNDS):
        with store.read() as books:
            orders = tuple(_open_orders(books, wallet))
        for order in orders:
            # It ended, or changes in this moment: the next round sees which.
            with suppress(InvalidInputError, ConflictError):
                cancel_order(order.id)
        with store.read() as books:
            trades = _open_trades(books, wallet)
        if not orders and not trades:
            return ()
        for trade in trades:
            if _can_be_asked_to_end(trade):
                executor.cancel(trade.id)
        rest = timedelta(seconds=max(0.0, end - clock.monotonic()))
        left = settle(executor, clock, [one.id for one in trades], within=rest).unsettled
    return left


def _open_trades(books: Books, wallet: Address) -> tuple[TradeIntent, ...]:
    found = (books.intents.get(one) for one in unsettled(books))
    return tuple(one for one in found if one is not None and one.wallet == wallet)


def _open_orders(books: Books, wallet: Address) -> Iterator[Order]:
    last: OrderId | None = None
    while found := books.orders.open(_ORDERS_READ_AT_ONCE, wallet=wallet, after=last):
        yield from found
        last = found[-1].id


def _can_be_asked_to_end(trade: TradeIntent) -> bool:
    return trade.state in (IntentState.PENDING, IntentState.EXECUTING)


def plan_sales(
    view: WalletView,
    *,
    target: Mint,
    prices: Mapping[Mint, Appraisal],
    decimals: Mapping[Mint, int],
    lamports_per_sale: int,
) -> Selling:
    """Which positions can be sold, and why the others cannot.

    Args:
        view: What the books tell.
        target: What everything is sold for; a position in it stays.
        prices: Dollars per whole token.
        decimals: Digits after the point.
        lamports_per_sale: The most that one sale may need beside what it sells.
    """
    bought = {
        mint: max(0, min(position.raw, view.account.held.get(mint, 0)))
        for mint, position in view.account.positions.items()
        if position.raw and mint != target
    }
    sales: list[Sale] = []
    kept: list[Kept] = []
    for mint in sorted(bought, key=lambda one: (one == WSOL_MINT, one)):
        raw, is_everything = bought[mint], bought[mint] == view.account.held.get(mint, 0)
        if mint == WSOL_MINT:
            # Last, when it is known how many other sales need fees.
            raw, is_everything = min(raw, view.native_lamports - lamports_per_sale * (len(sales) + 1)), False
        stays = _why_it_stays(mint, bought[mint], raw, prices, decimals)
        if stays is None:
            sales.append(Sale(mint=mint, raw=raw, is_everything=is_everything))
        else:
            kept.append(stays)
    return Selling(sales=tuple(sales), kept=tuple(kept))


def _why_it_stays(
    mint: Mint, bought: int, raw: int, prices: Mapping[Mint, Appraisal], decimals: Mapping[Mint, int]
) -> Kept | None:
    places, price = decimals.get(mint), prices.get(mint, Appraisal(None, "nobody was asked for its price"))
    if bought == 0:
        return Kept(mint=mint, raw=0, why="it left this wallet without a trade", is_dust=True)
    if price.usd is None:
        return Kept(mint=mint, raw=bought, why=f"it has no price: {price.note}")
    if places is None:
        return Kept(mint=mint, raw=bought, why="its decimals are unknown")
    with localcontext() as context:
        context.prec = _DIGITS
        if bought * price.usd.scaleb(-places) < DUST_USD:
            return Kept(mint=mint, raw=bought, why="it is worth less than a cent", is_dust=True)
    if raw <= 0:
        return Kept(mint=mint, raw=bought, why="fees may need all of it")
    return None


def quote_sales(selling: Selling, *, target: Mint, exchange: Exchange) -> Selling:
    """Ask what each sale would bring now; one without a route stays.

    A source that is away says nothing about the route: the sale is tried all the same, without an estimate.
    """
    sales: list[Sale] = []
    kept = list(selling.kept)
    for sale in selling.sales:
        request = OrderRequest(input_mint=sale.mint, output_mint=target, amount_raw=sale.raw, taker=None)
        try:
            sales.append(replace(sale, about_out_raw=exchange.order(request, lane=Lane.EXIT).out_raw))
        except (NoRouteError, TerminalError) as error:
            kept.append(Kept(mint=sale.mint, raw=sale.raw, why=f"no quote for it: {error.what}"))
        except RetryableError:
            sales.append(sale)
    return Selling(sales=tuple(sales), kept=tuple(kept))


def busy_mints(books: Books, unsettled_ones: Sequence[IntentId]) -> Mapping[Mint, IntentId]:
    """Tokens whose amounts these trades may still change, with one of the trades."""
    found = (books.intents.get(one) for one in unsettled_ones)
    return {mint: one.id for one in found if one is not None for mint in (one.input_mint, one.output_mint)}
