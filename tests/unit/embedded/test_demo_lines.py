"""The demo's lines say of trades and of legs of orders what the books say."""

from __future__ import annotations

from decimal import Decimal

from sniperforge.domain.ids import IntentId, OrderId
from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.order import Amount, AmountKind, LegName, LegState, OrderKind, Trail
from sniperforge.domain.trigger import Direction
from sniperforge.embedded.demo_lines import Followed, Token, missing_line, order_line, trade_line
from sniperforge.embedded.demo_report import OrderLine, TradeLine
from sniperforge.trading.order_report import read_order
from sniperforge.trading.trade_report import read_report
from tests.fakes.order_world import PRICE, OrderWorld
from tests.fakes.trading_orders import JUP, USDC

ORDER = OrderId("one")
TOKENS = {JUP: Token("JUP", 6), USDC: Token("USDC", 6)}


def line(world: OrderWorld, leg: LegName, expected: LegState, *, followed: Followed | None = None) -> OrderLine:
    report = read_order(world.store.books, ORDER)
    one = next(one for one in report.legs if one.leg.name is leg)
    return order_line(world.store.books, report, one, expected=expected, followed=followed)


def trade(world: OrderWorld, intent: IntentId, kind: OrderKind) -> TradeLine:
    report = read_report(world.store.books, intent)
    return trade_line(world.intent(intent), report, tokens=TOKENS, dollar=USDC, kinds={ORDER: kind})


def test_a_leg_that_fired_and_the_one_that_it_ended() -> None:
    world = OrderWorld()
    world.pair(ORDER)
    (sold,) = world.price("0.72")
    world.finish(sold)
    took, stopped = line(world, LegName.TAKE, LegState.FILLED), line(world, LegName.STOP, LegState.CANCELLED)
    assert (took.problem, stopped.problem) == (None, None)
    assert (took.waited_for, took.fired_at, took.trades) == ("0.7 or more", Decimal("0.72"), (sold,))
    assert (stopped.waited_for, stopped.fired_at, stopped.trades) == ("0.4 or less", None, ())
    shown = trade(world, sold, OrderKind.OCO)
    assert (shown.what, shown.state, shown.gave) == ("oco take", "filled", "1000 JUP")
    assert took.gave_raw == 1_000_000_000
    assert shown.got == f"{Decimal(took.got_raw or 0).scaleb(-6).normalize():f} USDC"
    assert shown.price == (Decimal(took.got_raw or 0) / took.gave_raw).quantize(Decimal("0.0001"))


def test_an_entry_is_told_in_dollars_for_what_it_brought() -> None:
    world = OrderWorld()
    entry = world.leg(
        LegName.ENTRY,
        order_id=ORDER,
        effect=ExposureEffect.ENTRY,
        input_mint=USDC,
        output_mint=JUP,
        amount=Amount(AmountKind.QUOTE, 100_000_000),
        reduce_only=False,
        max_slippage_bps=100,
    )
    world.place(entry, order=ORDER, kind=OrderKind.BRACKET)
    (bought,) = world.price("0.39")
    world.confirm(bought)
    filled = line(world, LegName.ENTRY, LegState.FILLED)
    assert filled.problem == "its order is open"
    shown = trade(world, bought, OrderKind.BRACKET)
    assert (shown.what, shown.gave, shown.is_final) == ("bracket entry", "100 USDC", False)
    assert shown.price == (Decimal(100_000_000) / (filled.got_raw or 1)).quantize(Decimal("0.0001"))


def test_a_trail_tells_how_far_it_followed() -> None:
    world = OrderWorld()
    world.stop(ORDER, rule=Trail(subject=PRICE, direction=Direction.DOWN, bps=500))
    followed = Followed(began=Decimal("0.5"), best=Decimal("0.6"), level=Decimal("0.57"))
    trail = line(world, LegName.MAIN, LegState.FILLED, followed=followed)
    assert trail.waited_for == "5 % below 0.6000, which it followed from 0.5000"
    assert (trail.level, trail.followed) == (Decimal("0.57"), Decimal("0.1"))
    assert trail.problem == "it is armed, and filled was promised"


def test_an_order_that_was_never_made_is_a_problem() -> None:
    assert missing_line(OrderKind.OCO, LegName.TAKE, expected=LegState.FILLED).problem
