"""Trades on paper: decided, priced and judged like real ones, and filled by the quote. Nothing is signed or sent.

The same books, halts, deadlines, price limits and caps hold as for `trade_executor`; only what comes after the quote
differs. A live quote without a taker (so that nothing is even built) counts as what the chain did, at once and for
good: attempt, fill, ledger lines and positions are one commit, marked by their path and by an id that is no signature.

What paper leaves out, it leaves out in one's favour: the market does not move between quote and landing, nobody trades
ahead, and every transaction lands. Fees and rent are estimates (`CostEstimate`); tips are not paid.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sniperforge.domain.ids import IntentId
from sniperforge.domain.intent import Attempt, ExposureEffect, IntentState, SendPath, TradeIntent
from sniperforge.domain.money import WSOL_MINT
from sniperforge.domain.risk import ProposedTrade
from sniperforge.errors import (
    CommitOutcomeUnknownError,
    ConflictError,
    InvalidInputError,
    OutcomeUnknownError,
    PriceDivergedError,
    ProtocolError,
    RateLimitedError,
    RetryableError,
    SniperForgeError,
    TerminalError,
)
from sniperforge.ports.chain import ChainReader
from sniperforge.ports.clock import Clock
from sniperforge.ports.exchange import Exchange, Lane
from sniperforge.ports.records import Asset, Event, Severity
from sniperforge.ports.risk import PRICE_DIVERGED
from sniperforge.ports.store import Books, Store
from sniperforge.ports.tokens import TokenFacts
from sniperforge.trading.controls import stop_reason
from sniperforge.trading.decisions import check_request, mints_to_trust, write_decision
from sniperforge.trading.executor_policy import ExecutorPolicy, Standing, TradeRequest, Until
from sniperforge.trading.holdings import CLOCK_SYSVAR
from sniperforge.trading.order_life import follow
from sniperforge.trading.paper_costs import CostEstimate, CostEstimator
from sniperforge.trading.paper_fill import PaperQuote, paper_balance, write_paper_fill
from sniperforge.trading.price_judge import PriceJudge
from sniperforge.trading.progress import Progress, Step, Watch, unwatched
from sniperforge.trading.quoting import (
    CALLS_TO_SIGN,
    order_request,
    require_bearable_costs,
    require_minimum,
    value_trade,
)

_AT_ONCE = timedelta(0)
_OPEN = (IntentState.PENDING, IntentState.EXECUTING)


class PaperExecutor:
    """`executor.Executor` on paper. Any number of them may work on the same books at once.

    Args:
        store: The books, those of paper mode alone.
        chain: Only read: the oracle's prices, the slot, fees of the day and rent.
        exchange: Jupiter, asked for quotes and prices only.
        tokens: Decimals and dangers of tokens.
        judge: The independent price.
        clock: Time.
        policy: Limits and patience.
        watch: Called at every step.
    """

    def __init__(
        self,
        *,
        store: Store,
        chain: ChainReader,
        exchange: Exchange,
        tokens: TokenFacts,
        judge: PriceJudge,
        clock: Clock,
        policy: ExecutorPolicy,
        watch: Watch = unwatched,
    ) -> None:
        self._store = store
        self._chain = chain
        self._exchange = exchange
        self._tokens = tokens
        self._judge = judge
        self._clock = clock
        self._policy = policy
        self._watch = watch
        self._costs = CostEstimator(chain, max_fee_lamports=policy.max_fee_lamports)

    # ---- the face of an executor

    def decide(self, request: TradeRequest) -> TradeIntent:
        """See `Executor.decide`."""
        check_request(request)
        self._tokens.require_tradable(mints_to_trust(request))
        with self._store.write() as books:
            intent, is_new = write_decision(books, request, policy=self._policy, now=self._clock.now())
        if is_new:
            self._reached(intent.id, Step.DECIDED, f"decided on paper as {intent.key}")
        return intent

    def cancel(self, intent: IntentId) -> TradeIntent:
        """See `Executor.cancel`. On paper nothing is in flight."""
        with self._store.write() as books:
            found = _found(books.intents.lock(intent), intent)
            if found.state not in _OPEN or found.cancel_requested_at is not None:
                return found
            now = self._clock.now()
            _tell(books, found, "intent.cancel_requested", "cancellation asked for", now)
            return books.intents.change(found, at=now, cancel_requested_at=now)

    def run(self, intent: IntentId, *, until: Until = Until.SETTLED) -> TradeIntent:  # noqa: ARG002 (final at once)
        """See `Executor.run`. On paper confirmed is settled."""
        while True:
            try:
                standing = self.advance(intent)
            except (RetryableError, OutcomeUnknownError) as error:
                self._reached(intent, Step.WAITING, f"waiting: {error}")
                self._clock.sleep(self._policy.retry_after.total_seconds())
                continue
            if standing.settled:
                return standing.intent
            self._clock.sleep(standing.wait.total_seconds())

    def advance(self, intent: IntentId) -> Standing:
        """See `Executor.advance`.

        Raises:
            InvalidInputError: Among other reasons, because the trade was decided for the chain.
        """
        found = self._read(intent)
        if found.path is not SendPath.PAPER:
            raise InvalidInputError(
                "it was decided for the chain, and these books are open in paper mode",
                subject=intent,
                fix="Keep the books of each mode apart: another database_url, or another home",
            )
        now = self._clock.now()
        if found.state in _OPEN and found.next_attempt_at <= now:
            self._try(found, now)
            found = self._read(intent)
        wait = max(_AT_ONCE, found.next_attempt_at - self._clock.now())
        return Standing(found, wait, settled=found.state not in _OPEN)

    def look_again(self, attempt: Attempt) -> None:
        """See `Executor.look_again`. On paper nothing expires, so there is nothing to look for."""

    # ---- a trade

    def _try(self, intent: TradeIntent, now: datetime) -> None:
        try:
            if not self._may_go_on(intent, now):
                return
            self._book(intent, self._quote(intent))
        except (ConflictError, CommitOutcomeUnknownError):
            # Somebody else is at it, or it was halted or cancelled meanwhile, or nobody knows. The books say which.
            return
        except SniperForgeError as error:
            self._set_back(intent, error)

    def _may_go_on(self, intent: TradeIntent, now: datetime) -> bool:
        """End a trade that was cancelled or is too late, let one wait that is halted; otherwise nothing is written."""
        ends = intent.cancel_requested_at is not None or intent.deadline_at <= now
        with self._store.read() as books:
            waiting = stop_reason(books, intent.wallet, intent.effect)
        if not ends and waiting is None:
            return True
        with self._store.write() as books:
            current = _as_read(books, intent)
            if current.cancel_requested_at is not None:
                after = _end(books, current, IntentState.CANCELLED, "cancelled", "cancelled on request", now)
            elif ends:
                because = f" (last: {current.reason})" if current.reason else ""
                told = f"its deadline passed{because}. Decide it again if it is still wanted"
                after = _end(books, current, IntentState.FAILED, "deadline", told, now)
            else:
                later = now + self._policy.retry_after
                after = books.intents.change(
                    current, at=now, next_attempt_at=later, reason_code="halted", reason=waiting
                )
        self._reached(intent.id, Step.REQUEUED if after.state in _OPEN else Step.ENDED, f"{after.reason}")
        return False

    def _quote(self, intent: TradeIntent) -> PaperQuote:
        lane = Lane.ENTRY if intent.effect is ExposureEffect.ENTRY else Lane.EXIT
        with self._exchange.together(CALLS_TO_SIGN, lane=lane):
            prices = self._judge.ask(intent.input_mint, intent.output_mint, lane=lane)
            self._reached(intent.id, Step.PRICED, "independent prices asked")
            with self._store.read() as books:
                opens_account = Asset(intent.output_mint) not in books.ledger.assets(intent.wallet)
            costs = self._costs.estimate(intent.input_mint, intent.output_mint, opens_account=opens_account)
            input_raw = intent.input_amount_raw or self._everything(intent, costs)
            request = order_request(intent, input_raw, judge=self._judge, policy=self._policy, taker=None)
            order = self._exchange.order(request, lane=lane)
        self._reached(intent.id, Step.QUOTED, f"quoted {order.out_raw} base units by {order.router}")
        oracle = self._judge.accounts(intent.input_mint, intent.output_mint)
        clock, *feeds = self._chain.accounts((CLOCK_SYSVAR, *oracle))
        if clock is None:
            raise ProtocolError("the node knows no clock", subject="rpc_urls", fix="Use another RPC provider")
        valuation = value_trade(
            intent,
            input_raw,
            store=self._store,
            judge=self._judge,
            tokens=self._tokens,
            quoted=prices,
            slot=clock.slot,
            feeds=dict(zip(oracle, feeds, strict=True)),
        )
        require_minimum(order, valuation)
        require_bearable_costs(intent, order, valuation, input_raw=input_raw, fee_lamports=costs.fee_lamports)
        return PaperQuote(order=order, valuation=valuation, input_raw=input_raw, costs=costs, slot=clock.slot)

    def _everything(self, intent: TradeIntent, costs: CostEstimate) -> int:
        with self._store.read() as books:
            held = paper_balance(books, intent.wallet, intent.input_mint)
        free = held - costs.needed_lamports if intent.input_mint == WSOL_MINT else held
        if free <= 0:
            raise InvalidInputError(
                "nothing of it is free to trade", subject=intent.input_mint, fix="Run `sniperforge paper-fund`"
            )
        return free

    def _book(self, intent: TradeIntent, quote: PaperQuote) -> None:
        """Everything the trade comes to, in one commit, if it still may."""
        now = self._clock.now()
        with self._store.write() as books:
            current = _as_read(books, intent)
            if current.deadline_at <= now:
                raise ConflictError("its deadline passed while it was quoted", subject=intent.id)
            wallet = books.wallets.lock(intent.wallet)
            system = books.system.hold(alone=self._policy.protections.is_shared)
            stopped = stop_reason(books, current.wallet, current.effect) is not None
            if wallet is None or system.epoch != intent.epoch or stopped:
                raise ConflictError("trading was halted while it was quoted", subject=intent.id)
            worth = quote.valuation.usd_per_input_unit * quote.input_raw
            trade = ProposedTrade(effect=current.effect, token=current.output_mint, worth_usd=worth)
            self._policy.protections.require_room(books, trade, now)
            attempt = write_paper_fill(books, current, quote, at=now)
            books.prices.observe(quote.valuation.observed)
            for note in quote.valuation.notes:
                _tell(books, current, "price.noted", note, now, attempt=attempt, severity=Severity.WARNING)
            told = "filled on paper by a live quote: nothing was signed or sent"
            _tell(books, current, "attempt.finalized", told, now, attempt=attempt)
            executing = books.intents.change(
                current, at=now, state=IntentState.EXECUTING, attempts_made=current.attempts_made + 1
            )
            filled = books.intents.change(executing, at=now, state=IntentState.FILLED, reason_code=None, reason=None)
            follow(books, filled, now, is_final=True)
        self._reached(intent.id, Step.BOOKED, "booked on paper")
        self._reached(intent.id, Step.FINALIZED, "final: on paper nothing can be taken back")

    def _set_back(self, intent: TradeIntent, error: SniperForgeError) -> None:
        """Nothing was filled: wait and try again, or end it, as the error says. Either way the books say why."""
        now = self._clock.now()
        ends = isinstance(error, TerminalError) and not isinstance(error, ProtocolError)
        with self._store.write() as books:
            current = books.intents.lock(intent.id)
            if current is None or current.version != intent.version:
                return  # somebody else went on with it meanwhile
            books.prices.observe(error.details.get("observed", ()))
            if ends:
                _end(books, current, IntentState.FAILED, error.reason_code, str(error), now)
            else:
                books.intents.change(
                    current,
                    at=now,
                    next_attempt_at=now + self._pause(error, now),
                    reason_code=error.reason_code,
                    reason=str(error),
                )
                diverged = isinstance(error, PriceDivergedError)
                severity = Severity.WARNING if diverged else Severity.INFO
                kind = PRICE_DIVERGED if diverged else "intent.set_back"
                _tell(books, current, kind, str(error), now, severity=severity)
        self._reached(intent.id, Step.ENDED if ends else Step.REQUEUED, f"nothing was filled: {error}")

    def _pause(self, error: SniperForgeError, now: datetime) -> timedelta:
        if isinstance(error, RateLimitedError) and error.retry_at is not None:
            return max(self._policy.retry_after, error.retry_at - now)
        return self._policy.retry_after

    def _read(self, intent: IntentId) -> TradeIntent:
        with self._store.read() as books:
            return _found(books.intents.get(intent), intent)

    def _reached(self, intent: IntentId, step: Step, text: str) -> None:
        self._watch(Progress(intent, step, text))


def _found(intent: TradeIntent | None, sought: IntentId) -> TradeIntent:
    if intent is None:
        raise InvalidInputError(
            "there is no such trade", subject=sought, fix="`sniperforge trades` lists the ones there are"
        )
    return intent


def _as_read(books: Books, intent: TradeIntent) -> TradeIntent:
    """The intent, locked, if nobody changed it since it was read."""
    current = books.intents.lock(intent.id)
    if current is None or current.version != intent.version:
        raise ConflictError("the trade changed since it was read", subject=intent.id)
    return current


def _end(books: Books, intent: TradeIntent, state: IntentState, code: str, reason: str, now: datetime) -> TradeIntent:
    ended = books.intents.change(intent, at=now, state=state, reason_code=code, reason=reason)
    _tell(books, ended, f"intent.{state.value}", reason, now)
    follow(books, ended, now)
    return ended


def _tell(
    books: Books,
    intent: TradeIntent,
    kind: str,
    message: str,
    now: datetime,
    *,
    attempt: Attempt | None = None,
    severity: Severity = Severity.INFO,
) -> None:
    books.events.add(
        Event(
            at=now,
            kind=kind,
            severity=severity,
            message=message,
            wallet=intent.wallet,
            intent_id=intent.id,
            attempt_id=attempt.id if attempt else None,
            facts={"path": intent.path.value},
        )
    )
