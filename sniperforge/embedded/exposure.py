"""I8 on a whole stack: what nobody else may read, and every place where somebody could read it.

Each secret has files that are there to hold it; anywhere else, in those of another secret too, it is a leak.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sniperforge.config import STACK_NAME
from sniperforge.embedded.ports import HOST
from sniperforge.embedded.stack_files import read_report
from sniperforge.errors import RetryableError
from sniperforge.infrastructure.secrets_scan import Finding, Secret, scan_for_secrets

if TYPE_CHECKING:
    from sniperforge.bootstrap import Services

KEY, PASSPHRASE = "the wallet's key", "the wallets' passphrase"
REDIS_PASSWORD, FLOWER_PASSWORD = "Redis' password", "Flower's password"

HOLDERS: Mapping[str, frozenset[str]] = {
    PASSPHRASE: frozenset({"wallet-passphrase"}),
    REDIS_PASSWORD: frozenset({STACK_NAME, "run/redis/password", "run/redis/redis.conf"}),
    FLOWER_PASSWORD: frozenset({"flower-password"}),
}
"""Files of the home that are there to hold a secret, mode 0600 all. A key has none: the keystore holds it sealed."""

FLOWER_PAGES = ("/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/api/queues/length", "/metrics")
_WITHIN_S = 20.0


def secrets_of(services: Services) -> tuple[Secret, ...]:
    """What nobody else may read, of a stack whose passphrase is in a file of its home.

    Raises:
        WalletError: There is no wallet, or it cannot be unlocked.
        ConfigError: A password cannot be read.
    """
    from sniperforge.shared.flower_password import flower_password
    from sniperforge.shared.queue import redis_address
    from sniperforge.shared.wallet_manager import settings_passphrase

    settings, wallets = services.settings, services.wallets
    exported = bytes(json.loads(wallets.export_key(wallets.find(None).address)))
    of_redis = urlsplit(redis_address(settings)).password
    return (
        Secret(KEY, exported),
        Secret(PASSPHRASE, settings_passphrase(settings, None)()),
        *([] if of_redis is None else [Secret(REDIS_PASSWORD, of_redis)]),
        Secret(FLOWER_PASSWORD, flower_password(settings).get_secret_value()),
    )


def find_exposed(places: Iterable[tuple[str, bytes]], secrets: Sequence[Secret]) -> tuple[Finding, ...]:
    """Every place where one of these secrets is, and has no business to be."""
    found = scan_for_secrets(places, secrets)
    return tuple(one for one in found if one.place not in HOLDERS.get(one.secret, ()))


def at_rest(services: Services) -> Iterator[tuple[str, bytes]]:
    """Every file of the home, Redis' append-only file and the output of what crashed included; and every row.

    Raises:
        StorageError: The books cannot be read.
    """
    from sniperforge.storage.dump import rows_as_bytes

    home = services.settings.home
    for path in sorted(home.rglob("*")):
        with suppress(FileNotFoundError):  # a running stack renames and removes files
            if path.is_file():
                yield path.relative_to(home).as_posix(), path.read_bytes()
    books = services.connect_books()
    try:
        for table, row in rows_as_bytes(books):
            yield f"books {table}", row
    finally:
        books.dispose()


def while_it_runs(services: Services) -> Iterator[tuple[str, bytes]]:
    """What Redis holds, Flower shows and the system tells of processes.

    Raises:
        RetryableError: Redis or Flower does not answer.
    """
    yield from _in_redis(services)
    yield from _shown_by_flower(services)
    yield from told_of_processes(services.settings.run_dir)


def _in_redis(services: Services) -> Iterator[tuple[str, bytes]]:
    """Keys and values. The stack's Redis compresses nothing that it dumps, so what is there can be seen."""
    from redis import Redis, RedisError

    from sniperforge.shared.queue import redis_address, unavailable

    try:
        with Redis.from_url(redis_address(services.settings), socket_timeout=_WITHIN_S) as client:
            for key in client.scan_iter(count=1_000):
                dumped = client.dump(key)
                yield f"redis {key.decode(errors='backslashreplace')}", dumped if isinstance(dumped, bytes) else b""
    except RedisError as error:
        raise unavailable(error) from error


def _shown_by_flower(services: Services) -> Iterator[tuple[str, bytes]]:
    import httpx

    from sniperforge.shared.flower_password import FLOWER_USER, flower_password

    address = f"http://{HOST}:{services.settings.flower_port}"
    auth = (FLOWER_USER, flower_password(services.settings).get_secret_value())
    with httpx.Client(base_url=address, auth=auth, timeout=_WITHIN_S) as flower:
        for page in FLOWER_PAGES:
            try:
                answer = flower.get(page)
                answer.raise_for_status()
            except httpx.HTTPError as error:
                raise RetryableError(f"Flower does not answer: {error}", subject=address + page) from error
            yield f"flower {page}", answer.content


def told_of_processes(run_dir: Path) -> Iterator[tuple[str, bytes]]:
    """Arguments of every process, which anybody may read, and the environment of those of the stack."""
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or hides them from us too
            yield f"arguments of process {process.pid}", _bytes(process.cmdline())
    report = read_report(run_dir)
    if report is None:
        return
    with suppress(psutil.Error):
        supervisor = psutil.Process(report.pid)
        for process in (supervisor, *supervisor.children(recursive=True)):
            with suppress(psutil.Error):
                yield f"environment of process {process.pid}", _bytes(process.environ().values())


def _bytes(words: Iterable[str]) -> bytes:
    return "\n".join(words).encode(errors="surrogateescape")
