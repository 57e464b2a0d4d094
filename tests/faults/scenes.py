"""Words in which the fault tests are written."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any, TypedDict

from sniperforge.domain.ids import cli_key
from sniperforge.domain.intent import ExposureEffect
from sniperforge.shared.tokens import USDC_MINT
from sniperforge.trading.executor_policy import TradeRequest
from sniperforge.trading.progress import Step
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.check import problems_of, product_says
from tests.faults.crew import Worker
from tests.faults.worker import Mishap, WorkOrder
from tests.faults.world import SOL_MINT, World

EXECUTE = "jupiter:/swap/v2/execute"
SEND = "rpc:sendTransaction"
SLOT_MS = 5
SLOW_SLOT_MS = 80
SLOTS_TO_A_PROOF = 260
"""150 blocks of life, 32 slots to finality, some skipped slots, and a control behind all of them."""
NODES = {"a": 0, "b": 1, "c": 3}
"""The sandbox's nodes, and by how many slots they lag when all is well."""

SOL_USD = 180


class SandboxOptions(TypedDict):
    """Options of the sandboxes of fault tests."""

    slot_ms: int
    crowd: int
    rate_limits: bool
    jupiterz_share: int


def sandbox_options() -> SandboxOptions:
    """Short slots, and a crowd that makes controls every few of them."""
    return {"slot_ms": SLOT_MS, "crowd": 25, "rate_limits": False, "jupiterz_share": 0}


def calm(sandbox: RunningSandbox) -> None:
    """No faults, every node well, SOL at its first price."""
    sandbox.clear_faults()
    sandbox.ask("POST", "/pause", paused=False)
    for name, lag in NODES.items():
        sandbox.ask("POST", "/nodes", name=name, lag_slots=lag, remembers_all=True, swallow=0)
    sandbox.ask("POST", "/price", token="SOL", usd=SOL_USD)
    quick_slots(sandbox)


def slow_slots(sandbox: RunningSandbox, slot_ms: int = SLOW_SLOT_MS) -> None:
    """Slots so long that finality leaves time for a fork, however busy this machine is."""
    sandbox.ask("POST", "/clock", slot_ms=slot_ms)


def quick_slots(sandbox: RunningSandbox) -> None:
    """Slots as they usually are here."""
    sandbox.ask("POST", "/clock", slot_ms=SLOT_MS)


def fork(sandbox: RunningSandbox, *, reinclude: int) -> None:
    """Drop nearly everything that is not final."""
    sandbox.ask("POST", "/fork", depth=25, reinclude=reinclude)


def buy(world: World, name: str, usdc_raw: int | None = 25_000_000) -> TradeRequest:
    """An entry: USDC into SOL."""
    return TradeRequest(
        key=cli_key(name),
        wallet=world.wallet,
        input_mint=USDC_MINT,
        output_mint=SOL_MINT,
        input_raw=usdc_raw,
        effect=ExposureEffect.ENTRY,
    )


def sell(world: World, name: str, lamports: int | None = 100_000_000) -> TradeRequest:
    """An exit: SOL into USDC."""
    return TradeRequest(
        key=cli_key(name),
        wallet=world.wallet,
        input_mint=SOL_MINT,
        output_mint=USDC_MINT,
        input_raw=lamports,
        effect=ExposureEffect.EXIT,
    )


def start(world: World, name: str, *requests: TradeRequest, **how: Any) -> Worker:
    """A worker on these trades."""
    return Worker(WorkOrder(world=world, name=name, requests=requests, **how))


def killed_at(world: World, step: Step, *requests: TradeRequest, name: str = "victim", **how: Any) -> bool:
    """Whether a worker on these trades came to the step, and died there; otherwise it has settled them all."""
    victim = start(world, name, *requests, mishaps=(Mishap(step),), **how)
    code = victim.wait()
    assert code in (0, -signal.SIGKILL), victim.told()
    return code != 0


def settle(world: World, *requests: TradeRequest, name: str = "heir", **how: Any) -> Worker:
    """A new process carries the trades to their end."""
    heir = start(world, name, *requests, **how)
    assert heir.wait() == 0, heir.told()
    settled = {line["intent"] for line in heir.lines() if "settled" in line}
    assert len(settled) == len(requests), f"not everything settled:\n{heir.told()}"
    return heir


def assert_sound(world: World, *states: str) -> None:
    """Books and chain agree, and the trades stand in these states, in the order they were decided."""
    problems = [*problems_of(world), *product_says(world)]
    assert not problems, "\n".join(problems)
    with world.opened() as services, services.store.read() as books:
        found = [intent.state.value for intent in reversed(books.intents.recent(1000))]
    assert found == list(states), f"the trades are {found}"


def outlive_a_blockhash(sandbox: RunningSandbox) -> None:
    """Let so many slots pass that whatever was signed before is final or dead, and a little more."""
    past = _slot(sandbox) + SLOTS_TO_A_PROOF
    while _slot(sandbox) < past:
        time.sleep(0.05)
    time.sleep(0.5)


def _slot(sandbox: RunningSandbox) -> int:
    slot: int = sandbox.ask("GET", "/status")["slot"]
    return slot


def nothing_lands(sandbox: RunningSandbox) -> None:
    """Neither Jupiter nor any node forwards a transaction, until the faults are cleared."""
    sandbox.fault(EXECUTE, "drop_request", probability=1)
    sandbox.fault(SEND, "swallow", probability=1)


def reached(step: Step) -> Callable[[list[dict[str, Any]]], bool]:
    """Whether a report names the step."""
    return lambda lines: any(line.get("step") == step.value for line in lines)
