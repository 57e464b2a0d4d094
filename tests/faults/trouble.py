"""What befalls chain, exchange and books of a world, as a plan has it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import httpx

from sniperforge.bootstrap import Services
from sniperforge.domain.ids import intent_id
from sniperforge.errors import (
    InvalidInputError,
    OutcomeUnknownError,
    ProtocolError,
    RetryableError,
    SniperForgeError,
)
from sniperforge.ports.records import TradingMode
from sniperforge.trading.executor_policy import TradeRequest
from tests.fakes.postgres import PostgresServer, shared_server
from tests.fakes.sandbox_process import RunningSandbox
from tests.faults.plan import Misfortune
from tests.faults.scenes import EXECUTE, SEND
from tests.faults.world import World

_LOOK_S = 0.05


class Trouble:
    """Everything that goes wrong outside of the processes.

    Args:
        world: Whose chain, exchange and books.
        services: Over that world, to act as a person at the command line does.
        sandbox: Chain and exchange.
        requests: The trades, by number.
    """

    def __init__(
        self, world: World, services: Services, sandbox: RunningSandbox, requests: Sequence[TradeRequest]
    ) -> None:
        self._world = world
        self._services = services
        self._sandbox = sandbox
        self._requests = requests
        self._others: list[threading.Thread] = []
        self._failed: list[str] = []
        self._executor = services.executor(owner="bystander")
        self._restarting = threading.Lock()

    def befall(self, misfortune: Misfortune) -> None:
        """This, now. What takes its time does so in the background."""
        what = misfortune.what
        match misfortune.kind:
            case "fault":
                self._sandbox.fault(**what)
            case "relief":
                self._sandbox.clear_faults()
            case "fork":
                with suppress(AssertionError):  # deeper than finality allows at this moment
                    self._sandbox.ask("POST", "/fork", **what)
            case "price":
                self._sandbox.ask("POST", "/price", **what)
            case "node":
                self._sandbox.ask("POST", "/nodes", **what)
            case "cancel":
                # Not decided yet, or the books are away.
                with suppress(InvalidInputError, RetryableError, OutcomeUnknownError):
                    self._executor.cancel(intent_id(self._requests[what["trade"] % len(self._requests)].key))
            case "blackout":
                self.meanwhile(self._black_out, what["seconds"])
            case "scan":
                self.meanwhile(self._scan)
            case "halt":
                self.meanwhile(self._halt, TradingMode(what["mode"]), what["seconds"])
            case "lock":
                self.meanwhile(self._trouble_books, what["seconds"])
            case unknown:
                raise LookupError(f"nobody knows how {unknown} befalls")

    def meanwhile(self, target: Callable[..., Any], *args: object) -> None:
        """Do something that takes its time."""

        def run() -> None:
            try:
                target(*args)
            except Exception as error:  # noqa: BLE001 (told by `end`; in a thread it would be lost)
                self._failed.append(f"{target.__name__} broke: {error!r}")

        other = threading.Thread(target=run)
        other.start()
        self._others.append(other)

    def end(self, tend: Callable[[], None] = lambda: None) -> list[str]:
        """Wait until all of it is over, and let trades go on. Returns what broke, which no misfortune should.

        Args:
            tend: Done meanwhile. Somebody must wake stopped programs: they may hold what is waited for.
        """
        ending = threading.Thread(target=self._end)
        ending.start()
        while ending.is_alive():
            tend()
            ending.join(_LOOK_S)
        return self._failed

    def _end(self) -> None:
        for other in self._others:
            other.join()
        self._mode(TradingMode.ACTIVE)

    def _black_out(self, seconds: float) -> None:
        """No transaction reaches the network for a while: those of that time may have to be proven dead."""
        with httpx.Client(base_url=self._sandbox.endpoints.admin_url, timeout=10.0) as admin:
            for target, kind in ((EXECUTE, "drop_request"), (SEND, "swallow")):
                admin.post("/faults", json={"target": target, "kind": kind, "probability": 1})
            time.sleep(seconds)
            for target in (EXECUTE, SEND):
                admin.request("DELETE", "/faults", params={"target": target})

    def _scan(self) -> None:
        """What a beat task does meanwhile; to it, none of these trades may look like a thief's."""
        with suppress(RetryableError, ProtocolError):
            self._services.reconciler.scan(self._world.wallet)

    def _halt(self, mode: TradingMode, seconds: float) -> None:
        with suppress(RetryableError):
            self._mode(mode)
            time.sleep(seconds)
        self._mode(TradingMode.ACTIVE)

    def _mode(self, mode: TradingMode) -> None:
        for _ in range(50):
            try:
                with self._services.store.write() as books:
                    now = self._services.clock.now()
                    books.system.change(
                        books.system.get(), mode=mode, reason="driver", changed_by="driver", changed_at=now
                    )
            except SniperForgeError:
                time.sleep(0.1)
            else:
                return

    def _trouble_books(self, seconds: float) -> None:
        """Hold SQLite's write lock, or restart PostgreSQL."""
        if self._world.database_url is not None:
            with self._restarting:
                server: PostgresServer = shared_server()
                server.stop()
                time.sleep(seconds)
                server.start()
            return
        # Writers of a loaded machine may keep this one waiting long: that is no misfortune of theirs.
        with sqlite3.connect(self._world.home / "books.db", timeout=60.0, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            other.execute("ROLLBACK")
        other.close()
