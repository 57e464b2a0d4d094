"""Bodies of tasks on a real sandbox, without a queue: books against chain, and a worker that drains."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from sniperforge.bootstrap import build
from sniperforge.errors import TerminalError
from sniperforge.trading.executor_policy import Until
from tests.fakes.queue_stack import QueueStack
from workers.context import WorkerContext
from workers.tasks.health import check_invariants, reconcile_wallets
from workers.tasks.trades import advance_trade, look_again

pytestmark = pytest.mark.slow


@pytest.fixture
def context(stack: QueueStack) -> Iterator[WorkerContext]:
    context = WorkerContext(stack.services, "test@here")
    yield context
    context.redis.close()


def test_nothing_is_said_while_books_and_chain_agree(stack: QueueStack, context: WorkerContext) -> None:
    trade = stack.decided()
    stack.services.executor(owner="test").run(trade.id, until=Until.SETTLED)
    reconcile_wallets(context)
    check_invariants(context)
    look_again(context)


def test_a_worker_that_drains_lets_go_of_a_trade_that_waits(stack: QueueStack, context: WorkerContext) -> None:
    stack.sandbox.fault("jupiter:/swap/v2/order", "http_500_html", probability=1.0)
    trade = stack.decided()
    context.draining.set()
    advance_trade(context, trade.id)
    (fault,) = stack.sandbox.ask("GET", "/faults")["faults"]
    assert fault["hits"] == 1, "it would have been asked again"
    stack.services.executor(owner="test").cancel(trade.id)


def test_books_that_lie_fail_the_check_of_the_invariants(stack: QueueStack, context: WorkerContext) -> None:
    first = "(SELECT min(rowid) FROM ledger_entries WHERE asset = 'native')"
    with stack.services.engine.connect() as connection:
        connection.execute(text(f"UPDATE ledger_entries SET delta_raw = delta_raw - 7 WHERE rowid = {first}"))  # noqa: S608
        connection.commit()
    try:
        with pytest.raises(TerminalError, match=r"an invariant is broken: I5 .*Run `sniperforge halt --reason "):
            check_invariants(context)
        with pytest.raises(TerminalError, match=r"books and chain differ: .*Run `sniperforge reconcile`"):
            reconcile_wallets(context)
    finally:
        with stack.services.engine.connect() as connection:
            connection.execute(text(f"UPDATE ledger_entries SET delta_raw = delta_raw + 7 WHERE rowid = {first}"))  # noqa: S608
            connection.commit()


def test_somebody_else_with_our_key_is_named(stack: QueueStack, context: WorkerContext) -> None:
    settings = stack.services.settings
    clone = build(settings.model_copy(update={"home": stack.folder / "clone"}))
    try:
        clone.wallets.import_key("main", stack.keypair.to_json())
        clone.reconciler.adopt("main", stack.wallet)
        executor = clone.executor(owner="clone")
        executor.run(executor.decide(stack.request()).id, until=Until.SETTLED)
    finally:
        clone.close()
    with pytest.raises(TerminalError, match="somebody else signed"):
        reconcile_wallets(context)
