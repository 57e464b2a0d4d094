"""What happens under one seed: trades, workers with their mishaps, and misfortunes with their times.

Everything is drawn from the seed before anything starts, so the same seed is the same plan. (The machine's own timing
is not: a violation that needs a narrow race may take several replays.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sniperforge.domain.ids import cli_key
from sniperforge.domain.intent import ExposureEffect
from sniperforge.shared.tokens import USDC_MINT
from sniperforge.trading.executor_policy import TradeRequest
from sniperforge.trading.progress import Step
from tests.faults.scenes import EXECUTE, NODES, SEND, SOL_USD
from tests.faults.worker import Mishap
from tests.faults.world import JUP_MINT, SOL_MINT, World

SECONDS_PER_TRADE = 0.16
LONGER_AT_MOST = 4
"""Misfortunes go on for so long, and up to four times as long on a slow machine, until most trades are settled."""

_PAIRS = (
    (USDC_MINT, SOL_MINT, (5_000_000, 60_000_000), ExposureEffect.ENTRY),
    (SOL_MINT, USDC_MINT, (20_000_000, 300_000_000), ExposureEffect.EXIT),
    (USDC_MINT, JUP_MINT, (5_000_000, 60_000_000), ExposureEffect.ENTRY),
    (JUP_MINT, SOL_MINT, (20_000_000, 300_000_000), ExposureEffect.EXIT),
)
_CODES = (-1000, -1000, -1000, -1, -1001, -2003, -2004)
_ENDINGS = ("drop_request", "drop_response", "reset", "http_429", "http_500_html", "http_500_after", "garbage")
_QUESTIONS = (
    "rpc:getTransaction",
    "rpc:getSignatureStatuses",
    "rpc:getBlockHeight",
    "rpc:simulateTransaction",
    "rpc:*",
    "jupiter:/swap/v2/order",
    "jupiter:/price/v3",
)
_SHAPES = ("advance_nonce", "extra_signer", "other_payer", "wrong_minimum", "empty_height", "low_height", "drain")
MISHAP_STEPS = tuple(step for step in Step if step is not Step.DECIDED)


@dataclass(frozen=True)
class Misfortune:
    """One thing that goes wrong, `at_s` seconds after the start."""

    at_s: float
    kind: str
    what: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shift:
    """One worker's part: which trades, in which order, and what befalls it."""

    trades: tuple[int, ...]
    mishaps: tuple[Mishap, ...]
    threads: int
    ahead_s: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One seed.

    Attributes:
        desks: So many workers at once; each desk has its sequence of shifts, the next begins when one has died.
        large_trade_usd: 0 where two nodes must agree about every death.
    """

    seed: int
    trades: int
    postgres: bool
    two_nodes: bool
    large_trade_usd: int
    desks: tuple[tuple[Shift, ...], ...]
    misfortunes: tuple[Misfortune, ...]

    @property
    def trouble_s(self) -> float:
        """How long things go wrong at least."""
        return 1.0 + self.trades * SECONDS_PER_TRADE

    @property
    def farthest_ahead_s(self) -> float:
        """The latest of all wrong clocks."""
        return max(0.0, *(shift.ahead_s for desk in self.desks for shift in desk))

    def requests(self, world: World) -> tuple[TradeRequest, ...]:
        """The trades of this seed, of this world's wallet."""
        dice = random.Random(f"{self.seed}:trades")  # noqa: S311 (replayable, not unguessable)
        return tuple(request(dice, world, f"{self.seed}-{number}") for number in range(self.trades))


def plan_of(seed: int, trades: int) -> Plan:
    """The plan of a seed."""
    dice = random.Random(seed)  # noqa: S311 (replayable, not unguessable)
    two_nodes = dice.random() < 0.5
    wrong_clocks = dice.random() < 0.2
    trouble_s = 1.0 + trades * SECONDS_PER_TRADE
    desks = tuple(
        tuple(_shift(dice, trades, wrong_clock=wrong_clocks) for _ in range(12)) for _ in range(dice.choice((2, 2, 3)))
    )
    return Plan(
        seed=seed,
        trades=trades,
        postgres=dice.random() < 0.15,
        two_nodes=two_nodes,
        large_trade_usd=0 if two_nodes and dice.random() < 0.5 else 10_000,
        desks=desks,
        misfortunes=tuple(misfortunes(dice, LONGER_AT_MOST * trouble_s, trades, KINDS)),
    )


def request(dice: random.Random, world: World, name: str) -> TradeRequest:
    """A trade of this name."""
    give, get, (least, most), effect = dice.choice(_PAIRS)
    raw: int | None = dice.randint(least, most)
    fate = dice.random()
    if fate < 0.02:
        raw = 10**15  # nobody has that much
    elif fate < 0.05 and give == JUP_MINT:
        raw = None
    return TradeRequest(
        key=cli_key(name), wallet=world.wallet, input_mint=give, output_mint=get, input_raw=raw, effect=effect
    )


def _shift(dice: random.Random, trades: int, *, wrong_clock: bool) -> Shift:
    mishaps = []
    for _ in range(dice.choice((0, 1, 1, 2))):
        how = dice.choice(("kill", "kill", "stop"))
        mishaps.append(Mishap(dice.choice(MISHAP_STEPS), "kill" if how == "kill" else "stop", dice.randint(1, 12)))
    return Shift(
        trades=tuple(dice.sample(range(trades), max(1, round(trades * dice.uniform(0.4, 1.0))))),
        mishaps=tuple(mishaps),
        threads=dice.choice((1, 1, 2)),
        ahead_s=dice.choice((-3_600.0, -20.0, 0.0, 0.0, 20.0, 3_600.0)) if wrong_clock else 0.0,
    )


def misfortunes(dice: random.Random, trouble_s: float, trades: int, kinds: Kinds) -> Sequence[Misfortune]:
    """As many as fit, each of a kind that is drawn by its weight."""
    found = []
    at = 0.0
    while at < trouble_s:
        kind = dice.choices(tuple(kinds), weights=[weight for weight, _ in kinds.values()])[0]
        found.append(Misfortune(round(at, 3), *kinds[kind][1](dice, trades)))
        at += dice.uniform(0.01, 0.2)
    return found


def _answer(dice: random.Random, _trades: int) -> Drawn:
    kind = dice.choice((*_ENDINGS, "latency", "sandwich"))
    params = {"ms": dice.choice((50, 700))} if kind == "latency" else {}
    return "fault", {"target": EXECUTE, "kind": kind, "params": params, **_often(dice)}


def _code(dice: random.Random, _trades: int) -> Drawn:
    params = {"code": dice.choice(_CODES), "lands": dice.random() < 0.6, "after_slots": dice.choice((0, 20, 110))}
    return "fault", {"target": EXECUTE, "kind": "execute_code", "params": params, **_often(dice)}


def _question(dice: random.Random, _trades: int) -> Drawn:
    target = dice.choice((*_QUESTIONS, SEND))
    kind = dice.choice((*_ENDINGS, "latency", "history_down" if target.startswith("rpc:") else "drop_request"))
    params = {"ms": 60} if kind == "latency" else {}
    return "fault", {"target": target, "kind": kind, "params": params, **_often(dice)}


def _blackout(dice: random.Random, _trades: int) -> Drawn:
    return "blackout", {"seconds": round(dice.uniform(0.5, 2.5), 2)}


def _order(dice: random.Random, _trades: int) -> Drawn:
    params = {"shape": dice.choice(_SHAPES)}
    return "fault", {"target": "jupiter:/swap/v2/order", "kind": "bad_order", "params": params, **_often(dice)}


def _fork(dice: random.Random, _trades: int) -> Drawn:
    return "fork", {"depth": dice.randint(1, 30), "reinclude": dice.choice((0.0, 0.5, 1.0))}


def _price(dice: random.Random, _trades: int) -> Drawn:
    return "price", {"token": "SOL", "usd": round(SOL_USD * dice.uniform(0.94, 1.06), 2)}


def _node(dice: random.Random, _trades: int) -> Drawn:
    return "node", {"name": dice.choice(tuple(NODES)), **_ailment(dice)}


def _health(dice: random.Random, _trades: int) -> Drawn:
    name = dice.choice(tuple(NODES))
    return "node", {"name": name, "lag_slots": NODES[name], "remembers_all": True, "swallow": 0}


def _cancel(dice: random.Random, trades: int) -> Drawn:
    return "cancel", {"trade": dice.randrange(trades)}


def _lock(dice: random.Random, _trades: int) -> Drawn:
    return "lock", {"seconds": round(dice.uniform(0.05, 0.4), 2)}


def _kill(dice: random.Random, _trades: int) -> Drawn:
    return "kill", {"desk": dice.randrange(3)}


def _halt(dice: random.Random, _trades: int) -> Drawn:
    return "halt", {"mode": dice.choice(("halted", "reducing")), "seconds": round(dice.uniform(0.1, 0.8), 2)}


def _scan(_dice: random.Random, _trades: int) -> Drawn:
    return "scan", {}


def _relief(_dice: random.Random, _trades: int) -> Drawn:
    return "relief", {}


Drawn = tuple[str, dict[str, Any]]
Kinds = Mapping[str, tuple[int, Callable[[random.Random, int], Drawn]]]
KINDS: Kinds = {
    "answer": (14, _answer),
    "code": (14, _code),
    "question": (12, _question),
    "blackout": (3, _blackout),
    "order": (5, _order),
    "fork": (18, _fork),
    "price": (6, _price),
    "node": (7, _node),
    "health": (7, _health),
    "relief": (16, _relief),
    "cancel": (5, _cancel),
    "kill": (3, _kill),
    "halt": (2, _halt),
    "lock": (3, _lock),
    "scan": (3, _scan),
}
"""What may go wrong (or right again), how often against the others, and how it is drawn."""


def _often(dice: random.Random) -> dict[str, Any]:
    return {"count": dice.randint(1, 3)} if dice.random() < 0.7 else {"probability": round(dice.uniform(0.1, 0.9), 2)}


def _ailment(dice: random.Random) -> dict[str, Any]:
    ailment = dice.choice(("lag", "forget", "swallow"))
    if ailment == "lag":
        return {"lag_slots": dice.choice((5, 20, 60))}
    if ailment == "forget":
        return {"remembers_slots": dice.choice((5, 40, 120))}
    return {"swallow": dice.choice((0.5, 1.0))}
