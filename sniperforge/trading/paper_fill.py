"""What a trade on paper writes into the books: the same records as a landed one, marked as paper."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sniperforge.domain.ids import AttemptId, attempt_id
from sniperforge.domain.intent import Attempt, AttemptState, FillState, SendPath, TradeIntent
from sniperforge.domain.money import SOL_DECIMALS, WSOL_MINT, Address, Mint, Signature, format_units
from sniperforge.errors import InvalidInputError
from sniperforge.ports.exchange import Order
from sniperforge.ports.records import NATIVE_SOL, Asset
from sniperforge.ports.store import Books
from sniperforge.trading.balances import WalletChange
from sniperforge.trading.bookkeeping import fill_of, ledger_lines
from sniperforge.trading.paper_costs import CostEstimate
from sniperforge.trading.positions import apply_fill, exit_result
from sniperforge.trading.price_judge import Valuation

_FUND_FIX = "`sniperforge paper-fund` gives it more, or trade less"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperQuote:
    """What a trade would come to.

    Attributes:
        slot: The newest confirmed slot of our node when it was quoted.
    """

    order: Order
    valuation: Valuation
    input_raw: int
    costs: CostEstimate
    slot: int


@dataclass(frozen=True, slots=True)
class _Landing:
    """Where a fill on paper stands in the ledger."""

    signature: Signature
    slot: int


def paper_signature(attempt: AttemptId) -> Signature:
    """The id of a fill on paper: unique, and no signature of any transaction (base58 has no dash)."""
    return Signature(f"paper-{attempt}")


def paper_balance(books: Books, wallet: Address, mint: Mint) -> int:
    """What a wallet has on paper, in base units; SOL is native there."""
    asset = NATIVE_SOL if mint == WSOL_MINT else Asset(mint)
    return books.ledger.balance_raw(wallet, asset, final_only=True)


def write_paper_fill(books: Books, intent: TradeIntent, quote: PaperQuote, *, at: datetime) -> Attempt:
    """Book attempt, fill, ledger lines and positions. The wallet must be locked by this transaction.

    Raises:
        InvalidInputError: The wallet does not have it.
    """
    _must_have(books, intent, quote)
    attempt = _attempt(intent, quote, at)
    landing = _Landing(attempt.signature, quote.slot)
    change = _change(intent, quote)
    fill = replace(fill_of(intent, attempt, landing, change, at=at), state=FillState.FINAL, finalized_at=at)
    fill = replace(fill, result_usd=exit_result(books, intent, attempt, fill))
    books.attempts.add(attempt)
    books.fills.add(fill)
    books.ledger.add(
        ledger_lines(
            landing,
            change,
            wallet=intent.wallet,
            traded=frozenset({intent.input_mint, intent.output_mint}),
            state=FillState.FINAL,
            at=at,
            attempt=attempt,
        )
    )
    apply_fill(books, attempt, fill)
    return attempt


def _must_have(books: Books, intent: TradeIntent, quote: PaperQuote) -> None:
    spends_sol = intent.input_mint == WSOL_MINT
    lamports = quote.costs.needed_lamports + (quote.input_raw if spends_sol else 0)
    there = paper_balance(books, intent.wallet, WSOL_MINT)
    if lamports > there:
        raise InvalidInputError(
            f"{format_units(lamports, SOL_DECIMALS)} SOL are needed with fee and rent, "
            f"the wallet has {format_units(there, SOL_DECIMALS)} on paper",
            subject="SOL",
            fix=_FUND_FIX,
        )
    there = paper_balance(books, intent.wallet, intent.input_mint)
    if quote.input_raw > there:
        raise InvalidInputError(
            f"{quote.input_raw} base units are needed, the wallet has {there} on paper",
            subject=intent.input_mint,
            fix=_FUND_FIX,
        )


def _change(intent: TradeIntent, quote: PaperQuote) -> WalletChange:
    """The change that a real landing of this quote would show."""
    moved = {intent.input_mint: -quote.input_raw, intent.output_mint: quote.order.out_raw}
    costs = quote.costs
    return WalletChange(
        native=moved.pop(WSOL_MINT, 0) - costs.fee_lamports - costs.rent_lamports,
        tokens=moved,
        locked=costs.rent_lamports,
        fee_lamports=costs.fee_lamports,
        tip_lamports=0,
    )


def _attempt(intent: TradeIntent, quote: PaperQuote, now: datetime) -> Attempt:
    identity = attempt_id(intent.id, intent.attempts_made + 1)
    valuation = quote.valuation
    return Attempt(
        id=identity,
        intent_id=intent.id,
        number=intent.attempts_made + 1,
        wallet=intent.wallet,
        path=SendPath.PAPER,
        state=AttemptState.FINALIZED,
        version=0,
        epoch=intent.epoch,
        signature=paper_signature(identity),
        # There is no transaction: nothing was made, so nothing can be sent by mistake either.
        signed_transaction=b"",
        message_sha256=b"",
        blockhash="",
        quoted_last_valid_block_height=None,
        checked_block_height=None,
        bound_block_height=None,
        control_signature=None,
        nonce_account=None,
        nonce_value=None,
        request_id=quote.order.request_id,
        router=quote.order.router,
        input_amount_raw=quote.input_raw,
        quoted_out_raw=quote.order.out_raw,
        min_out_raw=valuation.min_out_raw,
        max_fee_lamports=quote.costs.fee_lamports,
        usd_per_input_unit=valuation.usd_per_input_unit,
        usd_per_output_unit=valuation.usd_per_output_unit,
        usd_per_lamport=valuation.usd_per_lamport,
        created_at=now,
        updated_at=now,
        landed_slot=quote.slot,
        confirmed_at=now,
        finalized_at=now,
    )
