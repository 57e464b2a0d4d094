"""What flattening sells, what stays and why; and that one run sells nothing twice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sniperforge.domain.ids import OrderId, intent_id
from sniperforge.domain.intent import AttemptState, ExposureEffect, FillState, IntentState
from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.domain.order import OrderState
from sniperforge.domain.portfolio import Position
from sniperforge.domain.transaction import TOKEN_PROGRAM
from sniperforge.errors import ConflictError, ExchangeUnavailableError, NoRouteError, SniperForgeError, TokenError
from sniperforge.ports.exchange import Lane, TokenListing
from sniperforge.ports.records import NATIVE_SOL, Asset, LedgerEntry, LedgerKind
from sniperforge.ports.store import Books
from sniperforge.trading.flattening import (
    Kept,
    Sale,
    Selling,
    WalletView,
    busy_mints,
    end_what_is_open,
    plan_sales,
    quote_sales,
    view_wallet,
)
from sniperforge.trading.portfolio_report import Account, Paid
from sniperforge.trading.price_survey import Appraisal
from sniperforge.trading.progress import Step
from tests.fakes.clock import START, FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.order_records import a_leg, an_order
from tests.fakes.order_world import OrderWorld
from tests.fakes.records import USDC, WALLET, a_wallet, an_attempt, an_intent
from tests.fakes.store import FakeStore
from tests.fakes.trading_orders import OWNER

BONK = Mint("DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263")
JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
DECIMALS = {USDC: 6, WSOL_MINT: 9, BONK: 5, JUP: 6}
PRICES = {
    USDC: Appraisal(Decimal(1)),
    WSOL_MINT: Appraisal(Decimal(200)),
    BONK: Appraisal(Decimal("0.00002")),
    JUP: Appraisal(Decimal("0.5")),
}
PER_SALE = 6_000_000


def a_view(bought: dict[Mint, int], held: dict[Mint, int] | None = None, *, native: int = 10**10) -> WalletView:
    positions = {mint: Position(WALLET, mint, raw, Decimal(1), Decimal(0)) for mint, raw in bought.items()}
    paid = Paid(fee_lamports=0, wasted_lamports=0, tip_lamports=0, rent_lamports=0)
    account = Account(wallet=WALLET, held=bought if held is None else held, positions=positions, paid=paid)
    return WalletView(account=account, native_lamports=native, open_trades=(), open_orders=())


def plan(view: WalletView, *, prices: dict[Mint, Appraisal] | None = None, **changes: Any) -> Selling:
    given: dict[str, Any] = {"decimals": DECIMALS, **changes}
    return plan_sales(
        view, target=USDC, prices=PRICES if prices is None else prices, lamports_per_sale=PER_SALE, **given
    )


def test_all_of_a_token_is_sold_when_all_of_it_was_bought_here() -> None:
    assert plan(a_view({JUP: 5_000_000})).sales == (Sale(mint=JUP, raw=5_000_000, is_everything=True),)


def test_what_was_there_before_stays() -> None:
    (sale,) = plan(a_view({JUP: 5_000_000}, {JUP: 9_000_000, BONK: 10**12})).sales
    assert (sale.raw, sale.is_everything) == (5_000_000, False)
    assert sale.request("run", WALLET, USDC).input_raw == 5_000_000


def test_what_left_without_a_trade_is_not_sold_again() -> None:
    (sale,) = plan(a_view({JUP: 5_000_000}, {JUP: 3_000_000})).sales
    assert sale.raw == 3_000_000
    (gone,) = plan(a_view({JUP: 5_000_000}, {})).kept
    assert (gone.raw, gone.is_dust) == (0, True)


def test_the_target_itself_and_what_was_sold_already_are_left_alone() -> None:
    assert plan(a_view({USDC: 5_000_000, JUP: 0})) == Selling(sales=(), kept=())


def test_sol_is_sold_last_and_leaves_the_fees_of_every_sale() -> None:
    jup, sol = plan(a_view({WSOL_MINT: 1_000_000_000, JUP: 5_000_000}, native=1_000_000_000)).sales
    assert jup.mint == JUP
    assert (sol.mint, sol.raw, sol.is_everything) == (WSOL_MINT, 1_000_000_000 - 2 * PER_SALE, False)
    (sol,) = plan(a_view({WSOL_MINT: 1_000_000_000})).sales
    assert (sol.raw, sol.is_everything) == (1_000_000_000, False)
    (kept,) = plan(a_view({WSOL_MINT: 1_000_000_000}, native=PER_SALE)).kept
    assert (kept.why, kept.is_dust) == ("fees may need all of it", False)


def test_a_token_without_a_price_is_named_and_not_sold() -> None:
    (kept,) = plan(a_view({JUP: 5_000_000}), prices={JUP: Appraisal(None, "nobody knows")}).kept
    assert (kept.why, kept.is_dust) == ("it has no price: nobody knows", False)
    (kept,) = plan(a_view({JUP: 5_000_000}), prices={}).kept
    assert "nobody was asked" in kept.why


def test_unknown_decimals_are_named_and_not_sold() -> None:
    assert plan(a_view({JUP: 5_000_000}), decimals={}).kept[0].why == "its decimals are unknown"


@pytest.mark.parametrize(("raw", "is_dust"), [(19_999, True), (20_000, False)])
def test_dust_below_a_cent_is_named_and_not_sold(raw: int, *, is_dust: bool) -> None:
    found = plan(a_view({JUP: raw}))
    assert [one.is_dust for one in found.kept] == ([True] if is_dust else [])
    assert len(found.sales) == (not is_dust)


def test_an_exit_of_everything_asks_for_all_that_is_free_under_one_key_per_run_and_token() -> None:
    sale = Sale(mint=JUP, raw=5_000_000, is_everything=True)
    request = sale.request("0123456789", WALLET, USDC)
    assert (request.input_raw, request.effect) == (None, ExposureEffect.EXIT)
    assert (request.input_mint, request.output_mint) == (JUP, USDC)
    assert request.key == sale.request("0123456789", WALLET, USDC).key
    others = {
        sale.request("another", WALLET, USDC).key,
        Sale(mint=BONK, raw=1, is_everything=True).request("0123456789", WALLET, USDC).key,
    }
    assert len({intent_id(key) for key in {request.key, *others}}) == 3


def an_exchange() -> FakeExchange:
    listings = [
        TokenListing(
            mint=mint,
            symbol=symbol,
            name=symbol,
            decimals=6,
            token_program=TOKEN_PROGRAM,
            is_verified=True,
            is_sus=False,
            freeze_authority=None,
            mint_authority=None,
            liquidity_usd=None,
            organic_score=None,
            tags=(),
        )
        for mint, symbol in ((USDC, "USDC"), (JUP, "JUP"))
    ]
    return FakeExchange(FakeClock(), listings=listings, usd={USDC: Decimal(1), JUP: Decimal("0.5")})


def test_quotes_tell_about_how_much_and_who_finds_no_route() -> None:
    exchange = an_exchange()
    sale = Sale(mint=JUP, raw=5_000_000, is_everything=True)
    (quoted,) = quote_sales(Selling(sales=(sale,), kept=()), target=USDC, exchange=exchange).sales
    assert quoted.about_out_raw is not None
    assert 2_490_000 < quoted.about_out_raw <= 2_500_000
    assert exchange.calls[-1].lane is Lane.EXIT


@pytest.mark.parametrize("error", [NoRouteError("no way"), TokenError("not this one")])
def test_without_a_route_it_stays(error: SniperForgeError) -> None:
    exchange = an_exchange()
    exchange.fail("order", error)
    before = Kept(mint=BONK, raw=1, why="dust", is_dust=True)
    sale = Sale(mint=JUP, raw=5, is_everything=True)
    found = quote_sales(Selling(sales=(sale,), kept=(before,)), target=USDC, exchange=exchange)
    assert found == Selling(sales=(), kept=(before, Kept(mint=JUP, raw=5, why=f"no quote for it: {error.what}")))


def test_a_source_that_is_away_keeps_nothing_from_being_sold() -> None:
    exchange = an_exchange()
    exchange.fail("order", ExchangeUnavailableError("away"))
    selling = Selling(sales=(Sale(mint=JUP, raw=5, is_everything=True),), kept=())
    assert quote_sales(selling, target=USDC, exchange=exchange) == selling


def opening(books: Books, asset: Asset, raw: int) -> None:
    books.ledger.add(
        [
            LedgerEntry(
                source="opening",
                wallet=WALLET,
                asset=asset,
                kind=LedgerKind.OPENING,
                delta_raw=raw,
                slot=1,
                state=FillState.FINAL,
                booked_at=START,
            )
        ]
    )


def test_open_trades_of_the_wallet_are_cancelled_and_landed_ones_waited_for() -> None:
    store = FakeStore()
    other = a_wallet(address="other", name="other")
    waiting, working = an_intent("waiting"), an_intent("working", state=IntentState.EXECUTING)
    landed = an_intent("landed", state=IntentState.FILLED, updated_at=START + timedelta(seconds=1))
    done = an_intent("done", state=IntentState.FAILED)
    with store.write() as books:
        for wallet in (a_wallet(), other):
            books.wallets.add(wallet)
        for intent in (waiting, working, landed, done, an_intent("theirs", wallet=other.address)):
            books.intents.add(intent)
        books.attempts.add(an_attempt(landed, state=AttemptState.CONFIRMED))
        opening(books, NATIVE_SOL, 700)
        opening(books, Asset(WSOL_MINT), 30)
    with store.read() as books:
        view = view_wallet(books, WALLET)
        busy = busy_mints(books, [waiting.id])
    assert {one.id for one in view.open_trades} == {waiting.id, working.id, landed.id}
    assert {one.id for one in view.to_cancel} == {waiting.id, working.id}
    assert (view.native_lamports, view.account.held[WSOL_MINT]) == (700, 730)
    assert busy == {USDC: waiting.id, WSOL_MINT: waiting.id}


def test_every_open_order_of_the_wallet_is_seen_and_no_other() -> None:
    store, many = FakeStore(), 1_001
    with store.write() as books:
        for wallet in (a_wallet(), a_wallet(address="other", name="other")):
            books.wallets.add(wallet)
        for number in range(many):
            books.orders.add(an_order(f"{number:04}"), [a_leg(f"{number:04}")])
        books.orders.add(an_order("theirs", wallet="other"), [a_leg("theirs")])
        books.orders.add(an_order("ended", state=OrderState.CANCELLED), [a_leg("ended")])
    with store.read() as books:
        found = view_wallet(books, WALLET).open_orders
    assert [one.id for one in found] == [f"o{number:04}" for number in range(many)]


def end(world: OrderWorld, **changes: Any) -> tuple[str, ...]:
    given: dict[str, Any] = {"cancel_order": world.cancel_order, "within": timedelta(seconds=150), **changes}
    return end_what_is_open(world.store, world.executor("flatten"), world.clock, OWNER, **given)


def test_orders_that_wait_for_the_market_end_and_never_fire() -> None:
    world = OrderWorld()
    world.bracket()
    world.stop("o2")
    assert end(world) == ()
    assert (world.order("o1").state, world.order("o2").state) == (OrderState.CANCELLED, OrderState.CANCELLED)
    assert world.price("0.45") == []
    assert world.price("0.1") == []


def test_orders_end_before_trades_do_so_that_none_of_them_fires_again() -> None:
    world = OrderWorld()
    world.stop()
    (intent,) = world.price("0.4")
    assert end(world) == ()
    assert world.intent(intent).state is IntentState.CANCELLED
    assert world.states() == {"order": "cancelled", "main": "cancelled"}
    assert world.order().reason == "a person said so"


def test_a_bracket_whose_entry_lands_meanwhile_is_cancelled_again() -> None:
    world = OrderWorld()
    world.bracket()
    (entry,) = world.price("0.45")
    asked: list[OrderId] = []

    def cancel(order: OrderId) -> None:
        asked.append(order)
        if len(asked) == 1:
            world.at[Step.PERSISTED] = lambda: world.cancel_order(order)
            world.confirm(entry)  # its transaction was signed just before, and has landed
        else:
            world.cancel_order(order)

    assert end(world, cancel_order=cancel) == ()
    assert world.intent(entry).state is IntentState.FILLED
    assert len(asked) == 2
    assert world.states() == {"order": "cancelled", "entry": "filled", "stop": "cancelled", "take": "cancelled"}
    assert world.price("0.1") == []


def test_an_order_that_changes_in_this_moment_is_cancelled_in_the_next_round() -> None:
    world = OrderWorld()
    world.stop()
    moments = [ConflictError("it fired in this moment")]

    def cancel(order: OrderId) -> None:
        if moments:
            raise moments.pop()
        world.cancel_order(order)

    assert end(world, cancel_order=cancel) == ()
    assert world.order().state is OrderState.CANCELLED


def test_what_is_signed_and_cannot_be_settled_in_time_is_named_and_its_order_stays_open() -> None:
    world = OrderWorld()
    world.stop()
    (intent,) = world.price("0.4")
    world.chain.holding = True
    world.executor().advance(intent)
    assert end(world, within=timedelta(seconds=5)) == (intent,)
    assert world.order().state is OrderState.OPEN
    assert world.price("0.1") == []
