"""The chain's memory: one SQLite file with every account, block and transaction.

Everything a slot does is written inside one SQLite transaction that is committed when the slot closes, and no slot is
confirmed before that: whatever was answered as confirmed is there after a SIGKILL. What the open slot did is lost with
the process, as a dropped block would be.

Write-ahead log and `synchronous=NORMAL`: that survives the death of the process; only a crash of the machine may
lose the newest slots, and a sandbox need not survive that. The file is locked for as long as it is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.errors import StorageError
from sniperforge.sandbox.landings import Landing
from sniperforge.sandbox.record_json import details_text, error_text, read_error, read_record
from sniperforge.sandbox.records import Block, LandedRecord, SignatureRecord, TransactionErrorJson
from sniperforge.sandbox.timeline import BlockMark

_APPLICATION_ID = 0x53464348  # "SFCH", so that another program's database is told apart
_VERSION = 1
_START_ANEW = "Delete it to start a new chain"
_INDEX_BITS = 20
_INDEX_MASK = (1 << _INDEX_BITS) - 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE programs (address BLOB PRIMARY KEY, elf BLOB NOT NULL);
CREATE TABLE accounts (address BLOB PRIMARY KEY, account BLOB NOT NULL);
CREATE TABLE undo (slot INTEGER NOT NULL, address BLOB NOT NULL, account BLOB, PRIMARY KEY (slot, address));
CREATE TABLE blocks (
    slot INTEGER PRIMARY KEY, height INTEGER NOT NULL, parent_slot INTEGER NOT NULL, blockhash TEXT NOT NULL,
    unix_time INTEGER NOT NULL
);
CREATE TABLE transactions (
    position INTEGER PRIMARY KEY, signature TEXT NOT NULL UNIQUE, message_hash BLOB NOT NULL, height INTEGER NOT NULL,
    unix_time INTEGER NOT NULL, err TEXT, memo TEXT, raw BLOB NOT NULL, details TEXT NOT NULL
);
CREATE TABLE mentions (address TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (address, position)) WITHOUT ROWID;
"""

_COLUMNS = "SELECT position, signature, unix_time, err, memo, raw, details FROM transactions"
_FROM_POSITION = f"{_COLUMNS} WHERE position >= ? ORDER BY position"
_BY_SIGNATURE = f"{_COLUMNS} WHERE signature = ?"


class Ledger:
    """The file, or a private database in memory when there is no path.

    Raises:
        StorageError: The file is damaged, foreign, newer, full, or in use by another process.
            Every method raises it too; after that the ledger is useless and the chain has to be opened again.
    """

    def __init__(self, path: Path | None) -> None:
        self._subject = "the sandbox's chain" if path is None else str(path)
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(":memory:" if path is None else path, isolation_level=None, timeout=0)
        except (OSError, sqlite3.Error) as error:
            raise self.unusable(f"the file cannot be opened ({error})", "Check the path and its permissions") from error
        with self._translated():
            self._open()

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        application_id, version, tables = (
            self._db.execute(query).fetchone()[0]
            for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema")
        )
        if tables and application_id != _APPLICATION_ID:
            raise self.unusable("this is the database of another program", "Move it away, or choose another home")
        if tables and version != _VERSION:
            raise self.unusable(
                f"it was written by another version of the sandbox (format {version}, this one reads {_VERSION})",
                "Delete it to start a new chain, or run the version that wrote it",
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("BEGIN EXCLUSIVE")
        if not tables:
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
        else:
            verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise self.unusable(f"the file is damaged ({verdict.splitlines()[-1]})", _START_ANEW)

    # ---- writing; all of it inside the open slot's transaction
    def commit(self, meta: dict[str, int]) -> None:
        """Make everything since the last commit durable, and begin anew."""
        with self._translated():
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())
            self._db.execute("COMMIT")
            self._db.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close the file; the open slot is lost, as it would be if the process were killed."""
        self._db.close()

    def add_program(self, address: Pubkey, elf: bytes) -> None:
        """Remember a deployed program."""
        with self._translated():
            self._db.execute("INSERT OR REPLACE INTO programs VALUES (?, ?)", (bytes(address), elf))

    def put_accounts(self, accounts: Iterable[tuple[Pubkey, Account | None]]) -> None:
        """Write accounts as they are now; None removes one."""
        with self._translated():
            for address, account in accounts:
                if account is None:
                    self._db.execute("DELETE FROM accounts WHERE address = ?", (bytes(address),))
                else:
                    self._db.execute(
                        """INSERT INTO accounts VALUES (?, ?)
                           ON CONFLICT (address) DO UPDATE SET account = excluded.account""",
                        (bytes(address), bytes(account)),
                    )

    def put_undo(self, slot: int, previous: Iterable[tuple[Pubkey, Account | None]], *, forget_below: int) -> None:
        """Write what a slot's accounts were before it, and forget this of old slots."""
        rows = ((slot, bytes(address), None if account is None else bytes(account)) for address, account in previous)
        with self._translated():
            self._db.executemany("INSERT INTO undo VALUES (?, ?, ?)", rows)
            self._db.execute("DELETE FROM undo WHERE slot < ?", (forget_below,))

    def put_block(self, block: Block) -> None:
        """Write a closed block."""
        row = (block.slot, block.height, block.parent_slot, block.blockhash, block.unix_time)
        with self._translated():
            self._db.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)", row)

    def put_transaction(self, record: LandedRecord, message_hash: bytes, height: int) -> None:
        """Write a landed transaction, and that it names each of its accounts."""
        position = _position(record.slot, record.index)
        row = (
            position,
            record.signature,
            message_hash,
            height,
            record.unix_time,
            error_text(record.err),
            record.memo,
            record.raw,
            details_text(record),
        )
        mentions = {(key, position) for key in record.account_keys}
        with self._translated():
            self._db.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            self._db.executemany("INSERT INTO mentions VALUES (?, ?)", mentions)

    def rewind(self, slot: int) -> list[LandedRecord]:
        """Delete blocks, transactions and undo above this slot; returns the transactions in their order."""
        with self._translated():
            first = _position(slot + 1, 0)
            dropped = list(self._records(_FROM_POSITION, first))
            mentions = [
                (key, _position(record.slot, record.index)) for record in dropped for key in record.account_keys
            ]
            self._db.executemany("DELETE FROM mentions WHERE address = ? AND position = ?", mentions)
            self._db.execute("DELETE FROM transactions WHERE position >= ?", (first,))
            self._db.execute("DELETE FROM blocks WHERE slot > ?", (slot,))
            self._db.execute("DELETE FROM undo WHERE slot > ?", (slot,))
        return dropped

    # ---- reading back at start
    def meta(self) -> dict[str, int]:
        """The numbers of the last commit; empty for a new chain."""
        with self._translated():
            return dict(self._db.execute("SELECT key, value FROM meta").fetchall())

    def programs(self) -> list[tuple[Pubkey, bytes]]:
        """Every deployed program."""
        with self._translated():
            rows = self._db.execute("SELECT address, elf FROM programs").fetchall()
        return [(Pubkey.from_bytes(address), elf) for address, elf in rows]

    def accounts(self) -> Iterator[tuple[Pubkey, Account]]:
        """Every account."""
        with self._translated():
            for address, account in self._db.execute("SELECT address, account FROM accounts"):
                yield Pubkey.from_bytes(address), Account.from_bytes(account)

    def undo(self) -> Iterator[tuple[int, Pubkey, Account | None]]:
        """Previous values of the newest slots, oldest slot first."""
        with self._translated():
            for slot, address, account in self._db.execute("SELECT slot, address, account FROM undo ORDER BY slot"):
                yield slot, Pubkey.from_bytes(address), None if account is None else Account.from_bytes(account)

    def marks(self, limit: int) -> list[BlockMark]:
        """The newest blocks, oldest first."""
        query = "SELECT slot, height, blockhash FROM blocks ORDER BY slot DESC LIMIT ?"
        with self._translated():
            rows = self._db.execute(query, (limit,)).fetchall()
        return [BlockMark.of(*row) for row in reversed(rows)]

    def landings(self, *, from_slot: int, from_height: int) -> list[Landing]:
        """Landings at or above one of these, in their order."""
        query = """SELECT signature, message_hash, position, height, err FROM transactions
                   WHERE position >= ? OR height >= ? ORDER BY position"""
        with self._translated():
            rows = self._db.execute(query, (_position(from_slot, 0), from_height)).fetchall()
        return [
            Landing(signature, message_hash, position >> _INDEX_BITS, height, read_error(err))
            for signature, message_hash, position, height, err in rows
        ]

    # ---- history
    def block(self, slot: int) -> Block | None:
        """The block of a slot."""
        with self._translated():
            row = self._db.execute("SELECT * FROM blocks WHERE slot = ?", (slot,)).fetchone()
            if row is None:
                return None
            query = "SELECT signature FROM transactions WHERE position >= ? AND position < ? ORDER BY position"
            span = (_position(slot, 0), _position(slot + 1, 0))
            signatures = tuple(signature for (signature,) in self._db.execute(query, span))
        slot, height, parent_slot, blockhash, unix_time = row
        return Block(slot, height, parent_slot, blockhash, unix_time, signatures)

    def status(self, signature: str) -> tuple[int, TransactionErrorJson | None] | None:
        """Slot and error of a landed transaction."""
        with self._translated():
            query = "SELECT position, err FROM transactions WHERE signature = ?"
            row = self._db.execute(query, (signature,)).fetchone()
        return None if row is None else (row[0] >> _INDEX_BITS, read_error(row[1]))

    def transaction(self, signature: str) -> LandedRecord | None:
        """A landed transaction."""
        with self._translated():
            return next(self._records(_BY_SIGNATURE, signature), None)

    def signatures_for(
        self, address: str, *, before: str | None, until: str | None, up_to_slot: int, limit: int
    ) -> list[SignatureRecord]:
        """Landed transactions that name this account, newest first, between two others (both excluded)."""
        end = _position(up_to_slot + 1, 0)
        with self._translated():
            if before is not None:
                end = min(end, self._position_of(before))
            start = 0 if until is None else self._position_of(until)
            rows = self._db.execute(
                """SELECT signature, position, unix_time, err, memo
                   FROM mentions JOIN transactions USING (position)
                   WHERE address = ? AND position < ? AND position > ? ORDER BY position DESC LIMIT ?""",
                (address, end, start, limit),
            ).fetchall()
        return [
            SignatureRecord(
                signature, position >> _INDEX_BITS, position & _INDEX_MASK, unix_time, read_error(err), memo
            )
            for signature, position, unix_time, err, memo in rows
        ]

    def _position_of(self, signature: str) -> int:
        """Where a transaction is; below everything when it is unknown, as Agave treats `before` and `until`."""
        row = self._db.execute("SELECT position FROM transactions WHERE signature = ?", (signature,)).fetchone()
        return 0 if row is None else int(row[0])

    def _records(self, query: str, value: str | int) -> Iterator[LandedRecord]:
        for position, signature, unix_time, err, memo, raw, details in self._db.execute(query, (value,)):
            yield read_record(
                signature=signature,
                slot=position >> _INDEX_BITS,
                index=position & _INDEX_MASK,
                unix_time=unix_time,
                err=read_error(err),
                memo=memo,
                raw=raw,
                details=details,
            )

    # ---- errors
    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn errors of the database into ours, and close it: SQLite may have rolled back what memory still holds."""
        try:
            yield
        except StorageError:
            self._db.close()
            raise
        except sqlite3.DatabaseError as error:
            self._db.close()
            if "locked" in str(error):
                raise self.unusable(
                    "another sandbox is using this file", "Stop it, or give this one another home"
                ) from error
            if "not a database" in str(error) or "malformed" in str(error):
                raise self.unusable(f"the file is damaged ({error})", _START_ANEW) from error
            raise self.unusable(f"the file cannot be used ({error})", "Check the disk, then start again") from error
        except ValueError as error:
            self._db.close()
            raise self.unusable(f"the file is damaged ({error})", _START_ANEW) from error

    def unusable(self, what: str, fix: str) -> StorageError:
        """The error that says why this file cannot be used."""
        return StorageError(what, subject=self._subject, fix=fix)


def _position(slot: int, index: int) -> int:
    """Place of a transaction in the chain's order."""
    return slot << _INDEX_BITS | index
