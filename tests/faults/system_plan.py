"""What happens under one seed to the running system: trades from several sources, and everything that goes wrong.

Everything is drawn from the seed before anything starts, as in `plan`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sniperforge.ports.queue import Queue
from sniperforge.shared.tokens import USDC_MINT
from sniperforge.trading.executor_policy import TradeRequest
from tests.faults.bells import FORGERIES
from tests.faults.plan import KINDS, LONGER_AT_MOST, MISHAP_STEPS, Drawn, Kinds, Misfortune, misfortunes, request
from tests.faults.worker import Mishap
from tests.faults.world import JUP_MINT, SOL_MINT, World

SECONDS_PER_TRADE = 0.16
INCARNATIONS = 12
"""So often a seat may be filled with a program that meets mishaps; those that come after meet none."""

QUEUES: Mapping[str, tuple[Queue, ...]] = MappingProxyType(
    {
        "trades-a": (Queue.TRADES,),
        "trades-b": (Queue.TRADES,),
        "others": tuple(queue for queue in Queue if queue is not Queue.TRADES),
    }
)
"""What each worker consumes."""

SEATS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **{
            seat: ("worker", "--queues", ",".join(queues), "--threads", "6" if Queue.TRADES in queues else "4")
            for seat, queues in QUEUES.items()
        },
        "beat-a": ("beat",),
        "beat-b": ("beat",),
    }
)
"""Which programs run at once: two workers for trades, one for the rest, beat and its standby."""

_PLAN_PAIRS = ((USDC_MINT, SOL_MINT), (USDC_MINT, JUP_MINT), (SOL_MINT, USDC_MINT))
_PLAN_SHARE = 0.4
_RUNG_SHARE = 0.75
_LATE_SHARE = 0.08


@dataclass(frozen=True, kw_only=True)
class SystemPlan:
    """One seed of the running system.

    Attributes:
        one_offs: So many trades are decided by people; plans decide the others.
        late: So many of them, the last ones, are decided when all is quiet again, and nobody rings for them.
        rung: For each of them, whether its bell is rung; else whoever decided it died in between.
        again: Which of them a second person decides at the same time, under the same key.
        strategies: Settings of the DCA plans.
        mishaps: For each seat of a worker for trades, what befalls its programs, one after the other.
        farewell: The last that goes wrong: nothing that comes after it heals what it did.
    """

    seed: int
    trades: int
    postgres: bool
    two_nodes: bool
    large_trade_usd: int
    one_offs: int
    late: int
    rung: tuple[bool, ...]
    again: tuple[int, ...]
    strategies: tuple[Mapping[str, Any], ...]
    mishaps: Mapping[str, tuple[tuple[Mishap, ...], ...]]
    misfortunes: tuple[Misfortune, ...]
    farewell: Misfortune

    @property
    def trouble_s(self) -> float:
        """How long things go wrong at least."""
        return _trouble_s(self.trades)

    def requests(self, world: World) -> tuple[TradeRequest, ...]:
        """The one-off trades of this seed, of this world's wallet."""
        dice = random.Random(f"{self.seed}:trades")  # noqa: S311 (replayable, not unguessable)
        return tuple(request(dice, world, f"{self.seed}-{number}") for number in range(self.one_offs))


def system_plan_of(seed: int, trades: int) -> SystemPlan:
    """The plan of a seed."""
    dice = random.Random(f"system:{seed}")  # noqa: S311 (replayable, not unguessable)
    two_nodes = dice.random() < 0.5
    orders = max(2, round(trades * _PLAN_SHARE))
    late = max(1, round(trades * _LATE_SHARE))
    one_offs = max(late + 1, trades - orders)
    trouble_s = _trouble_s(trades)
    return SystemPlan(
        seed=seed,
        trades=trades,
        postgres=dice.random() < 0.15,
        two_nodes=two_nodes,
        large_trade_usd=0 if two_nodes and dice.random() < 0.5 else 10_000,
        one_offs=one_offs,
        late=late,
        rung=tuple(dice.random() < _RUNG_SHARE and number < one_offs - late for number in range(one_offs)),
        again=tuple(dice.sample(range(one_offs - late), round((one_offs - late) * 0.3))),
        strategies=tuple(_strategies(dice, seed, orders, trouble_s)),
        mishaps={
            seat: tuple(_mishaps(dice) for _ in range(INCARNATIONS)) for seat in SEATS if seat.startswith("trades")
        },
        misfortunes=tuple(misfortunes(dice, LONGER_AT_MOST * trouble_s, trades, _SYSTEM_KINDS)),
        farewell=Misfortune(LONGER_AT_MOST * trouble_s, *dice.choice(_FAREWELLS)(dice, trades)),
    )


def _trouble_s(trades: int) -> float:
    return 1.0 + trades * SECONDS_PER_TRADE


def _strategies(dice: random.Random, seed: int, orders: int, trouble_s: float) -> list[Mapping[str, Any]]:
    """DCA plans whose orders together are about so many."""
    count = min(orders // 2, dice.choice((2, 3)))
    found: list[Mapping[str, Any]] = []
    for number in range(count):
        share = orders // count + (number < orders % count)
        give, get = dice.choice(_PLAN_PAIRS)
        # Seconds of the world: all rounds fit into the time of troubles, if none is missed.
        interval_s = max(1, int(trouble_s * 20 / share * dice.uniform(0.4, 0.9)))
        found.append(
            {
                "name": f"plan-{seed}-{number}",
                "input_token": give,
                "output_token": get,
                "total_amount": str(share * 10) if give == USDC_MINT else f"{share * 0.05:.2f}",
                "orders": share,
                "schedule": {"interval_s": interval_s},
                "catch_up": dice.choice(("skip", "once")),
                "max_lateness_s": dice.choice((60, 300)),
                "jitter_s": dice.choice((0, max(0, interval_s // 2 - 1))),
            }
        )
    return found


def _mishaps(dice: random.Random) -> tuple[Mishap, ...]:
    found = []
    for _ in range(dice.choice((0, 1, 1))):
        how = dice.choice(("kill", "kill", "stop"))
        found.append(Mishap(dice.choice(MISHAP_STEPS), "kill" if how == "kill" else "stop", dice.randint(1, 20)))
    return tuple(found)


def _kill(dice: random.Random, _trades: int) -> Drawn:
    return "kill", {"seat": dice.choice(tuple(SEATS))}


def _stop(dice: random.Random, _trades: int) -> Drawn:
    return "stop", {"seat": dice.choice(tuple(SEATS)), "beside": dice.random() < 0.4}


def _drain(dice: random.Random, _trades: int) -> Drawn:
    return "drain", {"seat": dice.choice(tuple(SEATS))}


def _flush(_dice: random.Random, _trades: int) -> Drawn:
    return "flush", {}


def _redis(dice: random.Random, _trades: int) -> Drawn:
    return "redis", {"seconds": round(dice.uniform(0.05, 1.0), 2), "keep": dice.random() < 0.5}


def _two_beats(_dice: random.Random, _trades: int) -> Drawn:
    return "second_beat", {}


def _heirs(_dice: random.Random, _trades: int) -> Drawn:
    return "heirs", {}


def _repeat(dice: random.Random, _trades: int) -> Drawn:
    return "repeat", {"count": dice.randint(1, 12)}


def _late(dice: random.Random, _trades: int) -> Drawn:
    return "late", {"count": dice.randint(1, 12)}


def _forge(dice: random.Random, trades: int) -> Drawn:
    return "forgery", {"kind": dice.choice(FORGERIES), "trade": dice.randrange(trades)}


def _steal(dice: random.Random, _trades: int) -> Drawn:
    queues = dice.choice(((Queue.TRADES,), (Queue.TRADES,), (Queue.STRATEGIES, Queue.HEALTH)))
    return "theft", {"seconds": round(dice.uniform(0.2, 1.0), 2), "queues": queues}


def _pause(dice: random.Random, _trades: int) -> Drawn:
    return "pause", {"plan": dice.randrange(3), "seconds": round(dice.uniform(0.1, 0.8), 2)}


_SYSTEM_KINDS: Kinds = {
    **{kind: (weight, draw) for kind, (weight, draw) in KINDS.items() if kind not in ("kill", "scan")},
    "kill": (4, _kill),
    "stop": (3, _stop),
    "drain": (1, _drain),
    "flush": (3, _flush),
    "redis": (2, _redis),
    "second_beat": (2, _two_beats),
    "repeat": (6, _repeat),
    "late": (5, _late),
    "forgery": (6, _forge),
    "theft": (4, _steal),
    "pause": (3, _pause),
}
"""The misfortunes of chain, exchange and books, and those of processes and messages. (Scans come by beat here.)"""

_FAREWELLS = (_flush, _flush, _redis, _stop, _heirs)
