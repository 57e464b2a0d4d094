"""What happens under one seed to orders: what clerks do, what befalls whom, and where the prices go.

Everything is drawn from the seed before anything starts, as in `plan`; only the prices in an order are drawn around the
market that its clerk finds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.faults.ambush import Blow
from tests.faults.orders_crew import Act, Role
from tests.faults.plan import KINDS, MISHAP_STEPS, Drawn, Kinds, Misfortune, misfortunes
from tests.faults.scenes import SOL_USD
from tests.faults.worker import Mishap

SECONDS_PER_ORDER = 0.2
LONGER_AT_MOST = 3
"""As in `plan`, until the clerks have done everything."""

INCARNATIONS = 10
"""So often a seat may be filled with a process that meets blows; those that come after meet none."""

SEATS: tuple[Role, ...] = ("watcher", "watcher", "carrier", "carrier", "clerk", "clerk")
USD = {"SOL": float(SOL_USD), "JUP": 0.42}
"""First prices; what the market does is a share of them."""

FARTHEST, MIRAGE = 0.07, 0.16
"""How far real prices go from the first ones, and how far those that are too old to be believed are from them.

A price that jumps by a fifth is not believed either, so mirages stay within that.
"""

_EDITS, _CANCELS = 0.3, 0.2
_POINTS: dict[Role, tuple[str, ...]] = {
    "watcher": (
        "triggers.tick",
        "triggers.hold",
        "triggers.remove",
        "triggers.add",
        "triggers.compact",
        "triggers.compact committed",
        "intents.add",
        "intents.add committed",
        "intents.add committed",
        "orders.change_leg",
        "orders.change_leg committed",
        "orders.change committed",
    ),
    "carrier": (
        "orders.change_leg",
        "orders.change_leg committed",
        "orders.change",
        "orders.change committed",
        "triggers.add",
        "triggers.arm",
        "triggers.remove",
    ),
    "clerk": (
        "orders.add",
        "orders.add committed",
        "triggers.add",
        "triggers.remove",
        "orders.change",
        "orders.change committed",
        "orders.change_leg",
        "intents.change",
    ),
}


@dataclass(frozen=True)
class Shift:
    """What befalls one process of a seat."""

    blows: tuple[Blow, ...]
    mishaps: tuple[Mishap, ...]
    ahead_s: float


@dataclass(frozen=True, kw_only=True)
class OrdersPlan:
    """One seed.

    Attributes:
        seats: For each of `SEATS`, what befalls its processes one after the other.
        acts: For each clerk, what it does.
    """

    seed: int
    orders: int
    postgres: bool
    two_nodes: bool
    large_trade_usd: int
    seats: tuple[tuple[Shift, ...], ...]
    acts: tuple[tuple[Act, ...], ...]
    misfortunes: tuple[Misfortune, ...]

    @property
    def trouble_s(self) -> float:
        """How long things go wrong at least."""
        return _trouble_s(self.orders)

    @property
    def farthest_ahead_s(self) -> float:
        """The latest of all wrong clocks."""
        return max(0.0, *(shift.ahead_s for seat in self.seats for shift in seat))


def orders_plan_of(seed: int, orders: int) -> OrdersPlan:
    """The plan of a seed."""
    dice = random.Random(f"orders:{seed}")  # noqa: S311 (replayable, not unguessable)
    two_nodes = dice.random() < 0.5
    wrong_clocks = dice.random() < 0.15
    clerks = SEATS.count("clerk")
    return OrdersPlan(
        seed=seed,
        orders=orders,
        postgres=dice.random() < 0.15,
        two_nodes=two_nodes,
        large_trade_usd=0 if two_nodes and dice.random() < 0.5 else 10_000,
        seats=tuple(tuple(_shift(dice, role, wrong_clock=wrong_clocks) for _ in range(INCARNATIONS)) for role in SEATS),
        acts=tuple(_acts(dice, f"{seed}-{number}", -(-orders // clerks)) for number in range(clerks)),
        misfortunes=tuple(misfortunes(dice, LONGER_AT_MOST * _trouble_s(orders), orders, _ORDER_KINDS)),
    )


def _trouble_s(orders: int) -> float:
    return 1.0 + orders * SECONDS_PER_ORDER


def _acts(dice: random.Random, name: str, orders: int) -> tuple[Act, ...]:
    others = [Act("edit", f"{name}-edit-{number}") for number in range(round(orders * _EDITS))]
    others += [Act("cancel", f"{name}-cancel-{number}") for number in range(round(orders * _CANCELS))]
    acts = [Act("create", f"{name}-{number}") for number in range(orders)]
    for act in others:
        acts.insert(dice.randint(min(2, orders), len(acts)), act)
    return tuple(acts)


def _shift(dice: random.Random, role: Role, *, wrong_clock: bool) -> Shift:
    blows = []
    for _ in range(dice.choice((0, 1, 1, 2))):
        point = dice.choice(_POINTS[role])
        # A process that stands still within a transaction would hold the books for as long as it does.
        how = dice.choice(("kill", "stop")) if point.endswith("committed") and dice.random() < 0.3 else "kill"
        most = 60 if point.startswith(("triggers.tick", "triggers.compact")) else 5
        blows.append(Blow(point, "stop" if how == "stop" else "kill", dice.randint(1, most)))
    mishaps = []
    if role == "carrier" and dice.random() < 0.5:
        mishaps.append(Mishap(dice.choice(MISHAP_STEPS), "kill", dice.randint(1, 12)))
    ahead_s = dice.choice((-20.0, 0.0, 0.0, 20.0, 3_600.0)) if wrong_clock else 0.0
    return Shift(tuple(blows), tuple(mishaps), ahead_s)


def _price(dice: random.Random, _orders: int) -> Drawn:
    token = dice.choice(tuple(USD))
    return "price", {"token": token, "usd": _usd(token, dice.uniform(-FARTHEST, FARTHEST))}


def _mirage(dice: random.Random, _orders: int) -> Drawn:
    token = dice.choice(tuple(USD))
    away = dice.choice((-MIRAGE, MIRAGE))
    return "mirage", {"token": token, "usd": _usd(token, away), "seconds": round(dice.uniform(0.2, 0.6), 2)}


def _usd(token: str, away: float) -> float:
    return float(f"{USD[token] * (1 + away):.5g}")


def _kill(dice: random.Random, _orders: int) -> Drawn:
    return "kill", {"seat": dice.randrange(len(SEATS))}


def _cancel(dice: random.Random, _orders: int) -> Drawn:
    return "cancel", {"trade": dice.random()}


_ORDER_KINDS: Kinds = {
    **{kind: drawn for kind, drawn in KINDS.items() if kind not in ("price", "kill", "cancel")},
    "price": (26, _price),
    "mirage": (2, _mirage),
    "kill": (5, _kill),
    "cancel": (2, _cancel),
}
"""The misfortunes of chain, exchange and books, a market that moves, and prices that nobody may believe."""
