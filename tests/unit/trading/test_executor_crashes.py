"""A trade is stopped, broken or overtaken at every single place where it touches the world, and still lands once.

Places are counted, not named: a step that is added later is tested without anybody thinking of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import AttemptState, IntentState
from sniperforge.errors import (
    CommitOutcomeUnknownError,
    NodeUnavailableError,
    OutcomeUnknownError,
    RetryableError,
    SniperForgeError,
    StorageBusyError,
)
from sniperforge.ports.records import ReservationKind
from sniperforge.trading.progress import Step
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_orders import JUP, OWNER, SOL, USDC
from tests.fakes.trading_world import Killed, TradingWorld, raising

FAST = timedelta(milliseconds=10)


def fast_world() -> TradingWorld:
    """Blocks so fast that a whole trade touches the world a few dozen times."""
    world = TradingWorld()
    world.block_time = FAST
    return world


def fails_first(world: TradingWorld) -> None:
    """The first transaction fails on chain, so the trade has every kind of step in it."""
    world.chain.lands_with = TOO_LITTLE
    world.at[Step.REVERTED] = lambda: setattr(world.chain, "lands_with", None)


def taken_back(world: TradingWorld) -> None:
    """A fork takes the landing back once; the bytes land again when they are sent again."""
    world.at[Step.BOOKED] = lambda: world.chain.fork(31)


def straight(_: TradingWorld) -> None:
    """Nothing goes wrong."""


SCRIPTS: dict[str, Callable[[TradingWorld], None]] = {
    "straight": straight,
    "fails on chain first": fails_first,
    "taken back by a fork": taken_back,
}


def places(script: Callable[[TradingWorld], None]) -> list[str]:
    """Every place that an undisturbed trade passes."""
    world = fast_world()
    script(world)
    intent = world.decide()
    world.points.seen.clear()
    world.finish(intent)
    return list(world.points.seen)


PLACES = {name: places(script) for name, script in SCRIPTS.items()}
EVERYWHERE = [
    pytest.param(script, nth, id=f"{name} {nth} {place}")
    for name, script in SCRIPTS.items()
    for nth, place in enumerate(PLACES[name], start=1)
]


def at_place(*names: str) -> list[object]:
    return [
        pytest.param(script, nth, id=f"{name} {nth} {place}")
        for name, script in SCRIPTS.items()
        for nth, place in enumerate(PLACES[name], start=1)
        if place in names
    ]


def assert_landed_once(world: TradingWorld, intent: IntentId) -> None:
    swaps = [landed for landed in world.chain.ours() if landed.err is None]
    assert len(swaps) == 1
    assert world.intent(intent).state is IntentState.FILLED
    assert [one.state for one in world.attempts()].count(AttemptState.FINALIZED) == 1
    assert world.booked() == world.booked(final_only=False) == world.on_chain()
    with world.store.books.read() as books:
        assert not any(books.reservations.held_raw(OWNER, mint, ReservationKind) for mint in (USDC, SOL, JUP))
        position = books.positions.get(OWNER, JUP)
    assert position is not None
    assert position.raw == world.chain.holdings().tokens[JUP]


def ring_to_the_end(world: TradingWorld, intent: IntentId, owner: str) -> None:
    """As whoever rings the bell does: what cannot be done now is rung again."""
    executor = world.executor(owner)
    for _ in range(300):
        try:
            standing = executor.advance(intent)
        except (RetryableError, OutcomeUnknownError):
            world.pass_time(seconds=1)
            continue
        if standing.settled:
            return
        world.clock.sleep(standing.wait.total_seconds())
    message = f"never settled: {standing}"
    raise AssertionError(message)


@pytest.mark.parametrize(("script", "nth"), EVERYWHERE)
def test_a_process_killed_at_any_place_is_carried_on_by_the_next_one(
    script: Callable[[TradingWorld], None], nth: int
) -> None:
    world = fast_world()
    script(world)
    intent = world.decide()
    world.points.once("*", raising(Killed()), nth=nth)
    with pytest.raises(Killed):
        world.finish(intent, owner="one")

    ring_to_the_end(world, intent, "two")

    assert_landed_once(world, intent)


@pytest.mark.parametrize(("script", "nth"), EVERYWHERE)
def test_two_workers_interleaved_at_any_place_land_it_once(script: Callable[[TradingWorld], None], nth: int) -> None:
    world = fast_world()
    script(world)
    intent = world.decide()
    overtaken = False

    def overtake(place: str) -> None:
        nonlocal nth, overtaken
        nth -= 1
        if nth > 0 or overtaken or place == "committing":
            return
        overtaken = True
        world.pass_time(seconds=31)
        world.executor("two").advance(intent)

    world.points.on = overtake
    ring_to_the_end(world, intent, "one")

    assert_landed_once(world, intent)


@pytest.mark.parametrize(("script", "nth"), EVERYWHERE)
def test_a_worker_that_slept_at_any_place_while_another_finished_changes_nothing(
    script: Callable[[TradingWorld], None], nth: int
) -> None:
    world = fast_world()
    script(world)
    intent = world.decide()
    overtaken = False

    def overtake(place: str) -> None:
        nonlocal nth, overtaken
        nth -= 1
        if nth > 0 or overtaken or place == "committing":
            return
        overtaken = True
        world.pass_time(seconds=31)
        ring_to_the_end(world, intent, "two")

    world.points.on = overtake
    ring_to_the_end(world, intent, "one")

    assert_landed_once(world, intent)


@pytest.mark.parametrize(("script", "nth"), at_place("writing", "committing", "reading"))
def test_books_that_refuse_at_any_commit_lose_nothing_and_do_nothing_twice(
    script: Callable[[TradingWorld], None], nth: int
) -> None:
    assert_survives(script, nth, StorageBusyError("read-only, locked, or the disk is full", subject="the books"))


@pytest.mark.parametrize(("script", "nth"), at_place("committed"))
def test_any_commit_whose_answer_is_lost_is_found_in_the_books(
    script: Callable[[TradingWorld], None], nth: int
) -> None:
    assert_survives(script, nth, CommitOutcomeUnknownError("the connection was lost while committing"))


@pytest.mark.parametrize(
    ("script", "nth"),
    at_place("signing_view", "simulate", "transaction", "transaction answered", "pinned", "pinned answered"),
)
def test_a_node_that_fails_at_any_question_proves_nothing(script: Callable[[TradingWorld], None], nth: int) -> None:
    assert_survives(script, nth, NodeUnavailableError("the node is down"))


def assert_survives(script: Callable[[TradingWorld], None], nth: int, error: SniperForgeError) -> None:
    world = fast_world()
    script(world)
    intent = world.decide()
    world.points.once("*", raising(error), nth=nth)

    ring_to_the_end(world, intent, "one")

    assert_landed_once(world, intent)


def test_books_that_stay_read_only_for_long_stop_everything_and_lose_nothing() -> None:
    world = fast_world()
    intent = world.decide()
    busy = StorageBusyError("attempt to write a readonly database", subject="the books")
    for step in (Step.CLAIMED, Step.PERSISTED):
        world.at[step] = lambda: setattr(world.points, "on", refuse_writes)

    def refuse_writes(place: str) -> None:
        if place == "writing":
            raise busy

    executor, refused = world.executor(), 0
    for _ in range(120):
        try:
            executor.advance(intent)
        except RetryableError:
            refused += 1
            if refused % 5 == 0:
                world.points.on = lambda _: None
        world.pass_time(seconds=1)

    assert refused == 10
    assert_landed_once(world, intent)


def test_run_waits_for_books_and_nodes_that_are_away() -> None:
    world = fast_world()
    intent = world.decide()
    world.points.once("writing", raising(StorageBusyError("locked")))
    world.at[Step.SENT] = lambda: world.points.once("transaction", raising(NodeUnavailableError("down")))

    assert world.executor().run(intent).state is IntentState.FILLED
    assert world.reached().count(Step.WAITING) == 1
    assert_landed_once(world, intent)
