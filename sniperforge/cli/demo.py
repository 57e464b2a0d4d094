"""`demo`: two minutes of unattended trading, hurt on purpose, with the proof at the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sniperforge.domain.money import SOL_DECIMALS, format_units
from sniperforge.errors import InvalidInputError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from sniperforge.embedded.demo import Demo
    from sniperforge.embedded.demo_report import DemoReport, TradeLine

_SHOWN_TRADES = 8
_REDRAW_S = 0.5
_RIGHT = frozenset(
    {"USD each", "vs quote", "fee SOL", "txs", "sec", "at", "took", "slot", "books", "chain", "gap", "fired at"}
)
_WRAPPED = frozenset({"hurt", "how it healed", "waited for, USD"})
_MARKS = {
    "step": ("·", "dim"),
    "hurt": ("✗", "bold red"),
    "healed": ("✓", "bold green"),
    "moved": ("$", "yellow"),
    "fired": ("✓", "bold green"),
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything it showed to this file.", dir_okay=False)
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--svg", help="Write its end as a picture to this file.", dir_okay=False)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep its home, with books and logs.")] = False,  # noqa: FBT002
) -> None:
    """Trade unattended on a sandbox for two minutes, hurt on purpose, and hold books against chain at the end."""
    import json
    import shutil
    import tempfile

    from rich.console import Console

    from sniperforge.embedded.demo import Demo
    from sniperforge.shared.clock import SystemClock

    for path in (json_file, picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise InvalidInputError("there is no such folder", subject=str(path.absolute().parent), fix="Make it first")
    home = Path(tempfile.mkdtemp(prefix="sniperforge-demo-"))
    console = Console(record=picture is not None, width=118 if picture is not None else None)
    clock = SystemClock()
    screen = _Screen(console, clock.monotonic)
    show = Demo(home, clock=clock, say=screen.say, tick=screen.tick)
    screen.demo = show
    with screen:
        report = show.run()
    for part in _end(report):
        console.print(part, highlight=False)
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    if picture is not None:
        # Without the fonts that Rich would have every reader's browser fetch from elsewhere.
        drawn = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="sniperforge demo"), flags=re.DOTALL)
        picture.write_text(drawn, encoding="utf-8")
    if report.problems or keep:
        console.print(f"its home with books and logs: {home}")
    else:
        shutil.rmtree(home)
    if report.problems:
        raise typer.Exit(1)


class _Screen:
    """Steps as lines and, on a terminal, the newest trades below them as they go."""

    def __init__(self, console: Console, monotonic: Callable[[], float]) -> None:
        from rich.live import Live

        self.demo: Demo | None = None
        self._console = console
        self._monotonic = monotonic
        self._started = monotonic()
        self._drawn_at = -_REDRAW_S
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> None:
        if self._live is not None:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, kind: str, text: str) -> None:
        """One line, for good."""
        mark, style = _MARKS[kind]
        self._console.print(f"{self._monotonic() - self._started:6.1f}  {mark} {text}", style=style, highlight=False)

    def tick(self) -> None:
        """Draw the newest trades again, now and then."""
        now = self._monotonic()
        if self._live is None or self.demo is None or now - self._drawn_at < _REDRAW_S:
            return
        self._drawn_at = now
        self._live.update(_trades(self.demo.trade_lines()[-_SHOWN_TRADES:], "newest trades"), refresh=True)


def _end(report: DemoReport) -> Iterator[RenderableType]:
    """What it showed, as tables."""
    from rich.markup import escape

    yield _trades(report.trades, "every trade")
    yield _orders(report)
    yield _hurts(report)
    yield _balances(report)
    if report.invariants and not report.broken:
        yield f"I1-I7 held against the chain: {report.invariants}"
    if report.searched and not report.broken:
        seen = ", ".join(f"{count} places {when}" for when, count in report.searched.items())
        yield f"I8 held: no key, passphrase or password in {seen}"
    landed = sum(1 for one in report.trades if one.state == "filled")
    if report.problems:
        yield "\n".join(f"[bold red]failed[/]  {escape(one)}" for one in report.problems)
    else:
        yield (
            f"[bold green]ok[/]  {landed} trades landed exactly once, {len(report.hurts)} wounds healed, "
            f"{len({one.id for one in report.orders})} orders ended as they must, books = chain; {report.seconds:.0f} s"
        )


def _trades(trades: Sequence[TradeLine], title: str) -> RenderableType:
    table = _table(title, "trade", "what", "state", "gave", "got", "USD each", "vs quote", "fee SOL", "txs", "sec")
    for one in trades:
        state = one.state if one.is_final or one.state != "filled" else "confirmed"
        table.add_row(
            one.id[:8],
            one.what,
            f"[green]{state}[/]" if one.state == "filled" else state,
            one.gave,
            one.got,
            "" if one.price is None else f"{one.price:f}",
            "" if one.realised_bps is None else f"{one.realised_bps:+.1f} bps",
            format_units(one.fee_lamports, SOL_DECIMALS) if one.fee_lamports else "",
            str(one.attempts),
            "" if one.seconds is None else f"{one.seconds:.1f}",
        )
    return table


def _orders(report: DemoReport) -> RenderableType:
    table = _table(
        "orders on a market that crashed", "order", "leg", "waited for, USD", "fired at", "gap", "became", "trade"
    )
    for one in report.orders:
        table.add_row(
            one.kind,
            one.leg,
            one.waited_for,
            "" if one.fired_at is None else f"{one.fired_at:.4f}",
            "" if one.gap_bps is None else f"{one.gap_bps} bps",
            f"[green]{one.state}[/]" if one.problem is None else f"[bold red]{one.state}[/]",
            " ".join(trade[:8] for trade in one.trades),
        )
    return table


def _hurts(report: DemoReport) -> RenderableType:
    table = _table("what was hurt", "at", "hurt", "how it healed", "took")
    for one in report.hurts:
        took = "" if one.took_s is None else f"{one.took_s:.1f} s"
        table.add_row(f"{one.at_s:.0f} s", one.what, one.healed or "[red]it did not[/]", took)
    return table


def _balances(report: DemoReport) -> RenderableType:
    table = _table("books against chain, base units", "asset", "slot", "books", "chain", "")
    for one in report.balances:
        same = "[green]equal[/]" if one.books_raw == one.chain_raw else "[bold red]different[/]"
        table.add_row(one.asset, str(one.slot), str(one.books_raw), str(one.chain_raw), same)
    return table


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=name not in _WRAPPED)
    return table
