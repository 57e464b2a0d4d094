"""Proof that the suite would notice: known bugs, planted one by one into a copy of the tree, each found by a test.

    python -m tests.faults.planted [NAME ...]

Ends with 1 if a bug was not found. Each bug is one or two changes of the source; a change that no longer applies is an
error too, so that this list cannot rot unnoticed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHIN_S = 400
_EXECUTOR = "sniperforge/trading/trade_executor.py"
_SETTLEMENT = "sniperforge/trading/settlement.py"
_MORTALITY = "sniperforge/trading/mortality.py"


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


BUGS = (
    Planted(
        "sent before it is committed",
        (
            Change(
                _EXECUTOR,
                '        self._reached(intent.id, Step.SIGNED, f"signed {signature}")\n',
                "        self._chain.send(signed)\n"
                '        self._reached(intent.id, Step.SIGNED, f"signed {signature}")\n',
            ),
        ),
        "killed_at_every_step",
    ),
    Planted(
        "a timeout is taken for a failure",
        (
            Change(
                _EXECUTOR,
                "                message = str(error)\n        self._reached(attempt.intent_id, Step.ANSWERED",
                "                message = str(error)\n"
                '                self._settlement.expired(attempt, "it timed out", watch_for=self._policy.watch_for)\n'
                "        self._reached(attempt.intent_id, Step.ANSWERED",
            ),
        ),
        "killed_under_any_answer",
    ),
    Planted(
        "SIGNED is taken for never sent",
        (
            Change(
                _EXECUTOR,
                "        if live is not None:\n            return self._settle(found, live)\n",
                "        if live is not None and live.state is AttemptState.SIGNED:\n"
                '            self._settlement.expired(live, "never sent", watch_for=self._policy.watch_for)\n'
                "            return self._standing(intent)\n"
                "        if live is not None:\n            return self._settle(found, live)\n",
            ),
        ),
        "killed_at_every_step",
    ),
    Planted(
        "dead on null, whatever the height",
        (Change(_MORTALITY, "or height <= bound:", "or height < 0:"),),
        "lands_long_after",
    ),
    Planted(
        "dead by a node that forgot",
        (Change(_MORTALITY, "        if not all(control is not None", "        if not any(control is None"),),
        "without_its_history",
    ),
    Planted(
        "the bound is taken from the API",
        (
            Change(
                "sniperforge/trading/preparation.py",
                "max(order.last_valid_block_height or 0, view.block_height + BLOCKHASH_LIFE_BLOCKS)",
                "order.last_valid_block_height or 0",
            ),
        ),
        "heights_of_an_order",
    ),
    Planted(
        "an order with AdvanceNonce is signed",
        (
            Change(
                "sniperforge/trading/transaction_guard.py",
                "if transaction.durable_nonce is not None:",
                "if transaction.durable_nonce is not None and transaction.version == 1:",
            ),
            # Its nonce value is no blockhash that a node calls valid, so the rule own-bound would refuse it as well.
            Change("sniperforge/trading/preparation.py", "    if not view.blockhash_valid:", "    if view.slot < 0:"),
        ),
        "bound_to_a_nonce",
    ),
    Planted(
        "a fill or an error is final at confirmed",
        (
            Change(
                _EXECUTOR,
                "final = self._chain.transaction(attempt.signature, Commitment.FINALIZED)",
                "final = self._chain.transaction(attempt.signature, Commitment.CONFIRMED)",
            ),
        ),
        "is_not_final_before",
    ),
    Planted(
        "a late confirmation is booked over EXPIRED",
        (
            Change(
                _SETTLEMENT,
                "if current.state not in (AttemptState.SIGNED, AttemptState.SENT):\n",
                "if current.state not in (AttemptState.SIGNED, AttemptState.SENT, AttemptState.EXPIRED):\n",
            ),
            Change(
                "sniperforge/domain/intent.py",
                "    (AttemptState.SENT, AttemptState.CONFIRMED):".replace("    ", "        ", 1),
                '        (AttemptState.EXPIRED, AttemptState.CONFIRMED): "planted",\n'
                "        (AttemptState.SENT, AttemptState.CONFIRMED):",
            ),
        ),
        "over_a_proof_of_death",
    ),
    Planted(
        "the fill is taken from the quote",
        (
            Change(
                "sniperforge/trading/bookkeeping.py",
                "output_raw=max(0, change.of_asset(intent.output_mint)),",
                "output_raw=attempt.quoted_out_raw,",
            ),
        ),
        "killed_at_every_step",
    ),
    Planted(
        "a slot is compared with a block height",
        (
            Change(
                _MORTALITY,
                "height = node.block_height(Commitment.FINALIZED)",
                "height = node.slot(Commitment.FINALIZED)",
            ),
        ),
        "lands_long_after",
    ),
    Planted(
        "the fee of a failed landing is not booked",
        (
            Change(
                _SETTLEMENT,
                "            _reverse(books, intent, current)\n"
                "            self._lines(books, current, landed, frozenset(), FillState.FINAL, now)\n",
                "            _reverse(books, intent, current)\n",
            ),
        ),
        "landings_with_an_error",
    ),
    Planted(
        "reservations are released at sending",
        (
            Change(
                _EXECUTOR,
                "            books.attempts.change(\n                current,\n                at=now,\n"
                "                state=AttemptState.SENT if",
                "            books.reservations.release(current.id, now)\n"
                "            books.attempts.change(\n                current,\n                at=now,\n"
                "                state=AttemptState.SENT if",
            ),
        ),
        "spend_one_balance",
    ),
)


def found_by(bug: Planted) -> str | None:
    """The test that fails with this bug in the tree; None if none does.

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
            [sys.executable, "-m", "pytest", "tests/faults", "-x", "-q", "-p", "no:cacheprovider", "-k", bug.tests],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    if run.returncode not in (0, 1):
        raise LookupError(f"{bug.name}: the tests did not run:\n{run.stdout}{run.stderr}")
    failed = re.search(r"^FAILED tests/faults/\S+::(\S+)", run.stdout, re.MULTILINE)
    said = re.search(r"^E +(?:AssertionError: |assert )?(.*)", run.stdout, re.MULTILINE)
    if failed is None:
        print(run.stdout[-2000:])
    return f"{failed[1]}: {said[1][:160] if said else ''}" if failed else None


def _apply(path: Path, change: Change) -> None:
    text = path.read_text()
    if text.count(change.old) != 1:
        raise LookupError(f"{change.file} holds {text.count(change.old)} times:\n{change.old}")
    path.write_text(text.replace(change.old, change.new))


def main(names: Sequence[str]) -> int:
    """Plant the bugs of these names, or all; returns the exit code."""
    missed = 0
    for bug in BUGS:
        if names and not any(name in bug.name for name in names):
            continue
        found = found_by(bug)
        missed += found is None
        print(f"{bug.name}: {found or 'NOT FOUND'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
