"""What a swap would cost beside what it swaps, by our own figures: Jupiter quotes no fees without a taker."""

from __future__ import annotations

import statistics
import threading
from dataclasses import dataclass

from sniperforge.domain.money import WSOL_MINT, Mint
from sniperforge.ports.chain import ChainReader
from sniperforge.trading.transaction_guard import BASE_FEE_LAMPORTS

SWAP_COMPUTE_UNITS = 200_000
"""Twice what a swap by one route takes, as builders ask for (facts: Jupiter's own sample has 98,000)."""

LEAST_PRIORITY_LAMPORTS = 10_000
"""Stock nodes report each slot's *minimum* priority fee, which is often zero and lands nothing on a busy day."""

TOKEN_ACCOUNT_BYTES = 165
"""A plain token account (spl-token `state.rs`, `Account::LEN`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """Lamports of one swap.

    Attributes:
        fee_lamports: Base and priority fee.
        rent_lamports: For the output's token account, where the wallet has none yet; it stays there.
        passing_lamports: Rent of the wSOL account of a swap from or to SOL: needed, and back in the same transaction.
        keep_lamports: What the wallet's own account must keep to stay rent exempt.
    """

    fee_lamports: int
    rent_lamports: int
    passing_lamports: int
    keep_lamports: int

    @property
    def needed_lamports(self) -> int:
        """Lamports that must be there beside the input."""
        return self.fee_lamports + self.rent_lamports + self.passing_lamports + self.keep_lamports


class CostEstimator:
    """Estimates by what our nodes say of fees and rent now.

    Args:
        chain: Our nodes.
        max_fee_lamports: Base and priority fee are never more, as in a real trade.
    """

    def __init__(self, chain: ChainReader, *, max_fee_lamports: int) -> None:
        self._chain = chain
        self._max_fee_lamports = max_fee_lamports
        self._lock = threading.Lock()
        self._rents: dict[int, int] = {}

    def estimate(self, input_mint: Mint, output_mint: Mint, *, opens_account: bool) -> CostEstimate:
        """The costs of one swap.

        Args:
            input_mint: What is given.
            output_mint: What is got.
            opens_account: The wallet has no account of the output yet. (SOL needs none.)
        """
        rent = self._rent(TOKEN_ACCOUNT_BYTES)
        return CostEstimate(
            fee_lamports=min(self._max_fee_lamports, BASE_FEE_LAMPORTS + self._priority_lamports()),
            rent_lamports=rent if opens_account and output_mint != WSOL_MINT else 0,
            passing_lamports=rent if WSOL_MINT in (input_mint, output_mint) else 0,
            keep_lamports=self._rent(0),
        )

    def _priority_lamports(self) -> int:
        samples = [sample.micro_lamports for sample in self._chain.recent_priority_fees(())]
        usual = statistics.median_high(samples) if samples else 0
        return max(LEAST_PRIORITY_LAMPORTS, -(-usual * SWAP_COMPUTE_UNITS // 1_000_000))

    def _rent(self, data_bytes: int) -> int:
        with self._lock:
            if data_bytes not in self._rents:
                self._rents[data_bytes] = self._chain.minimum_rent(data_bytes)
            return self._rents[data_bytes]
