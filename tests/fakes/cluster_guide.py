"""docs/guides/cluster.md, taken apart: what it tells a person to type and to write."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.fakes.compose_file import ROOT


def guide() -> str:
    """The guide."""
    return (ROOT / "docs" / "guides" / "cluster.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Its code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", guide(), re.DOTALL)


def make_secrets(folder: Path) -> Path:
    """Do what it says about secrets, but give them to nobody else; the folder they are in."""
    making, _giving_away = blocks("sh")
    subprocess.run(["/bin/sh", "-euc", making], cwd=folder, check=True, timeout=30)
    return folder / "secrets"


def owners() -> dict[str, str]:
    """Which number it gives each secret to."""
    _, giving_away = blocks("sh")
    found: dict[str, str] = {}
    for line in giving_away.splitlines():
        _, _, owner, *files = line.split()
        found |= {file.removeprefix("secrets/"): owner for file in files}
    return found
