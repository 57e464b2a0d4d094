"""Token accounts of both token programs, read from their bytes.

Layouts: SPL Token `state.rs` (165 bytes; mint, owner, amount, ..., state at 108);
Token-2022 `extension/mod.rs` (longer accounts name their type in byte 165).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.sandbox.records import TokenBalanceRecord

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
NATIVE_MINT = Pubkey.from_string("So11111111111111111111111111111111111111112")

_BASE_LENGTH = 165
_STATE_AT = 108
_TYPE_AT = 165
_TYPE_ACCOUNT = 2
_MINT_LENGTH = 82
_MINT_DECIMALS_AT = 44
_NATIVE_DECIMALS = 9


class TokenAccountData(NamedTuple):
    """What balances and indexes need of a token account."""

    mint: Pubkey
    owner: Pubkey
    raw: int


def read_token_account(account: Account | None) -> TokenAccountData | None:
    """The token account in these bytes; None when they are none, or one that is not initialized."""
    if account is None or account.owner not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        return None
    data = account.data
    if len(data) < _BASE_LENGTH or data[_STATE_AT] == 0:
        return None
    if len(data) > _BASE_LENGTH and (account.owner == TOKEN_PROGRAM or data[_TYPE_AT] != _TYPE_ACCOUNT):
        return None
    return TokenAccountData(
        Pubkey.from_bytes(data[:32]), Pubkey.from_bytes(data[32:64]), int.from_bytes(data[64:72], "little")
    )


def mint_decimals(mint: Pubkey, account: Account | None) -> int | None:
    """Decimals of a mint, None if there is no such mint. Wrapped SOL always has 9 (as Agave assumes too)."""
    if mint == NATIVE_MINT:
        return _NATIVE_DECIMALS
    if account is None or account.owner not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        return None
    data = account.data
    return data[_MINT_DECIMALS_AT] if len(data) >= _MINT_LENGTH else None


def token_balances(
    accounts: Iterable[Account | None], decimals_of: Callable[[Pubkey], int | None]
) -> tuple[TokenBalanceRecord, ...]:
    """Token balances of the token accounts among a transaction's accounts, given in the order of its keys.

    One whose mint is unknown is left out, as a node does.
    """
    balances = []
    for index, account in enumerate(accounts):
        token = read_token_account(account)
        if token is None or account is None:
            continue
        decimals = decimals_of(token.mint)
        if decimals is not None:
            balances.append(
                TokenBalanceRecord(
                    account_index=index,
                    mint=str(token.mint),
                    owner=str(token.owner),
                    program=str(account.owner),
                    raw=token.raw,
                    decimals=decimals,
                )
            )
    return tuple(balances)
