"""A landed transaction as one line of JSON beside its bytes, and back."""

from __future__ import annotations

import json
from typing import Any

from sniperforge.sandbox.records import LandedRecord, TokenBalanceRecord, TransactionErrorJson


def error_text(err: TransactionErrorJson | None) -> str | None:
    """A transaction error for a database column."""
    return None if err is None else json.dumps(err)


def read_error(text: str | None) -> TransactionErrorJson | None:
    """The error that `error_text` wrote."""
    return None if text is None else json.loads(text)


def details_text(record: LandedRecord) -> str:
    """Everything of a record that has no column of its own."""
    details = [
        record.version,
        record.fee,
        record.account_keys,
        record.loaded_writable,
        record.loaded_readonly,
        record.pre_lamports,
        record.post_lamports,
        [_token_row(token) for token in record.pre_tokens],
        [_token_row(token) for token in record.post_tokens],
        record.logs,
        record.inner_instructions,
        record.compute_units,
        record.return_data,
    ]
    return json.dumps(details, separators=(",", ":"))


def read_record(
    *,
    signature: str,
    slot: int,
    index: int,
    unix_time: int,
    err: TransactionErrorJson | None,
    memo: str | None,
    raw: bytes,
    details: str,
) -> LandedRecord:
    """The record whose details `details_text` wrote."""
    version, fee, keys, writable, readonly, pre, post, pre_tokens, post_tokens, logs, inner, units, returned = (
        json.loads(details)
    )
    return LandedRecord(
        signature=signature,
        slot=slot,
        index=index,
        unix_time=unix_time,
        raw=raw,
        version=version,
        err=err,
        fee=fee,
        account_keys=tuple(keys),
        loaded_writable=tuple(writable),
        loaded_readonly=tuple(readonly),
        pre_lamports=tuple(pre),
        post_lamports=tuple(post),
        pre_tokens=tuple(TokenBalanceRecord(*row) for row in pre_tokens),
        post_tokens=tuple(TokenBalanceRecord(*row) for row in post_tokens),
        logs=tuple(logs),
        inner_instructions=inner,
        compute_units=units,
        return_data=returned,
        memo=memo,
    )


def _token_row(token: TokenBalanceRecord) -> list[Any]:
    return [token.account_index, token.mint, token.owner, token.program, token.raw, token.decimals]
