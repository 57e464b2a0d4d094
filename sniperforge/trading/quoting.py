"""What a quote is asked by and held against, whether the trade is then signed or stays on paper."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from sniperforge.domain.intent import ExposureEffect, TradeIntent
from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import NoRouteError, PriceUnavailableError
from sniperforge.ports.chain import AccountInfo
from sniperforge.ports.exchange import Order, OrderRequest
from sniperforge.ports.store import Store
from sniperforge.ports.tokens import TokenFacts
from sniperforge.trading.executor_policy import ExecutorPolicy
from sniperforge.trading.price_judge import PriceJudge, Valuation

CALLS_TO_SIGN = 2
"""What a trade asks of Jupiter's main budget before it is signed: prices and an order."""


def order_request(
    intent: TradeIntent, input_raw: int, *, judge: PriceJudge, policy: ExecutorPolicy, taker: Address | None
) -> OrderRequest:
    """What to ask `/order` for this trade; without a taker it only quotes."""
    cap = judge.cap_bps(
        intent.input_mint, intent.output_mint, effect=intent.effect, max_slippage_bps=intent.max_slippage_bps
    )
    return OrderRequest(
        input_mint=intent.input_mint,
        output_mint=intent.output_mint,
        amount_raw=input_raw,
        taker=taker,
        # Half of the cap: the minimum inside the swap is held against the whole cap, and venue fees and price impact
        # need their share of it.
        slippage_bps=max(1, cap // 2),
        exclude_routers=policy.excluded_routers,
    )


def value_trade(
    intent: TradeIntent,
    input_raw: int,
    *,
    store: Store,
    judge: PriceJudge,
    tokens: TokenFacts,
    quoted: Mapping[Mint, Price],
    slot: int,
    feeds: Mapping[Address, AccountInfo | None],
) -> Valuation:
    """What the trade is worth and must bring, by independent prices.

    Args:
        intent: The trade.
        input_raw: How much is given, base units.
        store: Where the last prices seen are.
        judge: Decides.
        tokens: Decimals.
        quoted: Jupiter's prices (`PriceJudge.ask`).
        slot: Our own slot at `confirmed`, of the same answer as `feeds`.
        feeds: The oracle's accounts (`PriceJudge.accounts`).

    Raises:
        PriceUnavailableError: There is no price to go by.
        PriceDivergedError: The sources contradict each other.
    """
    with store.read() as books:
        seen = books.prices.newest({intent.input_mint, intent.output_mint, WSOL_MINT})
    return judge.judge(
        quoted=quoted,
        accounts=feeds,
        slot=slot,
        last_seen=seen,
        input_mint=intent.input_mint,
        output_mint=intent.output_mint,
        input_decimals=tokens.decimals(intent.input_mint),
        output_decimals=tokens.decimals(intent.output_mint),
        input_raw=input_raw,
        effect=intent.effect,
        max_slippage_bps=intent.max_slippage_bps,
        min_out_per_input=intent.min_out_per_input,
    )


def require_minimum(order: Order, valuation: Valuation) -> None:
    """Refuse a quote that brings less than the trade must.

    Raises:
        NoRouteError: It does; a later one may not.
    """
    if order.out_raw < valuation.min_out_raw:
        raise NoRouteError(
            f"the quote brings {order.out_raw} base units, the limit is {valuation.min_out_raw}",
            subject="quote",
            fix="A later quote may be better; or widen the trade's slippage cap",
            observed=valuation.observed,
        )


def require_bearable_costs(
    intent: TradeIntent, order: Order, valuation: Valuation, *, input_raw: int, fee_lamports: int
) -> None:
    """Refuse an entry whose costs together are more than it may cost.

    Costs are what the quote brings less than the input is worth by the independent prices (venue fees, price impact and
    whatever an API adds), and the chain's fee. Rent is a deposit and not counted, a tip has a cap of its own. An exit
    must get out, so its costs are shown and not refused.

    Raises:
        NoRouteError: They are more; a later quote may cost less.
        PriceUnavailableError: SOL has no price, so that the fee has no value.
    """
    if intent.effect is ExposureEffect.EXIT:
        return
    if valuation.usd_per_lamport is None:
        raise PriceUnavailableError(
            "SOL has no price to value the fee by",
            subject=WSOL_MINT,
            fix="Nothing was signed; it is looked at again",
            observed=valuation.observed,
        )
    lost = Fraction(valuation.fair_out_raw - order.out_raw, max(1, valuation.fair_out_raw))
    worth = Fraction(valuation.usd_per_input_unit) * input_raw
    cost_bps = (lost + Fraction(valuation.usd_per_lamport) * fee_lamports / worth) * 10_000
    if cost_bps > intent.max_cost_bps:
        raise NoRouteError(
            f"all costs together are {float(cost_bps):.1f} bps of it, the limit is {intent.max_cost_bps}",
            subject="costs",
            fix="A later quote may cost less; the chain's fee weighs less on a larger trade",
            observed=valuation.observed,
        )
