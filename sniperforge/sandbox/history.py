"""Transactions that landed: the newest in memory, all of them in the file."""

from __future__ import annotations

from collections import OrderedDict

from sniperforge.sandbox.landings import Landing, RecentLandings
from sniperforge.sandbox.ledger import Ledger
from sniperforge.sandbox.records import LandedRecord, TransactionErrorJson

_RECORDS_CACHED = 1_024


class History:
    """What landed, where, and with what outcome.

    The status cache and the duplicates check must answer at once and hold one small entry per landing; of whole
    records only the newest are kept, because most questions are about them.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._landings = RecentLandings()
        self._records: OrderedDict[str, LandedRecord] = OrderedDict()

    def load(self, *, from_slot: int, from_height: int) -> None:
        """Remember the landings at or above one of these."""
        for landing in self._ledger.landings(from_slot=from_slot, from_height=from_height):
            self._landings.add(landing)

    def add(self, record: LandedRecord, message_hash: bytes, height: int) -> None:
        """Write down a landing in the block of this height."""
        self._ledger.put_transaction(record, message_hash, height)
        self._landings.add(Landing(record.signature, message_hash, record.slot, height, record.err))
        self._records[record.signature] = record
        if len(self._records) > _RECORDS_CACHED:
            self._records.popitem(last=False)

    def forget(self, *, below_slot: int, below_height: int) -> None:
        """Drop from memory the landings that are below both."""
        self._landings.forget(below_slot=below_slot, below_height=below_height)

    def rewind(self, slot: int) -> list[LandedRecord]:
        """Delete everything above this slot; returns it in its order."""
        dropped = self._ledger.rewind(slot)
        self._landings.rewind(slot)
        for record in dropped:
            self._records.pop(record.signature, None)
        return dropped

    def slot_of_message(self, message_hash: bytes) -> int | None:
        """Where this message landed, whatever its signatures, while its blockhash may still live."""
        landing = self._landings.by_message(message_hash)
        return None if landing is None else landing.slot

    def outcome(
        self, signature: str, *, cached_from_slot: int, search: bool
    ) -> tuple[int, TransactionErrorJson | None] | None:
        """Slot and error of a landing: from the status cache, which reaches back to a slot, or by searching."""
        landing = self._landings.by_signature(signature)
        if landing is not None and landing.slot >= cached_from_slot:
            return landing.slot, landing.err
        return self._ledger.status(signature) if search else None

    def record(self, signature: str) -> LandedRecord | None:
        """The whole record of a landing."""
        return self._records.get(signature) or self._ledger.transaction(signature)
