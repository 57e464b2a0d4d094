"""What the demo can do to a running stack, and what it sees of it: commands, books, processes, Redis, the sandbox."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sniperforge.bootstrap import Services, build
from sniperforge.config import ENV_PREFIX, load_settings
from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import LIVE_ATTEMPT_STATES, IntentState, TradeIntent
from sniperforge.embedded.stack_files import read_report
from sniperforge.embedded.supervisor import ServiceState
from sniperforge.errors import NodeUnavailableError, RetryableError, TerminalError

if TYPE_CHECKING:
    from sniperforge.domain.order import OrderKind
    from sniperforge.ports.clock import Clock

MOST_TRADES = 500
_COMMAND_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.05


class DemoError(TerminalError):
    """Something did not happen that the demo shows: the demo has failed, and so has what it shows."""


class DemoWorld:
    """A stack of its own, in a home of its own.

    Args:
        home: Its home.
        clock: Time.
        tick: Called again and again while something is waited for.
    """

    def __init__(self, home: Path, clock: Clock, tick: Callable[[], None]) -> None:
        self.home = home
        self._clock = clock
        self._tick = tick
        self._services: Services | None = None

    @property
    def services(self) -> Services:
        """The books, chain and queue of the running stack."""
        if self._services is None:
            self._services = build(load_settings(home=self.home))
        return self._services

    # ---- commands, as a person types them

    def command(self, *words: str) -> str:
        """Run a command to its end; returns what it printed.

        Raises:
            DemoError: It failed; its last line says why.
        """
        ended = subprocess.run(  # noqa: S603 (our own command)
            [sys.executable, "-m", "sniperforge.cli.main", *words],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_WITHIN_S,
            check=False,
        )
        if ended.returncode != 0:
            said = (ended.stderr or ended.stdout).strip().splitlines() or ["nothing was said"]
            raise DemoError(f"ended with {ended.returncode}: {said[-1]}", subject=f"sniperforge {' '.join(words)}")
        return ended.stdout

    def enqueue(self, source: str, target: str, amount: str) -> IntentId:
        """Decide a one-off trade by the command line; the workers do the rest."""
        before = {intent.id for intent in self.trades()}
        self.command("trade", "--from", source, "--to", target, "--amount", amount, "--yes")
        new = [intent.id for intent in self.trades() if intent.id not in before and intent.plan_id is None]
        if len(new) != 1:
            raise DemoError(f"{len(new)} trades were decided by one command", subject="trade")
        return new[0]

    # ---- seeing

    def trades(self) -> tuple[TradeIntent, ...]:
        """Newest first."""
        with self.services.store.read() as books:
            return books.intents.recent(MOST_TRADES)

    def order_kinds(self) -> dict[str, OrderKind]:
        """Kinds of all orders, by id."""
        with self.services.store.read() as books:
            return {order.id: order.kind for order in books.orders.recent(MOST_TRADES)}

    def state(self, intent: IntentId) -> IntentState:
        """Where this trade is."""
        with self.services.store.read() as books:
            found = books.intents.get(intent)
        if found is None:
            raise DemoError("vanished from the books", subject=f"trade {intent}")
        return found.state

    def in_flight(self) -> tuple[IntentId, ...]:
        """Trades whose transaction is signed and not yet seen to land."""
        with self.services.store.read() as books:
            live = books.attempts.live(MOST_TRADES)
        return tuple(one.intent_id for one in live if one.confirmed_at is None)

    def unsettled(self) -> tuple[IntentId, ...]:
        """Trades that may still change."""
        with self.services.store.read() as books:
            live = {one.intent_id for one in books.attempts.live(MOST_TRADES) if one.state in LIVE_ATTEMPT_STATES}
        open_states = (IntentState.PENDING, IntentState.EXECUTING)
        return tuple(one.id for one in self.trades() if one.state in open_states or one.id in live)

    def pid(self, service: str) -> int | None:
        """The process of a service that runs and works, None while there is none."""
        report = read_report(self.home / "run")
        for one in report.services if report is not None else ():
            if one.name == service and one.state is ServiceState.RUNNING:
                return one.pid
        return None

    def until(self, what: str, holds: Callable[[], bool], within_s: float) -> float:
        """Wait until something holds; returns how long that took, in seconds.

        Raises:
            DemoError: It did not hold in time.
        """
        started = self._clock.monotonic()
        while True:
            try:
                if holds():
                    return self._clock.monotonic() - started
            except RetryableError:
                pass  # what is being hurt may be away: it is looked at again
            if self._clock.monotonic() - started > within_s:
                raise DemoError(f"did not happen within {within_s:g} s", subject=what)
            self._tick()
            self._clock.sleep(_LOOK_EVERY_S)

    # ---- hurting

    def kill(self, service: str) -> int:
        """SIGKILL: the process ends between two instructions. Returns its pid."""
        pid = self.pid(service)
        if pid is None:
            raise DemoError("does not run", subject=service)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wipe_redis(self) -> None:
        """FLUSHALL: every message, window and lock is gone."""
        from sniperforge.shared.queue import connect_redis

        client = connect_redis(self.services.settings, timeout_s=5.0)
        client.flushall()
        client.close()

    def price(self, symbol: str, usd: str) -> None:
        """Put a token at this many dollars; pools and prices of the exchange move at once."""
        self._admin("POST", "/price", {"token": symbol, "usd": usd})

    def market(self, scenario: str, *, speed: int) -> None:
        """Let a scenario of the sandbox begin, at this many market seconds per second."""
        self._admin("POST", "/scenario", {"scenario": scenario})
        self._admin("POST", "/clock", {"market_speed": speed})

    def fault(self, target: str, kind: str, count: int, **params: int) -> None:
        """Something that the sandbox's network does to the next `count` requests."""
        self._admin("POST", "/faults", {"target": target, "kind": kind, "count": count, "params": params})

    def fault_is_spent(self, target: str) -> bool:
        """Whether no fault for this target is left."""
        faults = self._admin("GET", "/faults")["faults"]
        return all(one["target"] != target or one["remaining"] == 0 for one in faults)

    def _admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        import httpx

        from sniperforge.sandbox.endpoints import read_endpoints

        url = read_endpoints(self.home / "sandbox").admin_url
        try:
            response = httpx.request(method, url + path, json=body, timeout=10.0)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise NodeUnavailableError(f"the sandbox does not answer: {error}", subject=url) from error
        answer: dict[str, Any] = response.json()
        return answer

    def _environment(self) -> dict[str, str]:
        """The caller's own settings must not reach the demo's stack."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        return {**kept, f"{ENV_PREFIX}HOME": str(self.home)}
