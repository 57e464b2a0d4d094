"""Forks take back what an order did while people cancel it: it never sells twice, and never forgets its exits."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fakes.forked_orders import ForkedOrders

EXAMPLES = int(os.environ.get("SNIPERFORGE_TEST_EXAMPLES", "200"))


def test_an_order_lives_through_forks_and_ends_with_what_the_chain_holds() -> None:
    paths = settings(
        max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(ForkedOrders, settings=paths)
