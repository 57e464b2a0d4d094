"""What a running stack writes into `run/` of its home, so that commands find it.

`stack.toml` is a source of settings: addresses of what the stack brought with it. `services.json` tells what runs.
Both are removed when the stack stops; after a crash they are stale, which the stack's lock tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from sniperforge.config import STACK_NAME
from sniperforge.embedded.private_files import write_private
from sniperforge.embedded.supervisor import ServiceState, ServiceStatus
from sniperforge.errors import ConfigError

SERVICES_NAME = "services.json"


class Phase(StrEnum):
    """How far a stack is."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class StackReport:
    """A stack at one moment.

    Attributes:
        pid: Its supervisor.
        services: In the order in which they start.
        addresses: Where they listen, by name, without passwords.
    """

    pid: int
    phase: Phase
    services: tuple[ServiceStatus, ...]
    addresses: Mapping[str, str]


def write_settings(home: Path, values: Mapping[str, str | int | Sequence[str]]) -> None:
    """Write the settings that commands and children of this stack find."""
    # JSON's strings, numbers and lists are TOML's.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    write_private(
        home / STACK_NAME, "\n".join(["# Written by `sniperforge up`, removed when it stops.", *lines]) + "\n"
    )


def remove_settings(home: Path) -> None:
    """Take those settings back."""
    (home / STACK_NAME).unlink(missing_ok=True)


def write_report(run_dir: Path, report: StackReport) -> None:
    """Tell other processes what runs."""
    write_private(run_dir / SERVICES_NAME, json.dumps(asdict(report), indent=2) + "\n")


def remove_report(run_dir: Path) -> None:
    """Nothing runs any more."""
    (run_dir / SERVICES_NAME).unlink(missing_ok=True)


def read_report(run_dir: Path) -> StackReport | None:
    """What the stack wrote last, None if it wrote nothing yet. Whether it still runs, its lock tells.

    Raises:
        ConfigError: The file is damaged.
    """
    path = run_dir / SERVICES_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        services = tuple(ServiceStatus(**one | {"state": ServiceState(one["state"])}) for one in values["services"])
        return StackReport(values["pid"], Phase(values["phase"]), services, values["addresses"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"cannot be read: {error}", subject=str(path), fix="Stop the stack and start it again"
        ) from None
