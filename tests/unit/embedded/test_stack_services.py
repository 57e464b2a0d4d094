"""Which services a stack has, and what each of them is given."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from sniperforge.bootstrap import build
from sniperforge.config import Settings, load_settings
from sniperforge.embedded.stack_services import StackPlan, plan_stack, services_of, shown_addresses, workers_of
from sniperforge.embedded.supervisor import ServiceSpec
from sniperforge.errors import ConfigError
from sniperforge.ports.queue import Queue

PASSPHRASE = "correct horse battery"
WORKERS = ["worker-trades", "worker-trades-2", "worker-others"]


class Told(list[str]):
    """What was said."""

    def say(self, text: str, *, warning: bool = False) -> None:
        self.append(f"! {text}" if warning else text)


def planned(home: Path, told: Told | None = None, **given: object) -> tuple[StackPlan, Settings]:
    settings = load_settings(home=home, **given)
    return plan_stack(settings, (Told() if told is None else told).say), settings


def specs_of(plan: StackPlan, settings: Settings, told: Told | None = None) -> dict[str, ServiceSpec]:
    running = settings.model_copy(update={"redis_url": plan.redis.url}) if plan.redis is not None else settings
    specs = services_of(
        plan, build(running), may_work=lambda: True, may_show=lambda: True, say=(Told() if told is None else told).say
    )
    return {spec.name: spec for spec in specs}


def test_a_stack_on_the_sandbox_brings_everything_and_says_where_it_is(tmp_path: Path) -> None:
    plan, settings = planned(tmp_path)
    assert list(specs_of(plan, settings)) == ["redis", "sandbox", *WORKERS, "beat", "flower"]
    found = plan.settings()
    brought = {"redis_url", "rpc_urls", "jupiter_url", "flower_port", "jupiter_plan", "jupiter_api_key"}
    assert set(found) == brought
    rpc = plan.sandbox_url("rpc")
    assert found["rpc_urls"] == [rpc, f"{rpc}/node/b"]


@pytest.mark.parametrize("given", [{"jupiter_plan": "keyless"}, {"jupiter_api_key": "sandbox-free"}])
def test_a_plan_of_jupiter_that_somebody_chose_stays(tmp_path: Path, given: dict[str, Any]) -> None:
    plan, _ = planned(tmp_path, **given)
    assert not {"jupiter_plan", "jupiter_api_key"} & set(plan.settings())


def test_what_the_settings_name_elsewhere_is_not_brought(tmp_path: Path) -> None:
    plan, settings = planned(
        tmp_path, redis_url="redis://:secret@redis:6379/0", rpc_urls="http://node:1", jupiter_url="http://jupiter:2"
    )
    assert list(specs_of(plan, settings)) == [*WORKERS, "beat", "flower"]
    assert set(plan.settings()) == {"flower_port"}


def test_other_networks_have_no_sandbox(tmp_path: Path) -> None:
    plan, settings = planned(tmp_path, network="devnet")
    assert "sandbox" not in specs_of(plan, settings)
    assert "rpc_urls" not in plan.settings()


def test_addresses_are_shown_without_passwords_and_keys(tmp_path: Path) -> None:
    plan, settings = planned(
        tmp_path,
        network="devnet",
        redis_url="redis://:very-secret@redis.example:6379/0",
        rpc_urls="https://rpc.example/v2/my-api-key",
    )
    shown = shown_addresses(plan, settings)
    assert shown["redis"] == "redis.example:6379"
    assert shown["rpc"] == "rpc.example"
    assert "secret" not in str(shown)
    assert "my-api-key" not in str(shown)


def test_only_workers_are_given_the_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNIPERFORGE_WALLET_PASSPHRASE", PASSPHRASE)
    plan, settings = planned(tmp_path)
    given = {
        name for name, spec in specs_of(plan, settings).items() if PASSPHRASE in spec.launch().environment.values()
    }
    assert given == set(WORKERS)


def test_no_secret_is_an_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNIPERFORGE_WALLET_PASSPHRASE", PASSPHRASE)
    plan, settings = planned(tmp_path, flower_password="a password of Flower")
    assert plan.redis is not None
    password = plan.redis.url.get_secret_value().split(":")[2].split("@")[0]
    for spec in specs_of(plan, settings).values():
        line = " ".join(spec.launch().command)
        assert not [secret for secret in (PASSPHRASE, password, "a password of Flower") if secret in line], line


def test_every_child_works_on_this_home(tmp_path: Path) -> None:
    plan, settings = planned(tmp_path)
    for name, spec in specs_of(plan, settings).items():
        assert spec.launch().environment.get("SNIPERFORGE_HOME") == (None if name == "redis" else str(tmp_path))


def test_workers_wait_until_they_may_work_and_flower_waits_for_them(tmp_path: Path) -> None:
    plan, settings = planned(tmp_path)
    assert plan.redis is not None
    services = build(settings.model_copy(update={"redis_url": plan.redis.url}))
    specs = services_of(plan, services, may_work=lambda: False, may_show=lambda: False, say=Told().say)
    assert {spec.name for spec in specs if spec.may_start()} == {"redis", "sandbox"}


def test_beat_and_flower_stop_first_then_workers_then_the_sandbox_then_redis(tmp_path: Path) -> None:
    specs = specs_of(*planned(tmp_path))
    turns = {name: spec.stop_turn for name, spec in specs.items()}
    assert (
        turns["beat"] == turns["flower"] < turns["worker-trades"] == turns["worker-trades-2"] == turns["worker-others"]
    )
    assert turns["worker-trades"] < turns["sandbox"] < turns["redis"]


def test_the_usual_port_of_flower_that_is_taken_is_given_up_for_a_free_one_and_said(tmp_path: Path) -> None:
    told = Told()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        plan, settings = planned(tmp_path)
        plan.flower_port = port  # as if it had been the usual one
        launch = specs_of(plan, settings, told)["flower"].launch()
    assert told == [f"port {port} is taken: Flower listens on {plan.flower_port}"]
    assert plan.flower_port != port
    assert launch.environment["SNIPERFORGE_FLOWER_PORT"] == str(plan.flower_port)


def test_flower_stays_where_it_was_last_time_even_when_the_usual_port_is_free_again(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ports.json").write_text(f'{{"flower": {port}}}')
    told = Told()
    plan, _ = planned(tmp_path, told)
    assert (plan.flower_port, told) == (port, [])


@pytest.mark.parametrize("setting", ["flower_port", "redis_port"])
def test_a_port_that_was_set_and_is_taken_is_refused(tmp_path: Path, setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with pytest.raises(ConfigError, match=f"{setting}: port .* is taken"):
            planned(tmp_path, **{setting: taken.getsockname()[1]})


def test_a_chain_without_its_exchange_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="belong together"):
        planned(tmp_path, jupiter_url="http://jupiter:2")


def test_as_many_workers_carry_trades_as_the_settings_say(tmp_path: Path) -> None:
    plan, settings = planned(tmp_path, trade_workers=1)
    assert [name for name in specs_of(plan, settings) if name.startswith("worker")] == [
        "worker-trades",
        "worker-others",
    ]
    three = settings.model_copy(update={"trade_workers": 3})
    assert workers_of(three)["worker-trades-3"] == (Queue.TRADES,)
    assert Queue.TRADES not in workers_of(three)["worker-others"]
