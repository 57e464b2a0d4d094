"""What the demo shows of orders: placed as typed, before anything is hurt; then their market rises, and crashes.

The rise is decreed, step by step. The fall is the sandbox's own scenario `crash`, which takes every token along and
waits for nobody: the price falls on while what it fired is traded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from sniperforge.domain.order import LegName, LegState, OrderKind, Trail
from sniperforge.embedded.demo_lines import Followed, missing_line, order_line
from sniperforge.embedded.demo_world import DemoError

if TYPE_CHECKING:
    from sniperforge.embedded.demo_report import OrderLine
    from sniperforge.embedded.demo_world import DemoWorld
    from sniperforge.trading.order_report import LegReport, OrderReport

TOKEN = "JUP"  # noqa: S105 (the other kind of token)
"""Not the one that the plan buys: its price stays."""

BUDGET_USDC = "200"
"""What the orders will sell is bought for so much: enough for all of them before what one of them buys is final."""

_START_USD = Decimal("0.42")
_FILLED, _CANCELLED = LegState.FILLED, LegState.CANCELLED


@dataclass(frozen=True, slots=True)
class _Placed:
    """An order as it is typed, and how its legs must end."""

    words: str
    ends: Mapping[LegName, LegState]


_ORDERS = {
    OrderKind.STOP_LOSS: _Placed("--trigger 0.396 --amount 100", {LegName.MAIN: _FILLED}),
    OrderKind.TRAILING_STOP: _Placed("--trail-bps 500 --amount 100", {LegName.MAIN: _FILLED}),
    OrderKind.OCO: _Placed(
        "--stop-loss 0.40 --take-profit 0.44 --amount 100", {LegName.STOP: _CANCELLED, LegName.TAKE: _FILLED}
    ),
    OrderKind.BRACKET: _Placed(
        "--entry 0.413 --stop-loss 0.402 --take-profit 0.50 --quote-amount 40",
        {LegName.ENTRY: _FILLED, LegName.STOP: _FILLED, LegName.TAKE: _CANCELLED},
    ),
}

_FOLLOWED_USD, _TAKEN_USD = "0.435", "0.45"
"""The rise: first the trailing stop follows, then the OCO takes its profit."""

_FALL = (
    (OrderKind.TRAILING_STOP, LegName.MAIN),
    (OrderKind.BRACKET, LegName.ENTRY),
    (OrderKind.BRACKET, LegName.STOP),
    (OrderKind.STOP_LOSS, LegName.MAIN),
)
"""What the crash fires, in this order; the last one lies beyond the dead stop of the OCO."""

_CRASH_SPEED = 1_800
"""Market seconds per second: half a percent each second, so that quotes are still good when they are traded."""

_NEAR = Decimal("0.001")
"""The exchange's prices differ from the decreed one by less than this share."""


class DemoOrders:
    """The orders of one demo.

    Args:
        world: Its stack.
        say: Told of everything that happens: `step`, `moved` or `fired`.
        within_s: How long each thing may take.
    """

    def __init__(self, world: DemoWorld, say: Callable[[str, str], None], within_s: float) -> None:
        self._world = world
        self._say = say
        self._within_s = within_s
        self._ids: dict[OrderKind, str] = {}
        self._followed: Followed | None = None

    def hold_price(self) -> None:
        """Put the token at the price that the orders are made for."""
        self._world.price(TOKEN, str(_START_USD))

    def place(self) -> None:
        """Create one order of each kind, as typed.

        Raises:
            DemoError: A command failed.
        """
        for kind, placed in _ORDERS.items():
            words = f"order-create --type {kind.value} --token {TOKEN} {placed.words}"
            said = self._world.command(*words.split(), "--yes")
            found = re.search(r"^order (\w+) is open", said, re.MULTILINE)
            if found is None:
                raise DemoError("it did not say which order it made", subject=words)
            self._ids[kind] = found[1]
            self._say("step", f"{words}: {found[1]}")

    def rise_and_crash(self) -> None:
        """Let the market rise, then crash by itself, until everything has fired and what it fired has landed.

        Raises:
            DemoError: Something did not fire, or its trade did not land.
        """
        self._rise_to(_FOLLOWED_USD, "the trailing stop follows")
        self._world.until("a look at that price", partial(self._has_followed_to, _FOLLOWED_USD), self._within_s)
        self._rise_to(_TAKEN_USD, "the take-profit of the OCO")
        self._await_fill(OrderKind.OCO, LegName.TAKE)
        self._say("moved", "the scenario `crash` begins: half an hour of market each second")
        self._world.market("crash", speed=_CRASH_SPEED)
        for kind, name in _FALL:
            self._await_fill(kind, name)
        self._world.market("calm", speed=1)

    def are_open(self) -> bool:
        """Whether any of them can still do something."""
        return any(self._report(kind).order.state == "open" for kind in self._ids)

    def lines(self) -> list[OrderLine]:
        """Every leg as it stands now, those of orders that were never made included."""
        found = []
        for kind, placed in _ORDERS.items():
            report = self._report(kind) if kind in self._ids else None
            for name, end in placed.ends.items():
                if report is None:
                    found.append(missing_line(kind, name, expected=end))
                    continue
                leg = next(one for one in report.legs if one.leg.name is name)
                followed = self._followed if isinstance(leg.leg.rule, Trail) else None
                found.append(order_line(self._world.services.store, report, leg, expected=end, followed=followed))
        return found

    def _rise_to(self, usd: str, what: str) -> None:
        self._world.price(TOKEN, usd)
        self._say("moved", f"{TOKEN} rises to {usd} USD: {what}")

    def _await_fill(self, kind: OrderKind, name: LegName) -> None:
        took = self._world.until(f"{kind} {name}", partial(self._is_filled, kind, name), self._within_s)
        leg = self._leg(kind, name).leg
        self._say("fired", f"{kind} {name} fired at {leg.fired_value:.6f}, and filled ({took:.1f} s)")

    def _is_filled(self, kind: OrderKind, name: LegName) -> bool:
        self._follow()
        return self._leg(kind, name).leg.state is LegState.FILLED

    def _has_followed_to(self, usd: str) -> bool:
        self._follow()
        return self._followed is not None and self._followed.best >= Decimal(usd) * (1 - _NEAR)

    def _follow(self) -> None:
        """Remember how far the trailing stop has followed: once it has fired, the book of triggers forgets it."""
        for trigger in self._leg(OrderKind.TRAILING_STOP, LegName.MAIN).triggers:
            best, level = trigger.view.best, trigger.view.level
            if best is not None and level is not None:
                began = best if self._followed is None else self._followed.began
                self._followed = Followed(began=began, best=best, level=level)

    def _leg(self, kind: OrderKind, name: LegName) -> LegReport:
        return next(one for one in self._report(kind).legs if one.leg.name is name)

    def _report(self, kind: OrderKind) -> OrderReport:
        from sniperforge.trading.order_report import read_order

        return read_order(self._world.services.store, self._ids[kind])
