"""DCA: amounts that add up to the last base unit, a band of prices, and what it is going to spend."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import WSOL_MINT, format_units
from sniperforge.errors import PriceUnavailableError
from sniperforge.strategies.base import Decision, Observation, Outline, Pair, Proposal, Token
from sniperforge.strategies.dca import DcaConfig, DcaStrategy
from tests.fakes.clock import START
from tests.fakes.records import USDC

PAIR = Pair(Token(USDC, 6), Token(WSOL_MINT, 9))
DCA = DcaStrategy()


def config(**changes: Any) -> DcaConfig:
    given: dict[str, Any] = {
        "name": "weekly",
        "input_token": USDC,
        "output_token": WSOL_MINT,
        "amount_per_order": "5",
        "schedule": {"interval_s": 3_600},
        **changes,
    }
    return DCA.read({name: value for name, value in given.items() if value is not None})


def total(amount: str, orders: int, **changes: Any) -> DcaConfig:
    return config(amount_per_order=None, total_amount=amount, orders=orders, **changes)


def decide(settings: DcaConfig, state: Any = None, price: Decimal | None = None, pair: Pair = PAIR) -> Decision:
    return DCA.decide(settings, DCA.begin() if state is None else state, Observation(pair, price), 0, START)


def proposed(settings: DcaConfig, **seen: Any) -> Proposal:
    proposal = decide(settings, **seen).proposal
    assert proposal is not None
    return proposal


def test_a_round_proposes_an_entry_with_the_plans_limits() -> None:
    proposal = proposed(config(max_slippage_bps=50, max_cost_bps=80, deadline_s=90))
    assert proposal == Proposal(
        input_raw=5_000_000,
        effect=ExposureEffect.ENTRY,
        min_out_per_input=None,
        max_slippage_bps=50,
        max_cost_bps=80,
        deadline=timedelta(seconds=90),
    )


@settings(deadline=None)
@given(st.integers(1, 10**15), st.integers(1, 200), st.integers(0, 18))
def test_the_rounds_of_a_total_add_up_to_the_last_base_unit(raw: int, orders: int, decimals: int) -> None:
    pair = Pair(Token(USDC, decimals), Token(WSOL_MINT, 9))
    settings = total(format_units(raw, decimals), orders)
    if raw < orders:
        assert DCA.problems(settings, pair, starting=START) != ()
        return
    assert DCA.problems(settings, pair, starting=START) == ()
    state, amounts, ended = DCA.begin(), [], None
    while ended is None:
        decision = decide(settings, state, pair=pair)
        assert decision.proposal is not None
        amounts.append(decision.proposal.input_raw)
        state, ended = decision.state, decision.ended
    assert (sum(amounts), len(amounts)) == (raw, orders)
    assert len(set(amounts[:-1])) <= 1
    assert 0 <= amounts[-1] - amounts[0] < orders
    assert DCA.outline(settings, pair, starting=START) == Outline(raw // orders, orders, raw)


@settings(deadline=None)
@given(st.decimals(Decimal("1e-9"), Decimal("1e9"), places=12), st.integers(0, 12), st.integers(0, 12))
def test_no_fill_within_the_limit_is_above_max_price(price: Decimal, input_decimals: int, output_decimals: int) -> None:
    if price <= 0:
        return
    pair = Pair(Token(USDC, input_decimals), Token(WSOL_MINT, output_decimals))
    limit = proposed(config(max_price=price), price=price, pair=pair).min_out_per_input
    assert limit is not None
    paid = Fraction(1) / Fraction(limit) * Fraction(10) ** (output_decimals - input_decimals)
    assert paid <= Fraction(price)
    assert paid > Fraction(price) * Fraction(999_999_999, 1_000_000_000)


@pytest.mark.parametrize(
    ("price", "why"),
    [
        ("99.999999999", "the price is 99.999999, below min_price (100)"),
        ("100", None),
        ("150", None),
        ("200", None),
        ("200.1", "the price is 200.1, above max_price (200)"),
    ],
)
def test_the_band_includes_its_limits(price: str, why: str | None) -> None:
    decision = decide(config(min_price=100, max_price=200), price=Decimal(price))
    assert decision.skipped == why
    assert decision.state == {"orders": 0 if why else 1}


def test_only_a_band_needs_a_price() -> None:
    assert not DCA.needs_price(config())
    assert DCA.needs_price(config(min_price=1))
    assert DCA.needs_price(config(max_price=1))


def test_a_band_without_a_price_decides_nothing() -> None:
    with pytest.raises(PriceUnavailableError):
        decide(config(min_price=1))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount_per_order": "0.0000001"}, "more decimals than the token's 6"),
        ({"amount_per_order": "1e18"}, "is outside"),
        ({"amount_per_order": None, "total_amount": "0.000002", "orders": 3}, "nothing is left for each"),
    ],
)
def test_an_amount_that_the_token_cannot_express_is_a_problem(changes: dict[str, Any], expected: str) -> None:
    (problem,) = DCA.problems(config(**changes), PAIR, starting=START)
    assert expected in problem


def test_a_plan_with_an_end_says_what_it_spends_at_most() -> None:
    ends = config(end_at=(START + timedelta(hours=10)).isoformat())
    assert DCA.outline(ends, PAIR, starting=START) == Outline(5_000_000, 11, 55_000_000)
    assert DCA.outline(ends, PAIR, starting=START + timedelta(hours=11)) == Outline(5_000_000, 0, 0)
    assert DCA.outline(config(), PAIR, starting=START) == Outline(5_000_000, None, None)


def test_orders_that_do_not_fit_before_the_end_are_a_problem() -> None:
    ends = {"end_at": (START + timedelta(hours=3)).isoformat()}
    assert DCA.problems(total("10", 4, **ends), PAIR, starting=START) == ()
    (most_of_them,) = DCA.problems(total("10", 100, **ends), PAIR, starting=START)
    assert most_of_them == (
        "orders: only 4 of 100 orders fit before end_at: the rest would never be spent; "
        "give fewer orders, a shorter interval or a later end_at"
    )
    (one_less,) = DCA.problems(total("10", 4, **ends), PAIR, starting=START + timedelta(microseconds=1))
    assert one_less.startswith("orders: only 3 of 4 orders fit")


def test_orders_are_counted_from_the_start_of_the_plan() -> None:
    times = {"start_at": (START + timedelta(hours=2)).isoformat(), "end_at": (START + timedelta(hours=3)).isoformat()}
    assert DCA.problems(total("10", 2, **times), PAIR, starting=START) == ()
    (problem,) = DCA.problems(total("10", 3, **times), PAIR, starting=START)
    assert problem.startswith("orders: only 2 of 3 orders fit")


def test_orders_of_a_calendar_are_counted_by_its_clocks() -> None:
    """Clocks go forward in the night to 29 March, so three mornings are 47 hours apart."""
    daily = {"days": ["sat", "sun", "mon"], "time": "09:00", "time_zone": "Europe/Berlin"}
    times = {"start_at": "2026-03-28T09:00:00+01:00", "end_at": "2026-03-30T09:00:00+02:00", "schedule": daily}
    assert DCA.problems(total("10", 3, **times), PAIR, starting=START) == ()
    (problem,) = DCA.problems(total("10", 4, **times), PAIR, starting=START)
    assert problem.startswith("orders: only 3 of 4 orders fit")


def test_wrong_amounts_and_orders_without_a_round_are_told_together() -> None:
    wrong = total("0.0000001", 9, end_at=(START + timedelta(hours=1)).isoformat())
    assert [one.split(":")[0] for one in DCA.problems(wrong, PAIR, starting=START)] == ["total_amount", "orders"]


def test_what_is_perhaps_not_meant_is_said() -> None:
    assert DCA.warnings(config()) == ()
    (open_orders,) = DCA.warnings(config(schedule={"interval_s": 300}, deadline_s=301))
    assert "several can be open at once" in open_orders
    (late,) = DCA.warnings(config(schedule={"interval_s": 299}))
    assert "missed after 299 s anyway" in late
    assert DCA.warnings(config(schedule={"interval_s": 299}, catch_up="once")) == ()


def test_a_round_is_decided_or_skipped_and_never_both() -> None:
    with pytest.raises(ValueError, match="one of the two"):
        Decision(state={})
    with pytest.raises(ValueError, match="one of the two"):
        Decision(state={}, proposal=proposed(config()), skipped="why")
