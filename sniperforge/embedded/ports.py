"""Ports of a stack: the ones that were set, else those of last time, else free ones.

Free ones come from below the range from which Linux takes ports of outgoing connections (32768 and up,
/proc/sys/net/ipv4/ip_local_port_range), so that they are still free when a service is started again.
"""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

from sniperforge.embedded.private_files import write_private
from sniperforge.errors import ConfigError

HOST = "127.0.0.1"
PORTS_NAME = "ports.json"
_LOWEST, _HIGHEST = 20_000, 32_000
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def require_free(port: int, setting: str) -> None:
    """Make sure that a port which somebody set can be used.

    Raises:
        ConfigError: It cannot.
    """
    if not is_free(port):
        raise ConfigError(
            f"port {port} is taken by another program, or may not be used",
            subject=setting,
            fix=f"Stop what listens there (`ss -ltnp 'sport = :{port}'` names it), or set another port, or 0",
        )


class PortBook:
    """Ports by name, remembered between starts.

    Args:
        run_dir: Where `ports.json` lies. A file that cannot be read is like none.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / PORTS_NAME
        try:
            kept = dict(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            kept = {}
        self._kept: dict[str, int] = {
            name: port for name, port in kept.items() if isinstance(port, int) and 0 < port < 65_536
        }
        self._given: dict[str, int] = {}

    def last(self, name: str) -> int | None:
        """The port that this service had last time, if it had one."""
        return self._kept.get(name)

    def take(self, name: str, *, preferred: int | None = None) -> int:
        """A free port for this service: the preferred one, the one of last time, or any.

        Raises:
            ConfigError: None is free.
        """
        chance = random.SystemRandom()
        candidates = [preferred, self._kept.get(name), *(chance.randint(_LOWEST, _HIGHEST) for _ in range(_TRIES))]
        for port in candidates:
            others = {given for other, given in self._given.items() if other != name}
            if port is not None and port not in others and is_free(port):
                self._given[name] = port
                self._kept[name] = port
                write_private(self._path, json.dumps(self._kept, indent=2, sort_keys=True) + "\n")
                return port
        raise ConfigError(f"no free port was found between {_LOWEST} and {_HIGHEST}", subject=name)
