"""The market maker, the sponsor of gas and the faucet: they can be exhausted, but not for long."""

from __future__ import annotations

from sniperforge.sandbox.tokens import SOL, USDC, credit, credit_lamports
from tests.fakes.market_chain import MarketChain


def test_a_maker_who_spent_most_of_a_token_has_it_again_a_second_later() -> None:
    market_chain = MarketChain.create()
    market = market_chain.market()
    maker = market_chain.world.maker_wallet.pubkey()
    usual = {mint: market_chain.balance(maker, mint) for mint in market_chain.world.tokens}
    for mint in (SOL, USDC):
        credit(market_chain.chain, maker, market_chain.world.tokens[mint], -usual[mint] * 2 // 3)
    market_chain.run(market, 1)
    assert {mint: market_chain.balance(maker, mint) for mint in usual} == usual


def test_a_maker_who_spent_or_gained_a_little_is_left_alone() -> None:
    market_chain = MarketChain.create()
    market = market_chain.market()
    maker, tokens = market_chain.world.maker_wallet.pubkey(), market_chain.world.tokens
    usual_raw = market_chain.balance(maker, USDC)
    spent_raw = usual_raw // 3
    credit(market_chain.chain, maker, tokens[USDC], -spent_raw)
    market_chain.run(market, 3)
    assert market_chain.balance(maker, USDC) == usual_raw - spent_raw


def test_what_would_overflow_in_the_end_is_taken_from_the_maker() -> None:
    market_chain = MarketChain.create()
    market = market_chain.market()
    maker = market_chain.world.maker_wallet.pubkey()
    usual_raw = market_chain.balance(maker, USDC)
    credit(market_chain.chain, maker, market_chain.world.tokens[USDC], usual_raw * 10)
    market_chain.run(market, 1)
    assert market_chain.balance(maker, USDC) == usual_raw


def test_whoever_pays_for_others_never_runs_out_of_lamports() -> None:
    market_chain = MarketChain.create()
    market = market_chain.market()
    world = market_chain.world
    for owner in (world.maker_wallet.pubkey(), world.gas_sponsor.pubkey(), world.faucet.pubkey()):
        account = market_chain.chain.account(owner)
        assert account is not None
        usual = account.lamports
        credit_lamports(market_chain.chain, owner, 5_000 - usual)
        market_chain.run(market, 1)
        refilled = market_chain.chain.account(owner)
        assert refilled is not None
        assert refilled.lamports == usual
