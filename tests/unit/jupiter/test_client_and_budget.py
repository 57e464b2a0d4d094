"""The client spends the organisation's budget: each call in its lane, each answer told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sniperforge.domain.money import Mint
from sniperforge.errors import ExecuteOutcomeUnknownError, RateLimitedError, SniperForgeError
from sniperforge.ports.exchange import Lane, OrderRequest
from sniperforge.shared.clock import SystemClock
from sniperforge.shared.jupiter.client import JupiterClient
from sniperforge.shared.jupiter.rate_limit import PlanLimits
from tests.fakes.jupiter_http import Answer, answer, jupiter
from tests.fakes.jupiter_json import SOL, USDC, execute_json, order_json, price_json

TEN = PlanLimits(main=10, execute=10)
QUOTE = OrderRequest(input_mint=Mint(USDC), output_mint=Mint(SOL), amount_raw=25_000_000, taker=None)
PATIENCE = "the budget never refused"


def quotes(client: JupiterClient, lane: Lane) -> int:
    for count in range(100):
        try:
            client.order(QUOTE, lane=lane)
        except RateLimitedError:
            return count
    raise AssertionError(PATIENCE)


def posts(client: JupiterClient, lane: Lane) -> int:
    for count in range(100):
        try:
            client.execute(b"signed", "order-1", None, lane=lane)
        except RateLimitedError:
            return count
    raise AssertionError(PATIENCE)


def many(body: object) -> list[Answer]:
    return [lambda _: answer(body) for _ in range(100)]


def test_reads_are_counted_in_their_lane() -> None:
    with jupiter(*many(order_json(transaction=None)), limits=TEN) as (client, wire):
        assert [quotes(client, lane) for lane in (Lane.MONITORING, Lane.ENTRY, Lane.CONFIRMATION)] == [5, 3, 1]
        assert quotes(client, Lane.EXIT) == 1
        assert len(wire.requests) == 10


def test_posts_are_counted_in_their_lane_and_apart_from_reads() -> None:
    with jupiter(*many(execute_json()), limits=TEN) as (client, _):
        assert [posts(client, lane) for lane in (Lane.ENTRY, Lane.CONFIRMATION, Lane.EXIT)] == [8, 1, 1]


def test_reads_that_belong_together_are_paid_for_together_or_none_is_sent() -> None:
    with jupiter(*many(order_json(transaction=None)), limits=TEN) as (client, wire):
        for _ in range(3):
            with client.together(2, lane=Lane.ENTRY):
                client.order(QUOTE, lane=Lane.ENTRY)
                client.order(QUOTE, lane=Lane.ENTRY)
        with client.together(2, lane=Lane.ENTRY):
            client.order(QUOTE, lane=Lane.ENTRY)
        assert len(wire.requests) == 7
        with pytest.raises(RateLimitedError), client.together(2, lane=Lane.ENTRY):
            client.order(QUOTE, lane=Lane.ENTRY)
        assert len(wire.requests) == 7, "nothing was sent"
        assert quotes(client, Lane.CONFIRMATION) == 1, "what was paid for and not asked stays counted, for nobody"


def test_prices_are_monitoring_unless_said_otherwise() -> None:
    with jupiter(*many({SOL: price_json()}), limits=TEN) as (client, wire):
        for _ in range(5):
            client.prices([Mint(SOL)])
        with pytest.raises(RateLimitedError):
            client.prices([Mint(SOL)])
        client.prices([Mint(SOL)], lane=Lane.EXIT)

    assert len(wire.requests) == 6


def later() -> str:
    return str(int((SystemClock().now() + timedelta(seconds=30)).timestamp()))


def test_a_429_keeps_the_next_read_from_being_sent() -> None:
    clock = SystemClock()
    with jupiter(answer({}, 429, x_ratelimit_reset=later()), limits=TEN, clock=clock) as (client, wire):
        for _ in range(2):
            with pytest.raises(RateLimitedError):
                client.order(QUOTE, lane=Lane.EXIT)

    assert len(wire.requests) == 1


def test_an_answer_that_leaves_nothing_keeps_the_next_read_from_being_sent() -> None:
    last = answer(order_json(transaction=None), x_ratelimit_remaining="0", x_ratelimit_reset=later())
    with jupiter(last, limits=TEN, clock=SystemClock()) as (client, wire):
        client.order(QUOTE, lane=Lane.EXIT)
        with pytest.raises(RateLimitedError):
            client.order(QUOTE, lane=Lane.EXIT)

    assert len(wire.requests) == 1


def test_a_429_to_a_post_is_unknown_the_first_time_and_then_nothing_is_sent() -> None:
    errors: list[type[SniperForgeError]] = []
    with jupiter(answer({}, 429, x_ratelimit_reset=later()), limits=TEN, clock=SystemClock()) as (client, wire):
        for _ in range(2):
            with pytest.raises(SniperForgeError) as caught:
                client.execute(b"signed", "order-1", None)
            errors.append(caught.type)

    assert errors == [ExecuteOutcomeUnknownError, RateLimitedError]
    assert len(wire.requests) == 1
