"""Whatever happened, the invariants hold; whatever one row says wrong, they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sniperforge.domain.ids import IntentKey, attempt_id
from sniperforge.domain.intent import (
    LIVE_ATTEMPT_STATES,
    Attempt,
    AttemptState,
    Fill,
    FillState,
    IntentState,
    TradeIntent,
)
from sniperforge.domain.money import Signature
from sniperforge.ports.records import LedgerEntry, LedgerKind
from tests.fakes.audit_world import JUP_ACCOUNT, USDC_ACCOUNT, WSOL_ACCOUNT, AuditWorld

amounts = st.integers(1, 50_000_000)

MOVES: Mapping[str, Callable[[AuditWorld, int], object]] = MappingProxyType(
    {
        "buy": lambda world, raw: world.buy_sol(raw // 2 + 1, raw),
        "buy with a tip": lambda world, raw: world.buy_sol(raw // 2 + 1, raw, tip=raw % 1_000 + 1),
        "sell": lambda world, raw: world.sell_sol(raw, raw // 3 + 1),
        "fail": lambda world, _: world.fail(),
        "fail, not yet booked": lambda world, _: world.fail(booked=False),
        "expire": lambda world, _: world.expire(),
        "fork": lambda world, _: world.fork_away(),
        "in flight": lambda world, _: world.in_flight(),
        "confirmed": lambda world, raw: world.buy_sol(raw, raw, state=FillState.PROVISIONAL),
        "SOL comes": lambda world, raw: world.deposit(None, raw),
        "USDC comes": lambda world, raw: world.deposit(USDC_ACCOUNT, raw),
        "wSOL comes": lambda world, raw: world.deposit(WSOL_ACCOUNT, raw),
        "JUP comes": lambda world, raw: world.deposit(JUP_ACCOUNT, raw),
        "sent by hand": lambda world, raw: world.send_by_hand(raw),
    }
)

histories = st.lists(st.tuples(st.sampled_from(sorted(MOVES)), amounts), min_size=1, max_size=7)


def live(history: list[tuple[str, int]]) -> AuditWorld:
    world = AuditWorld()
    for move, raw in history:
        MOVES[move](world, raw)
    return world


@settings(deadline=None, max_examples=60)
@given(
    history=histories, page=st.integers(1, 3), unsettled=st.lists(st.tuples(st.sampled_from(sorted(MOVES)), amounts))
)
def test_every_invariant_holds_through_any_history(
    history: list[tuple[str, int]], page: int, unsettled: list[tuple[str, int]]
) -> None:
    world = live(history)
    world.chain.page = page
    world.settle()
    for move, raw in unsettled[:3]:  # not finalized when the chain is read
        MOVES[move](world, raw)
    assert world.check().violations == ()


@settings(deadline=None, max_examples=300)
@given(history=histories, data=st.data())
def test_any_single_row_that_is_wrong_is_found(history: list[tuple[str, int]], data: st.DataObject) -> None:
    world = live([("buy", 1_000), *history])
    world.settle()
    corruption = data.draw(st.sampled_from(sorted(corruptions(world), key=lambda one: one.name)), label="corruption")
    corruption.do()
    report = world.check()
    assert {violation.invariant for violation in report.violations} & corruption.named_by, str(report)


@dataclass(frozen=True)
class Corruption:
    """One change to the rows of the books that makes them wrong, and who may name it."""

    name: str
    named_by: frozenset[str]
    do: Callable[[], None]


def corruptions(world: AuditWorld) -> Iterator[Corruption]:
    """Every way in which one row of these books can be made to lie."""
    data = world.store._data
    for fill in data.fills.values():
        if fill.state is FillState.FINAL:
            yield from _of_fill(data.fills, fill)
    for key, line in data.ledger.items():
        yield from _of_line(data.ledger, key, line)
    for attempt in data.attempts.values():
        landed = attempt.signature in world.chain.landed
        yield from _of_attempt(data.attempts, data.intents[attempt.intent_id], attempt, landed=landed)
    for intent in data.intents.values():
        yield from _of_intent(data.intents, intent)


def _put(name: str, named_by: str, table: dict[Any, Any], place: Any, row: Any, **fields: Any) -> Corruption:
    def do() -> None:
        table[place] = replace(row, **fields)

    return Corruption(f"{name} of {place}", frozenset(named_by.split()), do)


def _of_fill(table: dict[Any, Any], fill: Fill) -> Iterator[Corruption]:
    key = fill.signature
    for name in ("input_raw", "output_raw", "fee_lamports", "tip_lamports", "rent_paid_lamports", "slot"):
        for by in (-1, 1):
            if getattr(fill, name) + by >= 0:
                yield _put(f"{name} {by:+}", "I2", table, key, fill, **{name: getattr(fill, name) + by})
    for state in set(FillState) - {fill.state}:
        yield _put(f"fill {state}", "I2", table, key, fill, state=state)
    yield _put("the same fill again", "I2", table, f"{key} again", fill)
    yield _put("an invented fill", "I2", table, f"{key} invented", fill, signature=Signature("invented"))
    yield Corruption(f"no fill {key}", frozenset({"I2"}), lambda: table.pop(key))


def _of_line(table: dict[Any, Any], key: Any, line: LedgerEntry) -> Iterator[Corruption]:
    if line.state is not FillState.FINAL:
        if line.state is FillState.REVERSED:
            yield _put("a reversed line counts", "I5", table, key, line, state=FillState.FINAL)
        return
    for by in (-1, 1):
        yield _put(f"delta {by:+}", "I2 I5", table, key, line, delta_raw=line.delta_raw + by)
    for state in set(FillState) - {line.state}:
        yield _put(f"line {state}", "I2 I5", table, key, line, state=state)
    other = LedgerKind.TRANSFER_IN if line.kind is not LedgerKind.TRANSFER_IN else LedgerKind.TRANSFER_OUT
    again = (line.source, line.wallet, line.asset, other)
    if again not in table:
        yield _put("the same line again", "I5", table, again, line, kind=other)
    yield Corruption(f"no line {key}", frozenset({"I2", "I5"}), lambda: table.pop(key))


def _of_attempt(table: dict[Any, Any], intent: TradeIntent, attempt: Attempt, *, landed: bool) -> Iterator[Corruption]:
    key = attempt.id
    if attempt.state in LIVE_ATTEMPT_STATES:
        if landed:  # in flight, or not yet final
            yield _put("a death that was none", "I2", table, key, attempt, state=AttemptState.EXPIRED)
    else:
        for state in set(AttemptState) - {attempt.state}:
            yield _put(f"attempt {state}", "I2 I3 I4", table, key, attempt, state=state)
    yield _put("another number", "I6", table, key, attempt, number=attempt.number + 5)
    second = attempt_id(intent.id, attempt.number + 1)
    yield _put(
        "an extra live attempt",
        "I3 I4",
        table,
        second,
        attempt,
        id=second,
        number=attempt.number + 1,
        signature=Signature(f"{attempt.signature} more"),
        state=AttemptState.SENT,
    )


def _of_intent(table: dict[Any, Any], intent: TradeIntent) -> Iterator[Corruption]:
    if intent.state is IntentState.FILLED:
        for state in set(IntentState) - {intent.state}:
            yield _put(f"intent {state}", "I2 I3 I4", table, intent.id, intent, state=state)
    elif intent.state is IntentState.FAILED:
        yield _put("filled without a fill", "I2", table, intent.id, intent, state=IntentState.FILLED)
    yield _put("another key", "I6", table, intent.id, intent, key=IntentKey(f"{intent.key}x"))
