"""Orders are shown by the books alone: a Jupiter that refuses, or is away, takes nothing but the names of tokens."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from sniperforge.bootstrap import build
from sniperforge.config import load_settings
from tests.fakes.order_records import a_leg, an_order
from tests.fakes.raw_server import one_connection
from tests.fakes.records import USDC, a_wallet
from tests.fakes.terminal import sniperforge

NOWHERE = "http://127.0.0.1:9"
COMMANDS = [("order-list",), ("order-show", "ofirst")]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home with one open order."""
    services = build(load_settings(home=tmp_path, rpc_urls=NOWHERE, jupiter_url=NOWHERE))
    with services.store.write() as books:
        books.wallets.add(a_wallet())
        books.orders.add(an_order("first"), [a_leg("first")])
    services.close()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SNIPERFORGE_")}
    return {**clean, "SNIPERFORGE_HOME": str(tmp_path), "SNIPERFORGE_RPC_URLS": NOWHERE}


def shown(environment: dict[str, str], *command: str) -> tuple[str, str]:
    """What a command that ends well says, and what it complains of."""
    done = subprocess.run(
        sniperforge(*command), env=environment, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


def refuse(connection: socket.socket) -> None:
    """An answer to a key that is wrong."""
    body = b'{"code": 401, "message": "Unauthorized"}'
    connection.sendall(
        b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_key_that_jupiter_refuses_hides_no_order(environment: dict[str, str], command: tuple[str, ...]) -> None:
    with one_connection(refuse) as jupiter:
        told, complained = shown({**environment, "SNIPERFORGE_JUPITER_URL": jupiter}, *command)
    assert "ofirst" in told
    assert f"for {USDC[:4]}..." in told
    assert "names of tokens are missing" in complained
    assert "jupiter_api_key" in complained


@pytest.mark.parametrize("command", COMMANDS)
def test_a_jupiter_that_is_away_hides_no_order(environment: dict[str, str], command: tuple[str, ...]) -> None:
    told, complained = shown({**environment, "SNIPERFORGE_JUPITER_URL": NOWHERE}, *command)
    assert "ofirst" in told
    assert f"for {USDC[:4]}..." in told
    assert "names of tokens are missing" in complained
