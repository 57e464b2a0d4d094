"""What a quote is asked by and held against, whether the trade is then signed or stays on paper."""

from __future__ import annotations

from collections.abc import Mapping

from sniperforge.domain.intent import TradeIntent
from sniperforge.domain.money import WSOL_MINT, Address, Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import NoRouteError
from sniperforge.ports.chain import AccountInfo
from sniperforge.ports.exchange import Order, OrderRequest
from sniperforge.ports.store import Store
from sniperforge.ports.tokens import TokenFacts
from sniperforge.trading.executor_policy import ExecutorPolicy
from sniperforge.trading.price_judge import PriceJudge, Valuation


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
