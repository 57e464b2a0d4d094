"""What one transaction does to a wallet, read from its own pre and post balances.

These balances belong to one transaction, so several trades of one wallet in one slot do not blur, as they would if
accounts were read before and after. SOL and wSOL are one asset: swaps that unwrap close the whole wSOL account, so
wSOL held before comes out natively as well, and only the sum of both sides is the trade (ARCHITECTURE, section 2).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.errors import ProtocolError
from sniperforge.ports.chain import TokenBalance


class TransactionBalances(Protocol):
    """Balances before and after one transaction, landed or simulated, in the order of `accounts`."""

    @property
    def accounts(self) -> Sequence[Address]:
        """Static keys, loaded writable, loaded readonly."""
        ...

    @property
    def pre_lamports(self) -> Sequence[int]:
        """Lamports before."""
        ...

    @property
    def post_lamports(self) -> Sequence[int]:
        """Lamports after."""
        ...

    @property
    def pre_tokens(self) -> Sequence[TokenBalance]:
        """Token accounts before; one opened by the transaction is missing."""
        ...

    @property
    def post_tokens(self) -> Sequence[TokenBalance]:
        """Token accounts after; one closed by the transaction is missing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletChange:
    """Signed changes of one wallet by one transaction; what leaves is negative.

    Attributes:
        native: Lamports of the wallet's own account, everything included.
        tokens: Base units by mint over all token accounts of the wallet, wSOL under its mint.
        locked: Lamports held by the wallet's token accounts (without wSOL amounts) and nonce accounts: rent that
            comes back when they are closed. Positive: paid by this transaction.
        fee_lamports: What the wallet paid as fee payer (0 if it was not).
        tip_lamports: What tip accounts received.
    """

    native: int
    tokens: Mapping[Mint, int]
    locked: int
    fee_lamports: int
    tip_lamports: int

    def of_asset(self, mint: Mint) -> int:
        """Change of one asset by the trade itself. For SOL: native and wSOL together, without fee, tip and rent."""
        if mint != WSOL_MINT:
            return self.tokens.get(mint, 0)
        return self.native_traded + self.tokens.get(WSOL_MINT, 0)

    @property
    def native_traded(self) -> int:
        """The native part of the change that is neither fee nor tip nor rent."""
        return self.native + self.fee_lamports + self.tip_lamports + self.locked


def wallet_change(
    balances: TransactionBalances,
    *,
    wallet: Address,
    fee_lamports: int,
    tip_accounts: Collection[Address] = (),
    nonce_accounts: Collection[Address] = (),
) -> WalletChange:
    """What a transaction did (or would do) to `wallet`.

    Raises:
        ProtocolError: The answer contradicts itself: lists of different lengths, an account listed twice, a token
            account that the transaction does not name, or one without owner.
    """
    listed, before_all, after_all = balances.accounts, balances.pre_lamports, balances.post_lamports
    if len({len(listed), len(set(listed)), len(before_all), len(after_all)}) != 1:
        raise ProtocolError("pre and post balances do not fit the account list", subject="transaction balances")
    before = dict(zip(listed, before_all, strict=True))
    after = dict(zip(listed, after_all, strict=True))
    tokens: dict[Mint, int] = {}
    locked = sum(after.get(account, 0) - before.get(account, 0) for account in nonce_accounts)
    for sign, side, lamports in ((-1, balances.pre_tokens, before), (1, balances.post_tokens, after)):
        for token in _once_each(side, lamports):
            if token.owner == wallet:
                tokens[token.mint] = tokens.get(token.mint, 0) + sign * token.raw
                wrapped = token.raw if token.mint == WSOL_MINT else 0
                locked += sign * (lamports[token.account] - wrapped)
    return WalletChange(
        native=after.get(wallet, 0) - before.get(wallet, 0),
        tokens=tokens,
        locked=locked,
        fee_lamports=fee_lamports if listed and listed[0] == wallet else 0,
        tip_lamports=sum(after[account] - before[account] for account in tip_accounts if account in before),
    )


def _once_each(side: Sequence[TokenBalance], accounts: Collection[Address]) -> Sequence[TokenBalance]:
    """The token balances of one side, each of a listed account, with an owner, and there once."""
    seen: set[Address] = set()
    for token in side:
        if token.owner is None:
            raise ProtocolError("a token balance names no owner", subject=token.account)
        if token.account in seen or token.account not in accounts:
            raise ProtocolError("a token balance is there twice, or of no account listed", subject=token.account)
        seen.add(token.account)
    return side
