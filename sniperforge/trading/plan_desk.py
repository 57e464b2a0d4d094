"""Making plans, and pausing, resuming and stopping them. Trades that were decided go on whatever becomes of a plan."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sniperforge.domain.intent import ExposureEffect
from sniperforge.domain.money import Address, Mint
from sniperforge.errors import InvalidInputError
from sniperforge.ports.clock import Clock
from sniperforge.ports.plans import CatchUp, Occurrence, OccurrenceState, Plan, PlanState
from sniperforge.ports.queue import PlanId
from sniperforge.ports.records import Event, Severity
from sniperforge.ports.store import Books, Store
from sniperforge.ports.tokens import TokenFacts
from sniperforge.strategies.base import Outline, Pair, Strategy, Token
from sniperforge.strategies.config import StrategyConfig, unusable
from sniperforge.strategies.registry import StrategyRegistry
from sniperforge.strategies.schedule import Round, Timetable
from sniperforge.trading.executor_policy import ExecutorPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A plan that could be made, and what it would do.

    Attributes:
        values: The settings as they are kept: as they were written, with mints for tokens.
        outline: What it is going to spend.
        first: Its first round, if it is made now.
        warnings: What is allowed but perhaps not meant.
    """

    kind: str
    wallet: Address
    values: Mapping[str, Any]
    config: StrategyConfig
    pair: Pair
    outline: Outline
    timetable: Timetable
    first: Round
    warnings: tuple[str, ...]

    @property
    def plan_id(self) -> PlanId:
        """The plan's name."""
        return PlanId(self.config.name)

    def rounds(self, most: int) -> tuple[Round, ...]:
        """The next rounds, as many as there are up to `most`."""
        return tuple(islice(self.timetable.onwards(self.first), most))


class PlanDesk:
    """Where people make, pause, resume and stop plans.

    Args:
        store: The books.
        clock: Dates the changes.
        tokens: Decimals and dangers of tokens.
        policy: Limits that no plan may widen.
        registry: The strategies.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        tokens: TokenFacts,
        policy: ExecutorPolicy,
        registry: StrategyRegistry,
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens = tokens
        self._policy = policy
        self._registry = registry

    def draft(self, kind: str, values: Mapping[str, Any], wallet: Address) -> Draft:
        """Check a plan and work out what it would do; nothing is written.

        Args:
            kind: Name of the strategy.
            values: Its settings, with mints for tokens.
            wallet: Whose plan.

        Raises:
            InvalidInputError: `problems` lists everything that is wrong; or there is no such strategy.
            TokenError: A token is dangerous, or there is none at this mint.
            RetryableError: Chain or Jupiter cannot be asked about the tokens.
        """
        strategy = self._registry.get(kind)
        config: StrategyConfig = strategy.read(values)
        mints = (Mint(config.input_token), Mint(config.output_token))
        self._tokens.require_tradable(mints)
        source, target = (Token(mint, self._tokens.decimals(mint)) for mint in mints)
        pair = Pair(source, target)
        now = self._clock.now()
        timetable: Timetable = strategy.timetable(config, config.name)
        first = timetable.first(now)
        problems = self.problems(kind, config, pair)
        if problems or first is None:
            raise unusable(problems, config.name)
        return Draft(
            kind=kind,
            wallet=wallet,
            values=dict(values),
            config=config,
            pair=pair,
            outline=strategy.outline(config, pair, starting=now),
            timetable=timetable,
            first=first,
            warnings=strategy.warnings(config),
        )

    def problems(self, kind: str, config: StrategyConfig, pair: Pair | None) -> tuple[str, ...]:
        """Everything that keeps a plan with these settings from being made now, each with its path.

        Args:
            kind: Name of the strategy.
            config: Its settings.
            pair: Its tokens; None while they are not known: what depends on them is left out.

        Raises:
            InvalidInputError: There is no such strategy.
        """
        strategy: Strategy[Any] = self._registry.get(kind)
        now = self._clock.now()
        found = [] if pair is None else list(strategy.problems(config, pair, starting=now))
        found += self._wider_than_allowed(config)
        if strategy.timetable(config, config.name).first(now) is None:
            found.append(f"end_at: no round is left before {config.end_at}")
        with self._store.read() as books:
            plan = books.plans.get(PlanId(config.name))
        if plan is not None:
            found.append(f"name: {_taken(plan)}")
        return tuple(found)

    def create(self, draft: Draft) -> Plan:
        """Write a plan. It begins now, or at its `start_at`.

        Raises:
            InvalidInputError: Its name is taken, its wallet is not in the books, or too few rounds are left by now.
        """
        strategy: Strategy[Any] = self._registry.get(draft.kind)
        now = self._clock.now()
        first = draft.timetable.first(now)
        if first is None:
            raise unusable([f"end_at: no round is left before {draft.config.end_at}"], draft.plan_id)
        problems = strategy.problems(draft.config, draft.pair, starting=now)
        if problems:
            raise unusable(problems, draft.plan_id)
        plan = Plan(
            id=draft.plan_id,
            kind=draft.kind,
            wallet=draft.wallet,
            status=PlanState.ACTIVE,
            config=draft.values,
            state=strategy.begin(),
            next_occurrence=first.number,
            next_due_at=first.due_at,
            catch_up=CatchUp(draft.config.catch_up),
            max_lateness_s=draft.config.max_lateness_s,
            created_at=now,
            updated_at=now,
        )
        with self._store.write() as books:
            _refuse_taken(books, plan.id)
            books.plans.add(plan)
            tell(books, plan, "plan.created", f"plan {plan.id} ({plan.kind}) was made", now)
        return plan

    def pause(self, plan_id: PlanId, *, by: str) -> Plan:
        """Decide no further round until somebody resumes it.

        Raises:
            InvalidInputError: There is no such plan, or it is not active.
        """
        with self._store.write() as books:
            plan, now = _locked(books, plan_id, PlanState.ACTIVE), self._clock.now()
            tell(books, plan, "plan.paused", f"plan {plan.id} was paused by {by}", now)
            return books.plans.change(plan, at=now, status=PlanState.PAUSED)

    def resume(self, plan_id: PlanId, *, by: str) -> Plan:
        """Go on with the next round from now on. Those that passed meanwhile are recorded as skipped, not made up for.

        Raises:
            InvalidInputError: There is no such plan, it is not paused, or its strategy is not installed any more.
        """
        with self._store.write() as books:
            plan, now = _locked(books, plan_id, PlanState.PAUSED), self._clock.now()
            tell(books, plan, "plan.resumed", f"plan {plan.id} was resumed by {by}", now)
            following = self._past_what_was_paused(books, plan, now)
            if following is None:
                tell(books, plan, "plan.ended", f"plan {plan.id} ended: its end_at passed while it was paused", now)
                return books.plans.change(plan, at=now, status=PlanState.ENDED, next_due_at=None)
            return books.plans.change(
                plan,
                at=now,
                status=PlanState.ACTIVE,
                next_occurrence=following.number,
                next_due_at=following.due_at,
            )

    def stop(self, plan_id: PlanId, *, by: str) -> Plan:
        """End a plan for good. Trades that it decided go on.

        Raises:
            InvalidInputError: There is no such plan, or it has ended.
        """
        with self._store.write() as books:
            plan, now = _locked(books, plan_id, PlanState.ACTIVE, PlanState.PAUSED), self._clock.now()
            tell(books, plan, "plan.ended", f"plan {plan.id} ended: {by} stopped it", now)
            return books.plans.change(plan, at=now, status=PlanState.ENDED, next_due_at=None)

    def rounds_of(self, plan: Plan, most: int) -> tuple[Round, ...]:
        """The next rounds of a plan, as many as there are up to `most`; none while it is not active.

        Raises:
            InvalidInputError: Its strategy is not installed any more.
        """
        if plan.status is not PlanState.ACTIVE or plan.next_due_at is None:
            return ()
        strategy: Strategy[Any] = self._registry.get(plan.kind)
        timetable = strategy.timetable(strategy.read(plan.config), plan.id)
        return tuple(islice(timetable.onwards(Round(plan.next_occurrence, plan.next_due_at)), most))

    def _past_what_was_paused(self, books: Books, plan: Plan, now: datetime) -> Round | None:
        """The first round that is still to come; what passed is written down once."""
        if plan.next_due_at is None:
            return None
        first = Round(plan.next_occurrence, plan.next_due_at)
        if first.due_at > now:
            return first
        strategy: Strategy[Any] = self._registry.get(plan.kind)
        timetable = strategy.timetable(strategy.read(plan.config), plan.id)
        newest = timetable.newest(first, now)
        write_missed(books, plan, first, newest.number - first.number + 1, now, because="the plan was paused")
        return timetable.after(newest)

    def _wider_than_allowed(self, config: StrategyConfig) -> Iterator[str]:
        cap = self._policy.slippage_cap_bps(ExposureEffect.ENTRY)
        for name in ("max_slippage_bps", "max_cost_bps"):
            value = getattr(config, name)
            if value is not None and value > cap:
                yield f"{name}: {value} is wider than the settings allow (entry_slippage_bps: {cap})"
        patience_s = int(self._policy.deadline.total_seconds())
        if config.deadline_s is not None and config.deadline_s > patience_s:
            yield f"deadline_s: {config.deadline_s} is longer than the settings allow (trade_deadline_s: {patience_s})"


def known_plan(books: Books, plan_id: PlanId) -> Plan:
    """The plan of this name.

    Raises:
        InvalidInputError: There is none.
    """
    plan = books.plans.get(plan_id)
    if plan is None:
        near = difflib.get_close_matches(plan_id, [one.id for one in books.plans.every()], n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise InvalidInputError(
            "there is no plan of this name", subject=plan_id, fix=f"{hint}`sniperforge strategy-list` shows them all"
        )
    return plan


def write_missed(books: Books, plan: Plan, first: Round, count: int, now: datetime, *, because: str) -> str:
    """Write down that `count` rounds from `first` on were missed: one record, under the first one's number."""
    last = first.number + count - 1
    which = f"round {first.number} was" if count == 1 else f"{count} rounds ({first.number} to {last}) were"
    text = f"{which} missed: {because}"
    books.occurrences.add(
        Occurrence(
            plan_id=plan.id,
            occurrence=first.number,
            state=OccurrenceState.SKIPPED,
            due_at=first.due_at,
            decided_at=now,
            reason=text,
        )
    )
    tell(books, plan, "plan.missed", f"plan {plan.id}: {text}", now, severity=Severity.WARNING)
    return text


def tell(
    books: Books, plan: Plan, kind: str, message: str, now: datetime, *, severity: Severity = Severity.INFO
) -> None:
    """Append to the timeline."""
    facts = {"plan": plan.id}
    books.events.add(Event(at=now, kind=kind, severity=severity, message=message, wallet=plan.wallet, facts=facts))


def _locked(books: Books, plan_id: PlanId, *expected: PlanState) -> Plan:
    plan = books.plans.lock(plan_id) or known_plan(books, plan_id)
    if plan.status not in expected:
        fix = (
            "A plan that ended stays so; make another one under another name" if plan.status is PlanState.ENDED else ""
        )
        raise InvalidInputError(f"the plan is {plan.status.value}", subject=plan.id, fix=fix)
    return plan


def _refuse_taken(books: Books, plan_id: PlanId) -> None:
    plan = books.plans.get(plan_id)
    if plan is not None:
        raise _taken(plan)


def _taken(plan: Plan) -> InvalidInputError:
    go_on = {
        PlanState.ACTIVE: "It is at work; nothing needs to be done",
        PlanState.PAUSED: f"`sniperforge strategy-resume {plan.id}` lets it go on",
        PlanState.ENDED: "A name is used once: choose another one",
    }
    return InvalidInputError(
        f"there is a plan of this name, and it is {plan.status.value}", subject=plan.id, fix=go_on[plan.status]
    )
