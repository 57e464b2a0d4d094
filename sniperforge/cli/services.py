"""`worker`, `beat`, `flower`, `worker-health`: the parts of a running system, one process each.

`sniperforge up` and docker-compose start them by these commands. Each becomes the program it names (`exec`), so that
its supervisor has one process to signal and to wait for. Nothing secret stands on a command line.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sniperforge.errors import ConfigError, InvalidInputError

if TYPE_CHECKING:
    from sniperforge.ports.queue import Queue

OTHER_THREADS = 4
"""Threads of a worker that carries no trades."""

FLOWER_PORT = 5555

Queues = Annotated[str, typer.Option(help="Queues, comma-separated: trades, orders, strategies, health, ...")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("worker")(worker)
    app.command("beat")(beat)
    app.command("flower")(flower)
    app.command("worker-health")(worker_health)


def worker(
    queues: Queues,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Tasks at once; default: trade_threads with `trades`, else 4."),
    ] = None,
) -> None:
    """Work off queues until told to stop (SIGTERM drains)."""
    from sniperforge.config import load_settings
    from sniperforge.ports.queue import Queue
    from sniperforge.shared.queue import redis_address

    names = _queues(queues)
    settings = load_settings()
    redis_address(settings)  # refused here, in one line, and not by a worker that has started half
    usual = settings.trade_threads if Queue.TRADES in names else OTHER_THREADS
    others = f"+{len(names) - 1}" if len(names) > 1 else ""
    _become(
        "worker",
        "--pool=threads",
        f"--concurrency={threads or usual}",
        f"--queues={','.join(names)}",
        # The process stays the same through `exec`, so each worker has a name of its own.
        f"--hostname={names[0]}{others}.{os.getpid()}@{socket.gethostname()}",
        "--without-gossip",
        "--without-mingle",
    )


def beat() -> None:
    """Send what is scheduled. A second one stands by, and takes over when the first is gone."""
    from sniperforge.config import load_settings
    from sniperforge.shared.queue import redis_address

    redis_address(load_settings())
    _become("beat", "--scheduler=workers.scheduler:Scheduler")


def flower(
    address: Annotated[str, typer.Option(help="Where to listen; other addresses belong behind TLS.")] = "127.0.0.1",
) -> None:
    """Show workers, queues and tasks in a browser: user `operator`, always with a password."""
    from sniperforge.config import load_settings
    from sniperforge.shared.flower_password import flower_password
    from sniperforge.shared.queue import redis_address

    settings = load_settings()
    redis_address(settings)
    flower_password(settings)
    port = _flower_port(address, settings.flower_port)
    typer.echo(f"Flower at http://{address}:{port}, user `operator`")
    # /dev/null: otherwise a `flowerconfig.py` in the current folder would be run.
    _become("flower", f"--address={address}", f"--port={port}", "--conf=/dev/null")


def worker_health(
    queues: Queues,
    end_silent: Annotated[  # noqa: FBT002 (a flag)
        bool,
        typer.Option("--end-silent", help="Kill a worker of this machine that is silent while messages wait for it."),
    ] = False,
) -> None:
    """Whether workers of this machine consume these queues: exit 0 or 1, for supervisors and health checks."""
    from sniperforge.config import load_settings
    from sniperforge.shared.canary import SILENT_AFTER, Canary
    from sniperforge.shared.clock import SystemClock
    from sniperforge.shared.queue import CeleryQueue, connect_redis

    names, settings = _queues(queues), load_settings()
    with connect_redis(settings) as redis:
        heard = {queue: Canary(redis).heard(queue) for queue in names}
    now = SystemClock().now()
    host = f"@{socket.gethostname()}"
    silent = []
    for queue, workers in heard.items():
        newest = max((at for worker, at in workers.items() if worker.endswith(host)), default=None)
        if newest is None:
            silent.append(f"{queue}: no worker of this machine was heard")
        elif now - newest > SILENT_AFTER:
            silent.append(f"{queue}: nothing was heard for {(now - newest).total_seconds():.0f} s")
    if silent:
        typer.echo("\n".join(silent), err=True)
        if end_silent:
            # Without beat nobody sings: silence is a worker's fault only where messages wait for it.
            waiting = {queue for queue, depth in CeleryQueue(settings).depths().items() if depth}
            stuck = {
                worker
                for queue in names
                if queue in waiting
                for worker, at in heard[queue].items()
                if worker.endswith(host) and now - at > SILENT_AFTER
            }
            for worker in sorted(stuck):
                _end(worker)
        raise typer.Exit(1)
    typer.echo(f"consumed: {', '.join(names)}")


def _end(worker: str) -> None:
    """SIGKILL: it listens to nothing else. What it held is in the books, and whoever started it starts another."""
    pid = int(worker.partition("@")[0].rpartition(".")[2])
    with suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(pid, signal.SIGKILL)
        typer.echo(f"ended {worker}", err=True)


def _queues(text: str) -> list[Queue]:
    from sniperforge.ports.queue import Queue

    given = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in given if name not in set(Queue)]
    if unknown or not given:
        what = f"there is no queue {', '.join(unknown)}" if unknown else "no queue is named"
        raise InvalidInputError(what, subject="queues", fix=f"Name some of: {', '.join(Queue)}")
    return list(dict.fromkeys(Queue(name) for name in given))


def _flower_port(address: str, wanted: int) -> int:
    for port in (wanted,) if wanted else (FLOWER_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                failure = error
                continue
            return int(probe.getsockname()[1])
    raise ConfigError(
        f"Flower cannot listen there ({failure.strerror})",
        subject=f"{address}:{wanted}",
        fix="Set flower_port to a free port, or to 0",
    )


def _become(*arguments: str) -> NoReturn:
    # -P: modules come from where SniperForge is installed, never from the current folder.
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"):
        # Celery takes these over any configuration, and they are another program's.
        os.environ.pop(name, None)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "workers", "--quiet", *arguments])  # noqa: S606 (no shell)
