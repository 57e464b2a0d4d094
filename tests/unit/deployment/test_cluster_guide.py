"""The guide of clusters: what it tells a person to type works, and fits docker-compose.yml."""

from __future__ import annotations

import os
import re
import shlex
import stat
from pathlib import Path

import pytest

from sniperforge.config import ENV_PREFIX, Settings, load_settings
from tests.fakes.cluster_guide import blocks, guide, make_secrets, owners
from tests.fakes.compose_file import SECRETS_AT, compose, environment_of, parse_command, secrets_of

TYPED = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SNIPERFORGE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("line", sorted({line for line in TYPED if " run " in line}))
def test_what_is_run_by_hand_is_a_command(line: str) -> None:
    docker, compose_, run, remove, service, *command = shlex.split(line)
    assert (docker, compose_, run, remove, service) == ("docker", "compose", "run", "--rm", "cli")
    parse_command(command)


def test_what_is_asked_of_docker_names_services_that_there_are() -> None:
    others = [line for line in TYPED if " run " not in line]
    named = {word for line in others for word in shlex.split(line) if word in compose().services}
    assert named == {"worker-trades", "worker-others", "postgres"}
    assert all(line.startswith("docker compose ") for line in others)
    assert not set(re.findall(r"\b(?:worker|beat)-\w+", " ".join(TYPED))) - set(compose().services)


def test_every_service_is_explained() -> None:
    rows = [row.split("|")[1] for row in guide().splitlines() if row.startswith("| `")]
    assert set(re.findall(r"`([^`]+)`", " ".join(rows))) >= set(compose().services)


def test_the_settings_to_begin_with_can_work_and_trade_on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    (lines,) = blocks("ini")
    for line in lines.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    settings = load_settings()
    assert (settings.network, settings.mode) == ("mainnet", "paper")
    assert "KEY" not in lines


def test_the_secrets_it_makes_are_those_that_are_needed(tmp_path: Path) -> None:
    made = {path.name for path in make_secrets(tmp_path).iterdir()}
    assert made | {"jupiter_api_key"} == set(compose().parsed["secrets"])
    assert "`secrets/jupiter_api_key`" in guide()


def test_the_secrets_it_makes_are_private_and_never_the_same(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here, there = make_secrets(tmp_path), make_secrets(tmp_path / "other")
    for path in here.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() != (there / path.name).read_text()
        assert re.search(r"(?<![\w-])[\w-]{32}(?![\w-])", path.read_text())


def test_both_ends_have_the_same_password_and_stand_where_the_address_says(tmp_path: Path) -> None:
    secrets = make_secrets(tmp_path)
    text = {path.name: path.read_text().strip() for path in secrets.iterdir()}
    password = text["redis_conf"].removeprefix("requirepass ")
    assert text["redis_url"] == f"redis://:{password}@redis:6379/0"
    assert text["database_url"] == f"postgresql://sniperforge:{text['postgres_password']}@postgres/sniperforge"
    postgres = environment_of(compose().services["postgres"])
    assert {postgres["POSTGRES_USER"], postgres["POSTGRES_DB"]} == {"sniperforge"}
    assert {"redis", "postgres"} <= set(compose().services)


@pytest.mark.parametrize("name", compose().ours)
def test_a_part_reads_its_settings_from_the_secrets_it_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    secrets = make_secrets(tmp_path)
    (secrets / "jupiter_api_key").write_text("KEY-OF-JUPITER\n")
    (secrets / "jupiter_api_key").chmod(0o600)
    for variable, value in environment_of(compose().ours[name]).items():
        monkeypatch.setenv(variable, value.replace(SECRETS_AT, f"{secrets}/"))
    settings = load_settings()
    given = secrets_of(compose().ours[name])
    for field in ("redis_url", "database_url", "jupiter_api_key"):
        value = getattr(settings, field)
        assert (value is not None) == (field in given)
        if value is not None:
            assert value.get_secret_value() == (secrets / field).read_text().strip()


def test_every_secret_belongs_to_the_number_that_reads_it() -> None:
    assert set(owners()) == set(compose().parsed["secrets"])
    for name, service in compose().services.items():
        for secret in secrets_of(service):
            assert owners()[secret] == service["user"], (name, secret)


def test_the_connections_it_speaks_of_are_those_that_there_are() -> None:
    found = re.search(r"PostgreSQL takes (\d+)", guide())
    assert found is not None
    assert f"max_connections={found.group(1)}" in compose().services["postgres"]["command"]


def test_every_setting_it_speaks_of_is_one() -> None:
    for name in re.findall(rf"{ENV_PREFIX}(\w+)", guide()):
        assert name.lower() in Settings.model_fields, name
