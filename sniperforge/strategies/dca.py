"""Dollar-cost averaging: the same amount at every round, whatever the price, or within a band of prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_UP, Context, Decimal
from typing import Annotated, Any

from pydantic import Field

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import parse_units
from sniperforge.errors import InvalidInputError, PriceUnavailableError
from sniperforge.strategies.base import Decision, Observation, Outline, Pair, Proposal
from sniperforge.strategies.config import Amount, StrategyConfig, Whole, read_config
from sniperforge.strategies.schedule import SCHEDULE_KEYS, Schedule, Timetable

_UP = Context(prec=28, rounding=ROUND_UP)
_SHOWN_UP, _SHOWN_DOWN = Context(prec=8, rounding=ROUND_CEILING), Context(prec=8, rounding=ROUND_FLOOR)
"""A price beyond a limit is shown beyond it, never as the limit."""

_ORDERS = "orders"
"""What a plan remembers: how many of its orders were decided."""


class DcaConfig(StrategyConfig):
    """Settings of a DCA plan. Amounts are whole input tokens, prices input tokens per output token."""

    nested_keys = SCHEDULE_KEYS

    amount_per_order: Amount | None = None
    """How much each order gives, for as long as the plan runs."""
    total_amount: Amount | None = None
    """How much all orders give together; needs `orders`."""
    orders: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    """How many orders share the total; the last one takes what division leaves."""
    schedule: Schedule
    """When."""
    min_price: Amount | None = None
    """Below it a round is skipped."""
    max_price: Amount | None = None
    """Above it a round is skipped; and no order is filled at a worse price."""
    jitter_s: Annotated[Whole, Field(ge=0, le=82_800)] = 0
    """Up to this much later than the schedule says, differently each time."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any], wrong: frozenset[str]) -> Iterator[str]:
        """What does not go together."""
        yield from super().contradictions(given, wrong)
        each, total, orders = (given.get(name) for name in ("amount_per_order", "total_amount", "orders"))
        if each is not None and total is not None:
            yield "total_amount: amount_per_order says how much already; keep one of them"
        elif each is not None and orders is not None:
            yield "orders: it shares a total_amount; an end for amount_per_order is end_at"
        elif each is None and total is None and not wrong & {"amount_per_order", "total_amount"}:
            yield "amount_per_order: it is missing (or total_amount with orders)"
        elif total is not None and orders is None and "orders" not in wrong:
            yield "orders: it is missing; among how many orders is total_amount shared?"
        low, high = given.get("min_price"), given.get("max_price")
        if low is not None and high is not None and low > high:
            yield f"min_price: {low} is above max_price ({high})"
        schedule, jitter_s = given.get("schedule"), given.get("jitter_s")
        if schedule is not None and jitter_s is not None and timedelta(seconds=jitter_s) >= schedule.shortest_gap:
            gap_s = int(schedule.shortest_gap.total_seconds())
            yield f"jitter_s: {jitter_s} is not shorter than the time between two rounds ({gap_s} s)"


class DcaStrategy:
    """`strategies.base.Strategy` of the kind `dca`.

    A round that is skipped uses up no order: a plan of ten orders goes on until ten were decided.
    """

    def read(self, values: Mapping[str, Any]) -> DcaConfig:
        """The settings."""
        return read_config(DcaConfig, values)

    def problems(self, config: DcaConfig, pair: Pair, *, starting: datetime) -> tuple[str, ...]:
        """An amount that the input token cannot express, or nothing when it is shared; orders without a round."""
        return (*self._amount_problems(config, pair), *self._end_problems(config, starting))

    @staticmethod
    def _amount_problems(config: DcaConfig, pair: Pair) -> tuple[str, ...]:
        name = "total_amount" if config.amount_per_order is None else "amount_per_order"
        try:
            raw = _raw(getattr(config, name), pair, name)
        except InvalidInputError as error:
            return (str(error),)
        if raw < (config.orders or 1):
            return (f"{name}: shared among {config.orders} orders nothing is left for each",)
        return ()

    def _end_problems(self, config: DcaConfig, starting: datetime) -> tuple[str, ...]:
        """Orders that its end leaves no round for. That it leaves no round at all is said of every plan."""
        if config.orders is None or config.end_at is None:
            return ()
        rounds = self._rounds(config, starting, config.end_at)
        if rounds == 0 or rounds >= config.orders:
            return ()
        fit = f"only {rounds} of {config.orders} orders fit before end_at: the rest would never be spent"
        return (f"orders: {fit}; give fewer orders, a shorter interval or a later end_at",)

    def warnings(self, config: DcaConfig) -> tuple[str, ...]:
        """Patience that is longer than a round."""
        gap_s = int(config.schedule.shortest_gap.total_seconds())
        told = []
        if config.deadline_s is not None and config.deadline_s > gap_s:
            told.append(f"deadline_s: orders may wait for {config.deadline_s} s, so that several can be open at once")
        if config.max_lateness_s > gap_s and config.catch_up == "skip":
            told.append(f"max_lateness_s: a round is missed after {gap_s} s anyway, when the next one is due")
        return tuple(told)

    def timetable(self, config: DcaConfig, plan_id: str) -> Timetable:
        """Its rounds."""
        return Timetable(
            config.schedule, plan_id, jitter_s=config.jitter_s, start_at=config.start_at, end_at=config.end_at
        )

    def outline(self, config: DcaConfig, pair: Pair, *, starting: datetime) -> Outline:
        """What it is going to spend, if no round is skipped."""
        if config.total_amount is not None and config.orders is not None:
            total = _raw(config.total_amount, pair, "total_amount")
            return Outline(total // config.orders, config.orders, total)
        each = self._amount_raw(config, pair, 0)
        if config.end_at is None:
            return Outline(each, None, None)
        orders = self._rounds(config, starting, config.end_at)
        return Outline(each, orders, orders * each)

    def begin(self) -> Mapping[str, Any]:
        """No order yet."""
        return {_ORDERS: 0}

    def needs_price(self, config: DcaConfig) -> bool:
        """Only a band of prices needs one."""
        return config.min_price is not None or config.max_price is not None

    def decide(
        self,
        config: DcaConfig,
        state: Mapping[str, Any],
        observation: Observation,
        occurrence: int,  # noqa: ARG002 (every round is like the others)
        now: datetime,  # noqa: ARG002 (the same)
    ) -> Decision:
        """One more order, unless the price is out of the band."""
        out_of_band = _out_of_band(config, observation.price)
        if out_of_band is not None:
            return Decision(state=state, skipped=out_of_band)
        decided = int(state[_ORDERS])
        proposal = Proposal(
            input_raw=self._amount_raw(config, observation.pair, decided),
            effect=ExposureEffect.ENTRY,
            min_out_per_input=_min_out_per_input(config, observation.pair),
            max_slippage_bps=config.max_slippage_bps,
            max_cost_bps=config.max_cost_bps,
            deadline=None if config.deadline_s is None else timedelta(seconds=config.deadline_s),
        )
        is_last = config.orders is not None and decided + 1 >= config.orders
        return Decision(
            state={_ORDERS: decided + 1},
            proposal=proposal,
            ended=f"all of its {config.orders} orders were decided" if is_last else None,
        )

    def _rounds(self, config: DcaConfig, starting: datetime, until: datetime) -> int:
        """How many rounds a plan that starts then has up to a moment."""
        timetable = self.timetable(config, config.name)
        first = timetable.first(starting)
        return 0 if first is None else timetable.count(first, until)

    @staticmethod
    def _amount_raw(config: DcaConfig, pair: Pair, decided: int) -> int:
        """Base units of the order that follows so many others; the last one takes what division left."""
        if config.total_amount is None or config.orders is None:
            return _raw(config.amount_per_order, pair, "amount_per_order")
        total = _raw(config.total_amount, pair, "total_amount")
        each = total // config.orders
        return each if decided + 1 < config.orders else total - each * (config.orders - 1)


def _raw(amount: Decimal | None, pair: Pair, name: str) -> int:
    return parse_units(f"{amount:f}", pair.input.decimals, field=name)


def _out_of_band(config: DcaConfig, price: Decimal | None) -> str | None:
    """Why this price keeps a round from being decided, or None."""
    if config.min_price is None and config.max_price is None:
        return None
    if price is None:
        raise PriceUnavailableError("a band of prices is set and there is no price", subject=config.name)
    if config.max_price is not None and price > config.max_price:
        return f"the price is {_SHOWN_UP.plus(price):f}, above max_price ({config.max_price:f})"
    if config.min_price is not None and price < config.min_price:
        return f"the price is {_SHOWN_DOWN.plus(price):f}, below min_price ({config.min_price:f})"
    return None


def _min_out_per_input(config: DcaConfig, pair: Pair) -> Decimal | None:
    """`max_price` as base units got per base unit given; rounded up, so never worse than it says."""
    if config.max_price is None:
        return None
    return _UP.divide(Decimal(1).scaleb(pair.output.decimals - pair.input.decimals), config.max_price)
