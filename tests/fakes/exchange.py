"""Jupiter in memory: `ports.exchange.Exchange` by a table of dollar values and a few scripted troubles.

It quotes at fair value less `FEE_BPS`, makes transactions that a codec can read (the taker signs alone and pays), and
remembers what was posted, so that posting the same bytes again answers the same. Script it with `fail`, `will_answer`
and the public tables; `calls` holds what was asked, in order.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from solders.compute_budget import set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature
from solders.transaction import VersionedTransaction

from sniperforge.domain.money import Address, Bps, Mint, Signature
from sniperforge.domain.prices import Price, rounded_price
from sniperforge.domain.transaction import JUPITER_V6_PROGRAM, AccountUse
from sniperforge.errors import ExchangeRejectedError, NoRouteError, SniperForgeError
from sniperforge.ports.clock import Clock
from sniperforge.ports.codec import PlainInstruction
from sniperforge.ports.exchange import (
    Build,
    BuildRequest,
    ExecuteAnswer,
    ExecuteHint,
    Lane,
    Order,
    OrderRequest,
    RouteStep,
    TokenListing,
)

FEE_BPS = 2
DEFAULT_SLIPPAGE_BPS = 50
VENUE = "Whirlpool"
POOL = Address("Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE")
WHIRLPOOL_PROGRAM = Address("whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc")
BLOCKHASH = Hash.hash(b"a blockhash of the fake exchange")


class Call(NamedTuple):
    """One thing that was asked."""

    method: str
    what: object
    lane: Lane


class FakeExchange:
    """Jupiter under a test's control.

    Args:
        clock: Stamps prices and orders.
        listings: Every token there is.
        usd: Dollars per whole token; a token without an entry has no price and no route.
    """

    def __init__(self, clock: Clock, *, listings: Sequence[TokenListing], usd: Mapping[Mint, Decimal]) -> None:
        self._clock = clock
        self.listings = {listing.mint: listing for listing in listings}
        self.usd = dict(usd)
        self.labels: dict[Address, str] = {WHIRLPOOL_PROGRAM: VENUE}
        self.poor: set[Address] = set()
        """Takers whose orders cannot be built."""
        self.calls: list[Call] = []
        self.slot = 460_000_000
        self.last_valid_block_height: int | None = 321_000_150
        self._failures: dict[str, list[SniperForgeError]] = {}
        self._scripted: list[ExecuteAnswer] = []
        self._ordered: dict[str, bytes] = {}
        self._posted: dict[tuple[str, bytes], ExecuteAnswer] = {}
        self._number = itertools.count(1)

    def fail(self, method: str, *errors: SniperForgeError) -> None:
        """The next calls of this method raise these, in order."""
        self._failures.setdefault(method, []).extend(errors)

    def will_answer(self, *answers: ExecuteAnswer) -> None:
        """What the next posts are answered, in order, whatever was posted."""
        self._scripted.extend(answers)

    def prices(self, mints: Sequence[Mint], *, lane: Lane = Lane.MONITORING) -> Mapping[Mint, Price]:
        """Prices of the tokens that have one."""
        self._called("prices", tuple(mints), lane)
        now = self._clock.now()
        return MappingProxyType(
            {
                mint: Price(mint=mint, usd=self.usd[mint], source="jupiter", observed_at=now, slot=self.slot)
                for mint in mints
                if mint in self.usd
            }
        )

    def search_tokens(self, query: str, *, lane: Lane = Lane.MONITORING) -> tuple[TokenListing, ...]:
        """By mints, or by a part of symbol or name."""
        self._called("search_tokens", query, lane)
        parts = [Mint(part.strip()) for part in query.split(",")]
        if len(parts) > 1 or parts[0] in self.listings:
            return tuple(self.listings[mint] for mint in parts if mint in self.listings)
        sought = query.strip().casefold()
        return tuple(
            listing
            for listing in self.listings.values()
            if sought in listing.symbol.casefold() or sought in listing.name.casefold()
        )[:20]

    def program_labels(self, *, lane: Lane = Lane.MONITORING) -> Mapping[Address, str]:
        """The venues."""
        self._called("program_labels", None, lane)
        return MappingProxyType(dict(self.labels))

    @contextmanager
    def together(self, calls: int, *, lane: Lane) -> Iterator[None]:
        """There is always room."""
        self._called("together", calls, lane)
        yield

    def order(self, request: OrderRequest, *, lane: Lane) -> Order:
        """A quote and, with a taker that can pay, a transaction."""
        self._called("order", request, lane)
        out_raw = self._out_raw(request)
        slippage = DEFAULT_SLIPPAGE_BPS if request.slippage_bps is None else request.slippage_bps
        request_id = f"order-{next(self._number)}"
        poor = request.taker in self.poor
        if request.taker is not None and not poor:
            self._ordered[request_id] = _unsigned(request.taker, request_id)
        return Order(
            request_id=request_id,
            input_mint=request.input_mint,
            output_mint=request.output_mint,
            in_raw=request.amount_raw,
            out_raw=out_raw,
            min_out_raw=Bps(slippage).less(out_raw),
            slippage_bps=slippage,
            price_impact_pct=Decimal("-0.01"),
            router="metis",
            route=(self._step(request, out_raw),),
            fee_bps=FEE_BPS,
            fee_mint=request.output_mint,
            platform_fee_raw=None,
            signature_fee_lamports=5000,
            priority_fee_lamports=request.priority_fee_lamports or 0,
            rent_lamports=0,
            fee_payer=request.taker,
            transaction=self._ordered.get(request_id),
            last_valid_block_height=self.last_valid_block_height,
            gasless=False,
            expire_at=None,
            quote_id=None,
            maker=None,
            error_code=1 if poor else None,
            error_message="Insufficient funds" if poor else None,
            gateway_request_id=f"gateway-{request_id}",
            received_at=self._clock.now(),
        )

    def execute(
        self,
        signed_transaction: bytes,
        request_id: str,
        last_valid_block_height: int | None,
        *,
        lane: Lane = Lane.CONFIRMATION,
    ) -> ExecuteAnswer:
        """Confirmed, unless scripted; the same post gets the same answer."""
        self._called("execute", (signed_transaction, request_id, last_valid_block_height), lane)
        if self._scripted:
            return self._scripted.pop(0)
        if request_id not in self._ordered:
            return _answer(-1, ExecuteHint.POLL, "the request id is unknown to Jupiter, or no longer")
        transaction = VersionedTransaction.from_bytes(signed_transaction)
        if bytes(transaction.message) != bytes(VersionedTransaction.from_bytes(self._ordered[request_id]).message):
            return _answer(-3, ExecuteHint.BUG, "the message differs from the one that was ordered")
        first = transaction.signatures[0]
        if first == SoldersSignature.default():
            return _answer(-1003, ExecuteHint.BUG, "the transaction is not fully signed")
        landed = replace(
            _answer(0, ExecuteHint.LANDED, "confirmed, not yet finalized"),
            signature=Signature(str(first)),
            slot=self.slot,
        )
        return self._posted.setdefault((request_id, signed_transaction), landed)

    def build(self, request: BuildRequest, *, lane: Lane) -> Build:
        """One swap instruction that the taker signs."""
        self._called("build", request, lane)
        if request.dexes and VENUE not in request.dexes:
            raise NoRouteError("Jupiter finds no route", subject=", ".join(request.dexes))
        out_raw = self._out_raw(request)
        swap = _swap(request.taker, f"build-{next(self._number)}")
        return Build(
            input_mint=request.input_mint,
            output_mint=request.output_mint,
            in_raw=request.amount_raw,
            out_raw=out_raw,
            min_out_raw=Bps(request.slippage_bps).less(out_raw),
            slippage_bps=request.slippage_bps,
            price_impact_pct=Decimal("-0.01"),
            route=(self._step(request, out_raw),),
            compute_unit_price_micro_lamports=10_000,
            setup=(),
            swap=PlainInstruction(
                program=JUPITER_V6_PROGRAM,
                accounts=(AccountUse(address=request.taker, is_signer=True, is_writable=True),),
                data=bytes(swap.data),
            ),
            cleanup=None,
            other=(),
            tip=None,
            lookup_tables=MappingProxyType({}),
            blockhash=str(BLOCKHASH),
            last_valid_block_height=self.last_valid_block_height or 321_000_150,
            gateway_request_id="gateway-build",
        )

    def _called(self, method: str, what: object, lane: Lane) -> None:
        self.calls.append(Call(method, what, lane))
        if self._failures.get(method):
            raise self._failures[method].pop(0)

    def _out_raw(self, request: OrderRequest | BuildRequest) -> int:
        if request.input_mint == request.output_mint:
            raise ExchangeRejectedError(
                "Jupiter refuses the request", fix="Input and output must be two different tokens"
            )
        if request.amount_raw <= 0:
            raise ExchangeRejectedError("Jupiter refuses the request", fix="The amount must be above zero")
        for mint in (request.input_mint, request.output_mint):
            if mint not in self.listings or mint not in self.usd:
                raise NoRouteError("Jupiter finds no route", subject=mint)
        dollars = self._dollars(request.input_mint) * request.amount_raw
        return Bps(FEE_BPS).less(int(dollars / self._dollars(request.output_mint)))

    def _dollars(self, mint: Mint) -> Decimal:
        """Dollars of one base unit."""
        return rounded_price(self.usd[mint]).scaleb(-self.listings[mint].decimals)

    @staticmethod
    def _step(request: OrderRequest | BuildRequest, out_raw: int) -> RouteStep:
        return RouteStep(
            pool=POOL,
            label=VENUE,
            input_mint=request.input_mint,
            output_mint=request.output_mint,
            in_raw=request.amount_raw,
            out_raw=out_raw,
            share_bps=10_000,
        )


def _answer(code: int, hint: ExecuteHint, meaning: str) -> ExecuteAnswer:
    return ExecuteAnswer(
        code=code,
        hint=hint,
        meaning=meaning,
        fix="See the table of execute codes",
        signature=None,
        slot=None,
        error=None if code == 0 else meaning,
        input_raw=None,
        output_raw=None,
        gateway_request_id="gateway-execute",
    )


def _swap(taker: Address, tag: str) -> Instruction:
    """Something at Jupiter's address; `tag` makes each transaction a different one."""
    data = struct.pack("<8s", b"fakeswap") + tag.encode()
    account = AccountMeta(Pubkey.from_string(taker), is_signer=True, is_writable=True)
    return Instruction(Pubkey.from_string(JUPITER_V6_PROGRAM), data, [account])


def _unsigned(taker: Address, request_id: str) -> bytes:
    payer = Pubkey.from_string(taker)
    message = MessageV0.try_compile(payer, [set_compute_unit_price(10_000), _swap(taker, request_id)], [], BLOCKHASH)
    return bytes(VersionedTransaction.populate(message, [SoldersSignature.default()]))
