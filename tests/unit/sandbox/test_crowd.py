"""Other people's transactions: real, seeded, sometimes failing, never running dry."""

from collections import Counter
from itertools import pairwise

import pytest

from sniperforge.sandbox.crowd import MEMO_PROGRAM
from sniperforge.sandbox.genesis import CROWD_LAMPORTS
from sniperforge.sandbox.pools import PROGRAM_ID
from sniperforge.sandbox.tokens import SOL, SYSTEM_PROGRAM, USDC, credit, credit_lamports
from tests.fakes.market_chain import MarketChain


@pytest.fixture
def market_chain() -> MarketChain:
    return MarketChain.create()


def test_the_crowd_lands_swaps_transfers_and_memos(market_chain: MarketChain) -> None:
    market_chain.run(market_chain.market(crowd_per_second=5), 30, slots_per_second=5)
    programs = Counter(
        str(program)
        for record in market_chain.landed
        for program in (PROGRAM_ID, SYSTEM_PROGRAM, MEMO_PROGRAM)
        if str(program) in record.account_keys
    )
    assert len(market_chain.landed) > 100
    assert all(programs[str(program)] > 3 for program in (PROGRAM_ID, SYSTEM_PROGRAM, MEMO_PROGRAM))
    members = {str(member.pubkey()) for member in market_chain.world.crowd}
    assert {record.account_keys[0] for record in market_chain.landed} == members


def test_some_of_them_fail_by_slippage_and_pay_their_fee(market_chain: MarketChain) -> None:
    market_chain.run(market_chain.market(crowd_per_second=5), 60, slots_per_second=5)
    failed = [record for record in market_chain.landed if record.err is not None]
    assert 2 <= len(failed) < len(market_chain.landed) / 5
    for record in failed:
        assert record.err == {"InstructionError": [2, {"Custom": 6001}]}
        assert record.fee > 5_000
        assert record.pre_lamports[0] - record.post_lamports[0] == record.fee


def test_swaps_of_the_crowd_move_pools_but_little(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="flat", crowd_per_second=0)
    start = dict(market.reserves())
    market.close()
    busy = market_chain.market(scenario="flat", crowd_per_second=10)
    moved = set()
    for _ in range(20):
        market_chain.run(busy, 1, slots_per_second=5)
        for address, (raw_a, raw_b) in busy.reserves().items():
            before_a, before_b = start[address]
            ratio = (raw_b * before_a) / (raw_a * before_b)
            assert abs(ratio - 1) < 0.01
            if raw_a != before_a:
                moved.add(address)
    assert len(moved) >= 5


def test_two_crowds_of_one_seed_send_the_same_bytes() -> None:
    sent = []
    for market_chain in (MarketChain.create(), MarketChain.create()):
        market_chain.run(market_chain.market(crowd_per_second=4), 8)
        sent.append([record.raw for record in market_chain.landed])
    assert sent[0] == sent[1]
    assert len(sent[0]) > 10


def test_no_crowd_means_no_transactions(market_chain: MarketChain) -> None:
    market_chain.run(market_chain.market(crowd_per_second=0), 5, slots_per_second=20)
    assert market_chain.landed == []


def test_fast_slots_are_never_long_empty(market_chain: MarketChain) -> None:
    market = market_chain.market(crowd_per_second=0.001)
    market_chain.run(market, 1, slots_per_second=100)
    assert 9 <= len(market_chain.landed) <= 11


def test_the_rate_is_kept_and_spread_over_the_slots(market_chain: MarketChain) -> None:
    market = market_chain.market(crowd_per_second=3)
    market_chain.run(market, 20, slots_per_second=5)
    assert 55 <= len(market_chain.landed) <= 60
    per_slot = Counter(record.slot for record in market_chain.landed)
    assert max(per_slot.values()) <= 2


def test_a_wallet_that_ran_dry_is_filled_again(market_chain: MarketChain) -> None:
    chain, world = market_chain.chain, market_chain.world
    for member in world.crowd:
        account = chain.account(member.pubkey())
        assert account is not None
        credit_lamports(chain, member.pubkey(), 1_000_000 - account.lamports)
        for mint in (SOL, USDC):
            credit(chain, member.pubkey(), world.tokens[mint], -market_chain.balance(member.pubkey(), mint))
    market_chain.run(market_chain.market(crowd_per_second=5), 40, slots_per_second=5)
    assert len(market_chain.landed) > 150
    for member in world.crowd:
        account = chain.account(member.pubkey())
        assert account is not None
        assert account.lamports > CROWD_LAMPORTS // 20
    unexpected = [record.err for record in market_chain.landed if record.err not in (None, SLIPPAGE)]
    assert unexpected == []


def test_fast_slots_are_never_forty_without_a_finalized_swap() -> None:
    market_chain = MarketChain.create(skip_probability=0.05)
    market_chain.run(market_chain.market(crowd_per_second=2), 60, slots_per_second=100)
    finalized = market_chain.chain.slot_at("finalized")
    newest_first = market_chain.chain.signatures_for(
        "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4", commitment="finalized", before=None, until=None, limit=10_000
    )
    slots = [finalized, *(one.slot for one in newest_first), market_chain.landed[0].slot]
    assert len(slots) > 100
    assert max(later - earlier for later, earlier in pairwise(slots)) <= 40


SLIPPAGE = {"InstructionError": [2, {"Custom": 6001}]}
