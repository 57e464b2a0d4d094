"""Making plans, pausing, resuming and stopping them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sniperforge.domain.money import WSOL_MINT, Address
from sniperforge.errors import InvalidInputError, NodeUnavailableError, TokenError
from sniperforge.ports.plans import CatchUp, OccurrenceState, PlanState
from sniperforge.ports.queue import PlanId
from sniperforge.strategies.dca import DcaStrategy
from sniperforge.trading.plan_report import read_plan
from sniperforge.trading.strategy_executor import RoundOutcome
from tests.fakes.clock import START
from tests.fakes.plan_world import PlanWorld
from tests.fakes.records import USDC, WALLET, a_fill, a_plan, an_attempt

HOUR = timedelta(hours=1)
HOURLY = PlanId("hourly")


@pytest.fixture
def world() -> PlanWorld:
    return PlanWorld()


def refused(world: PlanWorld, **changes: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidInputError) as caught:
        world.make(**changes)
    return caught.value.problems or (str(caught.value),)


# --- making


def test_a_draft_tells_what_a_plan_would_do_and_writes_nothing(world: PlanWorld) -> None:
    values = world.values(amount_per_order=None, total_amount="10", orders=4)
    draft = world.desk.draft("dca", values, WALLET)
    assert (draft.outline.order_raw, draft.outline.orders, draft.outline.total_raw) == (2_500_000, 4, 10_000_000)
    assert [one.due_at for one in draft.rounds(3)] == [START, START + HOUR, START + 2 * HOUR]
    assert (draft.plan_id, draft.pair.input.decimals, draft.pair.output.decimals) == ("hourly", 6, 9)
    assert world.look(lambda books: books.plans.every()) == ()


def test_a_plan_is_kept_as_it_was_written_and_its_making_is_on_the_timeline(world: PlanWorld) -> None:
    plan = world.make(catch_up="once", max_lateness_s=77, max_price="180.50")
    assert world.plan() == plan
    assert plan.config == world.values(catch_up="once", max_lateness_s=77, max_price="180.50")
    assert (plan.kind, plan.wallet, plan.status, plan.state) == ("dca", WALLET, PlanState.ACTIVE, {"orders": 0})
    assert (plan.catch_up, plan.max_lateness_s) == (CatchUp.ONCE, 77)
    assert world.events("plan.created")[0].facts == {"plan": "hourly"}


def test_a_plan_begins_when_it_is_made_and_not_when_it_was_drafted(world: PlanWorld) -> None:
    draft = world.desk.draft("dca", world.values(), WALLET)
    world.clock.advance(HOUR / 2)
    assert world.desk.create(draft).next_due_at == START + HOUR / 2


def test_a_plan_whose_end_passed_while_somebody_thought_about_it_is_refused(world: PlanWorld) -> None:
    draft = world.desk.draft("dca", world.values(end_at="2026-01-01T12:10:00Z"), WALLET)
    world.clock.advance(HOUR)
    with pytest.raises(InvalidInputError, match="no round is left"):
        world.desk.create(draft)


def test_orders_that_no_longer_fit_when_somebody_agrees_are_refused(world: PlanWorld) -> None:
    values = world.values(amount_per_order=None, total_amount="10", orders=4, end_at="2026-01-01T15:00:00Z")
    draft = world.desk.draft("dca", values, WALLET)
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(InvalidInputError, match="orders: only 3 of 4 orders fit before end_at"):
        world.desk.create(draft)
    assert world.look(lambda books: books.plans.every()) == ()


def test_limits_wider_than_the_settings_and_amounts_too_fine_are_told_together(world: PlanWorld) -> None:
    assert refused(
        world,
        amount_per_order="0.0000001",
        max_slippage_bps=101,
        max_cost_bps=102,
        deadline_s=1_201,
        end_at="2026-01-01T11:00:00Z",
    ) == (
        "amount_per_order: 0.0000001 has more decimals than the token's 6. Use at most 6 digits after the point",
        "max_slippage_bps: 101 is wider than the settings allow (entry_slippage_bps: 100)",
        "max_cost_bps: 102 is wider than the settings allow (entry_slippage_bps: 100)",
        "deadline_s: 1201 is longer than the settings allow (trade_deadline_s: 1200)",
        "end_at: no round is left before 2026-01-01 11:00:00+00:00",
    )
    world.make(max_slippage_bps=100, max_cost_bps=100, deadline_s=1_200)


def test_what_is_wrong_whatever_the_tokens_are_is_told_without_them(world: PlanWorld) -> None:
    world.make()
    config = DcaStrategy().read(world.values(max_cost_bps=101, end_at="2026-01-01T11:00:00Z"))
    found = world.desk.problems("dca", config, None)
    assert [one.split(":")[0] for one in found] == ["max_cost_bps", "end_at", "name"]
    assert "there is a plan of this name, and it is active" in found[2]


def test_an_unknown_kind_is_refused(world: PlanWorld) -> None:
    with pytest.raises(InvalidInputError, match="Known are: dca"):
        world.desk.draft("grid", world.values(), WALLET)


@pytest.mark.parametrize("error", [TokenError("it can be frozen"), NodeUnavailableError("away")])
def test_tokens_that_are_dangerous_or_cannot_be_asked_about_make_no_plan(world: PlanWorld, error: Any) -> None:
    world.tokens.error = error
    with pytest.raises(type(error)):
        world.make()
    assert world.look(lambda books: books.plans.every()) == ()


def test_a_plan_of_a_wallet_that_the_books_do_not_know_is_refused(world: PlanWorld) -> None:
    draft = world.desk.draft("dca", world.values(), Address("nobody"))
    with pytest.raises(InvalidInputError):
        world.desk.create(draft)


def test_a_name_is_used_once_and_the_refusal_says_how_to_go_on(world: PlanWorld) -> None:
    draft = world.desk.draft("dca", world.values(), WALLET)
    world.make()
    with pytest.raises(InvalidInputError, match="it is active"):
        world.desk.create(draft)
    world.desk.pause(HOURLY, by="me")
    assert "strategy-resume hourly" in refused(world)[0]
    world.desk.stop(HOURLY, by="me")
    assert "choose another one" in refused(world)[0]


# --- pausing and resuming


def test_a_paused_plan_decides_nothing_and_is_not_rung_for(world: PlanWorld) -> None:
    world.make()
    assert world.desk.pause(HOURLY, by="me").status is PlanState.PAUSED
    assert world.run().outcome is RoundOutcome.NOT_DUE
    assert world.executor.ring_due_plans() == ()
    assert world.desk.rounds_of(world.plan(), 5) == ()
    assert world.events("plan.paused")[0].message == "plan hourly was paused by me"


def test_a_resumed_plan_goes_on_with_the_next_round_whatever_catch_up_says(world: PlanWorld) -> None:
    world.make(catch_up="once")
    world.run()
    world.desk.pause(HOURLY, by="me")
    world.clock.advance(3.5 * HOUR)
    resumed = world.desk.resume(HOURLY, by="me")
    assert (resumed.status, resumed.next_occurrence, resumed.next_due_at) == (PlanState.ACTIVE, 4, START + 4 * HOUR)
    assert world.run().outcome is RoundOutcome.NOT_DUE
    passed = world.rounds()[-1]
    assert (passed.occurrence, passed.state) == (1, OccurrenceState.SKIPPED)
    assert passed.reason == "3 rounds (1 to 3) were missed: the plan was paused"
    assert world.later(minutes=30).outcome is RoundOutcome.DECIDED


def test_a_short_pause_misses_nothing(world: PlanWorld) -> None:
    world.make()
    world.run()
    world.desk.pause(HOURLY, by="me")
    world.clock.advance(HOUR / 2)
    assert world.desk.resume(HOURLY, by="me").next_due_at == START + HOUR
    assert len(world.rounds()) == 1


def test_a_plan_whose_end_passed_while_it_was_paused_ends(world: PlanWorld) -> None:
    world.make(end_at="2026-01-01T14:00:00Z")
    world.desk.pause(HOURLY, by="me")
    world.clock.advance(5 * HOUR)
    assert world.desk.resume(HOURLY, by="me").status is PlanState.ENDED
    assert "its end_at passed" in world.events("plan.ended")[0].message


def test_a_paused_plan_without_a_further_round_ends_when_it_is_resumed(world: PlanWorld) -> None:
    with world.store.write() as books:
        books.plans.add(a_plan(status=PlanState.PAUSED, next_due_at=None))
    assert world.desk.resume(PlanId("weekly-sol"), by="me").status is PlanState.ENDED


# --- stopping


def test_a_stopped_plan_is_over_and_its_trades_go_on(world: PlanWorld) -> None:
    world.make()
    world.run()
    stopped = world.desk.stop(HOURLY, by="me")
    assert (stopped.status, stopped.next_due_at) == (PlanState.ENDED, None)
    assert world.later(hours=2).outcome is RoundOutcome.NOT_DUE
    (trade,) = world.trades()
    assert trade.cancel_requested_at is None


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ((), "resume"),
        (("pause",), "pause"),
        (("stop",), "pause"),
        (("stop",), "resume"),
        (("stop",), "stop"),
    ],
)
def test_what_a_plan_is_decides_what_can_be_done_with_it(world: PlanWorld, first: tuple[str, ...], then: str) -> None:
    world.make()
    for step in first:
        getattr(world.desk, step)(HOURLY, by="me")
    before = world.plan()
    with pytest.raises(InvalidInputError, match="the plan is"):
        getattr(world.desk, then)(HOURLY, by="me")
    assert world.plan() == before


@pytest.mark.parametrize("what", ["pause", "resume", "stop"])
def test_a_plan_that_is_not_there_is_named(world: PlanWorld, what: str) -> None:
    with pytest.raises(InvalidInputError, match="there is no plan of this name"):
        getattr(world.desk, what)(PlanId("nobody"), by="me")


# --- reporting


def test_a_report_adds_up_what_all_rounds_swapped_and_shows_the_newest(world: PlanWorld) -> None:
    world.make()
    for _ in range(3):
        world.run()
        world.clock.advance(HOUR)
    with world.store.write() as books:
        for trade, got in zip(world.trades()[:2], (30_000_000, 20_000_000), strict=True):
            attempt = an_attempt(trade)
            books.attempts.add(attempt)
            books.fills.add(a_fill(attempt, input_raw=5_000_000, output_raw=got))
    report = read_plan(world.store, HOURLY, rounds=2)
    assert [one.occurrence for one in report.rounds] == [2, 1]
    assert set(report.trades) == {one.intent_id for one in report.rounds}
    assert (report.spent_raw, report.got_raw, report.provisional) == (10_000_000, 50_000_000, 2)
    assert report.average_price(6, 9) == 200
    first, second, third = world.trades()
    filled = [report.fill_of(trade.id) for trade in (first, second)]
    assert [fill is not None and fill.output_raw for fill in filled] == [30_000_000, 20_000_000]
    assert report.fill_of(third.id) is None


def test_a_report_of_a_plan_without_fills_has_no_average(world: PlanWorld) -> None:
    world.make()
    report = read_plan(world.store, HOURLY, rounds=5)
    assert (report.rounds, report.spent_raw, report.average_price(6, 9)) == ((), 0, None)
    assert report.wallet is not None
    assert (report.input_mint, report.output_mint) == (USDC, WSOL_MINT)
