"""What a stack is doing, read from real books and a real Redis, either of which may be away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sniperforge.bootstrap import Services, build
from sniperforge.config import load_settings
from sniperforge.domain.intent import IntentState
from sniperforge.domain.order import LegState, OrderState
from sniperforge.embedded.board import BoardReader, OrdersLine
from sniperforge.ports.plans import PlanState
from sniperforge.ports.queue import PlanId, Queue
from sniperforge.ports.records import TradingMode
from sniperforge.trading.controls import Controls
from tests.fakes.clock import START
from tests.fakes.order_records import a_leg, an_order
from tests.fakes.records import WALLET, a_plan, a_wallet, an_intent
from tests.fakes.redis_server import RedisServer, running_redis

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def services(tmp_path: Path, server: RedisServer) -> Iterator[Services]:
    settings = load_settings(home=tmp_path, redis_url=server.url, rpc_urls=NOWHERE, jupiter_url=NOWHERE)
    built = build(settings)
    with built.store.write() as books:
        books.wallets.add(a_wallet())
    yield built
    built.close()


def test_plans_trades_and_what_stops_them_are_read_from_the_books(services: Services) -> None:
    with services.store.write() as books:
        books.plans.add(a_plan(id=PlanId("weekly"), next_due_at=START + timedelta(days=1)))
        books.plans.add(a_plan(id=PlanId("resting"), status=PlanState.PAUSED))
        books.plans.add(a_plan(id=PlanId("over"), status=PlanState.ENDED))
        books.intents.add(an_intent("one", input_amount_raw=None))
    controls = Controls(store=services.store, clock=services.clock)
    controls.change_system(TradingMode.REDUCING, reason="a storm", by="somebody")
    controls.change_wallet(WALLET, TradingMode.HALTED, reason="a thief", by="somebody")
    board = BoardReader(services).read()
    assert {plan.name: plan.next_run for plan in board.plans} == {"weekly": START + timedelta(days=1), "resting": None}
    assert [trade.state for trade in board.trades] == [IntentState.PENDING.value]
    assert board.trades[0].what.startswith("all ")
    assert board.stops == ("trading is reducing: a storm", "wallet main is halted: a thief")


def test_orders_are_counted_and_the_first_that_fired_in_vain_says_why(services: Services) -> None:
    reader = BoardReader(services)
    assert reader.read().orders == OrdersLine(open=0, is_all=True, fire_again=0, reason="")
    vain: dict[str, Any] = {"state": LegState.WAITING, "refire_at": START}
    with services.store.write() as books:
        books.orders.add(an_order("one"), [a_leg("one")])
        books.orders.add(an_order("two"), [a_leg("two", **vain, reason="later", updated_at=START + timedelta(1))])
        books.orders.add(an_order("three"), [a_leg("three", **vain, reason="no route")])
        books.orders.add(an_order("four", state=OrderState.CANCELLED), [a_leg("four", **vain)])
    assert reader.read().orders == OrdersLine(open=3, is_all=True, fire_again=2, reason="no route")


def test_a_large_book_is_not_read_to_its_end(services: Services) -> None:
    reader = BoardReader(services)
    for names in ([f"{number:03}" for number in range(200)], ["last"]):
        with services.store.write() as books:
            for name in names:
                books.orders.add(an_order(name), [a_leg(name)])
        assert reader.read().orders == OrdersLine(open=200, is_all="last" not in names, fire_again=0, reason="")


def test_queues_and_budget_are_read_from_redis(services: Services, server: RedisServer) -> None:
    with server.client() as redis:
        redis.lpush("sniperforge:orders", "a", "b")
    board = BoardReader(services).read()
    assert board.depths is not None
    assert board.depths[Queue.ORDERS] == 2
    assert {line.bucket: (line.left, line.limit) for line in board.budget} == {"main": (5, 5), "execute": (200, 200)}


def test_tokens_whose_names_cannot_be_asked_are_shown_raw_and_the_reason_is_told_once(services: Services) -> None:
    with services.store.write() as books:
        books.intents.add(an_intent("one"))
    reader = BoardReader(services)
    first, second = reader.read(), reader.read()
    assert first.trades[0].what == "25000000 base units of EPjF... to SOL"
    assert len(first.problems) == 1
    assert not second.problems, "an outage is not insisted on"


def test_without_redis_the_books_are_shown_all_the_same(services: Services, server: RedisServer) -> None:
    with services.store.write() as books:
        books.plans.add(a_plan(id=PlanId("weekly")))
    reader = BoardReader(services)
    server.kill()
    board = reader.read()
    assert board.plans
    assert board.depths is None
    assert board.budget == ()
    assert any("Redis does not answer" in problem for problem in board.problems)
    server.start()
    assert reader.read().depths is not None, "it comes back by itself"


def test_without_books_the_queues_are_shown_all_the_same(tmp_path: Path, services: Services) -> None:
    reader = BoardReader(services)
    services.engine.dispose()
    (tmp_path / "books.db").write_bytes(b"this is no database" * 100)
    board = reader.read()
    assert board.depths is not None
    assert board.trades == ()
    assert board.orders is None
    assert len(board.problems) == 1
