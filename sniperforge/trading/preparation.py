"""Everything that happens before a signature: prices, a quote, our own node's view, the guard. Nothing is signed here.

Four calls in the usual case: Jupiter's prices, `/order`, one batch to our node, one unsigned simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import ExposureEffect, SendPath, TradeIntent
from sniperforge.domain.money import WSOL_MINT, Address, Mint, Signature
from sniperforge.domain.prices import Price
from sniperforge.domain.transaction import DecodedTransaction
from sniperforge.errors import InvalidInputError, NodeBehindError, RetryableError
from sniperforge.ports.chain import AccountInfo, Chain, SigningView
from sniperforge.ports.codec import TransactionCodec
from sniperforge.ports.exchange import Exchange, Lane, Order
from sniperforge.ports.store import Store
from sniperforge.ports.tokens import TokenFacts
from sniperforge.trading.executor_policy import BLOCKHASH_LIFE_BLOCKS, ExecutorPolicy
from sniperforge.trading.funds import Balances, Need, free_raw
from sniperforge.trading.price_judge import PriceJudge, Valuation
from sniperforge.trading.progress import Step
from sniperforge.trading.quoting import (
    CALLS_TO_SIGN,
    order_request,
    require_bearable_costs,
    require_minimum,
    value_trade,
)
from sniperforge.trading.transaction_guard import TradeTerms, TransactionGuard, fee_lamports

TOKEN_ACCOUNT_BYTES = 182
"""Larger than a plain token account (165) and one of Token-2022 with its usual extensions (170 to 182)."""

_NEW_ACCOUNTS = 2
_NOT_ENOUGH_INPUT, _NOT_ENOUGH_SOL = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A transaction that may be signed, and what was found out about it.

    Attributes:
        request_id: To post it to `/execute` with; None for a transaction of our own, which goes to our nodes alone.
        quoted_last_valid_block_height: As whoever gave the blockhash says.
        observed: Every fresh price, for `books.prices`.
        notes: What it goes on in spite of, in words.
        checked_block_height: The height at which our own node called the blockhash valid.
        bound_block_height: Our own bound on its life (rule *own-bound*).
        control: A finalized transaction from before (rule *controls*).
    """

    transaction: DecodedTransaction
    request_id: str | None
    router: str | None
    quoted_last_valid_block_height: int | None
    input_raw: int
    quoted_out_raw: int
    min_out_raw: int
    usd_per_input_unit: Decimal | None
    usd_per_output_unit: Decimal | None
    usd_per_lamport: Decimal | None
    observed: tuple[Price, ...]
    notes: tuple[str, ...]
    need: Need
    balances: Balances
    checked_block_height: int
    bound_block_height: int
    control: Signature


class Preparation:
    """Prepares one attempt. Raises whatever keeps it from being signed; the error says whether waiting helps.

    Args:
        store: The books, read only.
        chain: Our nodes.
        exchange: Jupiter.
        codec: Bytes to words.
        tokens: Decimals of tokens.
        judge: The independent price.
        guard: What must be true of the transaction.
        policy: Limits.
        reached: Told of every step.
    """

    def __init__(
        self,
        *,
        store: Store,
        chain: Chain,
        exchange: Exchange,
        codec: TransactionCodec,
        tokens: TokenFacts,
        judge: PriceJudge,
        guard: TransactionGuard,
        policy: ExecutorPolicy,
        reached: Callable[[IntentId, Step, str], None],
    ) -> None:
        self._store = store
        self._chain = chain
        self._exchange = exchange
        self._codec = codec
        self._tokens = tokens
        self._judge = judge
        self._guard = guard
        self._policy = policy
        self._reached = reached
        self._rents: dict[int, int] = {}

    def prepare(self, intent: TradeIntent) -> Prepared:
        """A transaction for this intent that has passed everything.

        Raises:
            InvalidInputError: Among other reasons, because the trade was decided on paper and must stay there.
        """
        if intent.path is not SendPath.MANAGED:
            raise InvalidInputError(
                f"it was decided for the path {intent.path}, which is never signed here",
                subject=intent.id,
                fix="Keep the books of each mode apart: another database_url, or another home",
            )
        lane = Lane.ENTRY if intent.effect is ExposureEffect.ENTRY else Lane.EXIT
        with self._exchange.together(CALLS_TO_SIGN, lane=lane):
            prices = self._judge.ask(intent.input_mint, intent.output_mint, lane=lane)
            self._reached(intent.id, Step.PRICED, "independent prices asked")
            input_raw = intent.input_amount_raw or self._everything(intent)
            order, unsigned = self._order(intent, input_raw, lane)
        self._reached(intent.id, Step.QUOTED, f"quoted {order.out_raw} base units by {order.router}")
        tables = self._codec.lookup_tables_used(unsigned)
        oracle = self._judge.accounts(intent.input_mint, intent.output_mint)
        view = self._chain.signing_view(
            blockhash=self._codec.recent_blockhash(unsigned),
            wallet=intent.wallet,
            lookup_tables=tables,
            accounts=(intent.wallet, *oracle),
            beacon=self._policy.beacon,
        )
        control = sound_control(view)
        transaction = self._codec.decode(unsigned, view.lookup_tables)
        self._reached(intent.id, Step.VIEWED, f"valid at height {view.block_height} by {view.node}")
        account, *feeds = view.accounts
        valuation = self._value(intent, input_raw, prices, view, dict(zip(oracle, feeds, strict=True)))
        require_minimum(order, valuation)
        need = self._need(intent, input_raw, transaction)
        require_bearable_costs(intent, order, valuation, input_raw=input_raw, fee_lamports=need.fee_lamports)
        terms = self._terms(intent, valuation, need, view)
        self._guard.check_bytes(transaction, terms)
        simulation = self._chain.simulate(unsigned, min_context_slot=view.slot)
        self._guard.check(transaction, simulation, terms)
        self._reached(intent.id, Step.SIMULATED, "guard and unsigned simulation passed")
        return Prepared(
            transaction=transaction,
            request_id=order.request_id,
            router=order.router,
            quoted_last_valid_block_height=order.last_valid_block_height,
            input_raw=input_raw,
            quoted_out_raw=order.out_raw,
            min_out_raw=valuation.min_out_raw,
            usd_per_input_unit=valuation.usd_per_input_unit,
            usd_per_output_unit=valuation.usd_per_output_unit,
            usd_per_lamport=valuation.usd_per_lamport,
            observed=valuation.observed,
            notes=valuation.notes,
            need=need,
            balances=self._balances(intent.input_mint, account, view),
            checked_block_height=view.block_height,
            bound_block_height=max(order.last_valid_block_height or 0, view.block_height + BLOCKHASH_LIFE_BLOCKS),
            control=control,
        )

    def _order(self, intent: TradeIntent, input_raw: int, lane: Lane) -> tuple[Order, bytes]:
        order = self._exchange.order(
            order_request(intent, input_raw, judge=self._judge, policy=self._policy, taker=intent.wallet), lane=lane
        )
        if order.transaction is None:
            raise _unbuildable(order)
        return order, order.transaction

    def _value(
        self,
        intent: TradeIntent,
        input_raw: int,
        prices: Mapping[Mint, Price],
        view: SigningView,
        feeds: Mapping[Address, AccountInfo | None],
    ) -> Valuation:
        valuation = value_trade(
            intent,
            input_raw,
            store=self._store,
            judge=self._judge,
            tokens=self._tokens,
            quoted=prices,
            slot=view.slot,
            feeds=feeds,
        )
        worth = valuation.usd_per_input_unit * input_raw
        is_entry = intent.effect is ExposureEffect.ENTRY
        if is_entry and worth >= self._policy.large_trade_usd and not self._policy.has_second_node:
            raise InvalidInputError(
                f"it is worth {worth:.0f} USD, and from {self._policy.large_trade_usd} on two nodes must agree when a "
                "transaction is dead, but only one is configured",
                subject="trade",
                fix="Add a second node to rpc_urls, or trade less at once",
            )
        return valuation

    def _terms(self, intent: TradeIntent, valuation: Valuation, need: Need, view: SigningView) -> TradeTerms:
        return TradeTerms(
            wallet=intent.wallet,
            input_mint=intent.input_mint,
            output_mint=intent.output_mint,
            input_raw=need.input_raw,
            min_out_raw=valuation.min_out_raw,
            max_fee_lamports=self._policy.max_fee_lamports,
            max_tip_lamports=self._policy.max_tip_lamports,
            max_rent_lamports=need.rent_lamports,
            own_accounts={token.address: token.mint for token in view.token_accounts},
        )

    def _need(self, intent: TradeIntent, input_raw: int, transaction: DecodedTransaction) -> Need:
        rent = self._rent(TOKEN_ACCOUNT_BYTES)
        return Need(
            input_mint=intent.input_mint,
            input_raw=input_raw,
            fee_lamports=fee_lamports(transaction),
            tip_lamports=self._policy.max_tip_lamports if self._tips(transaction) else 0,
            rent_lamports=_NEW_ACCOUNTS * rent,
            temporary_wsol_lamports=rent if WSOL_MINT in (intent.input_mint, intent.output_mint) else 0,
            risk_raw=input_raw if intent.effect is ExposureEffect.ENTRY else 0,
        )

    def _tips(self, transaction: DecodedTransaction) -> bool:
        return any(use.address in self._guard.policy.tip_accounts for use in transaction.accounts)

    def _balances(self, input_mint: Mint, account: AccountInfo | None, view: SigningView) -> Balances:
        return Balances(
            slot=view.balances_slot,
            native_lamports=account.lamports if account else 0,
            input_raw=sum(token.raw for token in view.token_accounts if token.mint == input_mint),
            keep_lamports=self._rent(0),
        )

    def _everything(self, intent: TradeIntent) -> int:
        """All of the input that is free now; for SOL, what fee, tip and rent leave."""
        (account,) = self._chain.accounts([intent.wallet])
        tokens = self._chain.token_accounts(intent.wallet)
        balances = Balances(
            # Of what was booked from later slots nothing is known here, so nothing is taken off: whatever is missing
            # then is noticed when the funds are reserved.
            slot=account.slot if account else 0,
            native_lamports=account.lamports if account else 0,
            input_raw=sum(token.raw for token in tokens if token.mint == intent.input_mint),
            keep_lamports=self._rent(0),
        )
        with self._store.read() as books:
            free = free_raw(books, intent.wallet, intent.input_mint, balances=balances)
        if intent.input_mint == WSOL_MINT:
            rent = self._rent(TOKEN_ACCOUNT_BYTES)
            free -= self._policy.max_fee_lamports + self._policy.max_tip_lamports + (_NEW_ACCOUNTS + 1) * rent
        if free <= 0:
            raise InvalidInputError(
                "nothing of it is free to trade",
                subject=intent.input_mint,
                fix="Fund the wallet, or wait for other trades",
            )
        return free

    def _rent(self, data_bytes: int) -> int:
        # Rent falls by upgrades every few months; a process that outlives one reserves a little too much.
        if data_bytes not in self._rents:
            self._rents[data_bytes] = self._chain.minimum_rent(data_bytes)
        return self._rents[data_bytes]


def sound_control(view: SigningView) -> Signature:
    """The control of a view on which a signature may stand (rules *own-bound* and *controls*)."""
    if not view.blockhash_valid:
        raise NodeBehindError(
            "our node does not call the transaction's blockhash valid: it is too old, or too new for this node",
            subject=view.node,
            fix="Another quote is asked for",
        )
    if view.control is None:
        raise RetryableError(
            "no finalized transaction is known that could serve as a control", subject=view.node, fix="Wait a moment"
        )
    return view.control.signature


def _unbuildable(order: Order) -> Exception:
    """Why Jupiter priced a trade but built no transaction (facts: `/order`, router and errorCode)."""
    told = order.error_message or f"code {order.error_code}"
    if order.error_code in (_NOT_ENOUGH_INPUT, _NOT_ENOUGH_SOL):
        return InvalidInputError(f"Jupiter built no transaction: {told}", subject="wallet", fix="Fund the wallet")
    return RetryableError(
        f"Jupiter built no transaction: {told}", subject=order.router, fix="Another quote is asked for"
    )
