"""What entries may spend, per trade and per day; held in the transaction that inserts an attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import ExposureEffect, IntentState, TradeIntent
from sniperforge.trading.spend_limits import SpendLimits
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_orders import JUP, USDC
from tests.fakes.trading_world import TradingWorld


def a_world(*, per_trade: int | None = None, per_day: int | None = None) -> TradingWorld:
    """Each trade of it gives 25 USDC, worth 25 USD."""
    world = TradingWorld()
    world.policy = replace(world.policy, spend_limits=SpendLimits(per_trade_usd=per_trade, per_day_usd=per_day))
    return world


def ended(world: TradingWorld, name: str, **changes: Any) -> TradeIntent:
    return world.finish(world.decide(name, **changes))


def is_refused(intent: TradeIntent, limit: str) -> bool:
    return intent.state is IntentState.FAILED and limit in (intent.reason or "")


def test_an_entry_beyond_the_limit_of_a_trade_is_never_signed() -> None:
    world = a_world(per_trade=24)
    intent = ended(world, "one")
    assert is_refused(intent, "max_spend_per_trade_usd: it is worth 25.00 USD, and a trade may spend 24")
    assert world.attempts() == ()
    assert world.chain.ours() == []


def test_an_entry_within_it_is_signed() -> None:
    assert ended(a_world(per_trade=25), "one").state is IntentState.FILLED


def test_entries_of_a_day_share_one_limit_and_the_next_day_has_its_own() -> None:
    world = a_world(per_day=60)
    assert ended(world, "one").state is IntentState.FILLED
    assert ended(world, "two").state is IntentState.FILLED
    assert is_refused(
        ended(world, "three"), "max_spend_per_day_usd: it is worth 25.00 USD, and of 60 for 24 hours 50.00"
    )
    world.clock.jump(world.clock.now() + timedelta(hours=25))
    world.publish()
    assert ended(world, "four").state is IntentState.FILLED


def test_what_may_still_land_counts_in_full() -> None:
    world = a_world(per_day=30)
    world.signed("in-flight")
    assert is_refused(ended(world, "two"), "max_spend_per_day_usd")


def test_what_landed_with_an_error_gave_nothing_and_does_not_count() -> None:
    world = a_world(per_day=30)
    failed = world.signed("fails-on-chain")
    world.chain.include(failed.signature, err=TOO_LITTLE)
    world.chain.holding = False
    assert world.finish(failed.intent_id).state is IntentState.FILLED
    assert len(world.attempts(failed.intent_id)) == 2


def test_an_exit_is_never_held_back() -> None:
    world = a_world(per_trade=1, per_day=1)
    exit_: IntentId = world.decide("out", effect=ExposureEffect.EXIT, input_mint=USDC, output_mint=JUP)
    assert world.finish(exit_).state is IntentState.FILLED


@pytest.mark.parametrize("limits", [{}, {"per_trade": 25, "per_day": 25}])
def test_without_limits_and_at_the_limit_nothing_is_refused(limits: dict[str, int]) -> None:
    assert ended(a_world(**limits), "one").state is IntentState.FILLED
