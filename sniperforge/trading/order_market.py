"""An order held against the market and the wallet as they are now: what cannot be placed, and how far it is away."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from sniperforge.domain.money import Mint, format_units
from sniperforge.domain.order import AmountKind, Condition, Crossing, Leg, LegName, OrderKind
from sniperforge.domain.time_window import is_window
from sniperforge.domain.trigger import TRAIL_BPS_LEAST, TRAIL_BPS_MOST, Direction, Subject, is_crossed, trail_level
from sniperforge.ports.triggers import kind_of_problem
from sniperforge.trading.order_legs import direction_of, exit_side, waits_for_nothing
from sniperforge.trading.order_terms import WHOLE_BPS, OrderTerms, Problem, Side, usable_prices
from sniperforge.trading.price_watch import TOO_EARLY

_SHOWN = Context(prec=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What is known of the world when an order is asked for.

    Attributes:
        values: What is watched, as it is now.
        missing: Why a subject has no value: `KIND: WORDS`.
        watched: Everything that this and all other orders watch.
        free_raw: What the wallet holds of the token and has not promised elsewhere, in base units.
        decimals: Digits after the point, of both tokens.
    """

    values: Mapping[Subject, Decimal]
    missing: Mapping[Subject, str]
    watched: tuple[Subject, ...]
    free_raw: int
    decimals: Mapping[Mint, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far a level is from where the market is.

    Attributes:
        leg: Whose level it is.
        crossing: The level, what it is one of, and from which side it is reached.
        value: What is watched, as it is now.
    """

    leg: LegName
    crossing: Crossing
    value: Decimal

    @property
    def percent(self) -> Decimal:
        """From the value to the level, as a share of the value: negative when the level is below."""
        return (self.crossing.level - self.value) / self.value * 100


def watched_subjects(terms: OrderTerms) -> tuple[Subject, ...]:
    """Everything whose value is needed to place an order with these terms."""
    base, quote = Subject(terms.base_mint), Subject(terms.quote_mint)
    conditional = terms.kind is OrderKind.CONDITIONAL
    subjects = [crossing.subject for crossing in terms.conditions] if conditional else [base]
    told_in = AmountKind.QUOTE if terms.side is Side.SELL else AmountKind.BASE
    if terms.amount is not None and terms.amount.kind is told_in:
        subjects += [base, quote]
    return tuple(dict.fromkeys(subjects))


def market_problems(terms: OrderTerms, market: Market) -> list[Problem]:
    """Everything that keeps an order with these terms from being placed now.

    Args:
        terms: What is wanted. What is wrong with it by itself is no reason to leave anything out here.
        market: The world as it is.
    """
    return [
        *unpriced(terms, market),
        *_wrong_trail(terms, market),
        *_fires_at_once(terms, market),
        *_more_than_held(terms, market),
    ]


def level_now(leg: Leg, values: Mapping[Subject, Decimal]) -> tuple[Crossing, ...]:
    """What a leg that begins to be watched now waits for: its levels, an activation in place of a trail's own."""
    rule = leg.rule
    if isinstance(rule, Crossing):
        return (rule,)
    if isinstance(rule, Condition):
        return rule.crossings
    if rule.activation is not None:
        begins = Direction.UP if rule.direction is Direction.DOWN else Direction.DOWN
        return (Crossing(subject=rule.subject, direction=begins, level=rule.activation),)
    level = trail_level(rule.direction, values[rule.subject], bps=rule.bps, amount=rule.amount)
    return () if level is None else (Crossing(subject=rule.subject, direction=rule.direction, level=level),)


def distances(legs: Sequence[Leg], values: Mapping[Subject, Decimal]) -> tuple[Distance, ...]:
    """How far every price is that these legs wait for; an entry at once waits for nothing."""
    return tuple(
        Distance(leg=leg.name, crossing=crossing, value=values[crossing.subject])
        for leg in legs
        if not waits_for_nothing(leg.rule)
        for crossing in level_now(leg, values)
        if crossing.subject in values and not is_window(crossing.subject)
    )


def holds_already(leg: Leg, values: Mapping[Subject, Decimal]) -> bool:
    """Whether a conditional leg, or the activation of a trail, is fulfilled as things stand."""
    held = [
        one.subject in values and is_crossed(one.direction, values[one.subject], one.level)
        for one in level_now(leg, values)
    ]
    return all(held) if isinstance(leg.rule, Condition) and leg.rule.needs_all else any(held)


def unpriced(terms: OrderTerms, market: Market) -> list[Problem]:
    """What is watched and has no price. One that is only not known for long enough yet will have one."""
    problems = []
    for subject, why in market.missing.items():
        if kind_of_problem(why) == TOO_EARLY:
            continue
        is_condition = any(subject == one.subject for one in terms.conditions)
        is_quote = subject == Subject(terms.quote_mint)
        field = "conditions" if is_condition else "quote_mint" if is_quote else "base_mint"
        problems.append(Problem(field, f"{subject} has no price now, so nobody could tell when to act ({why})"))
    return problems


def _wrong_trail(terms: OrderTerms, market: Market) -> Iterator[Problem]:
    prices, now = usable_prices(terms), market.values.get(Subject(terms.base_mint))
    amount, reference = prices.get("trail_amount"), prices.get("activation", now)
    if amount is None or reference is None:
        return
    bps = Fraction(amount) / Fraction(reference) * WHOLE_BPS
    if not TRAIL_BPS_LEAST <= bps <= TRAIL_BPS_MOST:
        share = (amount / reference * 100).quantize(Decimal("0.001"))
        yield Problem("trail_amount", f"{amount:f} is {share} % of {reference:f}, not within 0.01 % to 90 %")


def _fires_at_once(terms: OrderTerms, market: Market) -> Iterator[Problem]:
    """Prices that the market has reached already: nobody means a stop above the market."""
    now = market.values.get(Subject(terms.base_mint))
    if now is None or terms.force or terms.kind is OrderKind.CONDITIONAL:
        return
    if terms.kind is OrderKind.BRACKET and terms.entry is not None:
        return  # its exits begin at the entry, against which they were held
    side = exit_side(terms)
    is_stop = {"trigger": terms.kind is OrderKind.STOP_LOSS, "stop_loss": True, "take_profit": False}
    for field, level in usable_prices(terms).items():
        if field not in is_stop:
            continue
        direction = direction_of(side, is_stop=is_stop[field])
        if is_crossed(direction, now, level):
            where = "below" if direction is Direction.DOWN else "above"
            yield Problem(
                field,
                f"{level:f} is not {where} the market ({_SHOWN.plus(now):f}): it would fire at once, unless forced",
            )


def _more_than_held(terms: OrderTerms, market: Market) -> Iterator[Problem]:
    if terms.side is not Side.SELL or not terms.only_reduces:
        return
    amount, free = terms.amount, market.free_raw
    if amount is None or amount.kind is AmountKind.PERCENT:
        if free <= 0 and not terms.force:
            yield Problem("amount", "the wallet holds none of it that is not promised to other trades")
        return
    base, quote = terms.base_mint, terms.quote_mint
    wanted = Fraction(amount.value)
    if amount.kind is AmountKind.QUOTE:
        usd = [market.values.get(Subject(mint)) for mint in (base, quote)]
        if usd[0] is None or usd[1] is None:
            return  # that a price is missing was said
        wanted = wanted * Fraction(usd[1]) / Fraction(usd[0])
        wanted *= Fraction(10) ** (market.decimals[base] - market.decimals[quote])
    if wanted > free:
        places = market.decimals[base]
        told = (
            f"{format_units(math.ceil(wanted), places)} is more than the position: {format_units(max(0, free), places)}"
        )
        yield Problem("amount", f"{told} are held and not promised to other trades")
