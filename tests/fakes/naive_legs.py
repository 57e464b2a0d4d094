"""What a leg waits for, by hand: levels, trails and conditions that look at every value, with nothing but decimals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from sniperforge.domain.ids import IntentId
from sniperforge.domain.order import Amount, AmountKind, Crossing, LegName, LegState, OrderKind
from sniperforge.domain.trigger import Direction, Subject
from sniperforge.trading.order_terms import OrderTerms, Side
from tests.fakes.naive_windows import IS_OPEN, is_time
from tests.fakes.order_terms import JUP, SOL

RATIO = Subject(f"{SOL}/{JUP}")
"""How many JUP one SOL costs."""

NOTHING_YET = Amount(AmountKind.FILLED, 0)
"""What an exit of a bracket sells whose entry has not filled."""

Values = Mapping[Subject, Decimal]


@dataclass
class Level:
    """A value that is to be reached. Two of them are the same when they wait for the same."""

    subject: Subject
    down: bool
    level: Decimal
    counted: int = field(default=0, compare=False)
    confirmed: bool = field(default=False, compare=False)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What has to have a value, to tell whether it is so."""
        return (self.subject,)

    def holds(self, values: Values) -> bool:
        """Whether it is known to be so now."""
        value = values.get(self.subject)
        return value is not None and (value <= self.level if self.down else value >= self.level)

    def begin(self, values: Values) -> None:  # noqa: ARG002
        """It is watched from now on."""
        self.counted, self.confirmed = 0, False

    begin_anew = begin

    def see(self, subject: Subject, value: Decimal, before: Decimal | None, confirmations: int) -> bool:
        """Whether it has been so often enough with this value, which follows `before` in a row."""
        if subject != self.subject:
            return False
        if not self.holds({subject: value}):
            self.counted = 0
            return False
        self.counted = self.counted + 1 if before is not None else 1
        self.confirmed = self.confirmed or self.counted >= confirmations
        return self.counted >= confirmations

    def follow(self, subject: Subject, value: Decimal, before: Decimal | None) -> None:
        """A level stays where it is."""


@dataclass
class AtOnce(Level):
    """An entry that waits for nothing but a price."""


@dataclass
class Behind:
    """A trail: `best` is where it follows from, None until it was activated."""

    subject: Subject
    down: bool
    bps: int | None
    amount: Decimal | None
    activation: Decimal | None
    best: Decimal | None = field(default=None, compare=False)
    counted: int = field(default=0, compare=False)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What has to have a value."""
        return (self.subject,)

    def holds(self, values: Values) -> bool:  # noqa: ARG002
        """A turn of the price has been, and is not."""
        return False

    def begin(self, values: Values) -> None:
        """It is watched from now on."""
        self.counted, self.best = 0, values[self.subject] if self.activation is None else None

    def begin_anew(self, values: Values) -> None:
        """It was activated, and fired in vain."""
        self.counted, self.best = 0, values[self.subject]

    def follow(self, subject: Subject, value: Decimal, before: Decimal | None) -> None:
        """Go after the best that two values in a row have reached."""
        if subject == self.subject and self.best is not None and before is not None:
            self.best = max(self.best, min(value, before)) if self.down else min(self.best, max(value, before))

    def see(self, subject: Subject, value: Decimal, before: Decimal | None, confirmations: int) -> bool:
        """Whether the price has turned by so much, for so many values in a row."""
        if subject != self.subject:
            return False
        if not self._is_reached(value):
            self.counted = 0
            return False
        self.counted = self.counted + 1 if before is not None else 1
        if self.counted < confirmations:
            return False
        if self.best is None:
            self.best, self.counted = value, 0
            return False
        return True

    @property
    def level(self) -> Decimal:
        """Where it fires."""
        assert self.best is not None
        away = self.best * self.bps / 10_000 if self.bps is not None else self.amount
        assert away is not None
        return self.best - away if self.down else self.best + away

    def _is_reached(self, value: Decimal) -> bool:
        if self.best is None:
            assert self.activation is not None
            return value >= self.activation if self.down else value <= self.activation
        return value <= self.level if self.down else value >= self.level


@dataclass
class Several:
    """Several levels, of which any is enough, or all are needed.

    When exactly all of several fire is the product's own: it confirms one after the other. A person may rely on this:
    never while one of them does not hold; never before each of them was confirmed, one by one, and one of them by the
    last values; and always when all have held long enough to confirm one after the other.
    """

    needs_all: bool
    levels: tuple[Level, ...]
    looks: int = field(default=0, compare=False)
    """At something new since it has been watched."""
    run: int = field(default=0, compare=False)
    """Looks in a row, up to the last, at which all held."""

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What has to have a value, to tell whether it is so."""
        return tuple(dict.fromkeys(level.subject for level in self.levels))

    def holds(self, values: Values) -> bool:
        """Whether it is known to be so now."""
        return (all if self.needs_all else any)([level.holds(values) for level in self.levels])

    def begin(self, values: Values) -> None:
        """It is watched from now on."""
        self.looks = self.run = 0
        for level in self.levels:
            level.begin(values)

    begin_anew = begin

    def follow(self, subject: Subject, value: Decimal, before: Decimal | None) -> None:
        """Levels stay where they are."""

    def see(self, subject: Subject, value: Decimal, before: Decimal | None, confirmations: int) -> bool:
        """Whether one of them has been so often enough, where that is all it needs."""
        fired = [level.see(subject, value, before, confirmations) for level in self.levels]
        return any(fired) and not self.takes_its_turns

    @property
    def takes_its_turns(self) -> bool:
        """Whether the moment at which it fires is the product's own."""
        return self.needs_all and len(self.levels) > 1

    def looked(self, values: Values, news: Mapping[Subject, bool]) -> None:
        """A look is over.

        Args:
            values: Of all that has one now.
            news: Of what a value is new: whether it follows the one before it in a row.
        """
        self.looks += any(subject in news for subject in self.subjects)
        if not self._hold(values):
            self.run = 0
        elif all(subject in news for subject in self.subjects):
            self.run = self.run + 1 if all(news[subject] for subject in self.subjects) else 1

    def may_fire(self, values: Values, confirmations: int) -> bool:
        """Whether nobody could complain."""
        return (
            self._hold(values)
            and all(level.confirmed for level in self.levels)
            and any(level.counted >= confirmations for level in self.levels)
            and self.looks >= len(self.levels) * confirmations
        )

    def must_fire(self, confirmations: int) -> bool:
        """Whether somebody would complain if it did not."""
        return self.run >= len(self.levels) * confirmations

    def _hold(self, values: Values) -> bool:
        return all(subject in values for subject in self.subjects) and self.holds(values)


Waits = Level | Behind | Several


@dataclass
class NaiveLeg:
    """A leg, and what it waits for.

    Attributes:
        gets_out: A stop that sells: it fires again whatever the price is.
        amount: What it trades: an exit of a bracket what its entry brought.
        trade: The last that it decided; `is_final` when its fill can never be taken back.
        unasked: What nobody asks for meanwhile, since it has fired and another value is waited for.
    """

    name: LegName
    waits: Waits
    confirmations: int
    gets_out: bool
    state: LegState = LegState.DORMANT
    active_from: datetime | None = None
    firings: int = 0
    refire_at: datetime | None = None
    amount: Amount = NOTHING_YET
    trade: IntentId | None = None
    is_final: bool = False
    unasked: frozenset[Subject] = frozenset()

    @property
    def is_watched(self) -> bool:
        """Whether values are asked for: what is held back is still followed, unless it fired before."""
        return self.state is LegState.ARMED or (self.state is LegState.SUSPENDED and self.refire_at is None)

    @property
    def needs_values(self) -> bool:
        """Whether it cannot begin to be watched without knowing the values of then."""
        if isinstance(self.waits, Several):
            return self.waits.needs_all
        return isinstance(self.waits, Behind) and self.waits.activation is None

    def begin(self, values: Values) -> None:
        """It is watched from now on."""
        self.state, self.unasked = LegState.ARMED, frozenset()
        self.waits.begin(values)

    def begin_anew(self, values: Values) -> None:
        """It is watched again from now on."""
        self.state, self.unasked, self.refire_at = LegState.ARMED, frozenset(), None
        self.waits.begin_anew(values)

    def change(self, waits: Waits, confirmations: int, values: Values) -> None:
        """It waits for something else, or is confirmed otherwise. A trail goes on from the best that it has seen."""
        before, self.waits, self.confirmations = self.waits, waits, confirmations
        if self.state is not LegState.ARMED:
            return
        self.begin(values)
        if isinstance(before, Behind) and isinstance(waits, Behind) and before.activation == waits.activation:
            waits.best = waits.best if before.best is None else before.best

    def see(self, subject: Subject, value: Decimal, before: Decimal | None) -> bool:
        """Whether it fires at this value, which follows `before` in a row."""
        self.waits.follow(subject, value, before)
        return self.state is LegState.ARMED and self.waits.see(subject, value, before, self.confirmations)


def legs_by_hand(terms: OrderTerms, values: Values) -> list[NaiveLeg]:
    """The legs of an order with these terms, as the market is: the entry first, then the stop."""
    base, confirmations = Subject(terms.base_mint), terms.confirmations or 2
    sells = terms.side is Side.SELL or terms.kind is OrderKind.BRACKET

    def exit_at(name: LegName, level: Decimal | None, *, is_stop: bool) -> NaiveLeg:
        assert level is not None
        return NaiveLeg(name, Level(base, is_stop == sells, level), confirmations, gets_out=is_stop and sells)

    if terms.kind in (OrderKind.STOP_LOSS, OrderKind.TAKE_PROFIT):
        return [exit_at(LegName.MAIN, terms.trigger, is_stop=terms.kind is OrderKind.STOP_LOSS)]
    if terms.kind is OrderKind.TRAILING_STOP:
        trail = Behind(base, sells, terms.trail_bps, terms.trail_amount, terms.activation)
        return [NaiveLeg(LegName.MAIN, trail, confirmations, gets_out=sells)]
    if terms.kind is OrderKind.CONDITIONAL:
        levels = tuple(map(_level_of, terms.conditions))
        return [NaiveLeg(LegName.MAIN, Several(terms.needs_all, levels), confirmations, gets_out=False)]
    pair = [
        exit_at(LegName.STOP, terms.stop_loss, is_stop=True),
        exit_at(LegName.TAKE, terms.take_profit, is_stop=False),
    ]
    if terms.kind is OrderKind.OCO:
        return pair
    if terms.entry is None:
        return [NaiveLeg(LegName.ENTRY, AtOnce(base, down=True, level=Decimal(10**6)), 1, gets_out=False), *pair]
    entry = Level(base, terms.entry <= values[base], terms.entry)
    return [NaiveLeg(LegName.ENTRY, entry, confirmations, gets_out=False), *pair]


def _level_of(crossing: Crossing) -> Level:
    if is_time(crossing.subject):
        return Level(crossing.subject, down=True, level=IS_OPEN)
    return Level(crossing.subject, crossing.direction is Direction.DOWN, crossing.level)


def can_all_hold(crossings: Sequence[Crossing]) -> bool:
    """Whether some price of SOL and some of JUP satisfy all of them."""
    bounds: dict[Subject, tuple[Fraction, Fraction]] = {}
    for one in [crossing for crossing in crossings if not is_time(crossing.subject)]:
        least, most = bounds.get(one.subject, (Fraction(0), Fraction(10**30)))
        level = Fraction(one.level)
        down = one.direction is Direction.DOWN
        bounds[one.subject] = (least, min(most, level)) if down else (max(least, level), most)
    if any(least > most for least, most in bounds.values()):
        return False
    (sol_least, sol_most), (jup_least, jup_most), (least, most) = (
        bounds.get(subject, (Fraction(0), Fraction(10**30))) for subject in (Subject(SOL), Subject(JUP), RATIO)
    )
    return sol_least <= most * jup_most and sol_most >= least * jup_least
