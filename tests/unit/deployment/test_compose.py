"""docker-compose.yml, held against the code and against itself: what it starts, who sees what, and what is kept."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from sniperforge.config import ENV_PREFIX, Settings
from sniperforge.ports.queue import Queue
from sniperforge.storage.engine import MAX_OVERFLOW, POOL_SIZE
from tests.fakes.compose_file import (
    ROOT,
    SECRETS_AT,
    Compose,
    compose,
    compose_text,
    environment_of,
    parse_command,
    parse_compose,
    secrets_of,
    words_of,
)
from workers.tasks.trades import STAY

FILE = compose()
every_service = pytest.mark.parametrize("name", FILE.services)
every_part_of_ours = pytest.mark.parametrize("name", FILE.ours)
every_lasting_service = pytest.mark.parametrize("name", FILE.lasting)


def queues(words: list[str]) -> set[Queue]:
    _, options = parse_command(words)
    return {Queue(name) for name in options["queues"].split(",")}


def volumes(service: Mapping[str, Any]) -> dict[str, str]:
    return dict(entry.split(":")[:2] for entry in service.get("volumes", []))


def check(service: Mapping[str, Any]) -> list[str]:
    found: list[str] = service["healthcheck"]["test"]
    return found


# Commands, settings and queues are those of the code


@every_part_of_ours
def test_a_command_is_one_of_the_command_line(name: str) -> None:
    parse_command(FILE.ours[name]["command"])


def test_the_parts_of_a_running_system_are_there() -> None:
    commands = sorted(service["command"][0] for service in FILE.lasting.values())
    assert commands == ["beat", "beat", "flower", "postgres", "redis-server", "worker", "worker"]
    assert FILE.services["migrate"]["command"] == ["books-upgrade"]


@every_part_of_ours
def test_a_variable_is_a_setting(name: str) -> None:
    for variable in environment_of(FILE.ours[name]):
        assert variable.startswith(ENV_PREFIX)
        assert variable.removeprefix(ENV_PREFIX).lower() in Settings.model_fields, variable


def test_every_queue_is_consumed_by_one_group_of_workers() -> None:
    consumed = [queue for worker in FILE.workers.values() for queue in queues(worker["command"])]
    assert sorted(consumed) == sorted(Queue)


def test_trades_wait_for_nothing_else() -> None:
    assert {Queue.TRADES} in [queues(worker["command"]) for worker in FILE.workers.values()]


@pytest.mark.parametrize("name", FILE.workers)
def test_the_health_of_a_worker_is_that_of_its_own_queues(name: str) -> None:
    worker = FILE.workers[name]
    how, program, command, *options = check(worker)
    assert (how, program, command) == ("CMD", "sniperforge", "worker-health")
    assert "--end-silent" in options  # Docker starts again what ends, and leaves alone what is only unhealthy
    assert queues([command, *options]) == queues(worker["command"])


@pytest.mark.parametrize("name", FILE.workers)
def test_a_worker_has_time_to_drain(name: str) -> None:
    grace = FILE.workers[name]["stop_grace_period"]
    assert int(grace.removesuffix("s")) >= STAY.total_seconds() + 10


def test_flower_is_asked_where_it_listens_and_published_where_it_is_asked() -> None:
    flower = FILE.services["flower"]
    port = environment_of(flower)["SNIPERFORGE_FLOWER_PORT"]
    assert f"http://127.0.0.1:{port}/healthcheck" in check(flower)[-1]
    (published,) = flower["ports"]
    assert published.endswith(f":{port}")
    _, options = parse_command(flower["command"])
    assert options["address"] == "0.0.0.0"  # noqa: S104 (of its container)


# What is kept, and what comes back


@every_lasting_service
def test_what_lasts_has_a_health_check_that_gives_it_time_to_start(name: str) -> None:
    found = FILE.lasting[name]["healthcheck"]
    assert set(found) == {"test", "interval", "timeout", "retries", "start_period"}


@every_lasting_service
def test_what_lasts_is_started_again_when_it_ends(name: str) -> None:
    assert FILE.lasting[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ["migrate", "cli"])
def test_what_is_done_once_is_not_started_again(name: str) -> None:
    assert FILE.services[name]["restart"] == "no"


def test_the_command_line_runs_only_when_it_is_asked_to() -> None:
    assert FILE.services["cli"]["profiles"] == ["tools"]
    assert [name for name, service in FILE.services.items() if "profiles" in service] == ["cli"]


def test_redis_writes_down_what_it_holds() -> None:
    command = FILE.services["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--dir") + 1] == volumes(FILE.services["redis"])["redis"]


def test_postgres_forgets_no_commit_and_lets_several_workers_in() -> None:
    command = FILE.services["postgres"]["command"]
    options = dict(word.split("=") for word in command if "=" in word)
    assert all(options[name] == "on" for name in ("synchronous_commit", "fsync", "full_page_writes"))
    assert int(options["max_connections"]) >= 2 * len(FILE.workers) * (POOL_SIZE + MAX_OVERFLOW)


def test_every_volume_is_declared_and_used() -> None:
    used = {name for service in FILE.services.values() for name in volumes(service)}
    assert used == set(FILE.parsed["volumes"])


@every_service
def test_whatever_a_service_waits_for_can_come_true(name: str) -> None:
    for other, waits in FILE.services[name].get("depends_on", {}).items():
        target = FILE.services[other]
        assert waits["condition"] in {"service_healthy", "service_completed_successfully"}
        if waits["condition"] == "service_healthy":
            assert "healthcheck" in target
        else:
            assert target["restart"] == "no"


@pytest.mark.parametrize("name", FILE.workers)
def test_a_worker_waits_for_its_stores_and_for_the_tables(name: str) -> None:
    assert set(FILE.workers[name]["depends_on"]) == {"redis", "postgres", "migrate"}


@every_part_of_ours
def test_a_part_waits_for_the_stores_it_has_an_address_of(name: str) -> None:
    service = FILE.ours[name]
    for secret, store in {"redis_url": "redis", "database_url": "postgres"}.items():
        assert (secret in secrets_of(service)) == (store in service["depends_on"])


# Secrets


@every_service
def test_a_service_is_given_the_secrets_it_names_and_no_others(name: str) -> None:
    service = FILE.services[name]
    named = set(re.findall(rf"{SECRETS_AT}(\w+)", " ".join(words_of(service))))
    assert named == set(secrets_of(service))


def test_every_secret_is_a_file_that_somebody_needs() -> None:
    declared = FILE.parsed["secrets"]
    assert declared == {name: {"file": f"./secrets/{name}"} for name in declared}
    assert set(declared) == {name for service in FILE.services.values() for name in secrets_of(service)}


@every_part_of_ours
def test_a_setting_is_read_from_the_secret_of_its_name(name: str) -> None:
    for variable, value in environment_of(FILE.ours[name]).items():
        if SECRETS_AT in value:
            assert variable == f"{ENV_PREFIX}{value.removeprefix(SECRETS_AT).upper()}_FILE"


@every_service
def test_no_secret_stands_in_an_environment_or_on_a_command_line(name: str) -> None:
    service = FILE.services[name]
    secret = {
        f"{ENV_PREFIX}{field.upper()}"
        for field, info in Settings.model_fields.items()
        if info.annotation == SecretStr | None
    }
    assert f"{ENV_PREFIX}REDIS_URL" in secret
    environment = environment_of(service)
    assert not secret & set(environment)
    for variable, value in environment.items():
        if re.search(r"PASS|SECRET|KEY|TOKEN|URL", variable):
            assert variable.endswith("_FILE")
            assert value.startswith(SECRETS_AT)
    for word in [*service["command"], *environment.values()]:
        assert not re.search(r"://[^/]*@|^--requirepass|^--pass|^-a$", word), word


def test_nothing_is_filled_in_by_whoever_starts_it_but_a_port() -> None:
    assert set(re.findall(r"(?<!\$)\$\{?(\w+)", compose_text())) == {"FLOWER_PORT"}


def test_only_what_trades_and_the_operator_can_open_the_wallets() -> None:
    openers = {name for name, service in FILE.services.items() if "wallet_passphrase" in secrets_of(service)}
    assert openers == {"worker-trades", "cli"}
    assert {name for name, service in FILE.services.items() if "home" in volumes(service)} == {*FILE.workers, "cli"}


@pytest.mark.parametrize("name", FILE.ours)
def test_a_part_writes_into_the_home_of_the_image_and_into_memory_only(name: str) -> None:
    service = FILE.ours[name]
    home = "/var/lib/sniperforge"
    kept, forgotten = volumes(service), [entry.split(":")[0] for entry in service["tmpfs"]]
    assert [*kept.values(), *forgotten].count(home) == 1
    assert "/tmp" in forgotten


def test_without_a_key_of_jupiter_the_lines_that_name_it_can_be_left_out() -> None:
    left = "\n".join(line for line in compose_text().splitlines() if not _names_the_key(line))
    found = parse_compose(left)
    assert set(FILE.parsed["secrets"]) - set(found.parsed["secrets"]) == {"jupiter_api_key"}
    assert _without_the_key(FILE) == found.parsed["services"]


def _names_the_key(line: str) -> bool:
    return "jupiter_api_key" in line


def _without_the_key(file: Compose) -> dict[str, Any]:
    services = {}
    for name, service in file.services.items():
        left = dict(service)
        if "secrets" in service:
            left["secrets"] = [secret for secret in service["secrets"] if secret != "jupiter_api_key"]
        if "environment" in service:
            left["environment"] = {k: v for k, v in service["environment"].items() if not _names_the_key(v)}
        services[name] = left
    return services


# Who can reach whom, and who may do what


def test_only_flower_can_be_reached_from_outside_and_from_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in FILE.services.items() if "ports" in service}
    assert list(published) == ["flower"]
    assert all(port.startswith("127.0.0.1:") for port in published["flower"])


@every_service
def test_a_service_meets_what_it_talks_to(name: str) -> None:
    service = FILE.services[name]
    for secret, store in {"redis_url": "redis", "database_url": "postgres"}.items():
        meets = set(service["networks"]) & set(FILE.services[store]["networks"])
        assert bool(meets) == (secret in secrets_of(service) or name == store)


def test_stores_have_no_way_out_and_parts_only_where_they_need_one() -> None:
    networks = FILE.parsed["networks"]
    closed = {name for name, network in networks.items() if network and network.get("internal")}
    open_ = {name: set(service["networks"]) - closed for name, service in FILE.services.items()}
    assert set().union(*(set(service["networks"]) for service in FILE.services.values())) == set(networks)
    needed = {name for name, ways in open_.items() if ways}
    assert needed == {*FILE.workers, "cli", "flower"}


@every_service
def test_no_service_is_root_gains_rights_or_writes_to_its_image(name: str) -> None:
    service = FILE.services[name]
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "network_mode", "devices"} & set(service)


@every_service
def test_an_image_is_named_by_its_version(name: str) -> None:
    _, _, tag = FILE.services[name]["image"].partition(":")
    assert re.match(r"\d+(\.\d+)*(-\w+)?$", tag), tag


@every_part_of_ours
def test_our_image_is_of_this_version_and_built_from_here(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    service = FILE.ours[name]
    assert (service["image"], service["build"]) == (f"sniperforge:{version}", ".")
    assert (service["init"], service["env_file"]) == (True, "cluster.env")


def test_two_beats_differ_in_their_names_only() -> None:
    assert FILE.services["beat"] == FILE.services["beat-standby"]


@every_service
def test_a_log_does_not_fill_the_disk(name: str) -> None:
    assert set(FILE.services[name]["logging"]["options"]) == {"max-size", "max-file"}
