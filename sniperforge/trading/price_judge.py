"""What a trade is worth by prices that do not come from the quote, and so the least it must bring.

Two sources are asked: Jupiter's price API and, for tokens that have a feed, an oracle whose accounts were read through
our own nodes. A price that is missing, stale or jumped is no price. Where the sources contradict each other nothing is
bought; an exit goes on by whichever demands more of the market. docs/guides/prices.md says what is left to lose.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import SOL_DECIMALS, WSOL_MINT, Address, Mint, checked_raw
from sniperforge.domain.prices import Price
from sniperforge.errors import PriceDivergedError, PriceUnavailableError
from sniperforge.ports.chain import AccountInfo
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Exchange, Lane
from sniperforge.ports.oracle import Oracle
from sniperforge.trading.price_checks import ABSENT, distance_bps, jumped, shown_bps, stale

_WHOLE_BPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePolicy:
    """Limits of what counts as a price, and of what a trade may cost. A value at a limit is within it.

    Attributes:
        entry_slippage_bps: How far an entry may fall short of its independent worth, costs included.
        exit_slippage_bps: The same for an exit.
        single_source_slippage_bps: The tighter cap for entries in which a token has no oracle feed.
        divergence_bps: How far Jupiter's price may be from the oracle's, as a share of the oracle's.
        jump_bps: How far a price may be from the last one seen of its source, as a share of that one.
        max_slots_behind: How many slots old a Jupiter price may be.
    """

    entry_slippage_bps: int
    exit_slippage_bps: int
    single_source_slippage_bps: int
    divergence_bps: int
    jump_bps: int
    max_slots_behind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """Independent worth of a trade at one moment.

    Attributes:
        usd_per_input_unit: Dollars per base unit of the input, by Jupiter: the value for the books.
        usd_per_output_unit: The same for the output.
        usd_per_lamport: The same for fees and rent; None when SOL has no price and is not part of the pair.
        cap_bps: The slippage cap in force after all rules, costs included.
        fair_out_raw: What the input is worth in base units of the output by the more cautious prices, rounded down.
        min_out_raw: The least the trade must bring, never 0: the exact worth less the cap, rounded up, or the intent's
            own limit if that is higher.
        divergence_bps: How far the sources are apart, for the token where they are furthest (rounded up to hundredths);
            None when none of the two has prices of both.
        observed: Every fresh price, for `books.prices`.
        notes: What an exit went on in spite of, in words.
    """

    usd_per_input_unit: Decimal
    usd_per_output_unit: Decimal
    usd_per_lamport: Decimal | None
    cap_bps: int
    fair_out_raw: int
    min_out_raw: int
    divergence_bps: Decimal | None
    observed: tuple[Price, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Said:
    """What one source says: every fresh price, and why some token has none to go by. A price that jumped is in both."""

    fresh: Mapping[Mint, Price]
    problems: Mapping[Mint, str]


@dataclass(frozen=True, slots=True)
class _Sources:
    """Both sources on one pair."""

    jupiter: _Said
    oracle: _Said

    @property
    def observed(self) -> tuple[Price, ...]:
        """Every fresh price."""
        return (*self.jupiter.fresh.values(), *self.oracle.fresh.values())

    def apart_bps(self) -> Mapping[Mint, Fraction]:
        """How far Jupiter is from the oracle, for tokens that both price."""
        both = self.jupiter.fresh.keys() & self.oracle.fresh.keys()
        return {mint: distance_bps(self.jupiter.fresh[mint], self.oracle.fresh[mint]) for mint in sorted(both)}

    def usd(self, mint: Mint) -> list[Fraction]:
        """What a whole token costs by each source that says so."""
        return [Fraction(said.fresh[mint].usd) for said in (self.jupiter, self.oracle) if mint in said.fresh]


class PriceJudge:
    """Decides whether there are prices to trade on, and what they demand.

    Args:
        exchange: Jupiter, asked once per trade.
        oracle: The second source.
        clock: Tells how long an answer has been held.
        policy: The limits.
    """

    def __init__(self, *, exchange: Exchange, oracle: Oracle, clock: Clock, policy: PricePolicy) -> None:
        self._exchange = exchange
        self._oracle = oracle
        self._clock = clock
        self._policy = policy

    def accounts(self, input_mint: Mint, output_mint: Mint) -> tuple[Address, ...]:
        """The oracle's accounts for this pair, to be read with everything else (`ChainReader.signing_view`)."""
        return tuple(dict.fromkeys(self._oracle.feed_accounts((input_mint, output_mint)).values()))

    def ask(self, input_mint: Mint, output_mint: Mint, *, lane: Lane) -> Mapping[Mint, Price]:
        """Jupiter's prices of both tokens and, for the costs, of SOL, by one request. Its errors are passed on.

        Raises:
            PriceUnavailableError: Jupiter has no price for one of the pair; `details["mints"]` names them.
        """
        wanted = tuple(dict.fromkeys((input_mint, output_mint, WSOL_MINT)))
        found = self._exchange.prices(wanted, lane=lane)
        missing = [(mint, ABSENT) for mint in dict.fromkeys((input_mint, output_mint)) if mint not in found]
        if missing:
            raise _unavailable(missing, ())
        return found

    def cap_bps(
        self, input_mint: Mint, output_mint: Mint, *, effect: ExposureEffect, max_slippage_bps: int | None
    ) -> int:
        """The slippage cap in force for this pair, known before any price is: the tightest of all that apply.

        Args:
            input_mint: What is given.
            output_mint: What is got.
            effect: Entries in a token without a feed have a tighter cap.
            max_slippage_bps: The intent's own cap. An entry's can only tighten; an exit's, which was held against the
                widest allowed when it was decided, counts instead of the default.
        """
        if effect is ExposureEffect.EXIT:
            return self._policy.exit_slippage_bps if max_slippage_bps is None else max_slippage_bps
        caps = [self._policy.entry_slippage_bps]
        pair = {input_mint, output_mint}
        if self._oracle.feed_accounts(tuple(pair)).keys() != pair:
            caps.append(self._policy.single_source_slippage_bps)
        if max_slippage_bps is not None:
            caps.append(max_slippage_bps)
        return min(caps)

    def judge(
        self,
        *,
        quoted: Mapping[Mint, Price],
        accounts: Mapping[Address, AccountInfo | None],
        slot: int,
        last_seen: Mapping[tuple[Mint, str], Price],
        input_mint: Mint,
        output_mint: Mint,
        input_decimals: int,
        output_decimals: int,
        input_raw: int,
        effect: ExposureEffect,
        max_slippage_bps: int | None,
        min_out_per_input: Decimal | None,
    ) -> Valuation:
        """What this trade is worth and must bring.

        Args:
            quoted: What `ask` returned.
            accounts: What stands at `accounts(input_mint, output_mint)`.
            slot: Our own slot at `confirmed`, of the same answer as `accounts`.
            last_seen: The newest earlier price by token and source; none means that this is the first one.
            input_mint: What is given.
            output_mint: What is got.
            input_decimals: Of the input, as the chain says.
            output_decimals: Of the output, as the chain says.
            input_raw: How much is given, base units.
            effect: Entries need every source that a token has, and their agreement; exits need Jupiter alone.
            max_slippage_bps: The intent's own cap, as in `cap_bps`.
            min_out_per_input: The intent's own limit, base units of the output per base unit of the input.

        Raises:
            PriceUnavailableError: A price is missing, stale or jumped. `details["observed"]` has every fresh one: keep
                them, so that a price that jumped and stays is believed at the next look.
            PriceDivergedError: An entry whose sources contradict each other. `details` has `mint`, both prices as
                `jupiter` and `oracle`, `divergence_bps`, and `observed` as above.
            InvalidInputError: The worth does not fit a signed 64-bit amount.
        """
        pair = (input_mint, output_mint)
        is_entry = effect is ExposureEffect.ENTRY
        feeds = tuple(self._oracle.feed_accounts(pair))
        sources = _Sources(
            jupiter=self._sift(self._checked(quoted, (*pair, WSOL_MINT), slot), last_seen),
            oracle=self._sift(self._oracle.judge(feeds, accounts), last_seen),
        )
        self._refuse_what_cannot_be_valued(sources, pair, is_entry=is_entry)

        # The more cautious price of what is given is the higher one, of what is got the lower one: both demand more.
        usd_given = input_raw * max(sources.usd(input_mint)) / 10**input_decimals
        fair_out = usd_given / min(sources.usd(output_mint)) * 10**output_decimals
        cap_bps = self.cap_bps(input_mint, output_mint, effect=effect, max_slippage_bps=max_slippage_bps)
        # At least one: under a cap of everything nothing would be demanded, and a minimum of 0 guards nothing.
        min_out_raw = max(1, math.ceil(fair_out * (_WHOLE_BPS - cap_bps) / _WHOLE_BPS))
        if min_out_per_input is not None:
            min_out_raw = max(min_out_raw, math.ceil(input_raw * Fraction(min_out_per_input)))

        jupiter = sources.jupiter
        apart_bps = sources.apart_bps().values()
        return Valuation(
            usd_per_input_unit=jupiter.fresh[input_mint].usd.scaleb(-input_decimals),
            usd_per_output_unit=jupiter.fresh[output_mint].usd.scaleb(-output_decimals),
            usd_per_lamport=(
                None if WSOL_MINT in jupiter.problems else jupiter.fresh[WSOL_MINT].usd.scaleb(-SOL_DECIMALS)
            ),
            cap_bps=cap_bps,
            fair_out_raw=checked_raw(math.floor(fair_out), field="fair_out_raw"),
            min_out_raw=checked_raw(min_out_raw, field="min_out_raw"),
            divergence_bps=shown_bps(max(apart_bps)) if apart_bps else None,
            observed=sources.observed,
            notes=tuple(self._notes(sources)),
        )

    def _refuse_what_cannot_be_valued(self, sources: _Sources, pair: Sequence[Mint], *, is_entry: bool) -> None:
        """Raise if Jupiter has no price to go by or, for an entry, if the oracle has none or contradicts it."""
        refused = [(mint, why) for mint, why in sources.jupiter.problems.items() if mint in pair]
        if is_entry:
            refused += sources.oracle.problems.items()
        if refused:
            raise _unavailable(refused, sources.observed)
        for mint, bps in sources.apart_bps().items():
            if is_entry and bps > self._policy.divergence_bps:
                raise self._diverged(sources, mint, bps)

    def _notes(self, sources: _Sources) -> Iterator[str]:
        """What an exit goes on in spite of. An entry that got this far has none."""
        for mint, why in sources.oracle.problems.items():
            # Leaving a jumped price out would let Jupiter sell us at its old price after a real move of the market.
            heeded = "heeded where it demands more" if mint in sources.oracle.fresh else "valued by Jupiter alone"
            yield f"{mint}: {heeded}: {why}"
        for mint, bps in sources.apart_bps().items():
            if bps > self._policy.divergence_bps:
                yield f"{mint}: valued by the more cautious source: they are {shown_bps(bps)} bps apart"

    def _checked(self, quoted: Mapping[Mint, Price], mints: Sequence[Mint], slot: int) -> Mapping[Mint, Price | str]:
        """Jupiter's fresh prices, or why there is none."""
        now, behind = self._clock.now(), self._policy.max_slots_behind
        found: dict[Mint, Price | str] = {}
        for mint in mints:
            price = quoted.get(mint)
            found[mint] = (
                ABSENT if price is None else stale(price, slot=slot, now=now, max_slots_behind=behind) or price
            )
        return found

    def _sift(
        self,
        answers: Mapping[Mint, Price | str] | Mapping[Mint, Price | PriceUnavailableError],
        last_seen: Mapping[tuple[Mint, str], Price],
    ) -> _Said:
        """Tell prices from reasons why there is none, and find those that jumped."""
        fresh: dict[Mint, Price] = {}
        problems: dict[Mint, str] = {}
        for mint, answer in answers.items():
            if isinstance(answer, Price):
                fresh[mint] = answer
                before = last_seen.get((mint, answer.source))
                why = jumped(answer, before, jump_bps=self._policy.jump_bps)
                if why is not None:
                    problems[mint] = why
            else:
                problems[mint] = answer if isinstance(answer, str) else answer.what
        return _Said(fresh, problems)

    def _diverged(self, sources: _Sources, mint: Mint, apart_bps: Fraction) -> PriceDivergedError:
        jupiter, oracle = sources.jupiter.fresh[mint], sources.oracle.fresh[mint]
        return PriceDivergedError(
            f"Jupiter says {jupiter.usd:f} USD and {oracle.source} says {oracle.usd:f},"
            f" {shown_bps(apart_bps)} bps apart, {self._policy.divergence_bps} allowed",
            subject=mint,
            fix="Nothing is bought on prices that contradict each other; it is looked at again",
            mint=mint,
            jupiter=jupiter,
            oracle=oracle,
            divergence_bps=shown_bps(apart_bps),
            observed=sources.observed,
        )


def _unavailable(refused: Sequence[tuple[Mint, str]], observed: tuple[Price, ...]) -> PriceUnavailableError:
    (first, why), *others = refused
    return PriceUnavailableError(
        "; ".join([why, *(f"{mint}: {also}" for mint, also in others)]),
        subject=first,
        fix="Nothing was signed; it is looked at again",
        mints=tuple(dict.fromkeys(mint for mint, _ in refused)),
        observed=observed,
    )
