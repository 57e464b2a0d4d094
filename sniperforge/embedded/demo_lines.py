"""Lines of the demo's tables, read from the books: trades, and the legs of orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sniperforge.domain.ids import order_of_key
from sniperforge.domain.money import Mint, format_units
from sniperforge.domain.order import Crossing, LegName, LegState, OrderKind, Trail
from sniperforge.domain.trigger import Direction
from sniperforge.embedded.demo_report import OrderLine, TradeLine

if TYPE_CHECKING:
    from sniperforge.domain.intent import TradeIntent
    from sniperforge.ports.store import Store
    from sniperforge.trading.order_report import LegReport, OrderReport
    from sniperforge.trading.trade_report import TradeReport


@dataclass(frozen=True, slots=True)
class Token:
    """What is needed to show an amount."""

    symbol: str
    decimals: int

    def amount(self, raw: int) -> str:
        """Exact, with the symbol."""
        return f"{format_units(raw, self.decimals)} {self.symbol}"


@dataclass(frozen=True, slots=True)
class Followed:
    """How far a trailing stop followed the price.

    Attributes:
        began: The best price when it was first looked at.
        best: The best price when it was last looked at.
        level: What would fire it then.
    """

    began: Decimal
    best: Decimal
    level: Decimal


def trade_line(
    intent: TradeIntent,
    report: TradeReport,
    *,
    tokens: Mapping[Mint, Token],
    dollar: Mint,
    kinds: Mapping[str, OrderKind],
) -> TradeLine:
    """A trade as it stands.

    Args:
        intent: The trade.
        report: What the books tell of it.
        tokens: Every token that is traded.
        dollar: The one of them that prices are told in.
        kinds: Of orders, by id.
    """
    fill = report.fill
    confirmed = report.filled_by.confirmed_at if report.filled_by else None
    source, target = tokens[intent.input_mint], tokens[intent.output_mint]
    gave = got = ""
    price = None
    if fill is not None:
        gave, got = source.amount(fill.input_raw), target.amount(fill.output_raw)
        into = Decimal(fill.input_raw).scaleb(-source.decimals), Decimal(fill.output_raw).scaleb(-target.decimals)
        usd, other = into if intent.input_mint == dollar else reversed(into)
        price = (usd / other).quantize(Decimal("0.0001"))
    seconds = None if confirmed is None else Decimal(str(round((confirmed - intent.created_at).total_seconds(), 3)))
    return TradeLine(
        id=intent.id,
        what=_what(intent, kinds),
        state=intent.state.value,
        gave=gave,
        got=got,
        price=price,
        realised_bps=report.realised_bps,
        fee_lamports=sum(one.fee_lamports for one in report.fills),
        attempts=len(report.attempts),
        seconds=seconds,
        is_final=report.settled,
    )


def order_line(
    store: Store, order: OrderReport, one: LegReport, *, expected: LegState, followed: Followed | None
) -> OrderLine:
    """A leg as it stands, beside how it must end."""
    from sniperforge.trading.trade_report import read_report

    leg, rule = one.leg, one.leg.rule
    fill = read_report(store, one.trades[-1].id).fill if one.trades else None
    waited_for, level, falls = "", None, True
    if isinstance(rule, Crossing):
        falls, level = rule.direction is Direction.DOWN, rule.level
        waited_for = f"{rule.level.normalize():f} or {'less' if falls else 'more'}"
    elif isinstance(rule, Trail) and followed is not None:
        level = followed.level
        waited_for = (
            f"{Decimal(rule.bps or 0) / 100} % below {followed.best:.4f}, which it followed from {followed.began:.4f}"
        )
    return OrderLine(
        id=order.order.id,
        kind=order.order.kind.value,
        leg=leg.name.value,
        waited_for=waited_for,
        level=level,
        falls=falls,
        followed=None if followed is None else followed.best - followed.began,
        fired_at=leg.fired_value,
        gap_bps=leg.gap_bps,
        state=leg.state.value,
        expected=expected.value,
        order_state=order.order.state.value,
        trades=tuple(trade.id for trade in one.trades),
        gave_raw=None if fill is None else fill.input_raw,
        got_raw=None if fill is None else fill.output_raw,
    )


def missing_line(kind: OrderKind, leg: LegName, *, expected: LegState) -> OrderLine:
    """A leg of an order that was never made."""
    return OrderLine(
        id="",
        kind=kind.value,
        leg=leg.value,
        waited_for="",
        level=None,
        falls=True,
        followed=None,
        fired_at=None,
        gap_bps=None,
        state="never made",
        expected=expected.value,
        order_state="never made",
        trades=(),
        gave_raw=None,
        got_raw=None,
    )


def _what(intent: TradeIntent, kinds: Mapping[str, OrderKind]) -> str:
    of = order_of_key(intent.key)
    if of is not None:
        return kinds[of[0]].value if of[1] == LegName.MAIN else f"{kinds[of[0]].value} {of[1]}"
    return "one-off" if intent.occurrence is None else f"round {intent.occurrence + 1}"
