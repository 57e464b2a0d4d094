"""A worker on a real Redis, as operators start it: what is rung for happens once, what is forged changes nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from sniperforge.domain.intent import IntentState
from sniperforge.domain.money import WSOL_MINT
from sniperforge.errors import QueueUnavailableError
from sniperforge.ports.chain import Commitment
from sniperforge.ports.plans import PlanState
from sniperforge.ports.queue import PlanId, Queue, TaskName
from sniperforge.shared.tokens import USDC_MINT
from tests.fakes.queue_stack import Program, QueueStack, wait_for

pytestmark = pytest.mark.system

SETTLES_WITHIN_S = 60.0
FORGED = 250


def test_a_trade_that_is_rung_for_lands_and_the_sweep_makes_it_final(stack: QueueStack, worker: Program) -> None:
    trade = stack.decided()
    stack.services.queue.ring_trade(trade.id)
    wait_for(lambda: stack.filled(trade), told=worker.text)
    wait_for(lambda: _swept(stack) and _nothing_lives(stack), told=worker.text)
    assert stack.landings(trade) == 1


def test_a_trade_that_is_rung_for_many_times_at_once_lands_once(stack: QueueStack, worker: Program) -> None:
    trade = stack.decided()
    for _ in range(30):
        stack.services.queue.ring_trade(trade.id)
    wait_for(lambda: stack.filled(trade), told=worker.text)
    wait_for(lambda: _swept(stack) and _nothing_lives(stack), told=worker.text)
    assert stack.landings(trade) == 1


def test_a_trade_whose_bell_was_lost_is_found_by_the_sweep(stack: QueueStack, worker: Program) -> None:
    trade = stack.decided()
    wait_for(lambda: _swept(stack) and stack.filled(trade), told=worker.text)
    assert stack.landings(trade) == 1


def test_the_sweep_rings_for_a_trade_once_and_then_leaves_it_alone_for_a_while(
    stack: QueueStack, worker: Program
) -> None:
    stack.sandbox.fault("jupiter:/swap/v2/order", "http_500_html", probability=1.0)
    trade = stack.decided()
    with stack.redis.client() as redis:
        wait_for(lambda: _swept(stack) and redis.exists(f"sniperforge:rung:{trade.id}"), told=worker.text)
        assert 0 < int(str(redis.ttl(f"sniperforge:rung:{trade.id}"))) <= 10
    stack.sandbox.clear_faults()
    stack.services.executor(owner="test").cancel(trade.id)
    stack.services.queue.ring_trade(trade.id)
    wait_for(lambda: stack.intent(trade).state is IntentState.CANCELLED, told=worker.text)


def test_a_plan_that_is_due_is_found_decided_and_traded_to_its_end(stack: QueueStack, worker: Program) -> None:
    desk = stack.services.plan_desk
    plan = desk.create(
        desk.draft(
            "dca",
            {
                "name": "two-rounds",
                "input_token": USDC_MINT,
                "output_token": WSOL_MINT,
                "total_amount": "10",
                "orders": 2,
                "schedule": {"interval_s": 1},
                "catch_up": "once",
            },
            stack.wallet,
        )
    )

    def ended() -> bool:
        stack.send(TaskName.RING_DUE_PLANS)
        with stack.services.store.read() as books:
            found = books.plans.get(plan.id)
            rounds = books.occurrences.of_plan(plan.id, 10)
        assert found is not None
        return found.status is PlanState.ENDED and len(rounds) == 2

    wait_for(ended, told=worker.text)
    with stack.services.store.read() as books:
        trades = [one.intent_id for one in books.occurrences.of_plan(PlanId("two-rounds"), 10)]
        intents = [books.intents.get(trade) for trade in trades if trade is not None]
    assert len(intents) == 2
    for intent in intents:
        assert intent is not None
        wait_for(lambda intent=intent: stack.filled(intent), told=worker.text)  # type: ignore[misc]


def test_a_wiped_and_a_restarted_redis_cost_bells_and_no_trade(stack: QueueStack, worker: Program) -> None:
    before = [stack.decided() for _ in range(3)]
    for trade in before:
        stack.services.queue.ring_trade(trade.id)
    stack.redis.flushall()
    unheard = stack.decided()
    stack.redis.kill()
    with pytest.raises(QueueUnavailableError):
        stack.services.queue.ring_trade(unheard.id)
    stack.redis.start()
    trades = (*before, unheard)
    wait_for(
        lambda: _swept(stack) and all(stack.filled(trade) for trade in trades),
        within_s=SETTLES_WITHIN_S,
        told=worker.text,
    )
    assert [stack.landings(trade) for trade in trades] == [1, 1, 1, 1]
    assert worker.process.poll() is None


def test_whoever_writes_to_redis_moves_no_money(stack: QueueStack, worker: Program) -> None:
    done = stack.decided()
    stack.services.queue.ring_trade(done.id)
    wait_for(lambda: _swept(stack) and stack.filled(done) and _nothing_lives(stack), told=worker.text)
    stopped = stack.decided()
    stack.services.executor(owner="test").cancel(stopped.id)
    stack.services.queue.ring_trade(stopped.id)
    wait_for(lambda: stack.intent(stopped).state is IntentState.CANCELLED, told=worker.text)
    books, holdings = _books(stack), _holdings(stack)
    chance = random.Random(7)  # noqa: S311 (the same messages every time)
    for task, args, options in _forgeries(chance, [done.id, stopped.id, "two-rounds", str(stack.wallet)]):
        stack.send(task, *args, queue=chance.choice(list(Queue)), **options)
    _all_consumed(stack, worker)
    assert _books(stack) == books
    assert _holdings(stack) == holdings
    assert worker.process.poll() is None
    assert "a bug" not in worker.text()


def _forgeries(chance: random.Random, known: list[str]) -> Iterator[tuple[str, list[Any], dict[str, Any]]]:
    """Every task with whatever JSON can say, and with what Celery lets a message ask for besides."""
    words = [*known, "a" * 24, "A" * 24, "trades", "trades\n", "", "'; DROP TABLE trade_intents; --", "\0", "ü" * 70]
    values: list[Any] = [*words, None, True, 0, -1, 2**70, 1.5, [], {}, ["a" * 24], {"amount": 10**9}]
    tasks = [*TaskName, "celery.map", "celery.chain", "celery.chord_unlock", "celery.group", "trades.sell_everything"]
    signature: dict[str, Any] = {"task": TaskName.ADVANCE_TRADE, "args": ["a" * 24], "options": {}, "kwargs": {}}
    for number in range(FORGED):
        task = tasks[number % len(tasks)]
        args = [chance.choice(values) for _ in range(chance.choice((0, 1, 1, 1, 2, 5)))]
        options: dict[str, Any] = {}
        if chance.random() < 0.2:
            options["kwargs"] = {chance.choice(["intent", "worker", "amount", "self"]): chance.choice(values)}
        if chance.random() < 0.2:
            options["link"] = [signature]
        if chance.random() < 0.2:
            options["retries"] = 3
        yield task, args, options


def _all_consumed(stack: QueueStack, worker: Program) -> None:
    wait_for(lambda: not any(stack.services.queue.depths().values()), told=worker.text)
    with stack.redis.client() as redis:
        wait_for(lambda: not redis.exists("sniperforge:unacked"), told=worker.text)


def _books(stack: QueueStack) -> str:
    """Everything that says what was traded or is going to be."""
    tables = (
        "trade_intents",
        "attempts",
        "fills",
        "ledger_entries",
        "reservations",
        "strategy_plans",
        "plan_occurrences",
    )
    with stack.services.engine.connect() as connection:
        rows = {table: connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2")).all() for table in tables}  # noqa: S608
    return json.dumps({table: [list(row) for row in found] for table, found in rows.items()}, default=repr)


def _holdings(stack: QueueStack) -> tuple[int, tuple[tuple[str, int], ...]]:
    found = stack.services.wallets.balances(stack.services.chain, stack.wallet)
    tokens = stack.services.chain.token_accounts(stack.wallet, Commitment.CONFIRMED)
    return found.lamports, tuple(sorted((str(token.address), token.raw) for token in tokens))


def _swept(stack: QueueStack) -> bool:
    stack.sweep()
    return True


def _nothing_lives(stack: QueueStack) -> bool:
    with stack.services.store.read() as books:
        return not books.attempts.live(10)
