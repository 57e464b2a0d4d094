"""Quotes: the best route over live reserves, and the numbers that every quote answer shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from solders.pubkey import Pubkey

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.answers import number
from sniperforge.sandbox.pools import Route, TransferFee, find_route, minimum_out_raw
from sniperforge.sandbox.tokens import TokenSpec

BPS = 10_000
_RTSE_MIN_BPS, _RTSE_MAX_BPS = 20, 300


@dataclass(frozen=True, slots=True)
class Quote:
    """A route with its tokens and the slippage that will be held on chain."""

    route: Route
    input: TokenSpec
    output: TokenSpec
    slippage_bps: int

    @property
    def min_out_raw(self) -> int:
        """Least output in base units, rounded up: the taker never gets less than the tolerance says."""
        return minimum_out_raw(self.route.out_raw, self.slippage_bps)


def impact(route: Route) -> Fraction:
    """Price impact as a ratio, pool fees included; negative is worse than the mid price."""
    return Fraction(route.out_raw) / (route.in_raw * route.mid_price) - 1


def automatic_slippage_bps(route: Route) -> int:
    """Slippage in basis points that the sandbox picks when the caller leaves it open (RTSE).

    Jupiter's own estimate is not public; this one grows with the impact and with the number of hops.
    """
    hops = max(len(leg.hops) for leg in route.legs)
    estimate = _RTSE_MIN_BPS + 20 * hops + abs(int(impact(route) * BPS)) // 2
    return min(estimate, _RTSE_MAX_BPS)


class Quoter:
    """Finds routes over the pools as they are now."""

    def __init__(self, context: SandboxContext) -> None:
        self._context = context
        self._pools = context.world.pools
        self._tokens = context.world.tokens
        self._transfer_fees: Mapping[Pubkey, TransferFee] = {
            mint: token.transfer_fee for mint, token in self._tokens.items() if token.transfer_fee is not None
        }

    @property
    def transfer_fees(self) -> Mapping[Pubkey, TransferFee]:
        """Transfer fees by mint."""
        return self._transfer_fees

    def quote(
        self,
        input_mint: Pubkey,
        output_mint: Pubkey,
        in_raw: int,
        *,
        slippage_bps: int | None,
        labels: frozenset[str] | None = None,
        exclude_labels: frozenset[str] = frozenset(),
        max_legs: int = 3,
        max_hops: int = 2,
    ) -> Quote | None:
        """The best quote, or None when nothing trades these tokens; `slippage_bps` None lets the sandbox pick."""
        token_in, token_out = self._tokens.get(input_mint), self._tokens.get(output_mint)
        if token_in is None or token_out is None:
            return None
        route = find_route(
            self._pools,
            self._context.market.reserves(),
            self._transfer_fees,
            input_mint=input_mint,
            output_mint=output_mint,
            in_raw=in_raw,
            max_legs=max_legs,
            max_hops=max_hops,
            labels=labels,
            exclude_labels=exclude_labels,
        )
        if route is None or route.out_raw == 0:
            return None
        bps = automatic_slippage_bps(route) if slippage_bps is None else slippage_bps
        return Quote(route, token_in, token_out, bps)

    def usd(self, token: TokenSpec, raw: int) -> Fraction | None:
        """Value of an amount in dollars; None when the token has no price."""
        price = self._context.market.usd(token.mint)
        return None if price is None else price * raw / 10**token.decimals

    def route_plan(self, quote: Quote) -> list[dict[str, Any]]:
        """`routePlan`: one step per hop; shares are of the whole input."""
        in_usd = self.usd(quote.input, quote.route.in_raw)
        steps = []
        for leg in quote.route.legs:
            for hop in leg.hops:
                step: dict[str, Any] = {
                    "swapInfo": {
                        "ammKey": str(hop.pool.address),
                        "label": hop.pool.label,
                        "inputMint": str(hop.input_mint),
                        "outputMint": str(hop.output_mint),
                        "inAmount": str(hop.in_raw),
                        "outAmount": str(hop.received_raw),
                    },
                    "percent": number(Fraction(leg.share_bps, 100)),
                    "bps": leg.share_bps,
                }
                if in_usd is not None:
                    step["usdValue"] = number(in_usd * leg.share_bps / BPS)
                steps.append(step)
        return steps

    def usd_values(self, quote: Quote, out_raw: int) -> dict[str, Any]:
        """`inUsdValue`, `outUsdValue`, `swapUsdValue`; a token without a price has no value, not a zero."""
        in_usd, out_usd = self.usd(quote.input, quote.route.in_raw), self.usd(quote.output, out_raw)
        swap_usd = in_usd if in_usd is not None else out_usd
        values = {"inUsdValue": in_usd, "outUsdValue": out_usd, "swapUsdValue": swap_usd}
        return {name: number(value) for name, value in values.items() if value is not None}
