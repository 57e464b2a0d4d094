"""What a demo showed: trades, wounds and how they healed, books against chain; and whether that keeps its promises."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

LEAST_BUYS = 12
"""So many rounds of the plan must land."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeLine:
    """One trade, as it ended.

    Attributes:
        what: `round N` of the plan, or `one-off`.
        price: Dollars per SOL, None where nothing was swapped.
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
        invariants: What I1 to I8 were held against.
        problems: What was promised and did not hold; empty is success.
    """

    ready_s: float = 0.0
    seconds: float = 0.0
    trades: list[TradeLine] = field(default_factory=list)
    hurts: list[Hurt] = field(default_factory=list)
    balances: list[BalanceLine] = field(default_factory=list)
    invariants: str = ""
    problems: list[str] = field(default_factory=list)

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
        self.problems += [f"did not heal: {one.what}" for one in self.hurts if not one.healed]
        self.problems += [
            f"{one.asset}: the books say {one.books_raw} and the chain {one.chain_raw} at slot {one.slot}"
            for one in self.balances
            if one.books_raw != one.chain_raw
        ]
        if not self.balances:
            self.problems.append("books and chain were not compared")

    def as_json(self) -> dict[str, Any]:
        """All of it; exact numbers as strings."""
        values = asdict(self)
        for one in values["trades"]:
            for name in ("price", "realised_bps", "seconds"):
                one[name] = None if one[name] is None else str(one[name])
        return {"ok": not self.problems, **values}
