"""Token, associated-account and nonce building blocks of the transactions that Jupiter hands out."""

from __future__ import annotations

import struct
from functools import lru_cache

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

from sniperforge.sandbox.tokens import ASSOCIATED_TOKEN_PROGRAM, SYSTEM_PROGRAM, TOKEN_PROGRAM

MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")


@lru_cache(maxsize=8192)
def associated_account(owner: Pubkey, mint: Pubkey, token_program: Pubkey) -> Pubkey:
    """The owner's associated token account; cached because finding the bump costs several hashes."""
    return get_associated_token_address(owner, mint, token_program)


def create_associated_account(payer: Pubkey, owner: Pubkey, mint: Pubkey, token_program: Pubkey) -> Instruction:
    """CreateIdempotent of the associated token account program: harmless if the account exists."""
    return Instruction(
        ASSOCIATED_TOKEN_PROGRAM,
        b"\x01",
        [
            AccountMeta(payer, is_signer=True, is_writable=True),
            AccountMeta(associated_account(owner, mint, token_program), is_signer=False, is_writable=True),
            AccountMeta(owner, is_signer=False, is_writable=False),
            AccountMeta(mint, is_signer=False, is_writable=False),
            AccountMeta(SYSTEM_PROGRAM, is_signer=False, is_writable=False),
            AccountMeta(token_program, is_signer=False, is_writable=False),
        ],
    )


def sync_native(account: Pubkey) -> Instruction:
    """SyncNative: make a wSOL account's amount follow its lamports."""
    return Instruction(TOKEN_PROGRAM, b"\x11", [AccountMeta(account, is_signer=False, is_writable=True)])


def close_account(account: Pubkey, destination: Pubkey, owner: Pubkey) -> Instruction:
    """CloseAccount: all lamports of a wSOL account, rent included, go to `destination`."""
    return Instruction(
        TOKEN_PROGRAM,
        b"\x09",
        [
            AccountMeta(account, is_signer=False, is_writable=True),
            AccountMeta(destination, is_signer=False, is_writable=True),
            AccountMeta(owner, is_signer=True, is_writable=False),
        ],
    )


def transfer_checked(
    source: Pubkey,
    mint: Pubkey,
    destination: Pubkey,
    owner: Pubkey,
    *,
    raw: int,
    decimals: int,
    token_program: Pubkey,
) -> Instruction:
    """TransferChecked of `raw` base units."""
    return Instruction(
        token_program,
        struct.pack("<BQB", 12, raw, decimals),
        [
            AccountMeta(source, is_signer=False, is_writable=True),
            AccountMeta(mint, is_signer=False, is_writable=False),
            AccountMeta(destination, is_signer=False, is_writable=True),
            AccountMeta(owner, is_signer=True, is_writable=False),
        ],
    )


def memo(text: str, signer: Pubkey) -> Instruction:
    """A memo that this key must sign."""
    return Instruction(MEMO_PROGRAM, text.encode(), [AccountMeta(signer, is_signer=True, is_writable=False)])


def nonce_account_data(authority: Pubkey, value: Hash, lamports_per_signature: int) -> bytes:
    """State of an initialized durable nonce account, 80 bytes (version 1 of the system program's nonce state)."""
    return struct.pack("<II", 1, 1) + bytes(authority) + bytes(value) + struct.pack("<Q", lamports_per_signature)
