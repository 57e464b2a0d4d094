"""Proof that the suite would notice: known bugs, planted one by one into a copy of the tree, each found by a test.

    python -m tests.faults.planted [NAME ...]

Ends with 1 if a bug was not found. Each bug is one or two changes of the source; a change that no longer applies is an
error too, so that this list cannot rot unnoticed.
"""

from __future__ import annotations

import sys

from tests.faults.planting import (
    EXECUTOR,
    GUARD,
    MORTALITY,
    PREPARATION,
    SETTLEMENT,
    Change,
    Planted,
    found_by,
    legal,
    plant_all,
)

BUGS = (
    Planted(
        "sent before it is committed",
        (
            Change(
                EXECUTOR,
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
                EXECUTOR,
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
                EXECUTOR,
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
        (Change(MORTALITY, "or height <= bound:", "or height < 0:"),),
        "lands_long_after",
    ),
    Planted(
        "dead by a node that forgot",
        (
            Change(
                MORTALITY,
                "if not all(control is not None and control.commitment is Commitment.FINALIZED for control in",
                "if not all(control is None or control for control in",
            ),
        ),
        "without_its_history",
    ),
    Planted(
        "the bound is taken from the API",
        (
            Change(
                PREPARATION,
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
                GUARD,
                "if transaction.durable_nonce is not None:",
                "if transaction.durable_nonce is not None and transaction.version == 1:",
            ),
            # Its nonce value is no blockhash that a node calls valid, so the rule own-bound would refuse it as well.
            Change(PREPARATION, "    if not view.blockhash_valid:", "    if view.slot < 0:"),
        ),
        "bound_to_a_nonce",
    ),
    Planted(
        "a fill or an error is final at confirmed",
        (
            Change(
                EXECUTOR,
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
                SETTLEMENT,
                "if current.state not in (AttemptState.SIGNED, AttemptState.SENT):\n",
                "if current.state not in (AttemptState.SIGNED, AttemptState.SENT, AttemptState.EXPIRED):\n",
            ),
            legal("EXPIRED, CONFIRMED"),
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
                MORTALITY,
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
                SETTLEMENT,
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
                EXECUTOR,
                "            sent = books.attempts.change(\n",
                "            books.reservations.release(current.id, now)\n            sent = books.attempts.change(\n",
            ),
        ),
        "spend_one_balance",
    ),
)


if __name__ == "__main__":
    sys.exit(plant_all(BUGS, lambda bug: found_by(bug, ["tests/faults"]), sys.argv[1:]))
