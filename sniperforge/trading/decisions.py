"""Writing a decision: once, under its key, with every limit that holds for its whole life (rule *decide-once*)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sniperforge.domain.ids import intent_id
from sniperforge.domain.intent import ExposureEffect, IntentKind, IntentState, TradeIntent
from sniperforge.domain.money import Mint, checked_raw
from sniperforge.domain.risk import ProposedTrade
from sniperforge.errors import ConflictError, InvalidInputError
from sniperforge.ports.records import Event, Severity
from sniperforge.ports.store import Books
from sniperforge.trading.executor_policy import ExecutorPolicy, TradeRequest


def check_request(request: TradeRequest) -> None:
    """Refuse what cannot be a trade.

    Raises:
        InvalidInputError: `problems` lists every reason.
    """
    problems = _problems(request)
    if problems:
        raise InvalidInputError("; ".join(problems), subject="trade", problems=tuple(problems))


def mints_to_trust(request: TradeRequest) -> tuple[Mint, ...]:
    """Tokens that must not be dangerous: both of an entry, and what an exit gets.

    What an exit gives may have turned dangerous meanwhile, and that is a reason to be rid of it.
    """
    entry = (request.input_mint, request.output_mint)
    return entry if request.effect is ExposureEffect.ENTRY else (request.output_mint,)


def write_decision(
    books: Books, request: TradeRequest, *, policy: ExecutorPolicy, now: datetime
) -> tuple[TradeIntent, bool]:
    """Write the intent in the caller's transaction, together with whatever led to it.

    The tokens and the request (`check_request`) are checked before: that may need the network.

    Returns:
        The intent, and whether it is new: the same key again is the same trade, and nothing is written.

    Raises:
        ConflictError: This key was decided with other terms.
        InvalidInputError: The books do not know the wallet.
        RiskDeniedError: Protections deny it.
    """
    known = books.intents.get_by_key(request.key)
    if known is not None:
        if not _same_terms(known, request):
            raise ConflictError("this key was decided with other terms", subject=request.key)
        return known, False
    if books.wallets.get(request.wallet) is None:
        raise InvalidInputError(
            "the books do not know this wallet", subject=request.wallet, fix="Run `sniperforge reconcile` first"
        )
    trade = ProposedTrade(effect=request.effect, token=request.output_mint)
    policy.protections.require_room(books, trade, now)
    intent = _intent(request, policy, now, books.system.get().epoch)
    books.intents.add(intent)
    books.events.add(
        Event(
            at=now,
            kind="intent.decided",
            severity=Severity.INFO,
            message="decided",
            wallet=intent.wallet,
            intent_id=intent.id,
        )
    )
    return intent, True


def _intent(request: TradeRequest, policy: ExecutorPolicy, now: datetime, epoch: int) -> TradeIntent:
    usual, widest = policy.slippage_cap_bps(request.effect), policy.widest_slippage_bps(request.effect)
    cap = min(widest, request.max_slippage_bps or usual)
    patience = min(policy.deadline, request.deadline or policy.deadline)
    return TradeIntent(
        id=intent_id(request.key),
        key=request.key,
        kind=IntentKind.TRADE,
        purpose=None,
        effect=request.effect,
        wallet=request.wallet,
        input_mint=request.input_mint,
        output_mint=request.output_mint,
        input_amount_raw=request.input_raw,
        path=policy.path,
        state=IntentState.PENDING,
        version=0,
        epoch=epoch,
        min_out_per_input=request.min_out_per_input,
        max_slippage_bps=cap,
        max_cost_bps=min(cap, request.max_cost_bps or cap),
        max_attempts=policy.max_attempts,
        attempts_made=0,
        deadline_at=now + patience,
        next_attempt_at=now,
        created_at=now,
        updated_at=now,
        plan_id=request.plan_id,
        occurrence=request.occurrence,
    )


def _problems(request: TradeRequest) -> list[str]:
    problems = []
    if request.input_raw is not None:
        try:
            checked_raw(request.input_raw)
        except InvalidInputError as error:
            problems.append(str(error))
        if request.input_raw == 0:
            problems.append("amount: zero buys nothing")
    if request.input_mint == request.output_mint:
        problems.append("tokens: both are the same")
    if request.max_slippage_bps is not None and not 0 < request.max_slippage_bps <= 10_000:
        problems.append(f"max_slippage_bps: {request.max_slippage_bps} is not between 1 and 10000")
    if request.max_cost_bps is not None and not 0 < request.max_cost_bps <= 10_000:
        problems.append(f"max_cost_bps: {request.max_cost_bps} is not between 1 and 10000")
    if request.min_out_per_input is not None and request.min_out_per_input <= 0:
        problems.append(f"min_out_per_input: {request.min_out_per_input} is not above zero")
    if request.deadline is not None and request.deadline <= timedelta(0):
        problems.append("deadline: it has passed already")
    return problems


def _same_terms(intent: TradeIntent, request: TradeRequest) -> bool:
    return (intent.wallet, intent.input_mint, intent.output_mint, intent.input_amount_raw, intent.effect) == (
        request.wallet,
        request.input_mint,
        request.output_mint,
        request.input_raw,
        request.effect,
    ) and intent.min_out_per_input == request.min_out_per_input
