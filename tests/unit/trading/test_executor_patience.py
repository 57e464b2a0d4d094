"""How long the executor waits between two looks at the chain."""

from __future__ import annotations

from datetime import timedelta

from sniperforge.domain.intent import IntentState
from sniperforge.trading.executor_policy import Until
from tests.fakes.trading_world import TradingWorld

POLL = timedelta(milliseconds=400)
AT_MOST = timedelta(seconds=2)


def test_a_landing_that_is_not_final_is_looked_at_ever_less_often() -> None:
    world = TradingWorld()
    intent = world.executor().run(world.decide(), until=Until.CONFIRMED).id
    world.pass_time(milliseconds=400)

    pauses = []
    while not (standing := world.executor().advance(intent)).settled:
        pauses.append(standing.wait)
        world.clock.sleep(standing.wait.total_seconds())

    assert pauses[:4] == [POLL, 2 * POLL, 4 * POLL, AT_MOST]
    assert set(pauses[4:]) <= {AT_MOST}
    assert standing.intent.state is IntentState.FILLED


def test_a_clock_that_was_set_back_only_makes_it_ask_more_often() -> None:
    world = TradingWorld()
    intent = world.executor().run(world.decide(), until=Until.CONFIRMED).id
    world.clock.jump(world.clock.now() - timedelta(hours=1))

    assert world.executor().advance(intent).wait == POLL


def test_bytes_that_were_long_on_their_way_are_not_sent_again_as_soon_as_they_arrive() -> None:
    world = TradingWorld()
    world.chain.holding = True
    world.points.once("execute", lambda: world.pass_time(seconds=3))

    world.executor().advance(world.decide())

    assert (world.exchange.posts(), world.chain.sent) == (1, [])
