"""Names of RPC nodes that give nothing away.

RPC addresses carry API keys: as user and password, in the query, in the path, even as an ordinary-looking path segment.
A node's name is what may be printed; `redact` takes everything else out of any text a node sent us.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from sniperforge.errors import ConfigError

_PLAIN_SEGMENT = re.compile(r"[a-z]{1,8}([-_]?[a-z0-9]{1,2})?")
"""A path segment that cannot be a key: one short lower-case word, perhaps numbered ("v2", "rpc", "node-b")."""

_SHORTEST_SECRET = 4
HIDDEN = "***"


class NodeAddress:
    """Where a node is, and what it is called. Only the name ever prints."""

    __slots__ = ("_secrets", "name", "url")

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self._secrets = _secrets(url)

    def __repr__(self) -> str:
        return f"NodeAddress({self.name})"

    def redact(self, text: str) -> str:
        """`text` without this address's secrets, wherever they came from."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def node_addresses(urls: Sequence[str]) -> tuple[NodeAddress, ...]:
    """Addresses with distinct names `host:port/path`, in the order given; a second one of the same name gets `#2`.

    Raises:
        ConfigError: No address, one without a host, or the same one twice.
    """
    if not urls:
        raise ConfigError("no RPC address", subject="rpc_urls", fix="Name at least one Solana RPC address")
    if len(set(urls)) != len(urls):
        raise ConfigError("the same RPC address twice", subject="rpc_urls", fix="Name each node once")
    addresses: list[NodeAddress] = []
    seen: dict[str, int] = {}
    for url in urls:
        base = _name(url)
        seen[base] = seen.get(base, 0) + 1
        addresses.append(NodeAddress(url, base if seen[base] == 1 else f"{base}#{seen[base]}"))
    return tuple(addresses)


def _name(url: str) -> str:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(
            "an RPC address without http(s):// and a host", subject="rpc_urls", fix="Write it as https://host[:port]"
        )
    segments = [part if _PLAIN_SEGMENT.fullmatch(part) else HIDDEN for part in parts.path.split("/") if part]
    shown_host = f"[{host}]" if ":" in host else host
    return "/".join([f"{shown_host}:{port}" if port else shown_host, *segments])


def _secrets(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    found = {parts.username or "", parts.password or "", parts.query}
    found.update(part for part in parts.path.split("/") if not _PLAIN_SEGMENT.fullmatch(part))
    found.update(item.partition("=")[2] for item in parts.query.split("&"))
    found.update({unquote(item) for item in found})
    # Longest first, so that no rest of a longer one stays behind.
    return tuple(sorted((item for item in found if len(item) >= _SHORTEST_SECRET), key=len, reverse=True))
