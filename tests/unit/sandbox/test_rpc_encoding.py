"""Encodings that the RPC server reads and writes."""

from __future__ import annotations

import pytest

from sniperforge.sandbox.rpc.account_view import ui_token_amount
from sniperforge.sandbox.rpc.encoding import zstd_frame


def test_a_zstd_frame_has_the_layout_of_the_standard() -> None:
    frame = zstd_frame(b"abc")
    assert (
        frame == b"\x28\xb5\x2f\xfd" + b"\xe0" + (3).to_bytes(8, "little") + (3 << 3 | 1).to_bytes(3, "little") + b"abc"
    )


def test_a_long_zstd_frame_is_cut_into_blocks_and_only_the_last_says_so() -> None:
    data = bytes(300_000)
    frame = zstd_frame(data)[13:]
    sizes, last = [], False
    while frame:
        header = int.from_bytes(frame[:3], "little")
        size, last = header >> 3, bool(header & 1)
        assert (header >> 1) & 3 == 0
        sizes.append(size)
        frame = frame[3 + size :]
        assert last == (not frame)
    assert sum(sizes) == len(data)


@pytest.mark.parametrize(
    ("raw", "decimals", "text"),
    [(0, 6, "0"), (1, 6, "0.000001"), (1_500_000, 6, "1.5"), (10, 0, "10"), (2**64 - 1, 9, "18446744073.709551615")],
)
def test_token_amounts_are_shown_exactly(raw: int, decimals: int, text: str) -> None:
    shown = ui_token_amount(raw, decimals)
    assert (shown["amount"], shown["uiAmountString"]) == (str(raw), text)
