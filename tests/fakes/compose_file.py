"""docker-compose.yml as Docker would read it, and the command line as Typer would parse it. There is no Docker here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer
import yaml
from typer.core import TyperGroup

from sniperforge.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
SECRETS_AT = "/run/secrets/"
OURS = "sniperforge"


@dataclass(frozen=True)
class Compose:
    """The file, merged and parsed."""

    parsed: Mapping[str, Any]

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """Every service by name."""
        found: Mapping[str, Mapping[str, Any]] = self.parsed["services"]
        return found

    @property
    def ours(self) -> Mapping[str, Mapping[str, Any]]:
        """Those that run our image."""
        return {name: one for name, one in self.services.items() if one["image"].startswith(f"{OURS}:")}

    @property
    def workers(self) -> Mapping[str, Mapping[str, Any]]:
        """Those that run `sniperforge worker`."""
        return {name: one for name, one in self.ours.items() if one["command"][0] == "worker"}

    @property
    def lasting(self) -> Mapping[str, Mapping[str, Any]]:
        """Those that run for ever; the others do one thing and end."""
        return {name: one for name, one in self.services.items() if name not in {"migrate", "cli"}}


def parse_compose(text: str) -> Compose:
    """What the text says."""
    return Compose(yaml.safe_load(text))


def compose_text() -> str:
    """The file itself."""
    return (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


@cache
def compose() -> Compose:
    """The file as it stands."""
    return parse_compose(compose_text())


def environment_of(service: Mapping[str, Any]) -> Mapping[str, str]:
    """What the file itself sets; `cluster.env` adds to it."""
    found: Mapping[str, str] = service.get("environment", {})
    return found


def secrets_of(service: Mapping[str, Any]) -> Sequence[str]:
    """The names of the secrets it is given."""
    found: Sequence[str] = service.get("secrets", [])
    return found


def words_of(service: Mapping[str, Any]) -> list[str]:
    """Every word of its command, of its health check and of its environment."""
    return [
        *service.get("command", []),
        *service.get("healthcheck", {}).get("test", []),
        *environment_of(service).keys(),
        *environment_of(service).values(),
    ]


def parse_command(words: Sequence[str]) -> tuple[str, Mapping[str, Any]]:
    """The name of a `sniperforge` command and its options' values.

    Raises:
        typer.exceptions.TyperException: There is no such command or option, or a value is none.
    """
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    context = group.make_context(OURS, list(words))
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    assert name is not None
    assert command is not None
    with command.make_context(name, rest, parent=context) as parsed:
        return name, dict(parsed.params)
