"""Who may trade and what is known: the system's row, wallets, nonces, history, timeline."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import insert, select, update

from sniperforge.domain.ids import AttemptId, IntentId
from sniperforge.domain.money import Address, Signature
from sniperforge.errors import ConflictError, StorageError
from sniperforge.ports.records import (
    NONCE_TRANSITIONS,
    Attribution,
    Event,
    KnownTransaction,
    NonceAccount,
    NonceState,
    Severity,
    SystemState,
    WalletRecord,
)
from sniperforge.ports.store import NONCE_CHANGES, SYSTEM_CHANGES, WALLET_CHANGES
from sniperforge.storage import tables
from sniperforge.storage.failures import BOOKS
from sniperforge.storage.repositories.base import Rows, VersionedRows

_IN_ONE_QUESTION = 500


class SqlSystem(VersionedRows[SystemState]):
    """`ports.store.System`. Its one row comes with the schema."""

    table = tables.system_state
    record = SystemState
    changeable = SYSTEM_CHANGES

    def get(self) -> SystemState:
        """The state as this transaction sees it."""
        return self._found(self._one())

    def hold(self, *, alone: bool = False) -> SystemState:
        """The state, unchanged by others until this transaction ends."""
        return self._found(self._locked(share=not alone))

    def _found(self, state: SystemState | None) -> SystemState:
        if state is None:
            self._transaction.fail(
                StorageError("the row `system_state` is gone", subject=BOOKS, fix="Restore a backup")
            )
        return state

    def change(self, state: SystemState, **fields: Any) -> SystemState:
        """Compare-and-set."""
        return self._change(state, None, fields)

    def saw_finalized_height(self, height: int) -> None:
        """Raise the highest height seen."""
        self._transaction.must_write()
        column = self.table.c.highest_finalized_height
        self._transaction.run(update(self.table).where(column < height).values(highest_finalized_height=height))


class SqlWallets(VersionedRows[WalletRecord]):
    """`ports.store.Wallets`."""

    table = tables.wallets
    record = WalletRecord
    changeable = WALLET_CHANGES

    def add(self, wallet: WalletRecord) -> None:
        """Take a wallet into the books."""
        self._insert([wallet])

    def get(self, address: Address) -> WalletRecord | None:
        """The wallet, or None."""
        return self._one(address=address)

    def by_name(self, name: str) -> WalletRecord | None:
        """The wallet, or None."""
        return self._one(name=name)

    def all(self) -> tuple[WalletRecord, ...]:
        """By name."""
        return self._with("name")

    def lock(self, address: Address) -> WalletRecord | None:
        """The wallet, unchanged by others until this transaction ends."""
        return self._locked(address=address)

    def change(self, wallet: WalletRecord, **fields: Any) -> WalletRecord:
        """Compare-and-set."""
        return self._change(wallet, None, fields)


class SqlNonces(VersionedRows[NonceAccount]):
    """`ports.store.Nonces`."""

    table = tables.nonce_accounts
    record = NonceAccount
    changeable = NONCE_CHANGES
    transitions = NONCE_TRANSITIONS

    def add(self, nonce: NonceAccount) -> None:
        """Take a nonce account into the books."""
        self._insert([nonce])

    def get(self, address: Address) -> NonceAccount | None:
        """The nonce account, or None."""
        return self._one(address=address)

    def of_wallet(self, wallet: Address) -> tuple[NonceAccount, ...]:
        """By address."""
        return self._with("address", wallet=wallet)

    def change(self, nonce: NonceAccount, *, state: NonceState | None = None, **fields: Any) -> NonceAccount:
        """Compare-and-set."""
        return self._change(nonce, state, fields)


class SqlKnownTransactions(Rows[KnownTransaction]):
    """`ports.store.KnownTransactions`."""

    table = tables.known_transactions
    record = KnownTransaction

    def add(self, transaction: KnownTransaction) -> None:
        """Write down a transaction that was looked at."""
        self._insert([transaction])

    def get(self, wallet: Address, signature: Signature) -> KnownTransaction | None:
        """The transaction, or None."""
        return self._one(wallet=wallet, signature=signature)

    def missing(self, wallet: Address, signatures: Sequence[Signature]) -> tuple[Signature, ...]:
        """Those nobody looked at yet; asked in chunks, because a statement holds only so many values."""
        column = self.table.c
        known: set[str] = set()
        for start in range(0, len(signatures), _IN_ONE_QUESTION):
            chunk = signatures[start : start + _IN_ONE_QUESTION]
            found = select(column.signature).where(column.wallet == wallet, column.signature.in_(chunk))
            known.update(row.signature for row in self._transaction.rows(found))
        return tuple(signature for signature in signatures if signature not in known)

    def attribute(
        self, wallet: Address, signature: Signature, attribution: Attribution, attempt_id: AttemptId | None = None
    ) -> KnownTransaction:
        """Say whose an UNKNOWN transaction is."""
        self._transaction.must_write()
        column = self.table.c
        open_question = (
            column.wallet == wallet,
            column.signature == signature,
            column.attribution == Attribution.UNKNOWN,
        )
        answer = update(self.table).where(*open_question).values(attribution=attribution, attempt_id=attempt_id)
        changed = self._transaction.run(answer)
        known = self.get(wallet, signature)
        if changed != 1 or known is None:
            self._transaction.fail(
                ConflictError("it is not an unknown transaction of this wallet", subject=signature, fix="Reload it")
            )
        return known

    def in_attribution(self, wallet: Address, attribution: Attribution) -> tuple[KnownTransaction, ...]:
        """By slot."""
        column = self.table.c
        return self._select(
            column.wallet == wallet, column.attribution == attribution, order=(column.slot, column.signature)
        )


class SqlEvents(Rows[Event]):
    """`ports.store.Events`."""

    table = tables.events
    record = Event
    _appended = insert(table).returning(table.c.id)

    def add(self, event: Event) -> Event:
        """Append."""
        self._transaction.must_write()
        values = self._values(event)
        del values["id"]
        ((given,),) = self._transaction.ask(self._appended, values)
        return replace(event, id=given)

    def of_intent(self, intent_id: IntentId) -> tuple[Event, ...]:
        """Oldest first."""
        return self._with("id", intent_id=intent_id)

    def recent(
        self, limit: int, *, kinds: Collection[str] | None = None, severities: Collection[Severity] | None = None
    ) -> tuple[Event, ...]:
        """Newest first."""
        column = self.table.c
        asked = ((column.kind, kinds), (column.severity, severities))
        where = [name.in_(wanted) for name, wanted in asked if wanted is not None]
        return self._select(*where, order=(column.id.desc(),), limit=limit)
