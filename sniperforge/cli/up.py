"""`up`, `down`, `status`: everything SniperForge needs, under one home, by one command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sniperforge.cli.common import print_json
from sniperforge.errors import ConfigError, InvalidInputError

if TYPE_CHECKING:
    from sniperforge.config import Settings
    from sniperforge.embedded.board import Board, OrdersLine
    from sniperforge.embedded.stack_files import StackReport
    from sniperforge.ports.clock import Clock

_OUTPUT_NAME = "up.out"
_POLL_S = 0.1
_DOWN_WITHIN_S = 120.0
_DURATION = re.compile(r"(\d+)\s*(s|m|h|)")
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3_600}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("status")(status)


def up(
    duration: Annotated[
        str | None, typer.Option("--for", help="Stop by itself this long after it was ready: 90s, 15m, 8h.")
    ] = None,
    detach: Annotated[  # noqa: FBT002 (a flag)
        bool, typer.Option("--detach", "-d", help="Run in the background; return when it is ready.")
    ] = False,
) -> None:
    """Run everything: Redis, sandbox, workers, beat and Flower. Ctrl-C drains and stops; twice, it hurries.

    The next start carries on: same wallets, same chain, same books.
    """
    for_s = None if duration is None else _seconds(duration)
    if detach:
        _up_in_background(for_s)
    else:
        _up_here(for_s)


def _up_here(for_s: int | None) -> None:
    from sniperforge.embedded.stack import Stack, home_in_force, settings_alone
    from sniperforge.embedded.stack_lock import stack_lock
    from sniperforge.embedded.status_screen import open_screen
    from sniperforge.embedded.stop_request import StopRequest, signals_to
    from sniperforge.logs import configure_logging
    from sniperforge.shared.clock import SystemClock
    from sniperforge.shared.flower_password import FLOWER_USER, flower_password

    clock, stop = SystemClock(), StopRequest()
    home = home_in_force()
    with stack_lock(home / "run", clock) as lock, signals_to(stop), settings_alone(home) as settings:
        configure_logging(settings, role="up", on_stderr=False)
        with open_screen(sys.stdout, clock) as screen:
            stack = Stack(settings, clock=clock, say=screen.say, lock=lock)
            password = flower_password(stack.settings).get_secret_value()
            screen.watch(stack.services, f"user {FLOWER_USER}  password {password}")
            stack.run(stop, for_s=for_s, show=screen.show)


def _up_in_background(for_s: int | None) -> None:
    from sniperforge.embedded.stack import home_in_force
    from sniperforge.embedded.stack_files import Phase, read_report
    from sniperforge.shared.clock import SystemClock

    clock = SystemClock()
    run_dir = home_in_force() / "run"
    output = run_dir.parent / "logs" / _OUTPUT_NAME
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sniperforge.cli.main", "up"]
    if for_s is not None:
        command += ["--for", f"{for_s}s"]
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    spoken_from = os.fstat(descriptor).st_size
    # Not waited for: it outlives this command.
    process = subprocess.Popen(  # noqa: S603 (our own command)
        command, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, start_new_session=True
    )
    os.close(descriptor)
    try:
        while True:
            code = process.poll()
            if code is not None:
                with output.open("rb") as file:
                    file.seek(spoken_from)
                    typer.echo(file.read().decode(errors="replace"), nl=False, err=True)
                raise typer.Exit(code or 1)
            report = read_report(run_dir)
            if report is not None and report.pid == process.pid and report.phase is Phase.READY:
                break
            clock.sleep(_POLL_S)
    except KeyboardInterrupt:
        typer.echo("it goes on starting in the background: see `sniperforge status`", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"runs in the background (process {process.pid}); it says what happens in {output}")
    _print_addresses(report)


def _print_addresses(report: StackReport) -> None:
    from sniperforge.config import load_settings

    for name, address in report.addresses.items():
        typer.echo(f"{name:<8} {address}")
    typer.echo(f"Flower's {_flower_login(load_settings())}")


def _flower_login(settings: Settings) -> str:
    """Whom to log in as, and where the password is: what is printed may end up in a log."""
    from sniperforge.shared.flower_password import FLOWER_USER

    where = settings.flower_password_file or settings.home / "flower-password"
    password = "password as it was set" if settings.flower_password is not None else f"password in {where}"
    return f"user {FLOWER_USER}, {password}"


def down() -> None:
    """Stop what `up` started: running trades end their step, nothing is lost. Returns when all of it has ended."""
    from sniperforge.embedded.stack import home_in_force
    from sniperforge.embedded.stack_files import read_report, remove_report, remove_settings
    from sniperforge.embedded.stack_lock import stack_holder
    from sniperforge.shared.clock import SystemClock

    clock = SystemClock()
    home = home_in_force()
    holder = stack_holder(home / "run")
    if holder is None:
        remove_settings(home)  # what a stack that was killed left would mislead every command
        remove_report(home / "run")
        typer.echo("nothing runs on this home")
        return
    _ask_to_stop(holder, home)
    typer.echo(f"asked process {holder} to stop; workers end what they are at")
    told: set[str] = set()
    deadline = clock.monotonic() + _DOWN_WITHIN_S
    while stack_holder(home / "run") is not None:
        report = read_report(home / "run")
        for one in report.services if report is not None else ():
            if one.pid is None and one.state == "stopped" and one.name not in told:
                told.add(one.name)
                typer.echo(f"{one.name} stopped")
        if clock.monotonic() > deadline:
            raise ConfigError(
                f"it did not stop within {_DOWN_WITHIN_S:.0f} s",
                subject=f"process {holder}",
                fix="Run `sniperforge down` again to hurry it: whatever still runs is killed then",
            )
        clock.sleep(_POLL_S)
    typer.echo("stopped")


def _ask_to_stop(holder: int, home: Path) -> None:
    try:
        os.kill(holder, signal.SIGTERM)
    except ProcessLookupError:
        raise ConfigError(
            f"its supervisor (process {holder}) has ended, and processes that it started still run",
            subject=str(home),
            fix=f"End those that `fuser '{home / 'run' / 'stack.lock'}'` names",
        ) from None
    except PermissionError:
        raise ConfigError(
            f"the stack (process {holder}) belongs to another user", subject=str(home), fix="Stop it as that user"
        ) from None


def status(json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:  # noqa: FBT002
    """Show what runs and what it does; exit 1 when anything of it does not run."""
    from rich.console import Console

    from sniperforge.bootstrap import build
    from sniperforge.config import load_settings
    from sniperforge.embedded.board import BoardReader
    from sniperforge.embedded.stack import home_in_force
    from sniperforge.embedded.stack_files import read_report
    from sniperforge.embedded.stack_lock import stack_holder
    from sniperforge.embedded.status_screen import render
    from sniperforge.shared.clock import SystemClock

    clock = SystemClock()
    home = home_in_force()
    report = read_report(home / "run") if stack_holder(home / "run") is not None else None
    if report is None:
        if json_output:
            print_json({"running": False})
        else:
            typer.echo("nothing runs on this home: start it with `sniperforge up`", err=True)
        raise typer.Exit(1)
    settings = load_settings()
    services = build(settings)
    board = BoardReader(services).read()
    if json_output:
        print_json(_as_json(report, board, clock))
    else:
        shown = render(
            report, board, now=clock.now(), monotonic=clock.monotonic(), flower_login=_flower_login(settings)
        )
        Console(soft_wrap=not sys.stdout.isatty()).print(shown)
    if not _all_run(report):
        raise typer.Exit(1)


def _all_run(report: StackReport) -> bool:
    return all(one.state == "running" for one in report.services)


def _as_json(report: StackReport, board: Board, clock: Clock) -> dict[str, Any]:
    return {
        "running": _all_run(report),
        "phase": report.phase.value,
        "pid": report.pid,
        "network": board.network,
        "mode": board.mode,
        "addresses": dict(report.addresses),
        "services": [
            {
                "name": one.name,
                "state": one.state.value,
                "pid": one.pid,
                "restarts": one.restarts,
                "seconds_in_state": round(clock.monotonic() - one.since),
                "failures": one.failures,
                "last_words": one.last_words,
            }
            for one in report.services
        ],
        "stops": list(board.stops),
        "strategies": [
            {
                "name": plan.name,
                "kind": plan.kind,
                "state": plan.status.value,
                "next_run": plan.next_run.isoformat() if plan.next_run is not None else None,
            }
            for plan in board.plans
        ],
        "orders": None if board.orders is None else _orders_json(board.orders),
        "trades": [
            {
                "id": trade.id,
                "decided_at": trade.decided_at.isoformat(),
                "what": trade.what,
                "state": trade.state,
                "reason": trade.reason,
            }
            for trade in board.trades
        ],
        "queues": None if board.depths is None else {queue.value: depth for queue, depth in board.depths.items()},
        "jupiter_requests_left": [
            {"bucket": one.bucket, "left": one.left, "limit": one.limit, "window_s": one.window_s}
            for one in board.budget
        ],
        "problems": list(board.problems),
    }


def _orders_json(orders: OrdersLine) -> dict[str, Any]:
    return {
        "open": orders.open,
        "is_all": orders.is_all,
        "fire_again": orders.fire_again,
        "reason": orders.reason or None,
    }


def _seconds(text: str) -> int:
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or not int(found[1]):
        raise InvalidInputError("this is no duration", subject=f"--for {text}", fix="Write 90s, 15m or 8h")
    return int(found[1]) * _UNITS_S[found[2]]
