"""Base58 of bytes of any length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from solders.signature import Signature

from sniperforge.sandbox.base58 import b58decode, b58encode

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@given(st.binary(min_size=32, max_size=32))
def test_addresses_are_written_as_solana_writes_them(data: bytes) -> None:
    assert b58encode(data) == str(Pubkey.from_bytes(data))


@given(st.binary(min_size=64, max_size=64))
def test_signatures_are_written_as_solana_writes_them(data: bytes) -> None:
    assert b58encode(data) == str(Signature.from_bytes(data))


@given(st.binary(max_size=300))
def test_nothing_is_lost(data: bytes) -> None:
    text = b58encode(data)
    number = 0
    for character in text:
        number = number * 58 + ALPHABET.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    assert bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big") == data


@pytest.mark.parametrize(
    ("data", "text"), [(b"", ""), (b"\0", "1"), (b"\0\0a", "112g"), (b"Hello World!", "2NEpo7TZRRrLZSi2U")]
)
def test_known_values(data: bytes, text: str) -> None:
    assert b58encode(data) == text


@given(st.binary(max_size=200))
def test_base58_reads_what_was_written(data: bytes) -> None:
    assert b58decode(b58encode(data)) == data


@pytest.mark.parametrize("text", ["0", "O", "I", "l", "abc!", "ä"])
def test_base58_refuses_what_is_outside_its_alphabet(text: str) -> None:
    with pytest.raises(ValueError, match="not base58"):
        b58decode(text)
