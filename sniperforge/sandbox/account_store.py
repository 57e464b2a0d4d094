"""Every account of the chain: now, as of the newest slots, by owner, and what has to be written to the file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.sandbox.ledger import Ledger
from sniperforge.sandbox.runtime import Runtime
from sniperforge.sandbox.token_accounts import read_token_account
from sniperforge.sandbox.undo import UndoLog


class AccountStore:
    """Accounts at the head live in the runtime; this remembers what they were, and finds them.

    The indexes hold every address that *ever* had an owner while the process ran, and reads check each: so they need
    no rollback, and answer for older slots too. Addresses that nobody remembers are dropped when they are met.
    """

    def __init__(self, runtime: Runtime, ledger: Ledger, on_write: Callable[[Pubkey], None]) -> None:
        self._runtime = runtime
        self._ledger = ledger
        self._on_write = on_write
        self._undo = UndoLog()
        self._unsaved: dict[Pubkey, None] = {}
        self._by_program: defaultdict[Pubkey, dict[Pubkey, None]] = defaultdict(dict)
        self._by_token_owner: defaultdict[Pubkey, dict[Pubkey, None]] = defaultdict(dict)

    def load(self) -> None:
        """Read everything from the file."""
        for address, elf in self._ledger.programs():
            self._runtime.add_program(address, elf)
        for address, account in self._ledger.accounts():
            self._runtime.set_account(address, account)
            self._find_later(address, account)
        for slot, address, previous in self._ledger.undo():
            self._undo.note(slot, address, previous)
            self._find_later(address, previous)

    # ---- reading
    def at(self, address: Pubkey, slot: int) -> Account | None:
        """An account as of the end of this slot (its present value if no later slot wrote it)."""
        previous = self._undo.before(address, slot)
        return self._runtime.account(address) if previous is None else previous.account

    def of_token_owner(self, owner: Pubkey, slot: int) -> list[tuple[str, Account]]:
        """Token accounts of an owner as of this slot, in the order they were first seen."""

        def belongs(account: Account) -> bool:
            token = read_token_account(account)
            return token is not None and token.owner == owner

        return self._matching(self._by_token_owner, owner, slot, belongs)

    def of_program(self, program: Pubkey, slot: int) -> list[tuple[str, Account]]:
        """Accounts owned by a program as of this slot, in the order they were first seen."""
        return self._matching(self._by_program, program, slot, lambda account: account.owner == program)

    # ---- writing
    def set(self, address: Pubkey, account: Account, slot: int) -> None:
        """Write an account by decree."""
        previous = self._runtime.account(address)
        self._runtime.set_account(address, account)
        self.written(address, previous, account, slot)

    def set_for_ever(self, address: Pubkey, account: Account) -> None:
        """Write an account of genesis, which no fork takes back and every commitment sees."""
        self._runtime.set_account(address, account)
        self._unsaved[address] = None
        self._find_later(address, account)
        self._on_write(address)

    def written(self, address: Pubkey, previous: Account | None, account: Account | None, slot: int) -> None:
        """Take note that this slot wrote an account."""
        self._undo.note(slot, address, previous)
        self._unsaved[address] = None
        self._find_later(address, account)
        self._on_write(address)

    def save(self) -> None:
        """Hand the accounts that changed to the file."""
        self._ledger.put_accounts((address, self._runtime.account(address)) for address in self._unsaved)
        self._unsaved.clear()

    def save_slot(self, slot: int, *, forget_below: int) -> None:
        """Save, with what this slot's accounts were before it; forget previous values of slots below another."""
        self.save()
        self._ledger.put_undo(slot, self._undo.at(slot).items(), forget_below=forget_below)
        self._undo.forget_below(forget_below)

    def rewind(self, slot: int) -> list[Pubkey]:
        """Put every account back to what it was at the end of this slot; returns those that were written since."""
        restored = self._undo.pop_above(slot)
        for address, previous in restored.items():
            self._runtime.set_account(address, previous)
            self._unsaved[address] = None
        return list(restored)

    def _find_later(self, address: Pubkey, account: Account | None) -> None:
        if account is None:
            return
        self._by_program[account.owner][address] = None
        token = read_token_account(account)
        if token is not None:
            self._by_token_owner[token.owner][address] = None

    def _matching(
        self,
        index: dict[Pubkey, dict[Pubkey, None]],
        key: Pubkey,
        slot: int,
        belongs: Callable[[Account], bool],
    ) -> list[tuple[str, Account]]:
        candidates = index.get(key, {})
        found = []
        for address in list(candidates):
            account = self.at(address, slot)
            if account is not None and belongs(account):
                found.append((str(address), account))
            elif self._runtime.account(address) is None and not self._undo.mentions(address):
                del candidates[address]
        return found
