"""Prices for people who look at what they have: nothing is signed on them, so one source is enough.

Jupiter's price counts, as it does in the books; the oracle stands in where it is missing or stale. Where the two
contradict each other the lower one counts and that is said: nobody is told that they own more than they may have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sniperforge.domain.money import Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import PriceUnavailableError, RetryableError
from sniperforge.ports.chain import ChainReader, Commitment
from sniperforge.ports.exchange import PriceSource
from sniperforge.ports.oracle import Oracle

_WHOLE_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What a token costs now.

    Attributes:
        usd: Dollars for one whole token; None when nobody says so, never zero and never the last one known.
        note: Why there is none, or what has to be known about the one there is; empty when all is well.
    """

    usd: Decimal | None
    note: str = ""


def survey_prices(
    mints: Sequence[Mint],
    *,
    exchange: PriceSource | None,
    oracle: Oracle,
    chain: ChainReader,
    max_slots_behind: int,
    divergence_bps: int,
) -> Mapping[Mint, Appraisal]:
    """What each of `mints` costs now. A source that is away leaves its prices out, and that is said for each token.

    Args:
        mints: The tokens.
        exchange: Jupiter; None on a network that has none.
        oracle: The second source.
        chain: Where the oracle's accounts are, and the slot by which Jupiter's prices are old or new.
        max_slots_behind: A price of Jupiter from longer ago is stale.
        divergence_bps: Beyond this distance, as a share of the oracle's price, the sources contradict each other.
    """
    if not mints:
        return {}
    jupiter = _jupiter(mints, exchange, chain, max_slots_behind)
    pyth = _oracle(mints, oracle, chain)
    return {mint: _appraised(jupiter[mint], pyth[mint], divergence_bps) for mint in mints}


def _jupiter(
    mints: Sequence[Mint], exchange: PriceSource | None, chain: ChainReader, max_slots_behind: int
) -> Mapping[Mint, Price | str]:
    if exchange is None:
        return dict.fromkeys(mints, "Jupiter does not exist on this network")
    try:
        found = exchange.prices(mints)
        slot = chain.slot(Commitment.CONFIRMED)
    except RetryableError as error:
        return dict.fromkeys(mints, str(error))
    return {mint: _checked(found.get(mint), slot, max_slots_behind) for mint in mints}


def _checked(price: Price | None, slot: int, max_slots_behind: int) -> Price | str:
    if price is None:
        return "Jupiter has no price for it"
    if price.slot is None:
        return "Jupiter does not say of which slot its price is"
    if slot - price.slot > max_slots_behind:
        return f"Jupiter's price is {slot - price.slot} slots old, {max_slots_behind} allowed"
    return price


def _oracle(mints: Sequence[Mint], oracle: Oracle, chain: ChainReader) -> Mapping[Mint, Price | PriceUnavailableError]:
    feeds = oracle.feed_accounts(mints)
    try:
        found = chain.accounts(list(feeds.values())) if feeds else ()
    except RetryableError as error:
        return {mint: PriceUnavailableError(str(error), subject=mint) for mint in mints}
    return oracle.judge(mints, dict(zip(feeds.values(), found, strict=True)))


def _appraised(jupiter: Price | str, oracle: Price | PriceUnavailableError, divergence_bps: int) -> Appraisal:
    if isinstance(jupiter, str):
        if isinstance(oracle, Price):
            return Appraisal(oracle.usd, f"by {oracle.source} alone: {jupiter}")
        return Appraisal(None, f"{jupiter}; {oracle.what}")
    if isinstance(oracle, Price):
        apart_bps = abs(jupiter.usd - oracle.usd) / oracle.usd * _WHOLE_BPS
        if apart_bps > divergence_bps:
            told = f"{jupiter.usd:f} by Jupiter and {oracle.usd:f} by {oracle.source}, {apart_bps:.0f} bps apart"
            return Appraisal(min(jupiter.usd, oracle.usd), f"the lower one counts: {told}")
    return Appraisal(jupiter.usd)
