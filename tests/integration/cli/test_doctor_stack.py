"""What `doctor` says of a running system, against a real Redis, real books and a real sandbox's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sniperforge.bootstrap import Services, build
from sniperforge.cli import doctor_stack
from sniperforge.cli.findings import Finding
from sniperforge.config import STACK_NAME, Settings
from sniperforge.domain.money import Address
from sniperforge.embedded.stack_lock import stack_lock
from sniperforge.errors import QueueUnavailableError
from sniperforge.ports.plans import CatchUp, Plan, PlanState
from sniperforge.ports.queue import PlanId, Queue
from sniperforge.ports.records import WalletRecord
from sniperforge.shared.canary import Canary
from sniperforge.shared.clock import SystemClock
from tests.fakes.clock import START, FakeClock
from tests.fakes.redis_server import PASSWORD, RedisServer, running_redis
from tests.fakes.sandbox_process import running_sandbox

PASSPHRASE = "correct horse battery"
Check = Callable[[Services], Iterator[Finding]]
Open = Callable[..., Services]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis(server: RedisServer) -> RedisServer:
    server.flushall()
    return server


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Open]:
    """Makes services of a home of its own at START, and closes them."""
    made: list[Services] = []

    def opened(**settings: Any) -> Services:
        one = build(Settings.model_validate({"home": tmp_path, "wallet_passphrase": PASSPHRASE, **settings}))
        one.clock = FakeClock()
        made.append(one)
        return one

    yield opened
    for one in made:
        one.close()


def verdicts(check: Check, services: Services) -> list[tuple[str, str]]:
    """Verdict and text of each finding. Whatever is wrong says what to do."""
    found = list(check(services))
    assert all(bool(one.fix) is (one.verdict != "ok") for one in found)
    return [(one.verdict, one.what) for one in found]


def only(check: Check, services: Services) -> tuple[str, str]:
    (one,) = verdicts(check, services)
    return one


def test_redis_is_well_when_it_answers_is_closed_and_keeps_what_it_has(services: Open, redis: RedisServer) -> None:
    with redis.client() as client:
        client.config_set("appendonly", "yes")
        try:
            verdict, what = only(doctor_stack.queue, services(redis_url=redis.url))
        finally:
            client.config_set("appendonly", "no")
    assert verdict == "ok"
    assert "trades 0, orders 0" in what


def test_a_redis_that_forgets_or_piles_up_is_warned_of(services: Open, redis: RedisServer) -> None:
    with redis.client() as client:
        client.rpush("sniperforge:orders", *["x"] * (doctor_stack.PILED_UP + 1))
    forgets, piles_up, well = verdicts(doctor_stack.queue, services(redis_url=redis.url))
    assert (forgets[0], piles_up[0], well[0]) == ("warn", "warn", "ok")
    assert "forgets everything" in forgets[1]
    assert piles_up[1].endswith(f"orders {doctor_stack.PILED_UP + 1}")


def test_a_redis_without_a_password_is_refused(services: Open, redis: RedisServer) -> None:
    with redis.client() as client:
        client.config_set("requirepass", "")
        try:
            found = verdicts(doctor_stack.queue, services(redis_url=f"redis://127.0.0.1:{redis.port}/0"))
        finally:
            client.config_set("requirepass", PASSWORD)
    assert ("fail", "Redis lets anybody in") in found


def test_a_redis_that_is_away_or_refuses_the_password_says_which(services: Open, redis: RedisServer) -> None:
    for check in (doctor_stack.queue, doctor_stack.workers, doctor_stack.beat):
        with pytest.raises(QueueUnavailableError, match="refuses the password"):
            list(check(services(redis_url=redis.url_with("hunter2"))))
        with pytest.raises(QueueUnavailableError, match="does not answer"):
            list(check(services(redis_url="redis://:hunter2@127.0.0.1:9/0")))


@pytest.mark.parametrize("check", [doctor_stack.queue, doctor_stack.workers, doctor_stack.beat])
def test_without_a_redis_there_is_nothing_to_look_at(services: Open, check: Check) -> None:
    assert verdicts(check, services()) == []


def test_every_queue_needs_a_worker_that_was_heard_lately(services: Open, redis: RedisServer) -> None:
    one = services(redis_url=redis.url)
    silent = only(doctor_stack.workers, one)
    assert silent[0] == "fail"
    assert all(f"{queue} (nobody heard ever)" in silent[1] for queue in Queue)

    with redis.client() as client:
        Canary(client).sing("first@here", list(Queue), START)
        assert only(doctor_stack.workers, one) == ("ok", "1 at work: first@here")
        Canary(client).sing("second@here", [Queue.TRADES], START + timedelta(seconds=31))
    one.clock = FakeClock(START + timedelta(seconds=31))
    gone, there = verdicts(doctor_stack.workers, one)
    assert gone[0] == "fail"
    assert "health (nobody heard for 31 s)" in gone[1]
    assert "trades (" not in gone[1]
    assert there == ("ok", "1 at work: second@here")


def test_beat_runs_when_its_lock_is_held(services: Open, redis: RedisServer) -> None:
    one = services(redis_url=redis.url)
    assert only(doctor_stack.beat, one)[0] == "fail"
    with redis.client() as client:
        client.set("sniperforge:beat::lock", "somebody")
    assert only(doctor_stack.beat, one)[0] == "ok"


def a_plan(name: str, wallet: Address, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "id": PlanId(name),
        "kind": "dca",
        "wallet": wallet,
        "status": PlanState.ACTIVE,
        "config": {},
        "state": {},
        "next_occurrence": 0,
        "next_due_at": START + timedelta(hours=1),
        "catch_up": CatchUp.SKIP,
        "max_lateness_s": 60,
        "created_at": START,
        "updated_at": START,
        **changes,
    }
    return Plan(**given)


def test_active_plans_say_when_they_run_next_and_late_ones_are_warned_of(services: Open) -> None:
    one = services()
    wallet = Address(one.wallets.create("main").address)
    with one.store.write() as books:
        books.wallets.add(WalletRecord(address=wallet, name="main", network="sandbox", created_at=START))
        books.plans.add(a_plan("ahead", wallet))
        books.plans.add(a_plan("late", wallet, next_due_at=START - timedelta(seconds=61)))
        books.plans.add(a_plan("done", wallet, next_due_at=None))
        books.plans.add(a_plan("resting", wallet, status=PlanState.PAUSED))
    assert verdicts(doctor_stack.plans, one) == [
        ("ok", "ahead runs next at 2026-01-01 13:00:00 UTC"),
        ("ok", "done has no further round"),
        ("warn", "late is late: it was due at 2026-01-01 11:58:59 UTC"),
    ]


@pytest.mark.parametrize(("passphrase", "says"), [(None, "no passphrase is set"), ("another passphrase", "passphrase")])
def test_a_plan_whose_wallet_workers_cannot_unlock_is_found(services: Open, passphrase: str | None, says: str) -> None:
    wallet = Address(services().wallets.create("main").address)
    one = services(wallet_passphrase=passphrase)
    with one.store.write() as books:
        books.wallets.add(WalletRecord(address=wallet, name="main", network="sandbox", created_at=START))
        books.plans.add(a_plan("ahead", wallet))
    locked, ahead = verdicts(doctor_stack.plans, one)
    assert locked[0] == "fail"
    assert "wallet main" in locked[1]
    assert says in locked[1]
    assert ahead[0] == "ok"


def test_a_stack_that_runs_was_killed_or_never_started_is_told_apart(services: Open, tmp_path: Path) -> None:
    one = services()
    assert only(doctor_stack.stack, one)[0] == "warn"
    assert only(doctor_stack.stack, services(redis_url="redis://127.0.0.1:9/0"))[0] == "ok"
    left = tmp_path / STACK_NAME
    left.parent.mkdir()
    left.write_text("")
    assert only(doctor_stack.stack, one)[0] == "fail"
    with stack_lock(tmp_path / "run", SystemClock()):
        assert only(doctor_stack.stack, one)[0] == "ok"


def test_what_may_be_spent_is_told(services: Open) -> None:
    assert "sandbox needs none" in only(doctor_stack.limits, services())[1]
    limited = services(network="mainnet", mainnet_opt_in=True, max_spend_per_trade_usd=50, max_spend_per_day_usd=200)
    assert only(doctor_stack.limits, limited)[1] == "entries may spend at most 50 USD per entry and 200 USD in 24 hours"
    assert "nothing is signed" in only(doctor_stack.limits, services(mode="paper"))[1]


@pytest.mark.parametrize(("free_mb", "verdict"), [(1_024, "ok"), (1_023, "warn"), (100, "warn"), (99, "fail")])
def test_little_space_is_warned_of_in_time(free_mb: int, verdict: str) -> None:
    assert doctor_stack.space(free_mb).verdict == verdict


def test_the_home_has_its_free_space_told(services: Open) -> None:
    (found,) = doctor_stack.disk(services())
    assert found.what.endswith("MB are free for the home")


def test_a_clock_that_is_wrong_is_found_by_the_chains(services: Open, tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "chain", slot_ms=20) as sandbox:
        one = services(rpc_urls=sandbox.endpoints.rpc_url)
        now = datetime.now(UTC)  # noqa: TID251 (the sandbox lives by the real clock)
        found = []
        for ahead_s in (0, 30, -30, 90):
            one.clock = FakeClock(now + timedelta(seconds=ahead_s))
            found.append(only(doctor_stack.clock, one))
    assert [verdict for verdict, _ in found] == ["ok", "warn", "warn", "fail"]
    assert "ahead of the chain's" in found[1][1]
    assert "behind the chain's" in found[2][1]
