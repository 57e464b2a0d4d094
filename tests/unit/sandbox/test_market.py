"""The market: pools that follow the path, jumps that stay, and a position that outlives the process."""

import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.errors import ConfigError, InvalidInputError
from sniperforge.sandbox.chain import Chain, ChainConfig, LandedRecord
from sniperforge.sandbox.genesis import target_reserves
from sniperforge.sandbox.market import Market, MarketConfig, load_world
from sniperforge.sandbox.market_record import MarketRecord
from sniperforge.sandbox.pools import PoolSpec, find_route, route_instruction
from sniperforge.sandbox.scenarios import ScenarioPath
from sniperforge.sandbox.tokens import (
    BONK,
    JUP,
    PEPE2,
    PEPE2_IMPOSTOR,
    SOL,
    USDC,
    amount_of,
    fixed_address,
    token_account_address,
)
from tests.fakes.market_chain import MarketChain


@pytest.fixture
def market_chain() -> MarketChain:
    return MarketChain.create()


def pool_of(market_chain: MarketChain, label: str, mint_a: object, mint_b: object) -> PoolSpec:
    return next(
        pool for pool in market_chain.world.pools if (pool.label, pool.mint_a, pool.mint_b) == (label, mint_a, mint_b)
    )


def buy_sol(market_chain: MarketChain, market: Market, label: str, usdc_raw: int) -> None:
    """A large buy by somebody of the crowd, through one pool."""
    world, buyer = market_chain.world, market_chain.world.maker_wallet
    route = find_route(
        world.pools,
        market.reserves(),
        {},
        input_mint=USDC,
        output_mint=SOL,
        in_raw=usdc_raw,
        max_legs=1,
        max_hops=1,
        labels=frozenset((label,)),
    )
    assert route is not None
    source, destination = (token_account_address(buyer.pubkey(), world.tokens[mint]) for mint in (USDC, SOL))
    swap = route_instruction(
        route, taker=buyer.pubkey(), source=source, destination=destination, min_out_raw=1, intermediates={}
    )
    landed = market_chain.send(buyer, swap)
    assert isinstance(landed, LandedRecord)
    assert landed.err is None


def test_two_markets_of_one_seed_move_alike() -> None:
    seen = []
    for market_chain in (MarketChain.create(), MarketChain.create()):
        market = market_chain.market(scenario="volatile", speed=600.0, crowd_per_second=4)
        market_chain.run(market, 12)
        seen.append((dict(market.reserves()), [market.usd(mint) for mint in market_chain.world.tokens]))
    assert seen[0] == seen[1]


def test_every_pool_stands_at_the_path_after_each_second(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=3_600.0)
    path = ScenarioPath("volatile", 1)
    for second in range(1, 6):
        market_chain.run(market, 1)
        for pool in market_chain.world.pools:
            assert market_chain.off_path_bps(market, pool, path, second * 3_600_000) < Fraction(1, 10)


def test_pools_keep_their_depth_through_a_crash(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="crash", speed=86_400.0)
    market_chain.run(market, 4)
    sol_usd = market.usd(SOL)
    assert sol_usd is not None
    assert 180 * 0.38 <= sol_usd <= 180 * 0.42
    pool = pool_of(market_chain, "Raydium", SOL, USDC)
    raw_sol, raw_usdc = market.reserves()[pool.address]
    assert raw_sol * sol_usd / 10**9 == pytest.approx(3_000_000, rel=1e-3)
    assert raw_usdc / 10**6 == pytest.approx(3_000_000, rel=1e-3)


def test_a_wrapped_sol_vault_always_holds_the_lamports_it_claims(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=3_600.0)
    market_chain.run(market, 3)
    for pool in market_chain.world.pools:
        for vault, mint in ((pool.vault_a, pool.mint_a), (pool.vault_b, pool.mint_b)):
            account = market_chain.chain.account(vault)
            assert account is not None
            held = amount_of(account) if mint == SOL else 0
            assert account.lamports == market_chain.chain.minimum_rent(len(account.data)) + held


def test_a_trade_moves_its_pool_at_once_and_the_pool_comes_back_over_seconds(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="flat")
    pool, path = pool_of(market_chain, "Raydium", SOL, USDC), ScenarioPath("flat", 1)
    buy_sol(market_chain, market, "Raydium", 60_000 * 10**6)

    moved = market_chain.off_path_bps(market, pool, path, 0)
    assert moved > 200
    market_chain.run(market, 1)
    a_second_later = market_chain.off_path_bps(market, pool, path, 0)
    assert moved * Fraction(6, 10) < a_second_later < moved * Fraction(8, 10)
    market_chain.run(market, 30)
    assert market_chain.off_path_bps(market, pool, path, 0) < 1


def test_what_the_market_says_of_vaults_is_what_the_chain_holds(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="calm", speed=60.0, crowd_per_second=3)
    for _ in range(8):
        market_chain.run(market, 1)
        buy_sol(market_chain, market, "Whirlpool", 10**9)
        for pool in market_chain.world.pools:
            vaults = [market_chain.chain.account(vault) for vault in (pool.vault_a, pool.vault_b)]
            assert [amount_of(vault) for vault in vaults if vault] == list(market.reserves()[pool.address])


def test_nothing_is_written_between_the_seconds(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile")
    written: list[str] = []
    market_chain.chain.on_account(written.append)
    for _ in range(20):
        market.step(market_chain.now)
    market.step(market_chain.now - 5)  # a clock that goes back
    assert written == []


def test_a_pause_is_not_made_up_for(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=3_600.0, crowd_per_second=5)
    market_chain.run(market, 3)
    market_chain.now += 600
    market.step(market_chain.now)
    path, token = ScenarioPath("volatile", 1), market_chain.world.tokens[SOL]
    assert market.usd(SOL) in [path.usd(token, hours * 3_600_000) for hours in range(3, 8)]
    assert len(market_chain.landed) < 40


def test_slots_as_long_as_a_minute_are_followed(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile")
    for _ in range(10):
        market_chain.now += 60
        market.step(market_chain.now)
    path, token = ScenarioPath("volatile", 1), market_chain.world.tokens[SOL]
    assert market.usd(SOL) in [path.usd(token, seconds * 1_000) for seconds in range(400, 601)]


def test_a_price_set_by_decree_holds_for_pools_and_path_alike(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=600.0)
    market_chain.run(market, 3)
    market.set_price(SOL, Fraction("99.5"))
    assert market.usd(SOL) == Fraction("99.5")
    pool = pool_of(market_chain, "Raydium", SOL, USDC)
    usdc_usd = market.usd(USDC)
    assert usdc_usd is not None
    raw_sol, raw_usdc = market.reserves()[pool.address]
    assert raw_usdc * 1_000 / Fraction(raw_sol) == pytest.approx(float(Fraction("99.5") / usdc_usd), rel=1e-6)

    path = ScenarioPath("volatile", 1)
    before, after = (path.usd(market_chain.world.tokens[SOL], second * 600_000) for second in (3, 4))
    market_chain.run(market, 1)
    assert market.usd(SOL) == Fraction("99.5") * after / before


def test_other_prices_stay_where_they_are_when_one_is_set(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="flat")
    market.set_price(BONK, Fraction("0.00005"))
    assert [market.usd(mint) for mint in (SOL, JUP)] == [180, Fraction("0.42")]


@pytest.mark.parametrize("usd", [Fraction(0), Fraction(-1), Fraction(1, 10**9), Fraction(10**12)])
def test_a_price_no_pool_can_express_is_refused_and_changes_nothing(market_chain: MarketChain, usd: Fraction) -> None:
    market = market_chain.market(scenario="flat")
    with pytest.raises(InvalidInputError, match="SOL"):
        market.set_price(SOL, usd)
    assert market.usd(SOL) == 180


def test_the_price_of_an_unknown_mint_cannot_be_set(market_chain: MarketChain) -> None:
    with pytest.raises(InvalidInputError, match="no such token"):
        market_chain.market().set_price(fixed_address("nobody"), Fraction(1))


def test_an_unverified_token_has_a_pool_but_no_price(market_chain: MarketChain) -> None:
    market = market_chain.market()
    assert market.usd(PEPE2_IMPOSTOR) is None
    assert market.change_24h_pct(PEPE2_IMPOSTOR) is None
    assert market.usd(fixed_address("nobody")) is None
    assert market.usd(PEPE2) == Fraction("0.0115")


def test_the_change_over_a_day_is_that_of_the_path(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="crash", speed=86_400.0)
    market_chain.run(market, 3)
    path, token = ScenarioPath("crash", 1), market_chain.world.tokens[SOL]
    expected = (path.usd(token, 3 * 86_400_000) / path.usd(token, 2 * 86_400_000) - 1) * 100
    assert market.change_24h_pct(SOL) == expected


def test_a_jump_shows_in_the_change_over_a_day_and_is_forgotten_after_it(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="flat", speed=43_200.0)
    market_chain.run(market, 3)
    market.set_price(JUP, Fraction("0.63"))
    assert market.change_24h_pct(JUP) == 50
    market_chain.run(market, 1)
    assert market.change_24h_pct(JUP) == 50
    market_chain.run(market, 1)
    assert market.change_24h_pct(JUP) == 0


def test_many_jumps_do_not_make_the_record_grow_for_ever() -> None:
    record = MarketRecord(path="p")
    for hour in range(400):
        record.market_ms = hour * 3_600_000
        record.jump(SOL, Fraction(hour + 1))
    assert len(record.offsets[SOL]) <= 26
    assert record.offset_at(SOL, record.market_ms) == 400
    assert record.offset_at(SOL, record.market_ms - 86_400_000) == 376


def restart(market_chain: MarketChain, off_seconds: int, **config: object) -> Market:
    market_chain.now += off_seconds
    market_chain.world = load_world(market_chain.chain, seed=1)
    return market_chain.market(**config)


def test_a_restart_goes_on_where_the_market_was_however_long_it_was_off(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=3_600.0)
    market_chain.run(market, 5)
    market.set_price(JUP, Fraction("0.5"))
    market_chain.run(market, 1)
    before = [market.usd(mint) for mint in market_chain.world.tokens]
    change = market.change_24h_pct(JUP)
    market.close()

    again = restart(market_chain, 86_400, scenario="volatile", speed=3_600.0)
    assert [again.usd(mint) for mint in market_chain.world.tokens] == before
    assert again.change_24h_pct(JUP) == change

    market_chain.run(again, 1)
    token = market_chain.world.tokens[SOL]
    assert again.usd(SOL) == ScenarioPath("volatile", 1).usd(token, 7 * 3_600_000)


def test_a_restart_at_another_speed_goes_on_from_the_same_place(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=3_600.0)
    market_chain.run(market, 5)
    market.close()
    again = restart(market_chain, 1, scenario="volatile", speed=1.0)
    market_chain.run(again, 10)
    expected = ScenarioPath("volatile", 1).usd(market_chain.world.tokens[SOL], 5 * 3_600_000 + 10_000)
    assert again.usd(SOL) == expected


def test_another_speed_at_run_time_goes_on_from_the_same_place(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=60.0)
    market_chain.run(market, 10)
    before = market.usd(SOL)
    market.set_speed(Fraction(3_600))
    assert (market.usd(SOL), market.speed) == (before, Fraction(3_600))
    market_chain.run(market, 10)
    path = ScenarioPath("volatile", 1)
    assert market.usd(SOL) == path.usd(market_chain.world.tokens[SOL], (10 * 60 + 10 * 3_600) * 1_000)


@pytest.mark.parametrize("speed", [0, -1])
def test_a_market_that_would_stand_still_or_go_back_is_refused(market_chain: MarketChain, speed: int) -> None:
    market = market_chain.market()
    with pytest.raises(InvalidInputError, match="above zero"):
        market.set_speed(Fraction(speed))
    assert market.speed == 1


def test_another_scenario_begins_now_from_the_present_prices(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=86_400.0)
    market_chain.run(market, 5)
    before = {mint: market.usd(mint) for mint in market_chain.world.tokens}
    market.close()
    again = restart(market_chain, 1, scenario="crash", speed=86_400.0)
    assert {mint: again.usd(mint) for mint in before} == before
    market_chain.run(again, 4)
    sol_before, sol_after = before[SOL], again.usd(SOL)
    assert sol_before is not None
    assert sol_after is not None
    assert 0.38 <= sol_after / sol_before <= 0.42


def test_a_scenario_begun_at_run_time_goes_on_from_the_present_prices_pools_and_all(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="calm", speed=86_400.0)
    market_chain.run(market, 3)
    market.set_price(JUP, Fraction("0.45"))
    before = {mint: market.usd(mint) for mint in market_chain.world.tokens}
    market.follow("crash")
    assert {mint: market.usd(mint) for mint in before} == before
    market_chain.run(market, 4)
    sol_before, sol_after, jup_after = before[SOL], market.usd(SOL), market.usd(JUP)
    assert sol_before is not None
    assert sol_after is not None
    assert jup_after is not None
    assert 0.38 <= sol_after / sol_before <= 0.42
    assert jup_after < Fraction("0.3")
    raw_sol, raw_usdc = market.reserves()[pool_of(market_chain, "Raydium", SOL, USDC).address]
    assert raw_usdc * 1_000 / Fraction(raw_sol) == pytest.approx(float(sol_after), rel=1e-2)


def test_a_scenario_that_is_in_force_can_begin_again(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="crash", speed=86_400.0)
    market_chain.run(market, 4)
    low = market.usd(SOL)
    market.follow("crash")
    market_chain.run(market, 4)
    lower = market.usd(SOL)
    assert low is not None
    assert lower is not None
    assert 0.38 <= lower / low <= 0.42


def test_a_file_sets_prices_from_the_first_step_and_pools_follow_at_once(
    market_chain: MarketChain, tmp_path: Path
) -> None:
    csv = tmp_path / "prices.csv"
    csv.write_text("time_utc,open,high,low,close,volume\n2022-01-01 00:00:00,24,24,24,24,1\n")
    market = market_chain.market(prices_csv=csv)
    assert market.usd(SOL) == 24
    assert market.change_24h_pct(SOL) is None
    pool = pool_of(market_chain, "Raydium CLMM", SOL, USDC)
    raw_sol, raw_usdc = market.reserves()[pool.address]
    assert raw_usdc * 1_000 / Fraction(raw_sol) == pytest.approx(24, rel=1e-3)


def test_an_impossible_configuration_is_refused_with_every_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        MarketConfig(speed=0.0, crowd_per_second=float("nan")).path()
    assert len(caught.value.problems) == 2
    with pytest.raises(ConfigError, match="cannot be read"):
        MarketConfig(prices_csv=tmp_path / "nowhere.csv").path()


@given(sol_usd=st.fractions(Fraction(1, 10**30), 10**30), bonk_usd=st.fractions(Fraction(1, 10**30), 10**30))
def test_target_reserves_always_fit_the_program(sol_usd: Fraction, bonk_usd: Fraction) -> None:
    from sniperforge.sandbox.genesis import plan_world

    world = plan_world(1)
    prices = {mint: token.start_usd for mint, token in world.tokens.items()} | {SOL: sol_usd, BONK: bonk_usd}
    for pool in world.pools:
        assert all(10**4 <= amount < 2**62 for amount in target_reserves(world, pool, prices))


def test_a_market_survives_the_death_of_its_process(tmp_path: Path) -> None:
    (tmp_path / "alive").mkdir()
    before = MarketChain.create(tmp_path / "alive" / "chain.sqlite")
    market = before.market(scenario="volatile", speed=3_600.0, crowd_per_second=3)
    before.run(market, 6)
    prices = [market.usd(mint) for mint in before.world.tokens]
    reserves = market.reserves()

    # What lies on the disk while the first chain is still open is what a killed process leaves behind.
    shutil.copytree(tmp_path / "alive", tmp_path / "killed")
    left_behind = tmp_path / "killed" / "chain.sqlite"
    chain = Chain(ChainConfig(skip_probability=0), left_behind, unix_time=before.now + 900)
    after = MarketChain(chain, load_world(chain, seed=1), now=before.now + 900)
    again = after.market(scenario="volatile", speed=3_600.0)
    assert [again.usd(mint) for mint in after.world.tokens] == prices
    assert again.reserves() == reserves
    after.run(again, 1)
    path_usd = ScenarioPath("volatile", 1).usd(after.world.tokens[SOL], 7 * 3_600_000)
    assert again.usd(SOL) == path_usd


def test_a_fork_takes_trades_back_but_not_the_market(market_chain: MarketChain) -> None:
    market = market_chain.market(scenario="volatile", speed=600.0)
    market_chain.run(market, 3)
    buy_sol(market_chain, market, "Raydium", 60_000 * 10**6)
    market_chain.run(market, 1)
    market.set_price(JUP, Fraction("0.5"))
    market_chain.chain.fork(2)
    assert market.usd(JUP) == Fraction("0.5")
    for pool in market_chain.world.pools:
        vaults = [market_chain.chain.account(vault) for vault in (pool.vault_a, pool.vault_b)]
        assert [amount_of(vault) for vault in vaults if vault] == list(market.reserves()[pool.address])
    market_chain.run(market, 60)
    assert market.usd(JUP) != Fraction("0.42")
    path = ScenarioPath("volatile", 1)
    pool = pool_of(market_chain, "Raydium", SOL, USDC)
    assert market_chain.off_path_bps(market, pool, path, 64 * 600_000) < 1
