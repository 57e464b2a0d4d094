"""Planting a known bug into a copy of the tree, and seeing which test finds it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHIN_S = 400
EXECUTOR = "sniperforge/trading/trade_executor.py"
DECISIONS = "sniperforge/trading/decisions.py"
SETTLEMENT = "sniperforge/trading/settlement.py"
MORTALITY = "sniperforge/trading/mortality.py"
PREPARATION = "sniperforge/trading/preparation.py"
RECOVERY = "sniperforge/trading/recovery.py"
ATTRIBUTION = "sniperforge/trading/attribution.py"
SWEEP = "sniperforge/trading/sweep.py"
GUARD = "sniperforge/trading/transaction_guard.py"
STATES = "sniperforge/domain/intent.py"


@dataclass(frozen=True)
class Change:
    """`old` becomes `new`, once, in a file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Planted:
    """One bug, and the tests among which one must fail (an expression for `pytest -k`)."""

    name: str
    changes: tuple[Change, ...]
    tests: str


def rule_out(rule: str, what: str, *changes: Change) -> Planted:
    """A rule without which the tests of its name must fail."""
    return Planted(f"{rule}: {what}", changes, rule.replace("-", "_").replace(" ", "_"))


def legal(transition: str) -> Change:
    """One more transition of attempts, e.g. `EXPIRED, CONFIRMED`: the table would refuse the bug by itself."""
    before, after = transition.split(", ")
    anchor = "        (AttemptState.SENT, AttemptState.CONFIRMED):"
    return Change(STATES, anchor, f'        (AttemptState.{before}, AttemptState.{after}): "planted",\n{anchor}')


def found_by(bug: Planted, suite: Sequence[str]) -> str | None:
    """The test of a suite (files and folders) that fails with this bug in the tree, and what it said; or None.

    Raises:
        LookupError: A change does not apply any more, or the tests did not run.
    """
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder)
        for part in ("sniperforge", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        for change in bug.changes:
            _apply(copy / change.file, change)
        # A bug may also keep trades from ever settling, which some tests only notice when their patience ends.
        run = subprocess.run(
            [sys.executable, "-m", "pytest", *suite, "-x", "-q", "-p", "no:cacheprovider", "-k", bug.tests],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    failed = re.search(r"^FAILED \S+::(\S+)", run.stdout, re.MULTILINE)
    if run.returncode not in (0, 1) or (run.returncode == 1 and failed is None):
        raise LookupError(f"{bug.name}: the tests did not run:\n{run.stdout}{run.stderr}")
    said = re.search(r"^E +(?:AssertionError: |assert )?(.*)", run.stdout, re.MULTILINE)
    return f"{failed[1]}: {said[1][:160] if said else ''}" if failed else None


def plant_all(bugs: Sequence[Planted], suite: Sequence[str], names: Sequence[str]) -> int:
    """Plant the bugs whose names hold one of `names`, or all, and tell of each; returns the exit code."""
    missed = []
    for bug in bugs:
        if names and not any(name in bug.name for name in names):
            continue
        began = time.monotonic()
        found = found_by(bug, suite)
        if found is None:
            missed.append(bug.name)
        print(f"{bug.name}: {found or 'NOT FOUND'} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"not found: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


def _apply(path: Path, change: Change) -> None:
    text = path.read_text()
    if text.count(change.old) != 1:
        raise LookupError(f"{change.file} holds {text.count(change.old)} times:\n{change.old}")
    path.write_text(text.replace(change.old, change.new))
