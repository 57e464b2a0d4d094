"""Durable nonces, by the cluster's rules: who may use a value, and what becomes of it.

Source: Agave, `runtime/src/bank/check_transactions.rs` and `solana-nonce`.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from solders.account import Account
from solders.hash import Hash
from solders.pubkey import Pubkey

from sniperforge.sandbox.wire import ParsedTransaction

SYSTEM_PROGRAM = Pubkey.from_string("11111111111111111111111111111111")
_ADVANCE = struct.pack("<I", 4)
_LENGTH = 80
_CURRENT_INITIALIZED = struct.pack("<II", 1, 1)


@dataclass(frozen=True, slots=True)
class Nonce:
    """What an initialized nonce account holds."""

    authority: bytes
    value: Hash


def next_value(blockhash: Hash) -> Hash:
    """The value that a nonce takes in a bank whose last blockhash is this one."""
    return Hash.from_bytes(hashlib.sha256(b"DURABLE_NONCE" + bytes(blockhash)).digest())


def read(account: Account | None) -> Nonce | None:
    """The nonce in an account; None when it holds none (or one of the retired legacy version)."""
    if account is None or account.owner != SYSTEM_PROGRAM:
        return None
    data = account.data
    if len(data) != _LENGTH or data[:8] != _CURRENT_INITIALIZED:
        return None
    return Nonce(authority=data[8:40], value=Hash.from_bytes(data[40:72]))


def advanced(account: Account, value: Hash, lamports_per_signature: int) -> Account:
    """The nonce account after its value moved."""
    data = account.data[:40] + bytes(value) + struct.pack("<Q", lamports_per_signature)
    return Account(account.lamports, data, account.owner, account.executable, account.rent_epoch)


def advancing_account(parsed: ParsedTransaction) -> Pubkey | None:
    """The nonce account that the first instruction advances; None if the transaction begins otherwise."""
    instructions = parsed.message.instructions
    if not instructions:
        return None
    first = instructions[0]
    if parsed.static_keys[first.program_id_index] != SYSTEM_PROGRAM or first.data[:4] != _ADVANCE:
        return None
    index = first.accounts[0] if first.accounts else len(parsed.static_keys)
    if index >= len(parsed.static_keys) or not parsed.is_writable(index):
        return None
    return parsed.static_keys[index]


def may_use(parsed: ParsedTransaction, nonce: Nonce, *, bank_blockhash: Hash) -> bool:
    """Whether a bank accepts a transaction bound to this nonce.

    The stored value must be the transaction's, its authority must sign the first instruction,
    and the value must not stem from this very bank's blockhash: a nonce moves at most once per block.
    """
    if str(nonce.value) != parsed.blockhash or nonce.value == next_value(bank_blockhash):
        return False
    signers = parsed.message.header.num_required_signatures
    first = parsed.message.instructions[0]
    return any(index < signers and bytes(parsed.static_keys[index]) == nonce.authority for index in first.accounts)
