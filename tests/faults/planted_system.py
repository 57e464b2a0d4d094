"""Proof that the driver of the running system would notice: known bugs, each found by it within a few seeds.

    python -m tests.faults.planted_system [NAME ...]

Ends with 1 if a bug was not found, as `planted` does.
"""

from __future__ import annotations

import sys

from tests.faults.planting import (
    BEAT,
    CONTEXT,
    EXECUTOR,
    PLANS,
    QUEUE,
    SWEEPING,
    Change,
    Planted,
    found_by_seeds,
    plant_all,
)

SEEDS = 6

SYSTEM_BUGS = (
    Planted(
        "a round is decided outside of the transaction that claims it",
        (
            Change(PLANS, "            intent = None if request is None else self._decide(books, request, now)\n", ""),
            Change(
                PLANS,
                "        with self._store.write() as books:\n            plan = books.plans.lock(due.plan.id)\n",
                "        with self._store.write() as books:\n"
                "            intent = None if request is None else self._decide(books, request, now)\n"
                "        with self._store.write() as books:\n"
                "            plan = books.plans.lock(due.plan.id)\n",
            ),
            # The key and the round would each refuse the second trade by themselves.
            Change(PLANS, "key=round_key(plan.kind, plan.id, number),", "key=__import__('uuid').uuid4().hex,"),
            Change(PLANS, "        plan_id=plan.id,\n        occurrence=number,\n", ""),
        ),
        "system",
    ),
    Planted(
        "a message carries an amount",
        (
            Change(
                QUEUE,
                "expires=BELL_LIFE_S, retry=False,",
                'expires=BELL_LIFE_S, headers={"input_raw": 25_000_000}, retry=False,',
            ),
        ),
        "system",
    ),
    Planted(
        "a passphrase lies in Redis",
        (
            Change(
                CONTEXT,
                '"1", nx=True',
                "self.services.settings.wallet_passphrase_file.read_text(), nx=True",
            ),
        ),
        "system",
    ),
    Planted(
        "nobody sweeps, so a lost bell is never rung again",
        (Change(SWEEPING, "if worker.may_ring(intent):", "if not intent:"),),
        "system",
    ),
    Planted(
        "the sweep rings once for each trade",
        (Change(CONTEXT, ", nx=True, ex=RING_AGAIN_AFTER", ", nx=True"),),
        "system",
    ),
    Planted(
        "a beat that waited for its lock while Redis was wiped has no schedule",
        (Change(BEAT, "        if missing:\n", "        if not known:\n"),),
        "system",
        seeds=(23, 30),  # they end with a wipe under heirs, and with trades that only a sweep rings for
    ),
    Planted(
        "a worker ends a trade that it does not hold",
        (
            Change(
                EXECUTOR,
                "        if live is not None:\n            return self._settle(found, live)\n",
                "        if found.state is IntentState.EXECUTING and found.lease_owner not in (None, self._owner):\n"
                "            with self._store.write() as books:\n"
                "                held, now = _locked(books, intent), self._clock.now()\n"
                "                found = self._end(books, held, IntentState.FAILED, 'planted', 'given up', now)\n"
                "        if live is not None:\n            return self._settle(found, live)\n",
            ),
        ),
        "system",
    ),
)


if __name__ == "__main__":
    sys.exit(plant_all(SYSTEM_BUGS, lambda bug: found_by_seeds(bug, SEEDS, "--system"), sys.argv[1:]))
