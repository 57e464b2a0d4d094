"""The guide's diagrams are the transition tables, and it explains every step and every command there is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from sniperforge.domain.intent import ATTEMPT_TRANSITIONS, INTENT_TRANSITIONS
from sniperforge.trading.progress import Step

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "life-of-a-trade.md").read_text(encoding="utf-8")


def drawn(table: Mapping[tuple[object, object], str]) -> list[str]:
    """A transition table as Mermaid; a label may hold neither colon nor semicolon."""
    return [
        f"{before.name} --> {after.name} : {meaning.replace(': ', ', ').replace('; ', ', ')}"  # type: ignore[attr-defined]
        for (before, after), meaning in table.items()
    ]


@pytest.mark.parametrize(("heading", "table"), [("Intent", INTENT_TRANSITIONS), ("Attempt", ATTEMPT_TRANSITIONS)])
def test_a_diagram_is_its_table(heading: str, table: Mapping[tuple[object, object], str]) -> None:
    found = re.search(rf"### {heading}\n\n```mermaid\nstateDiagram-v2\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    assert [line.strip() for line in found.group(1).splitlines()] == drawn(table)


@pytest.mark.parametrize("step", list(Step))
def test_every_step_is_explained(step: Step) -> None:
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `")]
    assert any(f"`{step.value}`" in row.split("|")[1] for row in rows)
