"""The guide on DCA: every command in it runs as typed, every setting is explained, every example can work."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from sniperforge.strategies.dca import DcaConfig, DcaStrategy
from tests.fakes.sandbox_process import running_sandbox
from tests.fakes.terminal import run_at_terminal, sniperforge
from tests.fakes.user_home import fund, make_home

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "dca.md").read_text(encoding="utf-8")
FILES = re.findall(r"`(\w+\.json)`:\n\n```json\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ sniperforge ").split("#")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]
QUESTIONS = {"strategy-run": [("Start this plan?", "y")], "strategy-stop": [("for good?", "y")]}


def test_the_settings_that_are_explained_are_those_there_are() -> None:
    rows = [line.split("|")[1] for line in GUIDE.split("## Settings")[1].splitlines() if line.startswith("| `")]
    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert explained == set(DcaConfig.model_fields)


def test_what_the_guide_says_of_a_setting_left_out_is_so() -> None:
    defaults = {name: info.default for name, info in DcaConfig.model_fields.items()}
    for name in ("jitter_s", "max_lateness_s", "catch_up"):
        (row,) = re.findall(rf"\| `{name}` \|.*\| `?(\w+)`? \|", GUIDE)
        assert row == str(defaults[name])


def test_every_example_can_work() -> None:
    packaged = sorted((ROOT / "configs" / "strategies").glob("dca*.json"))
    texts = [text for _, text in FILES] + [path.read_text(encoding="utf-8") for path in packaged]
    assert len(texts) >= 2
    for text in texts:
        DcaStrategy().read(json.loads(text))


@pytest.mark.system
def test_every_command_runs_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES:
        (tmp_path / name).write_text(text)
    assert {command.split()[0] for command in COMMANDS} == {
        f"strategy-{what}" for what in ("run", "list", "show", "pause", "resume", "stop")
    }
    with running_sandbox(tmp_path / "sandbox", slot_ms=40, rate_limits=False, crowd=20, scenario="flat") as sandbox:
        home = make_home(sandbox, tmp_path)
        fund(sandbox, home)
        for command in COMMANDS:
            arguments = shlex.split(command)
            done = run_at_terminal(
                sniperforge(*arguments), home.environment, QUESTIONS.get(arguments[0], []), within_s=120
            )
            assert done.status == 0, f"{command}\n{done.text}"
