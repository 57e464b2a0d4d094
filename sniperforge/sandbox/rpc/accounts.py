"""Methods that read accounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.sandbox.base58 import b58decode
from sniperforge.sandbox.chain import CommitmentName
from sniperforge.sandbox.rpc.account_view import (
    ENCODINGS,
    TOKEN_PROGRAMS,
    account_json,
    is_mint,
    is_token_account,
    mint_decimals,
    mint_supply,
    token_mint,
    token_raw_amount,
    ui_token_amount,
)
from sniperforge.sandbox.rpc.call import Entry, RpcCall, with_context
from sniperforge.sandbox.rpc.encoding import base64_decode
from sniperforge.sandbox.rpc.errors import invalid_params
from sniperforge.sandbox.rpc.params import Config, Params, address, wrong_type

MAX_MULTIPLE_ACCOUNTS = 100
MAX_FILTERS = 4


def decimals_of(call: RpcCall, mint: str) -> int | None:
    """Decimals of a mint, None when it is none. They never change, so the head may answer."""
    account = call.chain.account(mint, "processed")
    return mint_decimals(account) if account is not None and is_mint(account) else None


def shown(call: RpcCall, account: Account, encoding: str, data_slice: Config | None = None) -> dict[str, Any]:
    """An account as JSON."""
    decimals = None
    if encoding == "jsonParsed" and is_token_account(account):
        decimals = decimals_of(call, token_mint(account))
    return account_json(account, encoding, data_slice, decimals)


def _read(call: RpcCall, key: str, commitment: CommitmentName) -> Account | None:
    return call.chain.account(key, commitment, at_slot=call.at_slot)


def get_balance(call: RpcCall, params: Params) -> Any:
    """Lamports of an account, 0 when there is none."""
    key, config = params.address(0), params.config(1)
    commitment = config.commitment()
    slot = call.checked_slot(config, commitment)
    account = _read(call, key, commitment)
    return with_context(slot, 0 if account is None else account.lamports)


def get_account_info(call: RpcCall, params: Params) -> Any:
    """One account, null when there is none."""
    key, config = params.address(0), params.config(1)
    commitment = config.commitment()
    encoding = config.choice("encoding", ENCODINGS) or "binary"
    slot = call.checked_slot(config, commitment)
    account = _read(call, key, commitment)
    value = None if account is None else shown(call, account, encoding, config.section("dataSlice"))
    return with_context(slot, value)


def get_multiple_accounts(call: RpcCall, params: Params) -> Any:
    """Up to 100 accounts at once."""
    keys = [address(value) for value in params.strings(0, MAX_MULTIPLE_ACCOUNTS)]
    config = params.config(1)
    commitment = config.commitment()
    encoding = config.choice("encoding", ENCODINGS) or "base64"
    data_slice = config.section("dataSlice")
    slot = call.checked_slot(config, commitment)
    accounts = [_read(call, key, commitment) for key in keys]
    value = [None if account is None else shown(call, account, encoding, data_slice) for account in accounts]
    return with_context(slot, value)


def get_token_accounts_by_owner(call: RpcCall, params: Params) -> Any:
    """Token accounts of an owner, of one mint or of one token program."""
    owner, config = params.address(0), params.config(2)
    matches = _token_filter(call, params.get(1))
    commitment = config.commitment()
    encoding = config.choice("encoding", ENCODINGS) or "binary"
    data_slice = config.section("dataSlice")
    slot = call.checked_slot(config, commitment)
    found = call.chain.token_accounts_of(owner, commitment, at_slot=call.at_slot)
    value = [
        {"pubkey": key, "account": shown(call, account, encoding, data_slice)}
        for key, account in found
        if matches(account)
    ]
    return with_context(slot, value)


def _token_filter(call: RpcCall, wanted: object) -> Callable[[Account], bool]:
    if not isinstance(wanted, dict):
        raise wrong_type(wanted, "enum RpcTokenAccountsFilter")
    if "mint" in wanted:
        mint = address(wanted["mint"])
        account = call.chain.account(mint, "processed")
        if account is None:
            raise invalid_params("Invalid param: could not find mint")
        if not is_mint(account):
            raise invalid_params("Invalid param: not a Token mint")
        return lambda one: token_mint(one) == mint
    if "programId" in wanted:
        program = Pubkey.from_string(address(wanted["programId"]))
        if program not in TOKEN_PROGRAMS:
            raise invalid_params("Invalid param: unrecognized Token program id")
        return lambda one: one.owner == program
    raise invalid_params("Invalid params: unknown variant, expected `mint` or `programId`.")


def get_token_account_balance(call: RpcCall, params: Params) -> Any:
    """The amount in a token account."""
    key, config = params.address(0), params.config(1)
    commitment = config.commitment()
    slot = call.checked_slot(config, commitment)
    account = _read(call, key, commitment)
    if account is None:
        raise invalid_params("Invalid param: could not find account")
    decimals = decimals_of(call, token_mint(account)) if is_token_account(account) else None
    if decimals is None:
        raise invalid_params("Invalid param: not a Token account")
    return with_context(slot, ui_token_amount(token_raw_amount(account), decimals))


def get_token_supply(call: RpcCall, params: Params) -> Any:
    """The supply of a mint."""
    key, config = params.address(0), params.config(1)
    commitment = config.commitment()
    slot = call.checked_slot(config, commitment)
    account = _read(call, key, commitment)
    if account is None:
        raise invalid_params("Invalid param: could not find account")
    if not is_mint(account):
        raise invalid_params("Invalid param: not a Token mint")
    return with_context(slot, ui_token_amount(mint_supply(account), mint_decimals(account)))


def get_program_accounts(call: RpcCall, params: Params) -> Any:
    """Accounts owned by a program, filtered by size and content."""
    program, config = params.address(0), params.config(1)
    commitment = config.commitment()
    encoding = config.choice("encoding", ENCODINGS) or "binary"
    filters = config.items("filters") or []
    if len(filters) > MAX_FILTERS:
        raise invalid_params(f"Too many filters provided; max {MAX_FILTERS}")
    tests = [_filter(one) for one in filters]
    slot = call.checked_slot(config, commitment)
    data_slice = config.section("dataSlice")
    found = [
        {"pubkey": key, "account": shown(call, account, encoding, data_slice)}
        for key, account in call.chain.program_accounts(program, commitment, at_slot=call.at_slot)
        if all(_passes(account, *test) for test in tests)
    ]
    return with_context(slot, found) if config.flag("withContext") else found


_Filter = tuple[int | None, int, bytes]
"""Either a size (first), or an offset and the bytes expected there."""


def _filter(wanted: object) -> _Filter:
    if not isinstance(wanted, dict):
        raise wrong_type(wanted, "enum RpcFilterType")
    fields = Config(wanted)
    size = fields.u64("dataSize")
    if size is not None:
        return size, 0, b""
    compare = fields.section("memcmp")
    if compare is None:
        raise invalid_params("Invalid params: unknown variant, expected `dataSize` or `memcmp`.")
    text, offset = compare.fields.get("bytes"), compare.u64("offset")
    if not isinstance(text, str) or offset is None:
        raise wrong_type(text, "memcmp with `offset` and `bytes`")
    encoding = compare.choice("encoding", ("base58", "base64")) or "base58"
    try:
        return None, offset, b58decode(text) if encoding == "base58" else base64_decode(text)
    except ValueError:
        raise invalid_params(f"Invalid param: filter bytes are not {encoding}") from None


def _passes(account: Account, size: int | None, offset: int, expected: bytes) -> bool:
    data = account.data
    return len(data) == size if size is not None else data[offset : offset + len(expected)] == expected


METHODS = {
    "getBalance": Entry(get_balance, 1, 2),
    "getAccountInfo": Entry(get_account_info, 1, 2),
    "getMultipleAccounts": Entry(get_multiple_accounts, 1, 2),
    "getTokenAccountsByOwner": Entry(get_token_accounts_by_owner, 2, 3),
    "getTokenAccountBalance": Entry(get_token_account_balance, 1, 2),
    "getTokenSupply": Entry(get_token_supply, 1, 2),
    "getProgramAccounts": Entry(get_program_accounts, 1, 2),
}
