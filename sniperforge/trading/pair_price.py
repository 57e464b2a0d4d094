"""What one whole token costs in another, by the same independent sources and rules as the price of an entry."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import WSOL_MINT
from sniperforge.domain.prices import Price
from sniperforge.errors import PriceDivergedError, PriceUnavailableError
from sniperforge.ports.chain import ChainReader, Commitment
from sniperforge.ports.exchange import Lane
from sniperforge.ports.store import Store
from sniperforge.strategies.base import Pair
from sniperforge.trading.price_judge import PriceJudge

_ONE_UNIT = 1


class PairPrices(Protocol):
    """Somebody who knows what a pair costs."""

    def price(self, pair: Pair) -> Decimal:
        """Whole input tokens per whole output token.

        Raises:
            PriceUnavailableError: Missing, stale or jumped: there is no default price.
            PriceDivergedError: Two sources contradict each other.
            RetryableError: Jupiter or the chain cannot be asked now.
        """
        ...


class JudgedPrices:
    """`PairPrices` by Jupiter's price API, held against the oracle where there is one.

    Args:
        store: Keeps what was seen, so that a price that jumped and stays is believed at the next look.
        chain: Tells our own slot and reads the oracle's accounts.
        judge: The rules.
    """

    def __init__(self, *, store: Store, chain: ChainReader, judge: PriceJudge) -> None:
        self._store = store
        self._chain = chain
        self._judge = judge

    def price(self, pair: Pair) -> Decimal:
        """Whole input tokens per whole output token, now."""
        source, target = pair.input, pair.output
        quoted = self._judge.ask(source.mint, target.mint, lane=Lane.ENTRY)
        feeds = self._judge.accounts(source.mint, target.mint)
        accounts = dict(zip(feeds, self._chain.accounts(feeds) if feeds else (), strict=True))
        read_at = [account.slot for account in accounts.values() if account is not None]
        slot = read_at[0] if read_at else self._chain.slot(Commitment.CONFIRMED)
        with self._store.read() as books:
            seen = books.prices.newest({source.mint, target.mint, WSOL_MINT})
        try:
            valuation = self._judge.judge(
                quoted=quoted,
                accounts=accounts,
                slot=slot,
                last_seen=seen,
                input_mint=source.mint,
                output_mint=target.mint,
                input_decimals=source.decimals,
                output_decimals=target.decimals,
                input_raw=_ONE_UNIT,
                effect=ExposureEffect.ENTRY,
                max_slippage_bps=None,
                min_out_per_input=None,
            )
        except (PriceUnavailableError, PriceDivergedError) as error:
            self._keep(error.details["observed"])
            raise
        self._keep(valuation.observed)
        usd_input = valuation.usd_per_input_unit.scaleb(source.decimals)
        usd_output = valuation.usd_per_output_unit.scaleb(target.decimals)
        return usd_output / usd_input

    def _keep(self, observed: Sequence[Price]) -> None:
        with self._store.write() as books:
            books.prices.observe(observed)
