"""What must be known of a token before it is traded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sniperforge.domain.money import Mint


class TokenFacts(Protocol):
    """Tokens by mint, as the chain has them. Raises `RetryableError` when neither chain nor Jupiter can be asked."""

    def decimals(self, mint: Mint) -> int:
        """Digits after the point, read from the chain; they never change.

        Raises:
            TokenError: There is no such token, or it is not what it is listed as.
        """
        ...

    def require_tradable(self, mints: Sequence[Mint]) -> None:
        """Make sure that none of them is dangerous, unless the settings allow it.

        Raises:
            TokenError: Lists every danger.
        """
        ...
