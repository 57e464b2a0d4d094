"""A transaction of ours that is no trade: the same life, the same rules, and nothing leaves but the fee."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sniperforge.domain.ids import IntentId, IntentKey
from sniperforge.domain.intent import AttemptState, FillState, IntentState, MaintenancePurpose, SendPath, TradeIntent
from sniperforge.domain.money import Address
from sniperforge.domain.transaction import Memo, SystemTransfer
from sniperforge.errors import InvalidInputError, OutcomeUnknownError, RetryableError
from sniperforge.ports.records import NATIVE_SOL, LedgerKind, ReservationKind, TradingMode
from sniperforge.shared.solana.codec import SoldersCodec
from sniperforge.trading.maintenance import CHECK_LAMPORTS, decide_network_check
from sniperforge.trading.progress import Step
from tests.fakes.trading_market import TOO_LITTLE
from tests.fakes.trading_orders import OWNER, SOL
from tests.fakes.trading_world import Killed, TradingWorld, raising

FEE = 5_000


def decide(world: TradingWorld) -> TradeIntent:
    return decide_network_check(store=world.store, clock=world.clock, policy=world.policy, wallet=OWNER)


def fast_world() -> TradingWorld:
    world = TradingWorld()
    world.block_time = timedelta(milliseconds=10)
    return world


def straight(_: TradingWorld) -> None:
    """Nothing goes wrong."""


def fails_first(world: TradingWorld) -> None:
    """The first transaction fails on chain."""
    world.chain.lands_with = TOO_LITTLE
    world.at[Step.REVERTED] = lambda: setattr(world.chain, "lands_with", None)


def taken_back(world: TradingWorld) -> None:
    """A fork takes the landing back once."""
    world.at[Step.BOOKED] = lambda: world.chain.fork(31)


Script = Callable[[TradingWorld], None]


def places(script: Script) -> list[str]:
    world = fast_world()
    script(world)
    intent = decide(world).id
    world.points.seen.clear()
    world.finish(intent)
    return list(world.points.seen)


EVERYWHERE = [
    pytest.param(script, nth, id=f"{script.__name__} {nth} {place}")
    for script in (straight, fails_first, taken_back)
    for nth, place in enumerate(places(script), start=1)
]


def ring_to_the_end(world: TradingWorld, intent: IntentId, owner: str) -> None:
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


def assert_landed_once(world: TradingWorld, intent: IntentId) -> None:
    assert len([landed for landed in world.chain.ours() if landed.err is None]) == 1
    assert world.intent(intent).state is IntentState.FILLED
    assert [one.state for one in world.attempts()].count(AttemptState.FINALIZED) == 1
    assert world.booked() == world.booked(final_only=False) == world.on_chain()
    with world.store.books.read() as books:
        assert not books.reservations.held_raw(OWNER, SOL, ReservationKind)


def test_a_check_costs_its_fee_and_has_a_fill_that_swapped_nothing() -> None:
    world = TradingWorld()
    before = world.on_chain()[NATIVE_SOL]
    intent = world.finish(decide(world).id)

    (attempt,) = world.attempts()
    fill = world.fill(attempt)
    assert intent.state is IntentState.FILLED
    assert before - world.on_chain()[NATIVE_SOL] == FEE
    assert world.lines(attempt.signature) == {(NATIVE_SOL, LedgerKind.FEE): (-FEE, FillState.FINAL)}
    assert (fill.state, fill.input_raw, fill.output_raw, fill.fee_lamports) == (FillState.FINAL, 0, 0, FEE)
    assert_landed_once(world, intent.id)


def test_a_check_sends_lamports_to_ourselves_and_names_its_attempt_in_a_memo() -> None:
    world = TradingWorld()
    world.finish(decide(world).id)

    (attempt,) = world.attempts()
    decoded = SoldersCodec().decode(attempt.signed_transaction, {})
    transfer, memo = (item.action for item in decoded.instructions)
    assert transfer == SystemTransfer(OWNER, OWNER, CHECK_LAMPORTS)
    assert memo == Memo(f"sniperforge:{attempt.id}")


def test_a_check_goes_to_our_nodes_and_asks_jupiter_for_nothing() -> None:
    world = TradingWorld()
    world.finish(decide(world).id)

    (attempt,) = world.attempts()
    assert not world.exchange.calls
    assert (attempt.path, attempt.request_id, attempt.sent_count) == (SendPath.ROUTER, None, 1)


def test_a_check_reserves_its_fee_until_it_is_settled() -> None:
    world = TradingWorld()
    world.chain.holding = True
    world.executor().advance(decide(world).id)

    assert world.held(SOL) == FEE + CHECK_LAMPORTS


@pytest.mark.parametrize(("script", "nth"), EVERYWHERE)
def test_a_process_killed_at_any_place_of_a_check_is_carried_on_by_the_next_one(script: Script, nth: int) -> None:
    world = fast_world()
    script(world)
    intent = decide(world).id
    world.points.once("*", raising(Killed()), nth=nth)
    with pytest.raises(Killed):
        world.finish(intent)

    ring_to_the_end(world, intent, "two")

    assert_landed_once(world, intent)


@pytest.mark.parametrize(("script", "nth"), EVERYWHERE)
def test_a_check_rung_twice_at_any_place_lands_once(script: Script, nth: int) -> None:
    world = fast_world()
    script(world)
    intent = decide(world).id
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


def test_a_check_that_fails_on_chain_has_its_fee_booked_and_is_made_anew() -> None:
    world = TradingWorld()
    fails_first(world)
    intent = world.finish(decide(world).id)

    failed, landed = world.attempts()
    assert (failed.state, landed.state) == (AttemptState.REVERTED, AttemptState.FINALIZED)
    assert failed.signature != landed.signature
    assert world.lines(failed.signature) == {(NATIVE_SOL, LedgerKind.FEE): (-FEE, FillState.FINAL)}
    assert_landed_once(world, intent.id)


def test_a_check_that_never_lands_is_proven_dead_before_another_is_signed() -> None:
    world = TradingWorld()
    world.chain.holding = True
    intent = decide(world).id
    world.executor().advance(intent)
    world.pass_bound()
    world.chain.holding = False
    world.finish(intent)

    dead, landed = world.attempts()
    assert (dead.state, landed.state) == (AttemptState.EXPIRED, AttemptState.FINALIZED)
    assert dead.death_proof is not None
    assert landed.blockhash != dead.blockhash


def test_a_check_that_has_not_ended_is_the_next_check() -> None:
    world = TradingWorld()
    first = decide(world)

    assert decide(world).id == first.id
    world.finish(first.id)
    second = decide(world)
    assert second.id != first.id
    assert second.key.endswith(":2")


def test_a_check_of_a_wallet_that_the_books_do_not_know_is_refused() -> None:
    world = TradingWorld()
    with pytest.raises(InvalidInputError, match="do not know this wallet"):
        decide_network_check(store=world.store, clock=world.clock, policy=world.policy, wallet=Address("somebody"))
    with world.store.books.read() as books:
        assert not books.intents.recent(10)


@pytest.mark.parametrize("lamports", [0, 128 * 5_080, 128 * 5_080 + FEE + CHECK_LAMPORTS - 1])
def test_a_wallet_that_cannot_pay_is_told_so_and_nothing_is_signed(lamports: int) -> None:
    world = TradingWorld(lamports=lamports)
    intent = world.finish(decide(world).id)

    assert intent.state is IntentState.FAILED
    assert intent.reason is not None
    assert "0.000005005 SOL are needed" in intent.reason
    assert not world.signer.signed


def test_a_wallet_with_just_enough_can_pay() -> None:
    world = TradingWorld(lamports=128 * 5_080 + FEE + CHECK_LAMPORTS)

    assert world.finish(decide(world).id).state is IntentState.FILLED


def test_a_halt_holds_a_check_back_and_what_stops_entries_does_not() -> None:
    world = TradingWorld()
    intent = decide(world).id
    world.mode(TradingMode.HALTED)
    world.executor().advance(intent)
    assert not world.signer.signed

    world.mode(TradingMode.REDUCING)
    assert world.finish(intent).state is IntentState.FILLED


def test_a_simulation_in_which_more_leaves_than_the_fee_keeps_it_from_being_signed() -> None:
    world = TradingWorld()
    honest = world.chain.on_simulate
    assert honest is not None
    world.chain.on_simulate = lambda raw: replace(
        honest(raw), post_lamports=tuple(max(0, after - 1) for after in honest(raw).post_lamports)
    )
    intent = decide(world).id
    world.executor().advance(intent)

    assert not world.signer.signed
    assert "sol-bound" in (world.intent(intent).reason or "")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"purpose": MaintenancePurpose.WRAP}, "no maintenance of the kind wrap"),
        ({"input_amount_raw": None}, "names its amount"),
    ],
    ids=["purpose", "amount"],
)
def test_what_this_program_does_not_know_how_to_do_ends_with_the_reason(changes: dict[str, Any], told: str) -> None:
    world = TradingWorld()
    stranger = replace(decide(world), id=IntentId("stranger"), key=IntentKey("maintenance:stranger:1"), **changes)
    with world.store.books.write() as books:
        books.intents.add(stranger)

    ended = world.finish(stranger.id)
    assert ended.state is IntentState.FAILED
    assert told in (ended.reason or "")
    assert not world.signer.signed
