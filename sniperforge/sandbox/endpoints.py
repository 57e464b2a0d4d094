"""Where a running sandbox listens: sockets, and `endpoints.json` for whoever looks for it."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sniperforge.errors import ConfigError
from sniperforge.sandbox.context import SandboxConfig

ENDPOINTS_NAME = "endpoints.json"
_PORTS = ("rpc", "ws", "jupiter", "admin")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses of a running sandbox.

    Attributes:
        pid: Its process.
        rpc_url: The first RPC node.
        ws_url: WebSocket subscriptions of the first node.
        jupiter_url: The Jupiter API.
        admin_url: Faults, funding, prices.
        node_urls: Every RPC node by name.
        demo_wallet: Address of the funded wallet.
        demo_wallet_file: Its key, as the Solana command line writes keys.
    """

    pid: int
    rpc_url: str
    ws_url: str
    jupiter_url: str
    admin_url: str
    node_urls: dict[str, str]
    demo_wallet: str
    demo_wallet_file: str

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def bind(config: SandboxConfig) -> dict[str, socket.socket]:
    """Take all four ports, or none.

    Raises:
        ConfigError: A port is taken, or may not be used; the message says which option frees the way.
    """
    taken: dict[str, socket.socket] = {}
    try:
        for name in _PORTS:
            taken[name] = _bind(config.host, getattr(config, f"{name}_port"), name)
    except ConfigError:
        for one in taken.values():
            one.close()
        raise
    return taken


def _bind(host: str, port: int, name: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"the port cannot be used: {error.strerror or error}",
            subject=f"{host}:{port}",
            fix=f"Stop what listens there, or pass --{name}-port 0 for a free port",
        ) from error
    listener.setblocking(False)
    return listener


def port_of(listener: socket.socket) -> int:
    """The port a socket listens on."""
    port: int = listener.getsockname()[1]
    return port


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


def write_endpoints(state_dir: Path, endpoints: Endpoints) -> None:
    """Tell others where the sandbox listens."""
    write_private(state_dir / ENDPOINTS_NAME, json.dumps(endpoints.as_json(), indent=2) + "\n")


def read_endpoints(state_dir: Path) -> Endpoints:
    """Where the sandbox of this home listens.

    Raises:
        ConfigError: None is running there, or it died without cleaning up.
    """
    path = state_dir / ENDPOINTS_NAME
    try:
        endpoints = Endpoints(**json.loads(path.read_text(encoding="utf-8")))
        os.kill(endpoints.pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        raise ConfigError(
            "no sandbox is running on this home", subject=str(state_dir.parent), fix="Start one: sniperforge sandbox"
        ) from None
    except (ValueError, TypeError) as error:
        raise ConfigError(f"cannot be read: {error}", subject=str(path), fix="Start the sandbox again") from error
    except PermissionError as error:
        raise ConfigError(
            "the sandbox of this home belongs to another user", subject=str(path), fix="Use a home of your own"
        ) from error
    return endpoints
