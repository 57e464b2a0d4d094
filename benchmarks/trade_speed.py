"""How fast one trade is, and what it costs: decision to confirmed, HTTP calls, commits, CPU, by part.

.venv/bin/python benchmarks/trade_speed.py [--trades 20] [--slot-ms 200] [--latency-ms 50] [--profile]

Starts a sandbox of its own whose every HTTP request takes `--latency-ms` longer, and trades there and back in one
process, one trade after the other, after a warm-up. The trades are finalized together in the end. Beside the figures
stands a baseline: the bare calls (/order, sign, /execute, getTransaction) without prices, guard or books.
"""

from __future__ import annotations

import argparse
import base64
import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from solders.keypair import Keypair

from tests.fakes.sandbox_process import RunningSandbox, running_sandbox

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.domain.money import Address
    from sniperforge.trading.executor_policy import TradeRequest
    from sniperforge.trading.progress import Progress

SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
BUY, SELL = (USDC, SOL, 5_000_000), (SOL, USDC, 25_000_000)
ONE_OF_EACH_REQUEST = (
    "isBlockhashValid",  # the first of the batch that is read before signing
    "simulateTransaction",
    "sendTransaction",
    "getTransaction",
    "getSignatureStatuses",
    "getBlockHeight",
    "getSlot",
    "getMinimumBalanceForRentExemption",
)
"""A latency rule strikes every question of a JSON-RPC batch, so one question of each HTTP request gets the rule. Its
hits count the requests."""

TARGET_P50_S, TARGET_CALLS, TARGET_COMMITS, TARGET_CPU_MS = 0.9, 6, 6, 15.0
FINAL_WITHIN = timedelta(seconds=60)


@dataclass
class Meter:
    """Counts what the process and the sandbox do."""

    sandbox: RunningSandbox
    commits: int = 0
    steps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    last: float = 0.0

    def calls(self) -> Counter[str]:
        """HTTP requests by target so far."""
        rules = self.sandbox.ask("GET", "/faults")["faults"]
        return Counter({rule["target"]: rule["hits"] for rule in rules})

    def watch(self, progress: Progress) -> None:
        """How long it took to reach each step from the one before."""
        now = time.perf_counter()
        self.steps[progress.step.value].append(now - self.last)
        self.last = now


@dataclass(frozen=True)
class Cost:
    """One trade."""

    wall_s: float
    cpu_s: float
    commits: int


@contextmanager
def slow_sandbox(folder: Path, slot_ms: int, latency_ms: int) -> Iterator[RunningSandbox]:
    """A sandbox whose every answer takes longer."""
    with running_sandbox(folder / "sandbox", slot_ms=slot_ms, rate_limits=False, crowd=20, scenario="flat") as sandbox:
        for target in ("jupiter:*", *(f"rpc:{method}" for method in ONE_OF_EACH_REQUEST)):
            sandbox.fault(target, "latency", probability=1.0, params={"ms": latency_ms})
        yield sandbox


def services_for(folder: Path, sandbox: RunningSandbox) -> tuple[Services, Address]:
    """The product, pointed at the sandbox by URLs alone, with a funded wallet in its books."""
    from sniperforge.bootstrap import build
    from sniperforge.config import load_settings

    for name in [name for name in os.environ if name.startswith("SNIPERFORGE_")]:
        del os.environ[name]
    keypair = Keypair()
    sandbox.fund(keypair.pubkey(), sol="100")
    sandbox.fund(keypair.pubkey(), token="USDC", amount="10000")  # noqa: S106 (the other kind of token)
    settings = load_settings(
        home=folder / "home",
        rpc_urls=sandbox.endpoints.rpc_url,
        jupiter_url=sandbox.endpoints.jupiter_url,
        jupiter_plan="pro",
        wallet_passphrase=uuid.uuid4().hex,
    )
    services = build(settings)
    address = services.wallets.import_key("main", keypair.to_json()).address
    services.wallets.unlock(address)
    services.reconciler.adopt("main", address)
    return services, address


def request(wallet: Address, number: int) -> TradeRequest:
    """A small trade, there or back."""
    from sniperforge.domain.ids import cli_key
    from sniperforge.domain.intent import ExposureEffect
    from sniperforge.domain.money import Mint
    from sniperforge.trading.executor_policy import TradeRequest

    source, target, raw = SELL if number % 2 else BUY
    return TradeRequest(
        key=cli_key(f"bench-{number}"),
        wallet=wallet,
        input_mint=Mint(source),
        output_mint=Mint(target),
        input_raw=raw,
        effect=ExposureEffect.ENTRY,
    )


def measured(meter: Meter, trade: Callable[[], None]) -> Cost:
    """What one trade takes."""
    commits, cpu, start = meter.commits, time.process_time(), time.perf_counter()
    meter.last = start
    trade()
    return Cost(time.perf_counter() - start, time.process_time() - cpu, meter.commits - commits)


def bare_trades(sandbox: RunningSandbox, trades: int) -> list[Cost]:
    """The same calls without a product: what the exchange and the chain take by themselves."""
    keypair = Keypair()
    sandbox.fund(keypair.pubkey(), sol="100")
    sandbox.fund(keypair.pubkey(), token="USDC", amount="10000")  # noqa: S106 (the other kind of token)
    meter = Meter(sandbox)
    costs = []
    with (
        httpx.Client(base_url=sandbox.endpoints.jupiter_url, timeout=30) as jupiter,
        httpx.Client(base_url=sandbox.endpoints.rpc_url, timeout=30) as rpc,
    ):
        for number in range(trades + 1):
            pair = SELL if number % 2 else BUY
            costs.append(measured(meter, partial(_bare_trade, jupiter, rpc, keypair, pair)))
    return costs[1:]


def _bare_trade(jupiter: httpx.Client, rpc: httpx.Client, keypair: Keypair, pair: tuple[str, str, int]) -> None:
    source, target, raw = pair
    asked: dict[str, str | int] = {
        "inputMint": source,
        "outputMint": target,
        "amount": raw,
        "taker": str(keypair.pubkey()),
    }
    order = jupiter.get("/swap/v2/order", params={**asked, "excludeRouters": "jupiterz,dflow,okx"}).json()
    unsigned = base64.b64decode(order["transaction"])
    # One signature slot: a count of 1, 64 bytes, the message.
    signed = unsigned[:1] + bytes(keypair.sign_message(unsigned[65:])) + unsigned[65:]
    body = {"signedTransaction": base64.b64encode(signed).decode(), "requestId": order["requestId"]}
    signature = jupiter.post("/swap/v2/execute", json=body).json()["signature"]
    options = {"encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 1}
    asking = {"jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": [signature, options]}
    if rpc.post("/", json=asking).json()["result"] is None:
        raise RuntimeError(f"{signature} was not confirmed")


def main() -> int:
    """Print the figures beside their targets; exit 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trades", type=int, default=20)
    parser.add_argument("--slot-ms", type=int, default=200)
    parser.add_argument("--latency-ms", type=int, default=50)
    parser.add_argument("--profile", action="store_true", help="show what the CPU is spent on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sniperforge-bench-") as name:
        folder = Path(name)
        with slow_sandbox(folder, options.slot_ms, options.latency_ms) as sandbox:
            bare = bare_trades(sandbox, options.trades)
            return _run(folder, sandbox, options, bare)


def _run(folder: Path, sandbox: RunningSandbox, options: argparse.Namespace, bare: list[Cost]) -> int:
    from sqlalchemy import event

    from sniperforge.trading.executor_policy import Until
    from sniperforge.trading.sweep import settle

    services, wallet = services_for(folder, sandbox)
    meter = Meter(sandbox)

    def count(_connection: object) -> None:
        meter.commits += 1

    event.listen(services.engine, "commit", count)
    executor = services.executor(owner="bench", watch=meter.watch)
    intents, costs = [], []

    def trade(number: int) -> None:
        intent = executor.decide(request(wallet, number))
        intents.append(executor.run(intent.id, until=Until.CONFIRMED))

    trade(0)
    meter.steps.clear()
    before = meter.calls()
    profile = cProfile.Profile() if options.profile else None
    if profile is not None:
        profile.enable()
    costs += [measured(meter, partial(trade, number)) for number in range(1, options.trades + 1)]
    if profile is not None:
        profile.disable()
    calls = meter.calls() - before
    parts = {step: list(times) for step, times in meter.steps.items()}
    commits, before, cpu = meter.commits, meter.calls(), time.process_time()
    result = settle(executor, services.clock, [intent.id for intent in intents], within=FINAL_WITHIN)
    cpu = time.process_time() - cpu
    finals = Cost(0.0, cpu, meter.commits - commits)
    on_target = _print(options, bare, costs, parts, calls, finals, meter.calls() - before)
    if profile is not None:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
    return 0 if on_target and not result.unsettled else 1


def _print(
    options: argparse.Namespace,
    bare: list[Cost],
    costs: list[Cost],
    parts: dict[str, list[float]],
    calls: Counter[str],
    finals: Cost,
    final_calls: Counter[str],
) -> bool:
    count = len(costs)
    p50, cpu_ms = (
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs) * 1e3,
    )
    bare_p50 = statistics.median(cost.wall_s for cost in bare)
    bare_cpu_ms = statistics.median(cost.cpu_s for cost in bare) * 1e3
    commits = sum(cost.commits for cost in costs) / count
    all_commits = commits + finals.commits / (count + 1)  # the warm-up is finalized too
    http = calls.total() / count
    print(f"{count} trades one by one, slots of {options.slot_ms} ms, {options.latency_ms} ms per HTTP call")
    print(f"decision to confirmed  p50 {p50:6.3f} s  p95 {_p95(costs):6.3f} s   (target p50 under {TARGET_P50_S} s)")
    print(f"  bare calls           p50 {bare_p50:6.3f} s  p95 {_p95(bare):6.3f} s   (baseline)")
    print(f"HTTP calls             {http:6.2f}   to confirmed (target at most {TARGET_CALLS}; baseline 3)")
    for target, hits in calls.most_common():
        print(f"  {target:<38} {hits / count:5.2f}")
    print(f"  more until final     {final_calls.total() / (count + 1):6.2f}   (grows with the time to finality)")
    print(
        f"commits                {all_commits:6.2f}   to final (at most {TARGET_COMMITS}), {commits:.2f} to confirmed"
    )
    print(f"CPU                    {cpu_ms:6.2f} ms median to confirmed (target at most {TARGET_CPU_MS:.0f} ms)")
    print(f"  bare calls           {bare_cpu_ms:6.2f} ms (baseline)")
    print(f"  more until final     {finals.cpu_s / (count + 1) * 1e3:6.2f} ms")
    print("part, ending at step   median ms    share")
    total = sum(statistics.median(times) for times in parts.values())
    for step, times in parts.items():
        median = statistics.median(times)
        print(f"  {step:<20} {median * 1e3:9.1f}   {median / total:6.1%}")
    return p50 < TARGET_P50_S and http <= TARGET_CALLS and all_commits <= TARGET_COMMITS and cpu_ms <= TARGET_CPU_MS


def _p95(costs: list[Cost]) -> float:
    times = sorted(cost.wall_s for cost in costs)
    return times[min(len(times) - 1, int(0.95 * len(times)))]


if __name__ == "__main__":
    sys.exit(main())
