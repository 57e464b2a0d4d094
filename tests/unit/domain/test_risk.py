"""Protections: each rule at its limit, from when time heals it, and that no exit is ever denied."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import Mint
from sniperforge.domain.risk import (
    DAY,
    Dated,
    Denial,
    ProposedTrade,
    RiskFacts,
    RiskLimits,
    Rule,
    denials,
    uses,
)

NOW = datetime(2026, 1, 10, 15, 30, tzinfo=UTC)
CENT = Decimal("0.01")
MOMENT = timedelta(microseconds=1)
DOG, CAT, USDC = Mint("dog"), Mint("cat"), Mint("usdc")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def denied(
    facts: RiskFacts, *, token: Mint | None = DOG, worth: str | None = "25", **limits: Any
) -> tuple[Denial, ...]:
    trade = ProposedTrade(effect=ExposureEffect.ENTRY, token=token, worth_usd=None if worth is None else Decimal(worth))
    return denials(RiskLimits(**limits), facts, trade)


def only(found: tuple[Denial, ...]) -> Denial:
    (one,) = found
    return one


def facts(**known: Any) -> RiskFacts:
    return RiskFacts(**{"now": NOW, **known})


def test_without_limits_nothing_is_denied_and_nothing_is_told() -> None:
    assert denied(facts()) == ()
    assert uses(RiskLimits(), facts(), ProposedTrade(effect=ExposureEffect.ENTRY, token=DOG)) == ()


# ---- spend per trade


def test_an_entry_of_a_cent_more_than_a_trade_may_spend_is_denied() -> None:
    assert denied(facts(), worth="25", spend_per_trade_usd=25) == ()
    denial = only(denied(facts(), worth="25.01", spend_per_trade_usd=25))
    assert (denial.rule, denial.limit, denial.until) == (Rule.SPEND_PER_TRADE, Decimal(25), None)
    assert denial.because == "it is worth 25.01 USD, and a trade may spend 25"


def test_an_entry_of_unknown_worth_waits_for_its_price() -> None:
    assert denied(facts(), worth=None, spend_per_trade_usd=1) == ()


# ---- spend per day


def test_an_entry_that_goes_a_cent_beyond_what_a_day_may_spend_is_denied() -> None:
    spent = (Dated(ago(hours=3), Decimal(35)),)
    assert denied(facts(spent=spent), worth="25", spend_per_day_usd=60) == ()
    denial = only(denied(facts(spent=spent), worth="25.01", spend_per_day_usd=60))
    assert (denial.rule, denial.used, denial.until) == (Rule.SPEND_PER_DAY, Decimal(35), ago(hours=3) + DAY + MOMENT)
    assert denial.because == "it is worth 25.01 USD, and of 60 for 24 hours 35.00 are spent"


def test_what_was_spent_longer_than_24_hours_ago_does_not_count() -> None:
    for at, count in ((NOW - DAY, 1), (NOW - DAY - MOMENT, 0)):
        assert len(denied(facts(spent=(Dated(at, Decimal(60)),)), spend_per_day_usd=60)) == count


def test_room_for_a_day_is_there_again_when_enough_is_old_enough() -> None:
    spent = tuple(Dated(ago(hours=hours), Decimal(20)) for hours in (23, 10, 5))
    denial = only(denied(facts(spent=spent), worth="25", spend_per_day_usd=60))
    assert denial.until == ago(hours=10) + DAY + MOMENT


def test_what_is_more_than_a_whole_day_may_spend_is_not_healed_by_time() -> None:
    assert only(denied(facts(), worth="61", spend_per_day_usd=60)).until is None


def test_an_entry_of_unknown_worth_is_denied_when_the_day_is_spent() -> None:
    for usd, count in (("59.99", 0), ("60", 1)):
        spent = (Dated(ago(hours=1), Decimal(usd)),)
        assert len(denied(facts(spent=spent), worth=None, spend_per_day_usd=60)) == count


# ---- loss per day


def test_a_loss_of_the_limit_since_the_reset_stops_entries_and_a_cent_less_does_not() -> None:
    results = (Dated(ago(hours=2), Decimal(-110)), Dated(ago(hours=1), Decimal("10.01")))
    assert denied(facts(results=results), loss_per_day_usd=100) == ()
    denial = only(denied(facts(results=(*results, Dated(NOW, -CENT))), loss_per_day_usd=100))
    assert (denial.rule, denial.used) == (Rule.LOSS_PER_DAY, Decimal(100))
    assert denial.until == datetime(2026, 1, 11, tzinfo=UTC)
    assert denial.because == "100.00 USD were lost since 00:00 UTC, and entries stop at 100"


@pytest.mark.parametrize(
    ("starts_at", "last", "following"),
    [
        (time(0), datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC)),
        (time(15, 30), NOW, datetime(2026, 1, 11, 15, 30, tzinfo=UTC)),
        (time(15, 31), datetime(2026, 1, 9, 15, 31, tzinfo=UTC), datetime(2026, 1, 10, 15, 31, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_its_reset(starts_at: time, last: datetime, following: datetime) -> None:
    for at, count in ((last, 1), (last - MOMENT, 0)):
        found = denied(facts(results=(Dated(at, Decimal(-9)),)), loss_per_day_usd=9, day_starts_at=starts_at)
        assert [denial.until for denial in found] == [following] * count


# ---- drawdown


def test_a_fall_of_the_limit_from_the_highest_point_stops_entries_and_a_cent_less_does_not() -> None:
    results = [Dated(ago(days=day), Decimal(usd)) for day, usd in ((9, -50), (8, 500), (7, -80), (6, 30), (5, -49))]
    assert denied(facts(results=results), drawdown_usd=100) == ()
    assert only(uses_of(facts(results=results), drawdown_usd=100)).used == 99
    results[-1] = Dated(ago(days=5), Decimal(-50))
    denial = only(denied(facts(results=results), drawdown_usd=100))
    assert (denial.rule, denial.used) == (Rule.DRAWDOWN, Decimal(100))
    assert denial.until == ago(days=7) + timedelta(days=30) + MOMENT
    assert denial.because == "results fell by 100.00 USD within 30 days, and entries stop at 100"


def test_a_highest_point_out_of_sight_is_forgotten() -> None:
    for at, count in ((ago(days=3), 1), (ago(days=3) - MOMENT, 0)):
        found = denied(facts(results=(Dated(at, Decimal(-100)),)), drawdown_usd=100, drawdown_over=timedelta(days=3))
        assert len(found) == count


def uses_of(known: RiskFacts, **limits: Any) -> tuple[Any, ...]:
    return uses(RiskLimits(**limits), known, ProposedTrade(effect=ExposureEffect.ENTRY, token=DOG))


# ---- fees per day


def test_fees_of_the_limit_since_the_reset_stop_entries_and_a_cent_less_do_not() -> None:
    assert denied(facts(fees_usd=Decimal("4.99")), fees_per_day_usd=Decimal(5)) == ()
    denial = only(denied(facts(fees_usd=Decimal(5)), fees_per_day_usd=Decimal(5)))
    assert (denial.rule, denial.until) == (Rule.FEES_PER_DAY, datetime(2026, 1, 11, tzinfo=UTC))
    assert denial.because == "5.0000 USD of fees, tips and rent were paid since 00:00 UTC, and entries stop at 5"


# ---- exposure


def test_an_entry_that_goes_a_cent_beyond_the_exposure_to_its_token_is_denied() -> None:
    known = facts(held_usd={DOG: Decimal(50), CAT: Decimal(900)}, under_way_usd={DOG: Decimal(25)})
    assert denied(known, worth="25", exposure_per_token_usd=100) == ()
    denial = only(denied(known, worth="25.01", exposure_per_token_usd=100))
    assert (denial.rule, denial.used, denial.until) == (Rule.EXPOSURE_PER_TOKEN, Decimal(75), None)


def test_an_entry_that_goes_a_cent_beyond_the_exposure_to_all_tokens_is_denied() -> None:
    known = facts(held_usd={CAT: Decimal(50)}, under_way_usd={Mint("cow"): Decimal(25)})
    assert denied(known, worth="25", exposure_usd=100) == ()
    denial = only(denied(known, worth="25.01", exposure_usd=100))
    assert (denial.rule, denial.used, denial.until) == (Rule.EXPOSURE, Decimal(75), None)


@pytest.mark.parametrize("limit", ["exposure_usd", "exposure_per_token_usd"])
def test_money_is_no_exposure(limit: str) -> None:
    known = facts(held_usd={USDC: Decimal(500)}, under_way_usd={USDC: Decimal(500)})
    for token in (DOG, USDC):
        assert denied(known, token=token, worth="25", cash=frozenset({USDC}), **{limit: 25}) == ()
    assert denied(known, token=USDC, worth="26", cash=frozenset({USDC}), **{limit: 25}) == ()


def test_an_entry_of_unknown_worth_is_denied_when_no_exposure_is_left() -> None:
    for held, count in (("99.99", 0), ("100", 2)):
        known = facts(held_usd={DOG: Decimal(held)})
        assert len(denied(known, worth=None, exposure_usd=100, exposure_per_token_usd=100)) == count


# ---- pauses


@pytest.mark.parametrize(
    ("limit", "fact", "rule"),
    [
        ("pause_after_stops", "stops", Rule.STOPS),
        ("pause_after_divergences", "divergences", Rule.DIVERGENCES),
    ],
)
def test_so_many_within_the_window_pause_entries_and_one_less_does_not(limit: str, fact: str, rule: Rule) -> None:
    hour: dict[str, Any] = {"window": timedelta(minutes=60), "pause": timedelta(minutes=30), limit: 3}
    assert denied(facts(**{fact: (ago(minutes=60), ago(minutes=20))}), **hour) == ()
    known = facts(**{fact: (ago(minutes=80), ago(minutes=60), ago(minutes=20))})
    denial = only(denied(known, **hour))
    assert (denial.rule, denial.limit, denial.until) == (rule, Decimal(3), ago(minutes=-10))
    farther = facts(**{fact: (ago(minutes=80) - MOMENT, ago(minutes=60), ago(minutes=20))})
    assert denied(farther, **hour) == ()


def test_a_pause_goes_on_when_what_caused_it_has_left_the_window() -> None:
    hours: dict[str, Any] = {"window": timedelta(hours=1), "pause": timedelta(hours=5), "pause_after_stops": 2}
    denial = only(denied(facts(stops=(ago(hours=4.5), ago(hours=4))), **hours))
    assert (denial.used, denial.until) == (Decimal(0), ago(hours=-1))


def test_so_many_failures_in_a_row_pause_entries_until_the_pause_after_the_last_is_over() -> None:
    three: dict[str, Any] = {"pause_after_failures": 3, "pause": timedelta(minutes=30)}
    times = (ago(minutes=10), ago(hours=20), ago(days=3))
    assert denied(facts(failures=times[:2]), **three) == ()
    denial = only(denied(facts(failures=times), **three))
    assert (denial.rule, denial.used, denial.until) == (Rule.FAILURES, Decimal(3), ago(minutes=-20))
    assert denied(facts(failures=(ago(minutes=30), *times[1:])), **three) == ()


def test_the_pause_counts_from_the_failure_that_came_last_whichever_entry_was_decided_last() -> None:
    two: dict[str, Any] = {"pause_after_failures": 2, "pause": timedelta(minutes=30)}
    overtaken = (ago(minutes=35), ago(hours=2), ago(minutes=10))
    denial = only(denied(facts(failures=overtaken), **two))
    assert (denial.used, denial.until) == (Decimal(2), ago(minutes=-20))
    assert denial.because.startswith("the last 2 entries failed")


# ---- cool-down


def test_a_token_is_not_bought_again_before_its_cooldown_is_over() -> None:
    ten: dict[str, Any] = {"token_cooldown": timedelta(minutes=10)}
    assert denied(facts(exits={DOG: ago(minutes=10)}), **ten) == ()
    denial = only(denied(facts(exits={DOG: ago(minutes=10) + MOMENT}), **ten))
    assert (denial.rule, denial.until) == (Rule.COOLDOWN, NOW + MOMENT)
    assert denied(facts(exits={CAT: NOW}), **ten) == ()


# ---- all of them

amounts = st.decimals(0, 200, places=2)
moments = st.integers(0, 40 * 24 * 3600).map(lambda seconds: NOW - timedelta(seconds=seconds))
oldest_first = st.lists(moments, max_size=8).map(sorted)
some_facts = st.builds(
    RiskFacts,
    now=st.just(NOW),
    spent=st.lists(st.builds(Dated, moments, amounts), max_size=8).map(lambda all_: sorted(all_, key=lambda a: a.at)),
    results=st.lists(st.builds(Dated, moments, st.decimals(-200, 200, places=2)), max_size=8).map(
        lambda all_: sorted(all_, key=lambda one: one.at)
    ),
    fees_usd=amounts,
    held_usd=st.dictionaries(st.sampled_from([DOG, CAT, USDC]), amounts),
    under_way_usd=st.dictionaries(st.sampled_from([DOG, CAT, USDC]), amounts),
    stops=oldest_first,
    failures=st.lists(moments, max_size=8),
    divergences=oldest_first,
    exits=st.dictionaries(st.sampled_from([DOG, CAT]), moments),
)
counts = st.integers(1, 4)
some_limits = st.builds(
    RiskLimits,
    spend_per_trade_usd=st.integers(1, 100),
    spend_per_day_usd=st.integers(1, 100),
    loss_per_day_usd=st.integers(1, 100),
    drawdown_usd=st.integers(1, 100),
    fees_per_day_usd=amounts,
    exposure_per_token_usd=st.integers(1, 100),
    exposure_usd=st.integers(1, 100),
    pause_after_stops=counts,
    pause_after_failures=counts,
    pause_after_divergences=counts,
    token_cooldown=st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
    window=st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
    pause=st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
    day_starts_at=st.times().map(lambda at: at.replace(microsecond=0)),
    cash=st.just(frozenset({USDC})),
)
some_entries = st.builds(
    ProposedTrade,
    effect=st.just(ExposureEffect.ENTRY),
    token=st.sampled_from([DOG, CAT, USDC]),
    worth_usd=st.none() | st.decimals(0, 60, places=2),
)


@given(some_limits, some_facts, some_entries)
def test_no_exit_is_ever_denied(limits: RiskLimits, known: RiskFacts, entry: ProposedTrade) -> None:
    assert denials(limits, known, replace(entry, effect=ExposureEffect.EXIT)) == ()


@given(some_limits, some_facts, some_entries)
def test_what_time_heals_is_denied_until_then_and_not_after(
    limits: RiskLimits, known: RiskFacts, entry: ProposedTrade
) -> None:
    for denial in denials(limits, known, entry):
        if denial.until is None or denial.rule is Rule.FEES_PER_DAY:  # fees are counted by the books
            continue
        before = {one.rule for one in denials(limits, replace(known, now=denial.until - MOMENT), entry)}
        after = {one.rule for one in denials(limits, replace(known, now=denial.until), entry)}
        assert denial.until > NOW
        assert denial.rule in before
        assert denial.rule not in after
