"""The world that genesis makes: the same for the same seed, and real to the real programs."""

import pytest
from solders.address_lookup_table_account import AddressLookupTable, AddressLookupTableAccount
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.token.state import Mint, TokenAccount

from sniperforge.errors import ConfigError
from sniperforge.sandbox.chain import Chain, ChainConfig, LandedRecord
from sniperforge.sandbox.genesis import POOL_PLANS, VENUES, create_world, load_world, plan_world
from sniperforge.sandbox.pools import find_route, pool_state_bytes, route_instruction
from sniperforge.sandbox.tokens import (
    BONK,
    FEE2,
    JUP,
    SOL,
    TOKEN_2022_PROGRAM,
    USDC,
    USDT,
    amount_of,
    credit,
    credit_lamports,
    token_account_address,
)
from tests.fakes.market_chain import START, MarketChain


@pytest.fixture
def market_chain() -> MarketChain:
    return MarketChain.create()


def test_the_same_seed_makes_the_same_world_and_another_seed_other_keys() -> None:
    assert plan_world(5) == plan_world(5)
    one, other = plan_world(5), plan_world(6)
    keys = [
        {world.demo_wallet.pubkey(), world.maker_wallet.pubkey(), world.gas_sponsor.pubkey(), world.issuer.pubkey()}
        | {member.pubkey() for member in world.crowd}
        for world in (one, other)
    ]
    assert not keys[0] & keys[1]
    assert len(keys[0]) == 4 + len(one.crowd)


def test_mints_have_their_mainnet_addresses_and_decimals(market_chain: MarketChain) -> None:
    expected = {SOL: 9, USDC: 6, USDT: 6, JUP: 6, BONK: 5}
    for mint, decimals in expected.items():
        account = market_chain.chain.account(mint)
        assert account is not None
        assert Mint.from_bytes(account.data).decimals == decimals == market_chain.world.tokens[mint].decimals
    assert str(BONK) == "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"


def test_two_mints_share_one_symbol_and_only_the_good_one_is_verified(market_chain: MarketChain) -> None:
    twins = [token for token in market_chain.world.tokens.values() if token.symbol == "PEPE2"]
    assert [(token.verified, token.is_sus, token.freeze_authority is not None) for token in twins] == [
        (True, False, False),
        (False, True, True),
    ]
    account = market_chain.chain.account(twins[1].mint)
    assert account is not None
    assert Mint.from_bytes(account.data).freeze_authority == twins[1].freeze_authority


def test_every_venue_has_pools_of_different_depth_and_fee(market_chain: MarketChain) -> None:
    world = market_chain.world
    assert {pool.label for pool in world.pools} == set(VENUES)
    sol_usdc = [plan for plan in POOL_PLANS if (plan.mint_a, plan.mint_b) == (SOL, USDC)]
    assert len({plan.label for plan in sol_usdc}) == 4
    assert len({plan.depth_usd for plan in sol_usdc}) == 4
    assert len({plan.fee_bps for plan in sol_usdc}) >= 3
    assert len({pool.address for pool in world.pools}) == len(POOL_PLANS)


def test_pools_and_vaults_lie_on_the_chain(market_chain: MarketChain) -> None:
    chain, world = market_chain.chain, market_chain.world
    for pool in world.pools:
        state = chain.account(pool.address)
        assert state is not None
        assert state.data == pool_state_bytes(pool)
        for vault, mint in ((pool.vault_a, pool.mint_a), (pool.vault_b, pool.mint_b)):
            account = chain.account(vault)
            assert account is not None
            parsed = TokenAccount.from_bytes(account.data[:165])
            assert (parsed.mint, parsed.owner) == (mint, pool.authority)
            reserve = parsed.amount if mint == SOL else 0
            assert account.lamports == chain.minimum_rent(len(account.data)) + reserve


def test_the_demo_wallet_starts_with_sol_and_usdc(market_chain: MarketChain) -> None:
    owner = market_chain.world.demo_wallet.pubkey()
    account = market_chain.chain.account(owner)
    assert account is not None
    assert account.lamports == 20 * 10**9
    assert market_chain.balance(owner, USDC) == 5_000 * 10**6


def test_the_maker_holds_every_token_and_no_mint_has_less_supply_than_it(market_chain: MarketChain) -> None:
    for mint, token in market_chain.world.tokens.items():
        held_raw = market_chain.balance(market_chain.world.maker_wallet.pubkey(), mint)
        assert held_raw * token.start_usd / 10**token.decimals >= 4_999_999
        account = market_chain.chain.account(mint)
        assert account is not None
        if mint != SOL:
            assert int.from_bytes(account.data[36:44], "little") > held_raw


def test_lookup_tables_are_real_and_hold_every_address_of_every_pool(market_chain: MarketChain) -> None:
    tables = market_chain.world.lookup_tables
    assert len(tables) >= 3
    for address, held in tables.items():
        account = market_chain.chain.account(address)
        assert account is not None
        assert AddressLookupTable.deserialize(account.data).addresses == list(held)
        assert len(held) == len(set(held)) <= 256
    everywhere = {address for held in tables.values() for address in held}
    for pool in market_chain.world.pools:
        assert {pool.address, pool.authority, pool.vault_a, pool.vault_b, pool.venue_program} <= everywhere
    assert set(market_chain.world.tokens) <= everywhere


def test_a_route_from_bonk_to_jup_needs_three_lookup_tables_and_lands(market_chain: MarketChain) -> None:
    world, chain = market_chain.world, market_chain.chain
    member = world.crowd[0]
    route = find_route(
        world.pools, market_chain.market(scenario="flat").reserves(), {}, input_mint=BONK, output_mint=JUP, in_raw=10**9
    )
    assert route is not None
    accounts = {mint: token_account_address(member.pubkey(), token) for mint, token in world.tokens.items()}
    swap = route_instruction(
        route,
        taker=member.pubkey(),
        source=accounts[BONK],
        destination=accounts[JUP],
        min_out_raw=route.out_raw,
        intermediates=accounts,
    )
    tables = [AddressLookupTableAccount(key, list(held)) for key, held in world.lookup_tables.items()]
    before = market_chain.balance(member.pubkey(), JUP)
    landed = market_chain.send(member, swap, tables=tables)
    assert isinstance(landed, LandedRecord)
    assert landed.err is None
    assert market_chain.balance(member.pubkey(), JUP) - before == route.out_raw
    message = MessageV0.try_compile(member.pubkey(), [swap], tables, market_chain.blockhash())
    assert len(message.address_table_lookups) == 3
    assert chain.account(accounts[JUP]) is not None


def transfer_checked(source: Pubkey, mint: Pubkey, to: Pubkey, owner: Pubkey, raw: int, decimals: int) -> Instruction:
    accounts = [
        AccountMeta(source, False, True),
        AccountMeta(mint, False, False),
        AccountMeta(to, False, True),
        AccountMeta(owner, True, False),
    ]
    return Instruction(TOKEN_2022_PROGRAM, bytes([12]) + raw.to_bytes(8, "little") + bytes([decimals]), accounts)


def test_the_transfer_fee_mint_really_withholds(market_chain: MarketChain) -> None:
    world = market_chain.world
    sender, receiver = world.crowd[0], world.crowd[1].pubkey()
    token = world.tokens[FEE2]
    source, to = token_account_address(sender.pubkey(), token), token_account_address(receiver, token)
    before = market_chain.balance(receiver, FEE2)
    landed = market_chain.send(sender, transfer_checked(source, FEE2, to, sender.pubkey(), 100_000_000, token.decimals))
    assert isinstance(landed, LandedRecord)
    assert landed.err is None
    assert market_chain.balance(receiver, FEE2) - before == 99_000_000
    account = market_chain.chain.account(to)
    assert account is not None
    assert int.from_bytes(account.data[-8:], "little") == 1_000_000  # withheld_amount of TransferFeeAmount
    assert token.transfer_fee is not None
    assert token.transfer_fee.withheld_raw(100_000_000) == 1_000_000


def test_credit_opens_an_account_or_adds_to_it_and_wrapped_sol_brings_its_lamports(market_chain: MarketChain) -> None:
    chain, world = market_chain.chain, market_chain.world
    owner = Pubkey.new_unique()
    for mint in (SOL, USDC, FEE2):
        for raw in (5_000, 7_000):
            address = credit(chain, owner, world.tokens[mint], raw)
        account = chain.account(address)
        assert account is not None
        assert amount_of(account) == 12_000
        assert account.lamports == chain.minimum_rent(len(account.data)) + (12_000 if mint == SOL else 0)
    credit_lamports(chain, owner, 10**9)
    credit_lamports(chain, owner, 10**9)
    native = chain.account(owner)
    assert native is not None
    assert native.lamports == 2 * 10**9


def test_a_loaded_world_is_the_created_one_and_nothing_is_written(market_chain: MarketChain) -> None:
    written: list[str] = []
    market_chain.chain.on_account(written.append)
    assert load_world(market_chain.chain, seed=1) == market_chain.world
    assert written == []


def test_a_chain_of_another_seed_is_refused_in_one_line(market_chain: MarketChain) -> None:
    with pytest.raises(ConfigError, match="not made with seed 2") as caught:
        load_world(market_chain.chain, seed=2)
    assert "\n" not in str(caught.value)
    assert caught.value.fix


def test_the_gas_sponsor_can_pay(market_chain: MarketChain) -> None:
    sponsor = market_chain.world.gas_sponsor
    to = market_chain.world.demo_wallet.pubkey()
    landed = market_chain.send(
        sponsor, transfer(TransferParams(from_pubkey=sponsor.pubkey(), to_pubkey=to, lamports=1))
    )
    assert isinstance(landed, LandedRecord)
    assert landed.err is None


def test_genesis_is_written_byte_for_byte_the_same_on_two_chains() -> None:
    written: list[dict[str, bytes]] = []
    for _ in range(2):
        chain = Chain(ChainConfig(), None, unix_time=START)
        addresses: list[str] = []
        chain.on_account(addresses.append)
        create_world(chain, seed=3)
        accounts = {address: chain.account(address) for address in addresses}
        written.append({address: bytes(account) for address, account in accounts.items() if account})
    assert written[0] == written[1]
    assert len(written[0]) > 100
