"""`GET /price/v3`: dollar prices of up to 50 mints."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from hashlib import blake2b
from typing import Any

from solders.pubkey import Pubkey
from starlette.requests import Request
from starlette.responses import Response

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.answers import JsonAnswer, RefusedError, number
from sniperforge.sandbox.tokens import TokenSpec

MAX_IDS = 50
CREATED_AT = "2024-06-05T08:55:25.527Z"
"""Jupiter shows one fixed date for tokens that are older than its API; the sandbox's all are."""

NOISE_BPS = 2
"""Prices here differ from the market's fair one by up to this, anew in every slot."""

PRICE_TARGET = "jupiter:/price/v3"
STALE_SLOTS = 3_000
"""How old a stale price is unless the fault says: nobody traded the token for ten minutes."""

_STALE = frozenset({"stale_price"})


class PriceBoard:
    """What Jupiter would call the price of a token now."""

    def __init__(self, context: SandboxContext) -> None:
        self._context = context
        self._liquidity: tuple[int, Mapping[Pubkey, Fraction]] = (-1, {})

    def usd(self, token: TokenSpec) -> Fraction | None:
        """Dollars per whole token with this slot's noise; None when there is no trustworthy price."""
        fair = self._context.market.usd(token.mint)
        if fair is None:
            return None
        slot = self._context.chain.head_slot()
        dice = blake2b(bytes(token.mint) + slot.to_bytes(8, "little"), digest_size=2).digest()
        noise = Fraction(int.from_bytes(dice, "little"), 0xFFFF) * 2 - 1
        return fair * (1 + noise * NOISE_BPS / 10_000)

    def block_id(self) -> int:
        """Slot that prices come from."""
        return self._context.chain.slot_at("confirmed")

    def liquidity_usd(self, mint: Pubkey) -> Fraction:
        """What this mint's side of all pools is worth at fair prices, doubled as the other side is worth the same."""
        head = self._context.chain.head_slot()
        if self._liquidity[0] != head:
            self._liquidity = (head, self._summed())
        return self._liquidity[1].get(mint, Fraction(0))

    def _summed(self) -> dict[Pubkey, Fraction]:
        market, world = self._context.market, self._context.world
        reserves = market.reserves()
        sums: dict[Pubkey, Fraction] = {}
        for pool in world.pools:
            sides = ((pool.mint_a, reserves[pool.address][0]), (pool.mint_b, reserves[pool.address][1]))
            for mint, raw in sides:
                usd = market.usd(mint)
                if usd is not None:
                    sums[mint] = sums.get(mint, Fraction(0)) + 2 * usd * raw / 10 ** world.tokens[mint].decimals
        return sums

    async def answer(self, request: Request) -> Response:
        """Prices by mint; a mint without a trustworthy price is left out, without a word."""
        ids = [part for part in request.query_params.get("ids", "").split(",") if part]
        if not ids:
            raise RefusedError(400, {"error": "ids: Required"})
        if len(ids) > MAX_IDS:
            raise RefusedError(400, {"error": f"ids: at most {MAX_IDS} mints, got {len(ids)}"})
        stale = self._context.faults.draw(PRICE_TARGET, kinds=_STALE)
        block_id = self.block_id() - sum(rule.params.get("slots", STALE_SLOTS) for rule in stale)
        prices: dict[str, Any] = {}
        for text in ids:
            try:
                token = self._context.world.tokens.get(Pubkey.from_string(text))
            except ValueError:
                raise RefusedError(400, {"error": f"ids: {text} is not a mint address"}) from None
            usd = None if token is None else self.usd(token)
            if token is not None and usd is not None:
                change = self._context.market.change_24h_pct(token.mint)
                prices[text] = {
                    "createdAt": CREATED_AT,
                    "liquidity": number(self.liquidity_usd(token.mint)),
                    "usdPrice": number(usd),
                    "blockId": max(0, block_id),
                    "decimals": token.decimals,
                    "priceChange24h": None if change is None else number(change),
                }
        return JsonAnswer(prices)
