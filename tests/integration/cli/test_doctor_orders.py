"""What `doctor` says of orders, on real books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sniperforge.bootstrap import Services, build
from sniperforge.cli.doctor_orders import orders
from sniperforge.config import Settings
from sniperforge.domain.ids import OrderId, trigger_id
from sniperforge.domain.trigger import Direction, Subject, Trigger
from sniperforge.storage.migrations import upgrade
from tests.fakes.clock import START

Open = Callable[..., Services]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Open]:
    """Makes services of a home of its own with empty books, and closes them."""
    made: list[Services] = []

    def opened(**settings: Any) -> Services:
        known = {"home": tmp_path, "network": "sandbox", "jupiter_url": "http://127.0.0.1:1", **settings}
        made.append(build(Settings.model_validate(known)))
        upgrade(made[-1].engine)
        return made[-1]

    yield opened
    for one in made:
        one.close()


def watch(services: Services, *mints: str) -> None:
    with services.store.write() as books:
        for mint in mints:
            trigger = Trigger(
                id=trigger_id(OrderId(f"o{mint}"), "main", 0),
                subject=Subject(mint),
                direction=Direction.DOWN,
                confirmations=2,
                level=Decimal(140),
            )
            books.triggers.add([trigger], at=START)


def verdicts(services: Services) -> list[tuple[str, str]]:
    """Verdict and text of each finding. Whatever is wrong says what to do."""
    found = list(orders(services))
    assert all(bool(one.fix) is (one.verdict != "ok") for one in found)
    return [(one.verdict, one.what) for one in found]


@pytest.mark.parametrize(("plan", "seconds"), [("keyless", 5), ("free", 2)])
def test_a_small_plan_checks_triggers_less_often_and_doctor_says_how_often(
    services: Open, plan: str, seconds: int
) -> None:
    key = {} if plan == "keyless" else {"jupiter_api_key": "secret"}
    told = f"triggers are checked every {seconds} s: plan {plan} bears no more"
    assert verdicts(services(jupiter_plan=plan, **key)) == [("warn", told)]


def test_a_plan_that_bears_it_checks_triggers_every_second(services: Open) -> None:
    found = verdicts(services(jupiter_plan="developer", jupiter_api_key="secret"))
    assert found == [("ok", "triggers are checked every 1 s")]


def test_more_than_fifty_tokens_are_checked_less_often(services: Open) -> None:
    made = services(jupiter_plan="free", jupiter_api_key="secret")
    watch(made, *(f"mint{number}" for number in range(51)))
    assert verdicts(made) == [("warn", "triggers are checked every 4 s: plan free bears no more")]


def test_what_has_no_price_is_named(services: Open) -> None:
    made = services(jupiter_plan="pro", jupiter_api_key="secret")
    watch(made, "sol", "jup")
    with made.store.write() as books:
        books.triggers.missed(Subject("sol"), "missing: Jupiter has no price for it", at=START)
    assert verdicts(made)[0] == (
        "warn",
        f"nothing that watches sol can fire since {START:%Y-%m-%d %H:%M:%S} UTC: missing: Jupiter has no price for it",
    )


def test_a_network_without_jupiter_has_no_triggers(services: Open) -> None:
    assert verdicts(services(network="devnet", jupiter_url=None)) == []
