"""The demo as typed: its last line, its data and its status say the same, and that is what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from sniperforge.embedded.demo_report import LEAST_BUYS
from tests.fakes.stores import Database


@pytest.mark.system
def test_the_demo_lands_every_trade_once_whatever_is_hurt(tmp_path: Path, books: Database) -> None:
    if books != "sqlite":
        pytest.skip("the demo makes its home itself and takes no settings from outside")
    data, picture = tmp_path / "demo.json", tmp_path / "demo.svg"
    ended = subprocess.run(
        [sys.executable, "-m", "sniperforge.cli.main", "demo", "--json", str(data), "--svg", str(picture)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    shown = json.loads(data.read_text())
    assert shown["ok"] is True
    assert shown["problems"] == []
    assert sum(1 for one in shown["trades"] if one["what"].startswith("round")) >= LEAST_BUYS
    assert len([one for one in shown["trades"] if one["what"] == "one-off"]) == 4
    assert all(one["is_final"] and one["state"] == "filled" for one in shown["trades"])
    assert [(one["kind"], one["leg"], one["state"]) for one in shown["orders"]] == [
        ("stop-loss", "main", "filled"),
        ("trailing-stop", "main", "filled"),
        ("oco", "stop", "cancelled"),
        ("oco", "take", "filled"),
        ("bracket", "entry", "filled"),
        ("bracket", "stop", "filled"),
        ("bracket", "take", "cancelled"),
    ]
    assert all(bool(one["trades"]) == (one["state"] == "filled") for one in shown["orders"])
    assert Decimal(shown["orders"][1]["followed"]) > Decimal("0.02")
    assert len(shown["hurts"]) == 5
    assert all(one["healed"] for one in shown["hurts"])
    assert {one["asset"] for one in shown["balances"]} >= {"USDC", "SOL (native)"}
    assert all(one["books_raw"] == one["chain_raw"] for one in shown["balances"])
    assert shown["broken"] == []
    assert all(shown["searched"][when] > 0 for when in ("while it ran", "at rest"))
    assert "I1-I7 held against the chain" in ended.stdout
    assert "I8 held" in ended.stdout
    assert "<svg" in picture.read_text()
    assert "://" not in picture.read_text().replace("http://www.w3.org/2000/svg", "").replace(
        "https://www.textualize.io", ""
    )
    assert "books = chain" in ended.stdout


def test_a_folder_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "sniperforge.cli.main", "demo", "--json", str(tmp_path / "none" / "demo.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "there is no such folder" in ended.stderr
