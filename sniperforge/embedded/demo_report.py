"""What a demo showed: trades, wounds and how they healed, books against chain; and whether that keeps its promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from sniperforge.infrastructure.invariant_report import Report

LEAST_BUYS = 12
"""So many rounds of the plan must land."""

Searched = Literal["while it ran", "at rest"]
SEARCHED: tuple[Searched, ...] = get_args(Searched)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeLine:
    """One trade, as it ended.

    Attributes:
        what: `round N` of the plan, `one-off`, or the order and the leg of it that fired.
        price: Dollars per whole token, None where nothing was swapped.
        realised_bps: What came, against what was quoted.
        fee_lamports: What the chain took, failed transactions included.
        attempts: Transactions that were signed for it.
        seconds: From the decision to the confirmation.
    """

    id: str
    what: str
    state: str
    gave: str
    got: str
    price: Decimal | None
    realised_bps: Decimal | None
    fee_lamports: int
    attempts: int
    seconds: Decimal | None
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One leg of an order, as it ended.

    Attributes:
        waited_for: In words.
        level: Dollars per whole token; None where it has none.
        falls: Whether the price reaches it from above.
        followed: How far a trailing stop followed the price, in dollars; None for everything else.
        fired_at: The price that fired it; None while none did.
        gap_bps: How far beyond its level that was, in 0.01 %.
        expected: The state that it must end in.
        order_state: Of the whole order.
        trades: What its firings decided, oldest first.
        gave_raw: What the last of them gave, in base units; None while none landed.
        got_raw: What it brought.
    """

    id: str
    kind: str
    leg: str
    waited_for: str
    level: Decimal | None
    falls: bool
    followed: Decimal | None
    fired_at: Decimal | None
    gap_bps: int | None
    state: str
    expected: str
    order_state: str
    trades: tuple[str, ...]
    gave_raw: int | None
    got_raw: int | None

    @property
    def name(self) -> str:
        """For problems."""
        return f"{self.kind} {self.leg}"

    @property
    def problem(self) -> str | None:
        """What it promised and did not keep; None when it kept everything."""
        if self.state != self.expected:
            return f"it is {self.state}, and {self.expected} was promised"
        if self.order_state != "filled":
            return f"its order is {self.order_state}"
        if self.expected != "filled":
            return f"the other leg ended it, and it traded: {', '.join(self.trades)}" if self.trades else None
        if self.fired_at is None or self.level is None:
            return "nobody knows what fired it"
        if self.fired_at > self.level if self.falls else self.fired_at < self.level:
            return f"it fired at {self.fired_at:f}, which is not beyond {self.level:f}"
        if self.followed is not None and self.followed <= 0:
            return "it did not follow the price"
        return None


@dataclass(slots=True, kw_only=True)
class Hurt:
    """Something that was broken on purpose.

    Attributes:
        at_s: When, in seconds after the stack was ready.
        healed: How it healed; empty while it has not.
        took_s: How long that took.
    """

    what: str
    at_s: float
    healed: str = ""
    took_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLine:
    """One asset at one finalized slot, in base units."""

    asset: str
    slot: int
    books_raw: int
    chain_raw: int


@dataclass(slots=True, kw_only=True)
class DemoReport:
    """Everything a demo showed.

    Attributes:
        ready_s: From the start to a stack that is ready.
        seconds: All of it.
        invariants: What I1 to I7 were held against; empty if they were not.
        searched: For secrets (I8), how many places: keys of Redis, pages of Flower and processes while it ran; files
            and rows at rest.
        broken: What breaks one of I1 to I8.
        problems: What was promised and did not hold; empty is success.
    """

    ready_s: float = 0.0
    seconds: float = 0.0
    trades: list[TradeLine] = field(default_factory=list)
    orders: list[OrderLine] = field(default_factory=list)
    hurts: list[Hurt] = field(default_factory=list)
    balances: list[BalanceLine] = field(default_factory=list)
    invariants: str = ""
    searched: dict[Searched, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def hold(self, checked: Report) -> None:
        """Take over what a check of I1 to I7 found. In a demo I7 must hold, too: everything has settled by then."""
        at = checked.looked_at
        self.invariants = (
            f"{at.intents} trades, {at.attempts} transactions, {at.fills} fills, {at.lines} ledger lines "
            f"and {at.assets} assets against {at.transactions} transactions on chain"
        )
        self.broken += map(str, (*checked.violations, *checked.alerts))

    def judge(self, one_offs: int) -> None:
        """Add a problem for each promise that did not hold.

        Args:
            one_offs: How many one-off trades were enqueued.
        """
        final = [one for one in self.trades if one.is_final and one.state == "filled"]
        buys = sum(1 for one in final if one.what.startswith("round"))
        if buys < LEAST_BUYS:
            self.problems.append(f"{buys} rounds of the plan landed, {LEAST_BUYS} were promised")
        landed = sum(1 for one in final if one.what == "one-off")
        if landed < one_offs:
            self.problems.append(f"{landed} of {one_offs} one-off trades landed")
        open_ones = [one.id for one in self.trades if not one.is_final and one.state not in ("failed", "cancelled")]
        if open_ones:
            self.problems.append(f"not settled: {', '.join(open_ones)}")
        self.problems += [f"{one.name}: {one.problem}" for one in self.orders if one.problem]
        self.problems += _unequal(self.orders)
        if not self.orders:
            self.problems.append("no orders were shown")
        self.problems += [f"did not heal: {one.what}" for one in self.hurts if not one.healed]
        self.problems += [
            f"{one.asset}: the books say {one.books_raw} and the chain {one.chain_raw} at slot {one.slot}"
            for one in self.balances
            if one.books_raw != one.chain_raw
        ]
        if not self.balances:
            self.problems.append("books and chain were not compared")
        self.problems += self.broken
        if not self.invariants:
            self.problems.append("I1-I7 were not checked")
        unsearched = [when for when in SEARCHED if not self.searched.get(when)]
        self.problems += [f"nothing was searched for secrets {when}" for when in unsearched]

    def as_json(self) -> dict[str, Any]:
        """All of it; exact numbers as strings."""
        values = asdict(self)
        for one in values["trades"]:
            for name in ("price", "realised_bps", "seconds"):
                one[name] = None if one[name] is None else str(one[name])
        for one in values["orders"]:
            for name in ("level", "followed", "fired_at"):
                one[name] = None if one[name] is None else f"{one[name]:f}"
        return {"ok": not self.problems, **values}


def _unequal(orders: Sequence[OrderLine]) -> Iterator[str]:
    """Exits of a bracket that did not sell what its entry had brought."""
    brought = {one.id: one.got_raw for one in orders if one.leg == "entry"}
    for one in orders:
        if one.leg != "entry" and one.id in brought and one.gave_raw not in (None, brought[one.id]):
            yield f"{one.name}: it sold {one.gave_raw} base units, and the entry had brought {brought[one.id]}"
