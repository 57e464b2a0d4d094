"""What one landed transaction did to a wallet, counted a second time.

The code that books fills counts as well. This is on purpose not that code: a mistake made once must not agree with
itself. Here a wallet is one purse: its own account, its token accounts and its nonce accounts. The lamports in the
purse, before and after, are all the SOL it has; fee, tip and rent are what explains the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.errors import ProtocolError
from sniperforge.ports.chain import LandedTransaction, TokenBalance
from sniperforge.ports.records import NATIVE_SOL, Asset

_VERSION_1 = 0x81
"""First byte of a version 1 transaction (SIMD-0385); the number of its signatures is the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Signed changes; what leaves is negative.

    Attributes:
        native: Lamports of the wallet's own account.
        held: Base units by token account and mint.
        own: Lamports of the wallet's own account and its token accounts together.
        lamports: Lamports of every account of the transaction.
        nonce_accounts: Which of these are nonce accounts of the wallet. (The chain does not say; the books do.)
        fee: Lamports the wallet paid as fee payer.
        tip: Lamports that tip accounts got.
        signed: The wallet's key signed.
    """

    native: int
    held: Mapping[tuple[Address, Mint], int]
    own: int
    lamports: Mapping[Address, int]
    fee: int
    tip: int
    signed: bool
    nonce_accounts: frozenset[Address] = frozenset()

    @property
    def purse(self) -> int:
        """Lamports of all accounts of the wallet."""
        return self.own + sum(self.lamports.get(account, 0) for account in self.nonce_accounts)

    @property
    def tokens(self) -> Mapping[Mint, int]:
        """Base units by mint, over all token accounts."""
        total: Counter[Mint] = Counter()
        for (_, mint), raw in self.held.items():
            total[mint] += raw
        return total

    @property
    def rent(self) -> int:
        """Lamports put into accounts of ours that are neither spendable nor wSOL; negative: they came back."""
        return self.purse - self.native - self.tokens.get(WSOL_MINT, 0)

    def traded(self, mint: Mint) -> int:
        """Change of a token by the trade itself. SOL and wSOL are one: the purse, without fee and tip."""
        return self.purse + self.fee + self.tip if mint == WSOL_MINT else self.tokens.get(mint, 0)

    def by_asset(self) -> Mapping[Asset, int]:
        """The change of each balance as the ledger counts them, wSOL apart from native SOL; zeros left out."""
        changes = {NATIVE_SOL: self.native, **{Asset(mint): raw for mint, raw in self.tokens.items()}}
        return {asset: raw for asset, raw in changes.items() if raw}


def effect_on(wallet: Address, landed: LandedTransaction, *, tip_accounts: Collection[Address]) -> Effect:
    """What a transaction did to a wallet.

    Raises:
        ProtocolError: The node names no owner of a token balance.
    """
    before = dict(zip(landed.accounts, landed.pre_lamports, strict=True))
    after = dict(zip(landed.accounts, landed.post_lamports, strict=True))
    had, has = _ours(wallet, landed.pre_tokens), _ours(wallet, landed.post_tokens)
    owned_before = sum(before.get(account, 0) for account in {wallet, *(account for account, _ in had)})
    owned_after = sum(after.get(account, 0) for account in {wallet, *(account for account, _ in has)})
    lamports = {account: after[account] - before[account] for account in landed.accounts}
    return Effect(
        native=lamports.get(wallet, 0),
        held={key: has.get(key, 0) - had.get(key, 0) for key in {**had, **has}},
        own=owned_after - owned_before,
        lamports=lamports,
        fee=landed.fee_lamports if landed.accounts[0] == wallet else 0,
        tip=sum(change for account, change in lamports.items() if account in tip_accounts),
        signed=wallet in landed.accounts[: _signatures(landed.transaction)],
    )


def accounts_of(wallet: Address, landed: LandedTransaction) -> set[Address]:
    """Token accounts that were the wallet's before or after a transaction."""
    return {account for account, _ in (*_ours(wallet, landed.pre_tokens), *_ours(wallet, landed.post_tokens))}


def _ours(wallet: Address, balances: Iterable[TokenBalance]) -> dict[tuple[Address, Mint], int]:
    held: dict[tuple[Address, Mint], int] = {}
    for balance in balances:
        if balance.owner is None:
            raise ProtocolError("the node names no owner of a token balance", subject=balance.account)
        if balance.owner == wallet:
            held[balance.account, balance.mint] = balance.raw
    return held


def _signatures(transaction: bytes) -> int:
    """How many keys signed. They stand first among the accounts; one byte holds any count a packet has room for."""
    return transaction[1] if transaction[0] == _VERSION_1 else transaction[0]
