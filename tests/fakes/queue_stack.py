"""A real Redis, a real sandbox, a funded home, and programs as operators start them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from solders.keypair import Keypair

from sniperforge.bootstrap import Services, build
from sniperforge.config import load_settings
from sniperforge.domain.ids import cli_key
from sniperforge.domain.intent import AttemptState, ExposureEffect, IntentState, TradeIntent
from sniperforge.domain.money import WSOL_MINT, Address
from sniperforge.ports.queue import Queue, TaskName
from sniperforge.shared.queue import celery_settings
from sniperforge.shared.tokens import USDC_MINT
from sniperforge.trading.executor_policy import TradeRequest
from tests.fakes.redis_server import RedisServer, running_redis
from tests.fakes.sandbox_process import RunningSandbox, running_sandbox
from tests.fakes.terminal import sniperforge

PASSPHRASE = "correct horse battery"
WITHIN_S = 40.0


def wait_for(what: Callable[[], object], *, within_s: float = WITHIN_S, told: Callable[[], str] = str) -> None:
    """Wait until `what` is true; fail with what `told` tells otherwise."""
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, f"it did not happen within {within_s:.0f} s\n{told()}"
        time.sleep(0.02)


@dataclass
class Program:
    """A `sniperforge` command in a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        """What it printed so far, both streams."""
        return self.log.read_text()

    def signal(self, how: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(how)

    def ended(self, *, within_s: float = WITHIN_S) -> int:
        """Its exit status."""
        return self.process.wait(timeout=within_s)


@dataclass
class QueueStack:
    """One home on one Redis and one sandbox. Programs that a test starts end with `stopping`."""

    folder: Path
    redis: RedisServer
    environment: dict[str, str]
    services: Services
    wallet: Address
    keypair: Keypair
    running_sandbox: RunningSandbox | None = None
    programs: list[Program] = field(default_factory=list)
    trades: int = 0

    @property
    def sandbox(self) -> RunningSandbox:
        """Chain and exchange."""
        assert self.running_sandbox is not None
        return self.running_sandbox

    def start(self, *arguments: str, **changes: str) -> Program:
        """A command in the background."""
        return self.run([*sniperforge(*arguments)], **changes)

    def run(self, command: Sequence[str], **changes: str) -> Program:
        """Any command in the background, with the environment of this stack and its changes."""
        log = self.folder / f"program-{len(self.programs)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env={**self.environment, **changes}, cwd=self.folder, stdout=output, stderr=output
            )
        program = Program(process, log)
        self.programs.append(program)
        return program

    def worker(self, *queues: Queue, threads: int = 8, **changes: str) -> Program:
        """A worker that has begun to consume."""
        since = self.services.clock.now()
        names = queues or tuple(Queue)
        program = self.start("worker", "--queues", ",".join(names), "--threads", str(threads), **changes)

        def ready() -> bool:
            assert program.process.poll() is None, program.text()
            with self.redis.client() as redis:
                signs = redis.hgetall(f"sniperforge:canary:{names[0].value}")
            assert isinstance(signs, dict)
            mine = [float(at) for name, at in signs.items() if f".{program.process.pid}@" in name]
            return any(at >= since.timestamp() for at in mine)

        wait_for(ready, told=program.text)
        return program

    @contextmanager
    def stopping(self) -> Iterator[QueueStack]:
        """Whatever is started meanwhile ends in the end; faults of the sandbox and messages are cleared."""
        before = len(self.programs)
        try:
            yield self
        finally:
            for program in self.programs[before:]:
                if program.process.poll() is None:
                    program.process.kill()
                program.process.wait(timeout=10)
            if self.running_sandbox is not None:
                self.running_sandbox.clear_faults()
            self.redis.flushall()

    def request(self, *, exit_: bool = False) -> TradeRequest:
        """A small trade that was never asked for before."""
        self.trades += 1
        return TradeRequest(
            key=cli_key(f"stack-{self.trades}"),
            wallet=self.wallet,
            input_mint=WSOL_MINT if exit_ else USDC_MINT,
            output_mint=USDC_MINT if exit_ else WSOL_MINT,
            input_raw=25_000_000 if exit_ else 5_000_000,
            effect=ExposureEffect.EXIT if exit_ else ExposureEffect.ENTRY,
        )

    def decided(self) -> TradeIntent:
        """A trade in the books for which nobody rang."""
        return self.services.executor(owner="test").decide(self.request())

    def intent(self, trade: TradeIntent) -> TradeIntent:
        """It as the books have it now."""
        with self.services.store.read() as books:
            found = books.intents.get(trade.id)
        assert found is not None
        return found

    def filled(self, trade: TradeIntent) -> bool:
        """Whether it has landed."""
        return self.intent(trade).state is IntentState.FILLED

    def landings(self, trade: TradeIntent) -> int:
        """How many of its transactions landed without error."""
        with self.services.store.read() as books:
            attempts = books.attempts.of_intent(trade.id)
        return sum(one.state in {AttemptState.CONFIRMED, AttemptState.FINALIZED} for one in attempts)

    def signed(self, trade: TradeIntent) -> bool:
        """Whether a transaction of it is in the books."""
        with self.services.store.read() as books:
            return bool(books.attempts.of_intent(trade.id))

    def send(self, task: str, *args: Any, queue: Queue | None = None, **options: Any) -> None:
        """Any message at all, as somebody who can write to Redis sends it."""
        app = Celery("anybody", set_as_current=False)
        app.conf.update(celery_settings(self.services.settings))
        try:
            app.send_task(task, args=args, queue=None if queue is None else queue.value, **options)
        finally:
            app.close()

    def sweep(self) -> None:
        """Ask for what beat asks for every second."""
        self.send(TaskName.RING_DUE_TRADES)


@contextmanager
def queue_stack(folder: Path, *, slot_ms: int = 10) -> Iterator[QueueStack]:
    """The stack, stopped in the end."""
    with (
        running_redis(folder / "redis") as redis,
        running_sandbox(folder / "sandbox", slot_ms=slot_ms, rate_limits=False, crowd=20, scenario="flat") as sandbox,
    ):
        keypair = Keypair()
        sandbox.fund(keypair.pubkey(), sol="100")
        sandbox.fund(keypair.pubkey(), token="USDC", amount="10000")
        urls = {"rpc_urls": sandbox.endpoints.rpc_url, "jupiter_url": sandbox.endpoints.jupiter_url}
        with _stack(folder, redis, keypair, urls) as stack:
            stack.running_sandbox = sandbox
            stack.services.reconciler.adopt("main", stack.wallet)
            yield stack


@contextmanager
def bare_stack(folder: Path) -> Iterator[QueueStack]:
    """The same without chain and exchange: nobody answers where they should be."""
    nowhere = {"rpc_urls": "http://127.0.0.1:1", "jupiter_url": "http://127.0.0.1:1"}
    with running_redis(folder / "redis") as redis, _stack(folder, redis, Keypair(), nowhere) as stack:
        yield stack


@contextmanager
def _stack(folder: Path, redis: RedisServer, keypair: Keypair, urls: dict[str, str]) -> Iterator[QueueStack]:
    passphrase = folder / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n")
    passphrase.chmod(0o600)
    settings = {
        **urls,
        "home": str(folder / "home"),
        "jupiter_plan": "pro",
        "redis_url": redis.url,
        "wallet_passphrase_file": str(passphrase),
        "lease_s": "1",
        "trade_deadline_s": "60",
    }
    for trap in ("workers", "redbeat", "tornado", "flowerconfig"):
        # Programs are started in this folder, and must not import what lies in it.
        (folder / f"{trap}.py").write_text('raise SystemExit("a module of the current folder was imported")\n')
    services = build(load_settings(**settings))
    wallet = services.wallets.import_key("main", keypair.to_json()).address
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    given = {f"SNIPERFORGE_{name.upper()}": value for name, value in settings.items()}
    try:
        yield QueueStack(folder, redis, {**clean, **given}, services, wallet, keypair)
    finally:
        services.close()
