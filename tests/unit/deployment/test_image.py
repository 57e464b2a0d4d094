"""Dockerfile, .dockerignore and the lock files: what the image is made of, and what cannot get into it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import PurePosixPath

import pytest

from tests.fakes.compose_file import ROOT, compose

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: Mapping[str, list[str]] = PROJECT["optional-dependencies"]


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def of(word: str) -> list[str]:
    return [rest for first, rest in instructions() if first == word]


def installs() -> list[str]:
    return [
        part.strip() for run in of("RUN") for part in run.split("&&") if re.search(r"\bpip\b.* (install|wheel)", part)
    ]


def locked(name: str) -> dict[str, str]:
    """Requirements of a lock file, each `name==version ; marker` with its hashes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.strip().startswith("#")).replace("\\\n", " ")
    entries = [line.partition(" --hash") for line in lines.splitlines()]
    return {head.strip(): first + hashes for head, first, hashes in entries}


def names(requirements: Iterable[str]) -> set[str]:
    found = [re.match(r"[A-Za-z0-9._-]+", one) for one in requirements]
    return {re.sub(r"[._-]+", "-", name.group()).lower() for name in found if name is not None}


# The image


def test_the_image_runs_as_nobody_in_particular_with_the_number_that_compose_knows() -> None:
    (user,) = of("USER")
    uid, gid = user.split(":")
    assert int(uid) > 0
    making = " ".join(of("RUN"))
    assert f"useradd --uid {uid} --gid {gid} " in making
    assert f"install --directory --owner {uid} --group {gid} --mode 0700 /var/lib/sniperforge" in making
    assert {service["user"] for service in compose().ours.values()} == {user}


def test_the_home_is_a_volume_and_the_command_line_the_entry() -> None:
    (environment,) = [line for line in of("ENV") if "SNIPERFORGE_HOME" in line]
    assert "SNIPERFORGE_HOME=/var/lib/sniperforge" in environment
    assert "PATH=/opt/sniperforge/bin:$PATH" in environment
    assert of("VOLUME") == of("WORKDIR")[-1:] == ["/var/lib/sniperforge"]
    assert of("ENTRYPOINT") == ['["sniperforge"]']
    assert of("STOPSIGNAL") == ["SIGTERM"]
    assert of("HEALTHCHECK") == []


def test_both_stages_stand_on_the_same_python() -> None:
    images = [line.split(" AS ")[0] for line in of("FROM")]
    assert len(images) == 2
    assert set(images) == {"python:3.11-slim-bookworm"}
    assert PROJECT["requires-python"] == ">=3.11"


def test_the_image_is_built_in_another_stage_than_it_runs_in() -> None:
    last = max(position for position, (word, _) in enumerate(instructions()) if word == "FROM")
    assert [rest for word, rest in instructions()[last:] if word == "COPY"] == [
        "--from=build /opt/sniperforge /opt/sniperforge"
    ]
    assert not any("pip" in rest for word, rest in instructions()[last:] if word == "RUN")


def test_everything_that_is_fetched_is_held_against_its_hash() -> None:
    fetching = [command for command in installs() if "--no-index" not in command]
    files = [re.search(r"-r (\S+)$", command) for command in fetching]
    assert [found and found.group(1) for found in files] == [
        "requirements-production.lock",
        "tools/build-requirements.lock",
    ]
    assert all("--require-hashes --only-binary :all:" in command for command in fetching)


def test_our_own_wheel_is_made_and_installed_without_fetching_anything() -> None:
    ours = [command for command in installs() if "--no-index" in command]
    assert len(ours) == 2
    assert all("--no-deps" in command for command in ours)
    assert "--no-build-isolation" in ours[0]


@pytest.mark.parametrize("name", ["Dockerfile", "docker-compose.yml", "requirements-production.lock"])
def test_no_address_of_a_package_index_stands_anywhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"index-url|trusted-host|find-links|https://|file://", text)


# What reaches the builder


def sources() -> list[str]:
    copies = [line.split() for line in of("COPY") if not line.startswith("--from")]
    return [source for words in copies for source in words[:-1]]


def reaches_the_builder(path: str) -> bool:
    """Docker's rule: the last line that matches the path, or a folder above it, decides."""
    reaches = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        inside = [path, *map(str, PurePosixPath(path).parents)]
        parts = PurePosixPath(path).parts if "**/" in line else inside
        if any(fnmatch(part, pattern) for part in parts):
            reaches = line.startswith("!")
    return reaches


@pytest.mark.parametrize("source", sources())
def test_whatever_is_copied_is_there_and_reaches_the_builder(source: str) -> None:
    assert (ROOT / source).exists()
    assert reaches_the_builder(source)


@pytest.mark.parametrize(
    "path",
    [
        "secrets/redis_url",
        "cluster.env",
        ".git/config",
        ".venv/bin/python",
        ".env",
        "tests/conftest.py",
        "tools/generate_docs.py",
        "id.json",
        "sniperforge/__pycache__/config.cpython-311.pyc",
    ],
)
def test_nothing_else_reaches_the_builder(path: str) -> None:
    assert not reaches_the_builder(path)


def test_secrets_and_settings_of_a_cluster_are_not_committed_by_mistake() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/secrets/", "/cluster.env"} <= set(ignored)


# The lock files


@pytest.mark.parametrize("name", ["requirements-production.lock", "tools/build-requirements.lock"])
def test_a_smaller_lock_holds_what_the_tests_ran_with_to_the_hash(name: str) -> None:
    whole, part = locked("requirements.lock"), locked(name)
    assert part
    assert {one: hashes.split() for one, hashes in part.items()} == {one: whole[one].split() for one in part}
    assert all("--hash=sha256:" in hashes for hashes in part.values())


def test_the_image_gets_every_dependency_and_the_driver_of_the_books() -> None:
    assert names([*PROJECT["dependencies"], *EXTRAS["postgres"]]) <= names(locked("requirements-production.lock"))


def test_the_image_gets_no_sandbox_and_no_tools_of_development() -> None:
    wanted = names([*PROJECT["dependencies"], *EXTRAS["postgres"]])
    unwanted = names([*EXTRAS["sandbox"], *EXTRAS["dev"], *EXTRAS["program"]]) - wanted
    assert {"starlette", "uvicorn", "pytest", "ziglang"} <= unwanted
    assert not unwanted & names(locked("requirements-production.lock"))


def test_the_wheel_is_built_with_what_the_project_asks_for() -> None:
    system = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    asked = (ROOT / "tools" / "build-requirements.in").read_text(encoding="utf-8").split()
    assert sorted(asked) == sorted(system)
    assert names(system) <= names(locked("tools/build-requirements.lock"))
