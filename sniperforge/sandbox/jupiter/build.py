"""`GET /swap/v2/build`: a quote and its instructions, for a transaction that the caller assembles and sends."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from random import Random
from typing import Any

from solders.compute_budget import set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from starlette.requests import Request
from starlette.responses import Response

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.answers import JsonAnswer, RefusedError, number
from sniperforge.sandbox.jupiter.messages import MessageCompiler
from sniperforge.sandbox.jupiter.parameters import MAX_U64, QueryReader
from sniperforge.sandbox.jupiter.quotes import Quote, Quoter, impact
from sniperforge.sandbox.jupiter.swap_parts import SwapAssembler, SwapParts
from sniperforge.sandbox.jupiter.tips import JUPITER_MINIMUM_TIP_LAMPORTS, JUPITER_TIP_ACCOUNTS
from sniperforge.sandbox.jupiter_settings import happens

DEFAULT_SLIPPAGE_BPS = 50
MAX_ACCOUNTS = 64
BLOCKHASH_LIFE_BLOCKS = 150
ABSURD_UNIT_PRICE_MICRO_LAMPORTS = 30_000_000_000

_UNIT_PRICE_AT_100TH = 100_000
_PERCENTILES = {"medium": 2_500, "high": 5_000, "veryHigh": 7_500}
_FAST_PERCENTILE = 9_000
_NARROWER = ((3, 2), (2, 2), (1, 2), (1, 1))
"""(legs, hops) to try, widest first, until the route fits `maxAccounts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildQuery:
    """A checked `/build` request. `slippage_bps` None is `rtse`; `percentile` is in basis points."""

    input_mint: Pubkey
    output_mint: Pubkey
    amount_raw: int
    taker: Pubkey
    payer: Pubkey
    slippage_bps: int | None
    dexes: frozenset[str] | None
    exclude_dexes: frozenset[str]
    fast: bool
    max_accounts: int
    wrap_sol: bool
    destination: Pubkey | None
    native_destination: Pubkey | None
    slots_to_expiry: int
    tip_lamports: int | None
    percentile: int
    version: int


def read_build_query(query: QueryReader) -> BuildQuery:
    """Check a request.

    Raises:
        RefusedError: 400 with every problem found.
    """
    input_mint = query.pubkey("inputMint", required=True)
    output_mint = query.pubkey("outputMint", required=True)
    amount = query.integer("amount", 1, MAX_U64, required=True)
    taker = query.pubkey("taker", required=True)
    payer = query.pubkey("payer")
    rtse = query.text("slippageBps") == "rtse"
    slippage_bps = None if rtse else query.integer("slippageBps", 0, 10_000)
    if slippage_bps is None and not rtse:
        slippage_bps = DEFAULT_SLIPPAGE_BPS
    fast = query.choice("mode", ("fast",)) is not None
    if query.has("dexes") and query.has("excludeDexes"):
        query.problem("dexes", "dexes and excludeDexes are mutually exclusive")
    destination = query.pubkey("destinationTokenAccount")
    native_destination = query.pubkey("nativeDestinationAccount")
    if destination is not None and native_destination is not None:
        query.problem(
            "destinationTokenAccount", "destinationTokenAccount and nativeDestinationAccount are mutually exclusive"
        )
    if query.integer("platformFeeBps", 0, 10_000):
        query.problem("platformFeeBps", "Integrator fees are not part of this sandbox")
    query.choice("forJitoBundle", ("true", "false"))
    if input_mint is not None and input_mint == output_mint:
        query.problem("outputMint", "inputMint and outputMint must be different")
    max_accounts = query.integer("maxAccounts", 1, MAX_ACCOUNTS)
    slots_to_expiry = query.integer("blockhashSlotsToExpiry", 1, 300)
    tip_lamports = query.integer("tipAmount", JUPITER_MINIMUM_TIP_LAMPORTS, MAX_U64)
    version = query.choice("transactionVersion", ("0", "1"))
    wrap_sol = query.flag("wrapAndUnwrapSol", default=True)
    percentile = _percentile(query, fast=fast)
    if query.issues or input_mint is None or output_mint is None or amount is None or taker is None:
        raise RefusedError(400, {"error": query.error_text()})
    return BuildQuery(
        input_mint=input_mint,
        output_mint=output_mint,
        amount_raw=amount,
        taker=taker,
        payer=payer or taker,
        slippage_bps=slippage_bps,
        dexes=query.names("dexes") or None,
        exclude_dexes=query.names("excludeDexes"),
        fast=fast,
        max_accounts=max_accounts or MAX_ACCOUNTS,
        wrap_sol=wrap_sol,
        destination=destination,
        native_destination=native_destination,
        slots_to_expiry=min(slots_to_expiry or BLOCKHASH_LIFE_BLOCKS, BLOCKHASH_LIFE_BLOCKS),
        tip_lamports=tip_lamports,
        percentile=percentile,
        version=int(version or "0"),
    )


def _percentile(query: QueryReader, *, fast: bool) -> int:
    named = _PERCENTILES.get(query.text("computeUnitPricePercentile") or "")
    if named is not None:
        return named
    given = query.integer("computeUnitPricePercentile", 0, 10_000)
    if given is not None:
        return given
    return _FAST_PERCENTILE if fast else _PERCENTILES["high"]


class BuildDesk:
    """Answers `/build`."""

    def __init__(self, context: SandboxContext, *, quoter: Quoter, compiler: MessageCompiler) -> None:
        self._context = context
        self._quoter = quoter
        self._compiler = compiler
        self._assembler = SwapAssembler(context)
        self._chance = Random(f"{context.config.seed}:build")

    async def answer(self, request: Request) -> Response:
        """One build."""
        query = read_build_query(QueryReader(request.query_params))
        quote, parts = self._assembled(query)
        price = self._unit_price(query.percentile)
        body: dict[str, Any] = {
            "inputMint": str(query.input_mint),
            "outputMint": str(query.output_mint),
            "inAmount": str(query.amount_raw),
            "outAmount": str(quote.route.out_raw),
            "otherAmountThreshold": str(quote.min_out_raw),
            "swapMode": "ExactIn",
            "slippageBps": quote.slippage_bps,
            "priceImpactPct": str(number(impact(quote.route))),
            "routePlan": self._quoter.route_plan(quote),
            "computeBudgetInstructions": [] if query.version else [_json(set_compute_unit_price(price))],
            "setupInstructions": [_json(instruction) for instruction in parts.setup],
            "swapInstruction": _json(parts.swap),
            "cleanupInstruction": None if parts.cleanup is None else _json(parts.cleanup),
            "otherInstructions": [],
            "tipInstruction": self._tip(query),
            "addressesByLookupTableAddress": {} if query.version else self._tables(parts),
            "blockhashWithMetadata": self._blockhash(query),
        }
        if query.version:
            body["computeUnitPrice"] = str(price)
        return JsonAnswer(body)

    def _assembled(self, query: BuildQuery) -> tuple[Quote, SwapParts]:
        """The widest route whose instruction fits `maxAccounts`, with its instructions.

        Raises:
            RefusedError: 400 `No routes found`, which an unknown label looks like too.
        """
        for legs, hops in _NARROWER[2:] if query.fast else _NARROWER:
            quote = self._quoter.quote(
                query.input_mint,
                query.output_mint,
                query.amount_raw,
                slippage_bps=query.slippage_bps,
                labels=query.dexes,
                exclude_labels=query.exclude_dexes,
                max_legs=legs,
                max_hops=hops,
            )
            if quote is None:
                break
            parts = self._assembler.assemble(
                quote,
                taker=query.taker,
                payer=query.payer,
                min_out_raw=quote.min_out_raw,
                wrap_sol=query.wrap_sol,
                always_create=True,
                destination=query.destination,
                sol_to=query.native_destination,
            )
            if len({meta.pubkey for meta in parts.swap.accounts}) <= query.max_accounts:
                return quote, parts
        raise RefusedError(400, {"error": "No routes found"})

    def _unit_price(self, percentile_bps: int) -> int:
        """Micro-lamports per compute unit; now and then tens of billions, as was seen there: callers must clamp."""
        if happens(self._chance, self._context.jupiter.absurd_price_share):
            return ABSURD_UNIT_PRICE_MICRO_LAMPORTS
        return _UNIT_PRICE_AT_100TH * percentile_bps // 10_000

    def _tip(self, query: BuildQuery) -> dict[str, Any] | None:
        if query.tip_lamports is None:
            return None
        target = self._chance.choice(JUPITER_TIP_ACCOUNTS)
        params = TransferParams(from_pubkey=query.payer, to_pubkey=target, lamports=query.tip_lamports)
        return _json(transfer(params))

    def _tables(self, parts: SwapParts) -> dict[str, list[str]] | None:
        tables = self._compiler.tables_for([parts.swap])
        return {str(table.key): [str(address) for address in table.addresses] for table in tables} or None

    def _blockhash(self, query: BuildQuery) -> dict[str, Any]:
        """A shorter life than 150 blocks only lowers the height that is told: the hash itself lives its full time."""
        blockhash, height = self._context.chain.latest_blockhash("confirmed")
        seconds, nanos = divmod(int(self._context.clock() * 1_000_000_000), 1_000_000_000)
        return {
            "blockhash": list(bytes(Hash.from_string(blockhash))),
            "lastValidBlockHeight": height - BLOCKHASH_LIFE_BLOCKS + query.slots_to_expiry,
            "fetchedAt": {"secs_since_epoch": seconds, "nanos_since_epoch": nanos},
        }


def _json(instruction: Instruction) -> dict[str, Any]:
    return {
        "programId": str(instruction.program_id),
        "accounts": [
            {"pubkey": str(meta.pubkey), "isWritable": meta.is_writable, "isSigner": meta.is_signer}
            for meta in instruction.accounts
        ],
        "data": b64encode(instruction.data).decode(),
    }
