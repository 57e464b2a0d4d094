"""I8: no key material where it must not be. `embedded.exposure` brings what there is to search.

A secret can leave in many spellings, so all of these are looked for: the bytes themselves, hex of either case, base58,
base64 of either alphabet (also inside a longer text that was encoded as a whole, where the key begins at any of three
offsets), a JSON array of numbers, a Python bytes literal, and for texts also JSON's escapes.

What it does not find: compressed or encrypted data, and a spelling cut in two (a SQLite row that spans pages; dump it
as SQL first).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sniperforge.errors import InvalidInputError
from sniperforge.infrastructure.base58 import base58

SEED_BYTES = 32
KEYPAIR_BYTES = 64
SHORTEST_TEXT = 8
"""A shorter text would be found by chance."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Something that must be nowhere. It prints as its name alone.

    Args:
        name: What findings call it.
        value: A 32-byte seed, a 64-byte keypair (seed, then public key), or a text such as a passphrase.

    Raises:
        InvalidInputError: Bytes of another length, or a text of fewer than 8 characters.
    """

    name: str
    value: bytes | str = field(repr=False, hash=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.value, bytes) and len(self.value) not in {SEED_BYTES, KEYPAIR_BYTES}:
            raise InvalidInputError(f"a key has 32 or 64 bytes, not {len(self.value)}", subject=self.name)
        if isinstance(self.value, str) and len(self.value) < SHORTEST_TEXT:
            raise InvalidInputError("a text this short would be found by chance", subject=self.name)


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret where it must not be. It never holds the secret.

    Attributes:
        place: The blob's name, or which one it was if the secret stands in the name itself.
        secret: The secret's name.
        spelling: How it is written there.
        offset: Bytes from the beginning of the blob.
    """

    place: str
    secret: str
    spelling: str
    offset: int

    def __str__(self) -> str:
        return (
            f"I8 {self.place}: {self.secret} is in it as {self.spelling}, at byte {self.offset}. "
            "Destroy every copy, and move the funds to a new key"
        )


def scan_for_secrets(blobs: Iterable[tuple[str, bytes]], secrets: Sequence[Secret]) -> tuple[Finding, ...]:
    """Look for every spelling of every secret in every blob and in its name.

    Args:
        blobs: Names and contents; read one at a time.
        secrets: What must not be there. They leave this function in no form.
    """
    patterns = [(secret.name, spelling, pattern) for secret in secrets for pattern, spelling in _patterns(secret.value)]
    findings = []
    for number, (name, content) in enumerate(blobs, start=1):
        named = [_finding(f"the name of blob {number}", name.encode(), *one) for one in patterns]
        place = f"blob {number}" if any(named) else name
        inside = [_finding(place, content, *one) for one in patterns]
        findings += [finding for finding in (*named, *inside) if finding is not None]
    return tuple(dict.fromkeys(findings))


def _finding(place: str, content: bytes, secret: str, spelling: str, pattern: re.Pattern[bytes]) -> Finding | None:
    found = pattern.search(content)
    return None if found is None else Finding(place, secret, spelling, found.start())


def _patterns(value: bytes | str) -> Iterable[tuple[re.Pattern[bytes], str]]:
    """Patterns and what to call them; spellings that come out the same go by the first one's name."""
    patterns: dict[re.Pattern[bytes], str] = {}
    for spelling, pattern in _spellings(value):
        patterns.setdefault(pattern, spelling)
    return patterns.items()


def _spellings(value: bytes | str) -> Iterator[tuple[str, re.Pattern[bytes]]]:
    if isinstance(value, str):
        raw = value.encode()
        yield from _of_bytes("a text", raw)
        yield "a text in JSON", _exactly(json.dumps(value)[1:-1].encode())
        yield "a text in Python", _exactly(repr(value)[1:-1].encode())
        return
    yield from _of_key("a seed", value[:SEED_BYTES])
    if len(value) == KEYPAIR_BYTES:
        yield from _of_key("a keypair", value)


def _of_key(what: str, key: bytes) -> Iterator[tuple[str, re.Pattern[bytes]]]:
    yield from _of_bytes(what, key)
    yield f"{what} in base58", _exactly(base58(key).encode())
    yield f"{what} as numbers", re.compile(rb"(?<!\d)" + rb"\s*,\s*".join(b"%d" % byte for byte in key) + rb"(?!\d)")


def _of_bytes(what: str, raw: bytes) -> Iterator[tuple[str, re.Pattern[bytes]]]:
    yield what, _exactly(raw)
    yield f"{what} in hex", re.compile(re.escape(raw.hex().encode()), re.IGNORECASE)
    yield f"{what} in base64", re.compile(b"|".join(re.escape(part) for part in _base64_parts(raw)))
    yield f"{what} as a bytes literal", _exactly(repr(raw)[2:-1].encode())


def _base64_parts(raw: bytes) -> Iterator[bytes]:
    """What base64 makes of `raw` wherever it begins in a longer text, without characters shared with its neighbours.

    Three bytes make four characters of six bits each, so there are three ways to begin.
    """
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + raw)
        first = -(-shift * 8 // 6)
        part = text[first : (shift + len(raw)) * 8 // 6]
        yield part
        yield part.translate(bytes.maketrans(b"+/", b"-_"))


def _exactly(text: bytes) -> re.Pattern[bytes]:
    return re.compile(re.escape(text))
