"""What every strategy is: settings, rounds at known times, and one decision per round.

A strategy is found by name among the entry points of the group `sniperforge.strategies`, ours and those of other
installed packages alike. It asks nobody anything: whoever runs it observes, and it decides from what it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import Mint
from sniperforge.strategies.config import StrategyConfig
from sniperforge.strategies.schedule import Timetable

ConfigT = TypeVar("ConfigT", bound=StrategyConfig)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the chain has it."""

    mint: Mint
    decimals: int


@dataclass(frozen=True, slots=True)
class Pair:
    """What a plan gives and what it gets."""

    input: Token
    output: Token


@dataclass(frozen=True, slots=True)
class Observation:
    """What a strategy is shown of the world.

    Attributes:
        pair: Its tokens.
        price: Whole input tokens per whole output token, by independent sources; None if the strategy needs none.
    """

    pair: Pair
    price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The trade that a round decides.

    Attributes:
        input_raw: Base units of the input token.
        min_out_per_input: Worst acceptable price: output base units per input base unit, or None.
        max_slippage_bps: Tighter cap than the default, or None.
        max_cost_bps: Most that all costs together may be, or None for the default.
        deadline: Shorter patience than the default, or None.
    """

    input_raw: int
    effect: ExposureEffect
    min_out_per_input: Decimal | None
    max_slippage_bps: int | None
    max_cost_bps: int | None
    deadline: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What came of one round: a trade, or a reason why there is none.

    Attributes:
        state: What the strategy remembers from now on, as JSON values.
        proposal: The trade; None when the round is skipped. One round decides at most one trade (I6).
        skipped: Why there is no trade, for a person.
        ended: Why there is no further round, for a person; None while the plan goes on.
    """

    state: Mapping[str, Any]
    proposal: Proposal | None = None
    skipped: str | None = None
    ended: str | None = None

    def __post_init__(self) -> None:
        if (self.proposal is None) == (self.skipped is None):
            message = "a round is decided or skipped, one of the two"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Outline:
    """What a plan is going to spend, in base units of its input token.

    Attributes:
        order_raw: One usual order.
        orders: How many there will be at most; None if it has no end.
        total_raw: All of them together; None if it has no end.
    """

    order_raw: int
    orders: int | None
    total_raw: int | None


class Strategy(Protocol[ConfigT]):
    """One kind of plan. Its name is that of its entry point. Every method is pure."""

    def read(self, values: Mapping[str, Any]) -> ConfigT:
        """The settings.

        Raises:
            InvalidInputError: `problems` lists everything that is wrong, each with its path.
        """
        ...

    def problems(self, config: ConfigT, pair: Pair, *, starting: datetime) -> tuple[str, ...]:
        """What is wrong with these settings for these tokens, in a plan that starts then; each with its path.

        An amount finer than the token, for instance, or more orders than there are rounds.
        """
        ...

    def warnings(self, config: ConfigT) -> tuple[str, ...]:
        """What is allowed but perhaps not meant."""
        ...

    def timetable(self, config: ConfigT, plan_id: str) -> Timetable:
        """When its rounds are due."""
        ...

    def outline(self, config: ConfigT, pair: Pair, *, starting: datetime) -> Outline:
        """What a plan that starts then is going to spend."""
        ...

    def begin(self) -> Mapping[str, Any]:
        """What a new plan remembers."""
        ...

    def needs_price(self, config: ConfigT) -> bool:
        """Whether a round cannot be decided without a price."""
        ...

    def decide(
        self, config: ConfigT, state: Mapping[str, Any], observation: Observation, occurrence: int, now: datetime
    ) -> Decision:
        """What this round decides.

        Args:
            config: The settings.
            state: What it remembers.
            observation: What it is shown.
            occurrence: Number of the round, from 0.
            now: The time.

        Raises:
            PriceUnavailableError: It needs a price and was shown none.
        """
        ...
