"""`GET /swap/v2/order`: which router wins, what the answer says, and the order that `/execute` will remember."""

from __future__ import annotations

import uuid
from base64 import b64encode
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import Any, Literal

from solders.pubkey import Pubkey
from starlette.requests import Request
from starlette.responses import Response

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.faults import BadOrderShape
from sniperforge.sandbox.jupiter.answers import JsonAnswer, RefusedError, number
from sniperforge.sandbox.jupiter.messages import MessageCompiler, unsigned
from sniperforge.sandbox.jupiter.order_builder import OrderBuilder
from sniperforge.sandbox.jupiter.order_cache import CachedOrder, OrderCache
from sniperforge.sandbox.jupiter.order_draft import CannotBuild, OrderDraft
from sniperforge.sandbox.jupiter.order_query import OrderQuery, read_order_query
from sniperforge.sandbox.jupiter.quotes import BPS, Quote, Quoter, impact
from sniperforge.sandbox.jupiter_settings import happens

ORDER_TARGET = "jupiter:/swap/v2/order"
DEFAULT_PRIORITY_FEE_LAMPORTS = 4_000
MAKER_EXTRA_BPS = 3
"""How much better than the pools the market maker quotes."""

QUOTE_LIFE_SECONDS = 55
_BAD_ORDER = frozenset({"bad_order"})

Router = Literal["metis", "jupiterz"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is offered: the pools' price with its tolerance, or the maker's firm one."""

    router: Router
    out_raw: int
    min_out_raw: int
    slippage_bps: int


class OrderDesk:
    """Answers `/order`."""

    def __init__(
        self,
        context: SandboxContext,
        *,
        quoter: Quoter,
        compiler: MessageCompiler,
        cache: OrderCache,
    ) -> None:
        self._context = context
        self._quoter = quoter
        self._compiler = compiler
        self._cache = cache
        self._builder = OrderBuilder(context, quoter)
        self._chance = Random(f"{context.config.seed}:orders")

    async def answer(self, request: Request) -> Response:
        """One order."""
        started = perf_counter()
        request_id = str(uuid.uuid4())
        query = read_order_query(request.query_params, request_id)
        quote = self._quoter.quote(
            query.input_mint,
            query.output_mint,
            query.amount_raw,
            slippage_bps=query.slippage_bps,
            exclude_labels=query.exclude_dexes,
        )
        terms = None if quote is None else self._terms(query, quote)
        if quote is None or terms is None:
            raise RefusedError(400, {"requestId": request_id, "error": "Failed to get quotes"})
        body = self._quoted(query, quote, terms)
        if query.taker is None:
            body |= _unpaid() | {"transaction": None, "lastValidBlockHeight": "", "gasless": False, "taker": None}
        else:
            body |= self._built(query, query.taker, quote, terms, request_id)
        body["requestId"] = request_id
        body["totalTime"] = int((perf_counter() - started) * 1000)
        return JsonAnswer(body)

    def _terms(self, query: OrderQuery, quote: Quote) -> Terms | None:
        """The winning router's terms; None when every router that could answer was excluded."""
        maker_out = quote.route.out_raw * (BPS + MAKER_EXTRA_BPS) // BPS
        maker_may = (
            "jupiterz" not in query.exclude_routers
            and query.payer is None
            and quote.input.transfer_fee is None
            and quote.output.transfer_fee is None
            and self._builder.balance(self._context.world.maker_wallet.pubkey(), quote.output) >= maker_out
        )
        metis_may = "metis" not in query.exclude_routers
        if maker_may and (not metis_may or happens(self._chance, self._context.jupiter.jupiterz_share)):
            return Terms("jupiterz", maker_out, maker_out, 0)
        if not metis_may:
            return None
        return Terms("metis", quote.route.out_raw, quote.min_out_raw, quote.slippage_bps)

    def _quoted(self, query: OrderQuery, quote: Quote, terms: Terms) -> dict[str, Any]:
        ratio = impact(quote.route)
        body: dict[str, Any] = {
            "mode": "manual" if query.is_manual else "ultra",
            "inputMint": str(query.input_mint),
            "outputMint": str(query.output_mint),
            "inAmount": str(query.amount_raw),
            "outAmount": str(terms.out_raw),
            **self._quoter.usd_values(quote, terms.out_raw),
            "priceImpact": number(ratio * 100),
            "otherAmountThreshold": str(terms.min_out_raw),
            "swapMode": "ExactIn",
            "slippageBps": terms.slippage_bps,
            "priceImpactPct": str(number(ratio)),
            "routePlan": self._quoter.route_plan(quote) if terms.router == "metis" else self._maker_plan(quote, terms),
            "feeMint": str(query.output_mint),
            "feeBps": 0,
            "platformFee": {"amount": "0", "feeBps": 0, "feeMint": str(query.output_mint)},
            "swapType": "aggregator" if terms.router == "metis" else "rfq",
            "router": terms.router,
            "transactionVersion": 0,
        }
        if query.referral_account is not None:
            body["referralAccount"] = query.referral_account
        return body

    def _maker_plan(self, quote: Quote, terms: Terms) -> list[dict[str, Any]]:
        info = {
            "ammKey": str(self._context.world.maker_wallet.pubkey()),
            "label": "JupiterZ",
            "inputMint": str(quote.input.mint),
            "outputMint": str(quote.output.mint),
            "inAmount": str(quote.route.in_raw),
            "outAmount": str(terms.out_raw),
        }
        return [{"swapInfo": info, "percent": 100, "bps": BPS}]

    def _built(self, query: OrderQuery, taker: Pubkey, quote: Quote, terms: Terms, request_id: str) -> dict[str, Any]:
        """The part of the answer that needs a taker: a transaction, or why there is none."""
        draft: OrderDraft | CannotBuild
        if terms.router == "jupiterz":
            draft = self._builder.by_maker(query, taker, quote, terms.out_raw)
        else:
            maker_leg = happens(self._chance, self._context.jupiter.maker_leg_share)
            draft = self._builder.routed(query, taker, quote, maker_leg=maker_leg, shape=self._bad_shape())
        if isinstance(draft, CannotBuild):
            return _unpaid() | {
                "transaction": "",
                "lastValidBlockHeight": "",
                "gasless": False,
                "taker": str(taker),
                "errorCode": draft.code,
                "errorMessage": draft.message,
                "error": draft.message,
            }
        return self._handed_out(query, taker, quote, terms, draft, request_id)

    def _handed_out(
        self, query: OrderQuery, taker: Pubkey, quote: Quote, terms: Terms, draft: OrderDraft, request_id: str
    ) -> dict[str, Any]:
        budget, priority_fee = self._compiler.budget(draft.units, _fee_wish(query), exact=query.fee_type == "exactFee")
        message = self._compiler.compile(draft.payer, [*draft.first, *budget, *draft.instructions], draft.blockhash)
        transaction = unsigned(message)
        now = self._context.clock()
        expire_at = int(now) + QUOTE_LIFE_SECONDS if terms.router == "jupiterz" else None
        signatures = message.header.num_required_signatures
        self._cache.add(
            CachedOrder(
                request_id=request_id,
                router=terms.router,
                message=transaction[1 + 64 * signatures :],
                signers=tuple(message.account_keys[:signatures]),
                cosigners=draft.cosigners,
                route=quote.route if terms.router == "metis" else None,
                input_mint=query.input_mint,
                output_mint=query.output_mint,
                in_raw=query.amount_raw,
                out_raw=terms.out_raw,
                min_out_raw=terms.min_out_raw,
                last_valid_block_height=draft.last_valid_block_height,
                expire_at=expire_at,
                made_at=now,
            )
        )
        payer = str(draft.claimed_payer)
        signature_fee = self._context.chain.fee_of(transaction[1 + 64 * signatures :]) - priority_fee
        body: dict[str, Any] = {
            "signatureFeeLamports": signature_fee,
            "signatureFeePayer": payer,
            "prioritizationFeeLamports": priority_fee + (query.jito_tip_lamports or 0),
            "prioritizationFeePayer": payer,
            "rentFeeLamports": draft.rent_lamports,
            "rentFeePayer": str(draft.rent_payer) if draft.rent_lamports else None,
            "transaction": b64encode(transaction).decode(),
            "lastValidBlockHeight": draft.claimed_height,
            "gasless": draft.claimed_payer != taker,
            "taker": str(taker),
        }
        if expire_at is not None:
            body |= {"maker": payer, "quoteId": str(uuid.uuid4()), "expireAt": str(expire_at)}
        return body

    def _bad_shape(self) -> BadOrderShape | None:
        rules = self._context.faults.draw(ORDER_TARGET, kinds=_BAD_ORDER)
        shape: BadOrderShape | None = rules[0].params["shape"] if rules else None
        return shape


def _fee_wish(query: OrderQuery) -> int:
    wish = query.priority_fee_lamports
    if wish is None:
        return DEFAULT_PRIORITY_FEE_LAMPORTS
    return wish if query.fee_type == "exactFee" else min(wish, DEFAULT_PRIORITY_FEE_LAMPORTS)


def _unpaid() -> dict[str, Any]:
    """The fee fields of an answer without a transaction."""
    fields: dict[str, Any] = {}
    for name in ("signatureFee", "prioritizationFee", "rentFee"):
        fields |= {f"{name}Lamports": 0, f"{name}Payer": None}
    return fields
