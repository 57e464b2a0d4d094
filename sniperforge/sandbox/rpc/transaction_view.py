"""Transactions as JSON: `json`, `jsonParsed`, `base58` and `base64`, with their meta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from solders.message import MessageV0, MessageV1

from sniperforge.sandbox.base58 import b58encode
from sniperforge.sandbox.chain import LandedRecord, TokenBalanceRecord, TransactionErrorJson
from sniperforge.sandbox.rpc.account_view import ui_token_amount
from sniperforge.sandbox.rpc.encoding import base64_encode
from sniperforge.sandbox.rpc.errors import unsupported_version
from sniperforge.sandbox.rpc.instruction_view import compiled, parsed_instruction
from sniperforge.sandbox.wire import ParsedTransaction, parse

TRANSACTION_ENCODINGS = ("binary", "base64", "base58", "json", "jsonParsed")
_TOP_LEVEL = 1  # stack height of an instruction that no program invoked


def check_version(record: LandedRecord, maximum: int | None) -> None:
    """Refuse to show a transaction to a client that cannot read its version.

    Raises:
        RpcError: -32015.
    """
    if record.version != "legacy" and (maximum is None or record.version > maximum):
        raise unsupported_version(record.version)


def transaction_json(record: LandedRecord, encoding: str) -> Any:
    """The `transaction` member."""
    if encoding == "base64":
        return [base64_encode(record.raw), "base64"]
    if encoding == "base58":
        return [b58encode(record.raw), "base58"]
    if encoding == "binary":
        return b58encode(record.raw)
    parsed = parse(record.raw)
    message = parsed.message
    instructions = [compiled(one.program_id_index, one.accounts, one.data, _TOP_LEVEL) for one in message.instructions]
    if encoding == "jsonParsed":
        keys = record.account_keys
        shown: dict[str, Any] = {
            "accountKeys": _parsed_keys(record, parsed),
            "instructions": [parsed_instruction(one, keys) for one in instructions],
        }
    else:
        header = message.header
        shown = {
            "header": {
                "numRequiredSignatures": header.num_required_signatures,
                "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
                "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
            },
            "accountKeys": [str(key) for key in message.account_keys],
            "instructions": instructions,
        }
    shown["recentBlockhash"] = str(message.recent_blockhash)
    if isinstance(message, MessageV0):
        shown["addressTableLookups"] = [
            {
                "accountKey": str(table.account_key),
                "writableIndexes": list(table.writable_indexes),
                "readonlyIndexes": list(table.readonly_indexes),
            }
            for table in message.address_table_lookups
        ]
    elif isinstance(message, MessageV1):
        config = message.config
        shown["transactionConfig"] = {
            "priorityFee": config.priority_fee,
            "computeUnitLimit": config.compute_unit_limit,
            "loadedAccountsDataSizeLimit": config.loaded_accounts_data_size_limit,
            "heapSize": config.heap_size,
        }
    return {"signatures": [str(signature) for signature in parsed.transaction.signatures], "message": shown}


def _parsed_keys(record: LandedRecord, parsed: ParsedTransaction) -> list[dict[str, Any]]:
    static = [
        {
            "pubkey": str(key),
            "signer": index < parsed.message.header.num_required_signatures,
            "writable": parsed.is_writable(index),
            "source": "transaction",
        }
        for index, key in enumerate(parsed.message.account_keys)
    ]
    loaded = [
        {"pubkey": key, "signer": False, "writable": writable, "source": "lookupTable"}
        for keys, writable in ((record.loaded_writable, True), (record.loaded_readonly, False))
        for key in keys
    ]
    return static + loaded


def status_json(err: TransactionErrorJson | None) -> dict[str, Any]:
    """The deprecated `status` member, which typed clients still demand."""
    return {"Ok": None} if err is None else {"Err": err}


def token_balances_json(balances: Sequence[TokenBalanceRecord]) -> list[dict[str, Any]]:
    """`preTokenBalances` or `postTokenBalances`."""
    return [
        {
            "accountIndex": balance.account_index,
            "mint": balance.mint,
            "owner": balance.owner,
            "programId": balance.program,
            "uiTokenAmount": ui_token_amount(balance.raw, balance.decimals),
        }
        for balance in balances
    ]


def inner_json(inner: Sequence[dict[str, Any]], keys: Sequence[str], *, parsed: bool) -> list[dict[str, Any]]:
    """`innerInstructions`, from the compiled form that records hold."""
    if not parsed:
        return list(inner)
    return [
        {
            "index": group["index"],
            "instructions": [parsed_instruction(one, keys) for one in group["instructions"]],
        }
        for group in inner
    ]


def meta_json(record: LandedRecord, *, parsed: bool) -> dict[str, Any]:
    """The `meta` member."""
    meta: dict[str, Any] = {
        "err": record.err,
        "status": status_json(record.err),
        "fee": record.fee,
        "preBalances": record.pre_lamports,
        "postBalances": record.post_lamports,
        "innerInstructions": inner_json(record.inner_instructions, record.account_keys, parsed=parsed),
        "logMessages": record.logs,
        "preTokenBalances": token_balances_json(record.pre_tokens),
        "postTokenBalances": token_balances_json(record.post_tokens),
        "rewards": [],
        "computeUnitsConsumed": record.compute_units,
    }
    if not parsed:
        meta["loadedAddresses"] = {"writable": record.loaded_writable, "readonly": record.loaded_readonly}
    if record.return_data is not None:
        meta["returnData"] = record.return_data
    return meta


def landed_json(record: LandedRecord, encoding: str, maximum_version: int | None) -> dict[str, Any]:
    """`transaction`, `meta` and, for clients that know versions, `version`.

    Raises:
        RpcError: -32015, see `check_version`.
    """
    check_version(record, maximum_version)
    shown = {
        "transaction": transaction_json(record, encoding),
        "meta": meta_json(record, parsed=encoding == "jsonParsed"),
    }
    return shown if maximum_version is None else {**shown, "version": record.version}
