"""Transactions that landed lately: their statuses, and the messages that may not land again."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from sniperforge.sandbox.records import TransactionErrorJson


class Landing(NamedTuple):
    """What is remembered of a landed transaction."""

    signature: str
    message_hash: bytes
    slot: int
    height: int
    err: TransactionErrorJson | None


class RecentLandings:
    """Landings by signature and by message, in the order they happened."""

    def __init__(self) -> None:
        self._order: deque[Landing] = deque()
        self._by_signature: dict[str, Landing] = {}
        self._by_message: dict[bytes, Landing] = {}

    def add(self, landing: Landing) -> None:
        """Remember a landing."""
        self._order.append(landing)
        self._by_signature[landing.signature] = landing
        self._by_message[landing.message_hash] = landing

    def by_signature(self, signature: str) -> Landing | None:
        """The landing with this signature, if it is remembered."""
        return self._by_signature.get(signature)

    def by_message(self, message_hash: bytes) -> Landing | None:
        """The landing of this message, whatever its signatures, if it is remembered."""
        return self._by_message.get(message_hash)

    def forget(self, *, below_slot: int, below_height: int) -> None:
        """Forget landings that are below both: no status cache holds them, and their blockhash is long dead."""
        while self._order and self._order[0].slot < below_slot and self._order[0].height < below_height:
            self._drop(self._order.popleft())

    def rewind(self, slot: int) -> None:
        """Forget landings above this slot."""
        while self._order and self._order[-1].slot > slot:
            self._drop(self._order.pop())

    def _drop(self, landing: Landing) -> None:
        del self._by_signature[landing.signature]
        del self._by_message[landing.message_hash]
