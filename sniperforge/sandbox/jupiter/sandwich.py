"""A hostile leader: he buys before a swap and sells after it, so that it fills at exactly its minimum.

Only the slippage tolerance binds him. He is played by taking some of the output out of a pool just before the swap
runs and putting it back just after: what the taker might have had above his minimum stays in the pool.
"""

from __future__ import annotations

from collections.abc import Callable

from solders.pubkey import Pubkey

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.pools import Hop, Reserves, Route, TransferFees, swap_through
from sniperforge.sandbox.tokens import amount_of, write_amount

BPS = 10_000


def route_out_raw(route: Route, reserves: Reserves, transfer_fees: TransferFees) -> int:
    """What a route pays over other reserves than it was quoted on; 0 where the program would refuse a hop."""
    left, out_raw = route.in_raw, 0
    for leg in route.legs:
        raw = left if leg is route.legs[-1] else route.in_raw * leg.share_bps // BPS
        left -= raw
        for hop in leg.hops:
            done = swap_through(hop.pool, reserves, transfer_fees, input_mint=hop.input_mint, in_raw=raw)
            if done is None:
                return 0
            raw = done.received_raw
        out_raw += raw
    return out_raw


class HostileLeader:
    """Lands a swap as badly as its minimum allows."""

    def __init__(self, context: SandboxContext, transfer_fees: TransferFees) -> None:
        self._context = context
        self._transfer_fees = transfer_fees

    def land(self, route: Route, min_out_raw: int, submit: Callable[[], None]) -> None:
        """Run `submit` between the buy and the sale.

        The fill is the minimum to the base unit wherever the pools' arithmetic reaches it (taking one unit from a
        reserve lowers the output by at most one), and never below it. Nothing is moved if the pools already pay less.
        """
        taken: list[tuple[Pubkey, Pubkey, int]] = []
        reserves = dict(self._context.market.reserves())
        for leg in route.legs:
            last = leg.hops[-1]
            full = reserves[last.pool.address]
            index = 1 if last.input_mint == last.pool.mint_a else 0
            least = self._least_reserve(route, min_out_raw, reserves, last, index)
            if least < full[index]:
                vault = last.pool.vault_b if index else last.pool.vault_a
                taken.append((vault, last.output_mint, full[index] - least))
                reserves[last.pool.address] = _replaced(full, index, least)
        for vault, mint, raw in taken:
            self._add(vault, mint, -raw)
        try:
            submit()
        finally:
            for vault, mint, raw in taken:
                self._add(vault, mint, raw)

    def _least_reserve(self, route: Route, min_out_raw: int, reserves: Reserves, last: Hop, index: int) -> int:
        """The smallest output reserve of one pool with which the whole route still pays the minimum."""
        address = last.pool.address
        full = reserves[address]
        low, high = 0, full[index]
        if route_out_raw(route, reserves, self._transfer_fees) < min_out_raw:
            return high
        while high - low > 1:
            middle = (low + high) // 2
            probe = {**reserves, address: _replaced(full, index, middle)}
            if route_out_raw(route, probe, self._transfer_fees) >= min_out_raw:
                high = middle
            else:
                low = middle
        return high

    def _add(self, vault: Pubkey, mint: Pubkey, raw: int) -> None:
        chain = self._context.chain
        account = chain.account(vault)
        if account is not None:
            write_amount(chain, vault, account, self._context.world.tokens[mint], amount_of(account) + raw)


def _replaced(pair: tuple[int, int], index: int, value: int) -> tuple[int, int]:
    return (pair[0], value) if index else (value, pair[1])
