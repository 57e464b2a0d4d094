"""I1, I2, I4: what landed against what the books say of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sniperforge.domain.intent import (
    LIVE_ATTEMPT_STATES,
    TERMINAL_INTENT_STATES,
    Attempt,
    AttemptState,
    Fill,
    FillState,
    IntentState,
    TradeIntent,
)
from sniperforge.domain.money import Signature
from sniperforge.infrastructure.books_view import Case
from sniperforge.infrastructure.chain_truth import Landed
from sniperforge.infrastructure.evidence import Evidence
from sniperforge.infrastructure.invariant_report import Violation
from sniperforge.ports.records import Attribution, LedgerKind

_HALT = 'Halt the wallet (`sniperforge halt WALLET --reason "..."`)'
_LOOK = "Look at `sniperforge trade-show {id}` and at the transaction on the chain"


def lands_once(evidence: Evidence) -> Iterator[Violation]:
    """I1: at most one attempt of an intent landed without error."""
    landings: defaultdict[str, list[Landed]] = defaultdict(list)
    for landed, _, case in evidence.ours():
        if landed.transaction.err is None:
            landings[case.intent.id].append(landed)
    for intent_id, several in landings.items():
        if len(several) > 1:
            yield Violation(
                invariant="I1",
                subject=f"intent {intent_id}",
                what=f"it landed {len(several)} times without error: {', '.join(one.signature for one in several)}",
                fix=f"{_HALT}, undo the excess by a trade of your own, and report this",
                evidence={one.signature: one.slot for one in several},
            )


def ended_intents_have_no_landing(evidence: Evidence) -> Iterator[Violation]:
    """I4: a FAILED or CANCELLED intent has no landing without error, and nothing that could still land."""
    for case in evidence.books.cases:
        if case.intent.state not in TERMINAL_INTENT_STATES:
            continue
        for attempt in case.attempts:
            landed = evidence.landed.get(attempt.signature)
            if landed is not None and landed.transaction.err is None:
                what = f"it is {case.intent.state.value}, yet attempt {attempt.number} landed ({attempt.signature})"
            elif attempt.state in LIVE_ATTEMPT_STATES:
                what = f"it is {case.intent.state.value}, yet attempt {attempt.number} is {attempt.state.value}"
            else:
                continue
            yield Violation(
                invariant="I4",
                subject=f"intent {case.intent.id}",
                what=what,
                fix=f"{_HALT} until it is booked: its balances moved although the books say they did not",
                evidence={"signature": attempt.signature, "attempt_state": attempt.state.value},
            )


def landings_are_booked(evidence: Evidence) -> Iterator[Violation]:
    """I2: every landing of our keys has its one fill, or its fee; every final fill has its landing."""
    for landed, attempt, case in evidence.ours():
        if landed.signature in evidence.in_flight:
            continue
        if landed.transaction.err is None:
            broken = _good_landing(landed, attempt, case)
        else:
            broken = _failed_landing(evidence, landed, attempt, case)
        for what, figures in broken:
            yield _trade_violation(case.intent, attempt, what, figures)
    if evidence.history_is_whole:
        for case in evidence.books.cases:
            yield from _claims_without_landing(evidence, case)
    for case in evidence.books.cases:
        yield from _intent_and_fills(case)
    yield from _strangers_with_our_key(evidence)


_Broken = Iterator[tuple[str, dict[str, str | int]]]


def _good_landing(landed: Landed, attempt: Attempt, case: Case) -> _Broken:
    if attempt.state is not AttemptState.FINALIZED:
        yield f"it landed without error, final, and the attempt is {attempt.state.value}", {"slot": landed.slot}
        return
    fills = [fill for fill in case.fills if fill.signature == landed.signature and fill.state is FillState.FINAL]
    if len(fills) != 1:
        yield f"it landed without error and has {len(fills)} final fills instead of one", {"slot": landed.slot}
        return
    (fill,) = fills
    expected = _expected(case.intent, attempt, landed)
    differing = {name: value for name, value in expected.items() if getattr(fill, name) != value}
    if differing:
        told = ", ".join(f"{name} is {value} and booked as {getattr(fill, name)}" for name, value in differing.items())
        yield f"its fill is not what the chain did: {told}", dict(differing)


def _intent_and_fills(case: Case) -> Iterator[Violation]:
    """A fill and its intent's state are one commit, provisional or not. Of ended intents I4 speaks."""
    filled = case.intent.state is IntentState.FILLED
    counting = [fill for fill in case.fills if fill.state is not FillState.REVERSED]
    if filled and not counting:
        yield _case_violation(case, "it is filled, yet no fill of it is booked")
    elif counting and not filled and case.intent.state not in TERMINAL_INTENT_STATES:
        yield _case_violation(case, f"the fill {counting[0].signature} is booked, yet it is {case.intent.state.value}")


def _expected(intent: TradeIntent, attempt: Attempt, landed: Landed) -> dict[str, str | int]:
    effect = landed.effect
    return {
        "attempt_id": attempt.id,
        "intent_id": intent.id,
        "wallet": intent.wallet,
        "slot": landed.slot,
        "input_mint": intent.input_mint,
        "input_raw": max(-effect.traded(intent.input_mint), 0),
        "output_mint": intent.output_mint,
        "output_raw": max(effect.traded(intent.output_mint), 0),
        "fee_lamports": effect.fee,
        "tip_lamports": effect.tip,
        "rent_paid_lamports": max(effect.rent, 0),
        "rent_returned_lamports": max(-effect.rent, 0),
    }


def _failed_landing(evidence: Evidence, landed: Landed, attempt: Attempt, case: Case) -> _Broken:
    if attempt.state is not AttemptState.REVERTED:
        yield f"it landed with an error, final, and the attempt is {attempt.state.value}", {"slot": landed.slot}
        return
    if any(_counts(fill, landed.signature) for fill in case.fills):
        yield "it landed with an error, swapped nothing, and has a fill", {"slot": landed.slot}
    booked = fee_booked(evidence, landed)
    if booked != landed.effect.fee:
        yield (
            f"it landed with an error and cost {landed.effect.fee} lamports, of which {booked} are booked as fee",
            {"fee_lamports": landed.effect.fee, "booked_lamports": booked},
        )


def fee_booked(evidence: Evidence, landed: Landed) -> int:
    """Lamports of final fee lines of a transaction."""
    lines = evidence.final_lines.get(landed.signature, ())
    return -sum(line.delta_raw for line in lines if line.kind is LedgerKind.FEE)


def _counts(fill: Fill, signature: Signature) -> bool:
    return fill.signature == signature and fill.state is not FillState.REVERSED


def _claims_without_landing(evidence: Evidence, case: Case) -> Iterator[Violation]:
    """Fills and settled attempts of which the chain knows nothing, up to the slot that was looked at."""
    after, up_to = evidence.opening.slot, evidence.truth.slot
    settled = {attempt.signature: attempt for attempt in case.attempts}
    for fill in case.fills:
        if fill.state is FillState.FINAL and after < fill.slot <= up_to and fill.signature not in evidence.landed:
            settled.pop(fill.signature, None)
            yield _case_violation(
                case, f"the final fill {fill.signature} (slot {fill.slot}) has no transaction on the chain"
            )
        elif fill.signature not in settled:
            yield _case_violation(case, f"the fill {fill.signature} belongs to no attempt of it")
    for attempt in settled.values():
        if attempt.signature in evidence.landed or attempt.state not in {AttemptState.FINALIZED, AttemptState.REVERTED}:
            continue
        slot = attempt.landed_slot
        if slot is None or after < slot <= up_to:
            yield _trade_violation(
                case.intent, attempt, f"it is {attempt.state.value} and not on the chain", {"landed_slot": slot or 0}
            )


def _strangers_with_our_key(evidence: Evidence) -> Iterator[Violation]:
    """Transactions that our key signed and no attempt made: found and named, or unnoticed?"""
    looked_at = {Attribution.FOREIGN, Attribution.UNKNOWN}
    for landed in evidence.landed.values():
        signature = landed.signature
        if not landed.effect.signed or signature in evidence.attempts or signature in evidence.in_flight:
            continue
        attribution = evidence.books.attributions.get(signature)
        if attribution not in looked_at:
            yield Violation(
                invariant="I2",
                subject=f"transaction {signature}",
                what=f"our key signed it, no attempt made it, and the books call it {attribution or 'nothing at all'}",
                fix=f"{_HALT}: somebody else may have the key, or these books are not the newest",
                evidence={"slot": landed.slot},
            )


def _trade_violation(intent: TradeIntent, attempt: Attempt, what: str, figures: dict[str, str | int]) -> Violation:
    return Violation(
        invariant="I2",
        subject=f"attempt {attempt.id} ({attempt.signature})",
        what=what,
        fix=_LOOK.format(id=intent.id),
        evidence=figures,
    )


def _case_violation(case: Case, what: str) -> Violation:
    return Violation(
        invariant="I2",
        subject=f"intent {case.intent.id}",
        what=what,
        fix=_LOOK.format(id=case.intent.id),
        evidence={"state": case.intent.state.value},
    )
