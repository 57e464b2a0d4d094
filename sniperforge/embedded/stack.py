"""The life of a stack: it starts as a whole or says why not, keeps itself running, and stops in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from sniperforge.bootstrap import build
from sniperforge.config import ENV_PREFIX, Settings, default_home, load_settings
from sniperforge.embedded.first_wallet import SandboxAdmin, fund_and_adopt, passphrase_file, unlock_wallets
from sniperforge.embedded.stack_files import (
    Phase,
    StackReport,
    remove_report,
    remove_settings,
    write_report,
    write_settings,
)
from sniperforge.embedded.stack_services import REDIS, SANDBOX, plan_stack, services_of, shown_addresses, workers_of
from sniperforge.embedded.stop_request import StopRequest
from sniperforge.embedded.supervisor import FAILURES_THAT_TELL, Say, ServiceStatus, Supervisor
from sniperforge.errors import ConfigError, SniperForgeError

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services
    from sniperforge.ports.clock import Clock

_STARTING_TICK_S = 0.05
_TICK_S = 0.2
_log = structlog.get_logger(__name__)


def home_in_force() -> Path:
    """The home, known before the settings in it can be read (a stack that was killed may have left stale ones)."""
    return Path(os.environ.get(f"{ENV_PREFIX}HOME") or default_home()).expanduser().absolute()


@contextmanager
def settings_alone(home: Path) -> Iterator[Settings]:
    """The settings without what a stack wrote: what a killed one left is removed now, and ours in the end.

    The caller holds the lock.

    Raises:
        ConfigError: They cannot work.
    """
    _remove_files(home)
    try:
        yield load_settings(home=home)
    finally:
        _remove_files(home)


def _remove_files(home: Path) -> None:
    remove_settings(home)
    remove_report(home / "run")


class Stack:
    """Redis, sandbox, workers, beat and Flower of one home. The caller holds the home's lock.

    Args:
        alone: The settings without a running stack, from `settings_alone`.
        clock: Time.
        say: Told of everything that happens.
        lock: The lock's descriptor, which every child keeps.

    Raises:
        ConfigError: The settings cannot work, a port is taken, no passphrase is set.
    """

    def __init__(self, alone: Settings, *, clock: Clock, say: Say, lock: int) -> None:
        home = alone.home
        self._clock = clock
        self._say = say
        self._plan = plan_stack(alone, say)
        passphrase = passphrase_file(alone)
        self._passphrase_file = passphrase
        self._write_settings(home)
        self.settings: Settings = load_settings(home=home)
        self.services: Services = build(self.settings)
        self._may_work = threading.Event()
        self._sandbox_runs = threading.Event()
        self._leaving = threading.Event()
        self._trouble: Exception | None = None
        specs = services_of(
            self._plan,
            self.services,
            may_work=self._workers_may_start,
            may_show=lambda: self._supervisor.is_running(*workers_of(self.settings)),
            say=say,
        )
        self._supervisor = Supervisor(specs, clock=clock, output_dir=self.settings.log_dir, say=say, inherited=(lock,))
        self._phase = Phase.STARTING
        self._written: StackReport | None = None

    def report(self) -> StackReport:
        """How it is now."""
        return StackReport(
            pid=os.getpid(),
            phase=self._phase,
            services=self._supervisor.status(),
            addresses=shown_addresses(self._plan, self.settings),
        )

    def run(self, stop: StopRequest, *, for_s: float | None, show: Callable[[StackReport], None]) -> None:
        """Start, run until asked to stop, stop.

        Args:
            stop: Who may ask.
            for_s: Stop by itself so many seconds after it was ready.
            show: Called several times a second with how it is.

        Raises:
            SniperForgeError: It could not be started. Everything that ran was stopped again.
        """
        preparing = threading.Thread(target=self._prepare, name="prepare", daemon=True)
        started, ready_at = self._clock.monotonic(), None
        preparing.start()
        try:
            while not stop.is_asked and self._trouble is None:
                self._supervisor.tick()
                if self._phase is Phase.STARTING:
                    self._look_whether_ready(preparing, started)
                    ready_at = self._clock.monotonic()
                elif for_s is not None and ready_at is not None and self._clock.monotonic() - ready_at >= for_s:
                    break
                self._publish(show)
                stop.wait(_STARTING_TICK_S if self._phase is Phase.STARTING else _TICK_S)
        finally:
            self._leaving.set()
            self._stop_all(stop, show)
            preparing.join()
        if self._trouble is not None:
            raise self._trouble

    def _look_whether_ready(self, preparing: threading.Thread, started: float) -> None:
        runs = self._supervisor.is_running
        if SANDBOX not in self._names() or runs(SANDBOX):
            self._sandbox_runs.set()
        failed = next((one for one in self._supervisor.status() if one.failures >= FAILURES_THAT_TELL), None)
        if failed is not None:
            self._trouble = self._trouble or self._cannot_start(failed)
        elif runs() and not preparing.is_alive():
            self._phase = Phase.READY
            self._say(f"ready after {self._clock.monotonic() - started:.1f} s")

    def _cannot_start(self, failed: ServiceStatus) -> ConfigError:
        return ConfigError(
            f"ended {failed.failures} times before the stack was ready; its last words: {failed.last_words or 'none'}",
            subject=failed.name,
            fix=f"Correct that and start again; all it wrote is in {self.settings.log_dir / failed.name}.out",
        )

    def _names(self) -> set[str]:
        return {one.name for one in self._supervisor.status()}

    def _workers_may_start(self) -> bool:
        return self._may_work.is_set() and (REDIS not in self._names() or self._supervisor.is_running(REDIS))

    def _prepare(self) -> None:
        """Books, wallets and first money, while processes start. Runs beside the supervisor's thread."""
        from sniperforge.embedded.books_upgrade import upgrade_books

        try:
            if self._plan.redis is None:
                self.services.queue.depths()  # one that runs elsewhere must answer
            books = self.services.connect_books()
            upgrade_books(books, now=self._clock.now(), say=self._say)
            books.dispose()
            unlock_wallets(self.services, self._say)
            self._may_work.set()
            while not self._sandbox_runs.wait(_TICK_S):
                if self._leaving.is_set():
                    return
            if self._plan.sandbox_ports is not None:
                fund_and_adopt(self.services, SandboxAdmin(self._plan.sandbox_url("admin")), self._say)
        except Exception as error:  # noqa: BLE001 (`run` raises it in the thread that called it)
            if self._leaving.is_set():
                return  # what it needed is being stopped
            if not isinstance(error, SniperForgeError):
                _log.exception("the stack could not be prepared")
            self._trouble = error

    def _write_settings(self, home: Path) -> None:
        found = self._plan.settings()
        if self._passphrase_file is not None:
            found["wallet_passphrase_file"] = str(self._passphrase_file)
        write_settings(home, found)

    def _publish(self, show: Callable[[StackReport], None]) -> None:
        report = self.report()
        if report != self._written:
            if self._written is not None and report.addresses != self._written.addresses:
                self._write_settings(self.settings.home)
            write_report(self.settings.run_dir, report)
            self._written = report
        show(report)

    def _stop_all(self, stop: StopRequest, show: Callable[[StackReport], None]) -> None:
        self._phase = Phase.STOPPING
        self._supervisor.stop()
        while not self._supervisor.has_stopped:
            if stop.is_hurried:
                self._supervisor.hurry()
            self._supervisor.tick()
            self._publish(show)
            self._clock.sleep(_STARTING_TICK_S)
