"""Properties of pools: what Python quotes is what the chain does, and the pools never lose by rounding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from sniperforge.sandbox.pools import Hop, Leg, Route, TransferFee, find_route, make_pool, swap_through
from tests.fakes.pool_chain import PoolChain

SLIPPAGE_TOLERANCE_EXCEEDED = 6001
CHAIN = PoolChain()

raws = st.one_of(st.integers(1, 10**6), st.integers(1, 2**40), st.integers(1, 2**64 - 1))
transfer_fees = st.none() | st.builds(TransferFee, st.integers(0, 10_000), st.integers(0, 2**64 - 1))


@dataclass(frozen=True)
class Case:
    """A chain of three mints with pools between them, and an amount to sell."""

    fees: tuple[TransferFee | None, TransferFee | None, TransferFee | None]
    decimals: tuple[int, int, int]
    pools: tuple[tuple[tuple[int, int], tuple[int, int], int], ...]
    in_raw: int


cases = st.builds(
    Case,
    st.tuples(transfer_fees, transfer_fees, transfer_fees),
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)),
    st.lists(
        st.tuples(
            st.sampled_from([(0, 2), (2, 0), (0, 1), (1, 2), (2, 1)]),
            st.tuples(raws, raws),
            st.one_of(st.integers(0, 100), st.integers(0, 9_999)),
        ),
        min_size=1,
        max_size=5,
    ).map(tuple),
    raws,
)


def _put_on_chain(case: Case) -> tuple[Pubkey, ...]:
    CHAIN.forget()
    mints = tuple(CHAIN.mint(d, transfer_fee=f) for d, f in zip(case.decimals, case.fees, strict=True))
    for (a, b), reserves, fee_bps in case.pools:
        CHAIN.pool(mints[a], mints[b], reserves, fee_bps=fee_bps)
    CHAIN.fund(mints[0], case.in_raw)
    return mints


def _as_quoted(route: Route) -> dict[Pubkey, tuple[int, int]]:
    """What the route says that happens to each vault's amount."""
    fees, moved = CHAIN.transfer_fees(), dict.fromkeys((pool.address for pool in CHAIN.pools), (0, 0))
    for hop in (hop for leg in route.legs for hop in leg.hops):
        fee = fees.get(hop.input_mint)
        arrived = hop.in_raw - (fee.withheld_raw(hop.in_raw) if fee else 0)
        change = (arrived, -hop.out_raw)
        moved[hop.pool.address] = change if hop.input_mint == hop.pool.mint_a else (change[1], change[0])
    return moved


@settings(max_examples=150, deadline=None)
@given(cases)
def test_a_route_pays_what_it_quotes_to_the_unit_and_one_unit_more_is_refused(case: Case) -> None:
    source, _, target = _put_on_chain(case)
    before = CHAIN.reserves()
    route = find_route(
        CHAIN.pools, before, CHAIN.transfer_fees(), input_mint=source, output_mint=target, in_raw=case.in_raw
    )
    assume(route is not None)
    assert route is not None

    if route.out_raw < 2**64 - 1:
        assert CHAIN.swap(route, route.out_raw + 1) == SLIPPAGE_TOLERANCE_EXCEEDED
    assert (CHAIN.reserves(), CHAIN.held(source), CHAIN.held(target)) == (before, case.in_raw, 0)

    assert CHAIN.swap(route, route.out_raw) is None
    assert (CHAIN.held(source), CHAIN.held(target)) == (0, route.out_raw)
    after, moved = CHAIN.reserves(), _as_quoted(route)
    for pool in CHAIN.pools:
        (a, b), (a_before, b_before), (da, db) = after[pool.address], before[pool.address], moved[pool.address]
        assert (a - a_before, b - b_before) == (da, db), "reserves move by what went through, and by nothing else"
        assert a * b >= a_before * b_before, "k never decreases"


@settings(max_examples=150, deadline=None)
@given(raws, raws, raws, st.integers(0, 9_999), transfer_fees, transfer_fees)
def test_where_the_arithmetic_sees_no_swap_the_program_refuses(
    reserve_a: int, reserve_b: int, in_raw: int, fee_bps: int, fee_a: TransferFee | None, fee_b: TransferFee | None
) -> None:
    CHAIN.forget()
    a, b = CHAIN.mint(transfer_fee=fee_a), CHAIN.mint(transfer_fee=fee_b)
    pool = CHAIN.pool(a, b, (reserve_a, reserve_b), fee_bps=fee_bps)
    CHAIN.fund(a, in_raw)
    before = CHAIN.reserves()
    hop = swap_through(pool, before, CHAIN.transfer_fees(), input_mint=a, in_raw=in_raw)
    wished = Hop(pool, a, b, in_raw, 1, 1, 0)
    error = CHAIN.swap(Route(a, b, in_raw, 1, (Leg((wished,), 10_000),), Fraction(1)))
    assert (error is None) == (hop is not None)
    assert hop is not None or CHAIN.reserves() == before


@given(raws, raws, raws, st.integers(0, 9_999), transfer_fees, transfer_fees)
def test_rounding_never_favours_the_taker_and_takes_less_than_one_unit(
    reserve_in: int,
    reserve_out: int,
    in_raw: int,
    fee_bps: int,
    fee_in: TransferFee | None,
    fee_out: TransferFee | None,
) -> None:
    a, b, program = Pubkey.new_unique(), Pubkey.new_unique(), Pubkey.new_unique()
    pool = make_pool(
        label="Raydium",
        venue_program=program,
        mint_a=a,
        mint_b=b,
        token_program_a=program,
        token_program_b=program,
        decimals_a=6,
        decimals_b=9,
        fee_bps=fee_bps,
    )
    fees = {mint: fee for mint, fee in ((a, fee_in), (b, fee_out)) if fee}
    hop = swap_through(pool, {pool.address: (reserve_in, reserve_out)}, fees, input_mint=a, in_raw=in_raw)
    assume(hop is not None)
    assert hop is not None
    arrived = in_raw - (fee_in.withheld_raw(in_raw) if fee_in else 0)
    assert 0 <= hop.fee_raw - Fraction(arrived * fee_bps, 10_000) < 1
    net = arrived - hop.fee_raw
    assert 0 <= Fraction(reserve_out * net, reserve_in + net) - hop.out_raw < 1
    assert hop.received_raw == hop.out_raw - (fee_out.withheld_raw(hop.out_raw) if fee_out else 0)
