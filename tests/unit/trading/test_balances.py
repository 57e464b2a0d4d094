"""What a transaction did to a wallet, from its own balances."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.transaction import TOKEN_PROGRAM
from sniperforge.errors import ProtocolError
from sniperforge.ports.chain import TokenBalance
from sniperforge.trading.balances import WalletChange, wallet_change

WALLET, THIEF, POOL, TIP, NONCE = map(Address, ("wallet", "thief", "pool", "tip", "nonce"))
WSOL_ACCOUNT, USDC_ACCOUNT = Address("wallet-wsol"), Address("wallet-usdc")
USDC = Mint("usdc")
RENT = 1_488_440
SOL = 10**9

lamports = st.integers(0, 10**15)
small = st.integers(0, 10**9)


@dataclass(frozen=True)
class Holding:
    """An account on one side of a transaction: lamports, and tokens if it is a token account."""

    lamports: int = 0
    mint: Mint | None = None
    raw: int = 0
    owner: Address | None = WALLET


@dataclass(frozen=True)
class Balances:
    accounts: tuple[Address, ...] = ()
    pre_lamports: tuple[int, ...] = ()
    post_lamports: tuple[int, ...] = ()
    pre_tokens: tuple[TokenBalance, ...] = field(default=())
    post_tokens: tuple[TokenBalance, ...] = field(default=())


def balances(before: dict[Address, Holding], after: dict[Address, Holding]) -> Balances:
    accounts = tuple(dict.fromkeys((*before, *after)))

    def tokens(side: dict[Address, Holding]) -> tuple[TokenBalance, ...]:
        return tuple(
            TokenBalance(account, held.mint, held.owner, TOKEN_PROGRAM, held.raw, 6)
            for account, held in side.items()
            if held.mint is not None
        )

    return Balances(
        accounts,
        tuple(before.get(account, Holding()).lamports for account in accounts),
        tuple(after.get(account, Holding()).lamports for account in accounts),
        tokens(before),
        tokens(after),
    )


def wsol(raw: int) -> Holding:
    return Holding(RENT + raw, WSOL_MINT, raw)


def usdc(raw: int, owner: Address | None = WALLET) -> Holding:
    return Holding(RENT, USDC, raw, owner)


def change(
    before: dict[Address, Holding], after: dict[Address, Holding], *, fee: int = 0, nonces: tuple[Address, ...] = ()
) -> WalletChange:
    return wallet_change(
        balances(before, after), wallet=WALLET, fee_lamports=fee, tip_accounts=(TIP,), nonce_accounts=nonces
    )


@given(held=lamports, out=lamports, fee=small)
def test_the_fee_is_told_apart_from_what_was_traded(held: int, out: int, fee: int) -> None:
    seen = change({WALLET: Holding(held + fee)}, {WALLET: Holding(held + out)}, fee=fee)
    assert (seen.native, seen.fee_lamports, seen.of_asset(WSOL_MINT)) == (out - fee, fee, out)


@given(out=lamports, fee=small)
def test_a_fee_that_somebody_else_paid_is_none_of_ours(out: int, fee: int) -> None:
    before, after = {POOL: Holding(fee), WALLET: Holding(SOL)}, {POOL: Holding(0), WALLET: Holding(SOL + out)}
    seen = change(before, after, fee=fee)
    assert (seen.fee_lamports, seen.of_asset(WSOL_MINT)) == (0, out)


@given(out=lamports, tip=small)
def test_a_tip_is_told_apart_from_what_was_traded(out: int, tip: int) -> None:
    before = {WALLET: Holding(tip), TIP: Holding(7)}
    seen = change(before, {WALLET: Holding(out), TIP: Holding(7 + tip)})
    assert (seen.tip_lamports, seen.of_asset(WSOL_MINT)) == (tip, out)


@given(raw=lamports)
def test_rent_of_an_account_that_stays_open_is_locked_and_not_spent(raw: int) -> None:
    seen = change({WALLET: Holding(RENT)}, {WALLET: Holding(0), USDC_ACCOUNT: usdc(raw)})
    assert (seen.native, seen.locked, seen.of_asset(WSOL_MINT), seen.of_asset(USDC)) == (-RENT, RENT, 0, raw)


@given(raw=lamports)
def test_rent_of_an_account_that_is_closed_comes_back_and_is_not_earned(raw: int) -> None:
    seen = change({WALLET: Holding(0), USDC_ACCOUNT: usdc(raw)}, {WALLET: Holding(RENT)})
    assert (seen.locked, seen.of_asset(WSOL_MINT), seen.of_asset(USDC)) == (-RENT, 0, -raw)


@given(out=lamports, fee=small)
def test_wsol_opened_and_closed_within_the_transaction_shows_natively_alone(out: int, fee: int) -> None:
    before = {WALLET: Holding(SOL + fee), WSOL_ACCOUNT: Holding(0)}
    seen = change(before, {WALLET: Holding(SOL + out), WSOL_ACCOUNT: Holding(0)}, fee=fee)
    assert (seen.tokens, seen.locked, seen.of_asset(WSOL_MINT)) == ({}, 0, out)


def test_three_wsol_held_and_five_bought_are_five_bought() -> None:
    seen = change({WALLET: Holding(SOL), WSOL_ACCOUNT: wsol(3 * SOL)}, {WALLET: Holding(SOL + 8 * SOL + RENT)})
    assert (seen.native, seen.of_asset(WSOL_MINT)) == (8 * SOL + RENT, 5 * SOL)


@given(held=lamports, out=lamports, fee=small, closes=st.booleans())
def test_wsol_held_before_never_counts_as_output(held: int, out: int, fee: int, *, closes: bool) -> None:
    before = {WALLET: Holding(SOL + fee), WSOL_ACCOUNT: wsol(held)}
    if closes:
        after = {WALLET: Holding(SOL + held + out + RENT)}
    else:
        after = {WALLET: Holding(SOL), WSOL_ACCOUNT: wsol(held + out)}
    assert change(before, after, fee=fee).of_asset(WSOL_MINT) == out


@given(held=lamports, wrapped=lamports)
def test_wrapping_is_no_trade(held: int, wrapped: int) -> None:
    before = {WALLET: Holding(wrapped), WSOL_ACCOUNT: wsol(held)}
    seen = change(before, {WALLET: Holding(0), WSOL_ACCOUNT: wsol(held + wrapped)})
    assert (seen.of_asset(WSOL_MINT), seen.native_traded) == (0, -wrapped)


@given(extra=lamports)
def test_lamports_beside_the_amount_of_a_wsol_account_are_locked(extra: int) -> None:
    after = {WALLET: Holding(0), WSOL_ACCOUNT: replace(wsol(5), lamports=RENT + 5 + extra)}
    seen = change({WALLET: Holding(extra), WSOL_ACCOUNT: wsol(5)}, after)
    assert (seen.locked, seen.of_asset(WSOL_MINT)) == (extra, 0)


@given(moved=lamports)
def test_lamports_of_our_nonce_accounts_are_locked_and_not_gone(moved: int) -> None:
    before, after = {WALLET: Holding(moved), NONCE: Holding(9)}, {WALLET: Holding(0), NONCE: Holding(9 + moved)}
    seen = change(before, after, nonces=(NONCE, Address("a nonce account that is not touched")))
    assert (seen.locked, seen.of_asset(WSOL_MINT)) == (moved, 0)


@given(moved=lamports)
def test_lamports_taken_from_a_nonce_account_are_lost(moved: int) -> None:
    before = {WALLET: Holding(1), NONCE: Holding(moved), THIEF: Holding(0)}
    seen = change(before, {WALLET: Holding(1), NONCE: Holding(0), THIEF: Holding(moved)}, nonces=(NONCE,))
    assert seen.of_asset(WSOL_MINT) == -moved


@given(raw=lamports, to=st.sampled_from((THIEF, POOL)))
def test_an_account_given_away_is_lost_with_its_rent(raw: int, to: Address) -> None:
    before, after = {WALLET: Holding(1), USDC_ACCOUNT: usdc(raw)}, {WALLET: Holding(1), USDC_ACCOUNT: usdc(raw, to)}
    seen = change(before, after)
    assert (seen.of_asset(USDC), seen.of_asset(WSOL_MINT)) == (-raw, -RENT)


@given(theirs=lamports, before=lamports, after=lamports)
def test_tokens_of_others_do_not_count(theirs: int, before: int, after: int) -> None:
    pool = Address("pool-usdc")
    seen = change(
        {WALLET: Holding(1), pool: usdc(theirs, POOL), USDC_ACCOUNT: usdc(before)},
        {WALLET: Holding(1), pool: usdc(theirs + before, POOL), USDC_ACCOUNT: usdc(after)},
    )
    assert seen.tokens == {USDC: after - before}


def test_several_accounts_of_one_mint_are_one_asset() -> None:
    other = Address("wallet-usdc-2")
    seen = change(
        {WALLET: Holding(1), USDC_ACCOUNT: usdc(10), other: usdc(1)},
        {WALLET: Holding(1), USDC_ACCOUNT: usdc(4), other: usdc(5)},
    )
    assert seen.of_asset(USDC) == -2


def test_a_transaction_that_does_not_touch_the_wallet_changes_nothing() -> None:
    seen = wallet_change(
        balances({POOL: Holding(5)}, {POOL: Holding(1)}), wallet=WALLET, fee_lamports=4, tip_accounts=(TIP,)
    )
    assert seen == WalletChange(native=0, tokens={}, locked=0, fee_lamports=0, tip_lamports=0)
    assert seen.of_asset(USDC) == 0


def test_an_empty_record_changes_nothing() -> None:
    assert wallet_change(Balances(), wallet=WALLET, fee_lamports=5).fee_lamports == 0


GOOD = balances({WALLET: Holding(1), USDC_ACCOUNT: usdc(5)}, {WALLET: Holding(2), USDC_ACCOUNT: usdc(6)})


@pytest.mark.parametrize(
    "contradiction",
    [
        replace(GOOD, pre_lamports=(1,)),
        replace(GOOD, post_lamports=(1, 2, 3)),
        replace(GOOD, accounts=(WALLET,)),
        replace(GOOD, accounts=(WALLET, WALLET)),
        replace(GOOD, accounts=(WALLET, USDC_ACCOUNT, WALLET), pre_lamports=(1, 2, 3), post_lamports=(1, 2, 3)),
        replace(GOOD, pre_tokens=GOOD.pre_tokens * 2),
        replace(GOOD, post_tokens=GOOD.post_tokens * 2),
        replace(GOOD, post_tokens=(replace(GOOD.post_tokens[0], account=Address("not listed")),)),
        replace(GOOD, pre_tokens=(replace(GOOD.pre_tokens[0], owner=None),)),
        replace(GOOD, post_tokens=(replace(GOOD.post_tokens[0], owner=None),)),
    ],
    ids=[
        "pre too short", "post too long", "accounts too few", "account twice", "account twice beside the others",
        "token twice before", "token twice after", "token of no account", "no owner before", "no owner after",
    ],
)  # fmt: skip
def test_a_record_that_contradicts_itself_is_refused(contradiction: Balances) -> None:
    with pytest.raises(ProtocolError):
        wallet_change(contradiction, wallet=WALLET, fee_lamports=0)
