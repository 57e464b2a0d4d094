"""Price paths: seeded, shaped as their scenario says, and above zero whatever happens."""

import statistics
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.sandbox.genesis import plan_world
from sniperforge.sandbox.price_file import read_price_file
from sniperforge.sandbox.scenarios import DAY_MS, FilePath, ScenarioName, ScenarioPath, walk
from sniperforge.sandbox.tokens import BONK, HABITS, JUP, SOL, USDC, USDT, TokenSpec

TOKENS = plan_world(1).tokens
SCENARIOS: tuple[ScenarioName, ...] = get_args(ScenarioName)
SECOND_MS = 1_000


def change(path: ScenarioPath, token: TokenSpec, from_ms: int, to_ms: int) -> float:
    return float(path.usd(token, to_ms) / path.usd(token, from_ms) - 1)


def test_every_token_starts_at_its_start_price() -> None:
    for scenario in SCENARIOS:
        path = ScenarioPath(scenario, seed=4)
        assert all(path.usd(token, 0) == token.start_usd for token in TOKENS.values())
    assert TOKENS[SOL].start_usd == 180


def test_the_same_seed_gives_the_same_path_in_any_order() -> None:
    times = [n * 977_000 for n in range(50)]
    forwards = [ScenarioPath("volatile", 7).usd(TOKENS[JUP], ms) for ms in times]
    backwards = [ScenarioPath("volatile", 7).usd(TOKENS[JUP], ms) for ms in reversed(times)]
    assert forwards == backwards[::-1]


def test_another_seed_gives_another_path() -> None:
    assert ScenarioPath("calm", 1).usd(TOKENS[SOL], DAY_MS) != ScenarioPath("calm", 2).usd(TOKENS[SOL], DAY_MS)


def test_tokens_have_walks_of_their_own() -> None:
    path = ScenarioPath("calm", 1)
    jup, bonk = (change(path, TOKENS[mint], 0, DAY_MS) for mint in (JUP, BONK))
    assert jup / HABITS[JUP].beta != pytest.approx(bonk / HABITS[BONK].beta, rel=1e-6)


@given(seed=st.integers(0, 10_000))
def test_crash_has_lost_sixty_percent_after_four_market_days(seed: int) -> None:
    lost = -change(ScenarioPath("crash", seed), TOKENS[SOL], 0, 4 * DAY_MS)
    assert 0.58 <= lost <= 0.62


def test_crash_falls_day_by_day_and_not_at_once() -> None:
    for seed in range(20):
        path = ScenarioPath("crash", seed)
        assert change(path, TOKENS[SOL], 0, DAY_MS) > -0.45
        assert change(path, TOKENS[SOL], 0, 3 * DAY_MS) < -0.3


def test_a_crash_takes_high_beta_tokens_down_further() -> None:
    falls = [
        [change(ScenarioPath("crash", seed), TOKENS[mint], 0, 4 * DAY_MS) for seed in range(20)] for mint in (SOL, BONK)
    ]
    assert statistics.mean(falls[1]) < statistics.mean(falls[0]) - 0.05


def test_moon_has_tripled_after_four_market_days() -> None:
    assert change(ScenarioPath("moon", 3), TOKENS[SOL], 0, 4 * DAY_MS) == pytest.approx(2.0, abs=0.05)


def test_after_its_trend_a_path_goes_on_without_a_jump() -> None:
    for scenario in ("crash", "moon"):
        path = ScenarioPath(scenario, 5)
        assert abs(change(path, TOKENS[SOL], 4 * DAY_MS - SECOND_MS, 4 * DAY_MS + SECOND_MS)) < 0.002
        assert path.usd(TOKENS[SOL], 5 * DAY_MS) != path.usd(TOKENS[SOL], 6 * DAY_MS)


def test_flat_never_moves() -> None:
    path = ScenarioPath("flat", 1)
    assert all(
        path.usd(token, days * DAY_MS) == token.start_usd for token in TOKENS.values() for days in (-1, 0, 1, 400)
    )


def test_calm_moves_by_fractions_of_a_basis_point_a_second_and_volatile_by_more() -> None:
    def typical(scenario: ScenarioName) -> float:
        path = ScenarioPath(scenario, 1)
        moves = [change(path, TOKENS[SOL], n * 60_000, n * 60_000 + SECOND_MS) for n in range(500)]
        return statistics.pstdev(moves)

    assert 0.1e-4 < typical("calm") < 1e-4
    assert typical("volatile") > 4 * typical("calm")


def test_one_day_of_the_walk_has_a_standard_deviation_of_one() -> None:
    moves = [walk(f"walk {n}", 3 * DAY_MS) - walk(f"walk {n}", 2 * DAY_MS) for n in range(1_500)]
    assert statistics.pstdev(moves) == pytest.approx(1.0, abs=0.1)
    assert statistics.mean(moves) == pytest.approx(0.0, abs=0.15)


def test_the_walk_stays_within_bounds_for_years() -> None:
    assert all(abs(walk("long", month * 30 * DAY_MS)) < 25 for month in range(240))


@given(scenario=st.sampled_from(SCENARIOS), seed=st.integers(0, 50), days=st.floats(0, 4_000))
def test_stablecoins_stay_within_fifteen_basis_points(scenario: ScenarioName, seed: int, days: float) -> None:
    path = ScenarioPath(scenario, seed)
    for mint in (USDC, USDT):
        assert abs(change(path, TOKENS[mint], 0, int(days * DAY_MS))) < 0.0015


@given(
    scenario=st.sampled_from(SCENARIOS),
    seed=st.integers(0, 2**64),
    mint=st.sampled_from(sorted(TOKENS, key=str)),
    market_ms=st.integers(-400 * DAY_MS, 40_000 * DAY_MS),
)
def test_a_price_is_always_above_zero_and_exact(
    scenario: ScenarioName, seed: int, mint: object, market_ms: int
) -> None:
    token = next(token for token in TOKENS.values() if token.mint == mint)
    usd = ScenarioPath(scenario, seed).usd(token, market_ms)
    assert isinstance(usd, Fraction)
    assert usd > 0


def write_csv(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(("time_utc,open,high,low,close,volume", *rows)) + "\n")
    return path


def file_path(tmp_path: Path) -> FilePath:
    csv = write_csv(
        tmp_path / "prices.csv",
        "2022-01-01 00:00:00,100,112,97,109,5",
        "2022-01-01 01:00:00,109,109,50,50,5",
    )
    return FilePath(read_price_file(csv), seed=1)


def test_a_file_is_followed_through_open_low_high_and_close(tmp_path: Path) -> None:
    path = file_path(tmp_path)
    prices = [path.usd(TOKENS[SOL], minutes * 60_000) for minutes in (0, 10, 20, 40, 60)]
    assert prices == [100, Fraction(197, 2), 97, 112, 109]


def test_a_falling_bar_visits_its_high_first(tmp_path: Path) -> None:
    path = file_path(tmp_path)
    assert [path.usd(TOKENS[SOL], minutes * 60_000) for minutes in (80, 100, 120)] == [109, 50, 50]


def test_after_its_end_a_file_holds_the_last_close(tmp_path: Path) -> None:
    assert file_path(tmp_path).usd(TOKENS[SOL], 30 * DAY_MS) == 50


def test_before_its_beginning_a_file_has_no_price(tmp_path: Path) -> None:
    assert file_path(tmp_path).usd(TOKENS[SOL], -1) is None


def test_other_tokens_follow_the_file_by_their_beta(tmp_path: Path) -> None:
    bonk = file_path(tmp_path).usd(TOKENS[BONK], 7_200_000)
    assert bonk is not None
    assert 0.3 < bonk / TOKENS[BONK].start_usd < 0.45  # half to the power of 1.4, and a little noise
