"""Whatever happens in whatever order, a round is decided at most once, and the books say what became of each."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sniperforge.domain.ids import round_key
from sniperforge.errors import InvalidInputError, PriceUnavailableError
from sniperforge.ports.plans import OccurrenceState, PlanState
from sniperforge.ports.queue import PlanId
from sniperforge.ports.records import TradingMode
from tests.fakes.plan_world import PlanWorld
from tests.fakes.trading_world import Killed

HOURLY = PlanId("hourly")
ORDERS, TOTAL_RAW = 7, 10_000_003
POINTS = ("reading", "pricing", "writing", "committing", "committed", "ringing")


class Rounds(RuleBasedStateMachine):
    """One plan in a world where clocks jump, processes die, prices vanish and people interfere."""

    @initialize(
        catch_up=st.sampled_from(["skip", "once"]), jitter_s=st.integers(0, 3_599), lateness=st.integers(1, 7_200)
    )
    def begin(self, catch_up: str, jitter_s: int, lateness: int) -> None:
        self.world = PlanWorld()
        self.world.make(
            amount_per_order=None,
            total_amount="10.000003",
            orders=ORDERS,
            max_price="200",
            catch_up=catch_up,
            jitter_s=jitter_s,
            max_lateness_s=lateness,
        )
        self.seen: dict[int, str | None] = {}

    @rule()
    def look(self) -> None:
        self.world.run()

    @rule(point=st.sampled_from(POINTS))
    def look_and_die(self, point: str) -> None:
        def die() -> None:
            raise Killed

        self.world.points.once(point, die)
        with suppress(Killed):
            self.world.run()
        self.world.points.on = lambda _: None

    @rule()
    def two_look(self) -> None:
        self.world.points.once("pricing", self.world.run)
        self.world.run()
        self.world.points.on = lambda _: None

    @rule(minutes=st.integers(1, 300))
    def time_passes(self, minutes: int) -> None:
        self.world.clock.advance(timedelta(minutes=minutes))

    @rule(hours=st.integers(-5, 5))
    def somebody_sets_the_clock(self, hours: int) -> None:
        self.world.clock.jump(self.world.clock.now() + timedelta(hours=hours))

    @rule(price=st.sampled_from([Decimal(150), Decimal(250), None]))
    def the_price_becomes(self, price: Decimal | None) -> None:
        self.world.prices.now = PriceUnavailableError("none") if price is None else price

    @rule(mode=st.sampled_from(TradingMode))
    def trading_becomes(self, mode: TradingMode) -> None:
        self.world.mode(mode, "a person said so")

    @rule(away=st.booleans())
    def the_queue_comes_and_goes(self, away: bool) -> None:  # noqa: FBT001 (Hypothesis calls it)
        self.world.bells.away = away

    @rule(what=st.sampled_from(["pause", "resume"]))
    def somebody_interferes(self, what: str) -> None:
        with suppress(InvalidInputError):
            getattr(self.world.desk, what)(HOURLY, by="somebody")

    @invariant()
    def every_round_has_one_fate_and_keeps_it(self) -> None:
        rounds = {one.occurrence: one.intent_id for one in self.world.rounds()}
        assert self.seen.items() <= rounds.items()
        assert all(number < self.world.plan().next_occurrence for number in rounds)
        self.seen = dict(rounds)

    @invariant()
    def trades_are_the_decided_rounds(self) -> None:
        trades = {trade.occurrence: trade for trade in self.world.trades()}
        decided = {one.occurrence for one in self.world.rounds() if one.state is OccurrenceState.DECIDED}
        assert set(trades) == decided
        assert all(trade.key == round_key("dca", "hourly", number or 0) for number, trade in trades.items())

    @invariant()
    def what_was_decided_never_exceeds_the_total_and_ends_at_it(self) -> None:
        amounts = [trade.input_amount_raw or 0 for trade in self.world.trades()]
        plan = self.world.plan()
        assert (plan.status is PlanState.ENDED) == (len(amounts) == ORDERS)
        assert sum(amounts) == TOTAL_RAW if len(amounts) == ORDERS else sum(amounts) < TOTAL_RAW
        assert plan.state == {"orders": len(amounts)}

    @invariant()
    def a_bell_rings_for_trades_that_exist_and_once_for_each(self) -> None:
        rung = self.world.bells.trades
        assert len(rung) == len(set(rung))
        assert set(rung) <= {trade.id for trade in self.world.trades()}


TestRounds = Rounds.TestCase
TestRounds.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
