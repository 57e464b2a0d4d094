"""What a transaction did, as the records that the RPC prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.sandbox.nonces import SYSTEM_PROGRAM
from sniperforge.sandbox.records import LandedRecord, SimulationRecord
from sniperforge.sandbox.runtime import Execution
from sniperforge.sandbox.token_accounts import token_balances
from sniperforge.sandbox.wire import ParsedTransaction, memo_of

_CLOSED = Account(0, b"", SYSTEM_PROGRAM)


def landed_record(
    parsed: ParsedTransaction,
    execution: Execution,
    *,
    slot: int,
    index: int,
    unix_time: int,
    decimals_of: Callable[[Pubkey], int | None],
) -> LandedRecord:
    """The record of a transaction that entered a block."""
    keys = execution.keys
    return LandedRecord(
        signature=parsed.signature,
        slot=slot,
        index=index,
        unix_time=unix_time,
        raw=parsed.raw,
        version=parsed.version,
        err=execution.err,
        fee=execution.fee,
        account_keys=tuple(map(str, keys.keys)),
        loaded_writable=keys.loaded_writable,
        loaded_readonly=keys.loaded_readonly,
        pre_lamports=_lamports(execution.before),
        post_lamports=_lamports(execution.after),
        pre_tokens=token_balances(execution.before, decimals_of),
        post_tokens=token_balances(execution.after, decimals_of),
        logs=execution.logs,
        inner_instructions=execution.inner_instructions,
        compute_units=execution.compute_units,
        return_data=execution.return_data,
        memo=memo_of(parsed.message, parsed.static_keys),
    )


def simulation_record(execution: Execution, decimals_of: Callable[[Pubkey], int | None]) -> SimulationRecord:
    """The record of a transaction that was only tried."""
    keys = execution.keys
    post_accounts = {}
    if execution.err is None:
        for address, before, after in zip(keys.keys, execution.before, execution.after, strict=True):
            account = after or (before and _CLOSED)
            if account is not None:
                post_accounts[str(address)] = account
    return SimulationRecord(
        err=execution.err,
        logs=execution.logs,
        compute_units=execution.compute_units,
        fee=execution.fee,
        account_keys=tuple(map(str, keys.keys)),
        loaded_writable=keys.loaded_writable,
        loaded_readonly=keys.loaded_readonly,
        pre_lamports=_lamports(execution.before),
        post_lamports=_lamports(execution.after),
        pre_tokens=token_balances(execution.before, decimals_of),
        post_tokens=token_balances(execution.after, decimals_of),
        post_accounts=post_accounts,
        inner_instructions=execution.inner_instructions,
        return_data=execution.return_data,
    )


def _lamports(accounts: Sequence[Account | None]) -> tuple[int, ...]:
    return tuple(0 if account is None else account.lamports for account in accounts)
