"""What open orders watch: no value is made of a price that is missing, stale or jumped, and that is told once."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sniperforge.domain.money import Mint
from sniperforge.domain.time_window import OPEN, SHUT, Daily, Once
from sniperforge.domain.trigger import Subject
from sniperforge.domain.watching import Watching
from sniperforge.errors import ExchangeUnavailableError, InvalidInputError, NodeUnavailableError, RateLimitedError
from sniperforge.ports.exchange import Lane
from sniperforge.ports.records import Severity
from sniperforge.trading.price_checks import MAX_SLOTS_AHEAD
from sniperforge.trading.price_watch import SAMPLE_EVERY, Look, check_every
from tests.fakes.clock import START
from tests.fakes.price_world import HOUR, JUP_USD, SOL_IN_AN_HOUR, SOL_IN_JUP, SOL_USD, PriceWorld
from tests.fakes.store import FakeStore
from tests.fakes.trading_orders import JUP, SOL, USDC
from tests.fakes.trading_world import PRICES


@pytest.fixture
def world() -> PriceWorld:
    return PriceWorld(FakeStore())


# --- prices


def test_a_fresh_price_is_a_value_numbered_by_its_slot(world: PriceWorld) -> None:
    (seen,) = world.look(SOL_USD).values.values()
    assert (seen.value, seen.print_number, seen.at) == (Decimal("180.25"), world.chain.head_slot, START)


def test_every_price_is_asked_for_once(world: PriceWorld) -> None:
    world.watch.look((SOL_USD, JUP_USD, SOL_IN_JUP, SOL_IN_AN_HOUR, SOL_USD), lane=Lane.ENTRY)
    assert [tuple(call) for call in world.market.calls] == [("prices", (SOL, JUP), Lane.ENTRY)]


def test_nothing_is_asked_for_nothing(world: PriceWorld) -> None:
    world.chain.nodes[0].failure = NodeUnavailableError("nobody is there")
    assert world.look() == Look(values={}, problems={}, observed=())
    assert world.market.calls == []


def test_a_window_of_time_has_a_value_at_every_look_and_asks_nobody(world: PriceWorld) -> None:
    world.chain.nodes[0].failure = NodeUnavailableError("nobody is there")
    daily, opens = Daily(time(9), time(17, 30), "UTC"), Once(START + HOUR, None)
    numbers = []
    for shown in ({daily.subject: OPEN, opens.subject: SHUT}, {daily.subject: OPEN, opens.subject: OPEN}):
        look = world.look(daily.subject, opens.subject)
        assert {subject: seen.value for subject, seen in look.values.items()} == shown
        assert look.problems == {}
        numbers.append({seen.print_number for seen in look.values.values()})
        world.clock.advance(HOUR)
    assert [len(one) for one in numbers] == [1, 1]
    assert min(numbers[1]) > max(numbers[0])
    assert world.market.calls == []


def test_a_window_is_looked_at_beside_prices_and_costs_no_request(world: PriceWorld) -> None:
    opens = Once(START, None)
    look = world.look(SOL_USD, opens.subject)
    assert {subject: seen.value for subject, seen in look.values.items()} == {
        SOL_USD: Decimal("180.25"),
        opens.subject: OPEN,
    }
    assert {seen.at for seen in look.values.values()} == {START}
    assert [call.what for call in world.market.calls] == [(SOL,)]
    assert check_every([opens.subject], calls=1, window=timedelta(minutes=1)) == timedelta(seconds=1)


def test_more_than_fifty_are_asked_in_batches_that_go_together(world: PriceWorld) -> None:
    mints = [Mint(f"mint{number}") for number in range(101)]
    world.market.usd = dict.fromkeys(mints, Decimal(2))
    look = world.look(*map(Subject, mints))
    assert {seen.value for seen in look.values.values()} == {Decimal(2)}
    assert set(look.values) == set(map(Subject, mints))
    asked, *calls = world.market.calls
    assert (asked.method, asked.what) == ("together", 3)
    assert [call.what for call in calls] == [tuple(mints[:50]), tuple(mints[50:100]), tuple(mints[100:])]


def test_without_room_for_all_batches_none_is_asked(world: PriceWorld) -> None:
    world.market.is_full = True
    with pytest.raises(RateLimitedError):
        world.look(*(Subject(f"mint{number}") for number in range(51)))
    assert [call.method for call in world.market.calls] == ["together"]


@pytest.mark.parametrize("error", [RateLimitedError("used up", retry_at=START), ExchangeUnavailableError("away")])
def test_what_keeps_jupiter_from_answering_is_passed_on_and_nothing_is_noted(world: PriceWorld, error: Any) -> None:
    world.wait_for(SOL_USD)
    world.market.fail("prices", error)
    with pytest.raises(type(error)):
        world.look(SOL_USD)
    assert world.events() == []


def test_a_name_that_means_nothing_is_refused(world: PriceWorld) -> None:
    with pytest.raises(InvalidInputError):
        world.look(Subject(f"{SOL}@soon"))


# --- no price


def test_a_token_without_a_price_has_no_value(world: PriceWorld) -> None:
    del world.market.usd[SOL]
    assert world.problem(SOL_USD) == "missing: Jupiter has no price for it"


@pytest.mark.parametrize(
    ("slot", "is_fresh"),
    [
        (-PRICES.max_slots_behind, True),
        (-PRICES.max_slots_behind - 1, False),
        (MAX_SLOTS_AHEAD, True),
        (MAX_SLOTS_AHEAD + 1, False),
    ],
)
def test_a_price_of_another_time_has_no_value(world: PriceWorld, slot: int, *, is_fresh: bool) -> None:
    world.market.slot += slot
    assert (world.value(SOL_USD) is not None) == is_fresh


def test_a_price_of_no_slot_has_no_value(world: PriceWorld) -> None:
    world.market.slots[SOL] = None
    assert world.problem(SOL_USD) == "stale: Jupiter does not say of which slot its price is"


def test_a_price_that_was_held_too_long_has_no_value(world: PriceWorld) -> None:
    world.market.held = timedelta(seconds=61)
    assert world.problem(SOL_USD).startswith("stale: ")


def test_a_stale_price_is_not_kept_as_the_last_one_seen(world: PriceWorld) -> None:
    world.market.slot -= PRICES.max_slots_behind + 1
    world.market.usd[SOL] = Decimal(999)
    assert world.look(SOL_USD).observed == ()
    world.market.slot = world.chain.head_slot
    world.market.usd[SOL] = Decimal(180)
    assert world.value(SOL_USD) == 180


def test_a_price_that_jumped_is_believed_at_the_second_look(world: PriceWorld) -> None:
    world.look(SOL_USD)
    world.market.usd[SOL] = Decimal(90)
    assert world.problem(SOL_USD).startswith("jumped: ")
    assert world.value(SOL_USD) == 90


def test_a_price_that_jumped_and_came_back_was_never_a_value(world: PriceWorld) -> None:
    world.look(SOL_USD)
    for usd in (Decimal(90), Decimal("180.25"), Decimal("180.25")):
        world.market.usd[SOL] = usd
        seen = world.value(SOL_USD)
        assert seen in (None, Decimal("180.25"))
    assert seen == Decimal("180.25")


def test_a_jump_is_believed_at_the_second_look_of_somebody_who_writes_nothing_down(world: PriceWorld) -> None:
    world.look(SOL_USD)
    world.market.usd[SOL] = Decimal(90)
    assert world.watch.look((SOL_USD,)).values == {}
    assert world.watch.look((SOL_USD,)).values[SOL_USD].value == 90


# --- ratios


def test_a_ratio_is_how_many_of_the_other_one_costs(world: PriceWorld) -> None:
    assert world.value(SOL_IN_JUP) == Decimal("360.5")


def test_a_ratio_has_seventeen_digits(world: PriceWorld) -> None:
    world.market.usd[JUP] = Decimal(3)
    world.market.usd[SOL] = Decimal(200)
    assert world.value(SOL_IN_JUP) == Decimal("66.666666666666667")


@pytest.mark.parametrize("mint", [SOL, JUP])
def test_a_ratio_needs_both_prices(world: PriceWorld, mint: Mint) -> None:
    del world.market.usd[mint]
    assert world.problem(SOL_IN_JUP) == f"missing: Jupiter has no price for it ({mint})"


@pytest.mark.parametrize("mint", [SOL, JUP])
def test_a_ratio_needs_both_prices_fresh(world: PriceWorld, mint: Mint) -> None:
    world.market.slots[mint] = world.chain.head_slot - PRICES.max_slots_behind - 1
    assert world.problem(SOL_IN_JUP).startswith("stale: ")


@pytest.mark.parametrize("mint", [SOL, JUP])
def test_a_new_price_of_either_side_is_a_new_ratio_and_nothing_else_is(world: PriceWorld, mint: Mint) -> None:
    world.market.slots = {SOL: world.chain.head_slot - 50, JUP: world.chain.head_slot}

    def number() -> int:
        return world.watch.look((SOL_IN_JUP,)).values[SOL_IN_JUP].print_number

    first = number()
    assert number() == first
    world.market.slots[mint] = (world.market.slots[mint] or 0) + 1
    assert number() > first


def test_a_ratio_that_no_price_can_be_has_no_value(world: PriceWorld) -> None:
    world.market.usd = {SOL: Decimal("1E-9"), JUP: Decimal(1_000_000)}
    assert world.problem(SOL_IN_JUP).startswith("out of range: ")


# --- changes over a time


def test_a_change_is_a_share_of_the_price_of_then(world: PriceWorld) -> None:
    world.look(SOL_IN_AN_HOUR)
    for _ in range(6):
        world.passes(HOUR / 6)
        world.market.usd[SOL] += Decimal(5)
        seen = world.value(SOL_IN_AN_HOUR)
    assert seen == Decimal("1.1664355062413315")  # 210.25 / 180.25
    world.passes(HOUR / 6)
    assert world.value(SOL_IN_AN_HOUR) == Decimal("1.1349527665317139")  # 210.25 / 185.25


def test_a_change_is_a_new_one_when_its_price_is(world: PriceWorld) -> None:
    world.look(SOL_IN_AN_HOUR)
    world.passes(HOUR)
    look = world.look(SOL_IN_AN_HOUR, SOL_USD)
    assert look.values[SOL_IN_AN_HOUR].print_number == look.values[SOL_USD].print_number == world.chain.head_slot


def test_before_anything_is_known_of_then_a_change_has_no_value(world: PriceWorld) -> None:
    world.look(SOL_IN_AN_HOUR)
    world.passes(HOUR - timedelta(seconds=1))
    assert world.problem(SOL_IN_AN_HOUR) == "too early: no price is known from 3600 s ago yet"


@pytest.mark.parametrize(
    ("lookback", "slack"), [(HOUR, timedelta(seconds=360)), (timedelta(seconds=30), timedelta(seconds=60))]
)
def test_the_price_of_then_may_be_a_little_older(world: PriceWorld, lookback: timedelta, slack: timedelta) -> None:
    over = Watching(SOL, lookback_s=int(lookback.total_seconds())).subject
    world.look(over)
    world.passes(lookback + slack)
    assert world.watch.look((over,)).values[over].value == 1
    world.passes(timedelta(seconds=1))
    assert world.watch.look((over,)).values == {}


def test_the_price_of_then_is_kept_while_there_is_no_change_yet_but_not_when_it_jumped(world: PriceWorld) -> None:
    world.look(SOL_USD)
    world.market.usd[SOL] = Decimal(90)
    assert world.problem(SOL_IN_AN_HOUR).startswith("jumped: ")
    world.passes(HOUR)
    assert world.problem(SOL_IN_AN_HOUR).startswith("too early: ")
    world.passes(HOUR)
    assert world.value(SOL_IN_AN_HOUR) == 1


def samples(world: PriceWorld) -> list[timedelta]:
    """How long before now each kept price is, oldest first."""
    now, found = world.clock.now(), list[timedelta]()
    with world.store.read() as books:
        sample = books.price_samples.before(SOL, now, not_before=START)
        while sample is not None:
            found.append(now - sample.at)
            sample = books.price_samples.before(SOL, sample.at - timedelta.resolution, not_before=START)
    return found[::-1]


def test_a_price_is_kept_every_ten_seconds_and_not_at_every_look(world: PriceWorld) -> None:
    for _ in range(21):
        world.look(SOL_IN_AN_HOUR, SOL_USD, JUP_USD)
        world.passes(timedelta(seconds=1))
    assert samples(world) == [timedelta(seconds=21 - at) for at in (0, 10, 20)]


def test_prices_are_kept_only_of_what_is_watched_over_a_time(world: PriceWorld) -> None:
    world.look(SOL_USD, SOL_IN_JUP)
    assert samples(world) == []


def test_prices_are_forgotten_after_the_longest_time_watched(world: PriceWorld) -> None:
    short = Watching(SOL, lookback_s=60).subject
    world.look(SOL_IN_AN_HOUR, short)
    world.passes(HOUR + timedelta(seconds=360))
    world.look(SOL_IN_AN_HOUR, short)
    assert samples(world) == [HOUR + timedelta(seconds=360), timedelta(0)]
    world.passes(SAMPLE_EVERY)
    world.look(SOL_IN_AN_HOUR, short)
    assert samples(world) == [SAMPLE_EVERY, timedelta(0)]


# --- what is told


def told(world: PriceWorld) -> list[tuple[str, Severity, Any]]:
    return [(event.kind, event.severity, event.facts["subject"]) for event in world.events()]


def test_a_price_that_is_missing_is_told_once_and_once_when_it_is_back(world: PriceWorld) -> None:
    world.wait_for(SOL_USD, JUP_USD)
    usd = world.market.usd.pop(SOL)
    for _ in range(3):
        world.look(SOL_USD, JUP_USD)
    assert told(world) == [("price.missing", Severity.WARNING, SOL)]
    assert world.events()[0].facts["problem"] == "missing: Jupiter has no price for it"
    world.market.usd[SOL] = usd
    for _ in range(3):
        world.look(SOL_USD, JUP_USD)
    assert told(world)[1:] == [("price.back", Severity.INFO, SOL)]


def test_a_price_that_grows_staler_is_told_once(world: PriceWorld) -> None:
    world.wait_for(SOL_USD)
    world.chain.advance(PRICES.max_slots_behind + 1)
    for _ in range(3):
        world.look(SOL_USD)
        world.chain.advance()
    assert told(world) == [("price.missing", Severity.WARNING, SOL)]


def test_a_jump_that_is_believed_is_told_as_missing_and_back(world: PriceWorld) -> None:
    world.wait_for(SOL_USD)
    world.look(SOL_USD)
    world.market.usd[SOL] = Decimal(90)
    for _ in range(3):
        world.look(SOL_USD)
    assert [kind for kind, _, _ in told(world)] == ["price.missing", "price.back"]


def test_nobody_is_told_of_what_nobody_waits_for(world: PriceWorld) -> None:
    del world.market.usd[SOL]
    world.look(SOL_USD)
    assert world.events() == []


def test_what_was_seen_is_kept_for_the_next_jump(world: PriceWorld) -> None:
    world.look(SOL_USD)
    with world.store.read() as books:
        assert books.prices.newest({SOL})[SOL, "jupiter"].usd == Decimal("180.25")


# --- how often


@pytest.mark.parametrize(
    ("tokens", "calls", "seconds"),
    [(1, 2, 5), (50, 2, 5), (51, 2, 10), (1, 5, 2), (1, 50, 1), (1, 750, 1), (1_000, 50, 4), (0, 2, 1)],
)
def test_prices_are_looked_at_as_often_as_the_budget_bears_and_every_second_at_best(
    tokens: int, calls: int, seconds: int
) -> None:
    subjects = [Subject(f"mint{number}") for number in range(tokens)]
    assert check_every(subjects, calls=calls, window=timedelta(seconds=10)) == timedelta(seconds=seconds)


def test_a_ratio_needs_two_prices_of_the_fifty_in_a_request(world: PriceWorld) -> None:
    pairs = [Watching(Mint(f"mint{number}"), per=USDC).subject for number in range(50)]
    assert check_every(pairs, calls=2, window=timedelta(seconds=10)) == timedelta(seconds=10)
    assert check_every(pairs[:49], calls=2, window=timedelta(seconds=10)) == timedelta(seconds=5)
