"""Orders that were handed out and may still be executed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.sandbox.pools import Route

if TYPE_CHECKING:
    from sniperforge.sandbox.jupiter.landing import Landing

REPOST_SECONDS = 120
"""For how long an order can be posted, and posted again to ask how it went (Ultra's documented two minutes)."""


@dataclass(slots=True, kw_only=True)
class CachedOrder:
    """One order as `/execute` needs it.

    Attributes:
        message: The exact bytes that were handed out; what comes back must carry the same.
        signers: Its required signers, in their order.
        cosigners: Keys of this side (market maker, gas sponsor) that sign when the order is posted.
        route: The route whose fill a hostile leader can spoil; None for a firm quote.
        last_valid_block_height: The true one, whatever the answer said.
        expire_at: Unix second after which the market maker does not fill; None for a routed order.
        answer: What every post is told, once it is settled how the order ended.
        landing: The one landing that every post waits for, until it is settled.
    """

    request_id: str
    router: str
    message: bytes
    signers: tuple[Pubkey, ...]
    cosigners: tuple[Keypair, ...]
    route: Route | None
    input_mint: Pubkey
    output_mint: Pubkey
    in_raw: int
    out_raw: int
    min_out_raw: int
    last_valid_block_height: int
    expire_at: int | None
    made_at: float
    posted_at: float | None = None
    answer: dict[str, Any] | None = None
    landing: Landing | None = None


class OrderCache:
    """Orders by request id; forgets them after two minutes, posted ones two minutes after the first post.

    It lives in memory only, as Jupiter's does: after a restart every request id is unknown.
    """

    def __init__(self) -> None:
        self._orders: OrderedDict[str, CachedOrder] = OrderedDict()

    def add(self, order: CachedOrder) -> None:
        """Remember an order and drop what is too old to be asked for."""
        self._orders[order.request_id] = order
        while True:
            oldest = next(iter(self._orders.values()))
            if oldest.made_at >= order.made_at - 2 * REPOST_SECONDS:
                return
            del self._orders[oldest.request_id]

    def get(self, request_id: str, now: float) -> CachedOrder | None:
        """The order, while it is remembered."""
        order = self._orders.get(request_id)
        if order is None:
            return None
        since = order.made_at if order.posted_at is None else order.posted_at
        return order if now < since + REPOST_SECONDS else None
