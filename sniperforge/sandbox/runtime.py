"""LiteSVM, corrected where it differs from a cluster.

Every transaction is run bound to the bank's own last blockhash, whatever it was signed with: the runtime derives
nonces from the blockhash that it sees, and on a cluster that is the bank's. Age, nonce, duplicate and signature checks
are therefore not LiteSVM's business; `chain.py` makes them before it comes here.

Corrected here: a nonce advances although its transaction fails; the priority fee of a version 1 transaction is charged;
rent is the cluster's of today. Not corrected: LiteSVM ignores the compute unit limit of a version 1 transaction.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from solders.account import Account
from solders.clock import Clock
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.rent import Rent
from solders.signature import Signature
from solders.sysvar import SLOT_HASHES
from solders.transaction_metadata import (
    FailedTransactionMetadata,
    InnerInstruction,
    SimulatedTransactionInfo,
    TransactionMetadata,
)

from sniperforge.sandbox import nonces
from sniperforge.sandbox.base58 import b58encode
from sniperforge.sandbox.fees import fee_lamports, priority_fee_lamports, signature_count
from sniperforge.sandbox.records import ChainConfig, Refusal, TransactionErrorJson
from sniperforge.sandbox.token_accounts import mint_decimals
from sniperforge.sandbox.wire import ParsedTransaction, ResolvedKeys, resolve_keys

SLOTS_PER_EPOCH = 432_000
_SLOT_HASHES = 512
_SYSVAR_OWNER = Pubkey.from_string("Sysvar1111111111111111111111111111111111111")
_SLOT_HASH_BYTES = 40
_SLOT_HASHES_BYTES = 8 + _SLOT_HASHES * _SLOT_HASH_BYTES
_LITESVM_LAMPORTS_PER_SIGNATURE = 5_000
_NOBODY = bytes(64)
_SOMEBODY = Signature.from_bytes(b"\1" * 64)
_EMPTY = Account(0, b"", nonces.SYSTEM_PROGRAM)


@dataclass(frozen=True, slots=True)
class Execution:
    """A transaction that ran: accounts in the order of its keys, before and after."""

    keys: ResolvedKeys
    err: TransactionErrorJson | None
    fee: int
    logs: tuple[str, ...]
    compute_units: int
    inner_instructions: list[dict[str, Any]]
    return_data: dict[str, Any] | None
    before: list[Account | None]
    after: list[Account | None]


class Runtime:
    """Accounts and programs at the head of the chain."""

    def __init__(self, config: ChainConfig) -> None:
        self._config = config
        svm = LiteSVM().with_blockhash_check(False).with_transaction_history(0).with_sigverify(False)
        # Last: with_sysvars() and with_default_programs(), part of the default, put the old rent back.
        svm.set_rent(Rent(config.lamports_per_byte, 1.0, 50))
        self._svm = svm
        self._decimals: dict[Pubkey, int] = {}

    # ---- accounts
    def account(self, address: Pubkey) -> Account | None:
        """An account as it is now; None when it does not exist or holds nothing."""
        return self._svm.get_account(address)

    def set_account(self, address: Pubkey, account: Account | None) -> None:
        """Write an account, or remove it."""
        self._decimals.pop(address, None)
        self._svm.set_account(address, _EMPTY if account is None else account)

    def add_program(self, address: Pubkey, elf: bytes) -> None:
        """Deploy a program."""
        self._svm.add_program(address, elf)

    def minimum_rent(self, data_bytes: int) -> int:
        """Lamports that make an account of this size rent exempt."""
        return self._svm.minimum_balance_for_rent_exemption(data_bytes)

    def decimals_of(self, mint: Pubkey) -> int | None:
        """Decimals of a mint (no transaction changes them, so they are remembered); None if there is no such mint."""
        known = self._decimals.get(mint)
        if known is None:
            known = mint_decimals(mint, self.account(mint))
            if known is not None:
                self._decimals[mint] = known
        return known

    # ---- time
    def enter_slot(self, slot: int, unix_time: int, slot_hashes: Iterable[bytes]) -> None:
        """Set the clock, and the slot hashes (slot and hash, newest first) that lookup tables are judged by."""
        epoch, index = divmod(slot, SLOTS_PER_EPOCH)
        epoch_start = unix_time - index * self._config.slot_ms // 1000
        self._svm.set_clock(Clock(slot, epoch_start, epoch, epoch + 1, unix_time))
        entries = b"".join(islice(slot_hashes, _SLOT_HASHES))
        data = struct.pack("<Q", len(entries) // _SLOT_HASH_BYTES) + entries
        self._svm.set_account(SLOT_HASHES, Account(1, data.ljust(_SLOT_HASHES_BYTES, b"\0"), _SYSVAR_OWNER))

    # ---- transactions
    def run(self, parsed: ParsedTransaction, bank_blockhash: Hash, nonce: Pubkey | None) -> Execution | Refusal:
        """Run a transaction for good. `nonce` is the account whose value it is bound to, if any.

        A refusal leaves no trace; an execution with an error leaves the fee and the advanced nonce.
        """
        bound = parsed.with_blockhash(bank_blockhash)
        keys = resolve_keys(parsed, self.account)
        before = [self.account(key) for key in keys.keys]
        surcharge = self._surcharge(parsed)
        refusal = self._take_surcharge(parsed, before[0], surcharge)
        if refusal is not None:
            return refusal
        result = self._svm.send_transaction(bound)
        meta = result.meta() if isinstance(result, FailedTransactionMetadata) else result
        if isinstance(result, FailedTransactionMetadata) and bytes(meta.signature()) == _NOBODY:
            self._return_surcharge(keys.keys[0], before[0], surcharge)
            return Refusal(_error_json(result), tuple(meta.logs()), meta.compute_units_consumed())
        if isinstance(result, FailedTransactionMetadata) and nonce is not None:
            self._advance(nonce, bank_blockhash)
        after = [
            self.account(key) if writable else account
            for key, writable, account in zip(keys.keys, keys.writable, before, strict=True)
        ]
        return self._execution(keys, result, meta, surcharge, before, after)

    def take_back(self, execution: Execution) -> None:
        """Undo a run, provided that later ones which touched its accounts were undone before."""
        for address, before, after in zip(execution.keys.keys, execution.before, execution.after, strict=True):
            if before != after:
                self.set_account(address, before)

    def simulate(self, parsed: ParsedTransaction, bank_blockhash: Hash) -> Execution:
        """Run a transaction without leaving a trace, its signatures unchecked."""
        bound = parsed.with_blockhash(bank_blockhash)
        # A signature, even of an unsigned transaction: LiteSVM shows none for what would not land.
        bound.signatures = [_SOMEBODY, *bound.signatures[1:]]
        keys = resolve_keys(parsed, self.account)
        before = [self.account(key) for key in keys.keys]
        surcharge = self._surcharge(parsed)
        refusal = self._take_surcharge(parsed, before[0], surcharge)
        if refusal is not None:
            return self.refused(parsed, refusal)
        try:
            result = self._svm.simulate_transaction(bound)
        finally:
            self._return_surcharge(keys.keys[0], before[0], surcharge)
        meta = result.meta()
        if isinstance(result, FailedTransactionMetadata):
            if bytes(meta.signature()) == _NOBODY:
                err, logs = _error_json(result), tuple(meta.logs())
                return Execution(keys, err, 0, logs, meta.compute_units_consumed(), [], None, before, before)
            fee = meta.fee() + surcharge
            after = [before[0] and _existing(_with_lamports(before[0], before[0].lamports - fee)), *before[1:]]
            return self._execution(keys, result, meta, surcharge, before, after)
        touched = dict(result.post_accounts())
        after = [_existing(touched.get(key, account)) for key, account in zip(keys.keys, before, strict=True)]
        return self._execution(keys, result, meta, surcharge, before, after)

    def refused(self, parsed: ParsedTransaction, refusal: Refusal) -> Execution:
        """The outcome of a simulation that did not get as far as running."""
        keys = resolve_keys(parsed, self.account)
        before = [self.account(key) for key in keys.keys]
        return Execution(keys, refusal.err, 0, refusal.logs, refusal.compute_units, [], None, before, before)

    # ---- corrections
    def _surcharge(self, parsed: ParsedTransaction) -> int:
        """What LiteSVM forgets to charge."""
        per_signature = self._config.lamports_per_signature - _LITESVM_LAMPORTS_PER_SIGNATURE
        priority = priority_fee_lamports(parsed.message) if parsed.version == 1 else 0
        return priority + per_signature * signature_count(parsed.message)

    def _take_surcharge(self, parsed: ParsedTransaction, payer: Account | None, surcharge: int) -> Refusal | None:
        """Take the surcharge before the run, so that the transaction cannot spend it; refused if the payer cannot."""
        if surcharge == 0 or payer is None:
            return None
        left = payer.lamports - fee_lamports(parsed.message, self._config.lamports_per_signature)
        if left < 0:
            return Refusal("InsufficientFundsForFee")
        exempt = self.minimum_rent(len(payer.data))
        if 0 < left < exempt <= payer.lamports:
            return Refusal({"InsufficientFundsForRent": {"account_index": 0}})
        self._svm.set_account(parsed.static_keys[0], _with_lamports(payer, payer.lamports - surcharge))
        return None

    def _return_surcharge(self, address: Pubkey, payer: Account | None, surcharge: int) -> None:
        if surcharge and payer is not None:
            self._svm.set_account(address, payer)

    def _advance(self, nonce: Pubkey, bank_blockhash: Hash) -> None:
        """A nonce moves although its transaction failed (Agave keeps it as a rollback account with the payer)."""
        account = self.account(nonce)
        if account is None:
            raise RuntimeError(f"{nonce} was checked to hold a nonce and is gone")
        value = nonces.next_value(bank_blockhash)
        self._svm.set_account(nonce, nonces.advanced(account, value, self._config.lamports_per_signature))

    def _execution(
        self,
        keys: ResolvedKeys,
        result: TransactionMetadata | FailedTransactionMetadata | SimulatedTransactionInfo,
        meta: TransactionMetadata,
        surcharge: int,
        before: list[Account | None],
        after: list[Account | None],
    ) -> Execution:
        return Execution(
            keys=keys,
            err=_error_json(result) if isinstance(result, FailedTransactionMetadata) else None,
            fee=meta.fee() + surcharge,
            logs=tuple(meta.logs()),
            compute_units=meta.compute_units_consumed(),
            inner_instructions=_inner_json(meta),
            return_data=_return_json(meta),
            before=before,
            after=after,
        )


def _with_lamports(account: Account, lamports: int) -> Account:
    return Account(lamports, account.data, account.owner, account.executable, account.rent_epoch)


def _existing(account: Account | None) -> Account | None:
    return None if account is None or account.lamports == 0 else account


def _error_json(result: FailedTransactionMetadata) -> TransactionErrorJson:
    err: TransactionErrorJson = json.loads(result.to_json())["err"]
    return err


def _inner_json(meta: TransactionMetadata) -> list[dict[str, Any]]:
    """Inner instructions as the RPC prints them: only of instructions that made any, data in base58."""
    return [
        {"index": index, "instructions": [_inner_instruction_json(inner) for inner in group]}
        for index, group in enumerate(meta.inner_instructions())
        if group
    ]


def _inner_instruction_json(inner: InnerInstruction) -> dict[str, Any]:
    compiled = inner.instruction()
    return {
        "programIdIndex": compiled.program_id_index,
        "accounts": list(compiled.accounts),
        "data": b58encode(compiled.data),
        "stackHeight": inner.stack_height(),
    }


def _return_json(meta: TransactionMetadata) -> dict[str, Any] | None:
    returned = meta.return_data()
    if not returned.data:
        return None
    return {"programId": str(returned.program_id), "data": [base64.b64encode(returned.data).decode(), "base64"]}
