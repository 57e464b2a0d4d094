"""Transaction bytes to and from our own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sniperforge.domain.money import Address, Signature
from sniperforge.domain.transaction import AccountUse, DecodedTransaction

LookupTables = Mapping[Address, Sequence[Address]]
"""Contents of address lookup tables, by table address."""


@dataclass(frozen=True, slots=True)
class PlainInstruction:
    """An instruction to put into a message of ours."""

    program: Address
    accounts: tuple[AccountUse, ...]
    data: bytes


class TransactionCodec(Protocol):
    """Reads any transaction version, writes version 0."""

    def lookup_tables_used(self, transaction: bytes) -> tuple[Address, ...]:
        """Addresses of the lookup tables that must be fetched before `decode`.

        Raises:
            CodecError: Not a transaction.
        """
        ...

    def recent_blockhash(self, transaction: bytes) -> str:
        """The blockhash (or nonce value) of a transaction, before its lookup tables are known.

        Raises:
            CodecError: Not a transaction.
        """
        ...

    def decode(self, transaction: bytes, lookup_tables: LookupTables) -> DecodedTransaction:
        """A serialized transaction (signatures may be empty) in our words.

        Raises:
            CodecError: Not a transaction, trailing bytes, a table missing or too short.
        """
        ...

    def encode_message(self, decoded: DecodedTransaction) -> bytes:
        """The version 0 message bytes of what was decoded: the inverse of `decode` for version 0.

        Raises:
            CodecError: Another version, or an account that the transaction's tables do not hold.
        """
        ...

    def compile_message(
        self,
        *,
        payer: Address,
        instructions: Sequence[PlainInstruction],
        lookup_tables: LookupTables,
        blockhash: str,
    ) -> bytes:
        """A version 0 message of our own.

        Raises:
            CodecError: It does not fit 1,232 bytes, or an address is malformed.
        """
        ...

    def assemble(self, message: bytes, signatures: Mapping[Address, Signature]) -> bytes:
        """The transaction of these message bytes with these signatures; missing ones stay 64 zero bytes.

        Raises:
            CodecError: Not a message, or a signature of a key that is no required signer.
        """
        ...
