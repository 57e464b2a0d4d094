"""Where the market has to be for what an order waits for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from sniperforge.domain.money import Mint
from sniperforge.domain.trigger import Subject
from tests.fakes.naive_legs import RATIO, AtOnce, Behind, Level, Several, Waits
from tests.fakes.naive_windows import IS_OPEN, IS_SHUT, is_time
from tests.fakes.order_terms import JUP, SOL

_AS_RATIOS_ARE_TOLD = Context(prec=17)
_CENT = Decimal("0.01")
_LEAST, _MOST = 80, 125
"""How far the market goes: at a few dollars a trail by an amount would be no trail any more."""


def prices_at(waits: Waits) -> dict[Mint, Decimal | None]:
    """Prices at which what a leg waits for is so when it is time, where there are any."""
    met = prices_of(waits)
    sol, jup = met if met is not None else (Decimal(100), Decimal(100))
    return {SOL: sol, JUP: jup}


def prices_of(waits: Waits, among: Sequence[Level] = ()) -> tuple[Decimal, Decimal] | None:
    """A price of SOL and one of JUP at which this is so when it is time, and as few of the others as can be."""
    if isinstance(waits, Behind):
        level = waits.activation
        if waits.best is not None:
            level = waits.level.quantize(_CENT, ROUND_FLOOR if waits.down else ROUND_CEILING)
        return (level, level) if level is not None and _LEAST < level < _MOST else None
    levels = among or (waits.levels if isinstance(waits, Several) else () if isinstance(waits, AtOnce) else (waits,))
    told = [Decimal(price) for price in (100, 88, 112)] + [
        one.level for one in levels if one.subject in (Subject(SOL), Subject(JUP))
    ]
    ratios = [Decimal(1)] + [one.level for one in levels if one.subject == RATIO]
    tried = [(sol, jup) for sol in told for jup in told]
    tried += [(sol, _AS_RATIOS_ARE_TOLD.divide(sol, ratio)) for sol in told for ratio in ratios]
    # Windows are open where all is needed, and else shut: prices alone are to make it so.
    needs_them = not isinstance(waits, Several) or waits.needs_all
    times = {name: IS_OPEN if needs_them else IS_SHUT for one in levels for name in one.subjects if is_time(name)}
    met = [pair for pair in tried if waits.holds(values_of(*pair) | times)]
    return min(met, key=lambda pair: sum(one.holds(values_of(*pair)) for one in among), default=None)


def values_of(sol: Decimal | None, jup: Decimal | None) -> dict[Subject, Decimal]:
    """Of everything that has one at these prices."""
    found = {Subject(mint): price for mint, price in ((SOL, sol), (JUP, jup)) if price is not None}
    if sol is not None and jup is not None:
        found[RATIO] = _AS_RATIOS_ARE_TOLD.divide(sol, jup)
    return found


def windows_in(waits: Waits) -> list[Subject]:
    """The windows of time among what a leg waits for."""
    return [subject for subject in waits.subjects if is_time(subject)]
