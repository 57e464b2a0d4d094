"""Routes: the best single path, hops, splits, and what callers may exclude."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from sniperforge.sandbox.pools import PoolSpec, Reserves, TransferFee, find_route, make_pool, swap_through

A, B, C, D = (Pubkey(bytes([i]) * 32) for i in range(1, 5))
PROGRAM = Pubkey(bytes([9]) * 32)
AMPLE = (10**13, 10**13)


def pool(mint_a: Pubkey, mint_b: Pubkey, fee_bps: int = 30, label: str = "Raydium", venue: int = 0) -> PoolSpec:
    return make_pool(
        label=label,
        venue_program=Pubkey(bytes([venue]) * 32),
        mint_a=mint_a,
        mint_b=mint_b,
        token_program_a=PROGRAM,
        token_program_b=PROGRAM,
        decimals_a=6,
        decimals_b=6,
        fee_bps=fee_bps,
    )


def paid(
    path: Sequence[PoolSpec],
    reserves: Reserves,
    fees: Mapping[Pubkey, TransferFee],
    start: Pubkey,
    end: Pubkey,
    raw: int,
) -> int | None:
    """What a row of pools pays, None when it does not lead from start to end or passes a mint twice."""
    mint, passed = start, set[Pubkey]()
    for step in path:
        if mint not in (step.mint_a, step.mint_b) or mint == end:
            return None
        passed.add(mint)
        hop = swap_through(step, reserves, fees, input_mint=mint, in_raw=raw)
        if hop is None:
            return None
        mint, raw = hop.output_mint, hop.received_raw
        if mint in passed:
            return None
    return raw if mint == end else None


def rows(pools: Sequence[PoolSpec], at_most: int) -> Iterator[tuple[PoolSpec, ...]]:
    for length in range(1, at_most + 1):
        yield from permutations(pools, length)


def test_a_pool_between_other_mints_is_no_route() -> None:
    only = pool(A, B)
    assert find_route([only], {only.address: AMPLE}, {}, input_mint=A, output_mint=C, in_raw=10) is None


def test_an_amount_too_small_to_buy_anything_has_no_route() -> None:
    only = pool(A, B)
    reserves = {only.address: (10**12, 10**3)}
    assert find_route([only], reserves, {}, input_mint=A, output_mint=B, in_raw=1_000) is None
    assert find_route([only], reserves, {}, input_mint=A, output_mint=B, in_raw=0) is None


def test_a_mint_has_no_route_to_itself() -> None:
    pools = [pool(A, B), pool(A, B, fee_bps=5)]
    reserves = {p.address: AMPLE for p in pools}
    assert find_route(pools, reserves, {}, input_mint=A, output_mint=A, in_raw=10**6) is None


def test_an_empty_pool_is_passed_over() -> None:
    empty, full = pool(A, B, fee_bps=1), pool(A, B, fee_bps=100)
    reserves = {empty.address: (0, 10**12), full.address: AMPLE}
    route = find_route([empty, full], reserves, {}, input_mint=A, output_mint=B, in_raw=10**6)
    assert route is not None
    assert [hop.pool for leg in route.legs for hop in leg.hops] == [full]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([(A, B), (B, C), (A, C), (C, B), (B, D), (D, C), (A, D)]),
            st.tuples(st.integers(10**3, 10**15), st.integers(10**3, 10**15)),
            st.integers(0, 500),
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda drawn: (drawn[0], drawn[2]),
    ),
    st.integers(1, 10**13),
    st.integers(1, 3),
    st.none() | st.builds(TransferFee, st.integers(0, 1_000), st.integers(0, 10**9)),
)
def test_one_leg_is_the_best_of_all_rows_of_pools(
    drawn: list[tuple[tuple[Pubkey, Pubkey], tuple[int, int], int]], in_raw: int, max_hops: int, fee: TransferFee | None
) -> None:
    pools = [pool(a, b, fee_bps) for (a, b), _, fee_bps in drawn]
    reserves = {p.address: amounts for p, (_, amounts, _) in zip(pools, drawn, strict=True)}
    fees = {B: fee} if fee else {}
    route = find_route(pools, reserves, fees, input_mint=A, output_mint=C, in_raw=in_raw, max_hops=max_hops, max_legs=1)
    best = max((paid(row, reserves, fees, A, C, in_raw) or 0 for row in rows(pools, max_hops)), default=0)
    assert (route.out_raw if route else 0) == best


def test_three_hops_are_found_when_allowed() -> None:
    pools = [pool(A, B), pool(C, B), pool(C, D)]
    reserves = {p.address: AMPLE for p in pools}
    assert find_route(pools, reserves, {}, input_mint=A, output_mint=D, in_raw=10**6) is None
    route = find_route(pools, reserves, {}, input_mint=A, output_mint=D, in_raw=10**6, max_hops=3)
    assert route is not None
    assert [hop.output_mint for hop in route.legs[0].hops] == [B, C, D]
    assert [hop.in_raw for hop in route.legs[0].hops][1:] == [hop.received_raw for hop in route.legs[0].hops][:-1]


def test_a_large_amount_is_split_in_halves_over_two_equal_pools() -> None:
    pools = [pool(A, B, venue=1), pool(A, B, venue=2)]
    reserves = {p.address: (10**12, 10**12) for p in pools}
    route = find_route(pools, reserves, {}, input_mint=A, output_mint=B, in_raw=10**11)
    assert route is not None
    assert [leg.share_bps for leg in route.legs] == [5_000, 5_000]


def test_a_small_amount_is_not_split_for_nothing() -> None:
    pools = [pool(A, B, venue=1), pool(A, B, venue=2)]
    reserves = {p.address: (10**12, 10**12) for p in pools}
    route = find_route(pools, reserves, {}, input_mint=A, output_mint=B, in_raw=10**6)
    assert route is not None
    assert len(route.legs) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(10**9, 10**13), st.integers(10**9, 10**13)), min_size=2, max_size=3),
    st.lists(st.integers(0, 300), min_size=3, max_size=3),
    st.integers(10**6, 10**12),
)
def test_a_split_is_as_good_as_any_division_in_steps_of_two_percent(
    amounts: list[tuple[int, int]], fees_bps: list[int], in_raw: int
) -> None:
    pools = [pool(A, B, fee_bps, venue=i) for i, (_, fee_bps) in enumerate(zip(amounts, fees_bps, strict=False))]
    reserves = {p.address: pair for p, pair in zip(pools, amounts, strict=True)}
    route = find_route(pools, reserves, {}, input_mint=A, output_mint=B, in_raw=in_raw)
    best = max(
        sum(
            paid([p], reserves, {}, A, B, in_raw * share // 50) or 0
            for p, share in zip(pools, (first, second, 50 - first - second), strict=False)
        )
        for first in range(51)
        for second in (range(51 - first) if len(pools) == 3 else [50 - first])
    )
    assert route is not None
    one_basis_point = best // 10_000  # a split is not made for less
    rounding = 3 * 50
    assert route.out_raw >= best - one_basis_point - rounding


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(10**9, 10**13), min_size=7, max_size=7), st.integers(10**6, 10**13))
def test_shares_add_up_amounts_add_up_and_no_pool_serves_two_legs(sizes: list[int], in_raw: int) -> None:
    pairs = [(A, B), (A, B), (A, C), (A, C), (C, B), (C, B), (A, B)]
    pools = [pool(a, b, venue=i) for i, (a, b) in enumerate(pairs)]
    reserves = {p.address: (size, size) for p, size in zip(pools, sizes, strict=True)}
    route = find_route(pools, reserves, {}, input_mint=A, output_mint=B, in_raw=in_raw)
    assert route is not None
    assert len(route.legs) <= 3
    assert sum(leg.share_bps for leg in route.legs) == 10_000
    assert sum(leg.hops[0].in_raw for leg in route.legs) == in_raw
    assert sum(leg.hops[-1].received_raw for leg in route.legs) == route.out_raw
    used = [hop.pool.address for leg in route.legs for hop in leg.hops]
    assert len(used) == len(set(used))


def test_labels_choose_and_exclude_venues() -> None:
    raydium, orca = pool(A, B, fee_bps=5, label="Raydium"), pool(A, B, fee_bps=50, label="Whirlpool", venue=1)
    reserves = {p.address: AMPLE for p in (raydium, orca)}

    def label(labels: frozenset[str] | None = None, exclude: frozenset[str] = frozenset()) -> str | None:
        route = find_route(
            [raydium, orca],
            reserves,
            {},
            input_mint=A,
            output_mint=B,
            in_raw=10**6,
            labels=labels,
            exclude_labels=exclude,
        )
        return route.legs[0].hops[0].pool.label if route else None

    assert label() == "Raydium"
    assert label(labels=frozenset({"Whirlpool"})) == "Whirlpool"
    assert label(exclude=frozenset({"Raydium"})) == "Whirlpool"
    assert label(labels=frozenset({"Unknown"})) is None
    assert label(exclude=frozenset({"Raydium", "Whirlpool"})) is None


def test_the_mid_price_is_what_one_unit_is_worth_without_fees_and_impact() -> None:
    pools = [pool(A, B), pool(C, B)]
    reserves = {pools[0].address: (10**12, 3 * 10**12), pools[1].address: (5 * 10**12, 10**12)}
    route = find_route(pools, reserves, {}, input_mint=A, output_mint=C, in_raw=10**9)
    assert route is not None
    assert route.mid_price == Fraction(3) * 5
    assert route.out_raw < route.in_raw * route.mid_price
