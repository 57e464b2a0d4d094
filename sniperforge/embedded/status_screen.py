"""What a person sees of a stack: a screen that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Protocol, cast

import structlog
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sniperforge.embedded.board import Board, BoardReader, OrdersLine, TradeLine
from sniperforge.embedded.output_that_may_go import OutputThatMayGo
from sniperforge.embedded.stack_files import Phase, StackReport
from sniperforge.embedded.supervisor import FAILURES_THAT_TELL, ServiceState, ServiceStatus
from sniperforge.ports.clock import Clock

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services

_READ_EVERY_S = 1.0
_DRAW_EVERY_S = 0.5
_SAID_SHOWN = 6
_STYLES = {
    ServiceState.RUNNING: "green",
    ServiceState.STARTING: "yellow",
    ServiceState.WAITING: "red",
    ServiceState.STOPPING: "yellow",
    ServiceState.STOPPED: "dim",
}
_log = structlog.get_logger(__name__)


class Screen(Protocol):
    """Where a stack shows itself."""

    def say(self, text: str, *, warning: bool = False) -> None:
        """Something happened."""
        ...

    def watch(self, services: Services, flower_login: str) -> None:
        """From now on there are books and queues to read."""
        ...

    def show(self, report: StackReport) -> None:
        """How the services are now."""
        ...


@contextmanager
def open_screen(output: IO[str], clock: Clock) -> Iterator[Screen]:
    """The right screen for this output, which may go away at any time."""
    console = Console(file=cast("IO[str]", OutputThatMayGo(output)))
    if not console.is_terminal:
        yield PlainScreen(console, clock)
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        screen = LiveScreen(live, clock)
        try:
            yield screen
        finally:
            screen.close()


class PlainScreen:
    """A line for everything that happens; for logs and for other programs."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._told_addresses = False

    def say(self, text: str, *, warning: bool = False) -> None:
        """See `Screen.say`."""
        _log_it(text, warning=warning)
        self._print(text)

    def watch(self, services: Services, flower_login: str) -> None:
        """See `Screen.watch`."""

    def show(self, report: StackReport) -> None:
        """See `Screen.show`. Addresses are told once, when all of them answer."""
        if report.phase is Phase.READY and not self._told_addresses:
            self._told_addresses = True
            for name, address in report.addresses.items():
                self._print(f"{name:<8} {address}")

    def _print(self, text: str) -> None:
        self._console.print(f"{self._clock.now():%H:%M:%S} {text}", markup=False, highlight=False, soft_wrap=True)


class LiveScreen:
    """Tables that follow what happens. Books and queues are read by a thread of its own: they may be slow, or away."""

    def __init__(self, live: Live, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._said: deque[str] = deque(maxlen=_SAID_SHOWN)
        self._board: Board | None = None
        self._flower_login = ""
        self._closing = threading.Event()
        self._reader: threading.Thread | None = None
        self._drawn_at = 0.0

    def say(self, text: str, *, warning: bool = False) -> None:
        """See `Screen.say`."""
        _log_it(text, warning=warning)
        self._said.append(f"{self._clock.now():%H:%M:%S} {text}")
        self._drawn_at = 0.0

    def watch(self, services: Services, flower_login: str) -> None:
        """See `Screen.watch`."""
        self._flower_login = flower_login
        self._reader = threading.Thread(target=self._read, args=(services,), name="board", daemon=True)
        self._reader.start()

    def show(self, report: StackReport) -> None:
        """See `Screen.show`."""
        now = self._clock.monotonic()
        if now - self._drawn_at < _DRAW_EVERY_S:
            return
        self._drawn_at = now
        said = Text("\n".join(self._said), style="dim")
        told = render(report, self._board, now=self._clock.now(), monotonic=now, flower_login=self._flower_login)
        self._live.update(Group(told, said), refresh=True)

    def close(self) -> None:
        """Read no more."""
        self._closing.set()
        if self._reader is not None:
            self._reader.join(timeout=_READ_EVERY_S)

    def _read(self, services: Services) -> None:
        reader = BoardReader(services)
        while not self._closing.wait(_READ_EVERY_S):
            self._board = reader.read()


def render(
    report: StackReport, board: Board | None, *, now: datetime, monotonic: float, flower_login: str
) -> RenderableType:
    """Everything there is to see.

    Args:
        report: The services.
        board: What they do; None while it was not read yet.
        now: Wall clock, for ages and next runs.
        monotonic: For how long a service has been as it is.
        flower_login: User and password of Flower, or where to find it.
    """
    parts: list[RenderableType] = [_headline(report, board), _services_table(report.services, monotonic)]
    parts.append(_addresses(report, flower_login))
    if board is not None:
        parts += _board_parts(board, now)
    return Group(*parts)


def _headline(report: StackReport, board: Board | None) -> Text:
    text = Text(f"SniperForge is {report.phase.value}", style="bold")
    if board is not None:
        text.append(f"   {board.network}, {board.mode}", style="")
        if board.mode == "paper":
            text.append("\nPAPER: nothing is signed or sent", style="bold red")
        for stop in board.stops:
            text.append(f"\n{stop}", style="bold red")
    return text


def _services_table(services: tuple[ServiceStatus, ...], monotonic: float) -> Table:
    table = _table("service", "state", "process", "restarts", "since")
    for one in services:
        failing = one.failures >= FAILURES_THAT_TELL
        state = f"{one.state.value}, failing" if failing else one.state.value
        table.add_row(
            one.name,
            Text(state, style="bold red" if failing else _STYLES[one.state]),
            str(one.pid or ""),
            str(one.restarts),
            span(timedelta(seconds=max(0.0, monotonic - one.since))),
        )
    return table


def _addresses(report: StackReport, flower_login: str) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, address in report.addresses.items():
        grid.add_row(name, address)
        if name == "flower":
            grid.add_row("", flower_login)
    return grid


def _board_parts(board: Board, now: datetime) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if board.plans:
        table = _table("strategy", "kind", "state", "next run")
        for plan in board.plans:
            due = "" if plan.next_run is None else _until(plan.next_run - now)
            table.add_row(plan.name, plan.kind, plan.status.value, due)
        parts.append(table)
    if board.trades:
        table = _table("trade", "age", "what", "state", "")
        for trade in board.trades:
            table.add_row(*_trade_cells(trade, now))
        parts.append(table)
    facts = []
    if board.orders is not None and board.orders.open:
        facts.append(_orders_words(board.orders))
    if board.depths is not None:
        waiting = "  ".join(f"{queue.value} {depth}" for queue, depth in board.depths.items())
        facts.append(f"messages waiting: {waiting}")
    if board.budget:
        left = ", ".join(f"{one.left} of {one.limit} {one.bucket} in {one.window_s} s" for one in board.budget)
        facts.append(f"requests to Jupiter left: {left}")
    parts.append(Text("\n".join(facts)))
    parts += [Text(problem, style="yellow") for problem in board.problems]
    return parts


def _orders_words(orders: OrdersLine) -> str:
    told = f"orders: {orders.open}{'' if orders.is_all else ' or more'} open"
    return f"{told}; {orders.fire_again} to fire again: {orders.reason}" if orders.fire_again else told


def _trade_cells(trade: TradeLine, now: datetime) -> tuple[str, str, str, str, str]:
    return trade.id, span(now - trade.decided_at), trade.what, trade.state, trade.reason


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    return table


def span(duration: timedelta) -> str:
    """A duration in its two largest units: `4 s`, `2 min 5 s`, `3 h 12 min`, `5 d 1 h`."""
    seconds = max(0, int(duration.total_seconds()))
    for size, unit, smaller, smaller_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // smaller} {smaller_unit}"
    return f"{seconds} s"


def _until(duration: timedelta) -> str:
    return "now" if duration <= timedelta(0) else f"in {span(duration)}"


def _log_it(text: str, *, warning: bool) -> None:
    (_log.warning if warning else _log.info)(text)
