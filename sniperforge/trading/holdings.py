"""What the chain holds for a wallet at one finalized slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sniperforge.domain.money import Address, Mint
from sniperforge.domain.transaction import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from sniperforge.errors import InvalidInputError, ProtocolError, RetryableError
from sniperforge.ports.chain import AccountInfo, Commitment, PinnedNode
from sniperforge.ports.records import NATIVE_SOL, Asset

CLOCK_SYSVAR = Address("SysvarC1ock11111111111111111111111111111111")
"""An account that always exists (docs.anza.xyz/runtime/sysvars): an answer of empty places only would tell no slot."""

TRIES = 5
_IN_ONE_ANSWER = 100
_AMOUNT = slice(64, 72)
"""Where a token account keeps its amount, little-endian, in both token programs (SPL Token, `state.rs`)."""

_SMALLEST_TOKEN_ACCOUNT = 165


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Balances at the end of one finalized slot.

    Attributes:
        slot: Every transaction of this slot and of earlier ones is counted, and none of a later one.
        raw: Lamports of the wallet's own account under `NATIVE_SOL` (also when there are none), and base units by mint
            over all its token accounts, wSOL under its mint.
    """

    slot: int
    raw: Mapping[Asset, int]


def holdings_at_one_slot(node: PinnedNode, wallet: Address) -> Holdings:
    """Read a wallet and all its token accounts in one answer, which is of one slot by definition.

    Which token accounts there are is asked before and after, and everything again when that changed meanwhile.

    Raises:
        InvalidInputError: The wallet has more token accounts than one answer can hold.
        RetryableError: Its token accounts came and went at every try.
    """
    for _ in range(TRIES):
        listed = _listed(node, wallet)
        clock, own, *found = node.accounts([CLOCK_SYSVAR, wallet, *listed], Commitment.FINALIZED)
        if clock is None:
            raise ProtocolError("the node knows no clock", subject=node.node, fix="Use another RPC provider")
        if _listed(node, wallet) != listed:
            continue
        raw = {NATIVE_SOL: own.lamports if own is not None else 0}
        for (address, mint), account in zip(listed.items(), found, strict=True):
            asset = Asset(mint)
            raw[asset] = raw.get(asset, 0) + _amount(address, account)
        return Holdings(slot=clock.slot, raw=raw)
    raise RetryableError("its token accounts change too fast to be read", subject=wallet, fix="Try again")


def _listed(node: PinnedNode, wallet: Address) -> dict[Address, Mint]:
    listed = {account.address: account.mint for account in node.token_accounts(wallet, Commitment.FINALIZED)}
    if len(listed) > _IN_ONE_ANSWER - 2:
        raise InvalidInputError(
            f"{len(listed)} token accounts, and {_IN_ONE_ANSWER - 2} can be read at one slot",
            subject=wallet,
            fix="Close the empty ones, or trade from a wallet of its own",
        )
    return dict(sorted(listed.items()))


def _amount(address: Address, account: AccountInfo | None) -> int:
    if account is None or len(account.data) < _SMALLEST_TOKEN_ACCOUNT:
        raise ProtocolError("listed as a token account, and read as none", subject=address, fix="Try again")
    if account.owner not in {TOKEN_PROGRAM, TOKEN_2022_PROGRAM}:
        raise ProtocolError(f"a token account that belongs to {account.owner}", subject=address, fix="Try again")
    return int.from_bytes(account.data[_AMOUNT], "little")
