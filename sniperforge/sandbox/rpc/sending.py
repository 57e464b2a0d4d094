"""Methods that take a transaction: send and simulate."""

from __future__ import annotations

from typing import Any

from solders.account import Account
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM_ID
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sniperforge.sandbox.base58 import b58decode
from sniperforge.sandbox.chain import CommitmentName, Refusal, SimulationRecord
from sniperforge.sandbox.rpc.accounts import shown
from sniperforge.sandbox.rpc.call import Entry, RpcCall, with_context
from sniperforge.sandbox.rpc.encoding import base64_decode
from sniperforge.sandbox.rpc.errors import (
    INTERNAL_ERROR,
    RpcError,
    invalid_params,
    node_behind,
    preflight_failed,
    signature_verification_failed,
    transaction_error_text,
)
from sniperforge.sandbox.rpc.params import Config, Params, address
from sniperforge.sandbox.rpc.transaction_view import inner_json, token_balances_json
from sniperforge.sandbox.wire import MAX_BYTES, AnyMessage, ParsedTransaction, parse

_MAX_BASE58 = 1683
_V1_FIRST_BYTE = bytes([129])
_TYPE = "solana_transaction::versioned::VersionedTransaction"
HEALTHY_LAG_SLOTS = 128
"""A node further behind than this calls itself unhealthy (Agave's `health_check_slot_distance`)."""


def decode_transaction(text: str, encoding: str) -> ParsedTransaction:
    """The transaction of a parameter.

    Raises:
        RpcError: -32602, in the words of Agave's `decode_and_deserialize`.
    """
    try:
        if encoding == "base64":
            raw = base64_decode(text)
        elif len(text) > _MAX_BASE58:
            raise invalid_params(
                f"base58 encoded {_TYPE} too large: {len(text)} bytes (max: encoded/raw {_MAX_BASE58}/{MAX_BYTES[0]})"
            )
        else:
            raw = b58decode(text)
    except ValueError as error:
        raise invalid_params(f"invalid {encoding} encoding: {error}") from None
    limit = MAX_BYTES[1 if raw[:1] == _V1_FIRST_BYTE else 0]
    if len(raw) > limit:
        raise invalid_params(f"decoded {_TYPE} too large: {len(raw)} bytes (max: {limit} bytes)")
    try:
        return parse(raw)
    except ValueError as error:
        raise invalid_params(f"failed to deserialize {_TYPE}: {error}") from None


def _wire_encoding(config: Config, default: str) -> str:
    encoding = config.choice("encoding", ("base58", "base64", "binary", "json", "jsonParsed", "base64+zstd")) or default
    if encoding not in {"base58", "base64"}:
        raise invalid_params(f"unsupported encoding: {encoding}. Supported encodings: base58, base64")
    return encoding


def send_transaction(call: RpcCall, params: Params) -> Any:
    """Check a transaction as asked, forward it, answer its signature; whether it landed is another question."""
    config = params.config(1)
    parsed = decode_transaction(params.string(0), _wire_encoding(config, "base58"))
    skip_preflight = config.flag("skipPreflight")
    config.u64("maxRetries")
    commitment = config.commitment("processed" if skip_preflight else "finalized", "preflightCommitment")
    call.checked_slot(config, commitment)
    if not skip_preflight:
        _preflight(call, parsed, commitment)
    if "swallow" not in call.faults:
        # A refusal is no error here: the node has forwarded, the leader threw it away, and nobody says so.
        call.chain.submit(parsed.raw)
    return parsed.signature


def _preflight(call: RpcCall, parsed: ParsedTransaction, commitment: CommitmentName) -> None:
    if call.node.lag_slots > HEALTHY_LAG_SLOTS:
        raise node_behind(call.node.lag_slots)
    refusal = call.chain.preflight(parsed.raw, commitment, at_slot=call.at_slot)
    if refusal is None:
        return
    if refusal.err == "SignatureFailure":
        raise signature_verification_failed()
    raise preflight_failed(refusal.err, _preflight_data(refusal))


def _preflight_data(refusal: Refusal) -> dict[str, Any]:
    return {
        "accounts": None,
        "err": refusal.err,
        "innerInstructions": None,
        "loadedAccountsDataSize": 0,
        "logs": refusal.logs,
        "replacementBlockhash": None,
        "returnData": None,
        "unitsConsumed": refusal.compute_units,
    }


def simulate_transaction(call: RpcCall, params: Params) -> Any:
    """Run a transaction without leaving a trace."""
    config = params.config(1)
    parsed = decode_transaction(params.string(0), _wire_encoding(config, "base58"))
    sig_verify, replace = config.flag("sigVerify"), config.flag("replaceRecentBlockhash")
    if sig_verify and replace:
        raise invalid_params("sigVerify may not be used with replaceRecentBlockhash")
    commitment = config.commitment()
    slot = call.checked_slot(config, commitment)
    wanted, encoding = _accounts_wanted(config, parsed.message)
    if sig_verify and not parsed.signatures_verify():
        raise signature_verification_failed()
    # The blockhash is looked up in the bank of this commitment; the state itself is the head's.
    result = call.chain.simulate(parsed.raw, sig_verify=sig_verify, replace_blockhash=replace, at_slot=slot)
    value = _simulation_json(call, result, inner=config.flag("innerInstructions"))
    value["accounts"] = None if wanted is None else _accounts_json(call, result, wanted, encoding)
    if replace:
        blockhash, last_valid = call.chain.latest_blockhash(commitment, at_slot=call.at_slot)
        value["replacementBlockhash"] = {"blockhash": blockhash, "lastValidBlockHeight": last_valid}
    return with_context(slot, value)


def _accounts_wanted(config: Config, message: AnyMessage) -> tuple[list[str] | None, str]:
    section = config.section("accounts")
    if section is None:
        return None, ""
    encoding = section.choice("encoding", ("binary", "base58", "base64", "base64+zstd", "jsonParsed")) or "base64"
    if encoding in {"binary", "base58"}:
        raise invalid_params("base58 encoding not supported")
    addresses = section.items("addresses") or []
    lookups = getattr(message, "address_table_lookups", ())
    most = len(message.account_keys) + sum(len(one.writable_indexes) + len(one.readonly_indexes) for one in lookups)
    if len(addresses) > most:
        raise invalid_params(f"Too many accounts provided; max {most}")
    return [address(value) for value in addresses], encoding


def _accounts_json(call: RpcCall, result: SimulationRecord, wanted: list[str], encoding: str) -> list[Any]:
    if result.err is not None:
        return [None] * len(wanted)
    accounts = [result.post_accounts.get(key) or call.chain.account(key) for key in wanted]
    return [None if account is None or not account.lamports else shown(call, account, encoding) for account in accounts]


def _simulation_json(call: RpcCall, result: SimulationRecord, *, inner: bool) -> dict[str, Any]:
    keys = result.account_keys
    return {
        "err": result.err,
        "logs": result.logs,
        "unitsConsumed": result.compute_units,
        "loadedAccountsDataSize": _loaded_bytes(call, keys, result.post_accounts),
        "returnData": result.return_data,
        "innerInstructions": inner_json(result.inner_instructions, keys, parsed=True) if inner else None,
        "replacementBlockhash": None,
        "fee": result.fee,
        "preBalances": result.pre_lamports,
        "postBalances": result.post_lamports,
        "preTokenBalances": token_balances_json(result.pre_tokens),
        "postTokenBalances": token_balances_json(result.post_tokens),
        "loadedAddresses": {"writable": result.loaded_writable, "readonly": result.loaded_readonly},
    }


_ACCOUNT_OVERHEAD_BYTES = 64


def _loaded_bytes(call: RpcCall, keys: tuple[str, ...], post: dict[str, Account]) -> int:
    """Size of the loaded accounts; each counts 64 bytes besides its data (SIMD-0186)."""
    accounts = [post.get(key) or call.chain.account(key) for key in keys]
    return sum(_ACCOUNT_OVERHEAD_BYTES + len(account.data) for account in accounts if account is not None)


def request_airdrop(call: RpcCall, params: Params) -> Any:
    """Send lamports from nowhere, as test clusters do.

    A wallet made for this one airdrop pays, so that two equal airdrops are two transactions.
    """
    receiver, lamports, config = params.address(0), params.u64(1), params.config(2)
    blockhash, _ = call.chain.latest_blockhash(config.commitment(), at_slot=call.at_slot)
    faucet = Keypair()
    instruction = transfer(
        TransferParams(from_pubkey=faucet.pubkey(), to_pubkey=Pubkey.from_string(receiver), lamports=lamports)
    )
    message = Message.new_with_blockhash([instruction], faucet.pubkey(), Hash.from_string(blockhash))
    fee = call.chain.fee_of(bytes(message))
    call.chain.set_account(faucet.pubkey(), Account(lamports + fee, b"", SYSTEM_PROGRAM_ID))
    transaction = VersionedTransaction(message, [faucet])
    outcome = call.chain.submit(bytes(transaction))
    if outcome.err is not None:
        raise RpcError(INTERNAL_ERROR, f"airdrop request failed: {transaction_error_text(outcome.err)}")
    return str(transaction.signatures[0])


METHODS = {
    "sendTransaction": Entry(send_transaction, 1, 2),
    "simulateTransaction": Entry(simulate_transaction, 1, 2),
    "requestAirdrop": Entry(request_airdrop, 2, 3),
}
