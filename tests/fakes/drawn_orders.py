"""Orders that Hypothesis draws: every kind, at prices around 100 that a walk of the market reaches."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from sniperforge.domain.order import Amount, AmountKind, Crossing, OrderKind
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.trading.order_terms import Side
from tests.fakes.naive_legs import RATIO
from tests.fakes.naive_windows import AHEAD_OF_UTC, EveryDay, OnceFromNow
from tests.fakes.order_terms import JUP, SOL

Condition = Crossing | OnceFromNow | EveryDay

GIVEN_BY = {
    Side.SELL: Amount(AmountKind.BASE, 1_000),
    Side.BUY: Amount(AmountKind.QUOTE, 1_000),
}
"""So little of what the wallet holds that no order is short of it."""

_KINDS = (
    OrderKind.STOP_LOSS,
    OrderKind.TAKE_PROFIT,
    OrderKind.TRAILING_STOP,
    OrderKind.TRAILING_STOP,
    OrderKind.OCO,
    OrderKind.OCO,
    OrderKind.BRACKET,
    OrderKind.BRACKET,
    OrderKind.CONDITIONAL,
    OrderKind.CONDITIONAL,
    OrderKind.CONDITIONAL,
)

prices = st.one_of(
    st.integers(88, 112).map(Decimal),
    st.integers(88, 112).map(Decimal),
    st.sampled_from([Decimal("99.999999999999999"), Decimal("100.00000000000001"), Decimal("90.000000000000001")]),
)
ratios = st.sampled_from(("0.9", "0.97", "1", "1", "1.03", "1.1")).map(Decimal)
_missing_or_price = st.one_of(prices, prices, prices, st.none())
pairs = st.tuples(_missing_or_price, _missing_or_price)
"""Of SOL and JUP; None where there is no price."""

trails = st.one_of(
    st.sampled_from((1, 200, 500, 500, 1_000, 3_333)).map(lambda bps: {"trail_bps": bps}),
    st.sampled_from(("0.1", "3", "5", "10")).map(lambda amount: {"trail_amount": Decimal(amount)}),
)
counts = st.sampled_from((1, 2, 2, 3))
minutes = st.sampled_from((None, None, None, None, 1, 4, 12))
numbers = st.integers(0, 20)


@st.composite
def crossings(draw: st.DrawFn) -> Crossing:
    """Of a price, or of the ratio of two."""
    subject = draw(st.sampled_from((Subject(SOL), Subject(JUP), RATIO)))
    level = draw(ratios if subject == RATIO else prices)
    return Crossing(subject=subject, direction=draw(st.sampled_from(Direction)), level=level)


_zones = st.sampled_from(tuple(AHEAD_OF_UTC))
_daily = st.builds(EveryDay, st.sampled_from((-2, 3, 12, -6, 0, 30)), st.sampled_from((2, 6, 15, 1_430)), _zones)
_once = st.one_of(
    st.builds(
        lambda begins, lasts, zone: OnceFromNow(begins, begins + lasts, zone),
        st.sampled_from((0, 1, 1, 3, 8, -2)),
        st.sampled_from((5, 2, 12, 1)),
        _zones,
    ),
    st.builds(OnceFromNow, st.none(), st.sampled_from((3, 6, 12, 1, -1)), _zones),
    st.builds(OnceFromNow, st.sampled_from((1, 3, 8, -1)), st.none(), _zones),
)
windows: st.SearchStrategy[OnceFromNow | EveryDay] = st.one_of(_daily, _daily, _once)
"""Of time: some are over, and those of every day begin near when the paths do, in one zone over midnight."""


@st.composite
def _timed(draw: st.DrawFn) -> tuple[Condition, ...]:
    """A window at least, which need not be what comes first."""
    beside = draw(st.sampled_from(((True,), (True,), (True, True), (False,), (True, False), ())))
    found: list[Condition] = [draw(crossings() if is_priced else windows) for is_priced in beside]
    found.insert(draw(st.integers(0, len(found))), draw(windows))
    return tuple(found)


_priced = st.lists(crossings(), min_size=1, max_size=3).map(tuple)
conditions: st.SearchStrategy[tuple[Condition, ...]] = st.one_of(_priced, _timed(), _timed())
"""Windows in them are told from when they are asked for."""


@st.composite
def wanted(
    draw: st.DrawFn, begins: st.SearchStrategy[int | None] = minutes, ends: st.SearchStrategy[int | None] = minutes
) -> dict[str, Any]:
    """Terms of an order, its times in minutes from now."""
    kind, side = draw(st.sampled_from(_KINDS)), draw(st.sampled_from(Side))
    given: dict[str, Any] = {
        "kind": kind,
        "side": side,
        "amount": GIVEN_BY[side],
        "base_mint": draw(st.sampled_from((SOL, SOL, JUP))),
        "confirmations": draw(counts),
        "expires_at": draw(ends),
        "active_from": draw(begins),
    }
    if given["expires_at"] is not None and given["active_from"] is not None:
        given["expires_at"] += given["active_from"]
    if kind is OrderKind.BRACKET:
        given |= {"side": Side.BUY, "amount": GIVEN_BY[Side.BUY]}
        low, entry, high = sorted(draw(st.lists(prices, min_size=3, max_size=3, unique=True)))
        at_once = draw(st.sampled_from((True, False, False)))
        return given | {"stop_loss": low, "entry": None if at_once else entry, "take_profit": high}
    if kind is OrderKind.OCO:
        low, high = sorted(draw(st.lists(prices, min_size=2, max_size=2, unique=True)), reverse=side is Side.BUY)
        return given | {"stop_loss": low, "take_profit": high}
    if kind is OrderKind.CONDITIONAL:
        return given | {"conditions": draw(conditions), "needs_all": draw(st.booleans())}
    if kind is OrderKind.TRAILING_STOP:
        return given | {"trail_bps": None, "activation": draw(st.one_of(st.none(), prices))} | draw(trails)
    return given | {"trigger": draw(prices)}


wanted_now = wanted(begins=st.none())
