"""The guides on networks and on mainnet name only what there is: settings, commands, options, files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import typer

from sniperforge.cli.main import app
from sniperforge.config import ENV_PREFIX, Settings, load_settings
from sniperforge.domain.order import OrderKind
from sniperforge.errors import ConfigError

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
TEXTS = {name: (GUIDES / name).read_text(encoding="utf-8") for name in ("networks.md", "mainnet.md")}
MAINNET = TEXTS["mainnet.md"]


def options() -> Mapping[str, set[str]]:
    """The options of every command."""
    commands = typer.main.get_group(app).commands
    return {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in commands.items()
    }


def code(text: str) -> Iterator[str]:
    """Lines of console blocks, and whatever stands between backticks."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_and_option_of_the_guide_exists(name: str) -> None:
    known = options()
    seen = []
    for line in code(TEXTS[name]):
        called = re.match(r"(?:\$ )?sniperforge ([a-z][a-z-]*)(.*)", line)
        if called is None:
            continue
        command, rest = called.groups()
        assert command in known, line
        assert set(re.findall(r"(?<= )--[a-z-]+", rest)) <= known[command], line
        seen.append(command)
    assert len(seen) > 5


@pytest.mark.parametrize("name", TEXTS)
def test_every_setting_of_the_guide_exists(name: str) -> None:
    spans = list(code(TEXTS[name]))
    named = {span.split(" = ")[0] for span in spans if re.fullmatch(r"[a-z]+(_[a-z]+)*(_[a-z]+| = .+)", span)}
    exported = {found for span in spans for found in re.findall(rf"{ENV_PREFIX}([A-Z_]+)", span)} - {"HOME"}

    assert named
    assert named <= set(Settings.model_fields)
    assert {found.lower() for found in exported} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_of_the_guide_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[name]):
        assert (GUIDES / target).exists(), target


def settings_of_the_guide() -> str:
    (block,) = re.findall(r"```toml\n(.*?)```", MAINNET, re.DOTALL)
    return str(block)


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_the_settings_of_the_guide_work_in_both_modes(mode: str, tmp_path: Path) -> None:
    (tmp_path / "sniperforge.toml").write_text(settings_of_the_guide().replace('mode = "paper"', f'mode = "{mode}"'))
    settings = load_settings(home=tmp_path)

    assert (settings.network, settings.mode, len(settings.effective_rpc_urls)) == ("mainnet", mode, 2)


@pytest.mark.parametrize("needed", ["mainnet_opt_in", "max_spend_per_trade_usd", "max_spend_per_day_usd"])
def test_live_mode_on_mainnet_does_not_start_without_what_the_guide_says_is_needed(needed: str, tmp_path: Path) -> None:
    lines = settings_of_the_guide().replace('mode = "paper"', 'mode = "live"').splitlines()
    (tmp_path / "sniperforge.toml").write_text("\n".join(line for line in lines if not line.startswith(needed)))
    with pytest.raises(ConfigError, match="mainnet"):
        load_settings(home=tmp_path)


def test_no_kind_of_order_is_said_not_to_be_built_yet() -> None:
    _, missing = MAINNET.split("## What is not built yet\n")
    said = missing.partition("\n## ")[0]

    named = {kind: re.sub("-", r"[\\s-]+", kind.value) for kind in OrderKind}
    assert [kind.value for kind, words in named.items() if re.search(rf"\b{words}", said, re.IGNORECASE)] == []


def test_the_guide_names_every_setting_that_bounds_what_a_trade_may_cost_or_spend() -> None:
    bounds = {name for name in Settings.model_fields if name.startswith("max_") or name.endswith("_slippage_bps")}

    assert {name for name in bounds if f"`{name}`" not in MAINNET} == set()
