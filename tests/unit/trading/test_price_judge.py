"""What counts as a price, and what a trade must bring at least."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.domain.prices import Price, rounded_price
from sniperforge.errors import (
    ExchangeUnavailableError,
    InvalidInputError,
    PriceDivergedError,
    PriceUnavailableError,
    RetryableError,
)
from sniperforge.ports.exchange import Lane
from sniperforge.trading.price_checks import MAX_AHEAD, MAX_HELD, MAX_SLOTS_AHEAD
from sniperforge.trading.price_judge import PriceJudge, PricePolicy, Valuation
from tests.fakes.chain import FakeChain
from tests.fakes.clock import START, FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.oracle import FakeOracle

SOL = WSOL_MINT
USDC = Mint("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
JUP = Mint("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
CAT = Mint("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
DECIMALS = {SOL: 9, USDC: 6, JUP: 6, CAT: 2}
ENTRY, EXIT = ExposureEffect.ENTRY, ExposureEffect.EXIT

POLICY = PricePolicy(
    entry_slippage_bps=100,
    exit_slippage_bps=300,
    single_source_slippage_bps=50,
    divergence_bps=100,
    jump_bps=2_000,
    max_slots_behind=600,
)
HUNDRED_USDC = 100_000_000


@dataclass
class Desk:
    """A judge between a Jupiter and an oracle whose words the test chooses. SOL, USDC and JUP have a feed."""

    clock: FakeClock = field(default_factory=FakeClock)
    chain: FakeChain = field(default_factory=FakeChain)
    policy: PricePolicy = POLICY
    last_seen: dict[tuple[Mint, str], Price] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exchange = FakeExchange(self.clock, listings=(), usd={})
        self.exchange.slot = self.chain.head_slot
        self.oracle = FakeOracle(self.clock, (SOL, USDC, JUP))

    def says(self, *, jupiter: Mapping[Mint, str], oracle: Mapping[Mint, str] = {}) -> Desk:
        """Let both sources say these dollars per whole token from now on."""
        self.exchange.usd.update({mint: Decimal(usd) for mint, usd in jupiter.items()})
        for mint, usd in oracle.items():
            self.oracle.publish(self.chain, mint, Decimal(usd))
        return self

    @property
    def judge(self) -> PriceJudge:
        return PriceJudge(exchange=self.exchange, oracle=self.oracle, clock=self.clock, policy=self.policy)

    def value(self, input_mint: Mint, output_mint: Mint, input_raw: int, **kwargs: Any) -> Valuation:
        """Ask, read and judge, as whoever signs does."""
        quoted = self.judge.ask(input_mint, output_mint, lane=Lane.ENTRY)
        return self.value_quoted(quoted, input_mint, output_mint, input_raw, **kwargs)

    def value_quoted(
        self,
        quoted: Mapping[Mint, Price],
        input_mint: Mint,
        output_mint: Mint,
        input_raw: int,
        *,
        effect: ExposureEffect = ENTRY,
        max_slippage_bps: int | None = None,
        min_out_per_input: Decimal | None = None,
        decimals: tuple[int, int] | None = None,
    ) -> Valuation:
        input_decimals, output_decimals = decimals or (DECIMALS[input_mint], DECIMALS[output_mint])
        addresses = self.judge.accounts(input_mint, output_mint)
        return self.judge.judge(
            quoted=quoted,
            accounts=dict(zip(addresses, self.chain.accounts(addresses), strict=True)),
            slot=self.chain.head_slot,
            last_seen=self.last_seen,
            input_mint=input_mint,
            output_mint=output_mint,
            input_decimals=input_decimals,
            output_decimals=output_decimals,
            input_raw=input_raw,
            effect=effect,
            max_slippage_bps=max_slippage_bps,
            min_out_per_input=min_out_per_input,
        )

    def remember(self, prices: Iterable[Price]) -> None:
        """Keep what was observed, as the books do."""
        self.last_seen.update({(price.mint, price.source): price for price in prices})


PLAIN = {SOL: "200", USDC: "1"}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_two_sources_that_agree_value_a_trade_exactly(desk: Desk) -> None:
    found = desk.says(jupiter=PLAIN, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC)

    assert found.fair_out_raw == 500_000_000
    assert found.min_out_raw == 495_000_000
    assert found.cap_bps == 100
    assert found.divergence_bps == 0
    assert (found.usd_per_input_unit, found.usd_per_output_unit) == (Decimal("1e-6"), Decimal("2e-7"))
    assert found.usd_per_lamport == Decimal("2e-7")
    assert {(price.mint, price.source) for price in found.observed} == {
        (mint, source) for mint in (SOL, USDC) for source in ("jupiter", "pyth")
    }
    assert found.notes == ()


# ---- asking
def test_one_request_asks_for_both_tokens_and_for_sol(desk: Desk) -> None:
    desk.says(jupiter={**PLAIN, JUP: "0.5"})

    found = desk.judge.ask(USDC, JUP, lane=Lane.EXIT)

    assert set(found) == {USDC, JUP, SOL}
    assert [(call.what, call.lane) for call in desk.exchange.calls] == [((USDC, JUP, SOL), Lane.EXIT)]


def test_sol_in_the_pair_is_asked_for_once(desk: Desk) -> None:
    desk.says(jupiter=PLAIN).judge.ask(SOL, USDC, lane=Lane.ENTRY)

    assert [call.what for call in desk.exchange.calls] == [(SOL, USDC)]


@pytest.mark.parametrize(
    ("known", "missing"), [({USDC: "1"}, (JUP,)), ({JUP: "1"}, (USDC,)), ({SOL: "200"}, (USDC, JUP))]
)
def test_tokens_that_jupiter_has_no_price_for_are_named(
    desk: Desk, known: dict[Mint, str], missing: tuple[Mint, ...]
) -> None:
    with pytest.raises(PriceUnavailableError, match="no price for it") as refusal:
        desk.says(jupiter=known).judge.ask(USDC, JUP, lane=Lane.ENTRY)

    assert refusal.value.details == {"mints": missing, "observed": ()}
    assert all(mint in str(refusal.value) for mint in missing)


def test_a_failure_of_jupiter_is_passed_on(desk: Desk) -> None:
    desk.exchange.fail("prices", ExchangeUnavailableError("it timed out"))

    with pytest.raises(ExchangeUnavailableError):
        desk.judge.ask(USDC, SOL, lane=Lane.ENTRY)


def test_only_accounts_of_tokens_with_a_feed_are_wanted(desk: Desk) -> None:
    assert desk.judge.accounts(USDC, SOL) == tuple(desk.oracle.feed_accounts((USDC, SOL)).values())
    assert len(desk.judge.accounts(USDC, CAT)) == 1
    assert desk.judge.accounts(CAT, CAT) == ()


# ---- missing and stale
@pytest.mark.parametrize("effect", [ENTRY, EXIT])
@pytest.mark.parametrize("missing", [USDC, SOL])
def test_a_missing_price_is_never_a_number(desk: Desk, effect: ExposureEffect, missing: Mint) -> None:
    quoted = dict(desk.says(jupiter=PLAIN, oracle=PLAIN).judge.ask(USDC, SOL, lane=Lane.ENTRY))
    del quoted[missing]

    with pytest.raises(PriceUnavailableError, match="no price for it") as refusal:
        desk.value_quoted(quoted, USDC, SOL, HUNDRED_USDC, effect=effect)

    assert refusal.value.details["mints"] == (missing,)


@pytest.mark.parametrize("slots_behind", [POLICY.max_slots_behind, -MAX_SLOTS_AHEAD])
def test_a_price_at_the_edge_of_what_is_fresh_counts(desk: Desk, slots_behind: int) -> None:
    desk.exchange.slot = desk.chain.head_slot - slots_behind

    assert desk.says(jupiter=PLAIN, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC).min_out_raw == 495_000_000


@pytest.mark.parametrize("effect", [ENTRY, EXIT])
@pytest.mark.parametrize(
    ("slots_behind", "why"),
    [(POLICY.max_slots_behind + 1, "601 slots old, 600 allowed"), (-MAX_SLOTS_AHEAD - 1, "101 slots after")],
)
def test_a_price_of_another_time_is_no_price_and_is_not_kept(
    desk: Desk, effect: ExposureEffect, slots_behind: int, why: str
) -> None:
    desk.exchange.slot = desk.chain.head_slot - slots_behind

    with pytest.raises(PriceUnavailableError, match=why) as refusal:
        desk.says(jupiter=PLAIN, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC, effect=effect)

    assert refusal.value.details["mints"] == (USDC, SOL)
    assert {price.source for price in refusal.value.details["observed"]} == {"pyth"}


def test_a_price_that_names_no_slot_is_no_price(desk: Desk) -> None:
    quoted = desk.says(jupiter=PLAIN, oracle=PLAIN).judge.ask(USDC, SOL, lane=Lane.ENTRY)
    dateless = {mint: replace(price, slot=None) for mint, price in quoted.items()}

    with pytest.raises(PriceUnavailableError, match="does not say of which slot"):
        desk.value_quoted(dateless, USDC, SOL, HUNDRED_USDC)


@pytest.mark.parametrize("passes", [MAX_HELD, -MAX_AHEAD])
def test_an_answer_may_be_held_for_a_while(desk: Desk, passes: timedelta) -> None:
    quoted = desk.says(jupiter={JUP: "1", CAT: "1"}).judge.ask(CAT, JUP, lane=Lane.EXIT)
    desk.clock.jump(START + passes)

    assert desk.value_quoted(quoted, CAT, JUP, 100, effect=EXIT).fair_out_raw == 1_000_000


@pytest.mark.parametrize("passes", [MAX_HELD + timedelta(seconds=1), -MAX_AHEAD - timedelta(seconds=1)])
def test_an_answer_held_while_this_process_stood_still_is_stale(desk: Desk, passes: timedelta) -> None:
    quoted = desk.says(jupiter={JUP: "1", CAT: "1"}).judge.ask(CAT, JUP, lane=Lane.EXIT)
    desk.clock.jump(START + passes)

    with pytest.raises(PriceUnavailableError, match="was received at"):
        desk.value_quoted(quoted, CAT, JUP, 100, effect=EXIT)


def test_sol_without_a_price_leaves_the_costs_unvalued_and_stops_no_trade(desk: Desk) -> None:
    found = desk.says(jupiter={USDC: "1", JUP: "0.5"}, oracle={USDC: "1", JUP: "0.5"}).value(USDC, JUP, HUNDRED_USDC)

    assert found.usd_per_lamport is None
    assert found.fair_out_raw == 200_000_000


# ---- jumps
@pytest.mark.parametrize("effect", [ENTRY, EXIT])
@pytest.mark.parametrize("usd", ["240.01", "159.99"])
def test_a_price_that_jumped_is_refused_once_and_believed_if_it_stays(
    desk: Desk, effect: ExposureEffect, usd: str
) -> None:
    desk.remember(desk.says(jupiter=PLAIN, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC).observed)
    moved = {SOL: usd, USDC: "1"}

    with pytest.raises(PriceUnavailableError, match=f"jumped from 200 to {usd} USD") as refusal:
        desk.says(jupiter=moved, oracle=moved).value(USDC, SOL, HUNDRED_USDC, effect=effect)
    desk.remember(refusal.value.details["observed"])

    assert desk.value(USDC, SOL, HUNDRED_USDC, effect=effect).fair_out_raw == int(100 / Decimal(usd) * 10**9)


@pytest.mark.parametrize("usd", ["240", "160"])
def test_a_move_up_to_the_limit_is_no_jump(desk: Desk, usd: str) -> None:
    desk.remember(desk.says(jupiter=PLAIN, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC).observed)
    moved = {SOL: usd, USDC: "1"}

    assert desk.says(jupiter=moved, oracle=moved).value(USDC, SOL, HUNDRED_USDC).observed


def test_a_price_that_goes_back_to_where_it_was_has_jumped_again(desk: Desk) -> None:
    for usd in ("200", "300", "200"):
        desk.says(jupiter={SOL: usd, CAT: "1"}, oracle={SOL: usd})
        if desk.last_seen:
            with pytest.raises(PriceUnavailableError, match="jumped") as refusal:
                desk.value(CAT, SOL, 100)
            desk.remember(refusal.value.details["observed"])
        else:
            desk.remember(desk.value(CAT, SOL, 100).observed)


def test_a_price_is_measured_by_its_own_source_and_token_only(desk: Desk) -> None:
    before = Price(mint=SOL, usd=Decimal(170), source="jupiter", observed_at=START)
    desk.remember(
        [before, replace(before, mint=JUP, source="pyth"), replace(before, usd=Decimal(1), source="elsewhere")]
    )

    found = desk.says(jupiter={SOL: "204", USDC: "1"}, oracle={SOL: "204.9", USDC: "1"}).value(SOL, USDC, 10**9)

    assert found.fair_out_raw == 204_900_000


def test_a_jump_of_the_oracle_stops_an_entry(desk: Desk) -> None:
    desk.remember(
        desk.says(jupiter={SOL: "170", USDC: "1"}, oracle={SOL: "170", USDC: "1"}).value(USDC, SOL, 1).observed
    )
    desk.says(jupiter={SOL: "203"}, oracle={SOL: "205"})

    with pytest.raises(PriceUnavailableError, match="pyth's price jumped"):
        desk.value(USDC, SOL, HUNDRED_USDC)


@pytest.mark.parametrize(("oracle_usd", "fair_out_raw"), [("300", 300_000_000), ("100", 200_000_000)])
def test_a_jump_of_the_oracle_can_only_raise_what_an_exit_demands(
    desk: Desk, oracle_usd: str, fair_out_raw: int
) -> None:
    desk.remember(desk.says(jupiter=PLAIN, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC).observed)
    desk.says(jupiter={}, oracle={SOL: oracle_usd})

    found = desk.value(SOL, USDC, 10**9, effect=EXIT)

    assert found.fair_out_raw == fair_out_raw
    assert any("heeded where it demands more: pyth's price jumped" in note for note in found.notes)


def test_a_jump_of_sol_leaves_the_costs_of_another_pair_unvalued_but_is_kept(desk: Desk) -> None:
    desk.says(jupiter={**PLAIN, JUP: "1"}, oracle={USDC: "1", JUP: "1"})
    desk.remember(desk.value(USDC, JUP, HUNDRED_USDC).observed)
    desk.says(jupiter={SOL: "500"})

    found = desk.value(USDC, JUP, HUNDRED_USDC)

    assert found.usd_per_lamport is None
    assert Decimal(500) in {price.usd for price in found.observed}
    desk.remember(found.observed)
    assert desk.value(USDC, JUP, HUNDRED_USDC).usd_per_lamport == Decimal("5e-7")


# ---- two sources
APART = [
    ({SOL: "200", USDC: "1"}, {SOL: "197", USDC: "1"}, 507_614_213),
    ({SOL: "197", USDC: "1"}, {SOL: "200", USDC: "1"}, 507_614_213),
    ({SOL: "200", USDC: "1"}, {SOL: "200", USDC: "1.02"}, 510_000_000),
    ({SOL: "200", USDC: "1.02"}, {SOL: "200", USDC: "1"}, 510_000_000),
]


@pytest.mark.parametrize(("jupiter", "oracle", "fair_out_raw"), APART)
def test_sources_that_contradict_each_other_stop_an_entry(
    desk: Desk, jupiter: dict[Mint, str], oracle: dict[Mint, str], fair_out_raw: int
) -> None:
    with pytest.raises(PriceDivergedError, match="bps apart, 100 allowed") as refusal:
        desk.says(jupiter=jupiter, oracle=oracle).value(USDC, SOL, HUNDRED_USDC)

    assert isinstance(refusal.value, RetryableError)
    details = refusal.value.details
    mint = details["mint"]
    assert (details["jupiter"].usd, details["oracle"].usd) == (Decimal(jupiter[mint]), Decimal(oracle[mint]))
    assert details["divergence_bps"] > 100
    assert len(details["observed"]) == 4
    assert vars(pickle.loads(pickle.dumps(refusal.value))) == vars(refusal.value)  # noqa: S301 (our own bytes)


@pytest.mark.parametrize(("jupiter", "oracle", "fair_out_raw"), APART)
def test_sources_that_contradict_each_other_let_an_exit_go_by_the_more_cautious(
    desk: Desk, jupiter: dict[Mint, str], oracle: dict[Mint, str], fair_out_raw: int
) -> None:
    found = desk.says(jupiter=jupiter, oracle=oracle).value(USDC, SOL, HUNDRED_USDC, effect=EXIT)

    assert found.fair_out_raw == fair_out_raw
    assert found.cap_bps == 300
    assert found.divergence_bps is not None
    assert found.divergence_bps > 100
    assert any("more cautious source" in note for note in found.notes)
    assert found.usd_per_input_unit == Decimal(jupiter[USDC]).scaleb(-6)
    assert found.usd_per_output_unit == Decimal(jupiter[SOL]).scaleb(-9)


@pytest.mark.parametrize(
    ("jupiter", "oracle", "fair_out_raw"),
    [
        ({SOL: "202", USDC: "1"}, {SOL: "200", USDC: "1"}, 500_000_000),
        ({SOL: "198", USDC: "1"}, {SOL: "200", USDC: "1"}, 505_050_505),
        ({SOL: "200", USDC: "1"}, {SOL: "200", USDC: "1.01"}, 505_000_000),
        ({SOL: "200", USDC: "0.99"}, {SOL: "200", USDC: "1"}, 500_000_000),
    ],
)
def test_within_the_limit_an_entry_too_demands_by_the_more_cautious(
    desk: Desk, jupiter: dict[Mint, str], oracle: dict[Mint, str], fair_out_raw: int
) -> None:
    found = desk.says(jupiter=jupiter, oracle=oracle).value(USDC, SOL, HUNDRED_USDC)

    assert found.fair_out_raw == fair_out_raw
    assert found.divergence_bps is not None
    assert Decimal(99) <= found.divergence_bps <= 100
    assert found.notes == ()


def test_the_divergence_told_is_that_of_the_token_where_it_is_largest(desk: Desk) -> None:
    found = desk.says(jupiter={SOL: "200.2", USDC: "1.005"}, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC)

    assert found.divergence_bps == 50


def test_a_hair_beyond_the_limit_is_beyond_it(desk: Desk) -> None:
    with pytest.raises(PriceDivergedError, match=r"100\.01 bps apart"):
        desk.says(jupiter={SOL: "202.00000000000001", USDC: "1"}, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC)


# ---- one source
@pytest.mark.parametrize(("input_mint", "output_mint"), [(USDC, CAT), (CAT, USDC), (CAT, CAT)])
def test_an_entry_in_a_token_without_a_feed_has_the_tighter_cap(
    desk: Desk, input_mint: Mint, output_mint: Mint
) -> None:
    desk.says(jupiter={**PLAIN, CAT: "1"}, oracle=PLAIN)

    assert desk.value(input_mint, output_mint, 100).cap_bps == 50
    assert desk.value(input_mint, output_mint, 100, effect=EXIT).cap_bps == 300


@pytest.mark.parametrize(("output_mint", "effect", "cap_bps"), [(SOL, ENTRY, 100), (CAT, ENTRY, 50), (CAT, EXIT, 300)])
def test_the_cap_is_known_before_any_price_is(
    desk: Desk, output_mint: Mint, effect: ExposureEffect, cap_bps: int
) -> None:
    assert desk.judge.cap_bps(USDC, output_mint, effect=effect, max_slippage_bps=None) == cap_bps
    assert desk.judge.cap_bps(USDC, output_mint, effect=effect, max_slippage_bps=20) == 20


@pytest.mark.parametrize(("effect", "cap_bps"), [(ENTRY, 100), (EXIT, 900)])
def test_an_exits_own_cap_may_be_wider_than_the_usual_one_and_an_entrys_never(
    desk: Desk, effect: ExposureEffect, cap_bps: int
) -> None:
    assert desk.judge.cap_bps(USDC, SOL, effect=effect, max_slippage_bps=900) == cap_bps


def test_the_single_source_cap_never_widens_the_other(desk: Desk) -> None:
    desk.policy = replace(POLICY, single_source_slippage_bps=500)

    assert desk.says(jupiter={**PLAIN, CAT: "1"}, oracle=PLAIN).value(USDC, CAT, 100).cap_bps == 100


def test_a_pair_that_only_jupiter_prices_has_no_divergence(desk: Desk) -> None:
    found = desk.says(jupiter={**PLAIN, CAT: "1"}).value(CAT, CAT, 100)

    assert found.divergence_bps is None
    assert {price.source for price in found.observed} == {"jupiter"}


def test_an_oracle_that_is_silent_on_a_token_it_has_a_feed_for_stops_an_entry(desk: Desk) -> None:
    with pytest.raises(PriceUnavailableError, match="account does not exist") as refusal:
        desk.says(jupiter=PLAIN, oracle={USDC: "1"}).value(USDC, SOL, HUNDRED_USDC)

    assert refusal.value.details["mints"] == (SOL,)
    assert len(refusal.value.details["observed"]) == 3


def test_an_exit_goes_on_by_jupiter_alone_and_says_so(desk: Desk) -> None:
    found = desk.says(jupiter=PLAIN, oracle={USDC: "1"}).value(SOL, USDC, 10**9, effect=EXIT)

    assert (found.fair_out_raw, found.min_out_raw, found.cap_bps) == (200_000_000, 194_000_000, 300)
    assert [note for note in found.notes if "by Jupiter alone" in note and SOL in note] == list(found.notes) != []


def test_an_oracle_whose_price_has_grown_old_is_silent(desk: Desk) -> None:
    desk.says(jupiter=PLAIN, oracle=PLAIN)
    desk.clock.advance(timedelta(seconds=61))

    with pytest.raises(PriceUnavailableError, match="not of now") as refusal:
        desk.value(USDC, SOL, HUNDRED_USDC)
    assert {price.source for price in refusal.value.details["observed"]} == {"jupiter"}


def test_everything_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    desk.exchange.slot -= 700
    with pytest.raises(PriceUnavailableError) as refusal:
        desk.says(jupiter=PLAIN, oracle={USDC: "1"}).value(USDC, SOL, HUNDRED_USDC)

    assert str(refusal.value) == (
        f"{USDC}: Jupiter's price is 700 slots old, 600 allowed;"
        f" {SOL}: Jupiter's price is 700 slots old, 600 allowed;"
        f" {SOL}: no price of the oracle: its account does not exist."
        " Nothing was signed; it is looked at again"
    )


# ---- the intent's own limits
@pytest.mark.parametrize(("asked", "cap_bps"), [(30, 30), (0, 0), (100, 100), (101, 100), (10_000, 100)])
def test_an_intent_can_only_tighten_the_cap(desk: Desk, asked: int, cap_bps: int) -> None:
    found = desk.says(jupiter=PLAIN, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC, max_slippage_bps=asked)

    assert found.cap_bps == cap_bps
    assert found.min_out_raw == 500_000_000 * (10_000 - cap_bps) // 10_000


@pytest.mark.parametrize(
    ("limit", "min_out_raw"),
    [("4.9", 495_000_000), ("4.98", 498_000_000), ("5.2", 520_000_000), ("4.9900000000000000001", 499_000_001)],
)
def test_the_intents_own_price_can_only_raise_the_minimum(desk: Desk, limit: str, min_out_raw: int) -> None:
    found = desk.says(jupiter=PLAIN, oracle=PLAIN).value(USDC, SOL, HUNDRED_USDC, min_out_per_input=Decimal(limit))

    assert found.min_out_raw == min_out_raw
    assert found.fair_out_raw == 500_000_000


# ---- arithmetic
def test_what_is_worth_less_than_one_unit_still_demands_one(desk: Desk) -> None:
    found = desk.says(jupiter={USDC: "1", CAT: "1000000"}, oracle={USDC: "1"}).value(USDC, CAT, HUNDRED_USDC)

    assert (found.fair_out_raw, found.min_out_raw) == (0, 1)


def test_a_cap_of_everything_still_demands_one_unit(desk: Desk) -> None:
    desk.policy = replace(POLICY, exit_slippage_bps=10_000)

    assert desk.says(jupiter=PLAIN, oracle=PLAIN).value(SOL, USDC, 10**9, effect=EXIT).min_out_raw == 1


def test_a_worth_that_no_amount_can_hold_is_refused(desk: Desk) -> None:
    desk.says(jupiter={JUP: "1000000000", SOL: "0.000000000001"}, oracle={JUP: "1000000000", SOL: "0.000000000001"})

    with pytest.raises(InvalidInputError, match="fair_out_raw"):
        desk.value(JUP, SOL, 10**12)


dollars = st.builds(
    lambda mantissa, exponent: Decimal(mantissa).scaleb(exponent),
    st.integers(1, 10**17 - 1),
    st.integers(-11, -9),
)
near = st.integers(-20, 20)


@given(
    usd_in=dollars,
    usd_out=dollars,
    near_in=near,
    near_out=near,
    input_raw=st.integers(1, 10**15),
    input_decimals=st.integers(0, 12),
    output_decimals=st.integers(0, 12),
    cap_bps=st.integers(0, 100),
    limit=st.none() | st.decimals("0", "1e9", allow_nan=False, places=9),
    effect=st.sampled_from(ExposureEffect),
)
def test_nothing_is_ever_rounded_in_the_markets_favour(
    usd_in: Decimal,
    usd_out: Decimal,
    near_in: int,
    near_out: int,
    input_raw: int,
    input_decimals: int,
    output_decimals: int,
    cap_bps: int,
    limit: Decimal | None,
    effect: ExposureEffect,
) -> None:
    others = [rounded_price(usd + usd * bps / 10_000) for usd, bps in ((usd_in, near_in), (usd_out, near_out))]
    desk = Desk()
    quoted = {mint: jupiter_says(mint, usd, desk) for mint, usd in ((JUP, usd_in), (SOL, usd_out))}
    for mint, usd in zip((JUP, SOL), others, strict=True):
        desk.oracle.publish(desk.chain, mint, usd)
    # All in base units: dollars per unit as exact integers over one common denominator.
    scale = 10**60
    given_usd, got_usd = (
        [int(Fraction(usd) * scale / 10**decimals) for usd in both]
        for both, decimals in (((usd_in, others[0]), input_decimals), ((usd_out, others[1]), output_decimals))
    )
    worth, price = input_raw * max(given_usd), min(got_usd)
    assume(worth < price * 2**62)
    assume(limit is None or input_raw * limit < 2**62)

    found = desk.value_quoted(
        quoted,
        JUP,
        SOL,
        input_raw,
        effect=effect,
        decimals=(input_decimals, output_decimals),
        max_slippage_bps=cap_bps,
        min_out_per_input=limit,
    )

    fair, least = found.fair_out_raw, found.min_out_raw
    assert fair * price <= worth < (fair + 1) * price
    enough = least * price * 10_000 >= worth * (10_000 - cap_bps) and (limit is None or least >= input_raw * limit)
    one_less = least - 1
    too_little = one_less * price * 10_000 < worth * (10_000 - cap_bps) or (
        limit is not None and one_less < input_raw * limit
    )
    assert enough
    assert too_little
    assert Fraction(found.usd_per_input_unit) == Fraction(usd_in) / 10**input_decimals
    assert Fraction(found.usd_per_output_unit) == Fraction(usd_out) / 10**output_decimals


def jupiter_says(mint: Mint, usd: Decimal, desk: Desk) -> Price:
    return Price(mint=mint, usd=usd, source="jupiter", observed_at=desk.clock.now(), slot=desk.chain.head_slot)
