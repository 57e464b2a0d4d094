"""Transaction bytes taken apart: what the chain must know before it runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from solders.account import Account
from solders.hash import Hash
from solders.message import Message, MessageV0, MessageV1, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import SanitizeError, VersionedTransaction

AnyMessage = Message | MessageV0 | MessageV1

MAX_BYTES = {"legacy": 1_232, 0: 1_232, 1: 4_096}
"""Largest transaction by version: one UDP packet, and what SIMD-0296 allows for version 1."""

LOOKUP_TABLE_PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
_LOOKUP_TABLE_HEADER = 56
_MEMO_PROGRAMS = (
    Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
    Pubkey.from_string("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
)
_V1_LIFETIME_OFFSET = 8
"""Version byte, three header bytes, four bytes of configuration mask (SIMD-0385)."""


@dataclass(frozen=True, slots=True)
class ParsedTransaction:
    """A sanitized transaction of any version. `blockhash` may be the value of a durable nonce."""

    raw: bytes
    transaction: VersionedTransaction
    message: AnyMessage
    version: Literal["legacy", 0, 1]
    signature: str
    blockhash: str
    static_keys: list[Pubkey]

    @property
    def message_hash(self) -> bytes:
        """What deduplication goes by, whatever the signatures are."""
        return bytes(self.message.hash())

    def signatures_verify(self) -> bool:
        """Whether every required signature is there and right."""
        return all(self.transaction.verify_with_results())

    def with_blockhash(self, blockhash: Hash) -> VersionedTransaction:
        """The same transaction bound to another blockhash; its signatures no longer verify."""
        at = self._blockhash_offset()
        return VersionedTransaction.from_bytes(self.raw[:at] + bytes(blockhash) + self.raw[at + 32 :])

    def is_writable(self, index: int) -> bool:
        """Whether the message asks to write its static key of this index."""
        header = self.message.header
        signers = header.num_required_signatures
        if index < signers:
            return index < signers - header.num_readonly_signed_accounts
        return index < len(self.static_keys) - header.num_readonly_unsigned_accounts

    def _blockhash_offset(self) -> int:
        if self.version == 1:
            return _V1_LIFETIME_OFFSET
        signatures = len(self.transaction.signatures)
        version_byte = 0 if self.version == "legacy" else 1
        keys = len(self.static_keys)
        before_message = _compact_length(signatures) + 64 * signatures
        return before_message + version_byte + 3 + _compact_length(keys) + 32 * keys


@dataclass(frozen=True, slots=True)
class ResolvedKeys:
    """All keys of a transaction, in the order that indexes count: static, loaded writable, loaded readonly."""

    keys: list[Pubkey]
    writable: list[bool]
    loaded_writable: tuple[str, ...]
    loaded_readonly: tuple[str, ...]


def parse(raw: bytes) -> ParsedTransaction:
    """Take a transaction apart.

    Raises:
        ValueError: The bytes are no well-formed transaction, or too many.
    """
    transaction = VersionedTransaction.from_bytes(raw)
    try:
        transaction.sanitize()
    except SanitizeError as error:
        raise ValueError(f"invalid transaction: {error}") from error
    message = transaction.message
    version: Literal["legacy", 0, 1]
    if isinstance(message, Message):
        version = "legacy"
    elif isinstance(message, MessageV0):
        version = 0
    else:
        version = 1
    canonical = bytes(transaction)
    if len(canonical) > MAX_BYTES[version]:
        raise ValueError(f"transaction too large: {len(canonical)} bytes (max: {MAX_BYTES[version]} bytes)")
    return ParsedTransaction(
        raw=canonical,
        transaction=transaction,
        message=message,
        version=version,
        signature=str(transaction.signatures[0]),
        blockhash=str(message.recent_blockhash),
        static_keys=message.account_keys,
    )


def parse_message(raw: bytes) -> AnyMessage:
    """A message of any version.

    Raises:
        ValueError: The bytes are no message.
    """
    return from_bytes_versioned(raw)


def resolve_keys(parsed: ParsedTransaction, account_of: Callable[[Pubkey], Account | None]) -> ResolvedKeys:
    """All keys of a transaction, lookup tables read.

    An address that its table does not hold is left out: such a transaction is refused when it runs.
    """
    static = parsed.static_keys
    writable = [parsed.is_writable(index) for index in range(len(static))]
    loaded_writable: list[Pubkey] = []
    loaded_readonly: list[Pubkey] = []
    if isinstance(parsed.message, MessageV0):
        for lookup in parsed.message.address_table_lookups:
            table = account_of(lookup.account_key)
            if table is None or table.owner != LOOKUP_TABLE_PROGRAM:
                continue
            data = table.data
            loaded_writable += _table_entries(data, lookup.writable_indexes)
            loaded_readonly += _table_entries(data, lookup.readonly_indexes)
    return ResolvedKeys(
        keys=[*static, *loaded_writable, *loaded_readonly],
        writable=[*writable, *[True] * len(loaded_writable), *[False] * len(loaded_readonly)],
        loaded_writable=tuple(map(str, loaded_writable)),
        loaded_readonly=tuple(map(str, loaded_readonly)),
    )


def _table_entries(data: bytes, indexes: bytes) -> list[Pubkey]:
    starts = (_LOOKUP_TABLE_HEADER + 32 * index for index in indexes)
    return [Pubkey.from_bytes(data[start : start + 32]) for start in starts if start + 32 <= len(data)]


def _compact_length(count: int) -> int:
    """Bytes that a short-vec length takes."""
    return 1 if count < 0x80 else 2


def memo_of(message: AnyMessage, static_keys: Sequence[Pubkey]) -> str | None:
    """Memos of the top-level instructions as the RPC prints them, e.g. "[5] hello; [2] hi" (Agave, extract_memos)."""
    if not any(program in static_keys for program in _MEMO_PROGRAMS):
        return None
    memos = [
        f"[{len(instruction.data)}] {_memo_text(instruction.data)}"
        for instruction in message.instructions
        if static_keys[instruction.program_id_index] in _MEMO_PROGRAMS
    ]
    return "; ".join(memos) or None


def _memo_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "(unparseable)"
