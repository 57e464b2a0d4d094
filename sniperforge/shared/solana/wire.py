"""What little of a transaction's bytes the adapter itself must know: its signatures and its static keys.

Layouts: legacy and version 0 transactions put the signatures first (a compact count, then 64 bytes each); version 1
(SIMD-0385; first byte 0x81, then the header whose first byte is the number of required signatures) puts them last.
"""

from __future__ import annotations

from solders.transaction import VersionedTransaction

from sniperforge.domain.money import Address, Signature
from sniperforge.errors import CodecError

SIGNATURE_BYTES = 64
V1_PREFIX = 0x81


def unsigned(transaction: bytes) -> bytes:
    """The same transaction with every signature zeroed, its message untouched.

    Raises:
        CodecError: Too short to hold the signatures it claims.
    """
    if transaction[:1] == bytes([V1_PREFIX]):
        count = transaction[1] if len(transaction) > 1 else 0
        start = len(transaction) - count * SIGNATURE_BYTES
    else:
        # One byte holds any count a packet has room for.
        count, start = (transaction[0] if transaction else 0), 1
    end = start + count * SIGNATURE_BYTES
    if count == 0 or start < 1 or end > len(transaction):
        raise CodecError("these bytes hold no signed transaction", fix="Pass a whole serialized transaction")
    return transaction[:start] + bytes(end - start) + transaction[end:]


def static_keys(transaction: bytes) -> tuple[Address, ...]:
    """The account keys written in the message itself, in order.

    Raises:
        CodecError: Not a transaction.
    """
    return tuple(Address(str(key)) for key in _parsed(transaction).message.account_keys)


def first_signature(transaction: bytes) -> Signature:
    """The transaction's id.

    Raises:
        CodecError: Not a transaction.
    """
    return Signature(str(_parsed(transaction).signatures[0]))


def _parsed(transaction: bytes) -> VersionedTransaction:
    try:
        return VersionedTransaction.from_bytes(transaction)
    except ValueError as error:
        raise CodecError(f"these bytes are no transaction ({error})") from None
