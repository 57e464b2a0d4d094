"""One swap through one pool, on the chain."""

from __future__ import annotations

from sniperforge.sandbox.pools import find_route
from tests.fakes.pool_chain import PoolChain


def test_a_swap_pays_exactly_what_was_quoted_and_moves_the_pool() -> None:
    chain = PoolChain()
    usdc, sol = chain.mint(6), chain.mint(9)
    pool = chain.pool(usdc, sol, (180_000 * 10**6, 1_000 * 10**9), fee_bps=25)
    chain.fund(usdc, 25 * 10**6)
    route = find_route([pool], chain.reserves(), {}, input_mint=usdc, output_mint=sol, in_raw=25 * 10**6)
    assert route is not None
    assert chain.swap(route, route.out_raw) is None
    assert (chain.held(usdc), chain.held(sol)) == (0, route.out_raw)
    assert chain.reserves()[pool.address] == (180_025 * 10**6, 1_000 * 10**9 - route.out_raw)
