"""A real sandbox chain with funded keys, and short ways to make transactions for it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.chain import Chain, ChainConfig, LandedRecord, Refusal

START = 1_790_000_000
"""Unix time of the first slot."""

SYSTEM_PROGRAM = Pubkey.from_string("11111111111111111111111111111111")
MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")

SOL = 1_000_000_000
"""Lamports."""


def keypair(name: str) -> Keypair:
    """The same key for the same name."""
    return Keypair.from_seed(name.encode().ljust(32, b"."))


def wallet(lamports: int) -> Account:
    """A plain account."""
    return Account(lamports, b"", SYSTEM_PROGRAM)


def pay(source: Keypair, target: Pubkey, lamports: int) -> Instruction:
    """A transfer of SOL."""
    return transfer(TransferParams(from_pubkey=source.pubkey(), to_pubkey=target, lamports=lamports))


def memo(text: str) -> Instruction:
    """A memo that nobody signs."""
    return Instruction(MEMO_PROGRAM, text.encode(), [])


def mint_bytes(decimals: int) -> bytes:
    """A mint without authorities (SPL Token, `state.rs`)."""
    return struct.pack("<I32xQBB", 0, 10**18, decimals, 1) + bytes(36)


def token_bytes(mint: Pubkey, owner: Pubkey, raw: int) -> bytes:
    """An initialized token account (SPL Token, `state.rs`)."""
    return bytes(mint) + bytes(owner) + struct.pack("<Q", raw) + bytes(36) + b"\x01" + bytes(12) + bytes(44)


def token_transfer(
    program: Pubkey, source: Pubkey, mint: Pubkey, target: Pubkey, owner: Keypair, raw: int, decimals: int
) -> Instruction:
    """TransferChecked."""
    return Instruction(
        program,
        struct.pack("<BQB", 12, raw, decimals),
        [
            AccountMeta(source, is_signer=False, is_writable=True),
            AccountMeta(mint, is_signer=False, is_writable=False),
            AccountMeta(target, is_signer=False, is_writable=True),
            AccountMeta(owner.pubkey(), is_signer=True, is_writable=False),
        ],
    )


def close_token_account(program: Pubkey, address: Pubkey, target: Pubkey, owner: Keypair) -> Instruction:
    """CloseAccount."""
    return Instruction(
        program,
        b"\x09",
        [
            AccountMeta(address, is_signer=False, is_writable=True),
            AccountMeta(target, is_signer=False, is_writable=True),
            AccountMeta(owner.pubkey(), is_signer=True, is_writable=False),
        ],
    )


class ChainLab:
    """A chain that skips no slots unless asked to, with `alice` and `bob` funded from genesis."""

    def __init__(self, path: Path | None = None, **config: Any) -> None:
        self.chain = Chain(ChainConfig(**{"skip_probability": 0.0, **config}), path, unix_time=START)
        self.now = START
        self.alice = keypair("alice")
        self.bob = keypair("bob")
        if self.chain.is_new:
            self.chain.set_account(self.alice.pubkey(), wallet(100 * SOL))
            self.chain.set_account(self.bob.pubkey(), wallet(100 * SOL))

    def tick(self, count: int = 1) -> None:
        """Let slots pass."""
        for _ in range(count):
            self.now += 1
            self.chain.tick(self.now)

    def settle(self) -> None:
        """Let everything so far become final."""
        self.tick(self.chain.config.finalize_slots + 1)

    @property
    def blockhash(self) -> Hash:
        """The newest one."""
        return Hash.from_string(self.chain.latest_blockhash("processed")[0])

    def signed(
        self,
        *instructions: Instruction,
        signers: Sequence[Keypair] = (),
        blockhash: Hash | None = None,
        tables: Sequence[AddressLookupTableAccount] = (),
    ) -> bytes:
        """A version 0 transaction; `alice` pays unless signers are given."""
        keys = list(signers) or [self.alice]
        recent = self.blockhash if blockhash is None else blockhash
        message = MessageV0.try_compile(keys[0].pubkey(), list(instructions), list(tables), recent)
        return bytes(VersionedTransaction(message, keys))

    def payment(self, lamports: int = SOL, *, blockhash: Hash | None = None) -> bytes:
        """`alice` pays `bob`."""
        return self.signed(pay(self.alice, self.bob.pubkey(), lamports), blockhash=blockhash)

    def signed_elsewhere(self) -> str:
        """A signature that this chain never saw."""
        return str(self.alice.sign_message(b"somewhere else"))

    def land(self, raw: bytes) -> LandedRecord:
        """Submit what must land."""
        result = self.chain.submit(raw)
        assert isinstance(result, LandedRecord), result
        return result

    def refused(self, raw: bytes) -> Any:
        """Submit what must be refused; returns the error."""
        result = self.chain.submit(raw)
        assert isinstance(result, Refusal), result
        return result.err

    def lamports(self, address: Pubkey) -> int:
        """Lamports at the head."""
        account = self.chain.account(address)
        return 0 if account is None else account.lamports

    def raw_tokens(self, address: Pubkey) -> int:
        """Amount of a token account at the head."""
        account = self.chain.account(address)
        assert account is not None
        return int.from_bytes(account.data[64:72], "little")
