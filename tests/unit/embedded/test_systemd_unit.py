"""The unit file in the docs, held against the code it starts."""

from __future__ import annotations

from pathlib import Path

from sniperforge.bootstrap import build
from sniperforge.cli.main import app
from sniperforge.config import Settings, load_settings
from sniperforge.embedded.stack_services import plan_stack, services_of

UNIT = Path(__file__).parents[3] / "docs" / "systemd" / "sniperforge.service"


def _lines(section: str, name: str) -> list[str]:
    found: list[tuple[str, str]] = []
    current = ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif "=" in line and not line.startswith("#") and current == section:
            found.append(tuple(line.split("=", 1)))  # type: ignore[arg-type]
    return [value for key, value in found if key == name]


def test_it_sets_settings_that_exist_and_starts_a_command_that_exists() -> None:
    names = [line.split("=")[0].removeprefix("SNIPERFORGE_").lower() for line in _lines("Service", "Environment")]
    assert set(names) == {"home", "wallet_passphrase_file"}
    assert set(names) <= set(Settings.model_fields)
    commands = {command.name for command in app.registered_commands}
    assert _lines("Service", "ExecStart")[0].split()[1:] == ["up"]
    assert "up" in commands


def test_only_the_supervisor_is_asked_to_stop_and_it_gets_the_time_that_a_slow_stop_takes(tmp_path: Path) -> None:
    told: list[str] = []

    def say(text: str, *, warning: bool = False) -> None:
        told.append(text)

    plan = plan_stack(load_settings(home=tmp_path), say)
    settings = load_settings(home=tmp_path, redis_url=plan.settings()["redis_url"])
    specs = services_of(plan, build(settings), may_work=lambda: True, may_show=lambda: True, say=say)
    slowest_s = sum(
        max(spec.grace_s for spec in specs if spec.stop_turn == turn) for turn in {s.stop_turn for s in specs}
    )
    assert _lines("Service", "KillMode") == ["mixed"]
    assert slowest_s < int(_lines("Service", "TimeoutStopSec")[0])
