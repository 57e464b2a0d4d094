"""Base58 as Bitcoin and Solana write it, for byte strings of any length."""

from __future__ import annotations

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
"""Two digits at once: encoding instruction data is on the path of every transaction."""


def b58encode(data: bytes) -> str:
    """Base58 of `data`; each leading zero byte is a leading `1`."""
    zeros = len(data) - len(data.lstrip(b"\0"))
    number = int.from_bytes(data, "big")
    pairs = []
    while number:
        number, remainder = divmod(number, 3364)
        pairs.append(_PAIRS[remainder])
    return "1" * zeros + "".join(reversed(pairs)).lstrip("1")
