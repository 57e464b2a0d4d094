"""The instruction a route becomes: Jupiter's form, read as a guard would read it, and run on the chain."""

from __future__ import annotations

import struct
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.transaction_metadata import TransactionMetadata

from sniperforge.sandbox.pools import (
    PROGRAM_ID,
    Leg,
    Route,
    TransferFee,
    find_route,
    make_pool,
    minimum_out_raw,
    pool_state_bytes,
    route_instruction,
)
from tests.fakes.pool_chain import TOKEN, PoolChain

HEADER = struct.Struct("<8sQQHHHI")
ROUTE_V2_TAG = bytes.fromhex("bb64facc31c4af14")


def header(instruction: Instruction) -> tuple[bytes, int, int, int, int, int, int]:
    tag, in_raw, quoted, slippage, platform_fee, positive, steps = HEADER.unpack_from(bytes(instruction.data))
    return tag, in_raw, quoted, slippage, platform_fee, positive, steps


@pytest.fixture
def chain() -> PoolChain:
    """SOL, USDC, JUP and a mint with a transfer fee; two pools wherever one could be."""
    chain = PoolChain()
    usdc, sol, jup = chain.mint(6), chain.mint(9), chain.mint(6)
    taxed = chain.mint(5, transfer_fee=TransferFee(100, 5_000_000))
    for pair in ((usdc, sol), (usdc, sol), (sol, jup), (jup, sol), (taxed, sol), (usdc, taxed), (taxed, jup)):
        chain.pool(*pair, (10**12, 10**12), fee_bps=10 + len(chain.pools))
    return chain


def quoted(chain: PoolChain, source: int, target: int, in_raw: int, *, max_legs: int = 3, max_hops: int = 2) -> Route:
    mints = list(chain.mints)
    route = find_route(
        chain.pools,
        chain.reserves(),
        chain.transfer_fees(),
        input_mint=mints[source],
        output_mint=mints[target],
        in_raw=in_raw,
        max_legs=max_legs,
        max_hops=max_hops,
    )
    assert route is not None
    chain.fund(mints[source], in_raw)
    chain.fund(mints[target], 777)  # what was held before counts for nothing
    return route


@pytest.mark.parametrize(
    ("source", "target", "max_legs", "max_hops", "shape"),
    [
        (0, 1, 1, 1, [1]),
        (0, 1, 3, 2, [1, 1, 2]),
        (0, 2, 3, 2, [2, 2, 2]),
        (2, 0, 1, 3, [2]),
        (3, 0, 3, 3, [1, 2, 3]),
        (0, 3, 2, 2, [1, 2]),
    ],
)
def test_routes_of_every_shape_land_at_their_quote_and_refuse_one_unit_more(
    chain: PoolChain, source: int, target: int, max_legs: int, max_hops: int, shape: list[int]
) -> None:
    route = quoted(chain, source, target, 10**11, max_legs=max_legs, max_hops=max_hops)
    assert sorted(len(leg.hops) for leg in route.legs) == shape
    assert chain.swap(route, route.out_raw + 1) == 6001
    assert chain.swap(route, route.out_raw) is None
    assert chain.held(route.output_mint) == 777 + route.out_raw
    assert chain.held(route.input_mint) == 0


def test_the_minimum_is_held_at_the_end_and_not_on_each_leg(chain: PoolChain) -> None:
    route = quoted(chain, 0, 1, 10**11)
    assert all(leg.hops[-1].received_raw < route.out_raw for leg in route.legs)
    assert chain.swap(route, route.out_raw) is None


def test_intermediate_accounts_end_as_they_began(chain: PoolChain) -> None:
    route = quoted(chain, 0, 2, 10**11)
    intermediates = {hop.output_mint for leg in route.legs for hop in leg.hops[:-1]}
    for mint in intermediates:
        chain.fund(mint, 12_345)
    assert chain.swap(route, route.out_raw) is None
    assert [chain.held(mint) for mint in intermediates] == [12_345] * len(intermediates)


def test_a_pool_that_moved_between_quote_and_landing_fails_on_chain_with_6001(chain: PoolChain) -> None:
    route = quoted(chain, 0, 1, 10**9)
    somebody_else = quoted(chain, 0, 1, 10**9)
    assert chain.swap(somebody_else) is None
    chain.fund(route.input_mint, route.in_raw)
    assert chain.swap(route, route.out_raw) == 6001
    assert chain.swap(route, minimum_out_raw(route.out_raw, 500)) is None


def test_amounts_near_the_end_of_64_bits_are_exact(chain: PoolChain) -> None:
    a, b = chain.mint(), chain.mint()
    pool = chain.pool(a, b, (2**63 + 11, 2**64 - 1), fee_bps=1)
    chain.fund(a, 2**63 - 12)
    route = find_route([pool], chain.reserves(), {}, input_mint=a, output_mint=b, in_raw=2**63 - 12)
    assert route is not None
    assert chain.swap(route, route.out_raw + 1) == 6001
    assert chain.swap(route, route.out_raw) is None


def test_one_hop_costs_less_than_sixty_thousand_compute_units(chain: PoolChain) -> None:
    result = chain.send(chain.instruction(quoted(chain, 0, 1, 10**9, max_legs=1, max_hops=1), 0))
    assert isinstance(result, TransactionMetadata)
    assert result.compute_units_consumed() < 60_000


def test_the_swap_is_two_checked_transfers_by_cross_program_invocation(chain: PoolChain) -> None:
    result = chain.send(chain.instruction(quoted(chain, 0, 1, 10**9, max_legs=1, max_hops=1), 0))
    inner = [call.instruction() for call in result.inner_instructions()[0]]  # type: ignore[union-attr]
    assert [bytes(call.data)[0] for call in inner] == [12, 12]


def test_the_header_is_that_of_route_v2(chain: PoolChain) -> None:
    route = quoted(chain, 0, 1, 10**9)
    instruction = chain.instruction(route, minimum_out_raw(route.out_raw, 50))
    steps = sum(len(leg.hops) for leg in route.legs)
    assert instruction.program_id == PROGRAM_ID
    assert header(instruction) == (ROUTE_V2_TAG, 10**9, route.out_raw, 50, 0, 0, steps)
    assert len(bytes(instruction.data)) == HEADER.size + 5 * steps


def test_the_only_signer_is_the_taker_and_venues_are_named(chain: PoolChain) -> None:
    route = quoted(chain, 0, 1, 10**11)
    instruction = chain.instruction(route, 0)
    assert [meta.pubkey for meta in instruction.accounts if meta.is_signer] == [chain.taker.pubkey()]
    addresses = {meta.pubkey for meta in instruction.accounts}
    assert {hop.pool.venue_program for leg in route.legs for hop in leg.hops} <= addresses


@settings(max_examples=200)
@given(st.integers(1, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_any_minimum_stands_in_the_instruction_exactly(out_raw: int, min_out_raw: int) -> None:
    _, _, quote, slippage, *_ = header(_bare_instruction(out_raw, min_out_raw))
    assert minimum_out_raw(quote, slippage) == min_out_raw


@settings(max_examples=200)
@given(st.integers(1, 2**64 - 1), st.integers(0, 10_000))
def test_a_minimum_made_of_whole_basis_points_keeps_the_quote_readable(out_raw: int, slippage_bps: int) -> None:
    _, _, quote, slippage, *_ = header(_bare_instruction(out_raw, minimum_out_raw(out_raw, slippage_bps)))
    assert quote == out_raw
    assert minimum_out_raw(out_raw, slippage) == minimum_out_raw(out_raw, slippage_bps)


def test_the_least_output_is_rounded_up_as_jupiter_rounds_its_threshold() -> None:
    # outAmount, slippageBps and otherAmountThreshold of answers printed in Jupiter's documentation.
    assert minimum_out_raw(16_198_753, 50) == 16_117_760
    assert minimum_out_raw(9_998_099, 50) == 9_948_109


def test_shares_that_do_not_add_up_are_refused(chain: PoolChain) -> None:
    route = quoted(chain, 0, 1, 10**9, max_legs=1)
    broken = Route(route.input_mint, route.output_mint, 1, 1, (Leg(route.legs[0].hops, 9_999),), Fraction(1))
    with pytest.raises(ValueError, match="9999"):
        chain.instruction(broken, 0)


def test_a_pool_needs_two_mints_and_a_fee_below_everything() -> None:
    mint, other = Pubkey.new_unique(), Pubkey.new_unique()
    for mint_b, fee_bps in ((mint, 30), (other, 10_000), (other, -1)):
        with pytest.raises(ValueError, match="two mints"):
            make_pool(
                label="Raydium",
                venue_program=mint,
                mint_a=mint,
                mint_b=mint_b,
                token_program_a=TOKEN,
                token_program_b=TOKEN,
                decimals_a=6,
                decimals_b=6,
                fee_bps=fee_bps,
            )


FUZZED = PoolChain()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_instruction_whatever_makes_a_pool_poorer(data: st.DataObject) -> None:
    FUZZED.forget()
    a, b, c = FUZZED.mint(), FUZZED.mint(transfer_fee=TransferFee(50, 10**9)), FUZZED.mint()
    for pair in ((a, b), (b, c), (a, c)):
        FUZZED.pool(*pair, (10**9, 10**9))
    FUZZED.fund(a, 10**8)
    FUZZED.fund(b, 10**8)
    route = find_route(
        FUZZED.pools[:2], FUZZED.reserves(), FUZZED.transfer_fees(), input_mint=a, output_mint=c, in_raw=10**6
    )
    assert route is not None
    honest = FUZZED.instruction(route, 0)
    raw, accounts = bytearray(honest.data), list(honest.accounts)
    for at, value in data.draw(st.lists(st.tuples(st.integers(8, len(raw) - 1), st.integers(0, 255)), max_size=4)):
        raw[at] = value
    places = st.integers(0, len(accounts) - 1)
    for to, source in data.draw(st.lists(st.tuples(places, places), max_size=3)):
        accounts[to] = accounts[source]
    before, states = FUZZED.reserves(), {p.address: pool_state_bytes(p) for p in FUZZED.pools}

    FUZZED.send(Instruction(PROGRAM_ID, bytes(raw), accounts))

    for address, (x, y) in FUZZED.reserves().items():
        assert x * y >= before[address][0] * before[address][1]
        state = FUZZED.svm.get_account(address)
        assert state is not None
        assert bytes(state.data) == states[address]


def _bare_instruction(out_raw: int, min_out_raw: int) -> Instruction:
    mint_a, mint_b, anyone = (Pubkey(bytes([i]) * 32) for i in (1, 2, 3))
    pool = make_pool(
        label="Raydium",
        venue_program=anyone,
        mint_a=mint_a,
        mint_b=mint_b,
        token_program_a=TOKEN,
        token_program_b=TOKEN,
        decimals_a=6,
        decimals_b=6,
        fee_bps=30,
    )
    route = find_route([pool], {pool.address: (10**6, 10**6)}, {}, input_mint=mint_a, output_mint=mint_b, in_raw=1_000)
    assert route is not None
    as_quoted = Route(mint_a, mint_b, 1_000, out_raw, route.legs, route.mid_price)
    return route_instruction(
        as_quoted, taker=anyone, source=anyone, destination=anyone, min_out_raw=min_out_raw, intermediates={}
    )
