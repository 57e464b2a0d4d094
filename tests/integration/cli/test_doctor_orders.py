"""What `doctor` says of orders, on real books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sniperforge.bootstrap import Services, build
from sniperforge.cli.doctor_orders import orders
from sniperforge.config import Settings
from sniperforge.domain.ids import OrderId, trigger_id
from sniperforge.domain.money import WSOL_MINT, Address
from sniperforge.domain.order import LegState, OrderState
from sniperforge.domain.trigger import Direction, Subject, Trigger
from sniperforge.ports.records import WalletRecord
from sniperforge.storage.migrations import upgrade
from tests.fakes.clock import START, FakeClock
from tests.fakes.order_records import a_leg, an_order

PASSPHRASE = "correct horse battery"
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


def place(services: Services, wallet: str, *, name: str = "one", state: LegState = LegState.ARMED, **leg: Any) -> None:
    """An open order of a wallet, on SOL, made at START."""
    with services.store.write() as books:
        if books.wallets.get(Address(wallet)) is None:
            record = WalletRecord(address=Address(wallet), name="main", network="sandbox", created_at=START)
            books.wallets.add(record)
        books.orders.add(an_order(name, wallet=wallet), [a_leg(name, state=state, **leg)])


def only(services: Services, word: str) -> list[tuple[str, str]]:
    """What was found of one thing."""
    return [one for one in verdicts(services) if word in one[1]]


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


@pytest.mark.parametrize(("passphrase", "says"), [(None, "no passphrase is set"), ("another passphrase", "passphrase")])
def test_open_orders_of_a_wallet_that_workers_cannot_unlock_are_found(
    services: Open, passphrase: str | None, says: str
) -> None:
    wallet = services(wallet_passphrase=PASSPHRASE).wallets.create("main").address
    one = services(wallet_passphrase=passphrase)
    assert only(one, "cannot sign") == []
    place(one, wallet)
    ((verdict, told),) = only(one, "cannot sign")
    assert verdict == "fail"
    assert told.startswith("workers cannot sign for wallet main, which has open orders: ")
    assert says in told
    assert only(services(wallet_passphrase=PASSPHRASE), "cannot sign") == []


def test_orders_that_ended_and_orders_on_paper_need_no_passphrase(services: Open) -> None:
    wallet = services(wallet_passphrase=PASSPHRASE).wallets.create("main").address
    paper = services(mode="paper")
    place(paper, wallet)
    assert only(paper, "cannot sign") == []
    live = services()
    place(live, wallet)
    assert only(live, "cannot sign") != []
    with live.store.write() as books:
        order = books.orders.get(OrderId("oone"))
        assert order is not None
        books.orders.change(order, at=START, state=OrderState.CANCELLED)
    assert only(live, "cannot sign") == []


@pytest.mark.parametrize(("plan", "seconds"), [("developer", 10), ("keyless", 15)])
def test_nobody_having_looked_for_long_is_warned_of(services: Open, plan: str, seconds: int) -> None:
    key = {} if plan == "keyless" else {"jupiter_api_key": "secret"}
    one = services(jupiter_plan=plan, wallet_passphrase=PASSPHRASE, **key)
    watch(one, "jup", WSOL_MINT)
    with one.store.write() as books:
        for subject in ("jup", WSOL_MINT):
            books.triggers.tick(Subject(subject), Decimal(180), print_number=1, at=START)
    one.clock = FakeClock(START + timedelta(seconds=seconds))
    assert only(one, "nobody has looked") == []
    one.clock = FakeClock(START + timedelta(seconds=seconds + 1))
    ((verdict, told),) = only(one, "nobody has looked")
    assert verdict == "warn"
    assert f"{WSOL_MINT}, jup since {START:%Y-%m-%d %H:%M:%S} UTC" in told
    with one.store.write() as books:
        books.triggers.tick(Subject("jup"), Decimal(180), print_number=2, at=one.clock.now())
        books.triggers.missed(Subject(WSOL_MINT), "missing: nobody knows", at=one.clock.now())
    assert only(one, "nobody has looked") == []


def test_an_order_that_was_never_looked_at_is_warned_of_when_it_is_old_enough(services: Open) -> None:
    one = services(jupiter_plan="pro", jupiter_api_key="secret", wallet_passphrase=PASSPHRASE)
    wallet = one.wallets.create("main").address
    watch(one, WSOL_MINT)
    place(one, wallet)
    one.clock = FakeClock(START + timedelta(seconds=10))
    assert only(one, "nobody has looked") == []
    one.clock = FakeClock(START + timedelta(seconds=11))
    assert len(only(one, "nobody has looked")) == 1


def test_an_old_value_of_a_token_that_is_watched_anew_is_no_sign_of_silence(services: Open) -> None:
    one = services(jupiter_plan="pro", jupiter_api_key="secret", wallet_passphrase=PASSPHRASE)
    watch(one, WSOL_MINT)
    with one.store.write() as books:
        books.triggers.tick(Subject(WSOL_MINT), Decimal(180), print_number=1, at=START - timedelta(days=1))
    one.clock = FakeClock(START + timedelta(seconds=5))
    assert len(only(one, "nobody has looked")) == 1
    place(one, one.wallets.create("main").address)
    assert only(one, "nobody has looked") == []


def test_a_leg_that_fired_in_vain_is_named_with_its_reason(services: Open) -> None:
    one = services(jupiter_plan="pro", jupiter_api_key="secret", wallet_passphrase=PASSPHRASE)
    wallet = one.wallets.create("main").address
    place(one, wallet, state=LegState.WAITING, refire_at=START, reason="no route")
    place(one, wallet, name="two")
    assert only(one, "in vain") == [
        (
            "warn",
            f"leg main of order oone has fired in vain, and fires again at {START:%Y-%m-%d %H:%M:%S} UTC: no route",
        )
    ]
