"""What Jupiter's side keeps of orders, how it makes messages differ, and how a hostile leader computes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.sandbox.genesis import plan_world, target_reserves
from sniperforge.sandbox.jupiter.messages import MessageCompiler
from sniperforge.sandbox.jupiter.order_cache import CachedOrder, OrderCache
from sniperforge.sandbox.jupiter.sandwich import route_out_raw
from sniperforge.sandbox.pools import find_route
from sniperforge.sandbox.tokens import BONK, FEE2, JUP, SOL, USDC

WORLD = plan_world(1)
RESERVES = {
    pool.address: target_reserves(WORLD, pool, {mint: token.start_usd for mint, token in WORLD.tokens.items()})
    for pool in WORLD.pools
}
FEES = {mint: token.transfer_fee for mint, token in WORLD.tokens.items() if token.transfer_fee is not None}


def order(request_id: str, made_at: float) -> CachedOrder:
    return CachedOrder(
        request_id=request_id,
        router="metis",
        message=b"",
        signers=(Keypair().pubkey(),),
        cosigners=(),
        route=None,
        input_mint=USDC,
        output_mint=SOL,
        in_raw=1,
        out_raw=1,
        min_out_raw=1,
        last_valid_block_height=150,
        expire_at=None,
        made_at=made_at,
    )


def test_an_order_that_was_never_posted_is_forgotten_after_two_minutes() -> None:
    cache = OrderCache()
    cache.add(order("a", 100))
    assert cache.get("a", 219.9) is not None
    assert cache.get("a", 220) is None
    assert cache.get("b", 100) is None


def test_a_posted_order_is_remembered_for_two_minutes_after_its_first_post() -> None:
    cache = OrderCache()
    kept = order("a", 100)
    cache.add(kept)
    kept.posted_at = 210
    assert cache.get("a", 329) is kept
    assert cache.get("a", 330) is None


def test_memory_is_bounded_by_time() -> None:
    cache = OrderCache()
    for number in range(1_000):
        cache.add(order(str(number), float(number)))
    assert cache.get("998", 999.0) is not None
    assert sum(cache.get(str(number), 0.0) is not None for number in range(1_000)) <= 241


def test_no_two_budgets_within_the_life_of_a_blockhash_are_equal() -> None:
    compiler = MessageCompiler(WORLD, first_salt=0)
    budgets = {tuple(bytes(one.data) for one in compiler.budget(70_000, 4_000, exact=False)[0]) for _ in range(60_000)}
    assert len(budgets) == 60_000


@given(units=st.integers(20_000, 400_000), fee=st.integers(0, 10**9), salt=st.integers(0, 10**6))
def test_an_exact_fee_is_never_exceeded_and_what_is_said_is_what_is_charged(units: int, fee: int, salt: int) -> None:
    (limit, price), said = MessageCompiler(WORLD, first_salt=salt).budget(units, fee, exact=True)
    charged = -(-int.from_bytes(limit.data[1:], "little") * int.from_bytes(price.data[1:], "little") // 1_000_000)
    assert fee - 1 <= said == charged <= fee or fee == 0 == said


@settings(max_examples=60)
@given(
    pair=st.permutations([USDC, SOL, JUP, BONK, FEE2]).map(lambda mints: mints[:2]),
    in_raw=st.integers(1, 10**13),
)
def test_the_leaders_arithmetic_is_the_quotes(pair: list[Pubkey], in_raw: int) -> None:
    route = find_route(WORLD.pools, RESERVES, FEES, input_mint=pair[0], output_mint=pair[1], in_raw=in_raw)
    if route is not None:
        assert route_out_raw(route, RESERVES, FEES) == route.out_raw
