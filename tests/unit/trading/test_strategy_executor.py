"""Rounds of plans: decided once or skipped with a reason, whoever looks, however often, and whatever breaks between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from sniperforge.domain.ids import round_key
from sniperforge.domain.intent import ExposureEffect, IntentState
from sniperforge.domain.money import WSOL_MINT
from sniperforge.domain.risk import RiskLimits
from sniperforge.errors import (
    AuthenticationError,
    ConflictError,
    InvalidInputError,
    NodeUnavailableError,
    PriceUnavailableError,
    QueueUnavailableError,
    TokenError,
)
from sniperforge.ports.plans import OccurrenceState, PlanState
from sniperforge.ports.queue import PlanId
from sniperforge.ports.records import TradingMode
from sniperforge.trading.protections import Protections
from sniperforge.trading.strategy_executor import RoundOutcome
from tests.fakes.clock import START
from tests.fakes.plan_world import PlanWorld
from tests.fakes.records import USDC, WALLET, an_attempt, an_intent
from tests.fakes.trading_world import Killed

HOUR = timedelta(hours=1)
DECIDED, SKIPPED = OccurrenceState.DECIDED, OccurrenceState.SKIPPED


@pytest.fixture
def world() -> PlanWorld:
    return PlanWorld()


def states(world: PlanWorld) -> list[tuple[int, OccurrenceState]]:
    return [(one.occurrence, one.state) for one in world.rounds()]


# --- one round


def test_a_due_round_becomes_one_trade_with_the_plans_limits(world: PlanWorld) -> None:
    world.make(max_price="200", max_slippage_bps=60, max_cost_bps=40, deadline_s=120)
    result = world.run()
    (trade,) = world.trades()
    assert (result.outcome, result.intent_id, result.rung) == (RoundOutcome.DECIDED, trade.id, True)
    assert trade.key == round_key("dca", "hourly", 0) == "dca:hourly:0"
    assert (trade.plan_id, trade.occurrence, trade.state) == ("hourly", 0, IntentState.PENDING)
    assert (trade.wallet, trade.input_mint, trade.output_mint) == (WALLET, USDC, WSOL_MINT)
    assert (trade.input_amount_raw, trade.effect) == (5_000_000, ExposureEffect.ENTRY)
    assert (trade.max_slippage_bps, trade.max_cost_bps) == (60, 40)
    assert trade.deadline_at == START + timedelta(seconds=120)
    assert trade.min_out_per_input == 5
    assert world.bells.trades == [trade.id]


def test_the_books_tell_of_the_round_and_wait_for_the_next(world: PlanWorld) -> None:
    world.make()
    result = world.run()
    (one,) = world.rounds()
    assert (one.state, one.intent_id, one.due_at, one.decided_at) == (DECIDED, result.intent_id, START, START)
    plan = world.plan()
    assert (plan.next_occurrence, plan.next_due_at, plan.state) == (1, START + HOUR, {"orders": 1})


def test_a_round_that_is_not_due_is_left_alone(world: PlanWorld) -> None:
    world.make(start_at="2026-01-01T12:00:01Z")
    assert world.run().outcome is RoundOutcome.NOT_DUE
    assert world.later(seconds=1).outcome is RoundOutcome.DECIDED
    assert world.later(seconds=3_599).outcome is RoundOutcome.NOT_DUE
    assert len(world.trades()) == 1


def test_a_round_is_decided_though_the_trade_of_the_last_one_is_still_open(world: PlanWorld) -> None:
    world.make()
    world.run()
    world.later(hours=1)
    assert [trade.state for trade in world.trades()] == [IntentState.PENDING, IntentState.PENDING]


def test_an_unknown_plan_is_named_with_the_nearest_one(world: PlanWorld) -> None:
    world.make()
    with pytest.raises(InvalidInputError, match="Did you mean hourly"):
        world.run("hurly")


def test_the_dca_entry_is_for_dca_plans(world: PlanWorld) -> None:
    world.make()
    assert world.executor.execute_dca_strategy(PlanId("hourly")).outcome is RoundOutcome.DECIDED


def test_the_dca_entry_refuses_other_kinds(world: PlanWorld) -> None:
    from tests.fakes.records import a_plan

    with world.store.write() as books:
        books.plans.add(a_plan(kind="momentum"))
    with pytest.raises(InvalidInputError, match="kind momentum"):
        world.executor.execute_dca_strategy(PlanId("weekly-sol"))


# --- who rings


def test_every_due_plan_is_rung_for_and_no_other(world: PlanWorld) -> None:
    world.make(name="a")
    world.make(name="b", start_at="2026-01-01T13:00:00Z")
    world.make(name="c")
    assert world.executor.ring_due_plans() == ("a", "c")
    assert world.bells.plans == ["a", "c"]
    world.run("a")
    assert world.executor.ring_due_plans() == ("c",)


def test_a_queue_that_is_away_leaves_plans_due(world: PlanWorld) -> None:
    world.make()
    world.bells.away = True
    with pytest.raises(QueueUnavailableError):
        world.executor.ring_due_plans()
    world.bells.away = False
    assert world.executor.ring_due_plans() == ("hourly",)


def test_a_decided_trade_survives_a_queue_that_is_away(world: PlanWorld) -> None:
    world.make()
    world.bells.away = True
    result = world.run()
    assert (result.outcome, result.rung) == (RoundOutcome.DECIDED, False)
    assert [trade.id for trade in world.trades()] == [result.intent_id]


# --- once


def test_a_doubled_bell_decides_once(world: PlanWorld) -> None:
    world.make()
    assert [world.run().outcome for _ in range(3)] == [RoundOutcome.DECIDED, RoundOutcome.NOT_DUE, RoundOutcome.NOT_DUE]
    assert len(world.trades()) == 1


def test_of_two_executors_at_once_one_decides(world: PlanWorld) -> None:
    world.make(max_price="200")
    other: list[RoundOutcome] = []
    world.points.once("pricing", lambda: other.append(world.run().outcome))
    result = world.run()
    assert (result.outcome, other) == (RoundOutcome.OVERTAKEN, [RoundOutcome.DECIDED])
    assert states(world) == [(0, DECIDED)]
    assert len(world.bells.trades) == 1


def test_a_plan_that_is_paused_while_a_round_is_decided_decides_nothing(world: PlanWorld) -> None:
    world.make(max_price="200")
    world.points.once("pricing", lambda: world.desk.pause(PlanId("hourly"), by="somebody"))
    assert world.run().outcome is RoundOutcome.OVERTAKEN
    assert world.trades() == []


@pytest.mark.parametrize("point", ["reading", "pricing", "writing", "committing", "committed", "ringing"])
def test_a_crash_between_any_two_steps_loses_nothing_and_doubles_nothing(world: PlanWorld, point: str) -> None:
    world.make(max_price="200")

    def die() -> None:
        raise Killed

    world.points.once(point, die)
    with pytest.raises(Killed):
        world.run()
    world.run()
    assert states(world) == [(0, DECIDED)]
    (trade,) = world.trades()
    assert world.rounds()[0].intent_id == trade.id
    assert world.plan().next_occurrence == 1


def test_a_trade_that_exists_while_its_round_is_open_stops_the_plan_from_advancing(world: PlanWorld) -> None:
    """Rule decide-once: never "insert or ignore, then advance"."""
    world.make()
    key = round_key("dca", "hourly", 0)
    with world.store.write() as books:
        books.intents.add(an_intent(key=key, input_amount_raw=5_000_000, min_out_per_input=None))
    with pytest.raises(InvalidInputError, match="nothing was written"):
        world.run()
    assert world.plan().next_occurrence == 0
    assert world.rounds() == []


def test_a_round_number_that_was_used_rolls_everything_back(world: PlanWorld) -> None:
    plan = world.make()
    world.run()
    with world.store.write() as books:
        current = books.plans.get(plan.id)
        assert current is not None
        books.plans.change(current, at=START, next_occurrence=0, next_due_at=START)
    with pytest.raises((ConflictError, InvalidInputError)):
        world.run()
    assert states(world) == [(0, DECIDED)]
    assert len(world.trades()) == 1


# --- time


def test_a_clock_that_jumps_back_decides_nothing_twice(world: PlanWorld) -> None:
    world.make()
    for _ in range(3):
        world.run()
        world.clock.advance(HOUR)
    decided = states(world)
    world.clock.jump(START)
    assert world.run().outcome is RoundOutcome.NOT_DUE
    assert states(world) == decided
    world.clock.jump(START + 3 * HOUR)
    world.run()
    assert [number for number, _ in states(world)] == [0, 1, 2, 3]


def test_rounds_missed_while_nothing_ran_are_told_of_once_and_skipped(world: PlanWorld) -> None:
    world.make(max_lateness_s=600)
    world.run()
    result = world.later(hours=5, minutes=11)
    assert result.outcome is RoundOutcome.SKIPPED
    assert len(world.trades()) == 1
    missed = world.rounds()[-1]
    assert (missed.occurrence, missed.state, missed.due_at) == (1, SKIPPED, START + HOUR)
    assert missed.reason == "5 rounds (1 to 5) were missed: the last of them was 660 s late, and max_lateness_s is 600"
    assert (world.plan().next_occurrence, world.plan().next_due_at) == (6, START + 6 * HOUR)
    assert [event.message for event in world.events("plan.missed")] == [f"plan hourly: {missed.reason}"]


def test_a_round_within_its_lateness_is_decided_and_stands_for_those_before_it(world: PlanWorld) -> None:
    world.make(max_lateness_s=600)
    world.run()
    assert world.later(hours=3, minutes=10).outcome is RoundOutcome.DECIDED
    assert states(world) == [(0, DECIDED), (1, SKIPPED), (3, DECIDED)]
    assert world.rounds()[1].reason == "2 rounds (1 to 2) were missed: round 3 stands for them"


def test_catching_up_once_makes_up_for_all_missed_rounds_by_one(world: PlanWorld) -> None:
    """A laptop slept for an hour and more."""
    world.make(catch_up="once", max_lateness_s=60)
    world.run()
    assert world.later(hours=5, minutes=30).outcome is RoundOutcome.DECIDED
    assert states(world) == [(0, DECIDED), (1, SKIPPED), (5, DECIDED)]
    assert world.run().outcome is RoundOutcome.NOT_DUE
    assert world.plan().next_due_at == START + 6 * HOUR


def test_one_missed_round_is_told_of_as_one(world: PlanWorld) -> None:
    world.make(max_lateness_s=60)
    assert world.later(minutes=2).outcome is RoundOutcome.SKIPPED
    assert (world.rounds()[0].reason or "").startswith("round 0 was missed: ")


def test_short_rounds_come_in_no_burst_after_a_pause_of_the_machine(world: PlanWorld) -> None:
    world.make(schedule={"interval_s": 5}, max_lateness_s=300)
    world.run()
    assert world.later(seconds=62).outcome is RoundOutcome.DECIDED
    assert world.run().outcome is RoundOutcome.NOT_DUE
    assert len(world.trades()) == 2


# --- prices


def test_a_price_above_the_band_skips_the_round_with_the_price_and_goes_on(world: PlanWorld) -> None:
    world.make(max_price="200")
    world.prices.now = Decimal("200.01")
    assert world.run().outcome is RoundOutcome.SKIPPED
    assert world.rounds()[0].reason == "the price is 200.01, above max_price (200)"
    world.prices.now = Decimal(200)
    assert world.later(hours=1).outcome is RoundOutcome.DECIDED
    assert states(world) == [(0, SKIPPED), (1, DECIDED)]
    assert world.plan().state == {"orders": 1}


def test_a_price_below_the_band_skips_the_round(world: PlanWorld) -> None:
    world.make(min_price="100.5")
    world.prices.now = Decimal("100.49")
    assert world.run().outcome is RoundOutcome.SKIPPED
    assert world.rounds()[0].reason == "the price is 100.49, below min_price (100.5)"


def test_a_plan_without_a_band_asks_for_no_price(world: PlanWorld) -> None:
    world.make()
    world.prices.now = PriceUnavailableError("stale")
    assert world.run().outcome is RoundOutcome.DECIDED
    assert world.prices.asked == 0


@pytest.mark.parametrize(
    "error", [PriceUnavailableError("stale"), NodeUnavailableError("away"), AuthenticationError("key refused")]
)
def test_without_a_price_a_round_waits_until_it_is_too_late_and_says_why(world: PlanWorld, error: Any) -> None:
    world.make(max_price="200", max_lateness_s=60)
    world.prices.now = error
    assert world.run().outcome is RoundOutcome.WAITING
    assert world.later(seconds=60).outcome is RoundOutcome.WAITING
    assert world.rounds() == []
    assert world.later(seconds=1).outcome is RoundOutcome.SKIPPED
    assert world.trades() == []


def test_a_round_that_waited_is_decided_when_the_price_is_back(world: PlanWorld) -> None:
    world.make(max_price="200", max_lateness_s=60)
    world.prices.now = PriceUnavailableError("stale")
    world.run()
    world.prices.now = Decimal(150)
    assert world.later(seconds=30).outcome is RoundOutcome.DECIDED


def test_a_round_to_be_made_up_for_waits_for_its_price_until_the_next_is_due(world: PlanWorld) -> None:
    """Whoever wakes has no network yet."""
    world.make(max_price="200", max_lateness_s=60, catch_up="once")
    world.run()
    world.prices.now = NodeUnavailableError("no network yet")
    assert world.later(hours=2, minutes=30).outcome is RoundOutcome.WAITING
    world.prices.now = Decimal(150)
    assert world.later(minutes=5).outcome is RoundOutcome.DECIDED
    assert states(world) == [(0, DECIDED), (1, SKIPPED), (2, DECIDED)]


def test_the_last_round_to_be_made_up_for_does_not_wait_for_ever(world: PlanWorld) -> None:
    world.make(max_price="200", max_lateness_s=60, catch_up="once", end_at="2026-01-01T12:30:00Z")
    world.prices.now = PriceUnavailableError("no price for it")
    assert world.later(seconds=60).outcome is RoundOutcome.WAITING
    assert world.later(seconds=1).outcome is RoundOutcome.SKIPPED
    assert "no price for it" in (world.rounds()[0].reason or "")
    assert world.plan().status is PlanState.ENDED


def test_a_token_that_became_dangerous_skips_the_round_at_once(world: PlanWorld) -> None:
    world.make()
    world.tokens.error = TokenError("its owner can take anybody's balance", subject="X")
    assert world.run().outcome is RoundOutcome.SKIPPED
    assert "can take anybody's balance" in (world.rounds()[0].reason or "")
    assert world.plan().next_occurrence == 1


# --- controls


@pytest.mark.parametrize("mode", [TradingMode.HALTED, TradingMode.REDUCING])
def test_a_stopped_system_skips_the_round_with_its_reason(world: PlanWorld, mode: TradingMode) -> None:
    world.make()
    world.mode(mode, "tea time")
    assert world.run().outcome is RoundOutcome.SKIPPED
    assert f"trading is {mode.value}: tea time" in (world.rounds()[0].reason or "")
    assert world.plan().state == {"orders": 0}
    world.mode(TradingMode.ACTIVE, "")
    assert world.later(hours=1).outcome is RoundOutcome.DECIDED


def test_a_round_that_protections_deny_is_skipped_with_the_rule_and_the_next_one_is_looked_at_anew(
    world: PlanWorld,
) -> None:
    plain, limits = world.policy, RiskLimits(spend_per_day_usd=5)
    world.policy = replace(plain, protections=Protections(limits))
    world.make()
    assert world.run().outcome is RoundOutcome.DECIDED
    with world.store.write() as books:
        spent = an_attempt(world.trades()[0], input_amount_raw=5_000_000, created_at=START)
        books.attempts.add(spent)
    result = world.later(hours=1)
    assert result.outcome is RoundOutcome.SKIPPED
    assert result.text.startswith("max_spend_per_day_usd: of 5 for 24 hours 5.00 are spent")
    assert world.rounds()[1].reason == result.text

    world.policy = plain
    assert world.later(hours=1).outcome is RoundOutcome.DECIDED
    assert [state for _, state in states(world)] == [DECIDED, SKIPPED, DECIDED]


def test_a_stopped_wallet_skips_the_round_with_its_reason(world: PlanWorld) -> None:
    world.make()
    with world.store.write() as books:
        wallet = books.wallets.get(WALLET)
        assert wallet is not None
        books.wallets.change(wallet, mode=TradingMode.HALTED, mode_reason="somebody else used it")
    world.run()
    assert "wallet main is halted: somebody else used it" in (world.rounds()[0].reason or "")


# --- the end


def test_a_total_is_spent_to_the_last_base_unit_and_the_plan_ends(world: PlanWorld) -> None:
    world.make(amount_per_order=None, total_amount="10.000001", orders=3)
    for _ in range(4):
        world.run()
        world.clock.advance(HOUR)
    amounts = [trade.input_amount_raw for trade in world.trades()]
    assert amounts == [3_333_333, 3_333_333, 3_333_335]
    plan = world.plan()
    assert (plan.status, plan.next_due_at) == (PlanState.ENDED, None)
    assert [event.message for event in world.events("plan.ended")] == [
        "plan hourly ended: all of its 3 orders were decided"
    ]


def test_skipped_rounds_use_up_no_order(world: PlanWorld) -> None:
    world.make(amount_per_order=None, total_amount="9", orders=3, max_price="200")
    for price in (150, 250, 150, 250, 150, 150):
        world.prices.now = Decimal(price)
        world.run()
        world.clock.advance(HOUR)
    assert [trade.occurrence for trade in world.trades()] == [0, 2, 4]
    assert sum(trade.input_amount_raw or 0 for trade in world.trades()) == 9_000_000


def test_no_round_is_decided_after_the_end(world: PlanWorld) -> None:
    world.make(end_at="2026-01-01T14:00:00Z")
    for _ in range(5):
        world.run()
        world.clock.advance(HOUR)
    assert [trade.occurrence for trade in world.trades()] == [0, 1, 2]
    assert world.plan().status is PlanState.ENDED
    assert "no round is left before its end_at" in world.events("plan.ended")[0].message


def test_a_plan_that_slept_past_its_end_is_told_of_and_ends(world: PlanWorld) -> None:
    world.make(end_at="2026-01-01T14:00:00Z", max_lateness_s=60)
    world.run()
    assert world.later(days=3).outcome is RoundOutcome.SKIPPED
    assert (world.rounds()[-1].reason or "").startswith("2 rounds (1 to 2) were missed")
    assert world.plan().status is PlanState.ENDED


# --- jitter


def test_jitter_delays_each_round_differently_and_never_past_its_limit(world: PlanWorld) -> None:
    world.make(jitter_s=600)
    delays = []
    for number in range(6):
        due = world.plan().next_due_at
        assert due is not None
        delays.append(due - START - number * HOUR)
        world.clock.jump(due)
        assert world.run().outcome is RoundOutcome.DECIDED
    assert all(timedelta(0) <= delay <= timedelta(seconds=600) for delay in delays)
    assert len(set(delays)) > 4
    assert [one.occurrence for one in world.rounds()] == list(range(6))


def test_jitter_is_the_same_for_everybody(world: PlanWorld) -> None:
    first, second = (PlanWorld().make(jitter_s=600).next_due_at for _ in range(2))
    assert first == second != world.make(name="other", jitter_s=600).next_due_at


def test_a_round_whose_jitter_is_still_to_come_is_not_taken_early(world: PlanWorld) -> None:
    """The machine wakes between a round's moment and the moment with its jitter."""
    world.make(jitter_s=3_599, catch_up="once")
    dues = [one.due_at for one in world.desk.rounds_of(world.plan(), 8)]
    late = next(number for number, due in enumerate(dues) if number > 2 and due - START - number * HOUR > HOUR / 4)
    world.clock.jump(START + late * HOUR + timedelta(seconds=1))
    assert world.run().outcome is RoundOutcome.DECIDED
    assert world.rounds()[-1].occurrence == late - 1
    assert world.plan().next_due_at == dues[late]
    assert all(one < two for one, two in pairwise(dues))


def test_times_of_the_books_are_utc(world: PlanWorld) -> None:
    world.make(start_at="2026-01-01T14:00:00+01:00")
    assert world.plan().next_due_at == datetime(2026, 1, 1, 13, 0, tzinfo=UTC)
