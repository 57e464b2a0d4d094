"""Jupiter's side of landing: posts a transaction, posts it again while it can land, and watches until it is confirmed.

A landing lives on its own, driven by slots: a caller that goes away changes nothing, and one that comes back finds
the same landing. What it ends with is read from the chain.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.order_cache import CachedOrder
from sniperforge.sandbox.jupiter.outcome import failed, landed_answer
from sniperforge.sandbox.jupiter.sandwich import HostileLeader
from sniperforge.sandbox.pools import TransferFees

FAILED_TO_LAND = {"metis": -1000, "jupiterz": -2000}


@dataclass(slots=True, kw_only=True)
class Landing:
    """One transaction on its way.

    Attributes:
        raw: The fully signed transaction.
        signature: Its id.
        wait_slots: Slots to let pass before it is first sent.
        spoiled: Whether a hostile leader gets it.
        result: The final `/execute` body.
    """

    order: CachedOrder
    raw: bytes
    signature: str
    wait_slots: int
    spoiled: bool
    result: asyncio.Future[dict[str, Any]]


class LandingDesk:
    """All landings of this sandbox."""

    def __init__(self, context: SandboxContext, transfer_fees: TransferFees) -> None:
        self._context = context
        self._leader = HostileLeader(context, transfer_fees)
        self._open: list[Landing] = []
        self._driver: asyncio.Task[None] | None = None

    def start(
        self, order: CachedOrder, raw: bytes, signature: str, *, wait_slots: int = 0, spoiled: bool = False
    ) -> Landing:
        """Take a fully signed transaction on its way; with no slots to wait it runs before this returns."""
        landing = Landing(
            order=order,
            raw=raw,
            signature=signature,
            wait_slots=wait_slots,
            spoiled=spoiled,
            result=asyncio.get_running_loop().create_future(),
        )
        if not wait_slots:
            self._send(landing)
        self._open.append(landing)
        if self._driver is None:
            self._driver = asyncio.create_task(self._drive())
        return landing

    async def _drive(self) -> None:
        """Look at every landing once per slot while there are any."""
        while self._open:
            await self._context.wait_slot()
            self._open = [landing for landing in self._open if not self._advanced(landing)]
        self._driver = None

    def _advanced(self, landing: Landing) -> bool:
        """One slot passed for a landing; returns whether it is over."""
        if landing.wait_slots:
            landing.wait_slots -= 1
            if not landing.wait_slots:
                self._send(landing)
            return False
        chain = self._context.chain
        status = chain.status(landing.signature, search_history=False)
        if status is None:
            if chain.height_at("confirmed") > landing.order.last_valid_block_height:
                code = FAILED_TO_LAND[landing.order.router]
                _settle(landing, failed(code, "Transaction failed to land", signature=landing.signature))
                return True
            self._send(landing)
            return False
        if status.commitment == "processed":
            return False
        record = chain.transaction(landing.signature, "confirmed")
        if record is None:
            return False
        _settle(landing, landed_answer(landing.order, record))
        return True

    def _send(self, landing: Landing) -> None:
        """Send once. What the chain says now decides nothing: only the confirmed record does, or the expiry."""

        def submit() -> None:
            self._context.chain.submit(landing.raw)

        route = landing.order.route
        if landing.spoiled and route is not None:
            self._leader.land(route, landing.order.min_out_raw, submit)
        else:
            submit()


def _settle(landing: Landing, answer: dict[str, Any]) -> None:
    """Tell whoever waits, and keep of the order only what a later post needs: thousands may be remembered."""
    landing.order.answer = answer
    landing.order.landing = None
    landing.order.route = None
    landing.result.set_result(answer)
