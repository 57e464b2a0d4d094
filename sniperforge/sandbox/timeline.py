"""Slots, heights and blockhashes: which block is where, how settled it is, and which blockhashes it accepts.

A slot is a span of time and may have no block; a height counts blocks. The head is the slot being filled: it has a
height already, and its blockhash only when it closes.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from solders.hash import Hash

from sniperforge.sandbox.records import Block, ChainConfig, CommitmentName

GENESIS_SLOT = 446_300_000
FIRST_SLOT = GENESIS_SLOT + 1
SLOTS_BEFORE_HEIGHTS = 21_953_107
"""How far mainnet's heights lie behind its slots, so that comparing one with the other shows at once."""

BLOCKS_REMEMBERED = 2_048
_DRAWS = 1 << 64


class BlockMark(NamedTuple):
    """What the timeline remembers of a closed block."""

    slot: int
    height: int
    blockhash: str
    slot_hash: bytes
    """Slot and hash as one entry of the SlotHashes sysvar."""

    @classmethod
    def of(cls, slot: int, height: int, blockhash: str) -> BlockMark:
        """The mark of a block."""
        return cls(slot, height, blockhash, struct.pack("<Q", slot) + bytes(Hash.from_string(blockhash)))


def genesis_block(config: ChainConfig, unix_time: int) -> Block:
    """The block that a new chain begins with: empty, and finalized from the start."""
    seed = hashlib.sha256(f"sniperforge sandbox {config.seed}".encode()).digest()
    height = GENESIS_SLOT - SLOTS_BEFORE_HEIGHTS
    return Block(GENESIS_SLOT, height, GENESIS_SLOT - 1, str(Hash.from_bytes(seed)), unix_time, ())


class Timeline:
    """The newest blocks, oldest first, and the open slot after them."""

    def __init__(self, config: ChainConfig, marks: Sequence[BlockMark], head_slot: int, pauses: int) -> None:
        self._config = config
        self._marks = list(marks)
        self._slots = [mark.slot for mark in marks]
        self._by_blockhash = {mark.blockhash: mark for mark in marks}
        self.head_slot = head_slot
        self.pauses = pauses
        """Ticks still to pass before the head closes: one for every slot skipped before it."""

    # ---- where
    def newest(self, at_slot: int | None = None) -> BlockMark:
        """The newest closed block at or below this slot; the oldest remembered one if all are above it."""
        if at_slot is None:
            return self._marks[-1]
        return self._marks[max(bisect_right(self._slots, at_slot) - 1, 0)]

    def slot_at(self, commitment: CommitmentName, at_slot: int | None = None) -> int:
        """Newest slot with a block at this commitment, as seen from this slot (the head without one)."""
        head = self.head_slot if at_slot is None else min(at_slot, self.head_slot)
        if commitment == "processed":
            return head if head == self.head_slot else self.newest(head).slot
        behind = self._config.confirm_slots if commitment == "confirmed" else self._config.finalize_slots
        return self.newest(head - behind).slot

    def height_of(self, slot: int) -> int:
        """Height of the newest block at or below this slot, the open one included."""
        return self._marks[-1].height + 1 if slot >= self.head_slot else self.newest(slot).height

    def commitment_of(self, slot: int, at_slot: int | None = None) -> CommitmentName:
        """How settled the block of this slot is."""
        if slot <= self.slot_at("finalized", at_slot):
            return "finalized"
        return "confirmed" if slot <= self.slot_at("confirmed", at_slot) else "processed"

    # ---- blockhashes
    def accepts(self, blockhash: str, bank_slot: int) -> bool:
        """Whether the bank of this slot knows the blockhash and is at most `blockhash_life` blocks above its block."""
        mark = self._by_blockhash.get(blockhash)
        if mark is None or mark.slot > self.newest(bank_slot).slot:
            return False
        return self.height_of(bank_slot) <= self.last_valid_height(mark)

    def last_valid_height(self, mark: BlockMark) -> int:
        """Height of the last block that accepts this block's hash."""
        return mark.height + self._config.blockhash_life

    def slot_hashes(self) -> Iterator[bytes]:
        """Slot and hash of the closed blocks, newest first, as the SlotHashes sysvar holds them."""
        for mark in reversed(self._marks):
            yield mark.slot_hash

    # ---- moves
    def closing(self, unix_time: int, signatures: tuple[str, ...], *, salt: int) -> Block:
        """The block that the open slot becomes. `salt` tells it from the block that a fork dropped here."""
        parent = self._marks[-1]
        content = f"{parent.blockhash} {self.head_slot} {salt} {' '.join(signatures)}"
        blockhash = Hash.from_bytes(hashlib.sha256(content.encode()).digest())
        return Block(self.head_slot, parent.height + 1, parent.slot, str(blockhash), unix_time, signatures)

    def close(self, block: Block) -> None:
        """Append the block and open the next slot that will have one: which, its hash decides."""
        self._append(BlockMark.of(block.slot, block.height, block.blockhash))
        skipped = 0
        while self._draw(block.blockhash, skipped) < self._config.skip_probability:
            skipped += 1
        self.head_slot = block.slot + 1 + skipped
        self.pauses = skipped

    def rewind(self, slot: int) -> None:
        """Forget every block above this slot and go on in a new slot: slots never go back, heights do."""
        while self._slots[-1] > slot:
            self._slots.pop()
            del self._by_blockhash[self._marks.pop().blockhash]
        self.head_slot += 1
        self.pauses = 0

    def _append(self, mark: BlockMark) -> None:
        self._marks.append(mark)
        self._slots.append(mark.slot)
        self._by_blockhash[mark.blockhash] = mark
        if len(self._marks) > BLOCKS_REMEMBERED + BLOCKS_REMEMBERED // 4:
            surplus = len(self._marks) - BLOCKS_REMEMBERED
            for old in self._marks[:surplus]:
                del self._by_blockhash[old.blockhash]
            del self._marks[:surplus], self._slots[:surplus]

    @staticmethod
    def _draw(blockhash: str, number: int) -> float:
        digest = hashlib.sha256(f"skip {number} {blockhash}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / _DRAWS
