"""Finding the best way through the pools: direct, by intermediate mints, and split over parallel paths.

Every quote pays for this search, so its inner loop is plain integers: paths are ranked and shares handed out by
arithmetic identical to the program's, and only the route that wins is written out in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from solders.pubkey import Pubkey

from sniperforge.sandbox.pool import (
    BPS,
    MAX_RAW,
    Hop,
    PoolSpec,
    Reserves,
    TransferFee,
    TransferFees,
    far_side,
    swap_amounts,
    swap_through,
)

_CHUNK_BPS = 200
"""Shares are handed out in pieces of this size."""
_WORTH_A_SPLIT_BPS = 1
"""A split must beat the best single path by this much: every leg costs accounts and compute units."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One path of hops that carries a share of the input."""

    hops: tuple[Hop, ...]
    share_bps: int


@dataclass(frozen=True, slots=True)
class Route:
    """A quoted route: one or more legs in parallel, each of one or more hops.

    `out_raw` is what arrives in the destination account, after pool fees and transfer fees.
    `mid_price` is output base units per input base unit without fees or impact.
    """

    input_mint: Pubkey
    output_mint: Pubkey
    in_raw: int
    out_raw: int
    legs: tuple[Leg, ...]
    mid_price: Fraction


@dataclass(frozen=True, slots=True)
class _Path:
    """Pools in a row, and the numbers `swap_amounts` needs for each hop."""

    pools: tuple[PoolSpec, ...]
    hops: tuple[tuple[int, int, int, TransferFee | None, TransferFee | None], ...]

    def out_raw(self, raw: int) -> int:
        """What arrives at the end for `raw` at the start; 0 when nothing does."""
        for hop in self.hops:
            raw = swap_amounts(raw, *hop)[2]
        return raw


def find_route(
    pools: Sequence[PoolSpec],
    reserves: Reserves,
    transfer_fees: TransferFees,
    *,
    input_mint: Pubkey,
    output_mint: Pubkey,
    in_raw: int,
    max_legs: int = 3,
    max_hops: int = 2,
    labels: frozenset[str] | None = None,
    exclude_labels: frozenset[str] = frozenset(),
) -> Route | None:
    """The best route found, split over parallel pools and hopping through intermediate mints; None without one.

    Deterministic: the same pools, reserves and amount give the same route. `out_raw` of the route is exactly what the
    program pays if nobody trades in between. No pool serves two legs.

    Args:
        pools: All pools that exist.
        reserves: Their vault amounts now.
        transfer_fees: Of the mints that have one.
        input_mint: What is sold.
        output_mint: What is bought.
        in_raw: Amount sold in base units.
        max_legs: At most so many paths in parallel.
        max_hops: At most so many pools in a row.
        labels: Only pools of these venues; None allows all.
        exclude_labels: No pools of these venues.
    """
    if input_mint == output_mint or in_raw <= 0:
        return None
    allowed = [
        pool
        for pool in pools
        if (labels is None or pool.label in labels) and pool.label not in exclude_labels and all(reserves[pool.address])
    ]
    paths = [
        _prepared(pools_in_a_row, input_mint, reserves, transfer_fees)
        for pools_in_a_row in _walk(allowed, input_mint, output_mint, max_hops, ())
    ]
    if not paths:
        return None
    best = max(paths, key=lambda path: path.out_raw(in_raw))
    single = _route([(best, BPS)], reserves, transfer_fees, input_mint, output_mint, in_raw)
    if max_legs == 1 or len(paths) == 1:
        return single
    shares = _split(paths, in_raw, max_legs)
    split = _route(shares, reserves, transfer_fees, input_mint, output_mint, in_raw) if len(shares) > 1 else None
    if split and (single is None or split.out_raw * BPS >= single.out_raw * (BPS + _WORTH_A_SPLIT_BPS)):
        return split
    return single


def _walk(
    pools: Sequence[PoolSpec], mint: Pubkey, goal: Pubkey, max_hops: int, visited: tuple[Pubkey, ...]
) -> Iterator[tuple[PoolSpec, ...]]:
    """Every row of at most `max_hops` pools from `mint` to `goal` that passes no mint twice."""
    for pool in pools:
        if mint not in (pool.mint_a, pool.mint_b):
            continue
        other = pool.mint_b if mint == pool.mint_a else pool.mint_a
        if other == goal:
            yield (pool,)
        elif max_hops > 1 and other not in visited:
            for rest in _walk(pools, other, goal, max_hops - 1, (*visited, mint)):
                yield (pool, *rest)


def _prepared(
    pools: tuple[PoolSpec, ...], input_mint: Pubkey, reserves: Reserves, transfer_fees: TransferFees
) -> _Path:
    hops = []
    for pool in pools:
        output_mint, reserve_in, reserve_out = far_side(pool, reserves, input_mint)
        fee_in, fee_out = transfer_fees.get(input_mint), transfer_fees.get(output_mint)
        hops.append((reserve_in, reserve_out, pool.fee_bps, fee_in, fee_out))
        input_mint = output_mint
    return _Path(pools, tuple(hops))


def _split(paths: Sequence[_Path], in_raw: int, max_legs: int) -> list[tuple[_Path, int]]:
    """Hand out the input piece by piece, each to the path that pays most for one more piece.

    Output is concave in the input of each path, and the chosen paths share no pool, so this ends within one piece of
    the best shares for the paths it chose.
    """
    given = [0] * len(paths)
    paid = [0] * len(paths)
    next_paid = [path.out_raw(in_raw * _CHUNK_BPS // BPS) for path in paths]
    chosen: list[int] = []
    candidates = list(range(len(paths)))
    for _ in range(BPS // _CHUNK_BPS):
        winner = max(candidates, key=lambda i: next_paid[i] - paid[i])
        if given[winner] == 0:
            chosen.append(winner)
            used = {id(pool) for pool in paths[winner].pools}
            candidates = [
                i
                for i in (chosen if len(chosen) == max_legs else candidates)
                if i in chosen or not any(id(pool) in used for pool in paths[i].pools)
            ]
        given[winner] += _CHUNK_BPS
        paid[winner] = next_paid[winner]
        next_paid[winner] = paths[winner].out_raw(in_raw * (given[winner] + _CHUNK_BPS) // BPS)
    shares = [(paths[i], given[i]) for i in chosen]
    return sorted(shares, key=lambda share: -share[1])


def _route(
    shares: Sequence[tuple[_Path, int]],
    reserves: Reserves,
    transfer_fees: TransferFees,
    input_mint: Pubkey,
    output_mint: Pubkey,
    in_raw: int,
) -> Route | None:
    """The route written out in full, amounts as the program computes them; None where it would refuse."""
    legs: list[Leg] = []
    left, out_raw, mid_price = in_raw, 0, Fraction(0)
    for path, share_bps in shares:
        raw = left if path is shares[-1][0] else in_raw * share_bps // BPS
        left -= raw
        hops: list[Hop] = []
        mint, weight = input_mint, Fraction(share_bps, BPS)
        for pool, (reserve_in, reserve_out, *_) in zip(path.pools, path.hops, strict=True):
            hop = swap_through(pool, reserves, transfer_fees, input_mint=mint, in_raw=raw)
            if hop is None:
                return None
            hops.append(hop)
            mint, raw = hop.output_mint, hop.received_raw
            weight *= Fraction(reserve_out, reserve_in)
        legs.append(Leg(tuple(hops), share_bps))
        out_raw += raw
        mid_price += weight
    if out_raw > MAX_RAW:
        return None
    return Route(input_mint, output_mint, in_raw, out_raw, tuple(legs), mid_price)
