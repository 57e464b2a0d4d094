"""Planting a known bug into a copy of the tree, and seeing which test finds it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
RESTORED = "sniperforge/trading/restored_books.py"
CONTROLS = "sniperforge/trading/controls.py"
ATTRIBUTION = "sniperforge/trading/attribution.py"
SWEEP = "sniperforge/trading/sweep.py"
PAPER = "sniperforge/trading/paper_executor.py"
ORDER_ARMING = "sniperforge/trading/order_arming.py"
ORDER_CHANGES = "sniperforge/trading/order_changes.py"
ORDER_DESK = "sniperforge/trading/order_desk.py"
ORDER_FIRING = "sniperforge/trading/order_firing.py"
ORDER_LEGS = "sniperforge/trading/order_legs.py"
ORDER_LIFE = "sniperforge/trading/order_life.py"
ORDER_MANAGER = "sniperforge/trading/order_manager.py"
ORDER_MARKET = "sniperforge/trading/order_market.py"
PRICE_WATCH = "sniperforge/trading/price_watch.py"
TRAILING = "sniperforge/storage/repositories/triggers_trailing.py"
GUARD = "sniperforge/trading/transaction_guard.py"
STATES = "sniperforge/domain/intent.py"
TRIGGER = "sniperforge/domain/trigger.py"
PLANS = "sniperforge/trading/strategy_executor.py"
QUEUE = "sniperforge/shared/queue.py"
SWEEPING = "workers/tasks/trades.py"
LOOKING = "workers/tasks/orders.py"
CONTEXT = "workers/context.py"
BEAT = "workers/scheduler.py"


@dataclass(frozen=True)
class Change:
    """`old` becomes `new`, once, in a file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Planted:
    """One bug, and the tests among which one must fail (an expression for `pytest -k`).

    Attributes:
        seeds: Those of the driver in which what it needs happens; by default the first few.
    """

    name: str
    changes: tuple[Change, ...]
    tests: str
    seeds: tuple[int, ...] = ()


def rule_out(rule: str, what: str, *changes: Change) -> Planted:
    """A rule without which the tests of its name must fail."""
    return Planted(f"{rule}: {what}", changes, rule.replace("-", "_").replace(" ", "_"))


def order_rule(what: str, test: str, *changes: Change) -> Planted:
    """A rule of orders without which the test of this name must fail."""
    return Planted(f"orders: {what}", changes, test)


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
    with _planted(bug) as copy:
        # A bug may also keep trades from ever settling, which some tests only notice when their patience ends.
        run = _run(copy, "pytest", *suite, "-x", "-q", "-p", "no:cacheprovider", "-k", bug.tests)
    failed = re.search(r"^FAILED \S+::(\S+)", run.stdout, re.MULTILINE)
    if run.returncode not in (0, 1) or (run.returncode == 1 and failed is None):
        raise LookupError(f"{bug.name}: the tests did not run:\n{run.stdout}{run.stderr}")
    said = re.search(r"^E +(?:AssertionError: |assert )?(.*)", run.stdout, re.MULTILINE)
    return f"{failed[1]}: {said[1][:160] if said else ''}" if failed else None


def found_by_seeds(bug: Planted, seeds: int, *crew: str) -> str | None:
    """What the driver finds with this bug in the tree, within so many seeds of this crew (`--system`); or None.

    Raises:
        LookupError: A change does not apply any more, or the driver did not run.
    """
    with _planted(bug) as copy:
        for seed in bug.seeds or range(1, seeds + 1):
            run = _run(copy, "tests.faults.driver", *crew, "--first", str(seed))
            if run.returncode == 1 and (violated := re.search(r"VIOLATED.*\n +(.*)", run.stdout)):
                return f"seed {seed}: {violated[1][:160]}"
            if run.returncode != 0:
                raise LookupError(f"{bug.name}: the driver did not run:\n{run.stdout}{run.stderr}")
    return None


def plant_all(bugs: Sequence[Planted], look: Callable[[Planted], str | None], names: Sequence[str]) -> int:
    """Plant the bugs whose names hold one of `names`, or all, and tell of each; returns the exit code."""
    missed = []
    for bug in bugs:
        if names and not any(name in bug.name for name in names):
            continue
        began = time.monotonic()
        found = look(bug)
        if found is None:
            missed.append(bug.name)
        print(f"{bug.name}: {found or 'NOT FOUND'} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"not found: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


@contextmanager
def _planted(bug: Planted) -> Iterator[Path]:
    """A copy of the tree with the bug in it."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder)
        for part in ("sniperforge", "workers", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "beat_schedule.py"):
            shutil.copy(ROOT / part, copy)
        for change in bug.changes:
            _apply(copy / change.file, change)
        yield copy


def _run(copy: Path, *module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def _apply(path: Path, change: Change) -> None:
    text = path.read_text()
    if text.count(change.old) != 1:
        raise LookupError(f"{change.file} holds {text.count(change.old)} times:\n{change.old}")
    path.write_text(text.replace(change.old, change.new))
