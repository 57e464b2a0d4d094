"""Taking out the rules by which a signed transaction is settled."""

from __future__ import annotations

from tests.faults.planting import (
    EXECUTOR,
    MORTALITY,
    PREPARATION,
    SETTLEMENT,
    STATES,
    SWEEP,
    Change,
    rule_out,
)

FENCE_END = (
    rule_out(
        "fence-end",
        "an intent with a live attempt is ended",
        Change(
            EXECUTOR,
            "        if any(attempt.state in LIVE_ATTEMPT_STATES for attempt in books.attempts.of_intent(intent.id)):\n"
            '            raise ConflictError("it has a live attempt", subject=intent.id)\n',
            "",
        ),
    ),
    rule_out(
        "fence-end",
        "a cancellation ends it at once",
        Change(
            EXECUTOR,
            "                found = books.intents.change(found, at=now, cancel_requested_at=now)",
            "                found = books.intents.change(\n"
            "                    found, at=now, cancel_requested_at=now, state=IntentState.CANCELLED\n"
            "                )",
        ),
    ),
    rule_out(
        "fence-end",
        "a deadline ends it at once",
        Change(
            EXECUTOR,
            "        if live is not None:\n            return self._settle(found, live)\n",
            "        if live is not None and found.deadline_at <= self._clock.now():\n"
            "            with self._store.write() as books:\n"
            "                now = self._clock.now()\n"
            '                self._end(books, found, IntentState.FAILED, "deadline", "passed", now)\n'
            "            return self._standing(intent)\n"
            "        if live is not None:\n            return self._settle(found, live)\n",
        ),
    ),
    rule_out(
        "fence-end",
        "a failed preparation ends what another has signed for",
        Change(EXECUTOR, "if busy or over or current.lease_owner", "if over or current.lease_owner"),
    ),
    rule_out(
        "fence-end",
        "a failed preparation ends what has landed",
        Change(EXECUTOR, "if busy or over or current.lease_owner", "if busy or current.lease_owner"),
        Change(
            STATES,
            "        (IntentState.FILLED, IntentState.EXECUTING):",
            '        (IntentState.FILLED, IntentState.FAILED): "planted",\n'
            "        (IntentState.FILLED, IntentState.EXECUTING):",
        ),
    ),
    rule_out(
        "fence-end",
        "a failed preparation ends what another has claimed",
        Change(EXECUTOR, "if busy or over or current.lease_owner != self._owner:", "if busy or over:"),
    ),
    rule_out(
        "fence-end",
        "the state follows the last attempt only",
        Change(
            SETTLEMENT,
            "states = {attempt.state for attempt in books.attempts.of_intent(intent.id)}",
            "states = {attempt.state for attempt in books.attempts.of_intent(intent.id)[-1:]}",
        ),
    ),
    rule_out(
        "fence-end",
        "a death ends nothing, though it was asked to",
        Change(SETTLEMENT, "        wanted = IntentState.PENDING\n", "        wanted = IntentState.EXECUTING\n"),
    ),
)
SIGNED_IS_SENT = (
    rule_out(
        "signed-is-sent",
        "SIGNED is taken for never sent",
        Change(
            EXECUTOR,
            "        if live is not None:\n            return self._settle(found, live)\n",
            "        if live is not None and live.state is AttemptState.SIGNED:\n"
            '            self._settlement.expired(live, "never sent", watch_for=self._policy.watch_for)\n'
            "            return self._standing(intent)\n"
            "        if live is not None:\n            return self._settle(found, live)\n",
        ),
    ),
    rule_out(
        "signed-is-sent",
        "SIGNED holds no funds",
        Change(
            EXECUTOR,
            '        self._reached(intent.id, Step.PERSISTED, "committed before its first byte leaves")\n',
            "        with self._store.write() as books:\n"
            "            books.reservations.release(attempt.id, now)\n"
            '        self._reached(intent.id, Step.PERSISTED, "committed before its first byte leaves")\n',
        ),
    ),
)
_HEIGHT = "        height = node.block_height(Commitment.FINALIZED)\n"
HEIGHT_THEN_STATUS = (
    rule_out(
        "height-then-status", "the bound is not waited for", Change(MORTALITY, "or height <= bound:", "or height < 0:")
    ),
    rule_out(
        "height-then-status", "at the bound already", Change(MORTALITY, "or height <= bound:", "or height < bound:")
    ),
    rule_out(
        "height-then-status",
        "the slot passes for the height",
        Change(MORTALITY, _HEIGHT, "        height = node.slot(Commitment.FINALIZED)\n"),
    ),
    rule_out(
        "height-then-status",
        "a confirmed height is enough",
        Change(MORTALITY, _HEIGHT, "        height = node.block_height(Commitment.CONFIRMED)\n"),
    ),
    rule_out(
        "height-then-status",
        "the status is asked first",
        Change(
            MORTALITY,
            _HEIGHT,
            "        (early,) = node.signature_statuses([attempt.signature], search_history=True).statuses\n" + _HEIGHT,
        ),
        Change(
            MORTALITY,
            "        ours, *controls = answer.statuses\n",
            "        ours, *controls = early, *answer.statuses[1:]\n",
        ),
    ),
)
_CONTROLS = "if not all(control is not None and control.commitment is Commitment.FINALIZED for control in controls):"
CONTROLS = (
    rule_out("controls", "none is needed", Change(MORTALITY, _CONTROLS, "if len(controls) > 2:")),
    rule_out(
        "controls",
        "none from before",
        Change(MORTALITY, _CONTROLS, _CONTROLS.replace("in controls", "in controls[1:]")),
    ),
    rule_out(
        "controls",
        "none from after the bound",
        Change(MORTALITY, "if not newest or newest[0].slot < past:", "if not newest:"),
    ),
    rule_out(
        "controls",
        "an error is one",
        Change(
            MORTALITY,
            "        with self._chain.pinned() as node:\n            first = self._ask(node, attempt)\n",
            "        from sniperforge.errors import NodeUnavailableError\n\n"
            "        try:\n"
            "            with self._chain.pinned() as node:\n                first = self._ask(node, attempt)\n"
            "        except NodeUnavailableError as error:\n"
            "            return Verdict(Fate.DEAD, str(error))\n",
        ),
    ),
    rule_out("controls", "no second node", Change(MORTALITY, "        if needs_second_node:\n", "        if False:\n")),
    rule_out(
        "controls",
        "the same node twice",
        Change(MORTALITY, "self._chain.pinned(other_than=first.node)", "self._chain.pinned()"),
    ),
    rule_out(
        "controls",
        "a second node for nothing",
        Change(EXECUTOR, "attempt.input_amount_raw >= self._policy.large_trade_usd", "attempt.input_amount_raw >= 0"),
    ),
    rule_out(
        "controls",
        "signed without one",
        Change(
            PREPARATION,
            "    if view.control is None:\n",
            '    if view.control is None and view.slot:\n        return Signature("none")\n'
            "    if view.control is None:\n",
        ),
    ),
    rule_out(
        "controls",
        "the dead are not watched",
        Change(SETTLEMENT, "death_proof=proof, watch_until=now + watch_for", "death_proof=proof, watch_until=now"),
    ),
    rule_out(
        "controls",
        "the dead are not asked about",
        Change(SWEEP, "        executor.look_again(attempt)\n", "        executor.cancel(attempt.intent_id)\n"),
    ),
)
_DEAD_LETTER = '                self._settlement.expired(attempt, "it says so", watch_for=self._policy.watch_for)\n'
NO_TIMEOUT = (
    rule_out(
        "no-timeout",
        "an answer of /execute kills",
        Change(
            EXECUTOR,
            "                code, message = answer.code, _said(answer)\n",
            "                code, message = answer.code, _said(answer)\n                if code:\n    " + _DEAD_LETTER,
        ),
    ),
    rule_out(
        "no-timeout",
        "time that passes here kills",
        Change(
            EXECUTOR,
            "        since = attempt.last_sent_at or attempt.created_at\n",
            "        since = attempt.last_sent_at or attempt.created_at\n"
            "        if self._clock.now() - attempt.created_at > self._policy.deadline:\n    "
            + _DEAD_LETTER.removeprefix("    ").removeprefix("    "),
        ),
    ),
)
RULES = (
    *FENCE_END,
    *SIGNED_IS_SENT,
    *HEIGHT_THEN_STATUS,
    *CONTROLS,
    *NO_TIMEOUT,
)
