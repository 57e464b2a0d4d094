"""A price source that stands on chain: its accounts are read by whoever reads other accounts anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sniperforge.domain.money import Address, Mint
from sniperforge.domain.prices import Price
from sniperforge.errors import PriceUnavailableError
from sniperforge.ports.chain import AccountInfo


class Oracle(Protocol):
    """Somebody who publishes prices in accounts. It asks the chain nothing itself: reading and judging are apart.

    So its accounts can be part of the one request that everything else before a signature is read by
    (`ports.chain.ChainReader.signing_view`), and both stand on the same slot of the same node.
    """

    def feed_accounts(self, mints: Sequence[Mint]) -> Mapping[Mint, Address]:
        """The account that prices each token; a token without a feed is absent."""
        ...

    def judge(
        self, mints: Sequence[Mint], accounts: Mapping[Address, AccountInfo | None]
    ) -> Mapping[Mint, Price | PriceUnavailableError]:
        """What the accounts say, for every one of `mints`: a price to trust, or why there is none.

        Args:
            mints: Tokens to price.
            accounts: What stands at the addresses of `feed_accounts`; one that is None or not here gives no price.
        """
        ...
