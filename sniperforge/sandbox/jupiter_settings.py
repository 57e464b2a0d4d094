"""How the sandbox's Jupiter behaves; all of it can change while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

JUPITERZ_SHARE = Fraction(3, 10)
"""How often the market maker wins unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JupiterSettings:
    """Shares are probabilities per answer, drawn from the sandbox's seed.

    Attributes:
        jupiterz_share: How often the market maker wins an order that it may win.
        maker_leg_share: How often a Metis order carries a market maker's leg and so needs his signature at index 1.
        absurd_price_share: How often `/build` suggests a compute unit price of tens of billions, as it was seen to do.
        forbidden: Path prefixes closed to an API key; such calls are answered 403.
    """

    jupiterz_share: Fraction = JUPITERZ_SHARE
    maker_leg_share: Fraction = Fraction(0)
    absurd_price_share: Fraction = Fraction(1, 50)
    forbidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def happens(chance: Random, share: Fraction) -> bool:
    """Whether something with this share happens now."""
    return chance.randrange(share.denominator) < share.numerator
