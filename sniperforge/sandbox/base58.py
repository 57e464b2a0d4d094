"""Base58 as Bitcoin and Solana write it, for byte strings of any length."""

from __future__ import annotations

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
"""Two digits at once: encoding instruction data is on the path of every transaction."""

_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_STEP = 10
"""Digits read at once: arithmetic on the whole number dominates, so there should be little of it."""


def b58encode(data: bytes) -> str:
    """Base58 of `data`; each leading zero byte is a leading `1`."""
    zeros = len(data) - len(data.lstrip(b"\0"))
    number = int.from_bytes(data, "big")
    pairs = []
    while number:
        number, remainder = divmod(number, 3364)
        pairs.append(_PAIRS[remainder])
    return "1" * zeros + "".join(reversed(pairs)).lstrip("1")


def b58decode(text: str) -> bytes:
    """The bytes of a base58 text.

    Raises:
        ValueError: A character is outside the alphabet.
    """
    number = 0
    for start in range(0, len(text), _STEP):
        part = text[start : start + _STEP]
        chunk = 0
        for character in part:
            value = _VALUE.get(character)
            if value is None:
                raise ValueError(f"character {character!r} is not base58")
            chunk = chunk * 58 + value
        number = number * 58 ** len(part) + chunk
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return b"\0" * (len(text) - len(text.lstrip("1"))) + body
