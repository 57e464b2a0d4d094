"""Rounds of plans: each is decided once, or skipped with a reason, whoever looks and however often.

A round, in this order: the plan is read; what it needs to know is asked; its strategy decides, purely; then one
transaction locks the plan, finds it as it was read, and writes the trade, what became of the round, and when the next
one is due (rule *decide-once*: any conflict rolls all of it back). Only then is the trade's bell rung; if nobody hears
it, the sweep rings again. So two executors at once, a crash between any two steps, and a doubled, late or lost bell
make at most one trade of a round (I6).

Rounds that nobody looked at in time were missed. One record tells of all that were missed in a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sniperforge.domain.ids import IntentId, round_key
from sniperforge.domain.money import Mint
from sniperforge.domain.risk import ProposedTrade
from sniperforge.errors import InvalidInputError, QueueUnavailableError, RetryableError, TerminalError, TokenError
from sniperforge.ports.clock import Clock
from sniperforge.ports.plans import CatchUp, Occurrence, OccurrenceState, Plan, PlanState
from sniperforge.ports.queue import PlanId, TaskQueue
from sniperforge.ports.store import Books, Store
from sniperforge.ports.tokens import TokenFacts
from sniperforge.strategies.base import Decision, Observation, Pair, Proposal, Strategy, Token
from sniperforge.strategies.config import StrategyConfig
from sniperforge.strategies.registry import StrategyRegistry
from sniperforge.strategies.schedule import Round, Timetable
from sniperforge.trading.controls import stop_reason
from sniperforge.trading.decisions import check_request, write_decision
from sniperforge.trading.executor_policy import ExecutorPolicy, TradeRequest
from sniperforge.trading.pair_price import PairPrices
from sniperforge.trading.plan_desk import known_plan, tell, write_missed
from sniperforge.trading.protections import refusal

LIMIT = 1_000
"""How many due plans are rung for at once; the next look finds the others."""


class RoundOutcome(StrEnum):
    """What came of looking at a plan."""

    NOT_DUE = "not due"
    DECIDED = "decided"
    SKIPPED = "skipped"
    WAITING = "waiting"
    """Something that must be known is not; it is looked at again until it is too late."""
    OVERTAKEN = "overtaken"
    """Somebody else changed the plan meanwhile; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """What came of looking at a plan, for logs.

    Attributes:
        occurrence: The round it is about.
        rung: Whether the trade's bell was heard.
    """

    outcome: RoundOutcome
    text: str
    occurrence: int
    intent_id: IntentId | None = None
    rung: bool = False


@dataclass(frozen=True, slots=True)
class _Due:
    """A plan with something due.

    Attributes:
        first: The first round that nothing was written of.
        newest: The newest round that is due; those between were missed.
        following: The round after that, None if there is none.
    """

    plan: Plan
    strategy: Strategy[Any]
    config: StrategyConfig
    first: Round
    newest: Round
    following: Round | None

    def is_too_late(self, now: datetime) -> bool:
        """Whether the newest round, too, was missed."""
        return now - self.newest.due_at > timedelta(seconds=self.plan.max_lateness_s)

    def may_wait(self, now: datetime) -> bool:
        """Whether it can still be decided at a later look. One to be made up for is waiting until the next is due."""
        if self.plan.catch_up is CatchUp.ONCE and self.following is not None:
            return True
        return not self.is_too_late(now)


class StrategyExecutor:
    """Decides rounds of plans. Any number of executors may work on the same books at once.

    Args:
        store: The books.
        clock: Says what is due.
        tokens: Decimals and dangers of tokens.
        prices: What pairs cost, for strategies that need to know.
        policy: Limits of every trade.
        queue: Where bells ring.
        registry: The strategies.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        tokens: TokenFacts,
        prices: PairPrices,
        policy: ExecutorPolicy,
        queue: TaskQueue,
        registry: StrategyRegistry,
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens = tokens
        self._prices = prices
        self._policy = policy
        self._queue = queue
        self._registry = registry

    def execute_dca_strategy(self, plan_id: PlanId) -> RoundResult:
        """`execute`, for a plan of the kind `dca` only.

        Raises:
            InvalidInputError: It is of another kind; and as `execute`.
        """
        with self._store.read() as books:
            kind = known_plan(books, plan_id).kind
        if kind != "dca":
            raise InvalidInputError(f"this plan is of the kind {kind}, not dca", subject=plan_id)
        return self.execute(plan_id)

    def ring_due_plans(self) -> tuple[PlanId, ...]:
        """Ring for every plan with a round that is due; returns their names.

        Raises:
            QueueUnavailableError: The broker does not answer; the plans stay due.
        """
        with self._store.read() as books:
            due = books.plans.due(self._clock.now(), LIMIT)
        for plan in due:
            self._queue.ring_plan(plan.id)
        return tuple(plan.id for plan in due)

    def execute(self, plan_id: PlanId) -> RoundResult:
        """Look at a plan: decide its due round if it can be decided. Doing it twice, late or never is harmless.

        Raises:
            InvalidInputError: There is no such plan, or its strategy is not installed any more.
            RetryableError: The books cannot be reached; nothing is lost.
            CommitOutcomeUnknownError: The books may have committed; look again.
        """
        with self._store.read() as books:
            plan = known_plan(books, plan_id)
        now = self._clock.now()
        if plan.status is not PlanState.ACTIVE or plan.next_due_at is None or plan.next_due_at > now:
            return _not_due(plan)
        due = self._due(plan, Round(plan.next_occurrence, plan.next_due_at), now)
        if plan.catch_up is CatchUp.SKIP and due.is_too_late(now):
            return self._write(due, None, now)
        try:
            observation = self._observe(due)
        except (RetryableError, TerminalError) as error:
            if due.may_wait(now) and not isinstance(error, TokenError):
                return RoundResult(outcome=RoundOutcome.WAITING, text=str(error), occurrence=due.newest.number)
            return self._write(due, _skipped(due, str(error)), now)
        decision = due.strategy.decide(due.config, plan.state, observation, due.newest.number, now)
        return self._write(due, decision, now)

    def _due(self, plan: Plan, first: Round, now: datetime) -> _Due:
        strategy = self._registry.get(plan.kind)
        config: StrategyConfig = strategy.read(plan.config)
        timetable: Timetable = strategy.timetable(config, plan.id)
        newest = timetable.newest(first, now)
        return _Due(plan, strategy, config, first, newest, timetable.after(newest))

    def _observe(self, due: _Due) -> Observation:
        """Everything that is asked of the network, before any transaction of the books begins."""
        mints = (Mint(due.config.input_token), Mint(due.config.output_token))
        self._tokens.require_tradable(mints)
        source, target = (Token(mint, self._tokens.decimals(mint)) for mint in mints)
        pair = Pair(source, target)
        return Observation(pair, self._prices.price(pair) if due.strategy.needs_price(due.config) else None)

    # ---- writing

    def _write(self, due: _Due, decision: Decision | None, now: datetime) -> RoundResult:
        """Write what became of the due rounds; None means that the newest was missed like those before it."""
        request = None
        if decision is not None and decision.proposal is not None:
            request = _request(due, decision.proposal)
            try:
                check_request(request)
            except InvalidInputError as error:
                request, decision = None, _skipped(due, str(error))
        with self._store.write() as books:
            plan = books.plans.lock(due.plan.id)
            if plan is None or plan.version != due.plan.version:
                text = "somebody else looked at it first"
                return RoundResult(outcome=RoundOutcome.OVERTAKEN, text=text, occurrence=due.newest.number)
            stopped = None if request is None else self._stopped(books, request, now)
            if stopped is not None:
                request, decision = None, _skipped(due, stopped)
            intent = None if request is None else self._decide(books, request, now)
            text = _write_rounds(books, due, decision, intent, now)
            _move_on(books, plan, due, decision, now)
        if intent is None:
            return RoundResult(outcome=RoundOutcome.SKIPPED, text=text, occurrence=due.newest.number)
        return RoundResult(
            outcome=RoundOutcome.DECIDED,
            text=text,
            occurrence=due.newest.number,
            intent_id=intent,
            rung=self._ring(intent),
        )

    def _stopped(self, books: Books, request: TradeRequest, now: datetime) -> str | None:
        """Why nothing may be decided for this round now, or None."""
        stopped = stop_reason(books, request.wallet, request.effect)
        if stopped is not None:
            return stopped
        trade = ProposedTrade(effect=request.effect, token=request.output_mint)
        denials = self._policy.protections.denials(books, trade, now)
        return str(refusal(denials)) if denials else None

    def _decide(self, books: Books, request: TradeRequest, now: datetime) -> IntentId:
        intent, is_new = write_decision(books, request, policy=self._policy, now=now)
        if not is_new:
            # Key and round commit together, so this program wrote only one of them: never "ignore, then advance".
            raise InvalidInputError(
                f"trade {intent.id} exists and its round is open; nothing was written",
                subject=request.key,
                fix="These books were changed by hand: `sniperforge strategy-stop` ends the plan",
            )
        return intent.id

    def _ring(self, intent: IntentId) -> bool:
        try:
            self._queue.ring_trade(intent)
        except QueueUnavailableError:
            return False  # the trade is in the books, and the sweep rings for it
        return True


def _not_due(plan: Plan) -> RoundResult:
    if plan.status is not PlanState.ACTIVE:
        text = f"it is {plan.status.value}"
    else:
        text = "no round is left" if plan.next_due_at is None else f"its next round is due at {plan.next_due_at}"
    return RoundResult(outcome=RoundOutcome.NOT_DUE, text=text, occurrence=plan.next_occurrence)


def _skipped(due: _Due, reason: str) -> Decision:
    return Decision(state=due.plan.state, skipped=reason)


def _request(due: _Due, proposal: Proposal) -> TradeRequest:
    plan, number = due.plan, due.newest.number
    return TradeRequest(
        key=round_key(plan.kind, plan.id, number),
        wallet=plan.wallet,
        input_mint=Mint(due.config.input_token),
        output_mint=Mint(due.config.output_token),
        input_raw=proposal.input_raw,
        effect=proposal.effect,
        max_slippage_bps=proposal.max_slippage_bps,
        min_out_per_input=proposal.min_out_per_input,
        deadline=proposal.deadline,
        max_cost_bps=proposal.max_cost_bps,
        plan_id=plan.id,
        occurrence=number,
    )


def _write_rounds(books: Books, due: _Due, decision: Decision | None, intent: IntentId | None, now: datetime) -> str:
    """One record of the newest round, and one of all that were missed before it. Returns what is worth telling."""
    newest, missed = due.newest, due.newest.number - due.first.number
    if decision is None:
        return write_missed(books, due.plan, due.first, missed + 1, now, because=_too_late(due, now))
    if missed:
        write_missed(books, due.plan, due.first, missed, now, because=f"round {newest.number} stands for them")
    books.occurrences.add(
        Occurrence(
            plan_id=due.plan.id,
            occurrence=newest.number,
            state=OccurrenceState.SKIPPED if intent is None else OccurrenceState.DECIDED,
            due_at=newest.due_at,
            decided_at=now,
            intent_id=intent,
            reason=decision.skipped,
        )
    )
    return decision.skipped or "decided"


def _too_late(due: _Due, now: datetime) -> str:
    late_s = int((now - due.newest.due_at).total_seconds())
    return f"the last of them was {late_s} s late, and max_lateness_s is {due.plan.max_lateness_s}"


def _move_on(books: Books, plan: Plan, due: _Due, decision: Decision | None, now: datetime) -> None:
    """The plan waits for its next round, or ends."""
    following = due.following
    ended = None if decision is None else decision.ended
    if ended is None and following is None:
        ended = "no round is left before its end_at"
    books.plans.change(
        plan,
        at=now,
        status=None if ended is None else PlanState.ENDED,
        state=plan.state if decision is None else dict(decision.state),
        next_occurrence=due.newest.number + 1,
        next_due_at=None if following is None or ended is not None else following.due_at,
    )
    if ended is not None:
        tell(books, plan, "plan.ended", f"plan {plan.id} ended: {ended}", now)
