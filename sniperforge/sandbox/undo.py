"""What accounts were before each of the newest slots: for reads at older commitments, and for forks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from solders.account import Account
from solders.pubkey import Pubkey


class Previous(NamedTuple):
    """What an account was before a slot first wrote it; None: it did not exist."""

    account: Account | None


class UndoLog:
    """Previous values by slot, oldest slot first."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[Pubkey, Account | None]] = {}

    def note(self, slot: int, address: Pubkey, previous: Account | None) -> None:
        """Remember what an account was before this slot; only a slot's first write counts."""
        self._slots.setdefault(slot, {}).setdefault(address, previous)

    def before(self, address: Pubkey, slot: int) -> Previous | None:
        """The account as of the end of `slot`; None if no later slot wrote it, so that its present value counts."""
        for later, values in self._slots.items():
            if later > slot and address in values:
                return Previous(values[address])
        return None

    def at(self, slot: int) -> Mapping[Pubkey, Account | None]:
        """What this slot wrote, with previous values."""
        return self._slots.get(slot, {})

    def mentions(self, address: Pubkey) -> bool:
        """Whether any remembered slot wrote this account."""
        return any(address in values for values in self._slots.values())

    def pop_above(self, slot: int) -> dict[Pubkey, Account | None]:
        """Forget the slots above this one and return what their accounts were at its end."""
        restored: dict[Pubkey, Account | None] = {}
        for later in [at for at in self._slots if at > slot]:
            for address, previous in self._slots.pop(later).items():
                restored.setdefault(address, previous)
        return restored

    def forget_below(self, slot: int) -> None:
        """Forget the slots below this one."""
        for earlier in [at for at in self._slots if at < slot]:
            del self._slots[earlier]
