"""Price paths: where a token's price is at a moment of market time.

A path is a pure function of the seed and the market time, at any time and in any order, so nothing of it needs saving.
The walk is a sum of octaves of seeded noise: knots 1, 2, 4, ... 2^21 seconds apart, joined by straight lines, with
amplitudes growing as the square root of the spacing. Up to days it moves like a geometric random walk; over months it
stays bounded, so no price drifts away however long a sandbox runs. (Octaves: value noise, as in K. Perlin,
"An image synthesizer", 1985; a random walk's spectrum falls with the square of the frequency, hence the amplitudes.)

Floats stay inside this module: each price becomes an exact fraction once, and is exact from then on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, Protocol

from sniperforge.sandbox.price_file import PriceFile
from sniperforge.sandbox.tokens import HABITS, SOL, TokenSpec

ScenarioName = Literal["calm", "volatile", "crash", "moon", "flat"]

DAY_MS = 86_400_000
_OCTAVES = 22
_FACTOR_UNITS = 10**12
_KNOT_SCALE = 2 / math.sqrt(3) * 32_768  # standard deviation of a sum of four 16-bit uniforms
_DAILY = 1 / 633.0  # makes the standard deviation of one day's move one; measured, held by a test


@dataclass(frozen=True, slots=True)
class Scenario:
    """Shape of SOL's path.

    Attributes:
        daily_sigma: Typical relative move in one market day.
        trend_factor: What the trend multiplies the price by within `trend_days`; the walk is pinned to it at that
            moment and goes on from there without a trend.
    """

    daily_sigma: float
    trend_factor: float = 1.0
    trend_days: int = 4


SCENARIOS: Mapping[ScenarioName, Scenario] = {
    "calm": Scenario(daily_sigma=0.012),
    "volatile": Scenario(daily_sigma=0.08),
    "crash": Scenario(daily_sigma=0.05, trend_factor=0.4),
    "moon": Scenario(daily_sigma=0.05, trend_factor=3.0),
    "flat": Scenario(daily_sigma=0.0),
}


class PricePath(Protocol):
    """Prices over market time.

    `name` tells paths apart: a sandbox that comes back with another path starts that one from its beginning.
    """

    name: str

    def usd(self, token: TokenSpec, market_ms: int) -> Fraction | None:
        """Dollars per whole token at this market time; None where the path has no history."""
        ...


@lru_cache(maxsize=8_192)
def _knot(key: str, octave: int, index: int) -> float:
    """A bell-shaped value with mean 0 and standard deviation 1, the same for ever."""
    digest = blake2b(f"{key}:{octave}:{index}".encode(), digest_size=8).digest()
    total = sum(int.from_bytes(digest[at : at + 2], "little") for at in (0, 2, 4, 6))
    return (total - 2 * 65_535) / _KNOT_SCALE


def walk(key: str, market_ms: int) -> float:
    """Position of the walk named `key`: 0 at time 0, standard deviation about 1 per day."""
    return _noise(key, market_ms) - _noise(key, 0)


def _noise(key: str, market_ms: int) -> float:
    total = 0.0
    for octave in range(_OCTAVES):
        spacing = 1_000 << octave
        index, rest = divmod(market_ms, spacing)
        here, there = _knot(key, octave, index), _knot(key, octave, index + 1)
        total += math.sqrt(1 << octave) * (here + (there - here) * rest / spacing)
    return total * _DAILY


def _exact(start: Fraction, log_move: float) -> Fraction:
    """`start * e^log_move`, exact to twelve digits and never zero."""
    return start * Fraction(max(1, round(math.exp(log_move) * _FACTOR_UNITS)), _FACTOR_UNITS)


def _own_move(seed: int, token: TokenSpec, market_ms: int, daily_sigma: float) -> float:
    habit = HABITS[token.mint]
    sigma = (habit.own_noise * daily_sigma + habit.daily_sigma) if daily_sigma else 0.0
    return sigma * walk(f"{seed}:{token.mint}", market_ms) if sigma else 0.0


class ScenarioPath:
    """A named scenario: SOL walks, the others follow by their beta and add a walk of their own.

    `crash` has lost 60 % after four market days and `moon` has tripled; both go on from there like `volatile` markets
    without a trend. `flat` never moves.
    """

    def __init__(self, scenario: ScenarioName, seed: int) -> None:
        self.name = f"scenario:{scenario}:{seed}"
        self._shape = SCENARIOS[scenario]
        self._seed = seed

    def usd(self, token: TokenSpec, market_ms: int) -> Fraction:
        """Dollars per whole token; scenarios have a past as well, so that changes over 24 hours exist at once."""
        move = HABITS[token.mint].beta * self._sol_move(market_ms)
        return _exact(token.start_usd, move + _own_move(self._seed, token, market_ms, self._shape.daily_sigma))

    def _sol_move(self, market_ms: int) -> float:
        shape = self._shape
        if not shape.daily_sigma:
            return 0.0
        key = f"{self._seed}:sol"
        move = walk(key, market_ms)
        if shape.trend_factor == 1.0:
            return shape.daily_sigma * move
        end_ms = shape.trend_days * DAY_MS
        progress = min(max(market_ms, 0), end_ms) / end_ms
        pinned = move - progress * walk(key, end_ms)
        return math.log(shape.trend_factor) * progress + shape.daily_sigma * pinned


class FilePath:
    """SOL follows a file of prices; the others follow SOL by their beta and add a calm walk of their own.

    The first bar begins at market time 0. After the last bar the last close is held: the file does not loop, because
    the jump from its end to its beginning never happened.
    """

    def __init__(self, prices: PriceFile, seed: int) -> None:
        self.name = f"file:{prices.digest}:{seed}"
        self._prices = prices
        self._seed = seed
        self._first = prices.usd_at(0)

    def usd(self, token: TokenSpec, market_ms: int) -> Fraction | None:
        """Dollars per whole token; None before the first bar."""
        if market_ms < 0:
            return None
        sol_usd = self._prices.usd_at(market_ms)
        if token.mint == SOL:
            return sol_usd
        move = HABITS[token.mint].beta * math.log(sol_usd / self._first)
        return _exact(token.start_usd, move + _own_move(self._seed, token, market_ms, SCENARIOS["calm"].daily_sigma))
