"""What exists from the first slot on.

Keys are pure functions of the seed; mints and pools have the same addresses in every sandbox. Nothing of a world needs
saving beside the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.errors import ConfigError
from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.lookup_tables import plan_tables, write_tables
from sniperforge.sandbox.pools import PROGRAM_ID, PoolSpec, make_pool, pool_program, pool_state_bytes
from sniperforge.sandbox.pyth_accounts import FEEDS
from sniperforge.sandbox.tokens import (
    BONK,
    FEE2,
    JUP,
    PEPE2,
    PEPE2_IMPOSTOR,
    SOL,
    USDC,
    USDT,
    TokenSpec,
    credit,
    credit_lamports,
    mint_bytes,
    seeded_keypair,
    token_specs,
    write_token_account,
)

LAMPORTS_PER_SOL = 10**9
LEAST_RESERVE_RAW = 10**4
LARGEST_RESERVE_RAW = 2**61  # an eighth of what 64 bits hold: room for trades
CROWD_WALLETS = 8
CROWD_LAMPORTS = 100 * LAMPORTS_PER_SOL
CROWD_USD_PER_TOKEN = 20_000
DEMO_LAMPORTS = 20 * LAMPORTS_PER_SOL
DEMO_USDC_RAW = 5_000 * 10**6
MAKER_USD_PER_TOKEN = 5_000_000
MAKER_LAMPORTS = 10_000 * LAMPORTS_PER_SOL
SPONSOR_LAMPORTS = 1_000 * LAMPORTS_PER_SOL
FAUCET_LAMPORTS = 10**9 * LAMPORTS_PER_SOL
_SUPPLY_USD = 2_000_000_000

VENUES: Mapping[str, Pubkey] = {
    "Raydium": Pubkey.from_string("675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8"),
    "Raydium CLMM": Pubkey.from_string("CAMMCzo5YL8w4VFF8KVHrK22GGUsp5VTaW7grrKgrWqK"),
    "Whirlpool": Pubkey.from_string("whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc"),
    "Meteora DLMM": Pubkey.from_string("LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo"),
}
"""Program ids of the venues by Jupiter's label. The sandbox's pools carry the names; one program runs them all."""


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool before it has addresses: venue, pair, fee, and what lies in it on both sides together in dollars."""

    label: str
    mint_a: Pubkey
    mint_b: Pubkey
    fee_bps: int
    depth_usd: int


POOL_PLANS: tuple[PoolPlan, ...] = (
    PoolPlan("Raydium", SOL, USDC, 25, 6_000_000),
    PoolPlan("Raydium CLMM", SOL, USDC, 4, 9_000_000),
    PoolPlan("Whirlpool", SOL, USDC, 4, 8_000_000),
    PoolPlan("Meteora DLMM", SOL, USDC, 1, 2_500_000),
    PoolPlan("Raydium CLMM", SOL, USDT, 4, 3_000_000),
    PoolPlan("Whirlpool", SOL, USDT, 5, 2_000_000),
    PoolPlan("Whirlpool", USDC, USDT, 1, 8_000_000),
    PoolPlan("Meteora DLMM", JUP, USDC, 10, 1_200_000),
    PoolPlan("Raydium", JUP, USDC, 25, 700_000),
    PoolPlan("Whirlpool", JUP, SOL, 30, 900_000),
    PoolPlan("Raydium", BONK, SOL, 25, 800_000),
    PoolPlan("Meteora DLMM", BONK, USDC, 20, 500_000),
    PoolPlan("Raydium CLMM", FEE2, USDC, 25, 400_000),
    PoolPlan("Raydium", PEPE2, SOL, 25, 250_000),
    PoolPlan("Meteora DLMM", PEPE2_IMPOSTOR, SOL, 100, 30_000),
)


@dataclass(frozen=True, slots=True)
class World:
    """What exists from the first slot on. The same seed makes the same world.

    Attributes:
        tokens: Every token by mint.
        pools: Every pool; `depth_usd` tells what lies in each.
        depth_usd: Dollars in a pool, both sides together, by pool address.
        lookup_tables: Contents of the lookup tables by table address.
        demo_wallet: The funded wallet a person starts with.
        maker_wallet: Market maker of JupiterZ orders, richly funded.
        gas_sponsor: Pays the fees of gasless orders.
        faucet: Gives SOL to whoever asks at the admin port, and pays for the tokens that it has minted for them.
        crowd: Wallets of other people who trade.
        issuer: Mint and freeze authority of the tokens that have one, and authority of the lookup tables.
    """

    tokens: Mapping[Pubkey, TokenSpec]
    pools: tuple[PoolSpec, ...]
    depth_usd: Mapping[Pubkey, int]
    lookup_tables: Mapping[Pubkey, tuple[Pubkey, ...]]
    demo_wallet: Keypair
    maker_wallet: Keypair
    gas_sponsor: Keypair
    faucet: Keypair
    crowd: tuple[Keypair, ...]
    issuer: Keypair


def plan_world(seed: int) -> World:
    """The world of this seed, as facts; touches no chain."""
    issuer = seeded_keypair(seed, "issuer")
    tokens = token_specs(issuer.pubkey(), {mint: feed.account for mint, feed in FEEDS.items()})
    pools = tuple(_pool(plan, tokens) for plan in POOL_PLANS)
    return World(
        tokens=tokens,
        pools=pools,
        depth_usd={pool.address: plan.depth_usd for pool, plan in zip(pools, POOL_PLANS, strict=True)},
        lookup_tables=plan_tables(pools, issuer.pubkey()),
        demo_wallet=seeded_keypair(seed, "demo-wallet"),
        maker_wallet=seeded_keypair(seed, "maker-wallet"),
        gas_sponsor=seeded_keypair(seed, "gas-sponsor"),
        faucet=seeded_keypair(seed, "faucet"),
        crowd=tuple(seeded_keypair(seed, f"crowd-{number}") for number in range(CROWD_WALLETS)),
        issuer=issuer,
    )


def _pool(plan: PoolPlan, tokens: Mapping[Pubkey, TokenSpec]) -> PoolSpec:
    a, b = tokens[plan.mint_a], tokens[plan.mint_b]
    return make_pool(
        label=plan.label,
        venue_program=VENUES[plan.label],
        mint_a=a.mint,
        mint_b=b.mint,
        token_program_a=a.token_program,
        token_program_b=b.token_program,
        decimals_a=a.decimals,
        decimals_b=b.decimals,
        fee_bps=plan.fee_bps,
    )


def raw_worth(usd: int, token: TokenSpec, price: Fraction) -> int:
    """Base units of a token that are worth this many dollars, rounded down, at least one."""
    return max(1, int(usd * 10**token.decimals / price))


def target_reserves(world: World, pool: PoolSpec, prices: Mapping[Pubkey, Fraction]) -> tuple[int, int]:
    """Vault amounts (a, b) of a pool at these prices: half of its depth on either side.

    Held within what the program can work with, so that an absurd price makes an odd pool and not a broken one.
    """
    half = world.depth_usd[pool.address] // 2

    def side(mint: Pubkey) -> int:
        return min(max(raw_worth(half, world.tokens[mint], prices[mint]), LEAST_RESERVE_RAW), LARGEST_RESERVE_RAW)

    return side(pool.mint_a), side(pool.mint_b)


def create_world(chain: Chain, *, seed: int) -> World:
    """Write genesis into an empty chain: program, mints, pools, lookup tables, funded wallets.

    Pyth accounts and the market's own record follow with the market's first step, which knows the time.
    """
    world = plan_world(seed)
    chain.add_program(PROGRAM_ID, pool_program())
    for token in world.tokens.values():
        supply_raw = raw_worth(_SUPPLY_USD, token, token.start_usd)
        data = mint_bytes(token, mint_authority=world.issuer.pubkey(), supply_raw=supply_raw)
        chain.set_account(token.mint, Account(chain.minimum_rent(len(data)), data, token.token_program))
    start = {mint: token.start_usd for mint, token in world.tokens.items()}
    for pool in world.pools:
        state = pool_state_bytes(pool)
        chain.set_account(pool.address, Account(chain.minimum_rent(len(state)), state, PROGRAM_ID))
        amounts = target_reserves(world, pool, start)
        for vault, mint, amount in zip((pool.vault_a, pool.vault_b), (pool.mint_a, pool.mint_b), amounts, strict=True):
            write_token_account(chain, vault, world.tokens[mint], pool.authority, amount, immutable_owner=False)
    write_tables(chain, world.lookup_tables, world.issuer.pubkey())
    _fund_wallets(chain, world)
    return world


def _fund_wallets(chain: Chain, world: World) -> None:
    credit_lamports(chain, world.demo_wallet.pubkey(), DEMO_LAMPORTS)
    credit(chain, world.demo_wallet.pubkey(), world.tokens[USDC], DEMO_USDC_RAW)
    credit_lamports(chain, world.issuer.pubkey(), LAMPORTS_PER_SOL)
    credit_lamports(chain, world.gas_sponsor.pubkey(), SPONSOR_LAMPORTS)
    credit_lamports(chain, world.faucet.pubkey(), FAUCET_LAMPORTS)
    credit_lamports(chain, world.maker_wallet.pubkey(), MAKER_LAMPORTS)
    for member in world.crowd:
        credit_lamports(chain, member.pubkey(), CROWD_LAMPORTS)
    for token in world.tokens.values():
        maker_raw = raw_worth(MAKER_USD_PER_TOKEN, token, token.start_usd)
        credit(chain, world.maker_wallet.pubkey(), token, maker_raw)
        for member in world.crowd:
            credit(chain, member.pubkey(), token, raw_worth(CROWD_USD_PER_TOKEN, token, token.start_usd))


def load_world(chain: Chain, *, seed: int) -> World:
    """The same world from a chain that was loaded from its file; writes nothing.

    Raises:
        ConfigError: The chain was made with another seed, or its genesis is not this program's.
    """
    world = plan_world(seed)
    expected = [*(pool.vault_a for pool in world.pools), *world.tokens, world.demo_wallet.pubkey()]
    if any(chain.account(address) is None for address in expected):
        raise ConfigError(
            f"the sandbox's chain was not made with seed {seed} by this version",
            subject="sandbox state",
            fix="Start with the seed it was made with, or remove the sandbox's state directory for a new world",
        )
    return world
