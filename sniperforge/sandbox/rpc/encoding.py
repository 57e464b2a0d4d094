"""Encodings of bytes in JSON beside base58: base64, and zstd frames."""

from __future__ import annotations

import base64
import struct


def base64_encode(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode("ascii")


def base64_decode(text: str) -> bytes:
    """The bytes of a standard base64 text.

    Raises:
        ValueError: A character is outside the alphabet, or padding is wrong.
    """
    return base64.b64decode(text, validate=True)


_ZSTD_BLOCK = 128 * 1024


def zstd_frame(data: bytes) -> bytes:
    """A valid zstd frame of stored (uncompressed) blocks: every decoder reads it, and no compressor is needed.

    Layout: RFC 8878, sections 3.1.1.1 (single segment, 8-byte content size) and 3.1.1.2 (raw blocks).
    """
    blocks = [data[start : start + _ZSTD_BLOCK] for start in range(0, len(data), _ZSTD_BLOCK)] or [b""]
    frame = [b"\x28\xb5\x2f\xfd\xe0", struct.pack("<Q", len(data))]
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        frame += [(len(block) << 3 | last).to_bytes(3, "little"), block]
    return b"".join(frame)
