"""What an entry may cost in all, against the independent prices; an exit must get out."""

from __future__ import annotations

import pytest

from sniperforge.domain.intent import ExposureEffect, IntentState
from tests.fakes.trading_world import TradingWorld


def tried(world: TradingWorld, *, raw: int, max_cost_bps: int | None, effect: ExposureEffect) -> tuple[str, int]:
    """The reason after one ring, and how many transactions were signed."""
    intent = world.decide(input_raw=raw, max_cost_bps=max_cost_bps, effect=effect)
    world.executor().advance(intent)
    return world.intent(intent).reason or "", len(world.attempts(intent))


def test_the_chains_fee_weighs_on_a_small_entry_and_not_on_a_large_one() -> None:
    reason, signed = tried(TradingWorld(), raw=10_000, max_cost_bps=50, effect=ExposureEffect.ENTRY)
    assert "all costs together are" in reason
    assert "the limit is 50" in reason
    assert signed == 0
    assert tried(TradingWorld(), raw=25_000_000, max_cost_bps=50, effect=ExposureEffect.ENTRY) == ("", 1)


def test_an_exit_is_never_refused_for_its_costs() -> None:
    assert tried(TradingWorld(), raw=10_000, max_cost_bps=1, effect=ExposureEffect.EXIT) == ("", 1)


def test_the_cap_of_slippage_is_the_cap_of_costs_when_none_is_given() -> None:
    reason, signed = tried(TradingWorld(), raw=1_000, max_cost_bps=None, effect=ExposureEffect.ENTRY)
    assert "the limit is 100" in reason
    assert signed == 0


def test_an_entry_that_costs_too_much_waits_and_is_tried_again() -> None:
    world = TradingWorld()
    intent = world.decide(input_raw=10_000, max_cost_bps=50)
    standing = world.executor().advance(intent)
    assert standing.intent.state is IntentState.PENDING
    assert standing.wait.total_seconds() == pytest.approx(2)
