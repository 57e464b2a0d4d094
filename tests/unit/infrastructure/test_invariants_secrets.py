"""I8: whatever way a key is written down, it is found, and the finding does not repeat it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.errors import InvalidInputError
from sniperforge.infrastructure.base58 import base58
from sniperforge.infrastructure.secrets_scan import Secret, scan_for_secrets

keypairs = st.binary(min_size=32, max_size=32).map(Keypair.from_seed)
around = st.binary(max_size=40)

SPELLINGS: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "raw": lambda key: key,
        "hex": lambda key: key.hex().encode(),
        "upper hex": lambda key: key.hex().upper().encode(),
        "base64": base64.b64encode,
        "url-safe base64": lambda key: base64.urlsafe_b64encode(key).rstrip(b"="),
        "json array": lambda key: json.dumps(list(key)).encode(),
        "compact array": lambda key: json.dumps(list(key), separators=(",", ":")).encode(),
        "indented array": lambda key: json.dumps(list(key), indent=2).encode(),
        "bytes literal": lambda key: repr(key).encode(),
        "base58": lambda key: str(Keypair.from_bytes(key)).encode() if len(key) == 64 else str(Pubkey(key)).encode(),
    }
)


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
@pytest.mark.parametrize("length", [32, 64])
@given(keypair=keypairs, before=around, after=around)
def test_a_key_is_found_in_every_spelling_as_seed_and_as_keypair(
    spelling: str, length: int, keypair: Keypair, before: bytes, after: bytes
) -> None:
    key = bytes(keypair)[:length]
    blob = before + b"[" + SPELLINGS[spelling](key) + b"]" + after
    findings = scan_for_secrets([("worker.log", blob)], [Secret("demo", bytes(keypair))])
    assert findings
    assert {(finding.place, finding.secret) for finding in findings} == {("worker.log", "demo")}


@given(keypair=keypairs, before=around, after=around)
def test_a_key_inside_a_message_that_was_encoded_as_a_whole_is_found(
    keypair: Keypair, before: bytes, after: bytes
) -> None:
    blob = base64.b64encode(before + bytes(keypair)[:32] + after)
    (finding,) = scan_for_secrets([("redis", blob)], [Secret("demo", bytes(keypair))])
    assert finding.spelling == "a seed in base64"


@given(keypair=keypairs, other=keypairs)
def test_another_key_and_the_public_key_are_no_finding(keypair: Keypair, other: Keypair) -> None:
    if bytes(keypair) == bytes(other):
        return
    blobs = [("public", str(keypair.pubkey()).encode())]
    blobs += [(name, spell(bytes(other))) for name, spell in SPELLINGS.items()]
    assert scan_for_secrets(blobs, [Secret("demo", bytes(keypair))]) == ()


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.encode(),
        lambda text: json.dumps({"passphrase": text}).encode(),
        lambda text: repr({"passphrase": text}).encode(),
        lambda text: base64.b64encode(b"x" + text.encode()),
        lambda text: text.encode().hex().encode(),
    ],
)
@pytest.mark.parametrize("text", ["correct horse", 'quote " and ümlaut \\', "eight888"])
def test_a_passphrase_is_found(written: Callable[[str], bytes], text: str) -> None:
    assert scan_for_secrets([("log", b"before " + written(text) + b" after")], [Secret("passphrase", text)])


def test_a_number_that_only_begins_alike_is_no_finding() -> None:
    seed = bytes([1] * 31 + [2])
    assert scan_for_secrets([("log", b",".join([b"1"] * 31 + [b"25"]))], [Secret("demo", seed)]) == ()
    assert scan_for_secrets([("log", b",".join([b"1"] * 31 + [b"2"]))], [Secret("demo", seed)])


def test_a_finding_says_where_and_what_to_do_and_never_the_secret() -> None:
    passphrase = Secret("the passphrase", "correct horse")
    (finding,) = scan_for_secrets([("logs/worker.log", b"12345 correct horse")], [passphrase])
    assert finding.offset == 6
    text = f"{finding} {finding!r} {passphrase} {passphrase!r}"
    assert "correct" not in text
    assert str(finding).startswith("I8 logs/worker.log: the passphrase is in it as a text, at byte 6. Destroy")


def test_a_secret_in_a_name_is_found_and_not_repeated() -> None:
    findings = scan_for_secrets(
        [("fine", b""), ("cache:correct horse:price", b"also correct horse")],
        [Secret("the passphrase", "correct horse")],
    )
    assert [finding.place for finding in findings if finding.spelling == "a text"] == ["the name of blob 2", "blob 2"]
    assert "correct" not in str(findings)


def test_what_would_be_found_by_chance_is_refused_without_telling_it() -> None:
    for value in ("short", b"\x01" * 31):
        with pytest.raises(InvalidInputError) as refused:
            Secret("demo", value)
        assert "short" not in str(refused.value).replace("this short", "")


@given(data=st.binary(max_size=80))
def test_base58_is_what_solana_writes(data: bytes) -> None:
    assert int_of(base58(data)) == int.from_bytes(data, "big")
    assert len(base58(data)) - len(base58(data).lstrip("1")) == len(data) - len(data.lstrip(b"\0"))
    key = data.ljust(32, b"\0")[:32]
    assert base58(key) == str(Pubkey(key))


def int_of(text: str) -> int:
    value = 0
    for character in text:
        value = value * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(character)
    return value
