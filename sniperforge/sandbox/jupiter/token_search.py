"""`GET /tokens/v2/search` and `GET /swap/v2/program-id-to-label`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from solders.pubkey import Pubkey
from starlette.requests import Request
from starlette.responses import Response

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.answers import JsonAnswer, RefusedError, number
from sniperforge.sandbox.jupiter.prices import CREATED_AT, PriceBoard
from sniperforge.sandbox.tokens import TokenSpec

MAX_MINTS = 100
MAX_NAMED = 20
_SUPPLY = slice(36, 44)
_AUTHORITY_TAGS = {"mintAuthority": 0, "freezeAuthority": 46}
"""Where a mint's two optional authorities begin; both token programs lay them out alike."""


class TokenDesk:
    """Answers what is known of tokens and venues."""

    def __init__(self, context: SandboxContext, board: PriceBoard) -> None:
        self._context = context
        self._board = board

    async def search(self, request: Request) -> Response:
        """By symbol or name, up to 20 and the verified ones first; or by mints separated by commas."""
        query = request.query_params.get("query", "").strip()
        if not query:
            raise RefusedError(400, {"error": "query: Required"})
        tokens = self._context.world.tokens
        mints = query.split(",")
        if len(mints) > MAX_MINTS:
            raise RefusedError(400, {"error": f"query: at most {MAX_MINTS} mints, got {len(mints)}"})
        by_text = {str(mint): token for mint, token in tokens.items()}
        found = [by_text[mint.strip()] for mint in mints if mint.strip() in by_text]
        if not found:
            wanted = query.casefold()
            hits = [
                token
                for token in tokens.values()
                if token.symbol.casefold() == wanted or wanted in token.name.casefold()
            ]
            found = sorted(hits, key=lambda token: not token.verified)[:MAX_NAMED]
        return JsonAnswer([self._listing(token) for token in found])

    async def labels(self, request: Request) -> Response:  # noqa: ARG002 - the endpoint takes no parameters
        """Venue labels by program id."""
        return JsonAnswer({str(pool.venue_program): pool.label for pool in self._context.world.pools})

    def _listing(self, token: TokenSpec) -> dict[str, Any]:
        mint_data = self._mint_data(token.mint)
        supply = Fraction(int.from_bytes(mint_data[_SUPPLY], "little"), 10**token.decimals)
        usd = self._board.usd(token)
        authorities = {
            name: str(Pubkey.from_bytes(mint_data[tag + 4 : tag + 36]))
            for name, tag in _AUTHORITY_TAGS.items()
            if mint_data[tag]
        }
        audit: dict[str, Any] = {f"{name}Disabled": name not in authorities for name in _AUTHORITY_TAGS}
        if token.is_sus:
            audit["isSus"] = True
        first_pool = next(
            (pool for pool in self._context.world.pools if token.mint in {pool.mint_a, pool.mint_b}), None
        )
        listing: dict[str, Any] = {
            "id": str(token.mint),
            "name": token.name,
            "symbol": token.symbol,
            "icon": None,
            "decimals": token.decimals,
            "tokenProgram": str(token.token_program),
            "createdAt": CREATED_AT,
            "holderCount": 100_000 if token.verified else 37,
            "audit": audit,
            "organicScore": 95 if token.verified else 0,
            "organicScoreLabel": "high" if token.verified else "low",
            "isVerified": token.verified,
            "tags": ["verified"] if token.verified else [],
            "liquidity": number(self._board.liquidity_usd(token.mint)),
            "updatedAt": CREATED_AT,
            **authorities,
        }
        if supply:  # the native mint counts none
            listing |= {"circSupply": number(supply), "totalSupply": number(supply)}
        if first_pool is not None:
            listing["firstPool"] = {"id": str(first_pool.address), "createdAt": CREATED_AT}
        if usd is not None:
            listing |= {"usdPrice": number(usd), "priceBlockId": self._board.block_id()}
            if supply:
                listing |= {"mcap": number(usd * supply), "fdv": number(usd * supply)}
        return listing

    def _mint_data(self, mint: Pubkey) -> bytes:
        account = self._context.chain.account(mint)
        if account is None:
            raise RefusedError(500, {"error": f"mint {mint} is not on the chain"})
        return account.data
